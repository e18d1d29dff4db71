"""Degradations change the lightness alone, as their definitions say, the same on every run."""

import numpy as np
import pytest
import skimage

from photochrom.color import rgb_to_lab
from photochrom.degradations import DEGRADATIONS, FADED, check_degradations
from photochrom.runtime import StageError

CAT = skimage.data.chelsea()[:120, 100:260]
BLACK, WHITE, GREY = (np.full((16, 16, 3), value, np.uint8) for value in (0, 255, 119))


def lightness(rgb: np.ndarray) -> np.ndarray:
    return rgb_to_lab(rgb)[..., 0]


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_lightness_of_the_same_shape_the_same_on_every_run(name: str) -> None:
    L = DEGRADATIONS[name](CAT, 7)
    assert L.shape == CAT.shape[:2]
    assert 0 <= L.min() < L.max() <= 100
    assert np.array_equal(L, DEGRADATIONS[name](CAT, 7))
    assert np.abs(L - lightness(CAT)).mean() > 0.2
    # The picture is still there.
    assert np.corrcoef(L.ravel(), lightness(CAT).ravel())[0, 1] > 0.8


def test_grain_is_by_the_seed_strong_in_middle_tones_and_absent_in_black_and_white() -> None:
    grain = DEGRADATIONS["grain"]
    assert not np.array_equal(grain(CAT, 1), grain(CAT, 2))
    middle = grain(GREY, 1) - lightness(GREY)
    assert middle.std() == pytest.approx(5, abs=0.1)
    for even in (BLACK, WHITE):
        assert np.abs(grain(even, 1) - lightness(even)).max() < 0.2


def test_a_faded_print_has_neither_black_nor_white() -> None:
    black, white = (DEGRADATIONS["fading"](even, 0).mean() for even in (BLACK, WHITE))
    assert (black, white) == pytest.approx(FADED, abs=0.1)


@pytest.mark.parametrize("name", ["bt601", "blue-sensitive", "blur", "jpeg"])
def test_grey_stays_as_it_is(name: str) -> None:
    assert DEGRADATIONS[name](GREY, 0) == pytest.approx(lightness(GREY), abs=0.5)


def test_a_plate_for_blue_light_sees_red_as_black_and_blue_as_white() -> None:
    red, blue = (np.full((4, 4, 3), colour, np.uint8) for colour in ((220, 0, 0), (0, 0, 220)))
    see = DEGRADATIONS["blue-sensitive"]
    assert see(red, 0).max() < 15 < 75 < see(blue, 0).min()
    assert lightness(red).min() > lightness(blue).max()


def test_luma_of_pure_colours() -> None:
    """BT.601 takes 0.299 of a gamma-coded red, whose true lightness is higher."""
    red = np.full((2, 2, 3), (255, 0, 0), np.uint8)
    expected = rgb_to_lab(np.full((1, 1, 3), 76, np.uint8))[0, 0, 0]
    assert DEGRADATIONS["bt601"](red, 0) == pytest.approx(np.full((2, 2), expected))


def test_blur_keeps_the_mean_and_takes_the_detail() -> None:
    dots = np.zeros((340, 340, 3), np.uint8)
    dots[::2, ::2] = 255
    blurred = DEGRADATIONS["blur"](dots, 0)
    assert blurred.mean() == pytest.approx(lightness(dots).mean(), abs=0.01)
    assert blurred.std() < 0.1 * lightness(dots).std()


def test_names() -> None:
    assert check_degradations(" grain,jpeg, grain,") == ["grain", "jpeg"]
    assert check_degradations("") == []
    with pytest.raises(StageError, match="no degradation 'rust'; there is grain, fading"):
        check_degradations("rust")
