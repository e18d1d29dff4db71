"""Contrast-limited adaptive histogram equalization of the lightness that a network sees.

Zuiderveld 1994 (Graphics Gems IV), in the variant of OpenCV's createCLAHE, which the seed project
tried and dropped: 256 levels, tiles in a square grid, excess counts spread evenly over all levels,
bilinear interpolation between the tiles' curves. Written in torch, so that a whole batch is
transformed where it lies.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

LEVELS = 256


@dataclass(frozen=True)
class Clahe:
    """`clip`: how many times the mean count a level may have; `tiles`: tiles along each side.

    ValueError when either is out of range.
    """

    clip: float
    tiles: int

    def __post_init__(self) -> None:
        if not self.clip > 0:
            raise ValueError(f"clahe: clip is {self.clip}, not above zero")
        if not 1 <= self.tiles <= 64:
            raise ValueError(f"clahe: tiles is {self.tiles}, not from 1 to 64")


def equalized(L: Tensor, clahe: Clahe) -> Tensor:
    """L (N,1,H,W) in [-1,1], equalized, of the same shape and range, float32.

    Differs from OpenCV's 8-bit result by less than one of its 255 levels, because neither the
    curves nor the result are rounded. A side that the tiles do not divide is continued by
    reflection, as there.
    """
    count, _, height, width = L.shape
    tiles = clahe.tiles
    levels = ((L.float() + 1) * ((LEVELS - 1) / 2)).round().clamp(0, LEVELS - 1).long()[:, 0]
    rows, columns = height, width
    if height % tiles or width % tiles:  # OpenCV then enlarges both sides
        rows, columns = (side + tiles - side % tiles for side in (height, width))
    down, across = (_reflected(a, b, L.device) for a, b in ((height, rows), (width, columns)))
    curves = _curves(levels[:, down[:, None], across], clahe)

    top, bottom, lower = _between(height, rows // tiles, tiles, L.device)
    left, right, righter = _between(width, columns // tiles, tiles, L.device)

    def curve_of(tile_row: Tensor, tile_column: Tensor) -> Tensor:
        place = (tile_row[:, None] * tiles + tile_column) * LEVELS + levels
        return curves.gather(1, place.reshape(count, -1)).reshape(levels.shape)

    upper_row = curve_of(top, left).lerp(curve_of(top, right), righter)
    lower_row = curve_of(bottom, left).lerp(curve_of(bottom, right), righter)
    return upper_row.lerp(lower_row, lower[:, None])[:, None] * 2 - 1


def _curves(levels: Tensor, clahe: Clahe) -> Tensor:
    """The new lightness, 0..1, of each level in each tile: (N, tiles * tiles * LEVELS)."""
    count, height, width = levels.shape
    tiles = clahe.tiles
    area = (height // tiles) * (width // tiles)
    tiled = levels.reshape(count, tiles, height // tiles, tiles, width // tiles)
    tiled = tiled.transpose(2, 3).reshape(count, tiles * tiles, area)
    # Counts are whole numbers below 2**24, so sums of float32 are exact in any order.
    histogram = torch.zeros(count, tiles * tiles, LEVELS, device=levels.device)
    histogram.scatter_add_(2, tiled, torch.ones(tiled.shape, device=levels.device))
    limit = max(1, int(clahe.clip * area / LEVELS))
    excess = (histogram - limit).clamp(min=0).sum(dim=2, keepdim=True)
    each = (excess / LEVELS).floor()
    rest = excess - each * LEVELS  # goes to levels at equal distances, from the darkest on
    step = (LEVELS / rest.clamp(min=1)).floor().clamp(min=1)
    level = torch.arange(LEVELS, device=levels.device)
    extra = (level % step == 0) & (level / step < rest)
    histogram = histogram.clamp(max=limit) + each + extra
    return (histogram.cumsum(dim=2) / area).clamp(max=1).reshape(count, -1)


def _reflected(length: int, longer: int, device: torch.device) -> Tensor:
    """Indices that continue `length` pixels to `longer` by reflection, the edge not repeated."""
    period = max(1, 2 * (length - 1))
    index = torch.arange(longer, device=device) % period
    return torch.where(index < length, index, period - index)


def _between(
    length: int, tile: int, tiles: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel of a side the tiles whose centres enclose it, and its way between them."""
    place = torch.arange(length, device=device) / tile - 0.5
    before = place.floor()
    first, second = (index.clamp(0, tiles - 1).long() for index in (before, before + 1))
    return first, second, place - before
