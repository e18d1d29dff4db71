"""How fast random batches are read back, beside how fast the default network trains on them.

    python benchmarks/bench_read.py [--pictures 2000] [--batches 30] [--steps 6] [--threads N]

Shards of noise are written (noise costs what photographs cost, as nothing is compressed), and
batches of 64 at 128 px taken from them in random order: straight from the files, which also checks
each picture's Fletcher-32, and from memory as training takes them (`load_split`, then
`load_batch`). Training is the network of workflow/experiments/quick.yaml with L1 and Adam.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import h5py
import numpy as np
import torch
import yaml
from torch.nn import functional as F

from photochrom.batches import load_batch
from photochrom.models import build
from photochrom.runtime import csv_text
from photochrom.shards import index_rows, load_split, write_stored
from photochrom.stored import SCALE_FACTOR
from photochrom.tables import SHARDS_COLUMNS, SPLIT_COLUMNS

SIZE, BATCH, SHARD = 128, 64, 500
CPU = torch.device("cpu")


def write_shards(folder: Path, count: int) -> tuple[Path, Path, list[Path]]:
    """shards.csv, split.csv and the shards of `count` pictures, all of them for training."""
    generator = np.random.default_rng(0)
    paths, rows = [], []
    for start in range(0, count, SHARD):
        ids = [f"p{number}" for number in range(start, min(count, start + SHARD))]
        path = folder / f"shard-{start // SHARD:05}.h5"
        pictures = (
            (
                generator.integers(-32767, 32768, (SIZE, SIZE), dtype=np.int16),
                generator.integers(-32767, 32768, (SIZE, SIZE, 2), dtype=np.int16),
            )
            for _ in ids
        )
        write_stored(path, ids, SIZE, pictures, "")
        paths.append(path)
        rows += [(id, path.stem, row, id, 1, "train") for row, id in enumerate(ids)]
    shards, split = folder / "shards.csv", folder / "split.csv"
    shards.write_text(csv_text(SHARDS_COLUMNS, index_rows(paths)))
    split.write_text(csv_text(SPLIT_COLUMNS, rows))
    return shards, split, paths


def rate(work: Callable[[], None], times: int) -> float:
    """Pictures a second, the median of `times` batches after one that warms up."""
    work()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return BATCH / statistics.median(taken)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(
        f"machine: {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, torch {torch.__version__}, {arguments.threads} threads"
    )
    generator = np.random.default_rng(1)
    quick = yaml.safe_load((ROOT / "workflow" / "experiments" / "quick.yaml").read_text())
    with tempfile.TemporaryDirectory() as name:
        shards, split, paths = write_shards(Path(name), arguments.pictures)
        files = [h5py.File(path) for path in paths]
        datasets = [(file["L"], file["ab"]) for file in files]
        L = np.empty((BATCH, SIZE, SIZE), np.int16)
        ab = np.empty((BATCH, SIZE, SIZE, 2), np.int16)

        def from_files() -> None:
            # Picture by picture: h5py takes many times as long for a list of rows.
            for at, row in enumerate(generator.choice(arguments.pictures, BATCH, replace=False)):
                for batch, part in zip((L, ab), datasets[row // SHARD], strict=True):
                    batch[at] = part[row % SHARD]
            for batch in (L, ab):
                torch.from_numpy(batch).float().mul_(SCALE_FACTOR)

        data = load_split(shards, split, "train")

        def from_memory() -> None:
            load_batch(data, generator.choice(len(data.ids), BATCH, replace=False), CPU)

        network = build(quick["network"])
        optimizer = torch.optim.Adam(network.parameters())
        inputs, truth = load_batch(data, np.arange(BATCH), CPU)

        def train() -> None:
            optimizer.zero_grad()
            F.l1_loss(network(inputs), truth).backward()
            optimizer.step()

        training = rate(train, arguments.steps)
        print(f"training {quick['network']}: {training:.0f} pictures a second")
        for words, work in (("files", from_files), ("memory", from_memory)):
            read = rate(work, arguments.batches)
            times = read / training
            print(f"batches from {words}: {read:.0f} pictures a second, {times:.0f} times that")
        for file in files:
            file.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
