"""List the photographs of all sources: every file found is a row of sources.csv, usable or not."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from photochrom.runtime import (
    EXIT_OK,
    EXIT_REJECTED,
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
    parser.add_argument(
        "--sources",
        required=True,
        metavar="YAML",
        help="list of sources, such as '[{kind: builtin}, {kind: folder, path: photos/}]'",
    )
    parser.add_argument(
        "--images", type=Path, required=True, help="folder for pictures that a source makes"
    )
    parser.add_argument("--out", type=Path, required=True, help="sources.csv to write")
    parser.add_argument(
        "--allow-rejects", action="store_true", help="exit 0 though some files cannot be used"
    )
    args = parser.parse_args(argv)
    start_log("download", args.log)

    from photochrom.sources import faults_by_source, list_all
    from photochrom.tables import SOURCES_COLUMNS

    sources = parse_yaml(args.sources, "--sources")
    if not isinstance(sources, list) or not sources:
        raise StageError("data.sources must be a list such as [{kind: builtin}]")
    images = list(list_all(sources, args.images))
    usable = [image for image in images if not image.error]
    for source, counts in faults_by_source(images).items():
        shown = ", ".join(f"{fault} {count}" for fault, count in counts.most_common(6))
        log.warning("%s: %d files that cannot be used: %s", source, counts.total(), shown)
    if not usable:
        found = f"the {len(images)} files there cannot be used" if images else "nothing found"
        raise StageError(
            f"no images in {args.sources} ({found}); name a source that has some in data.sources"
        )
    write_text(args.out, csv_text(SOURCES_COLUMNS, map(dataclasses.astuple, images)))
    rejected = len(images) - len(usable)
    log.info("%s: %d pictures, %d files that cannot be used", args.out, len(usable), rejected)
    return EXIT_REJECTED if rejected and not args.allow_rejects else EXIT_OK


if __name__ == "__main__":
    sys.exit(run_stage("download", main))
