"""Write a derivative: pixels, resolution, profile, and the metadata that the scan brought."""

import html
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyvips

from photochrom.archive.records import SUFFIXES
from photochrom.archive.scan import Scan
from photochrom.pillow_images import first_directory
from photochrom.runtime import atomic_path

# JPEG at high quality with chroma at full resolution; the others without loss. WebP too, because
# its lossy mode halves the chroma's resolution and narrows the range of its luminance.
ENCODERS: dict[str, dict[str, Any]] = {
    "jpeg": {"Q": 95, "subsample_mode": "off"},
    "png": {"compression": 6},
    "tiff": {"compression": "deflate", "predictor": "horizontal"},
    "webp": {"lossless": True},
    # Tiled, with each smaller size down to one tile: what IIIF image servers read from directly.
    "pyramid": {
        **{"compression": "deflate", "predictor": "horizontal", "tile": True},
        **{"tile_width": 256, "tile_height": 256, "pyramid": True},
    },
}
DEPTHS = {"jpeg": 8, "png": 16, "tiff": 16, "webp": 8, "pyramid": 16}
LOSSY = ("jpeg",)

# What the loaders of libvips attach and what stays true of a derivative. Left out are the profile
# (the derivative is sRGB), the orientation (it is upright) and the thumbnail (it is grey).
_KEPT_FIELDS = ("iptc-data", "photoshop-data", "image-description", "resolution-unit")
_KEPT_PREFIXES = ("exif-ifd0-", "exif-ifd2-", "exif-ifd3-", "png-comment-")

# Classic TIFF counts its bytes with 32 bits.
_TIFF_BYTES = 3_900_000_000

# Height of a caption's margin as a share of the picture's shorter side, its least in pixels, and
# the share of it that the text fills.
_MARGIN, _LEAST_MARGIN, _TEXT = 0.06, 16, 0.6

# Bytes to write when asking the file system why an encoder failed.
_PROBE_BYTES = 1 << 20


class EncodeError(Exception):
    """A picture that its format cannot hold; the text says why in a few words."""


def format_of(path: Path, asked: str = "same") -> str:
    """The format of a derivative: jpeg, png, tiff or webp by its suffix, or a pyramid if asked."""
    name = next(name for name, suffixes in SUFFIXES.items() if path.suffix.lower() in suffixes)
    return "pyramid" if (name, asked) == ("tiff", "pyramid") else name


def write_picture(
    path: Path,
    integers: pyvips.Image,
    scan: Scan,
    xmp: bytes,
    name: str,
    finish: Callable[[Path], None],
    caption: str = "",
) -> None:
    """Write sRGB integers of 8 or 16 bits atomically in the format `name`.

    A `caption` stands in a white margin below the picture (`margin_of`). The scan's alpha joins
    them where the format has it, its resolution and metadata are kept. `finish` may change the
    encoded file, whose temporary path it gets, before it takes its place. Equal arguments give
    equal bytes. Raises OSError when the file system refuses, EncodeError when the format cannot
    hold the picture.
    """
    picture = integers.copy(xres=scan.picture.xres, yres=scan.picture.yres)
    if scan.alpha is not None and name != "jpeg":
        narrower = picture.format == "uchar" and scan.bits == 16
        alpha = scan.alpha >> 8 if narrower else scan.alpha
        picture = picture.bandjoin(alpha.cast(picture.format))
    if caption:
        picture = _captioned(picture, caption)
    picture = _with_metadata(picture, scan.picture, xmp)
    options = dict(ENCODERS[name])
    saver = "tiff" if name == "pyramid" else name
    if saver == "tiff":
        sample = 2 if picture.format == "ushort" else 1
        samples = picture.width * picture.height * picture.bands
        # The smaller sizes of a pyramid add a third.
        options["bigtiff"] = samples * sample * (4 / 3 if name == "pyramid" else 1) > _TIFF_BYTES
    with atomic_path(path) as temporary:
        # A descriptor, because libvips takes no name that is not UTF-8; read, because its TIFF
        # writer goes back to what it wrote.
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            target = pyvips.Target.new_to_descriptor(descriptor)
            getattr(picture, f"{saver}save_target")(target, profile="srgb", **options)
        except pyvips.Error as error:
            # libvips' own words on a full disk are obscure: the system tells the true reason.
            probe_room(descriptor)
            words = " ".join(str(error).split())
            raise EncodeError(f"cannot be written as {name.upper()}: {words}") from error
        finally:
            os.close(descriptor)
        finish(temporary)


def margin_of(width: int, height: int, caption: str) -> int:
    """Rows below a picture that hold its caption: none without one."""
    return max(_LEAST_MARGIN, round(_MARGIN * min(width, height))) if caption else 0


def _captioned(picture: pyvips.Image, caption: str) -> pyvips.Image:
    """The picture, its pixels unchanged, above a white margin with the caption in black."""
    rows = margin_of(picture.width, picture.height, caption)
    try:
        words = pyvips.Image.text(
            html.escape(caption, quote=False),  # Pango reads markup
            font="sans",
            width=max(1, round(0.96 * picture.width)),
            height=round(_TEXT * rows),
        )
        drawn = words.max() > 0
    except pyvips.Error:
        drawn = False
    if not drawn:
        raise EncodeError("its caption cannot be drawn: this machine has no font for it")
    scale = 257 if picture.format == "ushort" else 1
    ink = words.gravity("centre", picture.width, rows).cast("double")
    paper = ((255 - ink) * scale).rint().cast(picture.format)
    bands = [paper] * 3 + [paper.new_from_image(255 * scale).cast(picture.format)]
    margin = bands[0].bandjoin(bands[1 : picture.bands])
    margin = margin.copy(interpretation=picture.interpretation)
    return picture.join(margin, "vertical")


def probe_room(descriptor: int) -> None:
    """OSError where the file system has no room for more at the end of an open file."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    os.write(descriptor, bytes(_PROBE_BYTES))
    os.fsync(descriptor)
    os.ftruncate(descriptor, size)


def without_thumbnail(exif: bytes) -> bytes:
    """EXIF whose first directory is its last: the second holds the scan's own, grey thumbnail.

    What is no EXIF comes back as it is.
    """
    found = first_directory(exif)
    if found is None:
        return exif
    _, first, entries = found
    link = first + 2 + 12 * entries
    return exif[:link] + bytes(4) + exif[link + 4 :]


def _with_metadata(picture: pyvips.Image, scan: pyvips.Image, xmp: bytes) -> pyvips.Image:
    picture = picture.copy()  # its own header, which may be changed
    if scan.get_typeof("exif-data"):  # which libvips unfolds to fields where it is set
        picture.set_type(
            pyvips.GValue.blob_type, "exif-data", without_thumbnail(scan.get("exif-data"))
        )
    for field in scan.get_fields():
        if field in _KEPT_FIELDS or field.startswith(_KEPT_PREFIXES):
            picture.set_type(scan.get_typeof(field), field, scan.get(field))
    picture.set_type(pyvips.GValue.gint_type, "orientation", 1)
    if scan.get_typeof("exif-data"):
        picture.set_type(pyvips.GValue.gstr_type, "exif-ifd2-ColorSpace", "1")
    picture.set_type(pyvips.GValue.blob_type, "xmp-data", xmp)
    return picture
