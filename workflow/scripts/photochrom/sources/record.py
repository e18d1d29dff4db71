"""The record that every source gives for a photograph, and how one is made from a file."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from photochrom.images import ImageError, open_image, path_to_text
from photochrom.runtime import sha256_file, sha256_text


@dataclass(frozen=True)
class SourceImage:
    """One row of sources.csv, with the columns of tables.SOURCES_COLUMNS in order.

    `path` is as `images.path_to_text` writes it, relative to the working directory for files
    below it, else absolute; `original_name` names the photograph that the picture is a part of;
    `error` is empty, or why the file cannot be used (its width and height are then 0); `part` is
    the portion of a set made to be trained on in phases; `subject` is what the picture shows, in
    the words of its list, or empty.
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
    part: int = 1
    subject: str = ""


def describe(
    path: Path,
    source: str,
    original_name: str,
    id: str | None = None,
    licence: str = "",
    attribution: str = "",
    sha256: str = "",
) -> SourceImage:
    """Read a file's header, and hash it unless its `sha256` is given.

    Without `id`, the first 16 digits of the sha256 are the id; a file that cannot even be read is
    named by its path instead.
    """
    error, width, height = "", 0, 0
    try:
        image = open_image(path)
        width, height = image.width, image.height
    except ImageError as fault:
        error = fault.reason
    if not sha256 and os.path.isfile(path):  # anything else, such as a pipe, might be read for ever
        try:
            sha256 = sha256_file(path)
        except OSError as fault:
            error = error or f"unreadable: {(fault.strerror or str(fault)).lower()}"
    written = path_to_text(below_working_directory(path))
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


def unusable(
    place: str,
    source: str,
    original_name: str,
    error: str,
    sha256: str = "",
    licence: str = "",
    attribution: str = "",
) -> SourceImage:
    """The row of what never became a file: `place` says where it is (an address, a member)."""
    return SourceImage(
        id=sha256[:16] or f"unread-{sha256_text(place)[:16]}",
        path=place,
        sha256=sha256,
        width=0,
        height=0,
        source=source,
        original_name=original_name,
        licence=licence,
        attribution=attribution,
        error=error,
    )


def fault_kind(error: str) -> str:
    """What faults of one kind have in common: figures and names stand behind : ; or (."""
    return re.split(r"[:;(]", error)[0].strip()


def below_working_directory(path: Path) -> Path:
    """`path` relative to the working directory where it lies below, else absolute."""
    here = Path.cwd()
    absolute = path.resolve() if ".." in path.parts else path.absolute()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
