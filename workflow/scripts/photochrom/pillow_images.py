"""Pictures that libvips as shipped cannot load, decoded by Pillow: JPEG 2000, HEIC, CIELab TIFF.

Each function takes an open file and gives samples with what belongs to them. Sizes are checked by
the header before anything is decoded. Pillow's own classes are called rather than `Image.open`,
whose guess at the format would go by whatever plugins are there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Jpeg2KImagePlugin, TiffImagePlugin

from photochrom.color import lab_to_rgb

# What the first bytes of a JPEG 2000 file and of a bare codestream are.
JP2_STARTS = (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")
# HEIF pictures coded by HEVC; AVIF is libvips' own.
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc")

# The codestream of a JP2 begins after its boxes, of which a colour profile is the largest.
_JP2_HEADER_BYTES = 4 << 20


# Boxes of metadata in JP2 files, by their UUIDs, as Adobe and exiftool write them.
_JP2_UUIDS = {
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "xmp",
    b"JpgTiffExif->JP2": "exif",
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): "iptc",
}
_METADATA_BYTES = 16 << 20


class PillowError(Exception):
    """A picture that cannot be decoded; `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Decoded:
    """Samples, uint8 or uint16 (H, W, bands), upright, and the metadata, each None without."""

    samples: NDArray[Any]
    loader: str
    profile: bytes | None = None
    xmp: bytes | None = None
    exif: bytes | None = None
    iptc: bytes | None = None


def is_jp2(start: bytes) -> bool:
    return start.startswith(JP2_STARTS)


def is_heic(start: bytes) -> bool:
    return start[4:8] == b"ftyp" and start[8:12] in HEIC_BRANDS


def decode_jp2(file: IO[bytes], check: Callable[[int], None]) -> Decoded:
    """A JPEG 2000 picture; `check` gets its pixels and raises when they are too many.

    16-bit grey keeps its 16 bits. Colour of more than 8 bits, of which Pillow keeps only 8, is
    refused. Raises PillowError.
    """
    depths = jp2_depths(file.read(_JP2_HEADER_BYTES))
    file.seek(0)
    # Colour, alpha and signed samples beyond 8 bits come out of Pillow cut down to 8.
    if max(depths) > 8 and (len(depths) > 1 or max(depths) != 16):
        raise PillowError(
            f"format not supported: JPEG 2000 of {len(depths)} x {max(depths)} bits; "
            "convert it to TIFF"
        )
    picture = _load(lambda: Jpeg2KImagePlugin.Jpeg2KImageFile(file), check)
    if picture.mode not in ("L", "LA", "RGB", "RGBA", "I;16"):
        raise PillowError(f"format not supported: JPEG 2000 of kind {picture.mode}")
    file.seek(0)
    found = _jp2_metadata(file)
    return Decoded(
        _samples(picture),
        "pillow-jpeg2000",
        picture.info.get("icc_profile"),
        xmp=found.get("xmp"),
        exif=_upright(found.get("exif")),
        iptc=found.get("iptc"),
    )


def decode_heic(file: IO[bytes], check: Callable[[int], None]) -> Decoded:
    """A HEIC picture, turned as its own properties say (its EXIF orientation only repeats them).

    More than 8 bits come as 16. Raises PillowError.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise PillowError("format not supported: HEIC; install pillow-heif") from error

    try:
        container = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    except (ValueError, OSError, SyntaxError, RuntimeError, EOFError) as error:
        raise PillowError("truncated or damaged") from error
    if len(container) > 1:
        raise PillowError(f"multi-page: {len(container)} pages or frames")
    picture = container[0]
    check(picture.size[0] * picture.size[1])
    try:
        samples = np.array(picture)  # decodes
    except (ValueError, OSError, SyntaxError, RuntimeError, EOFError) as error:
        raise PillowError("truncated or damaged") from error
    samples = samples.reshape(*samples.shape[:2], -1)
    info: dict[str, Any] = picture.info
    return Decoded(
        samples, "pillow-heif", info.get("icc_profile"), info.get("xmp"), _upright(info.get("exif"))
    )


def decode_lab_tiff(file: IO[bytes], check: Callable[[int], None]) -> Decoded:
    """An 8-bit CIELab TIFF as sRGB, uint16, so that no step of its L* is lost.

    L* is the file's own. Its white (D50 as a rule) is taken for the white of sRGB. Raises
    PillowError.
    """
    picture = _load(lambda: TiffImagePlugin.TiffImageFile(file), check)
    if getattr(picture, "n_frames", 1) > 1:
        raise PillowError(f"multi-page: {picture.n_frames} pages or frames")
    if picture.mode != "LAB":
        raise PillowError(f"format not supported: Lab TIFF of kind {picture.mode}")
    encoded = np.asarray(picture)
    rgb = np.empty(encoded.shape, np.uint16)
    for top in range(0, len(encoded), 256):  # a strip at a time: float64 takes eight times as much
        strip = encoded[top : top + 256]
        # Pillow gives the bytes of the file, whose a* and b* are signed.
        L, ab = strip[..., :1] / 2.55, np.ascontiguousarray(strip[..., 1:]).view(np.int8)
        lab = np.concatenate([L, ab], axis=-1)
        rgb[top : top + 256] = np.rint(np.clip(lab_to_rgb(lab), 0, 1) * 65535)
    return Decoded(rgb, "pillow-lab-tiff")


def jp2_depths(header: bytes) -> list[int]:
    """Bits of each component, by the SIZ segment of the codestream (ISO 15444-1, A.5.1)."""
    start = header.find(b"\xff\x4f\xff\x51")
    count = int.from_bytes(header[start + 40 : start + 42])
    depths = [(byte & 0x7F) + 1 for byte in header[start + 42 : start + 42 + 3 * count : 3]]
    if start < 0 or not depths:
        raise PillowError("truncated or damaged")
    return depths


def _jp2_metadata(file: IO[bytes]) -> dict[str, bytes]:
    """XMP, EXIF and IIM records in the boxes of a JP2 file (ISO 15444-1, annex I); else nothing."""
    found: dict[str, bytes] = {}
    if file.read(12) != b"\x00\x00\x00\x0cjP  \r\n\x87\n":
        return found
    while len(head := file.read(8)) == 8:
        size, kind = int.from_bytes(head[:4]), head[4:]
        left = size - 8
        if size == 1:  # a long box
            left = int.from_bytes(file.read(8)) - 16
        if left < 0:  # 0: up to the end of the file; or damaged
            break
        name = _JP2_UUIDS.get(file.read(16)) if kind == b"uuid" and left >= 16 else None
        left -= 16 if kind == b"uuid" and left >= 16 else 0
        if name and left <= _METADATA_BYTES:
            found[name] = file.read(left)
        else:
            file.seek(left, 1)
    return found


def _load(build: Callable[[], Any], check: Callable[[int], None]) -> Any:
    try:
        picture = build()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PillowError("truncated or damaged") from error
    check(picture.width * picture.height)
    try:
        picture.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PillowError("truncated or damaged") from error
    return picture


def _upright(exif: bytes | None) -> bytes | None:
    """EXIF that does not ask to turn the picture (again); None where it cannot be read.

    Changed is that one number: written anew by Pillow, text that is not ASCII would be lost.
    """
    if not exif:
        return None
    found = first_directory(exif)
    if found is None:
        return None
    order, first, entries = found
    data = bytearray(exif)
    for place in range(first + 2, first + 2 + 12 * entries, 12):
        if int.from_bytes(data[place : place + 2], order) == ExifTags.Base.Orientation:
            data[place + 8 : place + 10] = (1).to_bytes(2, order)
    return bytes(data)


def first_directory(exif: bytes) -> tuple[Literal["little", "big"], int, int] | None:
    """Byte order, offset and number of entries of EXIF's first directory (TIFF 6.0, section 2).

    None where that is no EXIF, or cut short before the link to the next directory.
    """
    start = 6 if exif.startswith(b"Exif\0\0") else 0
    if exif[start : start + 4] not in (b"II*\0", b"MM\0*"):
        return None
    order: Literal["little", "big"] = "little" if exif[start : start + 2] == b"II" else "big"
    first = start + int.from_bytes(exif[start + 4 : start + 8], order)
    entries = int.from_bytes(exif[first : first + 2], order)
    return None if first + 2 + 12 * entries + 4 > len(exif) else (order, first, entries)


def _samples(picture: Any) -> NDArray[Any]:
    samples = np.asarray(picture)
    return samples.reshape(picture.height, picture.width, -1)
