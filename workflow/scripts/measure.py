"""Measure what filters and the near-duplicate search go by; thresholds play no part here."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from photochrom.runtime import (
    EXIT_OK,
    EXIT_REJECTED,
    csv_text,
    log,
    progress,
    run_stage,
    stage_parser,
    start_log,
    write_text,
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = stage_parser(__doc__)
    parser.add_argument("--sources", type=Path, required=True, help="sources.csv")
    parser.add_argument("--out", type=Path, required=True, help="measures.csv to write")
    parser.add_argument("--threads", type=int, default=1, help="pictures measured at a time")
    parser.add_argument(
        "--allow-rejects", action="store_true", help="exit 0 though some pictures are damaged"
    )
    args = parser.parse_args(argv)
    start_log("measure", args.log)

    from photochrom.images import ImageError, decoder_threads, path_from_text
    from photochrom.measures import Measures, measure, measure_cells
    from photochrom.tables import MEASURES_COLUMNS, SOURCES_COLUMNS, read_table

    def measure_row(row: dict[str, str]) -> Measures | ImageError | str:
        return row["error"] or measure(path_from_text(row["path"]))

    sources = read_table(args.sources, SOURCES_COLUMNS, "download.py")
    decoder_threads(1)
    pool = ThreadPoolExecutor(max(1, args.threads))
    try:
        found = list(progress(pool.map(measure_row, sources), len(sources), "measuring"))
    finally:
        # An interruption does not wait for the thousands of pictures still in line.
        pool.shutdown(cancel_futures=True)
    rows = [measure_cells(row["id"], each) for row, each in zip(sources, found, strict=True)]
    write_text(args.out, csv_text(MEASURES_COLUMNS, rows))
    rejected = sum(not isinstance(each, Measures) for each in found)
    log.info("%s: %d pictures measured, %d unusable", args.out, len(rows) - rejected, rejected)
    return EXIT_REJECTED if rejected and not args.allow_rejects else EXIT_OK


if __name__ == "__main__":
    sys.exit(run_stage("measure", main))
