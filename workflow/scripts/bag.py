"""Pack a colorized archive as a BagIt bag (RFC 8493), for long-term keeping and for handing over.

DIR gets what a bag is made of, and as its payload the derivatives with all that stands beside them,
the tables and the review page. Files are linked where the file system allows it, so that a bag on
the disk of the results takes no room of its own; elsewhere they are copied. The bag is made beside
DIR, checked, and put in its place, so that DIR is always a whole one.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from photochrom.runtime import EXIT_OK, StageError, log, run_stage, stage_parser, start_log

# How the work was divided: of no use to who receives the bag.
LEFT_OUT = ("plan", "status")


def main(argv: Sequence[str] | None = None) -> int:
    parser = stage_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of the derivatives")
    parser.add_argument("--archive", required=True, help="the archive's name")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the bag")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    start_log("bag", args.log)

    from photochrom.archive.records import Status, read_rows

    statuses = read_rows(args.root / "status.csv", Status, "gather.py")
    models = sorted({status.model_sha256 for status in statuses} - {""})
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=args.out.parent, prefix=f".{args.out.name}-") as folder:
        bag = Path(folder) / "bag"
        shutil.copytree(
            args.root,
            bag,
            copy_function=link,
            ignore=lambda where, names: LEFT_OUT if Path(where) == args.root else (),
        )
        size = make(bag, args.archive, models, args.threads)
        if args.out.exists():
            shutil.rmtree(args.out)
        bag.rename(args.out)
    log.info("%s: a bag of %d files", args.out, size)
    return EXIT_OK


def link(source: str, target: str) -> None:
    """A second name for a file, or a copy where there can be none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def make(folder: Path, archive: str, models: Sequence[str], threads: int) -> int:
    """Turn a folder into a bag in place and check it; the number of files in it."""
    import bagit

    from photochrom.version import __version__

    info = {
        "Bag-Software-Agent": f"Photochrom {__version__}, bagit.py {bagit.VERSION}",
        "External-Description": (
            f"Derivatives of the archive {archive}, colorized by a computer: their colours are "
            "invented. Each has a sidecar that says by which model and from which original."
        ),
        "External-Identifier": archive,
        "Photochrom-Model-SHA256": list(models),
    }
    bag = bagit.make_bag(str(folder), info, processes=threads, checksums=["sha256"])
    try:
        bag.validate(processes=threads)
    except bagit.BagValidationError as error:
        raise StageError(f"the bag is not whole, a file was changed meanwhile: {error}") from error
    return len(bag.payload_entries())


if __name__ == "__main__":
    sys.exit(run_stage("bag", main))
