"""data.licences.allow: what it drops, what it says."""

import pytest

from photochrom.catalog import make_catalog, nothing_kept
from photochrom.licences import check_allowed, refused, tell_refused
from photochrom.runtime import StageError, log
from photochrom.tables import MEASURES_COLUMNS, SOURCES_COLUMNS, Row


def source(id: str, licence: str) -> Row:
    row = dict.fromkeys(SOURCES_COLUMNS, "") | {"id": id, "original_name": id, "part": "1"}
    return row | {"licence": licence}


def measured(id: str) -> Row:
    row = dict.fromkeys(MEASURES_COLUMNS, "") | {"id": id}
    return row | {"mean_L": "50", "chroma_std": "5", "colourfulness": "20"}


@pytest.mark.parametrize(
    ("licence", "allow", "allowed"),
    [
        ("CC0", ["CC0"], True),
        ("cc0", ["CC0"], True),
        ("CC BY  2.0", ["CC BY 2.0"], True),
        ("CC BY 2.0", ["CC BY [0-9]*"], True),
        ("CC BY-NC 2.0", ["CC BY [0-9]*"], False),
        ("CC BY-NC 2.0", ["CC BY*"], True),
        ("CC0 with exceptions", ["CC0"], False),
        ("", ["CC0"], False),
        ("", ["not stated"], True),
        ("CC0", ["public domain", "CC0"], True),
        ("anything", None, True),
    ],
)
def test_what_is_allowed(licence: str, allow: list[str] | None, allowed: bool) -> None:
    reason = refused(source("a", licence), allow)
    assert bool(reason) != allowed


def test_a_refused_licence_is_one_of_the_reasons_in_the_catalog() -> None:
    sources = [source("a", "CC0"), source("b", "research; only"), source("c", "")]
    measures = [measured(row["id"]) for row in sources]
    catalog = make_catalog(sources, measures, {"colourfulness": 15}, None, ["CC0"])
    assert [row["verdict"] for row in catalog] == ["keep", "drop", "drop"]
    assert catalog[1]["reason"] == "licence: research, only is not allowed"
    assert catalog[2]["reason"] == "licence: not stated is not allowed"
    measures[1]["colourfulness"] = "3"
    catalog = make_catalog(sources, measures, {"colourfulness": 15}, None, ["CC0"])
    assert [part.split(":")[0] for part in catalog[1]["reason"].split(";")] == [
        "colourfulness",
        "licence",
    ]


def test_how_many_are_dropped_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    for level in ("info", "warning"):
        monkeypatch.setattr(log, level, lambda text, *values: told.append(text % values))
    rows = [source(str(number), "CC0" if number else "research only") for number in range(5)]
    rows = [row | {"reason": ""} for row in [*rows, source("x", "")]]
    rows.append(source("no picture", "") | {"reason": "unreadable: zero bytes"})
    tell_refused(rows, ["CC0", "CC BYY 2.0"])
    assert told == [
        "data.licences.allow drops 2 of 6 pictures; 1 research only; 1 not stated",
        "data.licences.allow: no picture has a licence like CC BYY 2.0",
    ]
    told.clear()
    tell_refused(rows, None)
    assert not told


def test_nothing_left_says_where_licences_are_allowed() -> None:
    rows = [source("a", "CC BY-NC 2.0")]
    told = nothing_kept(make_catalog(rows, [measured("a")], {}, None, ["CC0"]))
    assert "licence 1." in told
    assert "data.licences.allow" in told


@pytest.mark.parametrize("value", ["CC0", 3, [1], {"CC0": True}])
def test_only_a_list_of_texts_is_taken(value: object) -> None:
    with pytest.raises(StageError, match=r"data\.licences\.allow must be a list"):
        check_allowed(value)
    assert check_allowed(None) is None
    assert check_allowed(["CC0"]) == ["CC0"]
