"""The yardsticks: painters that need no training, which give every other number its meaning.

`grey` adds no colour, `constant` gives each pixel the mean colour of the training pictures,
`levin` spreads true colours from a few pixels, and `truth` sends the photograph itself through
the storage and the conversions that every painter goes through: the floor below which no figure
can come. `real` leaves it as it is, for distances between sets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.color import AB_SCALE, denormalize, normalize
from photochrom.models.levin import propagate
from photochrom.runtime import StageError, sha256_file, sha256_text
from photochrom.shards import read_shard, rebuilding
from photochrom.stored import SCALE_FACTOR, STORED_MAX
from photochrom.tables import SHARDS_COLUMNS, SPLIT_COLUMNS, read_table

# The real root of x^3 = x + 1: what the golden ratio is to a line, it is to a plane.
PLASTIC = 1.324717957244746

Lab = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Painter:
    """What paints a row: `paint` takes a photograph's Lab (H, W, 3) and returns the picture's.

    `digest` is a model's file's, or for a yardstick that of its definition: equal digests paint
    alike. `paint_judged` gives the painter's mean uncertainty (0..1) too, where it has one.
    """

    description: str
    digest: str
    paint: Callable[[Lab], Lab]
    paint_judged: Callable[[Lab], tuple[Lab, float]] | None = None


def grey() -> Painter:
    """No colour at all."""
    return _even("every pixel is grey", 0.0, 0.0)


def constant(a: float, b: float, pictures: int) -> Painter:
    """One colour everywhere, in Lab units: the mean of so many training pictures."""
    description = (
        f"every pixel has a* {a:.2f} and b* {b:.2f}, the mean of the {pictures} training pictures"
    )
    return _even(description, a, b)


def levin(hints: int) -> Painter:
    """Colours spread by Levin, Lischinski and Weiss (2004) from so many pixels of the photograph.

    What a person who knows a few true colours reaches without learning. The pixels are spread
    evenly, at the same places of every picture. A picture of 256 x 256 takes a second, one of
    512 x 512 seven.
    """
    description = (
        f"{hints} evenly spread pixels have their true colours, which spread as in Levin 2004"
    )

    def paint(lab: Lab) -> Lab:
        known = even_mask(lab.shape[0], lab.shape[1], hints)
        return np.concatenate([lab[..., :1], propagate(lab[..., 0], lab[..., 1:], known)], axis=-1)

    return Painter(description, sha256_text(description), paint)


def truth() -> Painter:
    """The photograph itself, rounded as the shards store it."""

    def paint(lab: Lab) -> Lab:
        L, ab = (
            np.rint(channels * STORED_MAX) * SCALE_FACTOR
            for channels in normalize(lab[..., 0], lab[..., 1:])
        )
        L, ab = denormalize(L, ab)
        return np.concatenate([L[..., None], ab], axis=-1)

    description = "the photograph itself through our storage, gamut and rounding: the floor"
    return Painter(description, sha256_text(f"truth in steps of 1/{STORED_MAX}"), paint)


def real() -> Painter:
    """The photograph as it is: what distances between sets of true photographs are told of."""
    description = "the photographs themselves: how far two sets of them are apart"
    return Painter(description, sha256_text("the photograph"), lambda lab: lab)


def mean_training_ab(shards_csv: Path, split_csv: Path) -> tuple[float, float, int]:
    """Mean a* and b* in Lab units over all pixels of the training split, and its pictures' number.

    Reads one shard at a time. Raises StageError when a shard is damaged, is not the one that
    shards.csv lists, or when there are no training pictures.
    """
    index = {
        row["shard"]: row for row in read_table(shards_csv, SHARDS_COLUMNS, "normalize.py index")
    }
    wanted: dict[str, list[tuple[int, str]]] = {}
    for row in read_table(split_csv, SPLIT_COLUMNS, "split.py"):
        if row["split"] == "train":
            wanted.setdefault(row["shard"], []).append((int(row["row"]), row["id"]))
    if not wanted:
        raise StageError(f"{split_csv} has no pictures in split train; change data.split")
    total, pixels, pictures = np.zeros(2, np.int64), 0, 0
    for name, rows in sorted(wanted.items()):
        if name not in index:
            raise StageError(f"{shards_csv} lacks {name}, which {split_csv} names; run split again")
        path = Path(index[name]["path"])
        shard = read_shard(path)
        if sha256_file(path) != index[name]["sha256"] or any(
            row >= len(shard.ids) or shard.ids[row] != picture for row, picture in rows
        ):
            raise StageError(
                f"shard {path} is not the one that {shards_csv} and {split_csv} describe; rebuild "
                f"it with `{rebuilding(path)}`"
            )
        stored = shard.ab[[row for row, _ in rows]]
        total += stored.sum(axis=(0, 1, 2), dtype=np.int64)  # integers: exact in any order
        pixels += stored[..., 0].size
        pictures += len(rows)
    a, b = (total / pixels * SCALE_FACTOR * AB_SCALE).tolist()
    return a, b, pictures


def even_mask(height: int, width: int, count: int) -> NDArray[np.bool_]:
    """At most `count` pixels (H,W) of a picture, spread evenly by Roberts' R2 sequence (2018)."""
    steps = np.arange(1, count + 1)
    places = (0.5 + steps[:, None] / [PLASTIC, PLASTIC**2]) % 1
    mask = np.zeros((height, width), bool)
    mask[(places[:, 0] * height).astype(int), (places[:, 1] * width).astype(int)] = True
    return mask


def _even(description: str, a: float, b: float) -> Painter:
    def paint(lab: Lab) -> Lab:
        painted = np.empty_like(lab)
        painted[..., 0] = lab[..., 0]
        painted[..., 1:] = a, b
        return painted

    return Painter(description, sha256_text(f"a* {a!r} b* {b!r}"), paint)
