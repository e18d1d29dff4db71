"""Write the report: one page, readable offline, on the data, the training and the results."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from photochrom.runtime import (
    EXIT_OK,
    StageError,
    log,
    parse_yaml,
    run_stage,
    stage_parser,
    start_log,
)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = stage_parser(__doc__)
    parser.add_argument("--title", default="Photochrom", help="the page's title")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.csv")
    parser.add_argument("--split", type=Path, required=True, help="split.csv")
    parser.add_argument(
        "--metrics",
        type=Path,
        nargs="*",
        default=[],
        metavar="ROW.json",
        help="of evaluate.py; ROW.per_image.csv and ROW.pictures/ are looked for beside each",
    )
    parser.add_argument(
        "--logs",
        nargs="*",
        default=[],
        metavar="EXPERIMENT/PHASE=FILE",
        help="training logs, the phases of an experiment in their order",
    )
    parser.add_argument("--filters", default="{}", help="config data.filters, as YAML")
    parser.add_argument("--settings", default="{}", help="the merged config to show, as JSON")
    parser.add_argument(
        "--archives", type=Path, nargs="*", default=[], metavar="STATUS.csv", help="of gather.py"
    )
    parser.add_argument("--audit", type=Path, metavar="AUDIT.json", help="of audit.py")
    parser.add_argument("--moves", type=Path, metavar="MOVES.csv", help="of split.py")
    parser.add_argument(
        "--benchmarks", type=Path, metavar="FOLDER", help="Snakemake's benchmark files"
    )
    parser.add_argument(
        "--figures", type=Path, metavar="FOLDER", help="for the page's figures as files"
    )
    parser.add_argument("--out", type=Path, required=True, help="the page, HTML")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    start_log("report", args.log)
    from photochrom.report import build_report
    from photochrom.report.inputs import read_log

    logs = []
    for text in args.logs:
        name, equals, path = text.partition("=")
        if not equals:
            raise StageError(f"--logs {text}: give EXPERIMENT/PHASE=FILE")
        logs.append(read_log(name, Path(path)))
    build_report(
        title=args.title,
        catalog=args.catalog,
        split=args.split,
        metrics=args.metrics,
        logs=logs,
        filters=mapping(args.filters, "--filters"),
        settings=mapping(args.settings, "--settings"),
        archives=args.archives,
        out=args.out,
        audit=args.audit,
        moves=args.moves,
        benchmarks=args.benchmarks,
        figures=args.figures,
    )
    log.info("%s: %.1f MB, one file", args.out, args.out.stat().st_size / 1e6)
    return EXIT_OK


def mapping(text: str, option: str) -> dict[str, Any]:
    """A command-line value that is a YAML (or JSON) mapping."""
    value = parse_yaml(text, option)
    if not isinstance(value, dict):
        raise StageError(f"{option} is not a mapping: {text[:80]}")
    return value


if __name__ == "__main__":
    sys.exit(run_stage("report", main))
