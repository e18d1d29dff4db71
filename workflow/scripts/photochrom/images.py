"""The one image loader and writer.

Every stage reads photographs through these functions, so that orientation, depth, colour profiles
and limits are treated in one way. Decoding is libvips' (pyvips), or Pillow's for JPEG 2000, HEIC
and CIELab TIFF. Files are opened here and handed over as descriptors: any byte name works, and only
regular files are read. The type is found by content, never by suffix.

What becomes of a file:
- EXIF orientation is applied once and the tag removed;
- an embedded ICC profile is converted through (relative colorimetric, black point compensation);
  without one, RGB and grey count as sRGB and CMYK as a common offset press;
- 1-bit, palette and grey pictures become RGB; 16 bits are scaled, never clipped;
- alpha is flattened on white, as paper would show it;
- floating-point pictures are taken as sRGB values in 0..1, and refused when they leave it;
- several pages or frames are refused, never read as channels; smaller copies of a TIFF's one page
  (a pyramid, a thumbnail) are passed over;
- a path such as `ab/ab/ab1.npy#7` names a row of arrays of 8-bit Lab (see `lab_arrays`), which
  every loader but `open_image` takes.
"""

import errno
import math
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import numpy as np
import pyvips
from numpy.typing import NDArray

from photochrom.color import (
    AB_SCALE,
    LAB_KNEE,
    LAB_OFFSET,
    LAB_SLOPE,
    RGB_TO_XYZ,
    lab_to_rgb,
    rgb_to_lab,
)
from photochrom.lab_arrays import ArrayError, decode_lab8, read_row, row_name, row_sha256, row_side
from photochrom.pillow_images import (
    Decoded,
    PillowError,
    decode_heic,
    decode_jp2,
    decode_lab_tiff,
    is_heic,
    is_jp2,
)
from photochrom.runtime import log, sha256_file, write_bytes

MAX_PIXELS = 300_000_000

# What libvips may load. Its matrix and SVG loaders would take text files for pictures.
_LOADERS = ("jpegload", "pngload", "tiffload", "webpload", "gifload", "heifload")
# Where a picture that Pillow decoded holds its IIM records, which libvips is not to write itself.
IPTC_FIELD = "photochrom-iptc"
# First bytes of formats that people do have and that libvips here cannot load: the reason should
# not claim that they are no images.
_UNSUPPORTED = {
    b"BM": "BMP",
    b"%PDF": "PDF",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"P4": "PBM",
    b"P5": "PGM",
    b"P6": "PPM",
    b"<svg": "SVG",
    b"8BPS": "Photoshop",
}
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_START = b"\x89PNG\r\n\x1a\n"

# Operations are not cached: each picture is read once, and a cache would only hold memory.
pyvips.cache_set_max(0)
# libvips logs each operation, and pyvips would call Python for it. A signal that arrives in such a
# call raises there, and what a C library's callback raises is lost: Ctrl-C would do nothing.
pyvips._remove_log_handler()


