"""The report's slices, its confidence and its provenance: from the metrics files to their words."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fake_results
from fake_results import PROTOCOL
from photochrom.metrics import Better, Figure
from photochrom.report.inputs import Calibration, Row, Slice, read_row
from photochrom.report.provenance import provenance_section
from photochrom.report.slices import confidence_section, slices_section
from photochrom.runtime import StageError, write_json


def figure(metric: str, value: float | None, better: Better = "higher") -> Figure:
    low, high = (None, None) if value is None else (value - 1, value + 1)
    reason = "not computed: too few" if value is None else None
    return Figure(
        metric, metric, "", better, value, low, high, 4, PROTOCOL, "data", "model", reason
    )


def row(name: str, kind: str, levels: dict[str, dict[str, float | None]]) -> Row:
    """A row whose only slice, `brightness`, has these figures by level."""
    slices = [
        Slice("brightness", level, PROTOCOL, 4, 2, [figure(key, one) for key, one in own.items()])
        for level, own in levels.items()
    ]
    figures = [figure("psnr_rgb", 20.0)]
    return Row(name, kind, "", figures, [], Path(), {}, slices=slices)


@pytest.fixture
def rows() -> list[Row]:
    return [
        row("grey", "yardstick", {"dark": {"psnr_rgb": 20.0}, "bright": {"psnr_rgb": 18.0}}),
        row("quick", "experiment", {"dark": {"psnr_rgb": 19.5}, "bright": {"psnr_rgb": 21.0}}),
    ]


def test_the_least_and_the_greatest_gain_are_named(rows: list[Row]) -> None:
    (section,) = slices_section(rows)
    assert section["sentence"] == (
        "Over grey, quick gains least in “dark” (−0.50\u00a0dB PSNR) and most in “bright” "
        "(+3.00\u00a0dB PSNR)."
    )


def test_a_smaller_colour_difference_is_a_gain() -> None:
    grey = row("grey", "yardstick", {"dark": {"ciede2000": 8.0}, "bright": {"ciede2000": 8.0}})
    quick = row("quick", "experiment", {"dark": {"ciede2000": 5.0}, "bright": {"ciede2000": 9.0}})
    (section,) = slices_section([quick, grey])
    assert "least in “bright” (−1.00" in section["sentence"]
    assert "most in “dark” (+3.00" in section["sentence"]


def test_without_grey_or_a_second_level_nothing_is_said(rows: list[Row]) -> None:
    assert slices_section(rows[1:])[0]["sentence"] is None
    single = [replace(one, slices=one.slices[:1]) for one in rows]
    assert slices_section(single)[0]["sentence"] is None
    assert slices_section([replace(one, slices=()) for one in rows]) == []


def test_each_level_has_a_line_for_each_row_and_is_drawn(rows: list[Row]) -> None:
    (section,) = slices_section(rows)
    assert [(level, name) for level, _, name, _ in section["lines"]] == [
        ("dark", "quick"),
        ("dark", "grey"),
        ("bright", "quick"),
        ("bright", "grey"),
    ]
    (plot,) = section["plots"]
    assert plot.title == "PSNR by brightness"
    assert "dark (n = 4): quick 19.5, grey 20; bright (n = 4): quick 21, grey 18" in plot.svg


def test_what_was_not_computed_has_its_reason_and_no_dot(rows: list[Row]) -> None:
    lacking = row("next", "experiment", {"dark": {"psnr_rgb": None}})
    (section,) = slices_section([*rows, lacking])
    cells = [cells[0] for _, _, name, cells in section["lines"] if name == "next"]
    assert [(one["value"], one["reason"]) for one in cells] == [(None, "not computed: too few")]
    assert section["notes"] == [("a", "not computed: too few")]
    assert "next" not in section["plots"][0].svg


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.2, 0.6, "the more confident it is, the smaller its errors"),
        (-0.6, -0.2, "it errs more where it is more confident"),
        (-0.1, 0.6, "not shown to say anything about the error"),
        (None, None, "not shown to say anything about the error"),
    ],
)
def test_a_correlation_says_no_more_than_its_interval(
    rows: list[Row], low: float | None, high: float | None, words: str
) -> None:
    one = Calibration(PROTOCOL, 0.4, low, high, 30, [(0.9, 2.0, 15), (0.5, 4.0, 15)])
    (section,) = confidence_section([rows[0], replace(rows[1], calibration=one)])
    assert words in section["words"]
    assert section["bins"] == [(0.5, 4.0, 15), (0.9, 2.0, 15)]
    assert "4 at 0.5; 2 at 0.9" in section["plot"].svg


def test_a_model_without_confidence_says_so(rows: list[Row]) -> None:
    (section,) = confidence_section(rows)
    assert section["plot"] is None
    assert section["words"].startswith("Not computed: the metrics of this experiment hold no")
    table = [{"id": "a", "protocol": PROTOCOL, "confidence": "0.5"}]
    (section,) = confidence_section([replace(rows[1], per_image=table)])
    assert "too few photographs" in section["words"]


def test_a_correlation_that_is_no_number_is_not_computed(tmp_path: Path) -> None:
    path = fake_results.build(tmp_path, pixels=16).metrics[0]
    content = json.loads(path.read_text())
    content["calibration"]["spearman"] |= {"value": float("nan"), "ci_low": None, "ci_high": None}
    path.write_text(json.dumps(content))
    (section,) = confidence_section([read_row(path)])
    assert (
        section["words"]
        == "Spearman's ρ is not computed: the confidences or the errors are all alike."
    )


def test_a_figure_of_fewer_pictures_says_how_many(rows: list[Row]) -> None:
    part = rows[1].slices[0]
    fewer = replace(part, figures=[replace(part.figures[0], n=3)])
    (section,) = slices_section([rows[0], replace(rows[1], slices=[fewer])])
    assert [cells[0]["n"] for _, _, _, cells in section["lines"]] == [3, None, None]


def test_figures_of_the_same_photographs_share_a_line(rows: list[Row]) -> None:
    other = replace(figure("fid", 3.0), data_digest="other")
    several = replace(rows[1], figures=[figure("psnr_rgb", 1.0), figure("ssim", 1.0), other])
    found = provenance_section([rows[0], several])
    assert [
        (one["part"], one["rows"], one["measures"], one["data_digest"]) for one in found["pictures"]
    ] == [
        ("", ["quick", "grey"], ["psnr_rgb", "ssim"], "data"),
        ("", ["quick"], ["fid"], "other"),
        ("brightness: dark", ["quick", "grey"], ["psnr_rgb"], "data"),
        ("brightness: bright", ["quick", "grey"], ["psnr_rgb"], "data"),
    ]


def test_each_row_has_the_digest_of_its_model_and_its_command(rows: list[Row]) -> None:
    named = replace(rows[1], name="my run")
    found = provenance_section([rows[0], named])["rows"]
    assert [(one["row"], one["model_digest"]) for one in found] == [
        ("my run", "model"),
        ("grey", "model"),
    ]
    assert found[0]["command"] == (
        "snakemake --cores 2 --configfile run_config.yaml 'results/metrics/my run.json'"
    )


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["slices"][0].pop("level"),
        lambda content: content["slices"].append("dark"),
        lambda content: content["calibration"].pop("spearman"),
        lambda content: content["calibration"].update(bins=[{"confidence": "high"}]),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, change: Change) -> None:
    path = fake_results.build(tmp_path, pixels=16).metrics[0]
    assert read_row(path).calibration is not None
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)
    with pytest.raises(StageError, match=f"{path.name} is not a metrics file"):
        read_row(path)


def test_an_older_file_has_neither(tmp_path: Path) -> None:
    path = fake_results.build(tmp_path, pixels=16).metrics[0]
    content = json.loads(path.read_text())
    del content["slices"], content["calibration"]
    write_json(path, content)
    assert (read_row(path).slices, read_row(path).calibration) == ([], None)
