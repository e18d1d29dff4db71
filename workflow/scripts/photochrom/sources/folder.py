"""A folder of photographs, searched to any depth."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from photochrom.images import path_to_text
from photochrom.runtime import StageError, log, progress
from photochrom.sources.record import SourceImage, describe


def list_images(source: dict[str, Any], images_dir: Path) -> Iterator[SourceImage]:
    """Every file below `source["path"]`, in the order of the names' bytes.

    Files stay where they are. Hidden files and folders are passed over; whatever else is a file
    is a row, usable or not. Links to files are followed. Links to folders are not, so that no
    loop can trap, and each is named in the log.
    """
    if not source.get("path"):
        raise StageError("data.sources: a source of kind folder needs a path, such as photos/")
    root = Path(source["path"]).expanduser()
    if not root.is_dir():
        raise StageError(f"data.sources: the folder {root} does not exist; mend its path")
    paths = sorted(_files(root), key=os.fsencode)
    for path in progress(paths, len(paths), f"reading {root}"):
        name = path_to_text(path.relative_to(root))
        yield describe(path, f"folder:{path_to_text(root)}", name)


def _files(root: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise StageError(
            f"data.sources: cannot list {error.filename}: {error.strerror}; make it readable or "
            "move it elsewhere"
        ) from error

    for folder, subfolders, names in os.walk(root, onerror=refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in subfolders:
            if Path(folder, name).is_symlink():
                log.warning("%s links to a folder and is not followed", Path(folder, name))
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".") and (path.is_file() or path.is_symlink()):
                yield path
