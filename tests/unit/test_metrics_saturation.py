"""Chroma scaled until colourfulness is the truth's: the factor is found, hue and lightness stay."""

import numpy as np
import pytest
import skimage.data

from photochrom.color import colourfulness, rgb_to_lab
from photochrom.metrics.frechet import NotComputedError
from photochrom.metrics.saturation import (
    MOST_FACTOR,
    TOLERANCE,
    matching_factor,
    thinned,
    with_chroma_scaled,
)


def photographs() -> list[np.ndarray]:
    return [
        getattr(skimage.data, name)()[:256:4, :256:4] for name in ("astronaut", "coffee", "chelsea")
    ]


def test_scaling_keeps_hue_and_lightness() -> None:
    photograph = photographs()[2]
    lab = rgb_to_lab(photograph)
    half = rgb_to_lab(with_chroma_scaled(photograph, 0.5))
    assert half[..., 0] == pytest.approx(lab[..., 0], abs=0.6)  # rounding to 8 bits
    assert half[..., 1:] == pytest.approx(lab[..., 1:] / 2, abs=2)
    assert (with_chroma_scaled(photograph, 1) == photograph).mean() > 0.99
    grey = with_chroma_scaled(photograph, 0)
    assert np.ptp(grey.astype(int), axis=-1).max() <= 1


def test_what_leaves_the_gamut_keeps_its_lightness() -> None:
    photograph = photographs()[0]
    strong = rgb_to_lab(with_chroma_scaled(photograph, 4))
    assert strong[..., 0] == pytest.approx(rgb_to_lab(photograph)[..., 0], abs=0.6)


@pytest.mark.parametrize("faded", [0.4, 0.7])
def test_the_factor_undoes_a_fading(faded: float) -> None:
    truth = photographs()
    pictures = [with_chroma_scaled(photograph, faded) for photograph in truth]
    wanted = float(np.mean([colourfulness(photograph) for photograph in truth]))
    factor = matching_factor(pictures, wanted)
    assert factor == pytest.approx(1 / faded, rel=0.03)
    again = [colourfulness(with_chroma_scaled(picture, factor)) for picture in pictures]
    assert np.mean(again) == pytest.approx(wanted, abs=TOLERANCE)


def test_too_much_colour_is_taken_back_and_equal_colour_left() -> None:
    pictures = photographs()
    mean = float(np.mean([colourfulness(picture) for picture in pictures]))
    assert matching_factor(pictures, mean / 2) < 0.6
    assert matching_factor(pictures, mean) == pytest.approx(1, abs=0.01)


def test_one_pixel_in_sixty_four_tells_the_factor() -> None:
    truth = [skimage.data.astronaut()[:256, :256], skimage.data.coffee()[:256, :256]]
    pictures = [with_chroma_scaled(photograph, 0.5) for photograph in truth]
    small = [thinned(picture) for picture in pictures]
    assert small[0].shape == (32, 32, 3)
    wanted = float(np.mean([colourfulness(thinned(photograph)) for photograph in truth]))
    factor = matching_factor(small, wanted)
    again = [colourfulness(with_chroma_scaled(picture, factor)) for picture in pictures]
    assert np.mean(again) == pytest.approx(
        np.mean([colourfulness(photograph) for photograph in truth]), rel=0.02
    )


def test_grey_cannot_be_made_colourful() -> None:
    grey = [np.repeat(picture[..., :1], 3, axis=-1) for picture in photographs()]
    with pytest.raises(NotComputedError, match=f"too little colour: {MOST_FACTOR:g} times .* 30.0"):
        matching_factor(grey, 30.0)
