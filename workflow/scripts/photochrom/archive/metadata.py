"""An original's EXIF and IPTC in its derivative: what is copied, and what could not come along.

libvips carries XMP in every format, but IPTC only from JPEG to JPEG in full, and from TIFF next to
nothing of EXIF. exiftool, a program of its own, copies the rest where it is installed. Whatever is
still missing is listed by name, so that nothing is lost in silence.

EXIF names are those of the standard (JEITA CP-3451), IPTC names those of IIM 4.2. What a JPEG's
XMP has beyond its first segment (XMP specification 3, 1.1.3.1) is never carried, and listed.
"""

import io
import os
import select
import shutil
import struct
import subprocess
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

import pyvips
from PIL import ExifTags, Image, TiffTags

from photochrom.images import IPTC_FIELD

# Copy(source, target) gives the tags of one file to another, and returns what exiftool complains
# of, or nothing.
Copy = Callable[[Path, Path], str]

# What exiftool copies but for what is written by ourselves (XMP, profile, resolution) and what
# describes the original's own pixels and would be false of the derivative's.
_ARGUMENTS = (
    *("-overwrite_original", "-m", "-TagsFromFile", "{source}", "-all:all"),
    *("--XMP:all", "--ICC_Profile:all", "--IFD1:all", "--SubIFD:all", "--InteropIFD:all"),
    *("--Orientation", "--ColorSpace", "--Gamma", "--TransferFunction", "--PreviewImage"),
    "--ThumbnailImage",
    *("--XResolution", "--YResolution", "--ResolutionUnit", "--JFIF:all", "--Photoshop:all"),
    *("--ExifImageWidth", "--ExifImageHeight", "{target}", "-execute"),
)
_READY = b"{ready}\n"
_FINE = ("1 image files updated", "1 image files unchanged")
# Seconds for one file. exiftool rewrites a derivative of 100 megapixels in about five.
_PATIENCE = 120.0

# Tags that say how pixels are stored, or what has a place of its own (XMP, profile, IPTC,
# previews): TIFF 6.0, EXIF 2.32.
_STRUCTURE = frozenset(
    (
        *(*range(254, 260), 262, 263, 264, 265, 266, *range(273, 285), *range(288, 293), 296, 297),
        *(301, *range(317, 348), *range(512, 533), 700, 0x8649, 0x8769, 0x8773, 0x8825, 33723),
        *(0x9000, 0x9101, 0x9102, 0xA000, 0xA001, 0xA002, 0xA003, 0xA005, 0xA500, 0xEA1C),
        *(0xC61A, 0xC61D, 0xC640, 0xC68E),
    )
)
# IIM 4.2, record 2 (application), the datasets that archives use.
_IPTC = {
    **{3: "ObjectTypeReference", 4: "ObjectAttributeReference", 5: "ObjectName", 7: "EditStatus"},
    **{10: "Urgency", 12: "SubjectReference", 15: "Category", 20: "SupplementalCategories"},
    **{22: "FixtureIdentifier", 25: "Keywords", 26: "ContentLocationCode"},
    **{27: "ContentLocationName", 40: "SpecialInstructions", 55: "DateCreated", 60: "TimeCreated"},
    **{62: "DigitalCreationDate", 63: "DigitalCreationTime", 65: "OriginatingProgram"},
    **{70: "ProgramVersion", 80: "By-line", 85: "By-lineTitle", 90: "City", 92: "Sub-location"},
    **{
        95: "Province-State",
        100: "Country-PrimaryLocationCode",
        101: "Country-PrimaryLocationName",
    },
    **{103: "OriginalTransmissionReference", 105: "Headline", 110: "Credit", 115: "Source"},
    **{116: "CopyrightNotice", 118: "Contact", 120: "Caption-Abstract", 122: "Writer-Editor"},
}
_MAX_IPTC_BYTES = 1 << 24
# How the segments of a JPEG begin that go on with its XMP.
_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
# The character set and the version of a record are part of how it is stored.
_IPTC_STRUCTURE = {(1, 0), (1, 90), (2, 0)}


