"""Old photographs made while training: what each chance does, and what it leaves alone."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from photochrom.ageing import BLACK, CHANCES, GRAIN, WHITE, aged

SENSITIVITY, FADED_BLACK, FADED_WHITE, GRAINY, SOFT = range(1, CHANCES)


def chances(count: int = 1, **_: float) -> NDArray[np.float32]:
    return np.zeros((count, CHANCES), np.float32)


def changed(L: torch.Tensor, ab: torch.Tensor, which: int, to: float = 0.999) -> torch.Tensor:
    """L* of a picture that is aged by one chance alone."""
    luck = chances(len(L))
    luck[:, which] = to
    return 50 * (aged(L, ab, luck, 1.0) + 1)


def flat(L: float, a: float = 0.0, b: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    lightness = torch.full((1, 1, 32, 32), L / 50 - 1)
    return lightness, torch.tensor([a / 110, b / 110]).reshape(1, 2, 1, 1).expand(1, 2, 32, 32)


def test_a_share_of_the_pictures_is_aged_and_the_others_are_as_they_were() -> None:
    L, ab = (torch.rand(200, n, 8, 8) * 1.6 - 0.8 for n in (1, 2))
    luck = np.random.default_rng(1).random((200, CHANCES), np.float32)
    after = aged(L, 0.2 * ab, luck, 0.4)
    same = (after == L).all(dim=(1, 2, 3)).numpy()
    np.testing.assert_array_equal(same, luck[:, 0] >= 0.4)
    assert after.min() >= -1
    assert after.max() <= 1


def test_equal_chances_give_equal_pictures_wherever_they_lie_in_a_batch() -> None:
    L, ab = (torch.rand(4, n, 16, 16) - 0.5 for n in (1, 2))
    luck = np.random.default_rng(2).random((4, CHANCES), np.float32)
    whole = aged(L, ab, luck, 1.0)
    part = aged(L[2:], ab[2:], luck[2:], 1.0)
    assert torch.equal(whole[2:], part)


def test_grey_is_seen_as_it_is_by_eye_and_plate() -> None:
    for which in (SENSITIVITY, SOFT):
        seen = changed(*flat(60.0), which)
        torch.testing.assert_close(seen, torch.full_like(seen, 60.0), atol=0.01, rtol=0)


def test_a_plate_sees_blue_bright_and_red_dark() -> None:
    blue, red = flat(50.0, 0.0, -40.0), flat(50.0, 50.0, 30.0)
    assert changed(*blue, SENSITIVITY).mean() > 60
    assert changed(*red, SENSITIVITY).mean() < 40


def test_fading_lifts_black_and_dims_white() -> None:
    assert changed(*flat(0.0), FADED_BLACK).mean() == pytest.approx(BLACK, abs=0.1)
    assert changed(*flat(100.0), FADED_WHITE).mean() == pytest.approx(WHITE, abs=0.1)
    assert changed(*flat(100.0), FADED_BLACK).mean() == pytest.approx(100, abs=0.1)


def test_grain_is_strongest_in_the_middle_tones_and_keeps_their_mean() -> None:
    middle, dark = changed(*flat(50.0), GRAINY), changed(*flat(5.0), GRAINY)
    assert middle.std() == pytest.approx(GRAIN, rel=0.05)
    assert middle.mean() == pytest.approx(50, abs=1)
    assert dark.std() < 0.6 * middle.std()


def test_a_soft_lens_keeps_the_mean_and_lowers_contrast() -> None:
    L = torch.where(torch.arange(32) % 4 < 2, -0.5, 0.5).expand(1, 1, 32, 32)
    soft = changed(L, torch.zeros(1, 2, 32, 32), SOFT)
    assert soft.mean() == pytest.approx(50, abs=0.5)
    assert soft.std() < 0.5 * 25
