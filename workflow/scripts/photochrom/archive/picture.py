"""One photograph from its lightness to finished integers, strip by strip.

Only strips are ever held as floating point, and the integers go to a temporary file from which the
encoder reads them: memory stays bounded for the largest scans.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyvips

from photochrom.archive.hints import Hint
from photochrom.archive.integers import Floats, to_integers
from photochrom.archive.spreading import corrected, retouched
from photochrom.color import reduce_chroma
from photochrom.guided import along, lines
from photochrom.images import load_lightness
from photochrom.inference import network_size, resize
from photochrom.models import Model
from photochrom.runtime import cannot_write
from photochrom.smoothing import hide_steps
from photochrom.uncertainty import judge

STRIP_PIXELS = 1 << 18


# Where colour is withheld for uncertainty, it fades out over this much of it.
FADE = 0.1
# A hint's level of lightness is measured on at most this many pixels a side.
LEVEL_PIXELS = 64
# Lab units of chroma that a hint may lose to the gamut of sRGB without a word.
HINT_LOSS = 1.0


@dataclass(frozen=True)
class Colorized:
    """A colorized picture and what was measured on every pixel.

    `picture`: sRGB integers of 8 or 16 bits, three bands, lying in a file without a name that goes
    with it. `max_error`, `mean_error`: |dL*| between the scan and the integers; `chroma`: mean
    chroma before rounding, Lab units; `reduced`: share of pixels whose chroma sRGB could not show
    in full. `seen`: the lightness (h, w) that the network saw; `uncertainty` (h, w) in 0..1: how
    unsure it was (`uncertainty.judge`).
    """

    picture: pyvips.Image
    max_error: float
    mean_error: float
    chroma: float
    reduced: float
    seen: Floats
    uncertainty: Floats

    @property
    def bits(self) -> int:
        return 16 if self.picture.format == "ushort" else 8


def colorize_picture(
    picture: pyvips.Image,
    model: Model,
    depth: int,
    threads: int = 1,
    *,
    saturation: float = 1.0,
    abstain: float | None = None,
    hints: Sequence[Hint] = (),
) -> Colorized:
    """Give a decoded picture without alpha the model's colours, at `depth` 8 or 16 bits a sample.

    The network sees the whole picture at its own size. Its chroma is multiplied by `saturation`,
    withheld where its uncertainty exceeds `abstain` (in full from FADE above it), drawn to the
    hints, enlarged along the picture's edges as in `inference.colorize_lightness`, reduced where
    sRGB cannot show it at the scan's lightness, and joined to the lightness at full resolution.
    `hints` lie within the picture. `threads` strips are worked on at once; the result does not
    depend on it. Raises ImageError when the pixels cannot be decoded, StageError when the
    temporary folder is full.
    """
    seen = seen_lightness(picture, model.size, model.multiple, threads)
    ab, uncertainty = judge(model, seen)
    ab = hide_steps(seen, ab, model.smooth, picture.width / seen.shape[1])
    ab = ab * np.float32(saturation)
    if abstain is not None:
        ab = ab * np.clip(1 - (uncertainty - abstain) / FADE, 0, 1)[..., None]
    width, height = picture.width, picture.height
    ab = corrected(seen, ab, hints, width, height).astype(np.float32)
    levels = [_level(picture, hint) for hint in hints]
    cell = height / len(seen)

    def retouch(top: int, L: Floats, colour: Floats) -> Floats:
        return retouched(top, L, colour, hints, levels, cell) if hints else colour

    return _paint(picture, seen, ab, uncertainty, retouch, depth, threads)


def reduced_hints(picture: pyvips.Image, hints: Sequence[Hint]) -> list[str]:
    """A line for each hint whose colour sRGB cannot show in full at the lightness that it is on.

    Raises ImageError when the pixels cannot be decoded.
    """
    found = []
    for hint in hints:
        level, ab = np.array(_level(picture, hint)), np.array([hint.a, hint.b])
        wanted = float(np.hypot(*ab))
        shown = float(np.hypot(*reduce_chroma(level[None], ab[None])[0]))
        if wanted - shown > HINT_LOSS:
            found.append(
                f"hint on line {hint.line}: at lightness {level:.0f} sRGB shows only chroma "
                f"{shown:.0f} of its {wanted:.0f}; the rest was taken back"
            )
    return found


def seen_lightness(picture: pyvips.Image, size: int, multiple: int, threads: int = 1) -> Floats:
    """The lightness (h, w) of a decoded picture without alpha, as small as a network sees it.

    `size` and `multiple` are the network's (`inference.network_size`). `threads` strips are worked
    on at once; the result does not depend on it. Raises ImageError when the pixels cannot be
    decoded.
    """
    width, height = network_size(picture.width, picture.height, size, multiple)

    def narrowed(strip: tuple[int, int]) -> Floats:
        return resize(_lightness(picture, *strip), width, strip[1] - strip[0])

    # Resizing is separable: the rows strip by strip, then the columns of what is left.
    strips = _strips(picture.width, picture.height)
    with ThreadPoolExecutor(max_workers=threads) as pool:
        narrow = np.concatenate(list(pool.map(narrowed, strips)))
    return resize(narrow, width, height)


def lightness_loss(
    before: pyvips.Image, after: pyvips.Image, threads: int = 1
) -> tuple[float, float]:
    """The largest and the mean |dL*| over the pixels of two pictures of the same width.

    `after` may have more rows below, which are not looked at. Raises ImageError.
    """

    def compared(strip: tuple[int, int]) -> tuple[float, float]:
        dL = np.abs(_lightness(before, *strip) - _lightness(after, *strip))
        return float(dL.max()), _total(dL)

    with ThreadPoolExecutor(max_workers=threads) as pool:
        largest, sums = zip(*pool.map(compared, _strips(before.width, before.height)), strict=True)
    return max(largest), sum(sums) / (before.width * before.height)


def _paint(
    picture: pyvips.Image,
    seen: Floats,
    ab: Floats,
    uncertainty: Floats,
    retouch: Callable[[int, Floats, Floats], Floats],
    depth: int,
    threads: int,
) -> Colorized:
    """Join the chroma found at lightness `seen` to the picture's full lightness.

    `retouch` may change the chroma of a strip: called with its first row, its lightness (H, W) and
    its chroma (H, W, 2).
    """
    width, height = picture.width, picture.height
    enlarged = _enlarger(lines(seen, ab), width, height)
    row_bytes = width * 3 * depth // 8
    with tempfile.TemporaryFile(prefix="photochrom-", suffix=".raw") as file:

        def finish(strip: tuple[int, int]) -> tuple[float, float, float, float]:
            L = _lightness(picture, *strip)
            colour = retouch(strip[0], L, along(enlarged(*strip), L))
            integers, kept, dL = to_integers(L, colour, depth)
            _write_at(file.fileno(), np.ascontiguousarray(integers).data, strip[0] * row_bytes)
            chroma = np.hypot(kept[..., 0], kept[..., 1])
            wanted = np.hypot(colour[..., 0], colour[..., 1])
            reduced = int(np.count_nonzero(chroma < wanted))
            return float(dL.max()), _total(dL), _total(chroma), reduced

        with ThreadPoolExecutor(max_workers=threads) as pool:
            measures = list(pool.map(finish, _strips(width, height)))
        # libvips opens the file anew and keeps it, though it has no name.
        done = pyvips.Image.rawload(
            f"/dev/fd/{file.fileno()}",
            width,
            height,
            3,
            format="ushort" if depth == 16 else "uchar",
            interpretation="rgb16" if depth == 16 else "srgb",
        )
    largest, dL, chroma, reduced = zip(*measures, strict=True)
    count = width * height
    return Colorized(
        picture=done,
        max_error=max(largest),
        mean_error=sum(dL) / count,
        chroma=sum(chroma) / count,
        reduced=sum(reduced) / count,
        seen=seen,
        uncertainty=uncertainty,
    )


def _level(picture: pyvips.Image, hint: Hint) -> float:
    """The mean lightness in the middle of a hint's box."""
    width, height = (
        min(LEVEL_PIXELS, last - first + 1)
        for first, last in ((hint.left, hint.right), (hint.top, hint.bottom))
    )
    left, top = (
        (hint.left + hint.right + 1 - width) // 2,
        (hint.top + hint.bottom + 1 - height) // 2,
    )
    return float(load_lightness(picture.crop(left, top, width, height)).mean())