class ImageError(Exception):
    """A file that cannot be used as a picture; `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decoder_threads(count: int) -> None:
    """Let libvips use `count` threads per picture; 1 where pictures are worked on in parallel."""
    pyvips.concurrency_set(count)


def open_image(path: Path, max_pixels: int = MAX_PIXELS, least: int = 0) -> pyvips.Image:
    """Open a picture: header read and checked, oriented, pixels not yet decoded.

    Returns an image of one page with uchar or ushort samples, any bands, its profile and metadata
    still attached. Pixels may be read in any order and more than once (libvips keeps them in
    memory up to 100 MB, beyond that in a temporary file). Decoding faults show up when pixels are
    read, as pyvips.Error; `ImageError` is raised for what the header already tells: not a regular
    file, unreadable, zero bytes, not an image, too large, several pages.

    With `least`, a JPEG is opened at half, a quarter or an eighth of its size where its shorter
    side keeps that many pixels: libjpeg then transforms less, but still reads all of the file, so
    that no fault goes unseen.
    """
    descriptor = _open_regular(path)
    try:
        start = os.pread(descriptor, 64, 0)
        image = _load(descriptor, start, max_pixels)
        if not image.get("vips-loader").startswith((*_LOADERS, "pillow")):
            raise ImageError(_unknown_format(start))
        if image.width * image.height > max_pixels:
            raise ImageError(_too_large(image.width * image.height, max_pixels))
        shrink = _shrink_on_load(image, least)
        if shrink > 1:
            image = _load(descriptor, start, max_pixels, shrink=shrink)
        pages = image.get("n-pages") if image.get_typeof("n-pages") else 1
        if pages > 1:
            whole = tiff_pages(path) if start.startswith(TIFF_STARTS) else []
            if len(whole) != 1:
                raise ImageError(f"multi-page: {len(whole) or pages} pages or frames")
            if whole[0] > 0:
                image = _load(descriptor, start, max_pixels, page=whole[0])
    finally:
        os.close(descriptor)
    if image.interpretation == "lab":  # CIELab TIFF of floating point
        image = _from_lab(image)
    if image.interpretation == "labs":  # CIELab TIFF of 16 bits
        image = image.colourspace("rgb16")
    if image.format in ("float", "double"):
        image = _from_float(image)
    if image.format not in ("uchar", "ushort"):
        raise ImageError(f"samples of type {image.format} are not supported")
    if image.get_typeof("orientation") and image.get("orientation") != 1:
        image = image.autorot()
    return image


def tiff_pages(path: Path) -> list[int]:
    """The places of a TIFF's pages, without smaller copies of a page, masks and what is no picture.

    Pyramids and scanners' thumbnails are such copies (NewSubfileType, TIFF 6.0). None where the
    directories cannot be read.
    """
    import tifffile

    try:
        with path.open("rb") as file, tifffile.TiffFile(file) as tiff:
            pages = [page.aspage() for page in tiff.pages]
            return [
                place
                for place, page in enumerate(pages)
                if page.imagewidth and not (page.is_reduced or page.is_mask)
            ]
    except (OSError, ValueError, TypeError, IndexError, KeyError, struct.error):
        return []


def load_rgb(path: Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a whole picture to sRGB, uint8 (H, W, 3). Raises ImageError."""
    lab8 = _array_row(path)
    if lab8 is not None:
        return _lab_to_rgb8(decode_lab8(lab8))
    return _decode(lambda: _to_srgb(open_image(path, max_pixels), 8, path))


def load_square(
    path: Path, size: int, max_pixels: int = MAX_PIXELS, quick: bool = False
) -> NDArray[np.uint8]:
    """Decode the centred square of a picture, resized to uint8 sRGB (size, size, 3).

    Shrinks (or enlarges) by Lanczos-3 with its support scaled to the factor, so nothing aliases,
    on the encoded values as training sets usually are made. Where it is `quick`, the first halvings
    of a large JPEG are libjpeg's, and Lanczos does the last at least. Raises ImageError.
    """
    lab8 = _array_row(path)
    if lab8 is not None:
        return _lab_to_rgb8(_lab_square(lab8, size))

    def square() -> pyvips.Image:
        image = open_image(path, max_pixels, least=2 * size * quick)
        side = min(image.width, image.height)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = _to_srgb(image.crop(left, top, side, side), 8, path)
        return image if side == size else image.resize(size / side, kernel="lanczos3")

    return _decode(square)


def load_lab_square(path: Path, size: int) -> tuple[NDArray[np.floating], str]:
    """The centred square of a picture as CIE Lab, (size, size, 3), and its `content_sha256`.

    This is what shards are made of. A file goes through `load_square`. A row of arrays, which is
    Lab already, is resized as it is and never rounded to sRGB on the way; at its own size it comes
    back exactly. L* is within 0..100, a* and b* within +-AB_SCALE. Raises ImageError or OSError.
    """
    lab8 = _array_row(path)
    if lab8 is None:
        # Decoded before it is hashed, because the decoder also refuses what would never end.
        return rgb_to_lab(load_square(path, size)), sha256_file(path)
    return _lab_square(lab8, size), row_sha256(lab8)


