"""Hints put into the model's chroma: exactly in their places, and spread along the lightness."""

from collections.abc import Sequence

import numpy as np

from photochrom.archive.hints import Hint
from photochrom.archive.integers import Floats
from photochrom.inference import resize
from photochrom.models.levin import spread_corrections

# The short side of the picture on which corrections are spread, in pixels at most.
WORKING_SIZE = 128
# How far a hint reaches in a flat region (see `spread_corrections`), as a share of that side.
REACH = 1 / 6
# At full size a hint joins its surroundings over this many pixels of the network, where the
# lightness differs by no more than about this.
BRIM = 0.5
BRIM_LIGHTNESS = 10.0


def corrected(seen: Floats, ab: Floats, hints: Sequence[Hint], width: int, height: int) -> Floats:
    """The network's chroma (h, w, 2) at lightness `seen` (h, w), drawn to the hints.

    `width` and `height` are the picture's, in whose pixels the hints are. At each hint the result
    is the hint's, far from all it is the network's; between, it follows `spread_corrections`.
    """
    if not hints:
        return ab
    scale = min(1.0, WORKING_SIZE / min(seen.shape))
    size = tuple(max(1, round(scale * side)) for side in reversed(seen.shape))
    L, own = resize(seen, *size), resize(ab, *size)
    known = np.zeros(L.shape, bool)
    wanted = np.zeros_like(own)
    for hint in hints:
        rows = _cells(hint.top, hint.bottom, height, len(L))
        columns = _cells(hint.left, hint.right, width, L.shape[1])
        known[rows, columns] = True
        wanted[rows, columns] = hint.a, hint.b
    reach = max(1.0, REACH * min(L.shape))
    difference = spread_corrections(L, wanted - own, known, reach)
    return ab + resize(difference, seen.shape[1], seen.shape[0])


def _cells(first: int, last: int, side: int, small: int) -> slice:
    """The pixels of a small picture into which those from `first` to `last` of `side` fall."""
    return slice(first * small // side, min(small, last * small // side + 1))


def retouched(
    top: int, L: Floats, ab: Floats, hints: Sequence[Hint], levels: Sequence[float], cell: float
) -> Floats:
    """A strip of the picture's chroma with the hints exactly in their places.

    `top` is the strip's first row, `L` (H, W) and `ab` (H, W, 2) are its lightness and chroma;
    `levels` the mean lightness of each hint's box; `cell` how many pixels one of the network
    covers. A hint's colour fades into its surroundings over a fraction of a cell.
    """
    brim = max(1.0, BRIM * cell)
    margin = int(4 * brim)
    ab = ab.copy()
    for hint, level in zip(hints, levels, strict=True):
        rows = slice(max(hint.top - margin - top, 0), max(hint.bottom + margin + 1 - top, 0))
        columns = slice(max(hint.left - margin, 0), hint.right + margin + 1)
        lightness = L[rows, columns]
        if not lightness.size:
            continue
        y = top + rows.start + np.arange(lightness.shape[0])
        x = columns.start + np.arange(lightness.shape[1])
        dy = np.maximum(np.maximum(hint.top - y, y - hint.bottom), 0)[:, None]
        dx = np.maximum(np.maximum(hint.left - x, x - hint.right), 0)[None]
        apart = (dy**2 + dx**2) / brim**2
        unlike = ((lightness - level) / BRIM_LIGHTNESS) ** 2
        share = np.where(apart == 0, 1, np.exp(-(apart + unlike) / 2))[..., None]
        ab[rows, columns] += share * (np.array([hint.a, hint.b]) - ab[rows, columns])
    return ab
