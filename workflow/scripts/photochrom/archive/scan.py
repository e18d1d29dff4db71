"""An original opened: decoded whole, and judged for the colour that it has already."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips

from photochrom.color import rgb_to_lab
from photochrom.images import MAX_PIXELS, ImageError, open_image, profile_fits
from photochrom.runtime import EXIT_OUTPUT, StageError

# The tint is measured on a copy of at most this side.
TINT_PIXELS = 256

# Mean chroma (Lab units) above which a picture that is not coloured counts as toned. Grey scans
# stored as colour stay below 1.
TONED_CHROMA = 3.0


@dataclass(frozen=True)
class Tint:
    """The colour a scan has already: mean chroma, and deviation from a curve over L*; Lab units.

    Paper, toning and fading tint a monochrome picture by a curve, which leaves a small deviation.
    """

    chroma: float
    deviation: float

    def coloured(self, limit: float) -> bool:
        """Whether the colours deviate from any single toning by more than `limit`."""
        return self.deviation > limit

    def toned(self, limit: float) -> bool:
        """Whether it is a monochrome picture in another colour than grey, such as sepia."""
        return not self.coloured(limit) and self.chroma > TONED_CHROMA


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


def open_scan(path: Path, max_pixels: int = MAX_PIXELS) -> Scan:
    """Open an original and decode it whole, so that a damaged one is known at once.

    Raises ImageError, also for one of more than `max_pixels`; StageError when the disk that libvips
    decodes large scans to is full.
    """
    opened = open_image(path, max_pixels)
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
