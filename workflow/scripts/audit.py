"""Look for pictures that the splits and evaluation folders share, exactly or nearly."""

import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from photochrom.runtime import (
    EXIT_OK,
    StageError,
    log,
    parse_yaml,
    progress,
    run_stage,
    stage_parser,
    start_log,
    write_json,
)

if TYPE_CHECKING:
    from photochrom.leakage import Hashed

# Bits at which hashes count as alike where data.near_duplicate_bits is null.
DEFAULT_BITS = 6


def main(argv: Sequence[str] | None = None) -> int:
    parser = stage_parser(__doc__)
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.csv")
    parser.add_argument("--split", type=Path, required=True, help="split.csv")
    parser.add_argument(
        "--folders", type=Path, nargs="*", default=[], help="of pictures that models are judged on"
    )
    parser.add_argument(
        "--near-bits", default="null", metavar="N", help=f"hash bits; {DEFAULT_BITS} for null"
    )
    parser.add_argument("--threads", type=int, default=1, help="pictures hashed at a time")
    parser.add_argument("--out", type=Path, required=True, help="audit.json to write")
    args = parser.parse_args(argv)
    start_log("audit", args.log)

    from photochrom.leakage import Hashed, as_json, audit
    from photochrom.splits import SPLITS
    from photochrom.tables import CATALOG_COLUMNS, SPLIT_COLUMNS, read_table

    bits = parse_yaml(args.near_bits, "--near-bits")
    bits = DEFAULT_BITS if bits is None else bits
    if type(bits) is not int or not 0 <= bits < 63:
        raise StageError(f"--near-bits must be a whole number from 0 to 62 or null, not {bits}")
    rows = {row["id"]: row for row in read_table(args.catalog, CATALOG_COLUMNS, "filter.py")}
    splits: dict[str, list[Hashed]] = {name: [] for name in SPLITS}
    for place in read_table(args.split, SPLIT_COLUMNS, "split.py"):
        row = rows.get(place["id"])
        if row is None or place["split"] not in splits:
            raise StageError(f"{args.split} is not of {args.catalog} ({place['id']}); split again")
        splits[place["split"]].append(Hashed(row["original_name"], row["sha256"], row["phash"]))
    folders, unusable = {}, {}
    for folder in args.folders:
        if not folder.exists():
            raise StageError(f"data.audit: {folder} does not exist; mend its path")
        found = hash_folder(folder, args.out.parent, args.threads)
        folders[str(folder)], unusable[str(folder)] = found
    comparisons = audit(splits, folders, bits)
    write_json(args.out, as_json(bits, comparisons, unusable))
    shared = [each for each in comparisons if each.exact or each.near]
    for each in shared:
        log.warning(
            "%s and %s share %d pictures exactly and %d nearly, such as %s and %s",
            *(each.one, each.other, each.exact, each.near),
            *(each.pairs[0].one, each.pairs[0].other),
        )
    log.info(
        "%s: %d comparisons, %d found shared pictures", args.out, len(comparisons), len(shared)
    )
    return EXIT_OK


def hash_folder(folder: Path, work: Path, threads: int) -> tuple[list["Hashed"], int]:
    """The pictures of a folder, zip or tar, hashed, and how many of its files are none.

    An archive is unpacked below `work` for the while.
    """
    from tempfile import TemporaryDirectory

    from photochrom.images import decoder_threads, path_from_text
    from photochrom.leakage import Hashed
    from photochrom.measures import Measures, measure
    from photochrom.sources import list_all
    from photochrom.sources.record import fault_kind

    decoder_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(prefix=".audit-", dir=work) as unpacked,
        ThreadPoolExecutor(max(1, threads)) as pool,
    ):
        try:
            listed = list(list_all([{"kind": "folder", "path": str(folder)}], Path(unpacked)))
        except StageError as error:  # which takes the folder for a source
            raise StageError(str(error).replace("data.sources", "data.audit", 1)) from error
        usable = [image for image in listed if not image.error]
        paths = [path_from_text(image.path) for image in usable]
        found = list(progress(pool.map(measure, paths), len(paths), f"hashing {folder}"))
    pictures = [
        Hashed(image.original_name, image.sha256, measured.phash)
        for image, measured in zip(usable, found, strict=True)
        if isinstance(measured, Measures)
    ]
    if not pictures:
        kinds = Counter(fault_kind(image.error) for image in listed if image.error)
        found_words = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        raise StageError(
            f"data.audit: no pictures in {folder} ({found_words or 'nothing found'}); mend its path"
        )
    return pictures, len(listed) - len(pictures)


if __name__ == "__main__":
    sys.exit(run_stage("audit", main))
