"""Colours that somebody knows, from a table that names the source of each.

The table is a CSV with the columns file, x, y, colour, citation, and for boxes x1, y1:

    file,x,y,x1,y1,colour,citation
    1943/parade.tif,812,455,,,#4b5320,"Heeresverordnungsblatt 1936, no. 12: field grey"
    1943/*.tif,0,0,40,40,"12.5,-3","paper tone, measured on the print"

`file` is a path in the archive or a pattern for several (* and ?); x and y are pixels from the
upper left corner of the upright picture, x1 and y1 the box's opposite corner, included. A colour
is #rrggbb, of which only the hue and chroma are used, or a*,b*. Later rows win over earlier ones.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from photochrom.color import rgb_to_lab
from photochrom.runtime import StageError

NEEDED = ("file", "x", "y", "colour", "citation")
COLUMNS = (*NEEDED, "x1", "y1")


@dataclass(frozen=True)
class Hint:
    """One row: a box of pixels, both corners included, its a* and b* in Lab units, the source."""

    line: int
    file: str
    left: int
    top: int
    right: int
    bottom: int
    a: float
    b: float
    citation: str


def read_hints(path: Path) -> tuple[list[Hint], list[str]]:
    """The hints of a table, and a line for each row that cannot be used.

    StageError when there is no such table or it lacks a column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StageError(f"the hints {path} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise StageError(f"the hints {path} are not UTF-8 text; save them as UTF-8") from error
    reader = csv.DictReader(io.StringIO(text))
    names = reader.fieldnames or []
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise StageError(f"the hints {path} lack the column {missing[0]}; see colorize.hints")
    hints, faults = [], []
    for row in reader:
        try:
            hints.append(_hint(reader.line_num, row))
        except ValueError as error:
            faults.append(f"{path}, line {reader.line_num}: {error}; this hint is left out")
    return hints, faults


def _hint(line: int, row: dict[str, Any]) -> Hint:
    """A row as a hint; ValueError says what is wrong with it."""
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    for name in ("file", "citation"):
        if not cells[name]:
            raise ValueError(f"no {name}")
    if bool(cells["x1"]) != bool(cells["y1"]):
        raise ValueError("a box needs both x1 and y1")
    places = {}
    for name in ("x", "y", "x1", "y1"):
        text = cells[name] or (cells[name[0]] if name.endswith("1") else "")
        if not re.fullmatch(r"\d{1,9}", text):
            raise ValueError(f"{name} is {text or 'missing'}, not a number of pixels")
        places[name] = int(text)
    a, b = parse_colour(cells["colour"])
    (left, right), (top, bottom) = (
        sorted((places[axis], places[f"{axis}1"])) for axis in ("x", "y")
    )
    return Hint(line, cells["file"], left, top, right, bottom, a, b, cells["citation"])


def parse_colour(text: str) -> tuple[float, float]:
    """a* and b* of #rrggbb (sRGB) or of "a,b"; ValueError for anything else."""
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        rgb = np.array([[int(text[at : at + 2], 16) for at in (1, 3, 5)]], np.uint8)
        _, a, b = rgb_to_lab(rgb)[0].tolist()
        return a, b
    match = re.fullmatch(r"([+-]?\d+(?:\.\d+)?)\s*[,; ]\s*([+-]?\d+(?:\.\d+)?)", text)
    if not match:
        raise ValueError(f"the colour {text!r} is neither #rrggbb nor a*,b*")
    a, b = (float(group) for group in match.groups())
    if max(abs(a), abs(b)) > 128:
        raise ValueError(f"the colour {text!r} is beyond 128")
    return a, b


def hints_for(hints: Sequence[Hint], file: str) -> list[Hint]:
    """Those that are meant for a file of the archive, by name or by pattern."""
    return [hint for hint in hints if hint.file == file or fnmatchcase(file, hint.file)]


def unused(hints: Sequence[Hint], files: list[str]) -> list[str]:
    """A line for each hint that is meant for none of the files."""
    return [
        f"hint on line {hint.line}: no file of the archive is called {hint.file}"
        for hint in hints
        if not any(hints_for([hint], file) for file in files)
    ]


def within(hints: Sequence[Hint], width: int, height: int) -> tuple[list[Hint], list[str]]:
    """The hints that lie inside a picture, and a line for each that does not."""
    inside = [hint for hint in hints if hint.right < width and hint.bottom < height]
    outside = [
        f"hint on line {hint.line} lies outside the picture of {width} x {height}"
        for hint in hints
        if hint not in inside
    ]
    return inside, outside


def cited(hints: Sequence[Hint]) -> list[dict[str, Any]]:
    """The hints as the sidecar lists them."""
    return [{name: value for name, value in asdict(h).items() if name != "line"} for h in hints]
