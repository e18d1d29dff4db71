"""Gather a colorized archive: status table, manifest of checksums, events, review page.

Every file of DIR/plan.csv gets a row, in the order of paths. The manifest can be checked with
`sha256sum -c` in the output folder.
"""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from photochrom.runtime import EXIT_OK, log, run_stage, stage_parser, start_log, write_text


def main(argv: Sequence[str] | None = None) -> int:
    parser = stage_parser(__doc__)
    parser.add_argument("--plan", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--status", type=Path, nargs="+", action="extend", required=True, metavar="FILE"
    )
    parser.add_argument("--root", type=Path, required=True, help="folder of the derivatives")
    parser.add_argument("--archive", required=True, help="the archive's name, for the page")
    parser.add_argument("--out", type=Path, required=True, help="status.csv")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--events", type=Path, required=True, help="events.csv, after PREMIS")
    parser.add_argument("--review", type=Path, required=True, help="review.html")
    parser.add_argument("--hints", type=Path, help="CSV of known colours, to find what none meets")
    parser.add_argument("--decisions", type=Path, help="the CSV that review.html saves")
    args = parser.parse_args(argv)
    start_log("gather", args.log)

    from dataclasses import asdict

    import pandas as pd

    from photochrom.archive.decisions import Decision, read_decisions, strangers
    from photochrom.archive.events import Event, events
    from photochrom.archive.gather import decided, gather_statuses, manifest_text, tidy
    from photochrom.archive.hints import read_hints, unused
    from photochrom.archive.records import Planned, Status, read_rows, write_rows
    from photochrom.archive.review import write_review

    plan = read_rows(args.plan / "plan.csv", Planned, "plan.py")
    found = {path: read_rows(path, Status, "colorize.py") for path in args.status}
    statuses = gather_statuses(plan, [row for rows in found.values() for row in rows])
    decisions: dict[str, Decision] = {}
    if args.decisions:
        decisions, _ = read_decisions(args.decisions)  # colorize.py has named its faults
        for line in strangers(decisions.values(), (row.path for row in plan)):
            log.warning("%s", line)
        statuses = decided(statuses, decisions)
    if args.hints:
        for line in unused(read_hints(args.hints)[0], [row.path for row in plan]):
            log.warning("%s: %s", args.hints, line)
    tidy(statuses, args.root)
    write_text(args.manifest, manifest_text(statuses, args.root))
    tried = {row.path: path.stat().st_mtime for path, rows in found.items() for row in rows}
    planned = (args.plan / "plan.csv").stat().st_mtime
    write_rows(args.events, Event, events(statuses, args.root, planned, tried, time.time()))
    rows = pd.DataFrame(list(map(asdict, statuses)))
    write_review(args.archive, rows, args.root, args.review, decisions)
    write_rows(args.out, Status, statuses)
    counts = Counter(status.status for status in statuses)
    summary = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    log.info("%d files: %s; see %s", len(statuses), summary, args.review)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(run_stage("gather", main))
