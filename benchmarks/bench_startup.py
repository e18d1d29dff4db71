"""How long a dry run takes beside Snakemake's own empty workflow, in turn, on this machine.

    python benchmarks/bench_startup.py [--runs 7] [--directory FOLDER]

FOLDER (default: the checkout) holds the results that the dry run looks at; without results it
plans the whole workflow.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EMPTY = 'rule all:\n    output:\n        "a.txt",\n    shell:\n        "touch {output}"\n'


def seconds(command: list[str], folder: Path) -> float:
    """Wall seconds of one run of a command."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> int:
    """Print both medians and the median of the ratios, pair by pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--directory", type=Path, default=ROOT)
    arguments = parser.parse_args()
    snakemake = [sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run"]
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder)
        (empty / "Snakefile").write_text(EMPTY)
        ours = [*snakemake, "--snakefile", str(ROOT / "Snakefile")]
        pairs = []
        for number in range(arguments.runs + 1):
            pair = (seconds(ours, arguments.directory), seconds(snakemake, empty))
            if number:  # the first pair warms the disk's cache
                pairs.append(pair)
    mine, base = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(
        f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    print(f"dry run of Photochrom: {mine:.2f} s; of an empty workflow: {base:.2f} s")
    print(f"ratio, median of {len(pairs)} pairs: {ratio:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
