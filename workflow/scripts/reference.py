"""Let the networks that judge sets of pictures see the test photographs, once for all rows."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from photochrom.runtime import (
    EXIT_OK,
    log,
    pick_device,
    progress,
    run_stage,
    stage_parser,
    start_log,
)

if TYPE_CHECKING:
    from photochrom.metrics.eyes import Features
    from photochrom.metrics.photographs import Photograph

# The side in pixels of the squares of protocols with distances.
SIZE = 256


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = stage_parser(__doc__)
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.csv")
    parser.add_argument("--split", type=Path, required=True, help="split.csv")
    parser.add_argument("--out", type=Path, required=True, help="reference.npz")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args(argv)
    if args.threads < 1:
        parser.error("--threads must be 1 or more")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    start_log("reference", args.log)

    import torch

    from photochrom.color import colourfulness
    from photochrom.images import ImageError, decoder_threads
    from photochrom.metrics.eyes import load_eyes, write_reference
    from photochrom.metrics.measuring import ordered_map
    from photochrom.metrics.photographs import load_original, read_photographs
    from photochrom.metrics.saturation import thinned

    # Photographs are worked on in parallel, each by one thread.
    torch.set_num_threads(1)
    decoder_threads(1)
    photographs = read_photographs(args.catalog, args.split, "test")
    eyes = load_eyes(len(photographs), pick_device(args.device))

    def work(photograph: "Photograph") -> "tuple[float, dict[str, Features]] | None":
        """Colourfulness and what the eyes see, or None of what every row will name as missing."""
        try:
            square = load_original(photograph, SIZE)
        except ImageError:
            return None
        return colourfulness(thinned(square)), {name: see(square) for name, see in eyes.see.items()}

    seen, colours = [], []
    features: dict[str, list[Features]] = {}
    # Without eyes there is nothing to look at.
    outcomes = ordered_map(work, photographs if eyes.see else [], args.threads)
    wanted = photographs if eyes.see else []
    for photograph, outcome in zip(
        wanted, progress(outcomes, len(wanted), "photographs"), strict=True
    ):
        if outcome is not None:
            seen.append(photograph)
            colours.append(outcome[0])
            for name, row in outcome[1].items():
                features.setdefault(name, []).append(row)
    write_reference(args.out, seen, colours, features, eyes.missing)
    for name, reason in eyes.missing.items():
        log.info("%s: %s", name, reason)
    log.info("%d photographs seen: %s", len(seen), args.out)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(run_stage("reference", main))
