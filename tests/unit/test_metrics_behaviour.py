"""Drift of greys, bleeding, coverage and gamut overflow of pictures whose faults are known."""

import math

import numpy as np
import pytest
import skimage.data
from scipy.ndimage import gaussian_filter
from scipy.special import erf

from photochrom.color import in_gamut, reduce_chroma, rgb_to_lab
from photochrom.metrics.behaviour import (
    EDGE_CORE,
    EDGE_REACH,
    GREY_CHROMA,
    colour_coverage,
    edge_bleeding,
    gamut_overflow,
    neutral_drift,
)


def step(side: int = 64) -> np.ndarray:
    """Green on the left, red on the right: ab (side, side, 2)."""
    ab = np.zeros((side, side, 2))
    ab[:, : side // 2] = [-40, 20]
    ab[:, side // 2 :] = [50, 20]
    return ab


def blurred(ab: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(ab, (sigma, sigma, 0), mode="nearest", truncate=6)


def test_drift_is_the_chroma_where_the_truth_is_grey() -> None:
    truth = np.zeros((10, 10, 2))
    truth[:5] = [30, 40]
    picture = truth + np.array([3, -4])
    assert neutral_drift(truth, picture) == pytest.approx(5)
    assert neutral_drift(truth, truth) == 0
    assert neutral_drift(truth, np.zeros_like(truth)) == 0
    # What happens to colours is no drift.
    picture[:5] = 0
    assert neutral_drift(truth, picture) == pytest.approx(5)


def test_grey_is_what_lies_within_a_just_noticeable_difference_of_it() -> None:
    truth = np.zeros((2, 5, 2))
    truth[0, :, 0], truth[1, :, 0] = GREY_CHROMA - 0.01, GREY_CHROMA + 0.01
    picture = np.zeros_like(truth)
    picture[0, :, 1], picture[1, :, 1] = 7, 70
    assert neutral_drift(truth, picture) == pytest.approx(7)
    assert math.isnan(neutral_drift(truth[1:], picture[1:]))


@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0, 6.0])
def test_bleeding_of_a_blurred_step_is_the_tail_of_its_gaussian(sigma: float) -> None:
    """Central differences see the step in the two pixels at its sides: the core is three a side."""
    truth = step(96)

    def within(pixels: int) -> float:
        return float(erf(pixels / (sigma * math.sqrt(2))))

    inner, outer = 1 + EDGE_CORE, 1 + EDGE_REACH
    expected = 1 - within(inner) / within(outer)
    assert edge_bleeding(truth, blurred(truth, sigma)) == pytest.approx(expected, abs=0.02)


def test_sharp_colour_does_not_bleed_whatever_it_is() -> None:
    truth = step()
    assert edge_bleeding(truth, truth) == 0
    assert edge_bleeding(truth, 0.3 * truth) == pytest.approx(0)
    assert edge_bleeding(truth, -truth[..., ::-1]) == pytest.approx(0)


def test_bleeding_grows_with_blur() -> None:
    truth = step()
    found = [edge_bleeding(truth, blurred(truth, sigma)) for sigma in (0.5, 1, 2, 3, 4, 6, 8)]
    assert (np.diff(found) > 0).all()
    assert found[0] == pytest.approx(0, abs=1e-3)
    assert found[-1] > 0.4


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_bleeding_grows_with_the_blur_of_photographs(name: str) -> None:
    photograph = getattr(skimage.data, name)()[:384, :384][::2, ::2]
    truth = rgb_to_lab(photograph)[..., 1:]
    found = [edge_bleeding(truth, blurred(truth, sigma)) for sigma in (1, 2, 3, 4, 6)]
    assert (np.diff(found) > 0).all()
    assert found[0] > -0.02
    assert found[-1] > 0.1


def test_colour_that_runs_over_its_edge_bleeds() -> None:
    truth = step()
    shifted = np.roll(truth, 5, axis=1)
    shifted[:, :5] = truth[:, :1]
    assert edge_bleeding(truth, shifted) == pytest.approx(1)


def test_where_there_is_nothing_to_bleed() -> None:
    truth = step()
    assert math.isnan(edge_bleeding(np.zeros_like(truth), truth))  # no edge
    assert math.isnan(edge_bleeding(truth, np.zeros_like(truth)))  # no colour
    assert math.isnan(edge_bleeding(truth, 0.05 * truth))  # hardly any
    smooth = np.zeros((64, 64, 2))
    smooth[..., 0] = np.linspace(-60, 60, 64)  # colours change, nowhere sharply
    assert math.isnan(edge_bleeding(smooth, smooth))


def test_coverage_counts_the_truths_colours() -> None:
    truth = np.zeros((10, 40, 2))
    for place, colour in enumerate([(0, 0), (30, 0), (0, 30), (-30, 40)]):
        truth[:, 10 * place : 10 * (place + 1)] = colour
    assert colour_coverage(truth, truth) == 1
    assert colour_coverage(truth, np.zeros_like(truth)) == 0
    picture = truth.copy()
    picture[:, 10:20] = [-60, -60]  # a colour that the truth has not stands for none that it has
    assert colour_coverage(truth, picture) == pytest.approx(2 / 3)
    assert colour_coverage(truth, np.full_like(truth, 30)) == 0
    assert math.isnan(colour_coverage(np.zeros_like(truth), truth))


def test_coverage_does_not_count_specks() -> None:
    truth = np.zeros((100, 100, 2))
    truth[:50] = [30, 0]
    picture = np.zeros_like(truth)
    picture[0, :9] = [30, 0]
    assert colour_coverage(truth, picture) == 0  # nine pixels of ten thousand
    picture[0, :10] = [30, 0]
    assert colour_coverage(truth, picture) == 1


def test_overflow_is_what_the_reduction_takes_away() -> None:
    lab = np.zeros((4, 5, 3))
    lab[..., 0] = 50
    lab[:2, :, 1:] = [120, 0]  # no sRGB colour of this lightness is so red
    ab, shown = lab[..., 1:], reduce_chroma(lab[..., 0], lab[..., 1:])
    share, excess = gamut_overflow(ab, shown)
    assert share == pytest.approx((~in_gamut(lab)).mean()) == pytest.approx(0.5)
    assert excess == pytest.approx((120 - shown[0, 0, 0]) / 2)
    assert gamut_overflow(shown, shown) == (0, 0)
