"""A folder of photographs, searched to any depth, or a zip or tar of one."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from photochrom.containers import is_container
from photochrom.images import path_to_text
from photochrom.runtime import StageError, progress
from photochrom.sources import container
from photochrom.sources.lists import credited
from photochrom.sources.record import (
    SourceImage,
    below_working_directory,
    describe,
    unusable,
)


def list_images(source: dict[str, Any], images_dir: Path) -> Iterator[SourceImage]:
    """Every file below the folder `source["path"]`, or in the zip or tar of that name.

    A folder's files stay where they are, and come in the order of their names' bytes. Hidden files
    and folders are passed over; whatever else is there is a row, usable or not. Links to files are
    followed. Links to folders are not, so that no loop can trap; they are rows, as are folders
    that cannot be listed. A zip or tar is unpacked below
    `images_dir` (see `container`). `source["manifest"]`, a table, may state licences and
    attributions (see `lists.credited`).
    """
    if not source.get("path"):
        raise StageError("data.sources: a source of kind folder needs a path, such as photos/")
    root = Path(source["path"]).expanduser()
    label = f"folder:{path_to_text(root)}"
    if root.is_dir():
        images = _list_folder(root, label)
    elif root.is_file():
        images = container.list_members(root, images_dir, label)
    else:
        raise StageError(f"data.sources: the folder {root} does not exist; mend its path")
    if source.get("manifest"):
        images = credited(images, Path(source["manifest"]).expanduser())
    yield from images


def _list_folder(root: Path, source: str) -> Iterator[SourceImage]:
    found = sorted(_files(root), key=lambda each: os.fsencode(each[0]))
    for path, error in progress(found, len(found), f"reading {root}"):
        name = path_to_text(path.relative_to(root))
        if error:
            place = path_to_text(below_working_directory(path))
            yield unusable(place, source, name, error)
            continue
        image = describe(path, source, name)
        if image.error == "not an image" and is_container(path):
            image = dataclasses.replace(image, error=container.NESTED)
        yield image


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    """Every path below `root` that is no folder, or a folder that is not entered and why not."""
    faults: list[OSError] = []
    for folder, subfolders, names in os.walk(root, onerror=faults.append):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in subfolders:
            if os.path.islink(os.path.join(folder, name)):
                yield Path(folder, name), "a link to a folder, not followed"
        yield from ((Path(folder, name), "") for name in names if not name.startswith("."))
    for fault in faults:
        reason = (fault.strerror or str(fault)).lower()
        if Path(fault.filename) == root:
            raise StageError(f"data.sources: cannot list {root}: {reason}; make it readable")
        yield Path(fault.filename), f"unreadable: {reason}"
