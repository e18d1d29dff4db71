"""Colorize an archive: all of it by hand, or one shard of a plan.

    colorize.py ARCHIVE OUT
    colorize.py --plan DIR/shard-00000.csv --out OUT --status FILE

By hand, ARCHIVE (a folder, zip, tar or CSV list, or `builtin`) is planned into OUT/plan, all shards
are colorized, and OUT gets status.csv, manifest-sha256.txt, events.csv and review.html. Originals
are only read. What an interrupted run has finished is not done again.

Exit codes: 0 all done; 2 wrong arguments; 3 done, but some files failed; 4 something is missing
that was asked for; 5 the output cannot be written; 6 out of memory; 7 the model was refused; 130
or 143 interrupted: the same command goes on.
"""

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from photochrom.runtime import (
    EXIT_OK,
    EXIT_REJECTED,
    StageError,
    log,
    parse_yaml,
    pick_device,
    run_stage,
    stage_parser,
    start_log,
)
from photochrom.shipped import SHIPPED

if TYPE_CHECKING:
    from photochrom.archive.job import Job
    from photochrom.archive.records import Status
    from photochrom.models import Model

SCRIPTS = Path(__file__).resolve().parent


def main(argv: Sequence[str] | None = None) -> int:
    parser = stage_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("archive", nargs="?", metavar="ARCHIVE")
    parser.add_argument("folder", nargs="?", type=Path, metavar="OUT")
    parser.add_argument("--plan", type=Path, help="a shard that plan.py wrote")
    parser.add_argument("--out", type=Path, help="the folder of the derivatives")
    parser.add_argument("--status", type=Path, help="the shard's table to write")
    parser.add_argument(
        "--model", type=Path, default=SHIPPED, help="model.safetensors; by default the shipped one"
    )
    parser.add_argument(
        "--settings",
        default="{}",
        help="YAML, as the keys of colorize in config.yaml; such as {format: tiff, samples: 4}",
    )
    parser.add_argument("--samples", type=int, metavar="K", help="plausible colorings of each")
    parser.add_argument(
        "--max-megapixels", type=float, default=300, help="larger scans are refused"
    )
    parser.add_argument("--hints", type=Path, help="CSV of known colours: see config.yaml")
    parser.add_argument("--decisions", type=Path, help="the CSV that review.html saves")
    parser.add_argument(
        "--calibration", type=Path, help="by default calibration.json beside the model"
    )
    parser.add_argument(
        "--backend",
        choices=("torch", "onnx"),
        default="torch",
        help="onnx: MODEL is a file of export_onnx.py, and ONNX Runtime runs it (on the CPU)",
    )
    parser.add_argument(
        "--sign",
        nargs=3,
        metavar=("CERTIFICATES", "KEY", "ALGORITHM"),
        help="sign derivatives (C2PA) by a chain and its key, both PEM, such as by es256",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--dry-run", action="store_true", help="say what ARCHIVE would take; write nothing"
    )
    parser.add_argument("--allow-rejects", action="store_true", help="exit 0 if files failed, too")
    args = parser.parse_args(argv)
    start_log("colorize", args.log)
    if args.archive and args.folder and not (args.plan or args.out or args.status):
        return colorize_archive(args)
    if args.dry_run:
        raise StageError("--dry-run is for ARCHIVE and OUT; for the workflow there is snakemake -n")
    if args.plan and args.out and args.status and not args.archive:
        statuses = colorize_shard(args.plan, args.status, make_job(args, args.out))
        return verdict(statuses, f"{args.plan.stem} to {args.out}", args.allow_rejects)
    raise StageError("give ARCHIVE and OUT, or --plan, --out and --status (see --help)")


