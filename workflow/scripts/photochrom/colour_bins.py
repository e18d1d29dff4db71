"""Colour as a choice among bins: the quantized ab plane of Zhang, Isola and Efros (2016).

The ab plane is cut into squares of side GRID, some of which are bins; a bin's colour is the centre
of its square. There are two sets: the paper's, and the squares in which sRGB can show some colour.
Networks that choose among bins give logits (N,Q,h,w), with Q bins. Bins and priors are numpy and
in Lab units; what is computed with logits is torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from photochrom.color import AB_SCALE, rgb_to_lab

# Side of a bin in Lab units, as in the paper.
GRID = 10.0
# Levels of each of red, green and blue at which the gamut is looked at. All 256 find the same
# bins, in fifty times the time.
GAMUT_STEP = 3
# Standard deviation of the soft encoding and of the smoothing of the prior, Lab units.
SIGMA = 5.0
# Share of the uniform distribution that is mixed into the prior before it is inverted; the paper's.
UNIFORM_SHARE = 0.5
# The paper's bins: for each a*, the lowest and the highest b*.
PAPER_ROWS = {
    -90: (50, 90),
    -80: (20, 90),
    -70: (0, 90),
    -60: (-20, 90),
    -50: (-30, 100),
    -40: (-40, 100),
    -30: (-50, 100),
    -20: (-50, 100),
    -10: (-60, 100),
    0: (-70, 100),
    10: (-80, 90),
    20: (-80, 90),
    30: (-90, 90),
    40: (-100, 90),
    50: (-100, 80),
    60: (-110, 80),
    70: (-110, 80),
    80: (-110, 70),
    90: (-110, 70),
    100: (-90, 0),
}
# Squares between the grey one and the edge of the table of all squares; sRGB needs 11.
REACH = 12


@cache
def gamut_bins() -> NDArray[np.float32]:
    """The colours of the bins (Q, 2) in Lab units, sorted by a*, then b*.

    Computed from the gamut of sRGB: Q is 261, of a* -90 to 100 and b* -110 to 90.
    """
    levels = np.arange(0, 256, GAMUT_STEP, dtype=np.uint8)
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    # Chroma is largest on the faces of the cube: the inside adds no square.
    faces = rgb[((rgb == 0) | (rgb == 255)).any(axis=1)]
    squares = np.unique(np.rint(rgb_to_lab(faces)[:, 1:] / GRID).astype(int), axis=0)
    return (squares * GRID).astype(np.float32)


def paper_bins() -> NDArray[np.float32]:
    """The 313 bins of the paper (Q, 2) in Lab units, in its order, by a*, then b*.

    Published as a file without its derivation (resources/pts_in_hull.npy of the authors' code).
    They hold all of `gamut_bins` and, along the rim, 52 squares that no sRGB colour falls into.
    """
    step = int(GRID)
    rows = PAPER_ROWS.items()
    bins = [(a, b) for a, (low, high) in rows for b in range(low, high + step, step)]
    return np.array(bins, np.float32)


def bin_prior(
    ab: Iterable[NDArray[np.int16]], scale: float, bins: NDArray[np.float32]
) -> NDArray[np.float64]:
    """How often each bin's colour is met in stored pictures: (Q,), positive, of sum one.

    `ab` gives arrays (n,2,H,W), which times `scale` are in [-1, 1]. Colours are counted in the bin
    whose square they lie in, or whose colour is nearest to that square, and the counts smoothed by
    a Gaussian of SIGMA in the ab plane, as in the paper.
    """
    table = _bin_of_square(bins)
    counts = np.zeros(len(bins), np.int64)
    for pictures in ab:
        squares = np.rint(pictures * (scale * AB_SCALE / GRID)).astype(np.int64)
        squares = np.clip(squares, -REACH, REACH) + REACH
        counts += np.bincount(table[squares[:, 0], squares[:, 1]].ravel(), minlength=len(bins))
    squared = ((bins[:, None].astype(np.float64) - bins) ** 2).sum(axis=-1)
    kernel = np.exp(-squared / (2 * SIGMA**2))
    smoothed = (kernel / kernel.sum(axis=0)) @ (counts / max(1, counts.sum()))
    smoothed += np.finfo(np.float32).tiny  # a colour that is never met stays possible
    return smoothed / smoothed.sum()


def rebalancing_weights(
    prior: NDArray[np.float64], uniform: float = UNIFORM_SHARE
) -> NDArray[np.float64]:
    """The paper's weight of each bin's pixels (Q,), by which rare colours count more.

    w is proportional to 1 / ((1 - lambda) prior + lambda / Q) with lambda of `uniform`, and its
    mean under the prior is one. A lambda of 1 counts all pixels alike.
    """
    mixed = (1 - uniform) * prior + uniform / len(prior)
    return (1 / mixed) / (prior / mixed).sum()


def soft_encoding(ab: Tensor, bins: Tensor, neighbours: int) -> tuple[Tensor, Tensor]:
    """True colours as shares of their nearest bins: indices and shares, both (N,K,h,w).

    `ab` (N,2,h,w) and `bins` (Q,2) are in Lab units. The shares are Gaussian (SIGMA) in the
    distance and sum to one; the first of the K `neighbours` is the nearest. The paper takes 5.
    """
    a, b = ab.unsqueeze(2).unbind(dim=1)
    squared = (a - bins[:, 0, None, None]) ** 2 + (b - bins[:, 1, None, None]) ** 2
    nearest, indices = squared.topk(neighbours, dim=1, largest=False)
    # Relative to the nearest one, so that a colour far from all bins has shares too.
    return indices, torch.softmax((nearest[:, :1] - nearest) / (2 * SIGMA**2), dim=1)


def annealed_mean(logits: Tensor, bins: Tensor, temperature: float) -> Tensor:
    """The colour (N,2,h,w), in the units of `bins` (Q,2), that a distribution over bins decodes to.

    The mean of the distribution sharpened by 1 / `temperature`: the mean itself, which is dull,
    at 1, and its mode, which flickers from place to place, towards 0. The paper takes 0.38.
    """
    shares = torch.softmax(logits / temperature, dim=1)
    return torch.einsum("nqhw,qc->nchw", shares, bins.to(shares.dtype))


def entropy(logits: Tensor) -> Tensor:
    """How undecided a distribution is (N,1,h,w): 0 for one sure bin, 1 for all bins alike."""
    logs = F.log_softmax(logits, dim=1)
    nats = -(logs.exp() * logs).sum(dim=1, keepdim=True)
    return (nats / math.log(logits.shape[1])).clamp(0.0, 1.0)  # for rounding


def _bin_of_square(bins: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each square of the plane, of index (a*, b*) / GRID + REACH, the index of its bin."""
    axis = np.arange(-REACH, REACH + 1) * GRID
    plane: NDArray[Any] = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    return ((plane[:, :, None] - bins) ** 2).sum(axis=-1).argmin(axis=-1)
