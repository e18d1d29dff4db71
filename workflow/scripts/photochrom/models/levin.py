"""Colorization using Optimization (Levin, Lischinski and Weiss 2004): colours spread from hints.

No learning: where two neighbours are alike in lightness they should be alike in colour. The
lightness is not touched, so it stays exact. Written from the paper's equations, with the window
variance and the floors of the authors' program.
"""

from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

# Of the variance of lightness in a window: how different neighbours may be and share a colour.
VARIANCE_SHARE = 0.6
# The neighbour most like a pixel has at least this weight before they are made to sum to one.
LEAST_WEIGHT = 0.01
# The least variance, for lightness in 0..1: flat windows share evenly.
LEAST_VARIANCE = 2e-6
# Half the mean square step, along each axis, to one of eight neighbours that are all alike.
STEP = 0.375


def propagate(
    L: NDArray[np.floating[Any]], hints: NDArray[np.floating[Any]], mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Colours (H,W,2) for a lightness `L` (H,W) in 0..100, from those known at some pixels.

    `hints` (H,W,2) are ab in Lab units and count where `mask` (H,W) is set; there they come back
    as given. Elsewhere each colour is the weighted mean of its up to eight neighbours', with
    weights exp(-(Y - Y')^2 / s) that sum to one, where s is 0.6 of the variance of Y = L/100 in
    the 3 x 3 window: one sparse linear system for a and b. Memory and time grow somewhat faster
    than the number of pixels; 256 x 256 take less than a second. Raises ValueError when the shapes
    differ or no hint is given.
    """
    if hints.shape != (*L.shape, 2) or mask.shape != L.shape:
        raise ValueError(f"shapes {L.shape}, {hints.shape} and {mask.shape} do not go together")
    if not mask.any():
        raise ValueError("no hint is given")
    known = mask.ravel()
    weights = affinity(np.asarray(L, np.float64) / 100.0)
    system = scipy.sparse.identity(L.size, format="csr") - weights
    ab = np.zeros((L.size, 2))
    ab[known] = hints[mask]
    if not known.all():
        # What is known goes to the right-hand side; the rest is solved for.
        unknown = system[~known]
        ab[~known] = _solved(unknown[:, ~known], -(unknown[:, known] @ ab[known]))
    return ab.reshape(hints.shape)


def affinity(Y: NDArray[np.float64]) -> scipy.sparse.csr_matrix:
    """Weights (H*W, H*W) of each pixel's neighbours, each row of sum one; `Y` (H,W) in 0..1."""
    height, width = Y.shape
    around = np.stack([_shifted(Y, dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    difference = (around - Y) ** 2
    difference[4] = np.nan  # the pixel itself is no neighbour
    variance = np.nanvar(around, axis=0)
    nearest = np.nanmin(difference, axis=0) if Y.size > 1 else np.zeros_like(Y)
    spread = np.maximum(VARIANCE_SHARE * variance, -nearest / np.log(LEAST_WEIGHT))
    weights = np.exp(-difference / np.maximum(spread, LEAST_VARIANCE))
    weights = weights / np.nansum(weights, axis=0)
    places = np.arange(Y.size).reshape(height, width).astype(np.float64)
    columns = np.stack([_shifted(places, dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    there = np.isfinite(weights)
    rows = np.broadcast_to(places, weights.shape)[there].astype(np.int64)
    entries = (weights[there], (rows, columns[there].astype(np.int64)))
    return scipy.sparse.csr_matrix(entries, shape=(Y.size, Y.size))


def _shifted(image: NDArray[np.float64], dy: int, dx: int) -> NDArray[np.float64]:
    """The neighbour's value at each pixel of (H,W); NaN where there is none."""
    padded = np.pad(image, 1, constant_values=np.nan)
    height, width = image.shape
    return padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]


def spread_corrections(
    L: NDArray[np.floating[Any]],
    corrections: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    reach: float,
) -> NDArray[np.float64]:
    """Corrections (H,W,2) of a given coloring, spread from where they are known and fading out.

    Levin's objective with one more term: minimized is the sum over pixels of (d - mean of the
    neighbours' d)^2 + rho d^2, where d is the correction and the mean that of `affinity`; d is
    fixed where `mask` (H,W) is set. So it stays alike where the lightness `L` (H,W), 0..100, is
    alike, stops at edges, and vanishes far from all hints, where the given coloring rules. In a
    flat region the correction of a single pixel falls to 63 % at a distance of `reach` pixels and
    to a quarter at twice that: rho is (STEP / reach^2)^2. Raises ValueError as `propagate`.
    """
    if corrections.shape != (*L.shape, 2) or mask.shape != L.shape:
        raise ValueError(f"shapes {L.shape}, {corrections.shape} and {mask.shape} differ")
    if not mask.any():
        raise ValueError("no hint is given")
    known = mask.ravel()
    spread = np.zeros((L.size, 2))
    spread[known] = corrections[mask]
    if not known.all():
        steps = scipy.sparse.identity(L.size, format="csr") - affinity(np.asarray(L) / 100.0)
        rho = (STEP / reach**2) ** 2
        system = (steps.T @ steps + rho * scipy.sparse.identity(L.size)).tocsr()
        unknown = system[~known]
        spread[~known] = _solved(unknown[:, ~known], -(unknown[:, known] @ spread[known]))
    return spread.reshape(corrections.shape)


def _solved(system: scipy.sparse.csr_matrix, wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """The solution of a system (n, n) of symmetric structure that needs no pivoting.

    Diagonally dominant ones and positive definite ones are such (Golub and Van Loan, 4.1 and 4.2).
    Pivots would spoil the ordering: where many are nearly alike, as in a flat picture, filling in
    takes up to two hundred times as long.
    """
    factors = scipy.sparse.linalg.splu(
        system.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    return np.asarray(factors.solve(wanted))
