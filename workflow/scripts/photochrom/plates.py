"""Historical plates whose true colours are known: three exposures through colour filters.

A plate is a greyscale scan, which the network sees, and a composite of its three exposures, its
true colours. The two belong together by their names: what is left of them without a last word
such as `_plate` and `_colour`. The borders, where exposures do not overlap, are left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photochrom.color import rgb_to_lab
from photochrom.images import ImageError, load_rgb, path_to_text, shrink
from photochrom.metrics.painting import Paint, Painting, repainted
from photochrom.metrics.photographs import Photograph
from photochrom.metrics.pixel import Picture
from photochrom.metrics.protocols import Protocol
from photochrom.runtime import StageError, sha256_file

# The side in pixels to which the short side is reduced.
SIZE = 512
# Share of each side that is left out along every edge.
BORDER = 0.08
# Last words of names, in which scan and truth may differ.
WORDS = ("plate", "scan", "grey", "gray", "colour", "color", "truth", "reference", "composite")


@dataclass(frozen=True)
class Plate:
    """A scan and the composite of its true colours."""

    name: str
    scan: Path
    truth: Path


def protocol_of(name: str) -> Protocol:
    return Protocol(
        f"plates-{name}",
        None,
        "paired",
        f"plates of {name}: colours are painted from the greyscale scan and compared with the "
        f"composite of the plate's three exposures, both at {SIZE} px on the short side, without "
        f"a border of {BORDER:.0%}; the composite's lightness is kept",
    )


def read_plates(scans: Path, truth: Path) -> list[Plate]:
    """The plates of two folders; scans without a truth are no plates.

    Raises StageError when a folder cannot be read, two files have one name, or nothing matches.
    """
    seen, known = (_by_name(folder) for folder in (scans, truth))
    found = [Plate(name, seen[name], known[name]) for name in sorted(seen.keys() & known.keys())]
    if not found:
        raise StageError(
            f"plates: no scan of {path_to_text(scans)} has its true colours in "
            f"{path_to_text(truth)}; name them alike, such as bridge.png in both"
        )
    return found


def as_photographs(plates: Iterable[Plate]) -> list[Photograph]:
    """The plates as what is measured; the truth's content names them."""
    return [
        Photograph(plate.name, plate.name, plate.truth, sha256_file(plate.truth), "plates")
        for plate in plates
    ]


def painted_of(
    plates: Mapping[str, Plate], paint: Paint, photograph: Photograph
) -> tuple[Picture, Painting]:
    """The truth, and its lightness in the colours painted from the scan; both without borders.

    `plates` are those of `as_photographs`, by name. Raises ImageError when one cannot be read or
    their shapes differ.
    """
    plate = plates[photograph.id]
    scan, truth = (shrink(load_rgb(path), SIZE) for path in (plate.scan, plate.truth))
    if scan.shape != truth.shape:
        sizes = (f"{shape[1]} x {shape[0]}" for shape in (scan.shape, truth.shape))
        raise ImageError("scan and truth have {} and {} pixels".format(*sizes))
    picture = repainted(truth, rgb_to_lab(scan)[..., 0], paint)
    return inside(truth), Painting(inside(picture))


def inside(picture: Picture) -> Picture:
    """The picture without its border."""
    height, width = picture.shape[:2]
    top, left = round(BORDER * height), round(BORDER * width)
    return np.ascontiguousarray(picture[top : height - top, left : width - left])


def _by_name(folder: Path) -> dict[str, Path]:
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise StageError(f"plates: {path_to_text(folder)}: {error.strerror}") from error
    found: dict[str, Path] = {}
    for path in files:
        start, _, word = path.stem.rpartition("_")
        name = start if start and word.lower() in WORDS else path.stem
        if name in found:
            both = ", ".join(path_to_text(Path(each.name)) for each in (found[name], path))
            raise StageError(f"plates: {path_to_text(folder)} has two of one name: {both}")
        found[name] = path
    return found
