"""How fast photographs become shards, beside the seed's way and beside decoding alone.

    python benchmarks/bench_normalize.py [--photographs FOLDER] [--count 200] [--rounds 7]

Every way makes 128-px squares from the same 256-px JPEG files, in turn, on one core; the figures
are CPU seconds of the whole process, so that a busy machine disturbs them little. The files are
made of FOLDER's photographs, else of those in scikit-image, at two qualities: 90 with the chroma at
full resolution, and 75 with it halved, which is Pillow's default. With --memory the peak memory of
the stage is measured too, on tables of 1,000 and of 25,000 photographs.
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

import numpy as np
import pyvips
from PIL import Image
from skimage import data
from skimage.color import rgb2lab
from stage_cost import stage_cost

import normalize
from photochrom.images import ImageError, decoder_threads, load_square, path_to_text
from photochrom.runtime import csv_text, sha256_file
from photochrom.shards import write_stored
from photochrom.tables import CATALOG_COLUMNS

SIDE, SIZE = 256, 128
digests: dict[Path, str] = {}  # as the catalog would have them
QUALITIES = {"q90-444": {"quality": 90, "subsampling": 0}, "q75-420": {"quality": 75}}


def make_files(photographs: Path | None, count: int, folder: Path) -> dict[str, list[Path]]:
    """`count` JPEG files of each quality, cut from the photographs as often as it takes."""
    found = sorted(path for path in (photographs or Path(data.data_dir)).rglob("*.*"))
    squares = []
    for path in found:
        try:
            squares.append(Image.fromarray(load_square(path, SIDE)))
        except ImageError:
            continue
        if len(squares) == count:
            break
    files: dict[str, list[Path]] = {}
    for name, options in QUALITIES.items():
        files[name] = []
        for number in range(count):
            path = folder / f"{name}-{number:05}.jpg"
            turned = squares[number % len(squares)].rotate(90 * (number // len(squares) % 4))
            turned.save(path, "JPEG", **options)
            files[name].append(path)
            digests[path] = sha256_file(path)
    return files


def seed_style(files: list[Path], folder: Path) -> None:
    """Decode, resize, convert and save, one photograph at a time, as the seed's notebook does."""
    for path in files:
        small = Image.open(path).convert("RGB").resize((SIZE, SIZE))
        np.save(folder / "seed.npy", rgb2lab(np.asarray(small)))


def photochrom(files: list[Path], folder: Path) -> None:
    """What normalize.py does with each photograph: hash, decode, convert, store."""
    rows = [{"path": path_to_text(path), "sha256": digests[path]} for path in files]
    ids = [path.stem for path in files]
    write_stored(folder / "ours.h5", ids, SIZE, normalize.stored_pictures(rows, SIZE), "")


def pillow_shrinking(files: list[Path], folder: Path) -> None:
    for path in files:
        image = Image.open(path)
        image.draft("RGB", (SIZE, SIZE))
        np.asarray(image)


def pillow(files: list[Path], folder: Path) -> None:
    for path in files:
        np.asarray(Image.open(path).convert("RGB").resize((SIZE, SIZE)))


def pillow_reducing(files: list[Path], folder: Path) -> None:
    for path in files:
        np.asarray(Image.open(path).convert("RGB").reduce(SIDE // SIZE))


def vips_thumbnail(files: list[Path], folder: Path) -> None:
    for path in files:
        pyvips.Image.thumbnail(str(path), SIZE).numpy()


def vips_shrinking(files: list[Path], folder: Path) -> None:
    for path in files:
        pyvips.Image.new_from_file(str(path), shrink=SIDE // SIZE).numpy()


BARE = (pillow_shrinking, pillow_reducing, pillow, vips_shrinking, vips_thumbnail)


def milliseconds(way: Callable[[list[Path], Path], None], files: list[Path], folder: Path) -> float:
    started = time.process_time()
    way(files, folder)
    return (time.process_time() - started) / len(files) * 1e3


def compare(files: list[Path], folder: Path, rounds: int) -> None:
    """Print the median of each way, and of the ratios round by round."""
    ways = (seed_style, photochrom, *BARE)
    times: dict[str, list[float]] = {way.__name__: [] for way in ways}
    for number in range(rounds + 1):
        for way in ways:
            taken = milliseconds(way, files, folder)
            if number:  # the first round warms caches
                times[way.__name__].append(taken)
    for name, taken_each in times.items():
        median = statistics.median(taken_each)
        print(f"  {name:18}{median:8.3f} ms   {1e3 / median:7.0f} a second and core")
    fastest = min((way.__name__ for way in BARE), key=lambda name: statistics.median(times[name]))
    ours = times["photochrom"]

    def ratio(name: str) -> float:
        return statistics.median(a / b for a, b in zip(times[name], ours, strict=True))

    print(f"  {ratio('seed_style'):.1f} times the rate of the seed-style loop")
    print(f"  {ratio(fastest):.0%} of the rate of bare decoding and resizing ({fastest})")
    full = ratio("pillow")
    print(f"  {full:.0%} of the rate of decoding at full size and resizing (pillow)")


def peak_megabytes(files: list[Path], rows: int, folder: Path) -> float:
    """Peak memory of the job for the last full shard of a table of `rows` photographs."""
    table = []
    for number in range(rows):
        path = files[number % len(files)]
        cells = dict.fromkeys(CATALOG_COLUMNS, "1") | {
            **{"id": f"p{number}", "path": str(path), "sha256": digests[path]},
            **{"original_name": path.name, "group": path.name, "verdict": "keep", "reason": ""},
        }
        table.append([cells[column] for column in CATALOG_COLUMNS])
    catalog = folder / f"catalog-{rows}.csv"
    catalog.write_text(csv_text(CATALOG_COLUMNS, table))
    options = ["--catalog", str(catalog), "--shard-size", "500", "--size", str(SIZE)]
    options += ["--index", str(rows // 500 - 1), "--out", str(folder / "shard.h5")]
    return stage_cost(folder, "normalize.py", "shard", *options)[2]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=Path, metavar="FOLDER")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    decoder_threads(1)
    cores, machine = os.cpu_count(), platform.machine()
    print(f"machine: {cores} cores, {machine}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = make_files(arguments.photographs, arguments.count, folder)
        for quality, paths in files.items():
            size = statistics.mean(path.stat().st_size for path in paths) / 1024
            print(f"{quality}: {len(paths)} files, {size:.1f} KiB in the mean")
            compare(paths, folder, arguments.rounds)
        if arguments.memory:
            for rows in (1_000, 25_000):
                peak = peak_megabytes(files["q90-444"], rows, folder)
                print(f"normalize.py, a shard of 500 out of {rows:,}: peak memory {peak:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
