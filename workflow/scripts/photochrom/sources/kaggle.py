"""The Kaggle set shravankumar9892/image-colorization: 25,000 photographs as arrays of 8-bit Lab.

The arrays are read where they lie (see `photochrom.lab_arrays`); each row is a picture, named
`.../ab/ab/ab1.npy#123`. Its three colour arrays are the parts 1, 2 and 3 that phases train on.

The photographs come from MIRFLICKR-25K, which is Creative Commons with attribution required, but
the arrays carry neither names nor the licence of each: licence and attribution say so.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from photochrom.images import path_to_text
from photochrom.lab_arrays import (
    COLOUR,
    LIGHTNESS,
    ArrayError,
    Part,
    read_parts,
    read_row,
    row_path,
    row_sha256,
)
from photochrom.runtime import EXIT_MISSING, StageError, log, progress
from photochrom.sources.record import SourceImage, below_working_directory

DATASET = "shravankumar9892/image-colorization"
LICENCE = "Creative Commons, attribution required; the licence of each photograph is not in the set"
ATTRIBUTION = (
    "photographers not named in the set; MIRFLICKR-25K (press.liacs.nl/mirflickr) by way of "
    f"kaggle.com/datasets/{DATASET}"
)
# The same two ways as in workflow/rules/preflight.py, which asks before any job starts.
CREDENTIALS = (
    "give your Kaggle credentials in one of two ways: the environment variables KAGGLE_USERNAME "
    "and KAGGLE_KEY, or the file ~/.kaggle/kaggle.json from kaggle.com/settings; or download the "
    "set by other means and name its folder: {kind: kaggle, path: FOLDER}"
)


def list_images(source: dict[str, Any], images_dir: Path) -> Iterator[SourceImage]:
    """Every row of the arrays, part by part; an array that cannot be used is one row.

    `source["path"]` is a folder with the layout of `photochrom.lab_arrays`; without one the set
    is taken from kagglehub's cache, where it is downloaded to when it is not there yet.
    """
    folder = Path(source["path"]).expanduser() if source.get("path") else downloaded()
    if not (folder / LIGHTNESS).exists():
        raise StageError(
            f"data.sources: {folder} is not the Kaggle set: there is no {LIGHTNESS} in it; name "
            f"the folder that holds {LIGHTNESS} and {COLOUR[1].parent}/"
        )
    try:
        parts = read_parts(folder)
    except ArrayError as error:
        log.warning("%s cannot be used: %s", folder / LIGHTNESS, error.reason)
        yield _unusable(folder / LIGHTNESS, 1, error.reason)
        return
    for part in parts:
        if part.error:
            log.warning("%s cannot be used: %s", part.path, part.error)
            yield _unusable(part.path, part.number, part.error)
        for row in progress(range(part.rows), part.rows, f"reading {part.path}"):
            yield _picture(folder, part, row)


def downloaded() -> Path:
    """The folder of the set in kagglehub's cache, downloaded when no version is there yet."""
    cached = cached_version()
    if cached is not None:
        return cached
    try:
        import kagglehub
    except ImportError as error:
        raise StageError(
            "the source kaggle needs the package kagglehub: python -m pip install kagglehub; or "
            "name a copy on disk: {kind: kaggle, path: FOLDER}",
            EXIT_MISSING,
        ) from error
    log.info("downloading %s (3.8 GB) to kagglehub's cache", DATASET)
    try:
        return Path(kagglehub.dataset_download(DATASET))
    except Exception as error:  # kagglehub raises those of requests, zipfile and its own
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StageError(
            f"cannot download {DATASET} from Kaggle ({why}); see that the network is up and "
            f"{CREDENTIALS}",
            EXIT_MISSING,
        ) from error


def cached_version() -> Path | None:
    """The newest complete version of the set in kagglehub's cache.

    kagglehub itself asks the network which version is current, even for a set that is there; data
    that change by themselves are nothing to train on.
    """
    home = os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub"
    base = Path(home, "datasets", *DATASET.split("/"))
    versions = [
        int(marker.stem)
        for marker in base.glob("*.complete")
        if marker.stem.isdigit() and (base / "versions" / marker.stem).is_dir()
    ]
    return base / "versions" / str(max(versions)) if versions else None


def _picture(folder: Path, part: Part, row: int) -> SourceImage:
    error, sha256 = "", ""
    try:
        sha256 = row_sha256(read_row(folder, part.number, row))
    except ArrayError as fault:
        error = fault.reason
    path = row_path(part, row)
    return SourceImage(
        id=f"{part.path.stem}-{row:05}",
        path=path_to_text(below_working_directory(path)),
        sha256=sha256,
        width=0 if error else part.width,
        height=0 if error else part.height,
        source="kaggle",
        original_name=path.name,
        licence=LICENCE,
        attribution=ATTRIBUTION,
        error=error,
        part=part.number,
    )


def _unusable(path: Path, part: int, reason: str) -> SourceImage:
    return SourceImage(
        id=path.stem,
        path=path_to_text(below_working_directory(path)),
        sha256="",
        width=0,
        height=0,
        source="kaggle",
        original_name=path.name,
        licence=LICENCE,
        attribution=ATTRIBUTION,
        error=reason,
        part=part,
    )
