"""Decide which pictures train, which validate and which test, keeping near-duplicates together."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

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
    parser.add_argument("--out", type=Path, required=True, help="split.csv to write")
    args = parser.parse_args(argv)
    start_log("split", args.log)

    from photochrom.splits import SPLITS, split_of_groups, split_rows
    from photochrom.tables import (
        CATALOG_COLUMNS,
        SHARDS_COLUMNS,
        SPLIT_COLUMNS,
        kept,
        read_table,
    )

    config = parse_yaml(args.split, "--split")
    if not isinstance(config, dict):
        raise StageError("data.split must be a mapping such as {train: 0.8, val: 0.1, test: 0.1}")
    catalog = read_table(args.catalog, CATALOG_COLUMNS, "filter.py")
    shards = read_table(args.shards, SHARDS_COLUMNS, "normalize.py index")
    rows = split_rows(shards, kept(catalog), split_of_groups(catalog, config))
    write_text(args.out, csv_text(SPLIT_COLUMNS, rows))
    counts = Counter(row[-1] for row in rows)
    log.info("%s: %s", args.out, ", ".join(f"{counts[name]} {name}" for name in SPLITS))
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(run_stage("split", main))
