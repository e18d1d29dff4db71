"""The split: which pictures train, which validate, which test.

Decided for whole groups by a keyed hash of the group's label, so that near-duplicates never
straddle a split; groups may also be assigned by name.

The first split depends on nothing but the catalog and the settings. Photographs that are added may
be near-duplicates of old ones and give their group another label. No rule without memory can then
leave all old pictures in place: of two near-duplicates whose labels hash to different splits, each
would have to stay if it came first. So the labels of the split before, its column `placed_by`, are
kept: an old picture moves only when new near-duplicates join groups of different splits, or when
the settings change, and every move is listed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from photochrom.runtime import StageError
from photochrom.tables import Row

SPLITS = ("train", "val", "test")


def hash_share(key: str, group: str) -> float:
    """A number in [0, 1), uniform over groups, that depends on nothing but key and group."""
    digest = hashlib.sha256(f"{key}\n{group}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def choose_split(share: float, fractions: Mapping[str, float]) -> str:
    """The split in whose stretch of [0, 1) `share` lies; fractions count by their proportion."""
    total, edge = sum(fractions.values()), 0.0
    for name in SPLITS:
        edge += fractions[name] / total
        if share < edge:
            return name
    return max(SPLITS, key=lambda name: fractions[name])  # a sum rounded to just under 1


def labels_of_groups(
    catalog: Sequence[Row], config: Mapping[str, Any], before: Sequence[Row] = ()
) -> dict[str, str]:
    """The label by which each group of the catalog is placed: its own, or that of an old group.

    `before` are the rows of the split that is replaced. Where groups of different splits were
    joined, training wins, then validation: what a model may have been trained on never becomes a
    test picture.
    """
    fractions, key = _fractions(config), _key(config)
    old = {row["id"]: row["placed_by"] for row in before}
    found: dict[str, set[str]] = {}
    for row in catalog:
        labels = found.setdefault(row["group"], set())
        if row["id"] in old:
            labels.add(old[row["id"]])

    def rank(label: str) -> tuple[int, str]:
        return SPLITS.index(choose_split(hash_share(key, label), fractions)), label

    return {group: min(labels or {group}, key=rank) for group, labels in found.items()}


def split_of_groups(
    catalog: Sequence[Row], config: Mapping[str, Any], labels: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The split of each group in the catalog.

    `config` is data.split: the fractions `train`, `val` and `test`, the `key` of the hash, and
    `assign`, null or {group or original_name: split}, which wins over the hash. `labels` are those
    of `labels_of_groups`, without which each group has its own. Raises StageError for a name that
    is in no picture, or for one group assigned to two splits.
    """
    fractions, key = _fractions(config), _key(config)
    assigned = _assigned_groups(catalog, config.get("assign") or {})
    labels = labels_of_groups(catalog, config) if labels is None else labels
    return {
        group: assigned.get(group) or choose_split(hash_share(key, label), fractions)
        for group, label in labels.items()
    }


def moved_rows(
    kept: Sequence[Row], splits: Mapping[str, str], before: Sequence[Row]
) -> list[tuple[str, ...]]:
    """The rows of moves.csv: kept pictures that lay in another split in the table `before`."""
    old = {row["id"]: row for row in before}
    joined: dict[str, dict[str, None]] = {}
    for picture in kept:
        if picture["id"] in old:
            joined.setdefault(picture["group"], {})[old[picture["id"]]["placed_by"]] = None
    rows: list[tuple[str, ...]] = []
    for picture in kept:
        group, was = picture["group"], old.get(picture["id"])
        if was is not None and was["split"] != splits[group]:
            groups = ", ".join(joined[group])
            why = "the settings in data.split changed"
            if len(joined[group]) > 1:
                why = f"near-duplicates joined the groups {groups}"
            cells = (was["split"], splits[group], why)
            rows.append((picture["id"], picture["original_name"], group, *cells))
    return rows


def split_rows(
    shards: Sequence[Row],
    kept: Sequence[Row],
    splits: Mapping[str, str],
    labels: Mapping[str, str],
) -> list[tuple[str, str, int, str, int, str, str]]:
    """The rows of split.csv: where each kept picture lies and which split it belongs to.

    `shards` are the rows of shards.csv, `kept` the catalog's kept rows, which the shards hold in
    that order. Raises StageError when the two do not belong together or a split would be empty.
    """
    places = [(shard["shard"], row) for shard in shards for row in range(int(shard["rows"]))]
    if len(places) != len(kept):
        raise StageError(
            f"the shards hold {len(places)} pictures but the catalog keeps {len(kept)}; "
            "run normalize again"
        )
    rows = [
        (
            picture["id"],
            shard,
            row,
            picture["group"],
            int(picture["part"]),
            splits[picture["group"]],
            labels[picture["group"]],
        )
        for (shard, row), picture in zip(places, kept, strict=True)
    ]
    empty = [name for name in SPLITS if name not in {row[5] for row in rows}]
    if empty:
        groups = list(dict.fromkeys(picture["group"] for picture in kept))
        raise StageError(
            f"no picture falls into {' or '.join(empty)}: the {len(kept)} pictures form only "
            f"{len(groups)} group{'s' * (len(groups) > 1)}. Add photographs, change the fractions "
            f"or the key in data.split, or assign a group there, such as "
            f"assign: {{{groups[0]}: {empty[0]}}}"
        )
    return rows


def _key(config: Mapping[str, Any]) -> str:
    return str(config.get("key", "photochrom"))


def _fractions(config: Mapping[str, Any]) -> dict[str, float]:
    unknown = set(config) - {*SPLITS, "key", "assign"}
    if unknown:
        raise StageError(
            f"data.split: unknown key {sorted(unknown)[0]}; it takes {', '.join(SPLITS)}, key "
            "and assign"
        )
    fractions = {}
    for name in SPLITS:
        value = config.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise StageError(f"data.split: {name} must be a number of at least 0, not {value!r}")
        fractions[name] = float(value)
    if sum(fractions.values()) == 0:
        raise StageError("data.split: train, val and test are all 0; give train: 0.8, for one")
    return fractions


def _assigned_groups(catalog: Sequence[Row], assign: Mapping[str, str]) -> dict[str, str]:
    groups_of: dict[str, set[str]] = {}
    for row in catalog:
        groups_of.setdefault(row["group"], set()).add(row["group"])
        groups_of.setdefault(row["original_name"], set()).add(row["group"])
    splits: dict[str, str] = {}
    named: dict[str, str] = {}
    for name, split in ((str(name), split) for name, split in assign.items()):
        if split not in SPLITS:
            raise StageError(
                f"data.split.assign: {name} must be one of {', '.join(SPLITS)}, not {split!r}"
            )
        if name not in groups_of:
            close = get_close_matches(name, groups_of, n=1, cutoff=0.0)
            raise StageError(
                f"data.split.assign: no picture is called {name}; the nearest name is {close[0]}"
            )
        for group in sorted(groups_of[name]):
            if splits.setdefault(group, split) != split:
                raise StageError(
                    f"data.split.assign: {named[group]} goes to {splits[group]} and {name} to "
                    f"{split}, but they are near-duplicates (group {group}); assign both alike"
                )
            named[group] = name
    return splits
