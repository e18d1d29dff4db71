"""Measure one row of the report: how a model, or a yardstick, paints the test photographs.

Reads the originals that the catalogue names, keeps nothing of them but their figures, and writes
the figures with their confidence intervals, a table with a line for each photograph, and the
pictures of a few photographs, the same ones for every row. The results do not depend on the
number of threads.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photochrom.runtime import (
    EXIT_OK,
    EXIT_REJECTED,
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

    from photochrom.metrics.photographs import Photograph
    from photochrom.metrics.protocols import Measurement
    from photochrom.models.baselines import Painter

PICTURES = 12


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = stage_parser(__doc__)
    parser.add_argument("--row", required=True, help="name of the row")
    painter = parser.add_mutually_exclusive_group(required=True)
    painter.add_argument("--model", type=Path, help="model.safetensors")
    painter.add_argument("--yardstick", choices=["grey", "constant", "levin", "truth"])
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.csv")
    parser.add_argument("--split", type=Path, required=True, help="split.csv")
    parser.add_argument("--shards", type=Path, help="shards.csv; needed by --yardstick constant")
    parser.add_argument(
        "--hints", type=int, default=100, help="true colours given to --yardstick levin"
    )
    parser.add_argument("--protocols", default="paired-256crop", help="names, with commas")
    parser.add_argument("--out", type=Path, required=True, help="the figures, JSON")
    parser.add_argument("--per-image", type=Path, required=True, help="figures per photograph, CSV")
    parser.add_argument("--pictures", type=Path, required=True, help="folder for a few pictures")
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
    import numpy as np

    from photochrom.inference import colorize_lightness
    from photochrom.models import baselines, load_model

    if args.yardstick == "grey":
        return baselines.grey()
    if args.yardstick == "levin":
        return baselines.levin(args.hints)
    if args.yardstick == "truth":
        return baselines.truth()
    if args.yardstick == "constant":
        return baselines.constant(*baselines.mean_training_ab(args.shards, args.split))
    model = load_model(args.model, device)

    def paint(lab: "NDArray[np.floating[Any]]") -> "NDArray[np.floating[Any]]":
        return np.concatenate([lab[..., :1], colorize_lightness(model, lab[..., 0])], axis=-1)

    experiment, phase = model.metadata.get("experiment"), model.metadata.get("phase")
    return baselines.Painter(f"experiment {experiment} after phase {phase}", model.digest, paint)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    start_log("evaluate", args.log)

    import torch

    from photochrom.images import decoder_threads, write_png
    from photochrom.metrics.photographs import (
        choose_pictures,
        complain_of_missing,
        read_photographs,
    )
    from photochrom.metrics.protocols import measure, parse_protocols
    from photochrom.metrics.summary import per_image_text, row_record

    # Photographs are worked on in parallel, each by one thread.
    torch.set_num_threads(1)
    decoder_threads(1)
    protocols = parse_protocols(args.protocols)
    photographs = read_photographs(args.catalog, args.split, "test")
    device = pick_device(args.device)
    painter = make_painter(args, device)
    shown = choose_pictures(photographs, PICTURES)

    measurements: list[Measurement] = []

    def keep(photograph: "Photograph", picture: "NDArray[np.uint8]") -> None:
        first_protocol = not measurements
        if first_protocol and photograph.id in shown:
            write_png(args.pictures / f"{photograph.id}.png", picture)

    args.pictures.mkdir(parents=True, exist_ok=True)
    for protocol in protocols:
        measurements.append(
            measure(photographs, protocol, painter.paint, args.threads, device, keep)
        )
    complain_of_missing(measurements[0].missing, len(photographs))

    kind = "experiment" if args.model else "yardstick"
    measured = {photograph.id for photograph in measurements[0].photographs}
    record = row_record(
        args.row, kind, painter.description, painter.digest, measurements, shown & measured
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


if __name__ == "__main__":
    sys.exit(run_stage("evaluate", main))
