"""Draw the pictures of the documentation: what models make of photographs that they never saw.

    python docs/example.py                          writes docs/example.jpg and docs/failures.jpg
    python docs/example.py MODEL.safetensors ...    writes docs/recipes.jpg, a row for each model

The photographs ship inside scikit-image. Their lightness is saved as greyscale scans, which
`colorize.py` colorizes as any archive; shown are the scans, the derivatives and the photographs.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import skimage.data
from matplotlib.image import imread
from numpy.typing import NDArray
from PIL import Image
from skimage.color import lab2rgb, rgb2lab

HERE = Path(__file__).resolve().parent
SCRIPT = HERE.parent / "workflow" / "scripts" / "colorize.py"
SHIPPED = HERE.parent / "workflow" / "models" / "photochrom-1.safetensors"
EVERYDAY = ("astronaut", "chelsea", "coffee", "rocket")
# What its training photographs were not of: machines in paint, microscopy, an eye, the sky.
UNUSUAL = ("motorcycle", "immunohistochemistry", "retina", "hubble_deep_field")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="*", metavar="MODEL.safetensors")
    models = parser.parse_args().models
    if models:
        draw(EVERYDAY, {path.stem: path for path in models}, HERE / "recipes.jpg", height=1.6)
        return
    draw(EVERYDAY, {"colorized": SHIPPED}, HERE / "example.jpg", height=2.3)
    draw(UNUSUAL, {"colorized": SHIPPED}, HERE / "failures.jpg", height=2.3)


def photograph(name: str) -> NDArray[np.uint8]:
    """One of scikit-image's by the name of its function, and of two views the left."""
    if name == "motorcycle":
        return skimage.data.stereo_motorcycle()[0]
    return getattr(skimage.data, name)()


def draw(names: Sequence[str], models: dict[str, Path], out: Path, height: float) -> None:
    """A column for each photograph: grey, colorized by each model, true; `height` in inches."""
    truths = [photograph(name) for name in names]
    rows: list[tuple[str, list[NDArray]]] = [("scan", [])]
    with tempfile.TemporaryDirectory() as folder:
        scans = Path(folder) / "scans"
        scans.mkdir()
        for name, truth in zip(names, truths, strict=True):
            grey = np.rint(255 * lab2rgb(rgb2lab(truth) * [1, 0, 0])[..., 0]).astype(np.uint8)
            Image.fromarray(grey).save(scans / f"{name}.png")
            rows[0][1].append(grey)
        for words, model in models.items():
            made = Path(folder) / words
            command = [sys.executable, SCRIPT, scans, made, "--model", model]
            subprocess.run(command, check=True)
            rows.append((words, [imread(made / f"{name}.colorized.png") for name in names]))
    rows.append(("true colours", truths))
    ratios = [truth.shape[1] / truth.shape[0] for truth in truths]
    figure, axes = plt.subplots(
        *(len(rows), len(names)),
        figsize=(height * sum(ratios), height * len(rows)),
        dpi=80,
        width_ratios=ratios,
    )
    for line, (words, pictures) in zip(axes, rows, strict=True):
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=255, aspect="auto")
            axis.axis("off")
        figure.text(  # not of its axes, beyond whose narrow picture a long name reaches
            *(0.03, 0.95, words),
            transform=line[0].transAxes,
            va="top",
            fontsize=13 if height > 2 else 11,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.015, hspace=0.015)
    figure.savefig(out, pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main()
