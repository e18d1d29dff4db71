"""How a colorization behaves: drift of greys, bleeding, coverage, gamut overflow.

What users complain of and no mean error shows. Each compares a picture with its truth: CIE Lab
(H, W, 3) or ab (H, W, 2) in Lab units. A figure that a photograph cannot have (the drift of greys
where nothing is grey) is NaN, and such a photograph takes no part in an average.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, generate_binary_structure

from photochrom.metrics.colour import AB_BINS, NEUTRAL_BIN, ab_bins

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

# What lies within one just noticeable difference of neutral, 2.3 units of Lab (Mahy, Van Eycken
# and Oosterlinck 1994), is truly grey.
GREY_CHROMA = 2.3
# Areas below this share of a photograph are taken for noise.
LEAST_AREA = 0.001

# A colour edge changes by this many Lab units a pixel, so a sharp step by twice that. Colour is
# held to belong to an edge within EDGE_CORE pixels of it (JPEG's halved chroma alone spreads it by
# two), and to have bled where it varies from there to EDGE_REACH pixels, if the truth is plain
# there: texture, which blur takes away, would make up for what the edges lose.
EDGE_GRADIENT = 10.0
EDGE_CORE = 2
EDGE_REACH = 8
PLAIN_GRADIENT = 2.0
# A picture with less than this share of the truth's variation of colour around the edges has no
# colour of which to say where it ends.
LEAST_VARIATION = 0.1


def neutral_drift(truth_ab: Floats, ab: Floats) -> float:
    """Mean chroma C*ab of the picture where the truth is grey (below GREY_CHROMA), in Lab units.

    NaN where less than LEAST_AREA of the truth is grey. The truth's own value is not zero but
    below GREY_CHROMA.
    """
    grey = _chroma(truth_ab) < GREY_CHROMA
    if grey.mean() < LEAST_AREA:
        return math.nan
    return float(_chroma(ab[grey]).mean())


def edge_bleeding(truth_ab: Floats, ab: Floats) -> float:
    """Share of the colour's variation that lies off the colour edges, in excess of the truth's.

    Variation is the length of the gradient of ab. Of what lies by the truth's colour edges (within
    EDGE_CORE pixels) and on plain ground around them (to EDGE_REACH pixels), the latter's share is
    taken, and the truth's own subtracted: zero for colour that is as sharp as the truth's, whatever
    colour it is; growing with σ for a step blurred by a Gaussian of σ pixels; towards 1 as colours
    run. NaN where the truth has no colour edge, or the picture hardly any colour there
    (LEAST_VARIATION), or where a side has a single pixel.
    """
    if min(truth_ab.shape[:2]) < 2:
        return math.nan
    variation = _variation(truth_ab)
    edges = variation >= EDGE_GRADIENT
    if edges.mean() < LEAST_AREA:
        return math.nan
    core = _within(edges, EDGE_CORE)
    reach = _within(core, EDGE_REACH - EDGE_CORE)
    off = reach & ~core & (variation < PLAIN_GRADIENT)
    both = core | off
    painted = _variation(ab)
    around_truth, around = float(variation[both].sum()), float(painted[both].sum())
    if around < LEAST_VARIATION * around_truth:
        return math.nan
    return float(painted[off].sum()) / around - float(variation[off].sum()) / around_truth


def colour_coverage(truth_ab: Floats, ab: Floats) -> float:
    """Share (0..1) of the truth's colours that the picture has too.

    Colours are the squares of ten Lab units of `colour.ab_bins`, but for the neutral one, that
    fill LEAST_AREA of the picture or more. 1 for the truth, 0 for grey; NaN where the truth has no
    colour.
    """
    had, has = _colours(truth_ab), _colours(ab)
    if not had.any():
        return math.nan
    return float((had & has).sum() / had.sum())


def gamut_overflow(ab: Floats, shown_ab: Floats) -> tuple[float, float]:
    """Share (0..1) of pixels whose colour sRGB cannot show at their lightness, and mean excess.

    `ab` is as the network gave it, `shown_ab` after `color.reduce_chroma`; the excess is the
    chroma in Lab units that was taken away, averaged over all pixels.
    """
    outside = (ab != shown_ab).any(axis=-1)
    return float(outside.mean()), float((_chroma(ab) - _chroma(shown_ab)).mean())


def _chroma(ab: Floats) -> NDArray[np.float64]:
    return np.asarray(np.hypot(ab[..., 0], ab[..., 1]), np.float64)


def _variation(ab: Floats) -> NDArray[np.float64]:
    """Length (H, W) of the gradient of ab (H, W, 2): central differences, Lab units a pixel."""
    rows, columns = np.gradient(np.asarray(ab, np.float64), axis=(0, 1))
    return np.asarray(np.sqrt((rows**2 + columns**2).sum(axis=-1)))


def _within(mask: Mask, distance: int) -> Mask:
    """The pixels at most `distance` steps, to any of the eight neighbours, from `mask`."""
    square = generate_binary_structure(2, 2)
    return np.asarray(binary_dilation(mask, square, iterations=distance))


def _colours(ab: Floats) -> Mask:
    """Which of the bins (AB_BINS,) a picture's colours fill."""
    pixels = np.bincount(ab_bins(ab).ravel(), minlength=AB_BINS)
    filled = pixels >= LEAST_AREA * pixels.sum()
    filled[NEUTRAL_BIN] = False
    return np.asarray(filled)
