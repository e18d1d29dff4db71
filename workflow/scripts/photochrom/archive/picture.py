"""One photograph: its lightness, the model's chroma, and integers whose lightness is the scan's.

A photograph passes through in strips of rows. Beside the decoded scan and the finished integers
only strips are held as floating point, so that memory stays bounded for the largest scans.
"""

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from photochrom.color import (
    RGB_TO_XYZ,
    lab_to_rgb,
    luminance_to_lightness,
    reduce_chroma,
    rgb_to_lab,
    rgb_to_linear,
)
from photochrom.images import ImageError, load_lightness, open_image, profile_fits
from photochrom.inference import network_size, predict_ab, resize
from photochrom.models import Model
from photochrom.runtime import EXIT_OUTPUT, StageError

Floats = NDArray[np.float32]
Integers = NDArray[np.unsignedinteger[Any]]

# What |dL*| between the scan and the integers written may be at most, by bits per sample. Half a
# code value of 8 bits is a quarter of a unit of L*.
LIGHTNESS_LIMIT = {8: 0.5, 16: 0.05}

# A picture counts as coloured when its ab deviate by this (root mean square, Lab units) from the
# best curve over L*: paper, toning and fading tint a monochrome picture by a curve. Of 1,500
# colour photographs 99 in 100 lie above; nine sepia prints of 1865 to 1940 reach 1.9.
COLOURED_DEVIATION = 2.5
TINT_PIXELS = 256

STRIP_PIXELS = 1 << 18

# The share of its chroma that a pixel loses at each try to bring its lightness within the limit.
MENDING_STEP = 1 / 16


@dataclass(frozen=True)
class Tint:
    """The colour a scan has already: mean chroma, and deviation from a curve over L*; Lab units."""

    chroma: float
    deviation: float

    @property
    def coloured(self) -> bool:
        return self.deviation > COLOURED_DEVIATION


@dataclass(frozen=True)
class Scan:
    """An original, opened and decoded: the picture without its alpha, and the alpha or None.

    `bits` is 8 or 16 per sample; `xmp` its XMP packet or None; `profile_fits` is False where an
    embedded profile cannot be used.
    """

    picture: pyvips.Image
    alpha: pyvips.Image | None
    bits: int
    tint: Tint
    profile_fits: bool
    xmp: bytes | None
    loader: str


@dataclass(frozen=True)
class Colorized:
    """A colorized picture: sRGB integers (H, W, 3) and what was measured on every pixel.

    `max_error`, `mean_error`: |dL*| between the scan and the integers; `chroma`: mean chroma before
    rounding, Lab units; `reduced`: share of pixels whose chroma sRGB could not show in full;
    `network_size`: (width, height) at which the model saw the picture.
    """

    pixels: Integers
    max_error: float
    mean_error: float
    chroma: float
    reduced: float
    network_size: tuple[int, int]


def open_scan(path: Path) -> Scan:
    """Open an original and decode it whole, so that a damaged one is known at once.

    Raises ImageError; StageError when the disk that libvips decodes large scans to is full.
    """
    opened = open_image(path)
    picture, alpha = opened, None
    if opened.interpretation != "cmyk" and opened.bands in (2, 4):
        picture = opened.extract_band(0, n=opened.bands - 1)
        alpha = opened.extract_band(opened.bands - 1)
    try:
        opened.crop(0, 0, 1, 1).avg()  # any pixel: libvips then decodes them all, and keeps them
        tint = measure_tint(picture)
    except pyvips.Error as error:
        if os.strerror(errno.ENOSPC) in str(error):
            raise StageError(
                f"no room in {os.environ.get('TMPDIR', '/tmp')} for the decoded {path.name}; free "
                "some, or set TMPDIR to a larger folder",
                EXIT_OUTPUT,
            ) from error
        raise ImageError("truncated or damaged") from error
    return Scan(
        picture=picture,
        alpha=alpha,
        bits=16 if opened.format == "ushort" else 8,
        tint=tint,
        profile_fits=profile_fits(picture),
        xmp=opened.get("xmp-data") if opened.get_typeof("xmp-data") else None,
        loader=opened.get("vips-loader"),
    )


def measure_tint(picture: pyvips.Image) -> Tint:
    """How much colour a picture has beyond what toning gives a monochrome one.

    Measured on a reduced copy. The curve is a parabola of a* and of b* over L*, fitted by least
    squares.
    """
    if picture.bands < 3:
        return Tint(0.0, 0.0)
    small = picture.thumbnail_image(
        TINT_PIXELS, height=TINT_PIXELS, size="down", no_rotate=True, output_profile="srgb"
    )
    rgb = small.colourspace("srgb").extract_band(0, n=3).cast("uchar").numpy()
    lab = rgb_to_lab(rgb.reshape(-1, 3))
    L, ab = lab[:, 0] / 100, lab[:, 1:]
    powers = np.stack([np.ones_like(L), L, L * L], axis=1)
    curve, *_ = np.linalg.lstsq(powers, ab, rcond=None)
    deviation = np.sqrt(((ab - powers @ curve) ** 2).sum(axis=1).mean())
    return Tint(float(np.hypot(ab[:, 0], ab[:, 1]).mean()), float(deviation))


