"""What measuring a photograph costs, beside decoding it alone.

    python benchmarks/bench_measure.py [--photographs FOLDER] [--count 40] [--megapixels 12]

CPU milliseconds a photograph for JPEG files as they are in FOLDER, else for those in scikit-image,
and for the same photographs enlarged to the size that a camera makes, with some noise. Decoding is
that of `images.load_square` at full size, down to the 256 px that are measured.
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

import pyvips
from skimage import data

from photochrom.images import decoder_threads, load_square
from photochrom.measures import MEASURED_SIZE, Measures, measure

ROUNDS = 5


def milliseconds(work: Callable[[Path], object], files: list[Path]) -> float:
    """CPU time a file, the median of ROUNDS after one that warms caches."""
    taken = []
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        for path in files:
            work(path)
        taken.append((time.process_time() - started) / len(files) * 1e3)
    return statistics.median(taken[1:])


def enlarged(files: list[Path], megapixels: float, folder: Path) -> list[Path]:
    made = []
    for number, path in enumerate(files):
        image = pyvips.Image.new_from_file(str(path)).colourspace("srgb")
        image = image.resize((megapixels * 1e6 / image.width / image.height) ** 0.5)
        image += pyvips.Image.gaussnoise(image.width, image.height, sigma=3)
        made.append(folder / f"{number:03}.jpg")
        image.cast("uchar").jpegsave(str(made[-1]), Q=90)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=Path, metavar="FOLDER", default=Path(data.data_dir))
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--megapixels", type=float, default=12)
    arguments = parser.parse_args()
    decoder_threads(1)
    cores, machine = os.cpu_count(), platform.machine()
    print(f"machine: {cores} cores, {machine}, Python {platform.python_version()}")
    found = sorted(path for path in arguments.photographs.rglob("*.jp*g"))
    found = [path for path in found if isinstance(measure(path), Measures)]
    files = found[:: max(1, len(found) // arguments.count)][: arguments.count]
    with tempfile.TemporaryDirectory() as name:
        large = enlarged(files[:8], arguments.megapixels, Path(name))
        for words, paths in (("as they are", files), (f"{arguments.megapixels:g} MP", large)):
            whole = milliseconds(measure, paths)
            decoding = milliseconds(lambda path: load_square(path, MEASURED_SIZE), paths)
            print(
                f"{len(paths)} files {words}: measured in {whole:.1f} ms each; decoding at full "
                f"size alone {decoding:.1f} ms"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