def load_row(path: Path, size: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The centred square of a row of arrays as sRGB and as CIE Lab, each (size, size, 3).

    The Lab is `load_lab_square`'s. Raises ImageError, also for a path that names no row.
    """
    lab8 = _array_row(path)
    if lab8 is None:
        raise ImageError("not a row of arrays")
    lab = _lab_square(lab8, size)
    return _lab_to_rgb8(lab), lab


def array_side(path: Path) -> int | None:
    """The shorter side in pixels of a row of arrays; None for a file. Raises ImageError."""
    named = row_name(path)
    if named is None:
        return None
    try:
        return row_side(*named)
    except ArrayError as error:
        raise ImageError(error.reason) from error


def content_sha256(path: Path) -> str:
    """Hex SHA-256 of a picture's content: a file's bytes, or the samples of a row of arrays.

    Raises ImageError or OSError when it cannot be read.
    """
    lab8 = _array_row(path)
    return sha256_file(path) if lab8 is None else row_sha256(lab8)


def shrink(array: NDArray[np.uint8], short_side: int) -> NDArray[np.uint8]:
    """Resize uint8 (H, W, 3) so that its short side is at most `short_side`, aspect kept."""
    scale = short_side / min(array.shape[:2])
    if scale >= 1:
        return array
    return _decode(lambda: pyvips.Image.new_from_array(array).resize(scale, kernel="lanczos3"))


def load_lightness(image: pyvips.Image) -> NDArray[np.float32]:
    """CIE L* (0..100) of an opened picture or a crop of one, float32 (H, W).

    Computed from linear light at the depth of the file, so 16 bits stay 16 bits. Raises
    ImageError when the pixels cannot be decoded.
    """

    def lightness() -> pyvips.Image:
        linear = _to_srgb(image, 16).colourspace("scrgb")
        luminance = linear.recomb([RGB_TO_XYZ[1].tolist()])
        root = luminance ** (1 / 3)
        line = luminance * LAB_SLOPE + LAB_OFFSET
        return ((luminance > LAB_KNEE).ifthenelse(root, line) * 116 - 16).cast("float")

    return _decode(lightness)


def write_png(path: Path, array: NDArray[np.uint8]) -> None:
    """Write uint8 (H, W, 3) or (H, W) as PNG atomically; equal pixels give equal bytes."""
    write_bytes(path, png_bytes(array))


def png_bytes(array: NDArray[np.uint8], dots: float | None = None) -> bytes:
    """Encode uint8 (H, W, 3) or (H, W) as PNG without metadata but `dots` a millimetre."""
    image = pyvips.Image.new_from_array(array)
    image = image if dots is None else image.copy(xres=dots, yres=dots)
    return image.pngsave_buffer(keep="none")


def jpeg_bytes(array: NDArray[np.uint8], quality: int = 85) -> bytes:
    """Encode uint8 (H, W, 3) or (H, W) as JPEG without metadata, chroma at full resolution."""
    image = pyvips.Image.new_from_array(array)
    return image.jpegsave_buffer(Q=quality, keep="none", subsample_mode="off", optimize_coding=True)


def write_webp(path: Path, array: NDArray[np.uint8], quality: int = 90) -> None:
    """Write uint8 (H, W, 3) as WebP without metadata, atomically; equal pixels give equal bytes."""
    image = pyvips.Image.new_from_array(array)
    write_bytes(path, image.webpsave_buffer(Q=quality, keep="none", smart_subsample=True))


def path_to_text(path: Path) -> str:
    """A path as tables hold it: UTF-8, one line, reversible by `path_from_text`.

    Only `%`, control characters and bytes that are not UTF-8 are percent-encoded, so that
    ordinary names stay as they are.
    """
    # surrogateescape marks bytes that are not UTF-8 as lone surrogates U+DC80..U+DCFF.
    return "".join(
        quote_from_bytes(os.fsencode(character), safe="")
        if character == "%" or not character.isprintable()
        else character
        for character in os.fspath(path)
    )


def path_from_text(text: str) -> Path:
    """The path that `path_to_text` wrote."""
    return Path(os.fsdecode(unquote_to_bytes(text)))


def profile_fits(picture: pyvips.Image) -> bool:
    """Whether an embedded profile is whole and of the picture's kind, by its header (ICC.1, 7.2).

    libvips takes a profile that is not for sRGB without a word.
    """
    if not picture.get_typeof("icc-profile-data"):
        return True
    profile = picture.get("icc-profile-data")
    kind = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}.get(picture.bands)
    whole = len(profile) >= int.from_bytes(profile[:4]) and profile[36:40] == b"acsp"
    return bool(whole and profile[16:20] == kind)


def _array_row(path: Path) -> NDArray[np.uint8] | None:
    """The 8-bit Lab (H, W, 3) of a path that names a row of arrays; None for any other."""
    named = row_name(path)
    if named is None:
        return None
    try:
        return read_row(*named)
    except ArrayError as error:
        raise ImageError(error.reason) from error


def _lab_square(lab8: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """The centred square of 8-bit Lab (H, W, 3) in Lab units, resized as Lab."""
    height, width = lab8.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    lab = decode_lab8(lab8[top : top + side, left : left + side])
    if side != size:
        image = pyvips.Image.new_from_array(lab)
        lab = _decode(lambda: image.resize(size / side, kernel="lanczos3")).copy()
    # Lanczos overshoots at edges, and 8 bits can hold colours that sRGB cannot show.
    np.clip(lab[..., 0], 0, 100, out=lab[..., 0])
    np.clip(lab[..., 1:], -AB_SCALE, AB_SCALE, out=lab[..., 1:])
    return lab


def _lab_to_rgb8(lab: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.rint(lab_to_rgb(lab) * 255).astype(np.uint8)


def _open_regular(path: Path) -> int:
    """A descriptor of a non-empty regular file."""
    try:
        # Without O_NONBLOCK, opening a named pipe waits for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, which cannot even be opened
            raise ImageError("not a regular file") from error
        raise ImageError(f"unreadable: {(error.strerror or str(error)).lower()}") from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size > 0:
        return descriptor
    os.close(descriptor)
    raise ImageError("zero bytes" if stat.S_ISREG(status.st_mode) else "not a regular file")


def _shrink_on_load(image: pyvips.Image, least: int) -> int:
    """The largest factor by which a JPEG's decoder may shrink it, 1 for other formats."""
    if not least or not image.get("vips-loader").startswith("jpegload"):
        return 1
    side = min(image.width, image.height)
    return next((factor for factor in (8, 4, 2) if side >= factor * least), 1)


def _load(descriptor: int, start: bytes, max_pixels: int, **options: Any) -> pyvips.Image:
    if is_jp2(start):
        return _by_pillow(decode_jp2, descriptor, max_pixels)
    if is_heic(start):
        return _by_pillow(decode_heic, descriptor, max_pixels)
    if start.startswith(_PNG_START) and len(start) >= 24:
        # libvips refuses some sizes that PNG can state with the words for a damaged file.
        pixels = int.from_bytes(start[16:20]) * int.from_bytes(start[20:24])
        if pixels > max_pixels:
            raise ImageError(_too_large(pixels, max_pixels))
    source = pyvips.Source.new_from_descriptor(descriptor)
    try:
        # Truncated files decode without a word unless warnings count as errors.
        return pyvips.Image.new_from_source(source, "", fail_on="warning", **options)
    except pyvips.Error as error:
        # libvips' own text may hold what another thread ran into: pyvips' is the one to go by.
        if error.message.startswith("unable to load from source"):
            raise ImageError(_unknown_format(start)) from error
        if start[:2] in (b"II", b"MM") and "labq" in str(error.detail):
            return _by_pillow(decode_lab_tiff, descriptor, max_pixels)
        raise ImageError("truncated or damaged") from error


def _by_pillow(
    decode: Callable[[IO[bytes], Callable[[int], None]], Decoded], descriptor: int, max_pixels: int
) -> pyvips.Image:
    """A picture that Pillow decodes whole, as libvips would have loaded it."""

    def check(pixels: int) -> None:
        if pixels > max_pixels:
            raise ImageError(_too_large(pixels, max_pixels))

    try:
        with open(os.dup(descriptor), "rb") as file:
            file.seek(0)
            decoded = decode(file, check)
    except PillowError as error:
        raise ImageError(error.reason) from error
    deep, bands = decoded.samples.dtype == np.uint16, decoded.samples.shape[2]
    space = ("grey16" if deep else "b-w") if bands < 3 else ("rgb16" if deep else "srgb")
    image = pyvips.Image.new_from_array(decoded.samples).copy(interpretation=space)
    image.set_type(pyvips.GValue.gstr_type, "vips-loader", decoded.loader)
    for field, content in (
        ("icc-profile-data", decoded.profile),
        ("xmp-data", decoded.xmp),
        ("exif-data", decoded.exif),
        (IPTC_FIELD, decoded.iptc),
    ):
        if content:
            image.set_type(pyvips.GValue.blob_type, field, content)
    return image


def _from_float(image: pyvips.Image) -> pyvips.Image:
    """Samples in 0..1 to ushort; this reads the pixels once to see their range."""
    low, high = _range(image)
    if not (low >= 0 and high <= 1):
        raise ImageError(f"floating-point values outside 0..1 ({low:g} to {high:g})")
    space = "grey16" if image.bands < 3 else "rgb16"
    return (image * 65535).rint().cast("ushort").copy(interpretation=space)


def _from_lab(image: pyvips.Image) -> pyvips.Image:
    """L* in 0..100 with a*, b*, as sRGB of 16 bits; this reads the pixels once to see L*."""
    if image.bands != 3:
        raise ImageError(f"format not supported: Lab TIFF of {image.bands} channels")
    low, high = _range(image)
    if not (low >= -128 and high <= 128):
        raise ImageError(f"Lab values outside -128..128 ({low:g} to {high:g})")
    low, high = _range(image.extract_band(0))
    if not (low >= -0.5 and high <= 100.5):
        raise ImageError(f"L* outside 0..100 ({low:g} to {high:g})")
    return image.colourspace("rgb16")


def _range(image: pyvips.Image) -> tuple[float, float]:
    """The least and the greatest sample. ImageError where one is not a finite number."""
    try:
        statistics = image.stats()
    except pyvips.Error as error:
        raise ImageError("truncated or damaged") from error
    low, high, total = (float(statistics(column, 0)[0]) for column in (0, 1, 2))
    if not math.isfinite(total):
        raise ImageError("a sample is not a finite number")
    return low, high


def _to_srgb(image: pyvips.Image, depth: int, path: Path | None = None) -> pyvips.Image:
    """Three bands of sRGB: 8 bits a sample, or for depth 16 as many as the file has.

    With `path`, the log says when the file's colour profile is not used.
    """
    if image.interpretation == "cmyk":
        image = image.extract_band(0, n=4)
    elif image.bands in (2, 4):
        image = image.flatten(background=65535 if image.format == "ushort" else 255)
    elif image.bands > 4:
        raise ImageError(f"{image.bands} channels")
    if image.get_typeof("icc-profile-data"):
        if path is not None and not profile_fits(image):
            log.warning("%s: its colour profile does not fit it and is ignored", path_to_text(path))
        image = _through_profile(image, depth)
    image = image.colourspace("rgb16" if image.format == "ushort" else "srgb")
    if depth == 8 and image.format == "ushort":
        # libvips' own conversion drops the low byte, which is not the nearest value.
        image = (image / 257).rint().cast("uchar").copy(interpretation="srgb")
    return image if image.bands == 3 else image.bandjoin([image, image])


def _through_profile(image: pyvips.Image, depth: int) -> pyvips.Image:
    """Convert by the embedded profile to sRGB; a profile that does not fit is ignored."""
    try:
        return image.icc_transform(
            "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=depth
        )
    except pyvips.Error:
        return image


def _decode(build: Callable[[], pyvips.Image]) -> NDArray[Any]:
    """Evaluate a libvips pipeline to an array (H, W, bands) or (H, W); faults are ImageError."""
    try:
        image = build()
        bands = () if image.bands == 1 else (image.bands,)
        return np.asarray(image.numpy()).reshape(image.height, image.width, *bands)
    except pyvips.Error as error:
        raise ImageError("truncated or damaged") from error


def _unknown_format(start: bytes) -> str:
    for magic, name in _UNSUPPORTED.items():
        if start.startswith(magic):
            return f"format not supported: {name}"
    # A TIFF may have its directory at the end: without it libvips does not know it for one.
    return "truncated or damaged" if start.startswith(TIFF_STARTS) else "not an image"


def _too_large(pixels: int, limit: int) -> str:
    return f"too large: {pixels / 1e6:.0f} MP, limit {limit / 1e6:.0f} MP"