def colorize_picture(
    picture: pyvips.Image, model: Model, depth: int, threads: int = 1
) -> Colorized:
    """Give a decoded picture without alpha the model's colours, at `depth` 8 or 16 bits a sample.

    The network sees the whole picture at its own size; its chroma is enlarged as in
    `inference.colorize_lightness`, reduced where sRGB cannot show it at the scan's lightness, and
    joined to the lightness at full resolution. `threads` strips are worked on at once; the result
    does not depend on it. Raises ImageError when the pixels cannot be decoded.
    """
    width, height = picture.width, picture.height
    strips = _strips(width, height)
    seen = network_size(width, height, model.size, model.multiple)
    pixels: Integers = np.empty((height, width, 3), np.uint16 if depth == 16 else np.uint8)

    def narrowed(strip: tuple[int, int]) -> Floats:
        return resize(_lightness(picture, *strip), seen[0], strip[1] - strip[0])

    with ThreadPoolExecutor(max_workers=threads) as pool:
        # Resizing is separable: the rows strip by strip, then the columns of what is left.
        narrow = np.concatenate(list(pool.map(narrowed, strips)))
        enlarged = _enlarger(predict_ab(model, resize(narrow, *seen)), width, height)

        def finish(strip: tuple[int, int]) -> tuple[float, float, float, float]:
            L, ab = _lightness(picture, *strip), enlarged(*strip)
            pixels[slice(*strip)], kept, dL = to_integers(L, ab, depth)
            chroma = np.hypot(kept[..., 0], kept[..., 1])
            reduced = int(np.count_nonzero(chroma < np.hypot(ab[..., 0], ab[..., 1])))
            return float(dL.max()), _total(dL), _total(chroma), reduced

        measures = list(pool.map(finish, strips))
    largest, dL, chroma, reduced = zip(*measures, strict=True)
    count = width * height
    return Colorized(
        pixels=pixels,
        max_error=max(largest),
        mean_error=sum(dL) / count,
        chroma=sum(chroma) / count,
        reduced=sum(reduced) / count,
        network_size=seen,
    )


def _total(values: Floats) -> float:
    return float(values.sum(dtype=np.float64))


def to_integers(L: Floats, ab: Floats, depth: int) -> tuple[Integers, Floats, Floats]:
    """sRGB integers (..., 3) of `depth` bits that keep the lightness L (...), 0..100.

    Chroma ab (..., 2) is reduced to what sRGB can show. Where the lightness of the integers still
    misses LIGHTNESS_LIMIT, more is taken away, at the same hue, until it does not: grey always
    meets it. Returns the integers, the ab kept and |dL*| (...), measured on the integers.
    """
    kept = reduce_chroma(L, ab)
    integers, dL = _quantize(L, kept, depth)
    wrong = np.nonzero(dL > LIGHTNESS_LIMIT[depth])
    if wrong[0].size:
        kept = kept.copy()
        lightness, colour = L[wrong], kept[wrong]
        share = np.ones_like(lightness)
        while (missed := dL[wrong] > LIGHTNESS_LIMIT[depth]).any() and share.min() > 0:
            share[missed] -= MENDING_STEP
            kept[wrong] = colour * share[:, None]
            integers[wrong], dL[wrong] = _quantize(lightness, kept[wrong], depth)
    return integers, kept, dL


def _quantize(L: Floats, ab: Floats, depth: int) -> tuple[Integers, Floats]:
    """The nearest sRGB integers, and how far their lightness is from L."""
    rgb = lab_to_rgb(np.concatenate([L[..., None], ab], axis=-1))
    top = 2**depth - 1
    integers = np.rint(rgb * top).astype(np.uint16 if depth == 16 else np.uint8)
    light = _LINEAR_LIGHT[depth]
    luminance = sum(light[integers[..., band]] * _LUMINANCE[band] for band in range(3))
    return integers, np.abs(luminance_to_lightness(luminance) - L)


_LUMINANCE = RGB_TO_XYZ[1].astype(np.float32)
_LINEAR_LIGHT = {
    depth: rgb_to_linear(np.arange(2**depth) / (2**depth - 1)).astype(np.float32)
    for depth in LIGHTNESS_LIMIT
}


def _lightness(picture: pyvips.Image, top: int, bottom: int) -> Floats:
    return load_lightness(picture.crop(0, top, picture.width, bottom - top))


def _strips(width: int, height: int) -> list[tuple[int, int]]:
    """(first row, row after the last) of strips of about STRIP_PIXELS.

    They depend on the picture alone, so that sums over them do not depend on the machine.
    """
    rows = max(1, STRIP_PIXELS // width)
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def _enlarger(ab: Floats, width: int, height: int) -> Callable[[int, int], Floats]:
    """`resize(ab, width, height)`, handed out as rows top..bottom so that it is never whole."""
    if ab.shape[0] >= height:
        whole = resize(ab, width, height)
        return lambda top, bottom: whole[top:bottom]
    wide = resize(ab, width, ab.shape[0])

    def rows(top: int, bottom: int) -> Floats:
        centre = (np.arange(top, bottom) + 0.5) * (len(wide) / height) - 0.5
        centre = np.clip(centre, 0, len(wide) - 1)
        above = centre.astype(np.intp)
        below = np.minimum(above + 1, len(wide) - 1)
        part = (centre - above).astype(np.float32)[:, None, None]
        return wide[above] * (1 - part) + wide[below] * part

    return rows
