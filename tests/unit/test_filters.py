"""Each filter on figures at, under and over its threshold, and thresholds that make no sense."""

from typing import Any

import pytest

from photochrom.filters import FILTERS, check_filters, failed_filters
from photochrom.runtime import StageError
from photochrom.tables import Row

SEED = {"brightness": [50, 170], "chroma_std": 10, "colourfulness": None}
PASSING = {
    "mean_L": "50.0",
    "chroma_std": "20.0",
    "colourfulness": "40.0",
    "max_ab": "60.0",
    "tint_deviation": "12.0",
    "width": "640",
    "height": "480",
    "error": "",
}


def failed(filters: dict[str, Any], **cells: str) -> list[str]:
    return failed_filters(PASSING | cells, filters)


def test_every_failing_filter_is_named() -> None:
    dull = {"mean_L": "8.2353", "chroma_std": "3.21", "colourfulness": "7"}
    assert failed(SEED, **dull) == ["brightness: mean L 21.0 below 50", "chroma_std: 3.2 below 10"]
    assert failed(SEED | {"colourfulness": 15}, **dull)[-1] == "colourfulness: 7.0 below 15"
    assert failed(SEED, mean_L="80") == ["brightness: mean L 204.0 above 170"]
    assert failed(dict.fromkeys(SEED), **dull) == []
    assert failed({}, **dull) == []


@pytest.mark.parametrize(
    ("name", "threshold", "column", "passing", "failing", "why"),
    [
        ("brightness", [50, 170], "mean_L", "19.6079", "19.6", "mean L 50.0 below 50"),
        ("brightness", [50, 170], "mean_L", "66.6666", "66.68", "mean L 170.0 above 170"),
        ("chroma_std", 10, "chroma_std", "10.0000", "9.9", "9.9 below 10"),
        ("colourfulness", 15, "colourfulness", "15.0000", "14.9", "14.9 below 15"),
        ("near_grey", 5, "max_ab", "5.0001", "5.0000", "no |a| or |b| above 5, the largest is 5.0"),
        ("toned", 2.5, "tint_deviation", "2.5000", "1.2", "1.2 Lab units from one tint, below 2.5"),
        ("min_size", 480, "height", "480", "479", "640 x 479 px, short side below 480"),
        ("max_aspect", 2, "height", "320", "300", "640 x 300 px, 2.13:1 above 2:1"),
    ],
)
def test_thresholds(
    name: str, threshold: object, column: str, passing: str, failing: str, why: str
) -> None:
    assert failed({name: threshold}, **{column: passing}) == []
    assert failed({name: threshold}, **{column: failing}) == [f"{name}: {why}"]
    assert failed({name: None}, **{column: failing}) == []


def test_every_filter_has_a_description_for_people() -> None:
    assert all(function.__doc__ for function in FILTERS.values())


def test_what_cannot_be_read_is_dropped_with_its_reason() -> None:
    nothing: Row = dict.fromkeys(PASSING, "")
    assert failed(SEED, **nothing | {"error": "zero bytes"}) == ["unreadable: zero bytes"]
    refused = nothing | {"error": "unreadable: permission denied"}
    assert failed(SEED, **refused) == ["unreadable: permission denied"]


@pytest.mark.parametrize(
    ("filters", "complaint"),
    [
        ({"brightnes": [1, 2]}, "did you mean brightness"),
        ({"sepia": 1}, "known: brightness, .* duplicates"),
        ({"brightness": 50}, r"\[low, high\] or null, not 50"),
        ({"brightness": [50]}, "low, high"),
        ({"chroma_std": "ten"}, "a number or null, not 'ten'"),
        ({"chroma_std": True}, "a number or null"),
        ({"duplicates": 0}, "whole number of at least 1 or null, not 0"),
        ({"duplicates": True}, "whole number"),
    ],
)
def test_filters_that_make_no_sense_are_refused(filters: dict[str, Any], complaint: str) -> None:
    with pytest.raises(StageError, match=complaint):
        check_filters(filters)
