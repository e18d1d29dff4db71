"""How well chroma is enlarged along the edges of the lightness, where its truth is known.

    python benchmarks/bench_guided.py [--photographs FOLDER] [--count 100] [--sizes 32,64,112]

Each photograph's own chroma is reduced to the size at which a network works and enlarged again: by
nearest neighbours, bilinearly, and along the lightness as `inference.colorize_lightness` does. The
error is the mean distance in the ab plane, over all pixels and over the tenth where the true chroma
changes most: there colour bleeds over edges. By default on four photographs in scikit-image.
"""

import argparse
import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_gradient_magnitude
from skimage import data

from photochrom.color import rgb_to_lab
from photochrom.inference import enlarge_ab, network_size, resize

EDGES = 0.1
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def photographs(source: Path | None, count: int) -> Iterator[NDArray[np.float32]]:
    """Lab (H, W, 3) of `count` photographs, chosen by a fixed seed."""
    if source is None:
        for name in ("astronaut", "chelsea", "coffee", "rocket"):
            yield rgb_to_lab(getattr(data, name)()).astype(np.float32)
        return
    archive = tarfile.open(source) if source.is_file() else None  # noqa: SIM115
    names = (
        archive.getnames()
        if archive
        else [str(path) for path in source.rglob("*") if path.is_file()]
    )
    names = sorted(name for name in names if name.lower().endswith(SUFFIXES))
    for index in np.random.default_rng(0).permutation(len(names))[:count]:
        if archive:
            member = archive.extractfile(names[index])
            assert member is not None
            content = member.read()
        else:
            content = Path(names[index]).read_bytes()
        rgb = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        yield rgb_to_lab(rgb).astype(np.float32)


def nearest(ab: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    rows = np.arange(height) * len(ab) // height
    columns = np.arange(width) * ab.shape[1] // width
    return ab[rows[:, None], columns[None]]


def errors(lab: NDArray[np.float32], size: int) -> list[tuple[float, float]]:
    """(over all pixels, over the edges) of each way to enlarge."""
    L, ab = lab[..., 0], lab[..., 1:]
    height, width = L.shape
    small = network_size(width, height, size, 1)
    narrow, reduced = resize(L, *small), resize(ab, *small)
    change = np.hypot(*(gaussian_gradient_magnitude(ab[..., band], 1.0) for band in (0, 1)))
    edges = change >= np.quantile(change, 1 - EDGES)
    found = []
    for enlarged in (
        nearest(reduced, width, height),
        resize(reduced, width, height),
        enlarge_ab(narrow, reduced, L, smooth=0),
    ):
        distance = np.hypot(*np.moveaxis(enlarged - ab, -1, 0))
        found.append((float(distance.mean()), float(distance[edges].mean())))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--sizes", default="32,64,112")
    args = parser.parse_args()
    for size in map(int, args.sizes.split(",")):
        table = np.array([errors(lab, size) for lab in photographs(args.photographs, args.count)])
        words = [
            f"{name} {everywhere:.2f}, at edges {edges:.2f}"
            for name, (everywhere, edges) in zip(
                ("nearest", "bilinear", "guided"), table.mean(axis=0), strict=True
            )
        ]
        better = (table[:, 2, 0] < table[:, 1, 0]).mean()
        print(f"{size} px, {len(table)} photographs: {'; '.join(words)}; better in {better:.0%}")


if __name__ == "__main__":
    main()
