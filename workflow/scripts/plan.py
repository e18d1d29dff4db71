"""Plan the colorizing of an archive: read every file once, name its derivative, divide the work.

ARCHIVE is a folder, a zip or tar, a CSV with the column file (and name, where it is to stand in the
mirrored tree), or the word `builtin` for the greyscale photographs of scikit-image. Writes
DIR/plan.csv, a row for every file, and DIR/shard-00000.csv ... with those that are to be colorized;
what a zip or tar holds is unpacked to DIR/originals. A file's shard is decided by its content, so
that a grown archive changes few shards.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from photochrom.runtime import EXIT_OK, log, run_stage, stage_parser, start_log


def main(argv: Sequence[str] | None = None) -> int:
    parser = stage_parser(__doc__)
    parser.add_argument(
        "archive", metavar="ARCHIVE", help="folder, zip, tar or CSV of scans, or: builtin"
    )
    parser.add_argument("--shard-size", type=int, default=200, help="files a shard, on average")
    parser.add_argument(
        "--format",
        default="same",
        help="of the derivatives: same (as the original), png, jpeg or tiff",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args(argv)
    start_log("plan", args.log)

    from photochrom.archive.plan import plan_archive, shard_rows
    from photochrom.archive.records import Planned, write_rows

    rows = plan_archive(args.archive, args.format, args.out)
    shards = shard_rows(rows, args.shard_size)
    write_rows(args.out / "plan.csv", Planned, rows)
    names = [f"shard-{index:05d}.csv" for index in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        write_rows(args.out / name, Planned, shard)
    for old in args.out.glob("shard-*.csv"):
        if old.name not in names:
            old.unlink()
    todo = sum(map(len, shards))
    unusable = len(rows) - todo
    log.info(
        "%d files to colorize in %d shards%s: %s",
        todo,
        len(shards),
        f", {unusable} cannot be used" if unusable else "",
        args.out / "plan.csv",
    )
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(run_stage("plan", main))
