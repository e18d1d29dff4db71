"""Models on photographs that none of them was trained, tuned or selected on.

    python benchmarks/shipped_model.py FOLDER OUT MODEL.safetensors [OTHER.safetensors ...]
        [--protocols paired-256crop,disjoint,native] [--degradations grain,...]
        [--plates SCANS TRUTH]

FOLDER (an image tree, a zip or a tar) is measured by the workflow's own stages: every photograph
is a test photograph. Rows are grey, photographs against photographs, and the models, named by
their files; only the first is also shown degraded photographs. What lies in OUT from an earlier
call is not measured again. Prints the tables of the model card, and how much the first model's
colour bleeds beside that of its own chroma at 16 x 16, enlarged bilinearly.
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import zoom

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

from photochrom.color import rgb_to_lab
from photochrom.inference import colorize_lightness
from photochrom.metrics.behaviour import edge_bleeding
from photochrom.metrics.bootstrap import group_sums, percentile_interval, resampled_sums
from photochrom.metrics.photographs import load_original, read_photographs
from photochrom.models import load_model

COARSE = 16

FILTERS = "brightness chroma_std colourfulness near_grey toned min_size max_aspect duplicates"
NO_FILTERS = dict.fromkeys(FILTERS.split())
DEGRADATIONS = "grain,fading,sepia,bt601,blue-sensitive,blur,jpeg"


def stage(script: object, *arguments: object) -> None:
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *map(str, arguments)]
    subprocess.run(command, check=True)


def catalogue(folder: str, out: Path) -> None:
    """catalog.csv and split.csv of OUT, and what the judging networks see in the photographs."""
    catalog, split = out / "catalog.csv", out / "split.csv"
    if not catalog.exists():
        sources = json.dumps([{"kind": "folder", "path": folder}])
        listed, measured = out / "sources.csv", out / "measures.csv"
        stage("download", "--sources", sources, "--images", out / "images", "--out", listed)
        stage("measure", "--sources", listed, "--threads", os.cpu_count(), "--out", measured)
        stage(
            *("filter", "--sources", listed, "--measures", measured, "--near-bits", 6),
            *("--filters", json.dumps(NO_FILTERS), "--out", catalog),
        )
    with catalog.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["verdict"] == "keep"]
    with split.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["id", "shard", "row", "group", "part", "split", "placed_by"])
        table.writerows([row["id"], "", "", row["group"], 1, "test", ""] for row in rows)
    if not (out / "reference.npz").exists():
        stage(
            *("reference", "--catalog", catalog, "--split", split),
            *("--out", out / "reference.npz"),
        )


def measured(row: str, what: Sequence[object], out: Path, *more: object) -> dict[str, Any]:
    """The figures of a row, made if they are not there."""
    path = out / f"{row}.json"
    if not path.exists():
        stage(
            *("evaluate", "--row", row, *what),
            *("--catalog", out / "catalog.csv", "--split", out / "split.csv"),
            *("--reference", out / "reference.npz", "--out", path),
            *("--per-image", out / f"{row}.csv", "--pictures", out / f"{row}.pictures", *more),
        )
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def cell(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "not computed"
    if figure["ci_low"] is None:
        return f"{figure['value']:.4g}"
    return f"{figure['value']:.4g} ({figure['ci_low']:.4g} to {figure['ci_high']:.4g})"


def print_table(title: str, columns: dict[str, list[dict[str, Any]]]) -> None:
    """A row for each figure, a column for each model."""
    names = list(dict.fromkeys(f["metric"] for figures in columns.values() for f in figures))
    print(f"\n### {title}\n\n| | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name in names:
        cells = [
            next((cell(figure) for figure in figures if figure["metric"] == name), "")
            for figures in columns.values()
        ]
        if set(cells) - {"", "not computed"}:
            print(f"| {name} | {' | '.join(cells)} |")


def print_bleeding(model: Path, out: Path) -> None:
    """The mean edge bleeding at 256 px, as it is and from chroma at COARSE x COARSE."""
    loaded, found = load_model(model), []
    for photograph in read_photographs(out / "catalog.csv", out / "split.csv", "test"):
        truth = rgb_to_lab(load_original(photograph, 256))
        ab = colorize_lightness(loaded, truth[..., 0])
        block = len(ab) // COARSE
        coarse = ab.reshape(COARSE, block, COARSE, block, 2).mean(axis=(1, 3))
        wide = zoom(coarse, (block, block, 1), order=1, mode="nearest", grid_mode=True)
        found.append([edge_bleeding(truth[..., 1:], each) for each in (ab, wide)])
    both = 100 * np.array(found)[np.isfinite(found).all(axis=1)]
    columns = np.column_stack([both, both[:, 1] - both[:, 0]])
    sums = group_sums(columns, [str(number) for number in range(len(columns))])
    means = resampled_sums(sums) / len(columns)
    fine, rough, gain = (
        "{:.2f} % ({:.2f} to {:.2f})".format(mean, *percentile_interval(drawn))
        for mean, drawn in zip(columns.mean(axis=0), means.T, strict=True)
    )
    print(
        f"\nedge bleeding of {len(both)} photographs at 256 px: {fine}; of its chroma at "
        f"{COARSE} x {COARSE}, enlarged bilinearly: {rough}; {gain} more"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder")
    parser.add_argument("out", type=Path)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--protocols", default="paired-256crop,disjoint,native")
    parser.add_argument("--degradations", default=DEGRADATIONS)
    parser.add_argument("--plates", nargs=2, metavar=("SCANS", "TRUTH"))
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    catalogue(arguments.folder, out)
    plates = ["--plates", "plates", *arguments.plates] if arguments.plates else []
    usual = ["--protocols", arguments.protocols, *plates]
    rows = {"grey": measured("grey", ["--yardstick", "grey"], out, *usual)}
    if "disjoint" in arguments.protocols:
        rows["real"] = measured("real", ["--yardstick", "real"], out, "--protocols", "disjoint")
    for number, model in enumerate(arguments.models):
        degraded = [f"--degradations={arguments.degradations}"] if number == 0 else []
        what = ["--model", model.resolve()]
        rows[model.stem] = measured(model.stem, what, out, *usual, *degraded)
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}")
    protocols = dict.fromkeys(f["protocol"] for row in rows.values() for f in row["figures"])
    for protocol in protocols:
        columns = {
            name: [figure for figure in row["figures"] if figure["protocol"] == protocol]
            for name, row in rows.items()
        }
        print_table(protocol, {name: found for name, found in columns.items() if found})
    first = rows[arguments.models[0].stem]
    slices = [each for each in first["slices"] if each["protocol"] == next(iter(protocols))]
    for by in dict.fromkeys(each["slice"] for each in slices):
        found = {each["level"]: each["figures"] for each in slices if each["slice"] == by}
        print_table(f"{arguments.models[0].stem}, by {by}", found)
    print_bleeding(arguments.models[0], out)
    print(f"\nconfidence against error: {json.dumps(first['calibration'])[:400]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
