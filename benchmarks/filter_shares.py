"""What the filters near_grey and toned drop, at their thresholds in config.yaml.

    python benchmarks/filter_shares.py SOURCE [SOURCE ...]

A SOURCE is a folder, zip or tar of photographs, or single files, best of one kind each: colour
photographs, prints, grey scans. Measured as the workflow measures; figures in Lab units.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import numpy as np
import yaml

from photochrom.filters import FILTERS
from photochrom.images import decoder_threads, path_from_text
from photochrom.measures import Measures, measure
from photochrom.sources import list_all

JUDGES = ("near_grey", "toned")


def photographs(source: Path, work: Path) -> Iterator[Path]:
    if source.is_file() and source.suffix.lower() not in (".zip", ".tar"):
        yield source
        return
    for image in list_all([{"kind": "folder", "path": str(source)}], work):
        if not image.error:
            yield path_from_text(image.path)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", type=Path, nargs="+", metavar="SOURCE")
    arguments = parser.parse_args()
    limits = yaml.safe_load((ROOT / "config.yaml").read_text())["data"]["filters"]
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}")
    decoder_threads(1)
    files = [each for each in arguments.sources if each.suffix.lower() in (".jpg", ".png")]
    sets = [([each], str(each)) for each in arguments.sources if each not in files]
    if files:
        sets.append((files, f"{len(files)} files"))
    for sources, name in sets:
        with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor() as pool:
            paths = [path for each in sources for path in photographs(each, Path(work))]
            found = [one for one in pool.map(measure, paths) if isinstance(one, Measures)]
        if not found:
            print(f"{name}: no photographs")
            continue
        rows = [
            {"max_ab": str(each.max_ab), "tint_deviation": str(each.tint_deviation)}
            for each in found
        ]
        for judge in JUDGES:
            failed = sum(bool(FILTERS[judge](row, limits[judge])) for row in rows)
            share = failed / len(rows)
            print(f"{name}: {judge} {limits[judge]} drops {failed} of {len(rows)} ({share:.1%})")
        either = sum(any(FILTERS[judge](row, limits[judge]) for judge in JUDGES) for row in rows)
        deviations = np.array([each.tint_deviation for each in found])
        spread = ", ".join(f"{value:.1f}" for value in np.percentile(deviations, [0, 1, 50, 100]))
        print(f"{name}: either drops {either}; min, 1 %, median, max of the deviation: {spread}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
