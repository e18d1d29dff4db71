"""The leakage audit: pictures that two sets share, exactly or nearly.

It goes by digests and perceptual hashes alone, never by the groups that the split was made of, so
that it would find a fault in those too.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.splits import SPLITS

# Pairs that the audit lists for one comparison; all are counted.
MAX_PAIRS = 100


@dataclass(frozen=True)
class Hashed:
    """A picture as the audit sees it; `phash` is empty for one too flat to be told by it."""

    name: str
    sha256: str
    phash: str


@dataclass(frozen=True)
class Pair:
    """A picture of each of two sets; `bits` is their hash distance, None for an exact copy."""

    one: str
    other: str
    bits: int | None


@dataclass(frozen=True)
class Comparison:
    """What two sets share.

    `exact` and `near` count pictures of the second set that have a copy, or a near-duplicate but
    no copy, in the first; `nearest` is the smallest hash distance of any two (None when nothing can
    be compared); `flat` counts pictures of either that have no hash; `pairs` lists some found.
    """

    one: str
    other: str
    one_pictures: int
    other_pictures: int
    exact: int
    near: int
    nearest: int | None
    flat: int
    pairs: list[Pair]


def audit(
    splits: Mapping[str, Sequence[Hashed]], folders: Mapping[str, Sequence[Hashed]], bits: int
) -> list[Comparison]:
    """Compare each split with each other, and each folder with each split.

    `splits` maps train, val and test to their pictures, `folders` each evaluation folder to its
    own; near are hashes that differ in at most `bits` bits.
    """
    couples = [
        *combinations([name for name in SPLITS if name in splits], 2),
        *((split, folder) for folder in folders for split in SPLITS if split in splits),
    ]
    sets = {**splits, **folders}
    return [compare(one, sets[one], other, sets[other], bits) for one, other in couples]


def compare(
    one: str, ones: Sequence[Hashed], other: str, others: Sequence[Hashed], bits: int
) -> Comparison:
    """What the sets called `one` and `other` share; in time of their product."""
    copies = {picture.sha256: picture.name for picture in ones if picture.sha256}
    hashed = [picture for picture in ones if picture.phash]
    values = _values(hashed)
    pairs, counts, distances = [], Counter[str](), []
    for picture in others:
        distance = None
        if picture.phash and hashed:
            differing = np.bitwise_count(values ^ np.uint64(int(picture.phash, 16)))
            index = int(differing.argmin())
            distance = int(differing[index])
            distances.append(distance)
        if picture.sha256 in copies:
            counts["exact"] += 1
            pairs.append(Pair(copies[picture.sha256], picture.name, None))
        elif distance is not None and distance <= bits:
            counts["near"] += 1
            pairs.append(Pair(hashed[index].name, picture.name, distance))
    pairs.sort(key=lambda pair: (-1 if pair.bits is None else pair.bits, pair.other))
    return Comparison(
        one,
        other,
        len(ones),
        len(others),
        counts["exact"],
        counts["near"],
        min(distances, default=None),
        sum(not picture.phash for picture in [*ones, *others]),
        pairs[:MAX_PAIRS],
    )


def as_json(bits: int, comparisons: Iterable[Comparison], unusable: dict[str, int]) -> Any:
    """What audit.json holds; `unusable` counts files of each folder that are no pictures."""
    return {
        "bits": bits,
        "comparisons": [asdict(comparison) for comparison in comparisons],
        "unusable": unusable,
    }


def _values(pictures: Sequence[Hashed]) -> NDArray[np.uint64]:
    return np.array([int(picture.phash, 16) for picture in pictures], dtype=np.uint64)
