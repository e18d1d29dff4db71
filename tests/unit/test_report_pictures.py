"""The pictures of the report: chosen by rule, error maps on one scale, faults in words."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fake_results
from fake_results import PROTOCOL, Results
from photochrom.images import write_png
from photochrom.report.explorer import explorer_section
from photochrom.report.inputs import Row, read_row
from photochrom.report.pictures import (
    MAP_COLOURS,
    error_map,
    graded,
    grades_section,
    map_legend,
    sheet_section,
)
from photochrom.tables import read_table


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return fake_results.build(tmp_path_factory.mktemp("results"), pixels=24)


@pytest.fixture
def rows(results: Results, tmp_path: Path) -> list[Row]:
    """Rows whose files a test may change."""
    shutil.copytree(results.metrics[0].parent, tmp_path / "metrics")
    return [read_row(tmp_path / "metrics" / path.name) for path in results.metrics]


def catalog(results: Results) -> list[dict[str, str]]:
    return list(read_table(results.catalog, ["id"], "filter.py"))


def test_grades_are_the_ends_and_the_middle_of_the_ranking() -> None:
    scores = {name: float(place) for place, name in enumerate("abcdefghi")}
    assert graded(scores, True, 2) == {
        "best": ["a", "b"],
        "median": ["d", "e"],
        "worst": ["h", "i"],
    }
    assert graded(scores, False, 1) == {"best": ["i"], "median": ["e"], "worst": ["a"]}
    assert graded({"a": 1.0, "b": 1.0}, True, 2) == {}


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 9), max_size=20), st.integers(1, 4))
def test_no_name_is_in_two_grades(scores: dict[str, float], count: int) -> None:
    grades = graded(scores, True, count)
    names = [name for grade in grades.values() for name in grade]
    assert len(set(names)) == len(names) == 3 * min(count, len(scores) // 3)
    values = [scores[name] for name in names]
    assert values == sorted(values)


def test_the_error_map_has_one_scale() -> None:
    truth = np.full((2, 3, 3), 119, np.uint8)
    assert (error_map(truth, truth) == np.rint(255 * np.array(MAP_COLOURS(0.0)[:3]))).all()
    # Black and white are ΔE00 100 apart, far beyond the scale's end.
    black, white = np.zeros_like(truth), np.full_like(truth, 255)
    assert (error_map(black, white) == np.rint(255 * np.array(MAP_COLOURS(1.0)[:3]))).all()
    legend = map_legend()
    assert (legend["ticks"][0], legend["ticks"][-1]) == (0, 30)
    assert len(set(legend["stops"])) == len(legend["stops"])
    with pytest.raises(ValueError, match="sizes differ"):
        error_map(truth, truth[:1])


def test_the_best_experiment_is_graded_by_its_colour_difference(
    rows: list[Row], results: Results
) -> None:
    section = grades_section(rows, catalog(results), PROTOCOL)
    assert section is not None
    scores = rows[0].values("ciede2000", PROTOCOL)
    assert [grade for grade, _ in section["grades"]] == ["best", "median", "worst"]
    best, _, worst = (lines for _, lines in section["grades"])
    assert best[0]["score"] == min(scores.values())
    assert worst[-1]["score"] == max(scores.values())
    for line in best + worst:
        assert line["score"] == scores[line["id"]]
        assert all(line[key]["src"] for key in ("grey", "prediction", "truth", "map"))
        assert "licence" not in line["credit"]


def test_what_cannot_be_shown_is_said_for_each_picture(rows: list[Row], results: Results) -> None:
    best, truth = rows[0], next(row for row in rows if row.name == "truth")
    scores = best.values("ciede2000", PROTOCOL)
    first, second = sorted(scores, key=lambda name: scores[name])[:2]
    (truth.pictures / f"{first}.png").unlink()
    write_png(best.pictures / f"{second}.png", np.zeros((9, 9, 3), np.uint8))
    section = grades_section(rows, catalog(results), PROTOCOL)
    assert section is not None
    one, two = section["grades"][0][1][:2]
    assert one["truth"]["src"] is None
    assert "unreadable" in one["truth"]["reason"]
    assert one["map"]["reason"] == "not computed: it needs prediction and truth"
    assert "not computed: sizes differ" in two["map"]["reason"]
    lone = grades_section([best], catalog(results), PROTOCOL)
    assert lone is not None
    assert lone["grades"][0][1][0]["grey"]["reason"] == "there is no row grey"


def test_too_few_pictures_make_no_grades(rows: list[Row], results: Results) -> None:
    path = rows[0].pictures.with_name("quick.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"pictures": content["pictures"][:2]}))
    section = grades_section([read_row(path)], catalog(results), PROTOCOL)
    assert section is not None
    assert "fewer than three" in section["reason"]
    assert grades_section(rows[1:], catalog(results), PROTOCOL) is None


def test_the_sheet_shrinks_as_rows_join(rows: list[Row], results: Results) -> None:
    sheet = sheet_section(rows, catalog(results), PROTOCOL)
    assert sheet is not None
    assert [cell["row"] for cell in sheet["lines"][0]["cells"]] == [
        "grey",
        "quick",
        "rival",
        "truth",
    ]
    assert [cell["row"] for cell in sheet["typical"]["cells"]] == ["grey", "quick", "truth"]
    assert len(sheet["lines"]) == sheet["of"] == len(rows[0].shown)
    many = sheet_section(rows + 10 * [rows[1]], catalog(results), PROTOCOL)
    assert many is not None
    assert len(many["lines"]) == 3


def test_the_explorer_has_each_figure_in_the_photographs_order(
    rows: list[Row], results: Results
) -> None:
    data = explorer_section(rows, catalog(results), PROTOCOL)
    assert data is not None
    ids = [one["id"] for one in data["photographs"]]
    assert [row["name"] for row in data["rows"]] == ["quick", "rival", "constant", "grey", "truth"]
    assert "source" not in {one["name"] for one in data["measures"]}
    for row, shown in zip(rows, data["rows"], strict=True):
        values = row.values("ciede2000", PROTOCOL)
        assert shown["values"]["ciede2000"] == pytest.approx(
            [values[name] for name in ids], rel=1e-4
        )
    assert data["best"] == "quick"
    thumbs = {row["name"]: row["thumbs"] for row in data["rows"]}
    assert [name for name, found in thumbs.items() if found] == ["quick", "rival", "truth"]
    assert all(one.startswith("data:image/webp;") for one in thumbs["truth"])
    assert data["blind"]["rows"] == [row["name"] for row in data["rows"]]
    assert {one["photograph"] for one in data["blind"]["photographs"]} == set(range(len(ids)))


def test_a_lost_value_or_picture_is_none_and_not_judged(rows: list[Row], results: Results) -> None:
    name = rows[0].shown[0]
    (rows[0].pictures / f"{name}.png").unlink()
    table = [
        dict(one) | ({"ciede2000": "nan"} if one["id"] == name else {}) for one in rows[0].per_image
    ]
    changed = Row(**(vars(rows[0]) | {"per_image": table}))
    data = explorer_section([changed, *rows[1:]], catalog(results), PROTOCOL)
    assert data is not None
    place = [one["id"] for one in data["photographs"]].index(name)
    assert data["rows"][0]["values"]["ciede2000"][place] is None
    assert data["rows"][0]["thumbs"][place] is None
    assert place not in {one["photograph"] for one in data["blind"]["photographs"]}
    assert (
        explorer_section([Row("x", "experiment", "", [], [], Path("none"), {})], [], PROTOCOL)
        is None
    )


def test_budgets_bound_what_is_embedded(
    rows: list[Row], results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photochrom.report.explorer.THUMB_BUDGET", 100)
    monkeypatch.setattr("photochrom.report.explorer.BLIND_BUDGET", 100)
    data = explorer_section(rows, catalog(results), PROTOCOL)
    assert data is not None
    # The truth and the best experiment are always there: without them there is nothing to see.
    assert [row["name"] for row in data["rows"] if row["thumbs"]] == ["quick", "truth"]
    assert data["blind"]["photographs"] == []
