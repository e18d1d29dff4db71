"""The strip of a training phase: the same few validation pictures at each look.

Each look leaves a row, look-000000120.png, beside the checkpoints, so that a phase that was killed
and goes on has them all; at the end the rows become one picture, between the greys and the truth.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from photochrom.runtime import write_bytes

# Pictures side by side, rows below each other, pixels of a picture's side at most.
PICTURES = 8
ROWS = 10
SIDE = 128
_MARGIN = 96  # for the words beside a row
_GAP = 2

Pictures = NDArray[np.uint8]


def save_row(folder: Path, step: int, pictures: Pictures) -> None:
    """Keep the pictures (N,H,W,3), sRGB, as the row of `step`."""
    write_bytes(folder / f"look-{step:09d}.png", _encoded(_side_by_side(pictures), "PNG"))


def strip(folder: Path, grey: Pictures, truth: Pictures) -> bytes:
    """The strip as JPEG: the greys, at most ROWS of the rows in `folder`, and the truth."""
    paths = sorted(folder.glob("look-*.png"))
    chosen = sorted({round(at) for at in np.linspace(0, len(paths) - 1, min(ROWS, len(paths)))})
    rows = [("grey", _side_by_side(grey))]
    for path in (paths[index] for index in chosen):
        with Image.open(path) as image:
            rows.append((f"step {int(path.stem[5:]):,}", np.asarray(image)))
    rows.append(("truth", _side_by_side(truth)))
    return _encoded(_below_each_other(rows), "JPEG", quality=88, subsampling=0)


def _encoded(picture: Pictures, kind: str, **options: int) -> bytes:
    """By Pillow, because training runs on machines that have no libvips."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


def _side_by_side(pictures: Pictures) -> Pictures:
    """(N,H,W,3) as one row (side, width, 3), each at most SIDE pixels."""
    squares = [_small(picture) for picture in pictures]
    side = squares[0].shape[0]
    gap = np.full((side, _GAP, 3), 255, np.uint8)
    parts = [part for square in squares for part in (square, gap)]
    return np.concatenate(parts[:-1], axis=1)


def _small(picture: Pictures) -> Pictures:
    if picture.shape[0] <= SIDE:
        return picture
    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def _below_each_other(rows: Sequence[tuple[str, Pictures]]) -> Pictures:
    height = sum(row.shape[0] + _GAP for _, row in rows) - _GAP
    width = max(row.shape[1] for _, row in rows)
    sheet = Image.new("RGB", (_MARGIN + width, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    top = 0
    for words, row in rows:
        sheet.paste(Image.fromarray(row), (_MARGIN, top))
        middle = top + row.shape[0] // 2
        draw.text((_MARGIN - 8, middle), words, fill="black", font=font, anchor="rm")
        top += row.shape[0] + _GAP
    return np.asarray(sheet)
