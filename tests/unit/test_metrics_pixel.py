"""PSNR, SSIM and the lightness error against values known in closed form."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochrom.metrics.pixel import (
    PSNR_AB_LIMIT,
    PSNR_LIMIT,
    lightness_error,
    lightness_error_max,
    psnr_ab,
    psnr_rgb,
    ssim,
)


def picture(seed: int = 0, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(20, 220, (side, side, 3), dtype=np.uint8)


@given(st.integers(1, 30))
def test_psnr_of_a_constant_offset(offset: int) -> None:
    truth = picture()
    expected = 20 * math.log10(255 / offset)
    assert psnr_rgb(truth, truth + np.uint8(offset)) == pytest.approx(expected)
    assert psnr_rgb(truth + np.uint8(offset), truth) == pytest.approx(expected)


def test_psnr_of_one_wrong_channel() -> None:
    truth = picture()
    wrong = truth.copy()
    wrong[..., 2] += 10
    assert psnr_rgb(truth, wrong) == pytest.approx(10 * math.log10(255**2 / (100 / 3)))


def test_psnr_stops_at_the_rounding_error() -> None:
    truth = picture()
    barely = truth.copy()
    barely[0, 0, 0] += 1
    assert pytest.approx(58.92, abs=0.01) == PSNR_LIMIT
    assert psnr_rgb(truth, truth) == psnr_rgb(truth, barely) == pytest.approx(PSNR_LIMIT)


@pytest.mark.parametrize("error", [0.5, 22.0, 220.0])
def test_psnr_of_ab_has_the_width_of_the_scale_as_its_peak(error: float) -> None:
    truth = np.random.default_rng(1).uniform(-50, 50, (8, 9, 2))
    assert psnr_ab(truth, truth + error) == pytest.approx(20 * math.log10(220 / error))
    one = truth.copy()
    one[..., 1] -= error  # half the mean square error: 3.01 dB more
    assert psnr_ab(truth, one) == pytest.approx(20 * math.log10(220 / error) + 10 * math.log10(2))


def test_psnr_of_ab_stops_at_the_rounding_error() -> None:
    truth = np.zeros((4, 4, 2))
    assert pytest.approx(57.64, abs=0.01) == PSNR_AB_LIMIT
    assert psnr_ab(truth, truth) == psnr_ab(truth, truth + 0.1) == pytest.approx(PSNR_AB_LIMIT)


def test_ssim_of_equal_and_of_flat_pictures() -> None:
    truth = picture()
    assert ssim(truth, truth) == pytest.approx(1.0)
    # Without variance only the luminance term is left: (2xy + C1) / (x^2 + y^2 + C1).
    dark, light = np.full((32, 32, 3), 100, np.uint8), np.full((32, 32, 3), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert ssim(dark, light) == pytest.approx(expected)


def test_ssim_is_the_mean_over_channels() -> None:
    truth = picture()
    half = truth.copy()
    half[..., 0] = 255 - half[..., 0]
    grey = [np.repeat(array[..., :1], 3, axis=-1) for array in (truth, half)]
    assert ssim(truth, half) == pytest.approx((ssim(*grey) + 2) / 3)


def test_lightness_error() -> None:
    truth = np.array([[50.0, 60.0]])
    assert lightness_error(truth, np.array([[53.0, 59.0]])) == pytest.approx(2.0)
    assert lightness_error_max(truth, np.array([[53.0, 59.0]])) == pytest.approx(3.0)
    assert lightness_error_max(truth, np.array([[51.0, 56.0]])) == pytest.approx(4.0)
