"""The plots as they enter a page: their text, their ids, their colours."""

import re
from xml.etree import ElementTree

import pytest

from photochrom.report.plots import MAX_POINTS, Line, curves, histogram

HOSTILE = "<script>&\"' $x$ 2 L"
XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'


def parsed(svg: str) -> ElementTree.Element:
    """As XML; within HTML the prefix xlink is known without a declaration."""
    return ElementTree.fromstring(svg.replace("<svg", f"<svg {XLINK}", 1))


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in parsed(svg).iter("text")]


@pytest.fixture
def plots() -> list[str]:
    return [
        histogram("Brightness", "mean lightness", [40.0, 60.0, 61.0], [10.0], [20, 200]),
        curves("Loss", [Line("training", [0, 10], [1.0, 0.5])], [(0, "l1")]),
        curves(
            HOSTILE,
            [Line("one", [0, 10], [1.0, 0.5]), Line(HOSTILE, [5], [0.7], dots=True)],
            [(0, "l1"), (5, HOSTILE)],
        ),
    ]


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
    plot = curves("Loss", [Line("training", steps, [1.0] * len(steps))], [])
    longest = max(path.get("d", "").count("L") for path in parsed(plot).iter("path"))
    assert longest <= MAX_POINTS


def test_one_value_and_equal_values_are_drawn() -> None:
    assert "1 kept, 0 dropped" in histogram("Brightness", "mean", [5.0], [], [])
    assert parsed(curves("Loss", [Line("training", [0], [1.0])], [(0, "l1")])) is not None
