"""Figures of colour: CIEDE2000, and the AuC of Zhang et al. 2016 with and without balancing.

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


def ciede2000(truth: Lab, lab: Lab) -> float:
    """Mean CIEDE2000 colour difference per pixel (Sharma, Wu and Dalal 2005; kL = kC = kH = 1)."""
    return float(np.mean(deltaE_ciede2000(truth, lab)))


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
    instead; over the few hundred photographs of a test split that figure sinks as photographs
    join and bring new rare colours, and no bootstrap interval holds it.
    """
    half = _BINS_A_SIDE // 2
    cells = np.rint(truth_ab / BIN_WIDTH).astype(np.int64).clip(-half, half) + half
    bins = (cells[..., 0] * _BINS_A_SIDE + cells[..., 1]).ravel()
    pixels = np.bincount(bins)
    sums = np.bincount(bins, weights=scores.ravel())
    return float((sums[pixels > 0] / pixels[pixels > 0]).mean())
