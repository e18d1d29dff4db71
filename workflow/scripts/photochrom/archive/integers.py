"""sRGB integers whose lightness is the scan's, whatever chroma is asked of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.color import (
    RGB_TO_XYZ,
    lab_to_rgb,
    luminance_to_lightness,
    reduce_chroma,
    rgb_to_linear,
)

Floats = NDArray[np.float32]
Integers = NDArray[np.unsignedinteger[Any]]

# What |dL*| between the scan and the integers written may be at most, by bits per sample. Half a
# code value of 8 bits is a quarter of a unit of L*.
LIGHTNESS_LIMIT = {8: 0.5, 16: 0.05}

# The share of its chroma that a pixel loses at each try to bring its lightness within the limit.
MENDING_STEP = 1 / 16


def to_integers(L: Floats, ab: Floats, depth: int) -> tuple[Integers, Floats, Floats]:
    """sRGB integers (..., 3) of `depth` bits that keep the lightness L (...), 0..100.

    Chroma ab (..., 2) is reduced to what sRGB can show. Where the lightness of the integers still
    misses LIGHTNESS_LIMIT, more is taken away, at the same hue, until it does not: grey always
    meets it. Returns the integers, the ab kept and |dL*| (...), measured on the integers.
    """
    kept = reduce_chroma(L, ab)
    integers, dL = _quantize(L, kept, depth)
    wrong = np.nonzero(dL > LIGHTNESS_LIMIT[depth])
    if wrong[0].size:
        kept = kept.copy()
        lightness, colour = L[wrong], kept[wrong]
        share = np.ones_like(lightness)
        while (missed := dL[wrong] > LIGHTNESS_LIMIT[depth]).any() and share.min() > 0:
            share[missed] -= MENDING_STEP
            kept[wrong] = colour * share[:, None]
            integers[wrong], dL[wrong] = _quantize(lightness, kept[wrong], depth)
    return integers, kept, dL


def _quantize(L: Floats, ab: Floats, depth: int) -> tuple[Integers, Floats]:
    """The nearest sRGB integers, and how far their lightness is from L."""
    rgb = lab_to_rgb(np.concatenate([L[..., None], ab], axis=-1))
    top = 2**depth - 1
    integers = np.rint(rgb * top).astype(np.uint16 if depth == 16 else np.uint8)
    light = _LINEAR_LIGHT[depth]
    luminance = sum(light[integers[..., band]] * _LUMINANCE[band] for band in range(3))
    return integers, np.abs(luminance_to_lightness(luminance) - L)


_LUMINANCE = RGB_TO_XYZ[1].astype(np.float32)
_LINEAR_LIGHT = {
    depth: rgb_to_linear(np.arange(2**depth) / (2**depth - 1)).astype(np.float32)
    for depth in LIGHTNESS_LIMIT
}
