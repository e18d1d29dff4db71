"""The report's figures as files: what `snakemake --report` shows, and what a paper may use.

They are the drawings of the page itself, as SVG in its light scheme, and its best, median and worst
photographs as JPEG.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.images import jpeg_bytes
from photochrom.report.plots import Plot, svg_file
from photochrom.runtime import write_bytes, write_text

# The folders, each declared as an output of its own, so that each has a caption and a category.
PARTS = ("data", "training", "measures", "slices", "confidence", "pictures")
EVIDENCE = ("grey", "prediction", "truth", "map")  # of a photograph, from the left to the right
GAP, PAPER = 6, 255  # pixels between pictures, and their grey value
LONGEST = 80  # letters of a name
QUALITY = 90


def write_figures(folder: Path, sections: Mapping[str, Any]) -> None:
    """Write the figures of the page's sections below `folder`: all of PARTS, empty ones too.

    `sections` are the values that the page's template is given.
    """
    for part in PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)
    _write(folder / "data", sections["data"]["plots"])
    for run in sections["training"]:
        _write(folder / "training" / file_name(run["experiment"]), run["plots"])
    for table in sections["measures"]:
        _write(folder / "measures" / file_name(table["protocol"]), table["plots"])
    for one in sections["slices"]:
        place = Path(file_name(one["name"])) / file_name(one["protocol"])
        _write(folder / "slices" / place, one["plots"])
    for model in sections["confidence"]:
        if model["plot"]:
            _write(folder / "confidence" / file_name(model["name"]), [model["plot"]])
    for grade, lines in (sections["grades"] or {"grades": []})["grades"]:
        content = jpeg_bytes(sheet([[line[key] for key in EVIDENCE] for line in lines]), QUALITY)
        write_bytes(folder / "pictures" / f"{grade}.jpg", content)


def file_name(text: str) -> str:
    """A name as that of a file or folder: its letters, digits and `.+-_`, never empty or hidden."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^\w.+]+", "-", plain)[:LONGEST].strip("-.") or "unnamed"


def _write(folder: Path, plots: Iterable[Plot]) -> None:
    """A file for each plot, named by its title; what is in brackets only where that is needed."""
    taken: set[str] = set()
    for plot in plots:
        names = [re.sub(r" *\([^)]*\)", "", plot.title), plot.title]
        names += [f"{plot.title} {number}" for number in range(2, 100)]
        name = next(name for name in map(file_name, names) if name not in taken)
        taken.add(name)
        write_text(folder / f"{name}.svg", svg_file(plot))


def sheet(lines: list[list[Mapping[str, Any]]]) -> NDArray[np.uint8]:
    """Pictures in rows and columns of like size, uint8 sRGB; a lacking one leaves its place empty.

    A picture that is smaller than its place stands in the upper left corner.
    """
    shown = [one["pixels"] for line in lines for one in line if one["src"]]
    height = max((one.shape[0] for one in shown), default=1)
    width = max((one.shape[1] for one in shown), default=1)
    columns = max(map(len, lines))
    size = (len(lines) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    found = np.full(size, PAPER, dtype=np.uint8)
    for row, line in enumerate(lines):
        for column, one in enumerate(line):
            if one["src"]:
                pixels = one["pixels"]
                top, left = row * (height + GAP), column * (width + GAP)
                found[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return found
