"""The catalog: which photographs are kept and why not, and which are near-duplicates.

Every filter judges the original set, so none can undo another, and every filter that a picture
fails is named.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.runtime import StageError
from photochrom.tables import CATALOG_COLUMNS, Row

FILTERS = ("brightness", "chroma_std", "colourfulness")


def make_catalog(
    sources: Sequence[Row],
    measures: Sequence[Row],
    filters: Mapping[str, Any],
    near_bits: int | None,
) -> list[Row]:
    """The catalog's rows, one per row of `sources` and in that order, kept or not.

    `filters` maps the names in FILTERS to thresholds, null switching one off: `brightness`
    [low, high] bounds mean L* on the scale 0..255, `chroma_std` and `colourfulness` are least
    values. `near_bits` is the Hamming distance up to which perceptual hashes join pictures into
    a group; None joins only tiles of one photograph and exact copies. Raises StageError when the
    tables do not belong together, a filter is unknown, or nothing is kept.
    """
    _check_filters(filters)
    if [row["id"] for row in sources] != [row["id"] for row in measures]:
        raise StageError("the measures are not those of the sources (other ids); run measure again")
    labels = group_labels(sources, [row["phash"] for row in measures], near_bits)
    catalog = []
    for source, measured, group in zip(sources, measures, labels, strict=True):
        reasons = failed_filters(measured, filters)
        row = {**source, **measured, "group": group}
        row["verdict"] = "drop" if reasons else "keep"
        row["reason"] = ";".join(reasons)
        catalog.append({column: row[column] for column in CATALOG_COLUMNS})
    if not any(row["verdict"] == "keep" for row in catalog):
        raise StageError(_nothing_kept(catalog))
    return catalog


def failed_filters(measured: Row, filters: Mapping[str, Any]) -> list[str]:
    """Why a picture is dropped: each filter it fails with its figure; empty when it is kept."""
    error = measured["error"]
    if error:
        return [error if error.startswith("unreadable") else f"unreadable: {error}"]
    reasons = []
    if filters.get("brightness") is not None:
        low, high = filters["brightness"]
        mean = float(measured["mean_L"]) * 2.55
        if mean < low:
            reasons.append(f"brightness: mean L {mean:.1f} below {low:g}")
        if mean > high:
            reasons.append(f"brightness: mean L {mean:.1f} above {high:g}")
    for name in ("chroma_std", "colourfulness"):
        least, value = filters.get(name), float(measured[name])
        if least is not None and value < least:
            reasons.append(f"{name}: {value:.1f} below {least:g}")
    return reasons


def dropped_by(catalog: Sequence[Row]) -> Counter[str]:
    """How many pictures each filter drops; one that fails two filters counts for both."""
    names = [
        {reason.split(":")[0] for reason in row["reason"].split(";")}
        for row in catalog
        if row["verdict"] == "drop"
    ]
    return Counter(name for reasons in names for name in sorted(reasons))


def group_labels(sources: Sequence[Row], hashes: Sequence[str], near_bits: int | None) -> list[str]:
    """A group for each picture: those of one photograph, exact copies and near-duplicates share.

    The label is the smallest original_name in the group, with its source in front where another
    group has the same. An empty hash (a picture too flat to be told by it) joins nothing.
    """
    parent = list(range(len(sources)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[str, ...], int] = {}
    for index, row in enumerate(sources):
        parent[root(index)] = root(
            first.setdefault(("name", row["source"], row["original_name"]), index)
        )
        if row["sha256"]:
            parent[root(index)] = root(first.setdefault(("copy", row["sha256"]), index))
    if near_bits is not None:
        hashed = [index for index, text in enumerate(hashes) if text]
        values = np.array([int(hashes[index], 16) for index in hashed], dtype=np.uint64)
        for one, other in near_pairs(values, near_bits):
            parent[root(hashed[one])] = root(hashed[other])

    members: dict[int, list[int]] = {}
    for index in range(len(sources)):
        members.setdefault(root(index), []).append(index)
    names = {
        group: min((sources[index]["original_name"], sources[index]["source"]) for index in rows)
        for group, rows in members.items()
    }
    uses = Counter(name for name, _ in names.values())
    labels = {
        group: name if uses[name] == 1 else f"{source}/{name}"
        for group, (name, source) in names.items()
    }
    return [labels[root(index)] for index in range(len(sources))]


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


def _check_filters(filters: Mapping[str, Any]) -> None:
    for name, threshold in filters.items():
        if name not in FILTERS:
            close = get_close_matches(name, FILTERS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(FILTERS)}"
            raise StageError(f"data.filters: no filter is called {name}; {hint}")
        numbers = threshold if name == "brightness" else [threshold]
        if threshold is None:
            continue
        if (
            not isinstance(numbers, list)
            or len(numbers) != (2 if name == "brightness" else 1)
            or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
        ):
            wanted = "[low, high] or null" if name == "brightness" else "a number or null"
            raise StageError(f"data.filters: {name} must be {wanted}, not {threshold!r}")


def _nothing_kept(catalog: Sequence[Row]) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in dropped_by(catalog).most_common())
    return (
        f"none of the {len(catalog)} pictures is kept; dropped by: {counts}. "
        "Widen these thresholds in data.filters (null switches one off) or add photographs"
    )