def colorize_archive(args: argparse.Namespace) -> int:
    """Plan, colorize and gather a whole archive, as the workflow does by three rules."""
    from photochrom.archive.colorize import check_apart
    from photochrom.archive.records import Status, read_rows

    out: Path = args.folder
    if args.archive != "builtin":
        check_apart(Path(args.archive), out)
    job = make_job(args, out)
    if args.dry_run:
        from photochrom.archive.estimate import estimate
        from photochrom.archive.plan import plan_archive

        # A zip or tar has to be unpacked somewhere to be looked at.
        with TemporaryDirectory() as folder:
            rows = plan_archive(args.archive, job.settings.format, Path(folder))
            print("\n".join(estimate(rows, job)))
        return EXIT_OK
    plan = out / "plan"
    options = (f"--format={job.settings.format}", f"--out={plan}")
    code = run_script("plan.py", *options, "--", args.archive)
    if code != EXIT_OK:
        return code
    tables = []
    for shard in sorted(plan.glob("shard-*.csv")):
        tables.append(plan / shard.name.replace("shard", "status"))
        colorize_shard(shard, tables[-1], job)
    code = run_script(
        "gather.py",
        f"--plan={plan}",
        f"--root={out}",
        f"--archive={Path(args.archive).name}",
        f"--out={out / 'status.csv'}",
        f"--manifest={out / 'manifest-sha256.txt'}",
        f"--events={out / 'events.csv'}",
        f"--review={out / 'review.html'}",
        *([f"--hints={args.hints}"] if args.hints else []),
        *([f"--decisions={args.decisions}"] if args.decisions else []),
        *(f"--status={table}" for table in tables),
    )
    if code != EXIT_OK:
        return code
    # Of the table, which also has what the plan refused.
    statuses = read_rows(out / "status.csv", Status, "gather.py")
    return verdict(statuses, f"{args.archive} to {out}", args.allow_rejects)


def run_script(name: str, *arguments: str) -> int:
    """Run another stage; its exit code (it has said itself what is wrong)."""
    return subprocess.run([sys.executable, str(SCRIPTS / name), *arguments], check=False).returncode


def make_job(args: argparse.Namespace, out: Path) -> "Job":
    """What the command line asks of every shard; loads the model."""
    import torch

    from photochrom.archive.decisions import read_decisions
    from photochrom.archive.hints import read_hints
    from photochrom.archive.job import Job
    from photochrom.archive.provenance import parse_settings
    from photochrom.archive.signing import read_seal
    from photochrom.calibration import read
    from photochrom.images import decoder_threads

    if args.threads < 1:
        raise StageError(f"--threads is {args.threads}; it must be 1 or more")
    given = parse_yaml(args.settings, "--settings")
    if args.samples is not None and isinstance(given, dict):
        given = {**given, "samples": args.samples}
    settings = parse_settings(given)
    hints, faults = read_hints(args.hints) if args.hints else ([], [])
    review, strange = read_decisions(args.decisions) if args.decisions else ({}, [])
    for fault in faults + strange:
        log.warning("%s", fault)
    torch.set_num_threads(args.threads)
    decoder_threads(args.threads)
    model = model_by(args)
    beside = args.model.with_name("calibration.json")
    measured = model.metadata.get("exported_from", model.digest)
    calibration, reason = read(args.calibration or beside, measured)
    return Job(
        out=out,
        model=model,
        settings=settings,
        threads=args.threads,
        hints=hints,
        calibration=calibration,
        uncalibrated=reason,
        review=review,
        max_pixels=round(args.max_megapixels * 1e6),
        seal=read_seal(Path(args.sign[0]), Path(args.sign[1]), args.sign[2]) if args.sign else None,
    )


def model_by(args: argparse.Namespace) -> "Model":
    """The model by the backend that is asked for."""
    from photochrom.models import load_model
    from photochrom.models.onnx import load_onnx

    if args.backend == "torch":
        return load_model(args.model, pick_device(args.device))
    if args.device not in ("auto", "cpu"):
        raise StageError(f"--backend onnx runs on the CPU, not on {args.device}")
    return load_onnx(args.model, args.threads)


def colorize_shard(shard: Path, table: Path, job: "Job") -> "list[Status]":
    """Colorize the files of a shard and write their statuses to `table`."""
    from photochrom.archive.colorize import colorize_rows
    from photochrom.archive.records import Planned, Status, read_rows, write_rows

    statuses = colorize_rows(read_rows(shard, Planned, "plan.py"), job)
    write_rows(table, Status, statuses)
    return statuses


def verdict(statuses: "list[Status]", what: str, allow_rejects: bool) -> int:
    """Say what was made; the exit code."""
    counts = Counter(status.status for status in statuses)
    summary = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    log.info("%s: %s", what, summary or "nothing to do")
    return EXIT_REJECTED if counts["failed"] and not allow_rejects else EXIT_OK


if __name__ == "__main__":
    sys.exit(run_stage("colorize", main))
