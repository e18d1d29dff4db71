"""Draw the README's picture: what the shipped model makes of photographs that it never saw.

    python docs/example.py        writes docs/example.jpg

The photographs ship inside scikit-image. Their lightness is saved as greyscale scans, which
`colorize.py` colorizes as any archive; shown are the scans, the derivatives and the photographs.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import skimage.data
from matplotlib.image import imread
from PIL import Image
from skimage.color import lab2rgb, rgb2lab

HERE = Path(__file__).resolve().parent
SCRIPT = HERE.parent / "workflow" / "scripts" / "colorize.py"
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
HEIGHT = 2.3  # inches of each picture


def main() -> None:
    """A column for each photograph: grey, colorized, true."""
    with tempfile.TemporaryDirectory() as folder:
        scans, out = Path(folder) / "scans", Path(folder) / "out"
        scans.mkdir()
        columns = []
        for name in PHOTOGRAPHS:
            truth = getattr(skimage.data, name)()
            grey = np.rint(255 * lab2rgb(rgb2lab(truth) * [1, 0, 0])[..., 0]).astype(np.uint8)
            Image.fromarray(grey).save(scans / f"{name}.png")
            columns.append([grey, name, truth])
        subprocess.run([sys.executable, SCRIPT, scans, out], check=True)
        for column in columns:
            column[1] = imread(out / f"{column[1]}.colorized.png")
    ratios = [truth.shape[1] / truth.shape[0] for _, _, truth in columns]
    size = (HEIGHT * sum(ratios), 3 * HEIGHT)
    figure, axes = plt.subplots(3, 4, figsize=size, dpi=80, width_ratios=ratios)
    for row, pictures in zip(axes, zip(*columns, strict=True), strict=True):
        for axis, picture in zip(row, pictures, strict=True):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=255, aspect="auto")
            axis.axis("off")
    for axis, words in zip(axes[:, 0], ("scan", "colorized", "true colours"), strict=True):
        axis.text(
            *(0.03, 0.95, words),
            transform=axis.transAxes,
            va="top",
            fontsize=13,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.015, hspace=0.015)
    figure.savefig(HERE / "example.jpg", pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main()
