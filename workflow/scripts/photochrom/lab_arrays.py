"""Photographs stored as rows of .npy arrays of 8-bit Lab: the layout of the Kaggle set.

    l/gray_scale.npy    uint8 (N, H, W)      L* of all photographs
    ab/ab/ab1.npy       uint8 (N1, H, W, 2)  a*, b* of the first N1: part 1
    ab/ab/ab2.npy       uint8 (N2, H, W, 2)  of those that follow: part 2
    ab/ab/ab3.npy       uint8 (N3, H, W, 2)  of the rest: part 3

in OpenCV's convention for 8 bits: L* times 255/100, a* and b* plus 128. A photograph is named by
its row of colour, `FOLDER/ab/ab/ab2.npy#17`; its lightness lies N1 rows further in the first
array.

A header is checked against the size of its file before any row is used, and nothing that could
run code (a pickled array) is ever read. Rows are mapped into memory one at a time, so that memory
does not grow with the arrays.
"""

import hashlib
import math
import mmap
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LIGHTNESS = Path("l", "gray_scale.npy")
COLOUR = {part: Path("ab", "ab", f"ab{part}.npy") for part in (1, 2, 3)}
_ROW_NAME = re.compile(r"ab([123])\.npy#(0|[1-9][0-9]{0,8})")


class ArrayError(Exception):
    """An array or row that cannot be used; `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Part:
    """One colour array: its first photograph has row `start` of the lightness.

    `error` is empty, or why none of its rows can be used (`start` and the rest are then 0).
    """

    number: int
    path: Path
    rows: int
    start: int
    height: int
    width: int
    error: str


@dataclass(frozen=True)
class _Array:
    """A uint8 array in a file, described by its checked header."""

    path: Path
    shape: tuple[int, ...]
    offset: int  # of the first sample, in bytes

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:])


def row_name(path: Path) -> tuple[Path, int, int] | None:
    """Folder of the layout, part and row that a path such as `x/ab/ab/ab1.npy#7` names.

    None for other paths, and where a file of that very name exists.
    """
    match = _ROW_NAME.fullmatch(path.name)
    if match is None or path.parent.parts[-2:] != ("ab", "ab") or os.path.lexists(path):
        return None
    return path.parent.parent.parent, int(match[1]), int(match[2])


def row_path(part: Part, row: int) -> Path:
    """The path that names a row, the inverse of `row_name`."""
    return part.path.with_name(f"{part.path.name}#{row}")


def read_parts(folder: Path) -> list[Part]:
    """The three parts of a layout, each usable or with its error.

    Raises ArrayError when the lightness, which all parts need, cannot be used.
    """
    lightness = _array(folder / LIGHTNESS, 3)
    arrays: dict[int, _Array | ArrayError] = {}
    for number, name in COLOUR.items():
        try:
            arrays[number] = _array(folder / name, 4)
        except ArrayError as error:
            arrays[number] = error
    sound = [None if isinstance(each, ArrayError) else each.shape[0] for each in arrays.values()]
    # What the headers of damaged arrays state is believed only where it all fits.
    stated = [_stated_rows(folder / name) for name in COLOUR.values()]
    fits = sum(count or 0 for count in stated) == lightness.shape[0]
    starts = _starts(lightness.shape[0], stated if fits and None not in stated else sound)
    parts = []
    for number, array in arrays.items():
        path = folder / COLOUR[number]
        if isinstance(array, ArrayError):
            fault = array.reason
        elif array.shape[1:3] != lightness.shape[1:]:
            fault = f"its pictures are not of the size of those in {LIGHTNESS}"
        elif number not in starts:
            fault = f"its number of rows does not fit that of {LIGHTNESS}"
        else:
            rows, height, width, _ = array.shape
            parts.append(Part(number, path, rows, starts[number], height, width, ""))
            continue
        parts.append(Part(number, path, 0, 0, 0, 0, fault))
    return parts


def read_row(folder: Path, part: int, row: int) -> NDArray[np.uint8]:
    """One photograph, 8-bit Lab (H, W, 3). Raises ArrayError."""
    found = _part_of_row(folder, part, row)
    lightness, colour = _array(folder / LIGHTNESS, 3), _array(folder / COLOUR[part], 4)
    return np.dstack([_map_row(lightness, found.start + row), _map_row(colour, row)])


def row_side(folder: Path, part: int, row: int) -> int:
    """The shorter side of a photograph in pixels. Raises ArrayError."""
    found = _part_of_row(folder, part, row)
    return min(found.height, found.width)


def row_sha256(lab8: NDArray[np.uint8]) -> str:
    """Hex SHA-256 of the samples of a photograph as `read_row` gives it."""
    return hashlib.sha256(lab8.tobytes()).hexdigest()


def decode_lab8(lab8: NDArray[np.uint8]) -> NDArray[np.float32]:
    """OpenCV's 8-bit Lab (..., 3) to L* 0..100 and a*, b* in Lab units, float32.

    128 is exactly 0 in a* and b*: neutral stays neutral. The constants belong to the format and
    are never taken from the data.
    """
    lab = lab8.astype(np.float32)
    lab[..., 0] *= np.float32(100 / 255)
    lab[..., 1:] -= 128
    return lab


def encode_lab8(lab: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The inverse of `decode_lab8`, rounded to the nearest level."""
    levels = lab * np.array([255 / 100, 1, 1]) + np.array([0, 128, 128])
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def _part_of_row(folder: Path, part: int, row: int) -> Part:
    found = read_parts(folder)[part - 1]
    if found.error:
        raise ArrayError(found.error)
    if row >= found.rows:
        raise ArrayError(f"{found.path.name} has only {found.rows} rows")
    return found


