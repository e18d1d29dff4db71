"""Which type and compression shards should store Lab in: size, rates and round-trip error.

    python benchmarks/bench_storage.py [--photographs FOLDER] [--count 128] [--size 128]

The pictures are FOLDER's photographs, else those in scikit-image, as normalized Lab. Written with
fletcher32 and one picture a chunk, as shards are, and read back in batches of 64 in random order.
The error is that of the values against double precision, in Lab units and as dE2000.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import h5py
import numpy as np
from numpy.typing import NDArray
from skimage import data
from skimage.color import deltaE_ciede2000

from photochrom.color import AB_SCALE, L_SCALE, normalize, rgb_to_lab
from photochrom.images import ImageError, decoder_threads, load_square

BATCH, ROUNDS = 64, 5
TYPES = {"uint8": 255 / 2, "int16": 32767.0, "float16": 1.0, "float32": 1.0}
COMPRESSIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "lzf": {"compression": "lzf", "shuffle": True},
    "gzip1": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
    "gzip4": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
}


def pictures(folder: Path, count: int, size: int) -> Iterator[NDArray[np.float64]]:
    """`count` pictures of normalized Lab (size, size, 3), each also flipped when there are few."""
    squares = []
    for path in sorted(path for path in folder.rglob("*.*")):
        try:
            squares.append(load_square(path, size))
        except ImageError:
            continue
        if len(squares) == count:
            break
    for number in range(count):
        square = squares[number % len(squares)]
        lab = rgb_to_lab(np.rot90(square, number // len(squares) % 4))
        yield np.concatenate(
            [part.reshape(size, size, -1) for part in normalize(lab[..., 0], lab[..., 1:])], axis=-1
        )


def encode(values: NDArray[np.float64], kind: str) -> NDArray[Any]:
    if kind.startswith("float"):
        return values.astype(kind)
    offset = 1.0 if kind == "uint8" else 0.0
    return np.rint((values + offset) * TYPES[kind]).astype(kind)


def decode(stored: NDArray[Any], kind: str) -> NDArray[np.float32]:
    """What a network gets: float32 in [-1, 1]."""
    values = stored.astype(np.float32)
    if kind.startswith("float"):
        return values
    values *= np.float32(1 / TYPES[kind])
    return values - np.float32(1) if kind == "uint8" else values


def lab_of(values: NDArray[Any]) -> NDArray[np.float64]:
    return values.astype(np.float64) * [L_SCALE, AB_SCALE, AB_SCALE] + [L_SCALE, 0, 0]


def measure(values: NDArray[np.float64], kind: str, compression: str, path: Path) -> str:
    """One line of the table."""
    count, size = values.shape[:2]
    stored = encode(values, kind)
    writes, reads = [], []
    order = np.random.default_rng(0).permutation(count)
    for _ in range(ROUNDS):
        started = time.process_time()
        with h5py.File(path, "w", libver=("v110", "v110")) as file:
            chunk = (1, size, size, 3)
            options = {"chunks": chunk, "fletcher32": True, **COMPRESSIONS[compression]}
            file.create_dataset("lab", data=stored, **options)
        writes.append((time.process_time() - started) / count * 1e3)
        started = time.process_time()
        with h5py.File(path) as file:
            lab = file["lab"]
            for start in range(0, count, BATCH):
                rows = order[start : start + BATCH]
                # One by one: h5py takes many times as long for a list of rows.
                decode(np.stack([lab[row] for row in rows]), kind)
        reads.append((time.process_time() - started) / count * 1e3)
    true, back = lab_of(values), lab_of(decode(stored, kind))
    difference = deltaE_ciede2000(true[:16], back[:16])
    worst = np.abs(back - true).reshape(-1, 3).max(axis=0)
    return (
        f"| {kind} | {compression} | {path.stat().st_size / count / 1024:.1f} "
        f"| {statistics.median(writes):.2f} | {statistics.median(reads):.2f} "
        f"| {worst[0]:.4f} | {worst[1:].max():.4f} "
        f"| {difference.mean():.4f} | {difference.max():.4f} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=Path, metavar="FOLDER", default=Path(data.data_dir))
    parser.add_argument("--count", type=int, default=128)
    parser.add_argument("--size", type=int, default=128)
    arguments = parser.parse_args()
    decoder_threads(1)
    cores, machine = os.cpu_count(), platform.machine()
    print(f"machine: {cores} cores, {machine}, Python {platform.python_version()}")
    values = np.stack(list(pictures(arguments.photographs, arguments.count, arguments.size)))
    print("| type | compression | KiB | write ms | read ms | max dL* | max dab | dE2000 | max |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in TYPES:
            for compression in COMPRESSIONS:
                print(measure(values, kind, compression, Path(folder) / "lab.h5"), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
