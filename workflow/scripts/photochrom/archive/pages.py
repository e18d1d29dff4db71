"""Originals of several pages, TIFF or PDF: each page becomes a file, like a member of a zip.

A page of a TIFF is written anew, its samples unchanged, with its profile, resolution, XMP and IPTC;
its other tags stay where they are, which is said. A page of a PDF is a scan if there is a picture
on it, and is rendered at the resolution of its largest one (needs the package pypdfium2).
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyvips

from photochrom.images import MAX_PIXELS, ImageError, png_bytes, tiff_pages
from photochrom.runtime import sha256_file

PDF_START = b"%PDF"
POINTS_AN_INCH = 72
# A scan's least and greatest dots an inch: beyond, a page's size or a picture's place is not meant.
DOTS = (50, 2400)
MILLIMETRES_AN_INCH = 25.4


@dataclass(frozen=True)
class Page:
    """A page that was unpacked: its file with its digest; or else the reason why it was not.

    `fault` tells a page that cannot be read from one on which there is no scan.
    """

    name: str
    number: int
    count: int
    file: Path | None = None
    sha256: str = ""
    detail: str = ""
    fault: bool = True


def unpacked(path: Path, kind: str, store: Path) -> Iterator[Page]:
    """The pages of a TIFF or PDF (`kind` tiff or pdf), unpacked to `store`; none of a lone TIFF.

    Raises ImageError for a PDF that cannot be opened, or without the package for it.
    """
    yield from _of_pdf(path, store) if kind == "pdf" else _of_tiff(path, store)


def _of_tiff(path: Path, store: Path) -> Iterator[Page]:
    numbers = tiff_pages(path)
    if len(numbers) < 2:
        return
    for place, number in enumerate(numbers, start=1):
        page = (f"page-{place:03}.tif", place, len(numbers))
        try:
            stored = _stored(partial(_write_page, path, number), ".tif", store)
        except (pyvips.Error, ImageError) as error:
            words = error.reason if isinstance(error, ImageError) else "truncated or damaged"
            yield Page(*page, detail=words)
            continue
        yield Page(*page, *stored, "its EXIF stays there")


def _write_page(path: Path, number: int, file: BinaryIO) -> None:
    # Descriptors, because libvips takes no name that is not UTF-8.
    with path.open("rb") as original:
        source = pyvips.Source.new_from_descriptor(original.fileno())
        picture = pyvips.Image.tiffload_source(source, page=number, fail_on="warning")
        if picture.width * picture.height > MAX_PIXELS:
            raise ImageError(f"too large: {picture.width} x {picture.height}")
        target = pyvips.Target.new_to_descriptor(file.fileno())
        picture.tiffsave_target(target, compression="deflate", bigtiff=True)


def _of_pdf(path: Path, store: Path) -> Iterator[Page]:
    try:
        import pypdfium2
    except ImportError as error:
        raise ImageError("format not supported: PDF; install the extras with: make extras") from (
            error
        )
    try:
        document = pypdfium2.PdfDocument(os.fspath(path))
        count = len(document)
    except pypdfium2.PdfiumError as error:
        raise ImageError("a PDF that is damaged or locked by a password") from error
    with document:
        for number in range(1, count + 1):
            page = (f"page-{number:03}.png", number, count)
            try:
                shown = document[number - 1]
                dots = _dots_of(shown, pypdfium2.raw.FPDF_PAGEOBJ_IMAGE)
                if dots is None:
                    yield Page(*page, detail="no picture on it", fault=False)
                    continue
                width, height = (side * dots / POINTS_AN_INCH for side in shown.get_size())
                if width * height > MAX_PIXELS:
                    yield Page(*page, detail=f"too large: {width:.0f} x {height:.0f}")
                    continue
                # A hair less, because sizes are rounded up: 90.00001 pixels are 90.
                scale = dots / POINTS_AN_INCH * (1 - 1e-6)
                pixels = shown.render(scale=scale, rev_byteorder=True).to_numpy()
            except pypdfium2.PdfiumError:
                yield Page(*page, detail="truncated or damaged")
                continue
            content = png_bytes(pixels.copy(), dots / MILLIMETRES_AN_INCH)
            stored = _stored(partial(_write, content), ".png", store)
            yield Page(*page, *stored, f"rendered at {dots:.0f} dpi")


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _dots_of(page: Any, picture: int) -> float | None:
    """Dots an inch of the picture that has most of them; None without a picture."""
    found = []
    for each in page.get_objects(filter=[picture], max_depth=8):
        left, bottom, right, top = each.get_bounds()
        if right > left and top > bottom:
            across, down = each.get_px_size()
            dots = max(across / (right - left), down / (top - bottom)) * POINTS_AN_INCH
            found.append((across * down, min(max(dots, DOTS[0]), DOTS[1])))
    return max(found)[1] if found else None


def _stored(write: Callable[[BinaryIO], None], suffix: str, store: Path) -> tuple[Path, str]:
    """What `write` writes to a file, called by its digest as by `containers.store_content`."""
    store.mkdir(parents=True, exist_ok=True)
    temporary = store / f"unpacking.{os.getpid()}.tmp"
    try:
        with temporary.open("w+b") as file:  # libvips' TIFF writer reads what it wrote
            write(file)
        digest = sha256_file(temporary)
        final = store / f"{digest}{suffix}"
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
    return final, digest