def _stated_rows(path: Path) -> int | None:
    """How many rows the header of a colour array states, be its file sound or not."""
    try:
        return _header(path, *_stamp(path)).shape[0]
    except ArrayError:
        return None


def _starts(total: int, counts: Sequence[int | None]) -> dict[int, int]:
    """The lightness row at which each part starts, as far as the counts tell.

    Counted from the front up to the first unknown part and from the back down to the last. Parts
    that do not fill the `total` rows exactly belong to another lightness: none has a start.
    """
    known = sum(count for count in counts if count is not None)
    if known > total or (None not in counts and known != total):
        return {}
    starts: dict[int, int] = {}
    start, end = 0, total
    for number, count in enumerate(counts, start=1):
        if count is None:
            break
        starts[number] = start
        start += count
    for number, count in reversed(list(enumerate(counts, start=1))):
        if count is None:
            break
        end -= count
        starts[number] = end
    return starts


def _array(path: Path, axes: int) -> _Array:
    """An array of 3 axes (N, H, W) or 4 (N, H, W, 2) whose file holds what its header states."""
    stamp = _stamp(path)
    array = _header(path, *stamp)
    if len(array.shape) != axes or (axes == 4 and array.shape[3] != 2):
        wanted = "(N, H, W)" if axes == 3 else "(N, H, W, 2)"
        raise ArrayError(f"an array of shape {array.shape}, not {wanted}")
    stated = array.offset + math.prod(array.shape)
    size = stamp[0]
    if size < stated:
        raise ArrayError(f"truncated: {size} bytes, its header states {stated}")
    if size > stated:
        raise ArrayError(f"{size - stated} bytes more than its header states")
    return array


def _stamp(path: Path) -> tuple[int, int, int]:
    """Size, time and inode of a regular file: what tells a changed one."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise ArrayError("missing") from error
    except OSError as error:
        raise ArrayError(_unreadable(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise ArrayError("not a regular file")
    return status.st_size, status.st_mtime_ns, status.st_ino


@lru_cache(maxsize=64)
def _header(path: Path, size: int, time: int, inode: int) -> _Array:
    """The header of an .npy file of uint8; cached, because each row asks for it."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if size == 0:
        raise ArrayError("zero bytes")
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = readers[np.lib.format.read_magic(file)](file)
            offset = file.tell()
    except OSError as error:
        raise ArrayError(_unreadable(error)) from error
    except Exception as error:  # numpy's own, and those of ast and tokenize, which it asks
        raise ArrayError("not an .npy array") from error
    if dtype.hasobject:
        raise ArrayError("a pickle, which is never read because it may run code")
    if dtype != np.uint8 or fortran:
        raise ArrayError(f"an array of {dtype}{' in Fortran order' * fortran}, not of uint8")
    if not shape or min(shape) < 1:
        raise ArrayError(f"an array of shape {shape}")
    return _Array(path, shape, offset)


def _map_row(array: _Array, row: int) -> NDArray[np.uint8]:
    """A copy of one row, through a map of nothing but it."""
    start = array.offset + row * array.row_bytes
    before = start % mmap.ALLOCATIONGRANULARITY
    try:
        with (
            array.path.open("rb") as file,
            mmap.mmap(
                file.fileno(),
                before + array.row_bytes,
                access=mmap.ACCESS_READ,
                offset=start - before,
            ) as window,
        ):
            samples = window[before:]
    except (OSError, ValueError) as error:  # ValueError: the file has become shorter
        reason = _unreadable(error) if isinstance(error, OSError) else "truncated"
        raise ArrayError(reason) from error
    return np.frombuffer(samples, np.uint8).reshape(array.shape[1:])


def _unreadable(error: OSError) -> str:
    return f"unreadable: {(error.strerror or str(error)).lower()}"