def _lightness(picture: pyvips.Image, top: int, bottom: int) -> Floats:
    """The lightness (H, W) of the rows `top` to `bottom` of a picture, L* units."""
    return load_lightness(picture.crop(0, top, picture.width, bottom - top))


def _write_at(descriptor: int, data: memoryview, offset: int) -> None:
    data = data.cast("B")
    try:
        while data:
            written = os.pwrite(descriptor, data, offset)
            data, offset = data[written:], offset + written
    except OSError as error:
        raise cannot_write(error, f"the temporary folder {tempfile.gettempdir()}") from error


def _total(values: Floats) -> float:
    return float(values.sum(dtype=np.float64))


def _strips(width: int, height: int) -> list[tuple[int, int]]:
    """(first row, row after the last) of strips of about STRIP_PIXELS.

    They depend on the picture alone, so that sums over them do not depend on the machine.
    """
    rows = max(1, STRIP_PIXELS // width)
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def _enlarger(planes: Floats, width: int, height: int) -> Callable[[int, int], Floats]:
    """`resize(planes, width, height)`, handed out as rows top..bottom: it is never whole."""
    if len(planes) >= height:
        narrow = resize(planes, planes.shape[1], height)
        return lambda top, bottom: resize(narrow[top:bottom], width, bottom - top)

    def rows(top: int, bottom: int) -> Floats:
        centre = (np.arange(top, bottom) + 0.5) * (len(planes) / height) - 0.5
        centre = np.clip(centre, 0, len(planes) - 1)
        above = centre.astype(np.intp)
        below = np.minimum(above + 1, len(planes) - 1)
        part = (centre - above).astype(np.float32)[:, None, None]
        return resize(planes[above] * (1 - part) + planes[below] * part, width, bottom - top)

    return rows
