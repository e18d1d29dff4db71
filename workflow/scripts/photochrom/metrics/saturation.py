"""Colour at the truth's saturation: what is left of a distance when colourfulness is made equal.

The distances reward strong colour whether or not it is the right one. HI-FID (proposed with
Color-Turbo, arXiv 2503.14974) makes saturation equal first. Here the chroma of all pictures is
scaled by one factor, at which their mean colourfulness is the truth's, and distances are taken of
the pictures so scaled.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.color import colourfulness, lab_to_rgb, reduce_chroma, rgb_to_lab
from photochrom.metrics.frechet import NotComputedError

Picture = NDArray[np.uint8]

# Factors that are looked at. Beyond, next to nothing is stretched to what nobody painted.
MOST_FACTOR = 8.0
# How near the mean colourfulness comes to the truth's, in its own units.
TOLERANCE = 0.01
# One pixel in so many, each way, tells a picture's colourfulness well enough for the factor.
STRIDE = 8


def thinned(picture: Picture) -> Picture:
    """Every STRIDE-th pixel of a picture (H, W, 3), for `matching_factor`."""
    return np.ascontiguousarray(picture[::STRIDE, ::STRIDE])


def with_chroma_scaled(picture: Picture, factor: float) -> Picture:
    """An sRGB picture (..., 3) with chroma times `factor`, hue and L* kept, as far as sRGB goes."""
    return _shown(rgb_to_lab(picture), factor)


def matching_factor(pictures: Sequence[Picture], wanted: float) -> float:
    """The factor on chroma at which the pictures' mean colourfulness is `wanted`.

    `pictures` are sRGB (H, W, 3), whole or `thinned`; `wanted` is the mean colourfulness (Hasler
    and Süsstrunk, signed) of the truth, thinned alike. Found by bisection to TOLERANCE. Raises
    NotComputedError where MOST_FACTOR does not suffice, as for grey pictures.
    """
    labs = [rgb_to_lab(picture) for picture in pictures]

    def mean(factor: float) -> float:
        return float(np.mean([colourfulness(_shown(lab, factor)) for lab in labs]))

    low, high = 0.0, MOST_FACTOR
    if mean(high) < wanted:
        raise NotComputedError(
            f"the pictures have too little colour: {MOST_FACTOR:g} times their chroma does not "
            f"reach the truth's colourfulness, {wanted:.1f}"
        )
    while True:
        middle = (low + high) / 2
        found = mean(middle)
        if abs(found - wanted) <= TOLERANCE or high - low < 1e-6:
            return middle
        low, high = (middle, high) if found < wanted else (low, middle)


def _shown(lab: NDArray[np.floating[Any]], factor: float) -> Picture:
    L, ab = lab[..., 0], factor * lab[..., 1:]
    shown = np.concatenate([L[..., None], reduce_chroma(L, ab)], axis=-1)
    return np.rint(lab_to_rgb(shown) * 255).astype(np.uint8)
