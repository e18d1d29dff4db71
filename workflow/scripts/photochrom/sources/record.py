"""The record that every source gives for a photograph, and how one is made from a file."""

from dataclasses import dataclass
from pathlib import Path

from photochrom.images import ImageError, open_image, path_to_text
from photochrom.runtime import sha256_file, sha256_text


@dataclass(frozen=True)
class SourceImage:
    """One row of sources.csv, with the columns of tables.SOURCES_COLUMNS in order.

    `path` is as `images.path_to_text` writes it, relative to the working directory for files
    below it, else absolute; `original_name` names the photograph that the picture is a part of;
    `error` is empty, or why the file cannot be used (its width and height are then 0).
    """

    id: str
    path: str
    sha256: str
    width: int
    height: int
    source: str
    original_name: str
    licence: str
    attribution: str
    error: str


def describe(
    path: Path,
    source: str,
    original_name: str,
    id: str | None = None,
    licence: str = "",
    attribution: str = "",
) -> SourceImage:
    """Hash a file and read its header; without `id`, the first 16 digits of its sha256.

    A file that cannot even be read is named by its path instead.
    """
    sha256, error, width, height = "", "", 0, 0
    try:
        image = open_image(path)
        width, height = image.width, image.height
    except ImageError as fault:
        error = fault.reason
    if path.is_file():  # anything else, such as a pipe, might be read for ever
        try:
            sha256 = sha256_file(path)
        except OSError as fault:
            error = error or f"unreadable: {(fault.strerror or str(fault)).lower()}"
    written = path_to_text(_below_working_directory(path))
    return SourceImage(
        id=id or (sha256[:16] if sha256 else f"unread-{sha256_text(written)[:16]}"),
        path=written,
        sha256=sha256,
        width=width,
        height=height,
        source=source,
        original_name=original_name,
        licence=licence,
        attribution=attribution,
        error=error,
    )


def _below_working_directory(path: Path) -> Path:
    """`path` relative to the working directory where it lies below, else absolute."""
    here = Path.cwd()
    absolute = path.resolve() if ".." in path.parts else path.absolute()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
