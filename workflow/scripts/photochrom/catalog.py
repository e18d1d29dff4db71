"""The catalog: which photographs are kept and why not, and which are near-duplicates.

Every filter judges the original set, so none can undo another, and every filter that a picture
fails is named.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.filters import DUPLICATES, check_filters, failed_filters
from photochrom.licences import refused
from photochrom.runtime import StageError
from photochrom.tables import CATALOG_COLUMNS, Row


def make_catalog(
    sources: Sequence[Row],
    measures: Sequence[Row],
    filters: Mapping[str, Any],
    near_bits: int | None,
    allow: Sequence[str] | None = None,
) -> list[Row]:
    """The catalog's rows, one per row of `sources` and in that order, kept or not.

    `filters` maps the names in filters.FILTERS, and `duplicates`, to thresholds, null switching one
    off. `near_bits` is the Hamming distance up to which perceptual hashes join pictures into a
    group; None joins only tiles of one photograph and exact copies. `allow` is as in
    `licences.refused`. Raises StageError when the tables do not belong together or a filter is
    unknown.
    """
    check_filters(filters)
    if [row["id"] for row in sources] != [row["id"] for row in measures]:
        raise StageError("the measures are not those of the sources (other ids); run measure again")
    alike = list(copies(sources, [row["phash"] for row in measures], near_bits))
    labels = group_labels(sources, alike)
    reasons = []
    for source, measured in zip(sources, measures, strict=True):
        failed = failed_filters({**source, **measured}, filters)
        reasons.append([*failed, *filter(None, [refused(source, allow)])])
    if filters.get(DUPLICATES) is not None:
        spare = superfluous(sources, alike, [not failed for failed in reasons], filters[DUPLICATES])
        for index, kept_one in spare.items():
            reasons[index].append(f"{DUPLICATES}: like {sources[kept_one]['id']}")
    catalog = []
    for source, measured, group, failed in zip(sources, measures, labels, reasons, strict=True):
        row = {**source, **measured, "group": group}
        row["verdict"] = "drop" if failed else "keep"
        row["reason"] = ";".join(failed)
        catalog.append({column: row[column] for column in CATALOG_COLUMNS})
    return catalog


def dropped_by(catalog: Sequence[Row]) -> Counter[str]:
    """How many pictures each filter drops; one that fails two filters counts for both."""
    names = [
        {reason.split(":")[0] for reason in row["reason"].split(";")}
        for row in catalog
        if row["verdict"] == "drop"
    ]
    return Counter(name for reasons in names for name in sorted(reasons))


def superfluous(
    sources: Sequence[Row], alike: Iterable[tuple[int, int]], passed: Sequence[bool], most: int
) -> dict[int, int]:
    """The filter `duplicates`: of each set of near-duplicates only `most` pictures stay.

    Returns the index of each picture to drop with that of the one kept in its stead. `alike` are
    the index pairs of `copies`; tiles of one photograph are no duplicates by themselves. Those
    that pass every other filter come first, then the larger ones, then the first listed: a set
    whose best picture is too dark is still represented.
    """
    sets: dict[int, list[int]] = {}
    for index, first in enumerate(joined(len(sources), alike)):
        sets.setdefault(first, []).append(index)
    spare: dict[int, int] = {}
    for members in sets.values():
        ranked = sorted(members, key=lambda index: (not passed[index], -_pixels(sources[index])))
        spare |= {index: ranked[0] for index in ranked[most:]}
    return spare


def group_labels(sources: Sequence[Row], alike: Iterable[tuple[int, int]]) -> list[str]:
    """A group for each picture: those of one photograph, exact copies and near-duplicates share.

    `alike` are the index pairs of `copies`. The label is the original_name of the group's first
    picture, with its source in front where a group listed before has the same. So what is listed
    later, such as a source added to the end of `data.sources`, changes no label, unless it joins
    two groups.
    """
    first: dict[tuple[str, str], int] = {}
    same = (
        (first.setdefault((row["source"], row["original_name"]), index), index)
        for index, row in enumerate(sources)
    )
    labels: dict[int, str] = {}
    taken = set()
    roots = joined(len(sources), chain(same, alike))
    for root in roots:
        if root not in labels:
            name, source = sources[root]["original_name"], sources[root]["source"]
            labels[root] = f"{source}/{name}" if name in taken else name
            taken.add(labels[root])
    return [labels[root] for root in roots]


def joined(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """For each of `count` things the first of those that `pairs` join it with, also by others."""
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return [root(index) for index in range(count)]


def copies(
    sources: Sequence[Row], hashes: Sequence[str], near_bits: int | None
) -> Iterator[tuple[int, int]]:
    """Index pairs that join exact copies and, up to `near_bits` (None: none), near-duplicates.

    Of pictures that share a digest or a hash, only the first is paired with others: a thousand
    frames of one scene would have half a million pairs. An empty hash (a picture too flat to be
    told by it) is like nothing.
    """
    first: dict[str, int] = {}
    for index, row in enumerate(sources):
        if row["sha256"] and first.setdefault(row["sha256"], index) != index:
            yield first[row["sha256"]], index
    if near_bits is not None:
        places: dict[int, int] = {}
        for index, value in ((index, int(text, 16)) for index, text in enumerate(hashes) if text):
            if places.setdefault(value, index) != index:
                yield places[value], index
        hashed = list(places.values())
        for one, other in near_pairs(np.array(list(places), dtype=np.uint64), near_bits):
            yield hashed[one], hashed[other]


def near_pairs(hashes: NDArray[np.uint64], bits: int) -> Iterator[tuple[int, int]]:
    """Index pairs (i < j) whose hashes differ in at most `bits` bits.

    Compares all with all, a few hundred rows at a time: 25,000 pictures take seconds.
    """
    for start in range(0, len(hashes), 256):
        rows = hashes[start : start + 256, None]
        close = np.bitwise_count(rows ^ hashes[None, start:]) <= bits
        for one, other in zip(*np.nonzero(close), strict=True):
            if one < other:
                yield start + int(one), start + int(other)


def _pixels(source: Row) -> int:
    return int(source["width"]) * int(source["height"])


def nothing_kept(catalog: Sequence[Row]) -> str:
    """What to tell when no picture is kept."""
    counts = ", ".join(f"{name} {count}" for name, count in dropped_by(catalog).most_common())
    return (
        f"none of the {len(catalog)} pictures is kept; dropped by: {counts}. "
        "Widen these thresholds in data.filters (null switches one off; licences are allowed in "
        "data.licences.allow) or add photographs"
    )
