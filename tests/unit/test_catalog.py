"""Filters that name every reason, and groups of near-duplicates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photochrom.catalog import dropped_by, failed_filters, group_labels, make_catalog, near_pairs
from photochrom.runtime import StageError
from photochrom.tables import CATALOG_COLUMNS, Row, kept

SEED = {"brightness": [50, 170], "chroma_std": 10, "colourfulness": None}


def source(id: str, **cells: str) -> Row:
    row = dict.fromkeys(CATALOG_COLUMNS[:9], "") | {"id": id, "sha256": id, "source": "folder:p"}
    return row | {"original_name": id, "error": ""} | cells


def measured(id: str, **cells: str) -> Row:
    figures = {"mean_L": "50.0", "chroma_std": "20.0", "colourfulness": "40.0"}
    return {"id": id, "phash": "", "error": ""} | figures | cells


def test_every_failing_filter_is_named() -> None:
    dull = measured("a", mean_L="8.2353", chroma_std="3.21", colourfulness="7")
    assert failed_filters(dull, SEED) == [
        "brightness: mean L 21.0 below 50",
        "chroma_std: 3.2 below 10",
    ]
    assert failed_filters(dull, SEED | {"colourfulness": 15})[-1] == "colourfulness: 7.0 below 15"
    assert failed_filters(measured("a", mean_L="80"), SEED) == [
        "brightness: mean L 204.0 above 170"
    ]
    assert failed_filters(dull, dict.fromkeys(SEED)) == []
    assert failed_filters(dull, {}) == []


def test_thresholds_themselves_are_kept() -> None:
    for level in ("19.6079", "66.6666"):  # 50 and 170 on 0..255
        assert failed_filters(measured("a", mean_L=level, chroma_std="10.0000"), SEED) == []


def test_what_cannot_be_read_is_dropped_with_its_reason() -> None:
    assert failed_filters(measured("a", error="not an image"), SEED) == ["unreadable: not an image"]
    refused = measured("a", error="unreadable: permission denied")
    assert failed_filters(refused, SEED) == ["unreadable: permission denied"]


def test_the_catalog_has_a_row_for_each_picture() -> None:
    sources = [source("a"), source("b"), source("c", error="zero bytes")]
    measures = [
        measured("a"),
        measured("b", mean_L="5", chroma_std="1"),
        measured("c", mean_L="", chroma_std="", colourfulness="", error="zero bytes"),
    ]
    catalog = make_catalog(sources, measures, SEED, 4)
    assert [tuple(row) for row in catalog] == [CATALOG_COLUMNS] * 3
    assert [row["verdict"] for row in catalog] == ["keep", "drop", "drop"]
    assert kept(catalog) == catalog[:1]
    assert catalog[1]["reason"] == "brightness: mean L 12.8 below 50;chroma_std: 1.0 below 10"
    assert dropped_by(catalog) == {"brightness": 1, "chroma_std": 1, "unreadable": 1}


def test_nothing_kept_says_what_to_change() -> None:
    sources = [source(id) for id in "abc"]
    measures = [measured("a", mean_L="5"), measured("b", mean_L="6"), measured("c", chroma_std="1")]
    with pytest.raises(StageError, match=r"none of the 3 .* brightness 2, chroma_std 1") as caught:
        make_catalog(sources, measures, SEED, None)
    assert caught.value.code == 2
    assert "data.filters" in str(caught.value)


@pytest.mark.parametrize(
    ("filters", "complaint"),
    [
        ({"brightnes": [1, 2]}, "did you mean brightness"),
        ({"brightness": 50}, r"\[low, high\] or null, not 50"),
        ({"brightness": [50]}, "low, high"),
        ({"chroma_std": "ten"}, "a number or null, not 'ten'"),
        ({"chroma_std": True}, "a number or null"),
    ],
)
def test_filters_that_make_no_sense_are_refused(filters: Row, complaint: str) -> None:
    with pytest.raises(StageError, match=complaint):
        make_catalog([source("a")], [measured("a")], filters, None)


def test_measures_of_other_sources_are_refused() -> None:
    with pytest.raises(StageError, match="run measure again"):
        make_catalog([source("a")], [measured("b")], {}, None)


def test_tiles_of_a_photograph_and_copies_share_a_group() -> None:
    sources = [
        source("1", original_name="cat"),
        source("2", original_name="dog"),
        source("3", original_name="cat"),
        source("4", original_name="ant", sha256="2"),  # a copy of the dog
    ]
    assert group_labels(sources, [""] * 4, None) == ["cat", "ant", "cat", "ant"]


def test_near_duplicates_join_groups_transitively() -> None:
    hashes = [0b0, 0b1111, 0b11111111, 2**63 - 2**40]
    texts = [f"{value:016x}" for value in hashes]
    sources = [source(name) for name in ("d", "c", "b", "a")]
    assert group_labels(sources, texts, 4) == ["b", "b", "b", "a"]
    assert group_labels(sources, texts, 3) == ["d", "c", "b", "a"]
    assert group_labels(sources, texts, None) == ["d", "c", "b", "a"]


def test_pictures_without_a_hash_join_nothing() -> None:
    assert group_labels([source("a"), source("b")], ["", ""], 10) == ["a", "b"]


def test_files_that_could_not_be_read_are_no_copies_of_each_other() -> None:
    sources = [source("a", sha256=""), source("b", sha256="")]
    assert group_labels(sources, ["", ""], None) == ["a", "b"]


def test_equal_names_in_two_sources_stay_apart() -> None:
    sources = [
        source("1", original_name="a.jpg", source="folder:one"),
        source("2", original_name="a.jpg", source="folder:two"),
    ]
    assert group_labels(sources, ["", ""], None) == ["folder:one/a.jpg", "folder:two/a.jpg"]


@given(st.lists(st.integers(0, 2**63 - 1), max_size=40), st.integers(0, 40))
@settings(deadline=None)
def test_near_pairs_are_those_of_the_definition(values: list[int], bits: int) -> None:
    expected = {
        (one, other)
        for other in range(len(values))
        for one in range(other)
        if (values[one] ^ values[other]).bit_count() <= bits
    }
    assert set(near_pairs(np.array(values, dtype=np.uint64), bits)) == expected


def test_near_pairs_reach_over_the_blocks_of_the_search() -> None:
    values = np.random.default_rng(0).integers(0, 2**63, 700, dtype=np.uint64)
    values[650] = values[3] ^ np.uint64(1)
    values[300] = values[299]
    assert sorted(near_pairs(values, 2)) == [(3, 650), (299, 300)]
