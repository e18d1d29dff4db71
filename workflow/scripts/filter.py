"""Decide which photographs are kept, say why the others are not, and group near-duplicates."""

import sys
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
    parser.add_argument("--sources", type=Path, required=True, help="sources.csv")
    parser.add_argument("--measures", type=Path, required=True, help="measures.csv")
    parser.add_argument(
        "--filters",
        required=True,
        metavar="YAML",
        help="thresholds, such as '{brightness: [50, 170], chroma_std: 10, colourfulness: null}'",
    )
    parser.add_argument(
        "--near-bits",
        required=True,
        metavar="N",
        help="hash bits by which near-duplicates may differ, or null",
    )
    parser.add_argument(
        "--licences",
        default="{allow: null}",
        metavar="YAML",
        help="licences to keep, such as '{allow: [CC0, CC BY 2.0]}'; null keeps all",
    )
    parser.add_argument("--out", type=Path, required=True, help="catalog.csv to write")
    args = parser.parse_args(argv)
    start_log("filter", args.log)

    from photochrom.catalog import dropped_by, make_catalog, nothing_kept
    from photochrom.licences import check_allowed, tell_refused
    from photochrom.tables import (
        CATALOG_COLUMNS,
        MEASURES_COLUMNS,
        SOURCES_COLUMNS,
        kept,
        read_table,
    )

    filters = parse_yaml(args.filters, "--filters") or {}
    if not isinstance(filters, dict):
        raise StageError("data.filters must be a mapping such as {chroma_std: 10}")
    near_bits = parse_yaml(args.near_bits, "--near-bits")
    if near_bits is not None and (type(near_bits) is not int or not 0 <= near_bits < 63):
        raise StageError(f"near_bits must be a whole number from 0 to 62 or null, not {near_bits}")
    licences = parse_yaml(args.licences, "--licences") or {}
    if not isinstance(licences, dict):
        raise StageError("data.licences must be a mapping such as {allow: [CC0]}")
    allow = check_allowed(licences.get("allow"))
    catalog = make_catalog(
        read_table(args.sources, SOURCES_COLUMNS, "download.py"),
        read_table(args.measures, MEASURES_COLUMNS, "measure.py"),
        filters,
        near_bits,
        allow,
    )
    tell_refused(catalog, allow)
    if not kept(catalog):
        # Snakemake removes the outputs of a failed job, so under another name.
        why = args.out.with_name(f"{args.out.stem}-of-none{args.out.suffix}")
        write_text(why, csv_text(CATALOG_COLUMNS, [list(row.values()) for row in catalog]))
        raise StageError(f"{nothing_kept(catalog)}. Each one's reasons are in {why}")
    write_text(args.out, csv_text(CATALOG_COLUMNS, [list(row.values()) for row in catalog]))
    counts = ", ".join(f"{name} {count}" for name, count in dropped_by(catalog).most_common())
    log.info(
        "%s: %d of %d pictures kept, in %d groups; dropped by: %s",
        args.out,
        len(kept(catalog)),
        len(catalog),
        len({row["group"] for row in kept(catalog)}),
        counts or "nothing",
    )
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(run_stage("filter", main))
