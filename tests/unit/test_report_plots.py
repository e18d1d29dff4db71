"""The plots as they enter a page: their text, their ids, their colours."""

import re
from xml.etree import ElementTree

import pytest

from photochrom.pages import TEMPLATES
from photochrom.report.plots import (
    LIGHT,
    MAX_POINTS,
    Dot,
    Line,
    curves,
    dots,
    error_by_confidence,
    histogram,
    svg_file,
)

HOSTILE = "<script>&\"' $x$ 2 L"
XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'


def parsed(svg: str) -> ElementTree.Element:
    """As XML; within HTML the prefix xlink is known without a declaration."""
    return ElementTree.fromstring(svg.replace("<svg", f"<svg {XLINK}", 1))


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in parsed(svg).iter("text")]


@pytest.fixture
def plots() -> list[str]:
    drawn = [
        histogram("Brightness", "mean lightness", [40.0, 60.0, 61.0], [10.0], [20, 200]),
        curves("Loss", [Line("training", [0, 10], [1.0, 0.5])], [(0, "l1")]),
        curves(
            HOSTILE,
            [Line("one", [0, 10], [1.0, 0.5]), Line(HOSTILE, [5], [0.7], dots=True)],
            [(0, "l1"), (5, HOSTILE)],
        ),
        dots(
            "PSNR",
            "dB",
            [("dark", [Dot("quick", "experiment", 20, 19, 21.5), Dot(HOSTILE, "yardstick", 18)])],
            HOSTILE,
        ),
        error_by_confidence([(0.9, 3.0, 10), (0.5, 6.0, 10)], HOSTILE),
    ]
    return [plot.svg for plot in drawn]


def test_axes_are_named_and_limits_have_their_figures(plots: list[str]) -> None:
    assert {"Brightness", "mean lightness", "20", "200"} <= set(texts(plots[0]))
    assert {"Loss", "step", "l1"} <= set(texts(plots[1]))


def test_names_are_shown_as_they_are_written(plots: list[str]) -> None:
    assert texts(plots[2]).count(HOSTILE) == 3
    assert parsed(plots[2]).get("aria-label", "").startswith(HOSTILE)
    assert "<script" not in plots[2]


def test_the_description_gives_the_numbers(plots: list[str]) -> None:
    assert parsed(plots[0]).get("role") == "img"
    assert "Brightness: 3 kept, 1 dropped, limits 20 and 200" in plots[0]
    assert "training from 1 to 0.5" in plots[1]


def test_ids_are_used_and_differ_between_plots(plots: list[str]) -> None:
    own = [re.findall(r' id="([^"]+)"', plot) for plot in plots]
    together = [name for names in own for name in names]
    assert len(together) == len(set(together))
    for plot, names in zip(plots, own, strict=True):
        used = set(re.findall(r"(?:url\(#|xlink:href=\"#)([^)\"]+)", plot))
        assert used == set(names)


def test_nothing_is_fetched_and_no_colour_is_fixed(plots: list[str]) -> None:
    for plot in plots:
        assert "http" not in plot
        assert not re.search(r"#[0-9a-f]{6}\b", re.sub(r"#p[0-9a-f]+-\w+", "", plot))


def test_text_is_never_small(plots: list[str]) -> None:
    for plot in plots:
        sizes = {float(size) for size in re.findall(r"([\d.]+)px", plot)}
        assert sizes
        assert min(sizes) >= 12


def test_equal_data_give_equal_plots() -> None:
    lines = [Line("training", [0, 10], [1.0, 0.5])]
    assert curves("Loss", lines, [(0, "l1")]) == curves("Loss", lines, [(0, "l1")])


def test_long_curves_are_thinned_by_means() -> None:
    steps = list(range(10 * MAX_POINTS))
    plot = curves("Loss", [Line("training", steps, [1.0] * len(steps))], []).svg
    longest = max(path.get("d", "").count("L") for path in parsed(plot).iter("path"))
    assert longest <= MAX_POINTS


def test_one_value_and_equal_values_are_drawn() -> None:
    assert "1 kept, 0 dropped" in histogram("Brightness", "mean", [5.0], [], []).svg
    assert parsed(curves("Loss", [Line("training", [0], [1.0])], [(0, "l1")]).svg) is not None
    assert parsed(dots("PSNR", "dB", [("", [Dot("quick", "experiment", 20)])], "p").svg) is not None


def test_dots_stand_at_their_values_with_their_intervals(plots: list[str]) -> None:
    root = parsed(plots[3])
    assert {"PSNR", "dB", "dark", "quick"} <= set(texts(plots[3]))
    assert "dark: quick 20, " in root.get("aria-label", "")
    paths = [path.get("d", "") for path in root.iter("path") if "accent" in path.get("style", "")]
    line = next(path for path in paths if path.count("L") == 1 and "C" not in path)
    ends = [float(part.split()[0]) for part in re.split("[ML]", line)[1:]]
    place = next(
        float(use.get("x", "nan")) for use in root.iter("use") if "accent" in use.get("style", "")
    )
    assert (place - ends[0]) / (ends[1] - ends[0]) == pytest.approx(0.4, abs=0.01)


def test_long_names_are_cut_and_stay_whole_in_the_description() -> None:
    name = "an experiment with a very long name"
    plot = dots("PSNR", "dB", [("", [Dot(name, "experiment", 20)])], "p").svg
    assert any(text.endswith("…") and name.startswith(text[:-1]) for text in texts(plot))
    assert f"{name} 20" in plot


def test_bins_are_drawn_from_the_least_confident(plots: list[str]) -> None:
    assert "6 at 0.5; 3 at 0.9" in plots[4]


def test_a_file_stands_by_itself_in_the_colours_of_the_page() -> None:
    file = svg_file(curves(HOSTILE, [Line("one", [0, 10], [1.0, 0.5])], []))
    assert ElementTree.fromstring(file.encode()).tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in file
    css = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"--(\w+): (#\w+);", css[: css.index("@media")]))
    assert {name: light[name] for name in LIGHT} == LIGHT
