"""Figures of colour: CIEDE2000, the AuC of Zhang et al. 2016, the other colourfulness.

Colours are CIE Lab for D65 and the 2 degree observer: arrays (H, W, 3), or (H, W, 2) for ab alone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000

Lab = NDArray[np.floating[Any]]

# Zhang et al. 2016, section 3.1: the thresholds run from 0 to 150 in steps of one.
AUC_LIMIT = 150

# Colours are counted in squares of ten units centred on multiples of ten, as in Zhang's 313 bins,
# so that neutral pixels share one bin. sRGB lies within -110..110 on both axes.
BIN_WIDTH = 10
_BINS_A_SIDE = 23
AB_BINS = _BINS_A_SIDE**2
NEUTRAL_BIN = AB_BINS // 2


def ciede2000(truth: Lab, lab: Lab) -> float:
    """Mean CIEDE2000 colour difference per pixel (Sharma, Wu and Dalal 2005; kL = kC = kH = 1)."""
    return float(np.mean(deltaE_ciede2000(truth, lab)))


def colourfulness_abs(rgb: NDArray[np.uint8]) -> float:
    """Colourfulness of an sRGB picture (H, W, 3) of absolute opponents, as many papers give it.

    Hasler and Süsstrunk (2003) take red - green and yellow - blue with their signs, as does
    `photochrom.color.colourfulness`. A much copied snippet takes their absolute values, and CT2,
    DDColor and others report that. It never reads higher: on photographs, three points lower.
    """
    red, green, blue = np.moveaxis(rgb.astype(np.float64), -1, 0)
    red_green = np.abs(red - green)
    yellow_blue = np.abs(0.5 * (red + green) - blue)
    spread = np.hypot(red_green.std(), yellow_blue.std())
    mean = np.hypot(red_green.mean(), yellow_blue.mean())
    return float(spread + 0.3 * mean)


def auc_scores(truth_ab: Lab, ab: Lab) -> NDArray[np.float64]:
    """The share (0..1) of the thresholds 0, 1, ..., 150 that each pixel's ab error does not exceed.

    The mean over pixels is the AuC: the cumulative share of pixels within a threshold, averaged
    over the thresholds.
    """
    difference = ab.astype(np.float64) - truth_ab
    error = np.hypot(difference[..., 0], difference[..., 1])
    return np.clip(AUC_LIMIT + 1 - np.ceil(error), 0, None) / (AUC_LIMIT + 1)


def balanced_auc(truth_ab: Lab, scores: NDArray[np.float64]) -> float:
    """The AuC (0..1) in which each colour of a photograph counts alike, however small its area.

    `scores` (H, W) are those of `auc_scores`; they are averaged within each bin of the truth's ab
    (H, W, 2), then over the bins that occur. Zhang et al. weigh by the colours of a whole data set
    instead (`pooled_auc`); over the few hundred photographs of a test split that figure sinks as
    photographs join and bring new rare colours.
    """
    _, sums, pixels = auc_by_bin(truth_ab, scores)
    return pooled_auc(sums, pixels)


def auc_by_bin(
    truth_ab: Lab, scores: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """What one photograph adds to `pooled_auc`, for the bins that its truth occupies.

    Returns, each (K,), the bins' numbers (ascending, below AB_BINS), the sums of the scores of
    their pixels, and the numbers of pixels. Add them into arrays (AB_BINS,) over a set.
    """
    bins = ab_bins(truth_ab).ravel()
    pixels = np.bincount(bins, minlength=AB_BINS)
    sums = np.bincount(bins, weights=scores.ravel(), minlength=AB_BINS)
    occupied = np.flatnonzero(pixels).astype(np.int64)
    return occupied, sums[occupied].astype(np.float64), pixels[occupied].astype(np.int64)


def pooled_auc(sums: NDArray[np.float64], pixels: NDArray[Any]) -> float:
    """The class-balanced AuC (0..1) of Zhang et al. 2016 over all pixels of a set.

    `sums` and `pixels` (Q,) are the totals of `auc_by_bin` over the set. Each pixel is weighed by
    the inverse frequency of its true colour in the set, so it is the mean, over the bins that
    occur, of the mean score within each. The paper's frequencies are those of ImageNet, smoothed.
    """
    found = pixels > 0
    return float((sums[found] / pixels[found]).mean())


def ab_bins(ab: Lab) -> NDArray[np.int64]:
    """The number (...), below AB_BINS, of the square that each ab (..., 2) falls into."""
    half = _BINS_A_SIDE // 2
    cells = np.rint(ab / BIN_WIDTH).astype(np.int64).clip(-half, half) + half
    return np.asarray(cells[..., 0] * _BINS_A_SIDE + cells[..., 1], np.int64)
