"""Chroma made smooth where the lightness is, and left as it is across edges of lightness.

The fast global smoother (Min, Choi, Lu, Ham, Sohn and Do 2014): the weighted least squares of
Farbman et al. 2008 solved along rows and columns in turn, each by tridiagonal systems, with a
strength that falls from turn to turn. A network that chooses among colour bins changes its mind
from one cell to the next; on an even coat that shows as a step, at right angles, where there is
nothing to see. The more a picture is enlarged the better it shows, and the more it is smoothed.
"""

from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Difference of lightness, in units of L*, at which neighbours are tied by 1/e of the strength.
EDGE = 2.0
# The greatest strength: what is enlarged four times at a strength of 3 shows no step any more.
MOST = 10.0
# Turns over rows and columns, and how much weaker each is than the one before (the paper's).
TURNS, ATTENUATION = 3, 4


def smoothed(L: NDArray[np.floating[Any]], ab: Floats, strength: float) -> Floats:
    """`ab` (h, w, 2) in Lab units, smoothed where the lightness `L` (h, w), 0..100, is even.

    `strength` is the weight of smoothness against fidelity (the papers' lambda): 0 changes
    nothing. Means are kept: in a region that edges close off, colour is spread and not lost.
    """
    if strength == 0 or L.size == 1:
        return ab
    ties = [np.exp(-np.abs(np.diff(L.astype(np.float64), axis=axis)) / EDGE) for axis in (1, 0)]
    planes = ab.astype(np.float64)
    for turn in range(TURNS):
        share = 1.5 * ATTENUATION ** (TURNS - 1 - turn) / (ATTENUATION**TURNS - 1)
        planes = _along_rows(planes, share * strength * ties[0])
        planes = _along_rows(planes.swapaxes(0, 1), share * strength * ties[1].T).swapaxes(0, 1)
    return planes.astype(np.float32)


def hide_steps(L: NDArray[np.floating[Any]], ab: Floats, smooth: float, enlarged: float) -> Floats:
    """`ab` (h, w, 2) smoothed as it takes to be `enlarged` so many times, up to MOST.

    `smooth` is the strength for each time beyond the first: at its own size nothing is changed.
    """
    return smoothed(L, ab, min(MOST, smooth * max(0.0, enlarged - 1)))


def _along_rows(planes: NDArray[np.float64], ties: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least squares in each row of (h, w, c), whose neighbours are tied by (h, w - 1)."""
    height, width, bands = planes.shape
    # All rows as one system: nothing ties the end of a row to the start of the next.
    right = np.zeros((height, width))
    right[:, :-1] = ties
    diagonal = 1 + right
    diagonal[:, 1:] += ties
    upper = np.concatenate([[0], -right.ravel()[:-1]])
    solved = scipy.linalg.solveh_banded(
        np.stack([upper, diagonal.ravel()]), planes.reshape(-1, bands), check_finite=False
    )
    return np.asarray(solved).reshape(planes.shape)
