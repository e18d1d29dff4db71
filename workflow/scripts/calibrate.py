"""Compare a model's uncertainty with its true errors on the validation photographs.

Writes calibration.json, which `colorize` finds beside the model: by it an uncertainty becomes a
confidence. With fewer validation photographs than it takes, the file says so and has no curves.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photochrom.runtime import (
    EXIT_OK,
    log,
    pick_device,
    progress,
    run_stage,
    stage_parser,
    start_log,
    write_json,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from photochrom.metrics.photographs import Photograph

# The photographs are measured at this size, as the protocol paired-256crop does.
SIZE = 256


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = stage_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.csv")
    parser.add_argument("--split", type=Path, required=True, help="split.csv")
    parser.add_argument("--out", type=Path, required=True, help="calibration.json")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args(argv)
    if args.threads < 1:
        parser.error("--threads must be 1 or more")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    start_log("calibrate", args.log)

    import numpy as np
    import torch

    from photochrom.calibration import record
    from photochrom.color import rgb_to_lab
    from photochrom.images import ImageError, decoder_threads
    from photochrom.inference import enlarge_ab, network_size, resize
    from photochrom.metrics.colour import ciede2000
    from photochrom.metrics.measuring import ordered_map
    from photochrom.metrics.painting import paint_picture
    from photochrom.metrics.photographs import (
        complain_of_missing,
        data_digest,
        load_original,
        read_photographs,
    )
    from photochrom.models import load_model
    from photochrom.uncertainty import judge

    # Photographs are worked on in parallel, each by one thread.
    torch.set_num_threads(1)
    decoder_threads(1)
    photographs = read_photographs(args.catalog, args.split, "val")
    model = load_model(args.model, pick_device(args.device))

    def work(photograph: "Photograph") -> tuple[float, float] | str:
        """The mean uncertainty and the true error, or why there are none."""
        try:
            truth = load_original(photograph, SIZE)
        except ImageError as error:
            return error.reason
        lab = rgb_to_lab(truth)
        narrow = resize(lab[..., 0], *network_size(SIZE, SIZE, model.size, model.multiple))
        ab, uncertainty = judge(model, narrow)

        def paint(lab: "NDArray[np.floating[Any]]") -> "NDArray[np.floating[Any]]":
            return np.concatenate(
                [lab[..., :1], enlarge_ab(narrow, ab, lab[..., 0], model.smooth)], axis=-1
            )

        picture = paint_picture(truth, paint)
        return float(uncertainty.mean(dtype=float)), float(ciede2000(lab, rgb_to_lab(picture)))

    outcomes = ordered_map(work, photographs, args.threads)
    rows, missing, used = [], [], []
    for photograph, outcome in zip(
        photographs, progress(outcomes, len(photographs), "calibrate"), strict=True
    ):
        if isinstance(outcome, str):
            missing.append((photograph, outcome))
        else:
            used.append(photograph)
            rows.append((photograph.id, *outcome))
    complain_of_missing(missing, len(photographs))
    made = record(model.digest, rows, data_digest(used))
    write_json(args.out, made)
    log.info("%d photographs: %s", len(rows), made["reason"] or "calibrated")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(run_stage("calibrate", main))
