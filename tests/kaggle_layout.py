"""Make a set in the layout of the Kaggle arrays from any folder of photographs.

    python tests/kaggle_layout.py PHOTOS OUT [--size 224] [--count 2000]

OUT can then stand in for the set itself: `--config 'data={sources: [{kind: kaggle, path: OUT}]}'`.
It gets l/gray_scale.npy and ab/ab/ab1.npy, ab2.npy, ab3.npy, two, two and one fifth of the
photographs, in 8-bit Lab as OpenCV rounds it. Photographs are taken in the order of their paths,
centred squares; unusable ones and those that are equal to an earlier one are passed over.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from photochrom.color import rgb_to_lab  # noqa: E402
from photochrom.images import ImageError, load_square  # noqa: E402
from photochrom.lab_arrays import COLOUR, LIGHTNESS, encode_lab8, row_sha256  # noqa: E402


def find_photographs(folder: Path, size: int, count: int | None = None) -> list[Path]:
    """The first `count` files below `folder` that are pictures, no two alike at `size` px."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if count is not None and len(found) == count:
            break
        try:
            found.setdefault(row_sha256(load_square(path, size)), path)
        except ImageError:
            continue
    return list(found.values())


def make_layout(photographs: Sequence[Path], out: Path, size: int) -> list[int]:
    """Write the arrays, one photograph at a time; returns how many each part holds."""
    total = len(photographs)
    counts = [total * 2 // 5, total * 2 // 5]
    counts.append(total - sum(counts))
    if min(counts) < 1:
        raise ValueError(f"{total} photographs are too few for three parts; 3 are needed")
    for name in (LIGHTNESS, COLOUR[1]):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
    lightness = open_memmap(out / LIGHTNESS, "w+", np.uint8, (total, size, size))
    paths = iter(enumerate(photographs))
    for number, count in enumerate(counts, start=1):
        colour = open_memmap(out / COLOUR[number], "w+", np.uint8, (count, size, size, 2))
        for row in range(count):
            place, path = next(paths)
            lab8 = encode_lab8(rgb_to_lab(load_square(path, size)))
            lightness[place], colour[row] = lab8[..., 0], lab8[..., 1:]
        colour.flush()
    lightness.flush()
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="folder of photographs, searched to any depth")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--size", type=int, default=224, help="pixels, square; the set has 224")
    parser.add_argument("--count", type=int, help="photographs to take; all when left out")
    args = parser.parse_args()
    photographs = find_photographs(args.photos, args.size, args.count)
    counts = make_layout(photographs, args.out, args.size)
    print(f"{args.out}: {sum(counts)} photographs of {args.size} px in parts of {counts}")


if __name__ == "__main__":
    main()
