"""What the data stages cost on a whole set in the layout of the Kaggle arrays.

    python benchmarks/bench_kaggle.py [--photographs FOLDER] [--rows 25000] [--folder TEMPORARY]

The arrays are made of FOLDER's photographs at 224 px, else of those in scikit-image, each time
turned, mirrored or shifted further, so that no two rows are alike: 25,000 rows take 3.8 GB of the
folder for temporary files (and the shards up to 2.5 GB), which are deleted afterwards. Then all
stages run as the workflow runs them, one core each: time, CPU time and peak memory of each.
"""

import argparse
import csv
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from skimage import data
from stage_cost import stage_cost

from photochrom.color import rgb_to_lab
from photochrom.images import ImageError, decoder_threads, load_square
from photochrom.lab_arrays import COLOUR, LIGHTNESS, encode_lab8

SIZE, SHARD_PIXELS, SHARD = 224, 128, 500
THRESHOLDS = "{brightness: [15, 240], chroma_std: 4, colourfulness: null}"
FILTERS = ("--filters", THRESHOLDS, "--near-bits", "4")


def rows(photographs: Path) -> Iterator[NDArray[np.uint8]]:
    """8-bit Lab (SIZE, SIZE, 3) without end: the photographs, in each round rolled on by a row."""
    pictures = []
    for path in sorted(photographs.rglob("*.*")):
        try:
            pictures.append(encode_lab8(rgb_to_lab(load_square(path, SIZE))))
        except ImageError:
            continue
        if len(pictures) == 500:
            break
    for number, picture in enumerate(cycle(pictures)):
        yield np.roll(picture, number // len(pictures), axis=0)


def make_arrays(photographs: Path, folder: Path, total: int) -> None:
    """The layout of `total` rows, two, two and one fifth of them in the three parts."""
    counts = [total * 2 // 5, total * 2 // 5, total - 2 * (total * 2 // 5)]
    for name in (LIGHTNESS, COLOUR[1]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    lightness = open_memmap(folder / LIGHTNESS, "w+", np.uint8, (total, SIZE, SIZE))
    source, place = rows(photographs), 0
    for number, count in enumerate(counts, start=1):
        colour = open_memmap(folder / COLOUR[number], "w+", np.uint8, (count, SIZE, SIZE, 2))
        for row, lab8 in enumerate(islice(source, count)):
            lightness[place], colour[row] = lab8[..., 0], lab8[..., 1:]
            place += 1


def show(name: str, count: int, figures: tuple[float, float, float]) -> None:
    taken, cpu, memory = figures
    each = cpu / count * 1e3
    print(
        f"{name}: {taken:.0f} s, CPU {cpu:.0f} s ({each:.2f} ms a row), peak memory {memory:.0f} "
        "MiB",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=Path, metavar="FOLDER", default=Path(data.data_dir))
    parser.add_argument("--rows", type=int, default=25_000)
    parser.add_argument("--folder", type=Path, metavar="TEMPORARY")
    arguments = parser.parse_args()
    decoder_threads(1)
    cores, machine = os.cpu_count(), platform.machine()
    print(f"machine: {cores} cores, {machine}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder, total = Path(name), arguments.rows
        make_arrays(arguments.photographs, folder / "set", total)
        print(f"{total:,} rows of {SIZE} px", flush=True)
        listed = ("--sources", "sources.csv")
        stages: dict[str, tuple[str, ...]] = {
            "download.py": ("--sources", "[{kind: kaggle, path: set}]", "--images", "images"),
            "measure.py": listed,
            "filter.py": (*listed, "--measures", "measures.csv", *FILTERS),
        }
        outputs = ("sources.csv", "measures.csv", "catalog.csv")
        for (script, options), out in zip(stages.items(), outputs, strict=True):
            show(script, total, stage_cost(folder, script, *options, "--out", out))
        with (folder / "catalog.csv").open(newline="") as file:
            kept = sum(row["verdict"] == "keep" for row in csv.DictReader(file))
        catalog = ("shard", "--catalog", "catalog.csv", "--shard-size", f"{SHARD}")
        options = (*catalog, "--size", f"{SHARD_PIXELS}")
        each = []
        for index in range(-(-kept // SHARD)):
            place = ("--index", f"{index}", "--out", f"shard-{index:05}.h5")
            each.append(stage_cost(folder, "normalize.py", *options, *place))
        taken, cpu, memory = zip(*each, strict=True)
        figures = (sum(taken), sum(cpu), max(memory))
        show(f"normalize.py, {len(each)} shards of the {kept:,} rows kept", kept, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