@contextmanager
def tag_copier() -> Iterator[Copy | None]:
    """exiftool, started at its first use and kept running for many files; None where it is not.

    One process for all files, because starting it costs more than a small picture's colours.
    """
    program = shutil.which("exiftool")
    if program is None:
        yield None
        return
    process: subprocess.Popen[bytes] | None = None
    with tempfile.TemporaryDirectory(prefix="photochrom-") as scratch:
        # Originals may have any name, but exiftool takes its arguments line by line.
        link = Path(scratch) / "original"

        def copy(source: Path, target: Path) -> str:
            nonlocal process
            if "\n" in os.fspath(target.absolute()):
                return "exiftool takes no output folder with a line break in its name"
            if process is None:
                process = _start(program)
            link.unlink(missing_ok=True)
            link.symlink_to(source.absolute())
            names = {"{source}": os.fspath(link), "{target}": os.fspath(target.absolute())}
            try:
                said = _ask(process, [names.get(word, word) for word in _ARGUMENTS])
            except (OSError, TimeoutError) as error:  # killed, or for ever at one file
                process.kill()
                process.wait()
                process = None
                with suppress(FileNotFoundError):
                    target.with_name(target.name + "_exiftool_tmp").unlink()
                return f"exiftool: {error}"
            if any(line.strip() in _FINE for line in said):
                return ""
            return "exiftool: " + (said[0].split(" - ")[0] if said else "no answer")

        try:
            yield copy
        finally:
            if process is not None:
                with suppress(OSError):
                    process.communicate(b"-stay_open\nFalse\n", timeout=10)
                process.kill()
                process.wait()


