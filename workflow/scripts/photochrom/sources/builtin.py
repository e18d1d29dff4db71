"""The colour photographs that come with scikit-image, cut into tiles: enough to try the workflow.

Nine photographs are too few to train on, so each is cut into overlapping tiles. Tiles of one
photograph share its `original_name`, hence its group, and never straddle a split. motorcycle_left
and motorcycle_right are two views of one scene, too far apart for the perceptual hash:
`data.split.assign` has to send both to the same split, as the default config does.
"""

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photochrom.images import ImageError, load_rgb, shrink, write_png
from photochrom.runtime import EXIT_MISSING, StageError
from photochrom.sources.record import SourceImage, describe

SHORT_SIDE = 480
TILE = 240
STRIDE = 80


class Photograph(NamedTuple):
    file: str
    licence: str
    attribution: str


_MIDDLEBURY = (
    "Middlebury 2014 stereo benchmark: N. Nesic, P. Westling, X. Wang, Y. Kitajima, G. Krathwohl, "
    "D. Scharstein, Middlebury College"
)
# Licences and origins as the documentation of scikit-image 0.26 states them.
PHOTOGRAPHS = {
    "astronaut": Photograph(
        "astronaut.png", "public domain", "NASA Great Images database, https://flic.kr/p/r9qvLn"
    ),
    "chelsea": Photograph("chelsea.png", "CC0", "Stefan van der Walt"),
    "coffee": Photograph("coffee.png", "CC0", "Rachel Michetti; courtesy of Pikolo Espresso Bar"),
    "hubble_deep_field": Photograph(
        "hubble_deep_field.jpg", "public domain", "NASA, HubbleSite news release 2012/37"
    ),
    "ihc": Photograph(
        "ihc.png",
        "no known copyright restrictions",
        "Center for Microscopy And Molecular Imaging (CMMI)",
    ),
    "motorcycle_left": Photograph("motorcycle_left.png", "not stated", _MIDDLEBURY),
    "motorcycle_right": Photograph("motorcycle_right.png", "not stated", _MIDDLEBURY),
    "retina": Photograph(
        "retina.jpg",
        "CC0",
        "Mikael Häggström, Wikimedia Commons, Fundus photograph of normal left eye",
    ),
    "rocket": Photograph("rocket.jpg", "public domain", "SpaceX"),
}


def list_images(source: dict[str, Any], images_dir: Path) -> Iterator[SourceImage]:
    """Cut the photographs into tiles below `images_dir`/builtin, PNG, equal on every run."""
    folder = _data_folder()
    for name, photograph in PHOTOGRAPHS.items():
        try:
            picture = shrink(load_rgb(folder / photograph.file), SHORT_SIDE)
        except ImageError as error:
            raise StageError(
                f"scikit-image's {folder / photograph.file} cannot be used ({error.reason}); "
                "reinstall scikit-image, or name photographs of your own in data.sources",
                EXIT_MISSING,
            ) from error
        for row, column, tile in tiles(picture):
            id = f"{name}-r{row}-c{column}"
            path = images_dir / "builtin" / f"{id}.png"
            write_png(path, tile)
            yield describe(
                path,
                "builtin",
                name,
                id,
                photograph.licence,
                photograph.attribution,
            )


def tiles(picture: NDArray[np.uint8]) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Row, column and pixels (TILE, TILE, 3) of the overlapping tiles of a picture (H, W, 3)."""
    height, width = picture.shape[:2]
    for row, top in enumerate(tile_starts(height)):
        for column, left in enumerate(tile_starts(width)):
            yield row, column, picture[top : top + TILE, left : left + TILE]


def tile_starts(length: int) -> list[int]:
    """Where tiles start along a side: evenly, at most STRIDE apart, first and last flush."""
    room = length - TILE
    steps = math.ceil(room / STRIDE)
    return [round(room * step / steps) for step in range(steps + 1)] if steps else [0]


def _data_folder() -> Path:
    """scikit-image's data folder, found without the second that importing it takes."""
    package = importlib.util.find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise StageError(
            "the source builtin needs scikit-image, which is not installed; "
            "install envs/requirements.txt, or name photographs of your own in data.sources",
            EXIT_MISSING,
        )
    return Path(package.submodule_search_locations[0]) / "data"
