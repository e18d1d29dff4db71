"""Measure one row of the report: how a model, or a yardstick, paints the test photographs.

Reads the originals that the catalogue names, keeps nothing of them but their figures, and writes
the figures with their confidence intervals, a table with a line for each photograph, and the
pictures of a choice of photographs, the same ones for every row. The results do not depend on the
number of threads.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from photochrom.runtime import (
    EXIT_OK,
    EXIT_REJECTED,
    StageError,
    log,
    pick_device,
    run_stage,
    stage_parser,
    start_log,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from photochrom.metrics.eyes import Eyes
    from photochrom.metrics.measuring import Measurement, Source
    from photochrom.metrics.painting import Folder
    from photochrom.metrics.photographs import Photograph
    from photochrom.metrics.protocols import Protocol
    from photochrom.models.baselines import Painter

# Pictures that the page shows.
PICTURES = 1000


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = stage_parser(__doc__)
    parser.add_argument("--row", required=True, help="name of the row")
    painter = parser.add_mutually_exclusive_group(required=True)
    painter.add_argument("--model", type=Path, help="model.safetensors")
    painter.add_argument("--yardstick", choices=["grey", "constant", "levin", "truth", "real"])
    painter.add_argument("--compare", type=Path, help="folder of pictures painted elsewhere")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.csv")
    parser.add_argument("--split", type=Path, required=True, help="split.csv")
    parser.add_argument("--shards", type=Path, help="shards.csv; needed by --yardstick constant")
    parser.add_argument(
        "--hints", type=int, default=10, help="true colours given to --yardstick levin"
    )
    parser.add_argument("--protocols", default="paired-256crop", help="names, with commas")
    parser.add_argument("--reference", type=Path, help="reference.npz; distances need it")
    parser.add_argument("--degradations", default="", help="names, with commas")
    parser.add_argument(
        "--plates",
        nargs=3,
        action="append",
        default=[],
        metavar=("NAME", "SCANS", "TRUTH"),
        help="folders of plates and of their true colours",
    )
    parser.add_argument("--out", type=Path, required=True, help="the figures, JSON")
    parser.add_argument("--per-image", type=Path, required=True, help="figures per photograph, CSV")
    parser.add_argument("--pictures", type=Path, required=True, help="folder for pictures")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--allow-rejects", action="store_true", help="exit with 0 even if originals are missing"
    )
    args = parser.parse_args(argv)
    if args.yardstick == "constant" and args.shards is None:
        parser.error("--yardstick constant needs --shards")
    if min(args.threads, args.hints) < 1:
        parser.error("--threads and --hints must be 1 or more")
    return args


def make_painter(args: argparse.Namespace, device: "torch.device") -> "Painter":
    """What paints the row: the trained model, or the yardstick."""
    from photochrom.models import baselines

    if args.yardstick == "grey":
        return baselines.grey()
    if args.yardstick == "levin":
        return baselines.levin(args.hints)
    if args.yardstick == "truth":
        return baselines.truth()
    if args.yardstick == "real":
        return baselines.real()
    if args.yardstick == "constant":
        return baselines.constant(*baselines.mean_training_ab(args.shards, args.split))
    return model_painter(args.model, device)


def model_painter(path: Path, device: "torch.device") -> "Painter":
    """A trained model, as the archive uses it; one that chooses among colours says how sure."""
    import numpy as np

    from photochrom.inference import colorize_lightness, enlarge_ab, network_size, resize
    from photochrom.models import baselines, load_model
    from photochrom.models.base import Distribution
    from photochrom.uncertainty import judge

    model = load_model(path, device)

    def paint(lab: "NDArray[np.floating[Any]]") -> "NDArray[np.floating[Any]]":
        return np.concatenate([lab[..., :1], colorize_lightness(model, lab[..., 0])], axis=-1)

    def paint_judged(
        lab: "NDArray[np.floating[Any]]",
    ) -> "tuple[NDArray[np.floating[Any]], float]":
        height, width = lab.shape[:2]
        narrow = resize(lab[..., 0], *network_size(width, height, model.size, model.multiple))
        ab, uncertainty = judge(model, narrow)
        wide = enlarge_ab(narrow, ab, lab[..., 0], model.smooth)
        return np.concatenate([lab[..., :1], wide], axis=-1), float(uncertainty.mean())

    experiment, phase = model.metadata.get("experiment"), model.metadata.get("phase")
    return baselines.Painter(
        f"experiment {experiment} after phase {phase}",
        model.digest,
        paint,
        paint_judged if isinstance(model.network, Distribution) else None,
    )


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    start_log("evaluate", args.log)

    import torch

    from photochrom.degradations import check_degradations
    from photochrom.images import decoder_threads, write_webp
    from photochrom.metrics.eyes import load_eyes, read_reference
    from photochrom.metrics.painting import Folder
    from photochrom.metrics.photographs import (
        choose_pictures,
        complain_of_missing,
        read_photographs,
    )
    from photochrom.metrics.protocols import parse_protocols
    from photochrom.metrics.sets import distances_of, floors_of
    from photochrom.metrics.summary import per_image_text, row_record

    # Photographs are worked on in parallel, each by one thread.
    torch.set_num_threads(1)
    decoder_threads(1)
    protocols = parse_protocols(args.protocols)
    if args.yardstick == "real":
        protocols = [protocol for protocol in protocols if protocol.reference == "disjoint"]
        if not protocols:
            raise StageError("--yardstick real needs the protocol disjoint")
    degradations = check_degradations(args.degradations)
    photographs = read_photographs(args.catalog, args.split, "test")
    device = pick_device(args.device)
    shown = choose_pictures(photographs, PICTURES)
    reference = read_reference(args.reference, photographs) if args.reference else None
    eyes = load_eyes(len(photographs), device, distances=reference is not None)
    painter: Painter | Folder
    painter = Folder(args.compare, photographs) if args.compare else make_painter(args, device)

    def keep(photograph: "Photograph", picture: "NDArray[np.uint8]") -> None:
        if photograph.id in shown and args.yardstick != "real":
            write_webp(args.pictures / f"{photograph.id}.webp", picture)

    args.pictures.mkdir(parents=True, exist_ok=True)
    kind = "experiment" if args.model else "compared" if args.compare else "yardstick"
    with TemporaryDirectory(dir=args.out.parent, prefix=".pictures-") as folder:
        measurements = measure_protocols(
            painter,
            protocols,
            photographs,
            eyes,
            keep,
            degradations if args.model else (),
            args.threads,
            Path(folder) / "squares" if eyes.see and args.yardstick != "real" else None,
        )
        # Others' pictures may all be missing: the other rows do not need them.
        complain_of_missing(
            measurements[0].missing, len(photographs), needed=not isinstance(painter, Folder)
        )
        if not isinstance(painter, Folder) and args.yardstick not in ("real", "levin", "truth"):
            measurements += measure_plates(painter, args.plates, args.threads)
        record = row_record(
            args.row,
            kind,
            painter.description,
            painter.digest,
            photographs,
            measurements,
            {
                each.protocol.name: distances_of(each, reference, eyes, args.threads)
                for each in measurements
            },
            {path.stem for path in args.pictures.iterdir()},
            [floor for each in measurements for floor in floors_of(each, reference, eyes)],
        )
    write_text(args.per_image, per_image_text(measurements))
    write_json(args.out, record)
    log.info(
        "%s: %d photographs in %d groups measured%s: %s",
        args.row,
        record["n"],
        record["groups"],
        f", {len(record['missing'])} missing" if record["missing"] else "",
        args.out,
    )
    return EXIT_REJECTED if record["missing"] and not args.allow_rejects else EXIT_OK


def measure_protocols(
    painter: "Painter | Folder",
    protocols: "Sequence[Protocol]",
    photographs: "Sequence[Photograph]",
    eyes: "Eyes",
    keep: "Callable[[Photograph, NDArray[np.uint8]], None]",
    degradations: Sequence[str],
    threads: int,
    spool: Path | None,
) -> "list[Measurement]":
    """A measurement under each protocol; pictures of one size are painted once.

    `keep` is given the pictures of the first protocol, which is also the one of degradations;
    `spool`, a file to be made, takes up the squares.
    """
    from photochrom.metrics.measuring import measure
    from photochrom.metrics.painting import Folder
    from photochrom.metrics.sets import halved

    def leave(photograph: "Photograph", picture: "NDArray[np.uint8]") -> None:
        pass

    of_size: dict[int | None, Measurement] = {}
    found = []
    for protocol in protocols:
        if protocol.size not in of_size:
            first = not of_size
            of_size[protocol.size] = measure(
                photographs,
                protocol,
                source_of(painter, protocol),
                threads,
                eyes if protocol.size else replace(eyes, see={}),
                keep if first else leave,
                None if isinstance(painter, Folder) else painter.paint,
                degradations if first else (),
                spool if protocol.size else None,
            )
        measured = of_size[protocol.size]
        if protocol.reference == "disjoint":
            measured = halved(measured, protocol, photographs)
        found.append(measured)
    return found


def source_of(painter: "Painter | Folder", protocol: "Protocol") -> "Source":
    """How a photograph and its painting are had under a protocol."""
    from photochrom.metrics.painting import Folder, Painting, painting_of
    from photochrom.metrics.photographs import load_original

    def source(photograph: "Photograph") -> "tuple[NDArray[np.uint8], Painting]":
        truth = load_original(photograph, protocol.size)
        if isinstance(painter, Folder):
            return truth, Painting(painter.picture(photograph, truth, protocol))
        return truth, painting_of(truth, painter.paint, painter.paint_judged)

    return source


def measure_plates(
    painter: "Painter", folders: Sequence[Sequence[str]], threads: int
) -> "list[Measurement]":
    """A measurement of each pair of folders of plates."""
    from photochrom import plates
    from photochrom.metrics.eyes import Eyes
    from photochrom.metrics.measuring import measure

    found = []
    for name, scans, truth in folders:
        by_name = {plate.name: plate for plate in plates.read_plates(Path(scans), Path(truth))}
        found.append(
            measure(
                plates.as_photographs(by_name.values()),
                plates.protocol_of(name),
                partial(plates.painted_of, by_name, painter.paint),
                threads,
                Eyes({}, {}),
                lambda photograph, picture: None,
            )
        )
        if not found[-1].photographs:
            raise StageError(f"plates {name}: none can be measured: {found[-1].missing[0][1]}")
    return found


if __name__ == "__main__":
    sys.exit(run_stage("evaluate", main))
