"""Decode kept photographs to Lab and store them as training shards; index the shards."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photochrom.runtime import (
    EXIT_OK,
    StageError,
    csv_text,
    log,
    progress,
    run_stage,
    sha256_text,
    stage_parser,
    start_log,
    write_text,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from photochrom.stored import Stored
    from photochrom.tables import Row

TOGETHER = 64  # pictures decoded before they are converted
_AGAIN = (
    "run download again with "
    "`snakemake --cores N --configfile results/run_config.yaml --forcerun download`"
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = stage_parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shard = commands.add_parser("shard", help="make one shard")
    shard.add_argument("--catalog", type=Path, required=True, help="catalog.csv")
    shard.add_argument("--shard-size", type=int, required=True, help="pictures in a shard")
    shard.add_argument("--size", type=int, required=True, help="pixels, square")
    shard.add_argument("--index", type=int, required=True, help="which shard, from 0")
    shard.add_argument("--out", type=Path, required=True, help="shard-0000N.h5 to write")
    index = commands.add_parser("index", help="check all shards and write shards.csv")
    index.add_argument("--shards", type=Path, nargs="+", required=True, help="in order")
    index.add_argument("--out", type=Path, required=True, help="shards.csv to write")
    for command in (shard, index):  # so that --log may stand where the other options do
        command.add_argument("--log", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    start_log("normalize", args.log)
    return make_shard(args) if args.command == "shard" else make_index(args)


def make_shard(args: argparse.Namespace) -> int:
    from photochrom.images import decoder_threads
    from photochrom.shards import write_stored
    from photochrom.tables import CATALOG_COLUMNS, kept, read_table

    rows = kept(read_table(args.catalog, CATALOG_COLUMNS, "filter.py"))
    start = args.index * args.shard_size
    rows = rows[start : start + args.shard_size]
    if not rows:
        raise StageError(f"{args.catalog} keeps too few pictures for a shard {args.index}")
    decoder_threads(1)
    ids = [row["id"] for row in rows]
    digest = sha256_text(csv_text(("id", "sha256"), ((row["id"], row["sha256"]) for row in rows)))
    told = progress(rows, len(rows), f"shard {args.index}")
    pictures = stored_pictures(told, args.size)
    write_stored(args.out, ids, args.size, pictures, digest)
    log.info("%s: %d pictures of %d px", args.out, len(rows), args.size)
    return EXIT_OK


def stored_pictures(rows: "Iterable[Row]", size: int) -> "Iterator[tuple[Stored, Stored]]":
    """The pictures of catalog rows as shards hold them.

    Some are decoded, then all of these converted: each of the two goes faster among its like.
    """
    from photochrom.squares import stored_square

    remaining = iter(rows)
    while batch := [unchanged_square(row, size) for row in islice(remaining, TOGETHER)]:
        yield from map(stored_square, batch)


def unchanged_square(row: "Row", size: int) -> "NDArray[Any]":
    """The decoded square of a catalog row, provided that its content is still the same."""
    from photochrom.images import ImageError, path_from_text
    from photochrom.squares import decoded_square

    try:
        square, sha256 = decoded_square(path_from_text(row["path"]), size)
    except (ImageError, OSError) as error:
        raise StageError(f"{row['path']} cannot be read any more ({error}); {_AGAIN}") from error
    if sha256 != row["sha256"]:
        raise StageError(f"{row['path']} was changed since it was listed; {_AGAIN}")
    return square


def make_index(args: argparse.Namespace) -> int:
    from photochrom.shards import index_rows
    from photochrom.tables import SHARDS_COLUMNS

    rows = index_rows(args.shards)
    write_text(args.out, csv_text(SHARDS_COLUMNS, rows))
    log.info("%s: %d pictures in %d shards", args.out, sum(row[2] for row in rows), len(rows))
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(run_stage("normalize", main))
