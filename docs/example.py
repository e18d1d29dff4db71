"""Draw the README's picture from the results of `make run`.

    python docs/example.py [RESULTS]        writes docs/example.jpg

The test photograph is the first that the evaluation chose by its rule, the scan the first of the
archive's table after `brick.png`, which is no more than a wall.
"""

import csv
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.image import imread

HERE = Path(__file__).resolve().parent


def main(results: Path) -> None:
    """Five panels in a row: a test photograph three times, a scan twice."""
    chosen = json.loads((results / "metrics" / "quick.json").read_text())["pictures"][0]
    panels = [
        (name, results / "metrics" / f"{row}.pictures" / f"{chosen}.png")
        for name, row in (
            ("test photograph, grey", "grey"),
            ("colorized", "quick"),
            ("its true colours", "truth"),
        )
    ]
    archive = results / "colorized" / "builtin"
    with (archive / "status.csv").open(encoding="utf-8", newline="") as file:
        scan = next(row for row in csv.DictReader(file) if row["path"] != "brick.png")
    panels += [("scan", Path(scan["source"])), ("colorized", archive / scan["output"])]
    figure, axes = plt.subplots(1, 5, figsize=(12, 2.75), dpi=100)
    for axis, (name, path) in zip(axes, panels, strict=True):
        axis.imshow(imread(path), cmap="gray")
        axis.set_title(name, fontsize=12)
        axis.axis("off")
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.01, top=0.88, wspace=0.03)
    figure.savefig(HERE / "example.jpg", pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results"))
