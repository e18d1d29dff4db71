"""Filters that name every reason, and groups of near-duplicates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photochrom import catalog as catalogs
from photochrom.catalog import copies, dropped_by, make_catalog, near_pairs, nothing_kept
from photochrom.runtime import StageError
from photochrom.tables import CATALOG_COLUMNS, SOURCES_COLUMNS, Row, kept

SEED = {"brightness": [50, 170], "chroma_std": 10, "colourfulness": None}


def source(id: str, **cells: str) -> Row:
    row = dict.fromkeys(SOURCES_COLUMNS, "") | {"id": id, "sha256": id, "source": "folder:p"}
    return row | {"original_name": id, "width": "64", "height": "64", "part": "1"} | cells


def measured(id: str, **cells: str) -> Row:
    figures = {"mean_L": "50.0", "chroma_std": "20.0", "colourfulness": "40.0", "max_ab": "60.0"}
    return {"id": id, "phash": "", "error": "", "tint_deviation": "12.0"} | figures | cells


def group_labels(sources: list[Row], hashes: list[str], near_bits: int | None) -> list[str]:
    return catalogs.group_labels(sources, copies(sources, hashes, near_bits))


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
    told = nothing_kept(make_catalog(sources, measures, SEED, None))
    assert "none of the 3 pictures is kept; dropped by: brightness 2, chroma_std 1" in told
    assert "data.filters" in told


def test_a_fault_with_semicolons_is_one_reason() -> None:
    broken = measured("a", error="member x is a zip; name it in data.sources itself")
    (row,) = make_catalog([source("a")], [broken], {}, None)
    assert row["reason"] == "unreadable: member x is a zip, name it in data.sources itself"
    assert dropped_by([row]) == {"unreadable": 1}


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
    assert group_labels(sources, [""] * 4, None) == ["cat", "dog", "cat", "dog"]


def test_near_duplicates_join_groups_transitively() -> None:
    hashes = [0b0, 0b1111, 0b11111111, 2**63 - 2**40]
    texts = [f"{value:016x}" for value in hashes]
    sources = [source(name) for name in ("d", "c", "b", "a")]
    assert group_labels(sources, texts, 4) == ["d", "d", "d", "a"]
    assert group_labels(sources, texts, 3) == ["d", "c", "b", "a"]
    assert group_labels(sources, texts, None) == ["d", "c", "b", "a"]


def test_a_scene_taken_many_times_makes_few_pairs() -> None:
    texts = [f"{value:016x}" for value in (0b11, *[0b1] * 500, 3 << 60, *[0] * 500)]
    sources = [source(f"{number:04}") for number in range(len(texts))]
    assert len(list(copies(sources, texts, 1))) == 499 + 499 + 2
    assert group_labels(sources, texts, 1) == ["0000"] * 501 + ["0501"] + ["0000"] * 500
    assert group_labels(sources, texts, 0)[-1] == "0502"


@given(st.lists(st.integers(0, 31), max_size=12), st.integers(0, 3))
def test_groups_are_those_that_all_pairs_make(values: list[int], bits: int) -> None:
    sources = [source(f"{number:02}") for number in range(len(values))]
    array = np.array(values, dtype=np.uint64)
    expected = catalogs.joined(len(values), near_pairs(array, bits))
    found = catalogs.joined(len(values), copies(sources, [f"{v:016x}" for v in values], bits))
    assert found == expected


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
    assert group_labels(sources, ["", ""], None) == ["a.jpg", "folder:two/a.jpg"]


def test_what_is_listed_later_changes_no_label() -> None:
    old = [source("1", original_name="m.jpg"), source("2", original_name="n.jpg")]
    new = [
        source("3", original_name="a.jpg"),  # a near-duplicate of the first
        source("4", original_name="n.jpg", source="folder:other"),
    ]
    hashes = [f"{value:016x}" for value in (0b11, 2**63 - 1, 0b1, 2**40 - 1)]
    assert group_labels(old, hashes[:2], 4) == ["m.jpg", "n.jpg"]
    assert group_labels(old + new, hashes, 4) == ["m.jpg", "n.jpg", "m.jpg", "folder:other/n.jpg"]


# Near-duplicates that are dropped when the user asks.

ALIKE = ["0000000000000001", "0000000000000003", "0000000000000007", "ffff000000000000"]


def duplicates(most: int, *measures: Row, **filters: object) -> dict[str, str]:
    sizes = ("64", "128", "96", "64")
    sources = [source(id, width=side, height=side) for id, side in zip("abcd", sizes, strict=True)]
    rows = [
        measured(id, phash=phash) | (measures[at] if at < len(measures) else {})
        for at, (id, phash) in enumerate(zip("abcd", ALIKE, strict=True))
    ]
    catalog = make_catalog(sources, rows, {"duplicates": most, **filters}, 4)
    return {row["id"]: row["reason"] for row in catalog}


def test_the_largest_of_near_duplicates_is_kept() -> None:
    like_b = "duplicates: like b"
    assert duplicates(1) == {"a": like_b, "b": "", "c": like_b, "d": ""}
    assert duplicates(2) == {"a": like_b, "b": "", "c": "", "d": ""}
    assert duplicates(3) == dict.fromkeys("abcd", "")


def test_near_duplicates_are_chosen_among_those_that_pass_the_other_filters() -> None:
    dark = {"mean_L": "5"}
    found = duplicates(1, {}, dark, brightness=[50, 170])
    assert found["c"] == ""
    assert found["a"] == "duplicates: like c"
    assert found["b"] == "brightness: mean L 12.8 below 50;duplicates: like c"
    # Where all fail, all reasons are named.
    assert duplicates(1, dark, dark, dark, brightness=[50, 170])["b"].count(";") == 0


def test_tiles_of_one_photograph_are_no_duplicates_and_exact_copies_are() -> None:
    sources = [source("1", original_name="cat"), source("2", original_name="cat")]
    measures = [measured("1"), measured("2")]
    assert len(kept(make_catalog(sources, measures, {"duplicates": 1}, None))) == 2
    sources[1]["sha256"] = "1"
    assert len(kept(make_catalog(sources, measures, {"duplicates": 1}, None))) == 1


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