@cache
def exiftool_version() -> str | None:
    """What `exiftool -ver` says, or None where it is not installed."""
    program = shutil.which("exiftool")
    if program is None:
        return None
    done = subprocess.run([program, "-ver"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _start(program: str) -> "subprocess.Popen[bytes]":
    # In a group of its own: Ctrl-C is for us, who then end it.
    return subprocess.Popen(
        [program, "-stay_open", "True", "-@", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )


def _ask(process: "subprocess.Popen[bytes]", words: list[str]) -> list[str]:
    """The lines that exiftool answers. Raises OSError when it is gone, TimeoutError when stuck."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"".join(os.fsencode(word) + b"\n" for word in words))
    process.stdin.flush()
    answer = b""
    deadline = time.monotonic() + _PATIENCE
    while not answer.endswith(_READY):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            raise TimeoutError(f"no answer within {_PATIENCE:.0f} s")
        read = os.read(process.stdout.fileno(), 65536)
        if not read:
            raise OSError("it ended")
        answer += read
    return answer.removesuffix(_READY).decode("utf-8", "replace").splitlines()


def lost_tags(source: Path, scan: pyvips.Image, derivative: Path) -> list[str]:
    """The names of the original's tags that the derivative has not, or not as often; sorted.

    `scan` is the original opened, whose fields hold the metadata of every format but TIFF.
    """
    before = tags_of(source, scan)
    descriptor = os.open(derivative, os.O_RDONLY | os.O_CLOEXEC)
    try:
        made = pyvips.Image.new_from_source(pyvips.Source.new_from_descriptor(descriptor), "")
        after = tags_of(derivative, made)
    finally:
        os.close(descriptor)
    return sorted((before - after).keys())


def tags_of(path: Path, picture: pyvips.Image) -> "Counter[str]":
    """How often a picture has each tag of EXIF and IPTC, as `IFD0:Artist`, `IPTC:Keywords`."""
    loader = picture.get("vips-loader")
    found: Counter[str] = Counter()
    try:
        with warnings.catch_warnings(action="ignore"):  # Pillow's, of what it passes over
            if loader.startswith("jpegload"):
                with path.open("rb") as file:
                    found += _jpeg_tags(file)
            if loader.startswith("tiffload"):
                with path.open("rb") as file:
                    found += _exif_tags(_exif_of_tiff(file))
                    found += _iptc_tags(_iptc_of_tiff(file))
            else:
                if picture.get_typeof("exif-data"):
                    exif = Image.Exif()
                    exif.load(picture.get("exif-data"))
                    found += _exif_tags(exif)
                found += _iptc_tags(_iptc_block(picture))
    # What Pillow and struct raise on directories that are damaged.
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, struct.error):
        found["EXIF that cannot be read"] += 1
    return found


def _jpeg_tags(file: BinaryIO) -> "Counter[str]":
    """What stands in segments of its own: comments, and XMP beyond the first segment."""
    found: Counter[str] = Counter()
    file.seek(2)
    while len(head := file.read(4)) == 4 and head[0] == 0xFF:
        marker, size = head[1], int.from_bytes(head[2:]) - 2
        if marker == 0xFF:  # filling
            file.seek(-3, os.SEEK_CUR)
            continue
        if marker in (0xDA, 0xD9) or size < 0:  # the picture itself
            break
        start = file.read(min(size, len(_MORE_XMP)))
        file.seek(size - len(start), os.SEEK_CUR)
        found["JPEG:Comment"] += marker == 0xFE
        if marker == 0xE1 and start == _MORE_XMP:
            found["XMP:HasExtendedXMP"] = 1
    return +found


def _exif_tags(exif: Image.Exif) -> "Counter[str]":
    directories = (
        ("IFD0", dict(exif), ExifTags.TAGS),
        ("ExifIFD", exif.get_ifd(0x8769), ExifTags.TAGS),
        ("GPS", exif.get_ifd(0x8825), ExifTags.GPSTAGS),
    )
    found: Counter[str] = Counter()
    for group, tags, names in directories:
        for tag in tags:
            if group == "GPS" or tag not in _STRUCTURE:
                plain = names.get(tag) or TiffTags.lookup(tag).name
                name = f"0x{tag:04x}" if plain == "unknown" else plain
                # GPSVersionID is no finding, but the sign that others may follow.
                if (group, tag) != ("GPS", 0):
                    found[f"{group}:{name}"] += 1
    return found


def _tiff_start(file: BinaryIO) -> tuple[bytes, int]:
    """A TIFF's header, and where its first directory lies."""
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    if head[2:4] in (b"+\0", b"\0+"):  # BigTIFF
        return head, int(struct.unpack_from(order + "Q", head, 8)[0])
    return head[:8], int(struct.unpack_from(order + "I", head, 4)[0])


def _exif_of_tiff(file: BinaryIO) -> Image.Exif:
    head, first = _tiff_start(file)
    exif = Image.Exif()
    exif.bigtiff = len(head) == 16
    exif.endian = "<" if head[:2] == b"II" else ">"
    exif.load_from_fp(file, first)
    return exif


def _iptc_of_tiff(file: BinaryIO) -> bytes:
    """The IIM records in a TIFF's tag 33723: its bytes, whatever type a writer gave them."""
    head, first = _tiff_start(file)
    order = "<" if head[:2] == b"II" else ">"
    count, entry = ("Q", "HHQ8s") if len(head) == 16 else ("H", "HHI4s")
    file.seek(first)
    (entries,) = struct.unpack(order + count, file.read(struct.calcsize(order + count)))
    for _ in range(min(entries, 65536)):
        tag, kind, number, value = struct.unpack(
            order + entry, file.read(struct.calcsize(order + entry))
        )
        if tag == 33723:
            size = number * {3: 2, 4: 4, 13: 4}.get(kind, 1)
            if size <= len(value):
                return bytes(value[:size])
            file.seek(int.from_bytes(value, "little" if order == "<" else "big"))
            return file.read(min(size, _MAX_IPTC_BYTES))
    return b""


def _iptc_block(picture: pyvips.Image) -> bytes:
    """The IIM records of a JPEG, WebP, PNG or JPEG 2000."""
    data = b""
    if picture.get_typeof(IPTC_FIELD):
        return bytes(picture.get(IPTC_FIELD))
    if picture.get_typeof("iptc-data"):
        data = picture.get("iptc-data")
    for field in picture.get_fields():
        # As exiftool and ImageMagick store it in PNG: a type, a length, and hexadecimal digits.
        if field.startswith("png-comment-") and field.endswith("Raw profile type iptc"):
            data = bytes.fromhex("".join(picture.get(field).splitlines()[3:]))
    data = data.removeprefix(b"Photoshop 3.0\0")
    return _resource(data, 0x0404) if data.startswith(b"8BIM") else data


def _resource(data: bytes, wanted: int) -> bytes:
    """One image resource of a Photoshop block, or nothing."""
    at = 0
    while data[at : at + 4] == b"8BIM":
        number, name = struct.unpack_from(">HB", data, at + 4)
        at += 6 + (name + 2) // 2 * 2
        (size,) = struct.unpack_from(">I", data, at)
        if number == wanted:
            return data[at + 4 : at + 4 + size]
        at += 4 + (size + 1) // 2 * 2
    return b""


def _iptc_tags(data: bytes) -> "Counter[str]":
    found: Counter[str] = Counter()
    stream = io.BytesIO(data)
    while len(head := stream.read(5)) == 5 and head[0] == 0x1C:
        record, dataset, size = head[1], head[2], int.from_bytes(head[3:5])
        if size & 0x8000:  # the length of the length
            size = int.from_bytes(stream.read(size & 0x7FFF))
        if stream.seek(size, os.SEEK_CUR) > len(data):
            break  # cut short: this one is not there
        if (record, dataset) not in _IPTC_STRUCTURE:
            name = _IPTC.get(dataset) if record == 2 else None
            found[f"IPTC:{name or f'{record}:{dataset}'}"] += 1
    return found
