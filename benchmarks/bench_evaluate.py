"""How long a row of the report takes, and in how much memory, by the number of photographs.

    python benchmarks/bench_evaluate.py FOLDER [--counts 500,5000] [--model FILE]

Photographs of FOLDER (JPEG, PNG or WebP, also below it) stand in for a test set. What
`reference.py` sees of them, then a row of grey or of a model, is timed in processes of their own,
at 256 px: all figures but those of Inception and LPIPS, whose weights cannot be had everywhere.
Seconds and CPU seconds are of the whole process, memory is its largest resident set.
"""

import argparse
import csv
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

from photochrom.images import load_rgb, path_to_text
from photochrom.runtime import sha256_file

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
CATALOG = ["id", "path", "sha256", "width", "height", "source", "original_name"]
CATALOG += ["colourfulness", "mean_L"]


def write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def tables(photographs: Sequence[Path], folder: Path) -> None:
    """A catalogue and a split in which every photograph is a test photograph of its own group."""
    catalog: list[Sequence[object]] = [CATALOG]
    split: list[Sequence[object]] = [["id", "shard", "row", "group", "part", "split"]]
    for number, path in enumerate(photographs):
        name = f"p{number:05}"
        height, width = load_rgb(path).shape[:2]
        content = sha256_file(path)
        values = (30 + number % 7, 50 + number % 5)  # what slices are cut by; any will do
        catalog.append((name, path_to_text(path), content, width, height, "a", path.name, *values))
        split.append((name, "s", number, name, 1, "test"))
    write(folder / "catalog.csv", catalog)
    write(folder / "split.csv", split)


def timed(command: Sequence[str]) -> tuple[float, float, float]:
    """Seconds, CPU seconds and the largest resident set in MB of a process that succeeds."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert process.stderr
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(said.decode(errors="replace")[-2000:])
    cpu = usage.ru_utime + usage.ru_stime
    return time.perf_counter() - started, cpu, usage.ru_maxrss / 1e3


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--counts", default="500,5000")
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    found = sorted(path for path in arguments.folder.rglob("*") if path.suffix in SUFFIXES)
    load = os.getloadavg()[0]
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}, load {load:.1f} at the start")
    for count in map(int, arguments.counts.split(",")):
        if len(found) < count:
            sys.exit(f"{arguments.folder} holds {len(found)} photographs, not {count}")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tables(found[:count], folder)
            reference = [sys.executable, SCRIPTS / "reference.py"]
            reference += ["--catalog", folder / "catalog.csv", "--split", folder / "split.csv"]
            reference += ["--out", folder / "reference.npz"]
            row = [sys.executable, SCRIPTS / "evaluate.py", "--row", "row"]
            row += reference[2:6]
            row += ["--reference", folder / "reference.npz", "--protocols", "paired-256crop"]
            row += ["--out", folder / "row.json", "--per-image", folder / "row.csv"]
            row += ["--pictures", folder / "pictures"]
            row += ["--model", arguments.model] if arguments.model else ["--yardstick", "grey"]
            for words, command in (("reference", reference), ("row", row)):
                seconds, cpu, memory = timed([str(word) for word in command])
                print(
                    f"{count:,} photographs, {words}: {seconds:.0f} s, {count / seconds:.1f} a "
                    f"second; {cpu:.0f} s of CPU; {memory:,.0f} MB"
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
