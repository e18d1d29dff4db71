"""Chroma at a network's resolution, enlarged so that it stops where the lightness does.

A guided filter (He, Sun and Tang 2013) in its fast form (He and Sun 2015): chroma is taken to be a
linear function of lightness in each small window; the coefficients are found at the network's
resolution, enlarged bilinearly, and applied to the lightness at full resolution. It differs in two
ways. The lines are not averaged over windows, but go through the network's own colour at each of
its pixels, so that nothing it said is blurred. And they are used between the lightnesses around a
pixel only: a white scratch on a dark coat must not be coloured by a line drawn through the coat.

The constants were chosen on photographs, given their own chroma at 16, 32, 64 and 112 px; see
benchmarks/bench_guided.py.
"""

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Side of the window in which chroma follows lightness, in pixels of the network.
WINDOW = 3
# Variance of lightness (Lab units squared) that counts as an edge by half: the filter's epsilon.
EDGE_VARIANCE = 100.0
# How far beyond the lightnesses of its window a line is used, in units of L*.
MARGIN = 5.0


def lines(L: Floats, ab: Floats) -> Floats:
    """Chroma as a function of lightness around each pixel: planes (h, w, 6), float32.

    `L` (h, w) in 0..100 and `ab` (h, w, 2) are in Lab units. The planes hold the slopes and the
    intercepts of a* and b*, and the least and the greatest lightness for which they are meant.
    They may be enlarged by any linear interpolation and go to `along`.
    """
    mean = _mean(L)
    variance = np.maximum(_mean(L * L) - mean * mean, 0)
    covariance = np.stack(
        [_mean(L * ab[..., c]) - mean * _mean(ab[..., c]) for c in (0, 1)], axis=-1
    )
    slopes = covariance / (variance + EDGE_VARIANCE)[..., None]
    least = scipy.ndimage.minimum_filter(L, WINDOW, mode="nearest") - MARGIN
    greatest = scipy.ndimage.maximum_filter(L, WINDOW, mode="nearest") + MARGIN
    intercepts = ab - slopes * L[..., None]
    planes = [slopes, intercepts, least[..., None], greatest[..., None]]
    return np.concatenate(planes, axis=-1).astype(np.float32)


def along(planes: Floats, L: NDArray[np.floating[Any]]) -> Floats:
    """The chroma (..., 2) of pixels of lightness `L` (...) by their enlarged `planes` (..., 6)."""
    meant = np.clip(L.astype(np.float32), planes[..., 4], planes[..., 5])[..., None]
    return planes[..., 0:2] * meant + planes[..., 2:4]


def _mean(values: Floats) -> NDArray[np.float64]:
    # In double precision: a variance is a small difference of large numbers.
    return scipy.ndimage.uniform_filter(values.astype(np.float64), WINDOW, mode="reflect")
