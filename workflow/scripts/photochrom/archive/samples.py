"""What is made for the eye beside a derivative: other colorings, and where the model was unsure."""

import math

import numpy as np
import pyvips

from photochrom.archive.integers import Floats, to_integers
from photochrom.images import jpeg_bytes, load_lightness, png_bytes
from photochrom.inference import enlarge_ab, resize
from photochrom.models import Model
from photochrom.uncertainty import sample_ab

# Sides in pixels, at most.
TILE = 512
MAP_SIDE = 512
GAP = 8


def contact_sheet(
    picture: pyvips.Image, model: Model, seen: Floats, count: int, sha256: str
) -> bytes:
    """`count` plausible colorings of a picture side by side on white, as JPEG.

    They are drawn by a seed from the original's `sha256`, so that equal runs give equal sheets.
    `seen` is the lightness (h, w) that the network saw.
    """
    small = picture.thumbnail_image(TILE, height=TILE, size="down", no_rotate=True)
    L = load_lightness(small)
    height, width = L.shape
    tiles = []
    for ab in sample_ab(model, seen, count, int(sha256[:16], 16)):
        tiles.append(to_integers(L, enlarge_ab(seen, ab, L, model.smooth), 8)[0])
    across = math.ceil(math.sqrt(count * height / width)) if count > 1 else 1
    across = min(count, across)
    down = math.ceil(count / across)
    sheet = np.full(
        (down * (height + GAP) - GAP, across * (width + GAP) - GAP, 3), 255, dtype=np.uint8
    )
    for number, tile in enumerate(tiles):
        top, left = (number // across) * (height + GAP), (number % across) * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return jpeg_bytes(sheet, 90)


def uncertainty_png(uncertainty: Floats, width: int, height: int) -> bytes:
    """The uncertainty (h, w) in 0..1 as an 8-bit grey PNG, 255 for 1, in the picture's proportions.

    Its long side is MAP_SIDE pixels, or the picture's where that is less.
    """
    scale = min(1.0, MAP_SIDE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grey = np.rint(np.clip(resize(uncertainty, *size), 0, 1) * 255).astype(np.uint8)
    return png_bytes(grey)
