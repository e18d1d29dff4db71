"""A zip or tar of photographs: every member a row, usable ones unpacked (see `containers`)."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from photochrom.containers import (
    SUFFIXES,
    ContainerError,
    Member,
    is_container,
    members,
    store_content,
)
from photochrom.images import path_to_text
from photochrom.runtime import StageError, progress, sha256_text
from photochrom.sources.record import SourceImage, below_working_directory, describe, unusable

NESTED = "an archive in the source, not opened: name it in data.sources itself"


def list_members(path: Path, images_dir: Path, source: str) -> Iterator[SourceImage]:
    """Every file in the archive `path`, in the archive's order; usable ones are unpacked.

    They go to a folder of their own below `images_dir`; what an earlier run left there and this
    one did not is removed. `original_name` is the member's name. Raises StageError when `path` is
    neither a zip nor a tar, nor called like one (which then is a damaged one).
    """
    if not is_container(path) and not path.name.lower().endswith(SUFFIXES):
        raise StageError(
            f"data.sources: {path} is neither a folder nor a zip or tar; mend its path"
        )
    written = path_to_text(below_working_directory(path))
    store = images_dir / _store_name(path)
    kept: set[str] = set()
    try:
        for member in progress(members(path), None, f"reading {path}"):
            image = _unpack(member, store, source, written)
            if not image.error:
                kept.add(Path(image.path).name)
            yield image
    except ContainerError as fault:
        yield unusable(written, source, path_to_text(Path(path.name)), fault.reason)
    if store.is_dir():
        for file in store.iterdir():
            if file.name not in kept:
                file.unlink()
    os.sync()  # once for thousands of small files, each of which would take milliseconds


def _unpack(member: Member, store: Path, source: str, container: str) -> SourceImage:
    """The row of a member; its content is in `store` when it can be used."""
    name = path_to_text(Path(member.name))
    error, digest = member.error, ""
    if not error:
        try:
            file, digest = store_content(member, store)
        except ContainerError as fault:
            error = fault.reason
    if not error:
        image = describe(file, source, name, sha256=digest)
        if not image.error:
            return image
        error = NESTED if image.error == "not an image" and is_container(file) else image.error
        file.unlink()
    return unusable(f"{container}#{name}", source, name, error, digest)


def _store_name(path: Path) -> str:
    """A folder name for what an archive holds: readable, and told apart by the path."""
    written = path_to_text(path)
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", path.name)[:60].lstrip(".")
    return f"{plain}-{sha256_text(written)[:8]}"
