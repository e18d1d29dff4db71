"""How long the shipped model takes for one photograph in memory, weights loaded.

    python benchmarks/bench_photograph.py [--model FILE] [--megapixels 12] [--threads 2] [--times 5]

From lightness to ab at the photograph's own size, as evaluation and the archive do it: shrinking,
the network, enlarging along edges. The median of several runs, without reading and writing files.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import numpy as np
import torch

from photochrom.inference import colorize_lightness
from photochrom.models import load_model

SHIPPED = ROOT / "workflow" / "models" / "photochrom-1.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = load_model(args.model)
    height = round((args.megapixels * 1e6 * 3 / 4) ** 0.5)
    L = np.random.default_rng(1).random((height, height * 4 // 3), np.float32) * 100
    seconds = []
    for _ in range(args.times + 1):  # the first one warms up
        started = time.perf_counter()
        colorize_lightness(model, L)
        seconds.append(time.perf_counter() - started)
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}")
    print(f"{L.shape[1]} x {L.shape[0]} px, {args.threads} threads: ", end="")
    print(f"{statistics.median(seconds[1:]):.2f} s, the slowest {max(seconds[1:]):.2f} s")


if __name__ == "__main__":
    main()
