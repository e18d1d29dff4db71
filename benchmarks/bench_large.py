"""What a very large scan costs: memory and time of colorizing a 16-bit TIFF made for it.

    python benchmarks/bench_large.py [--megapixels 100] [--threads 2]

The picture is made by libvips (smooth tones and grain), colorized by an untrained U-Net of the
embedded default's design, and written as TIFF. Printed are the resident memory before the first
pixel, with the model loaded, and the greatest until the end; their difference is what a picture
takes beyond the model. Pages of mapped temporary files count, as the kernel counts them.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import pyvips
import torch

from photochrom.archive.colorize import Job, colorize_rows
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings
from photochrom.images import decoder_threads
from photochrom.inference import predict_ab
from photochrom.models import Model, build

SIZE = 112


def peak() -> int:
    """The process's greatest resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000


def make(path: Path, megapixels: float) -> None:
    """A grey 16-bit TIFF of 3 : 2."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = round(height * 1.5)
    tones = pyvips.Image.xyz(width, height)
    waves = ((tones[0] / 300).sin() + (tones[1] / 200).cos()) * 12_000 + 32_000
    grain = pyvips.Image.gaussnoise(width, height, sigma=900, seed=1)
    grey = (waves + grain).cast("ushort").copy(interpretation="grey16")
    path.parent.mkdir(parents=True)
    grey.tiffsave(str(path), bigtiff=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=float, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        make(args.make, args.megapixels)
        return
    with tempfile.TemporaryDirectory() as folder:
        scan = Path(folder) / "scans" / "large.tif"
        # In a process of its own: its memory is not to be counted.
        subprocess.run(
            [sys.executable, __file__, "--megapixels", str(args.megapixels), "--make", str(scan)],
            check=True,
        )
        torch.set_num_threads(args.threads)
        decoder_threads(args.threads)
        network = build({"name": "unet", "width": 16, "depth": 4, "dropout": 0.0}).eval()
        model = Model(network, {}, "0" * 64, SIZE, network.multiple)
        predict_ab(model, torch.zeros(SIZE, SIZE * 3 // 2).numpy() + 50)
        before, started = peak(), time.monotonic()
        rows = plan_archive(str(scan.parent))
        (status,) = colorize_rows(rows, Job(Path(folder) / "out", model, Settings(), args.threads))
        seconds = time.monotonic() - started
        print(
            f"{args.megapixels:g} MP, {args.threads} threads: {status.status} in {seconds:.0f} s, "
            f"max |dL*| {status.max_dL}; memory {before} MB with the model, {peak()} MB at most, "
            f"{peak() - before} MB for the picture"
        )


if __name__ == "__main__":
    main()
