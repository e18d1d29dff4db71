"""Decide which pictures train, which validate and which test, keeping near-duplicates together."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from photochrom.runtime import (
    EXIT_OK,
    StageError,
    csv_text,
    log,
    parse_yaml,
    run_stage,
    stage_parser,
    start_log,
    write_text,
)

if TYPE_CHECKING:
    from photochrom.tables import Row

SHOWN_MOVES = 10


def main(argv: Sequence[str] | None = None) -> int:
    parser = stage_parser(__doc__)
    parser.add_argument("--shards", type=Path, required=True, help="shards.csv")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.csv")
    parser.add_argument(
        "--split",
        required=True,
        metavar="YAML",
        help="such as '{train: 0.8, val: 0.1, test: 0.1, key: photochrom, assign: null}'",
    )
    parser.add_argument(
        "--before",
        type=Path,
        metavar="SPLIT.csv",
        help="the split whose pictures stay where they are (the table at --out, if there is one)",
    )
    parser.add_argument(
        "--moves", type=Path, metavar="MOVES.csv", help="table of all moves so far, to be continued"
    )
    parser.add_argument("--out", type=Path, required=True, help="split.csv to write")
    args = parser.parse_args(argv)
    start_log("split", args.log)

    from photochrom.splits import SPLITS, labels_of_groups, moved_rows, split_of_groups, split_rows
    from photochrom.tables import (
        CATALOG_COLUMNS,
        MOVES_COLUMNS,
        PLACED_COLUMNS,
        SHARDS_COLUMNS,
        kept,
        read_table,
    )

    config = parse_yaml(args.split, "--split")
    if not isinstance(config, dict):
        raise StageError("data.split must be a mapping such as {train: 0.8, val: 0.1, test: 0.1}")
    catalog = read_table(args.catalog, CATALOG_COLUMNS, "filter.py")
    shards = read_table(args.shards, SHARDS_COLUMNS, "normalize.py index")
    before = read_before(args.before, args.out)
    labels = labels_of_groups(catalog, config, before)
    splits = split_of_groups(catalog, config, labels)
    rows = split_rows(shards, kept(catalog), splits, labels)
    moves = moved_rows(kept(catalog), splits, before)
    if args.moves:  # first, so that a kill between the two cannot lose the list
        earlier = read_moves(args.moves) if before else []
        if earlier[len(earlier) - len(moves) :] != moves:  # or they were listed before that kill
            earlier += moves
        write_text(args.moves, csv_text(MOVES_COLUMNS, earlier))
    write_text(args.out, csv_text(PLACED_COLUMNS, rows))
    for move in moves[:SHOWN_MOVES]:
        log.warning("%s moved from %s to %s: %s", move[1], *move[3:])
    if len(moves) > SHOWN_MOVES:
        listed = f"; all are listed in {args.moves}" if args.moves else ""
        log.warning("%d more pictures moved%s", len(moves) - SHOWN_MOVES, listed)
    counts = Counter(row[5] for row in rows)
    shares = ", ".join(f"{counts[name]} {name}" for name in SPLITS)
    log.info("%s: %s; %d pictures moved", args.out, shares, len(moves))
    return EXIT_OK


def read_moves(path: Path) -> list[tuple[str, ...]]:
    """The moves listed so far. StageError when the list is there but no table."""
    from photochrom.tables import MOVES_COLUMNS, read_table

    if not path.exists():
        return []
    rows = read_table(path, MOVES_COLUMNS, "split.py")
    return [tuple(row[column] for column in MOVES_COLUMNS) for row in rows]


def read_before(named: Path | None, replaced: Path) -> "list[Row]":
    """The rows of the split before: the one named, else the one to be replaced, if it is usable."""
    from photochrom.tables import PLACED_COLUMNS, read_table

    if named:
        return read_table(named, PLACED_COLUMNS, "split.py")
    if not replaced.exists():
        return []
    try:
        return read_table(replaced, PLACED_COLUMNS, "split.py")
    except StageError as error:
        log.warning("all pictures are placed anew, because of the split before: %s", error)
        return []


if __name__ == "__main__":
    sys.exit(run_stage("split", main))
