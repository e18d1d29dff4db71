"""How long a dry run takes beside Snakemake's own smallest workflow, in turn, on this machine.

    python benchmarks/bench_startup.py [--runs 7] [--finished FOLDER]

Before the first run ours plans everything, beside an empty workflow. With --finished, a folder
that holds the results of a run, ours finds nothing to do, beside a workflow of one finished job
with one parameter: Snakemake imports pandas as soon as it compares any recorded parameter.
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
ONE_JOB = EMPTY.replace("    shell:", "    params:\n        size=1,\n    shell:")


def seconds(command: list[str], folder: Path) -> float:
    """Wall seconds of one run of a command."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def compare(ours: Path, smallest: Path, runs: int) -> str:
    """Medians of both dry runs, and of their ratio pair by pair."""
    snakemake = [sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run"]
    mine = [*snakemake, "--snakefile", str(ROOT / "Snakefile")]
    # The first pair warms the disk's cache and is left out.
    pairs = [(seconds(mine, ours), seconds(snakemake, smallest)) for _ in range(runs + 1)][1:]
    our_time, base = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    return f"ours {our_time:.2f} s, the smallest {base:.2f} s, ratio {ratio:.2f} ({runs} pairs)"


def main() -> int:
    """Print the comparison before the first run and, when asked for, after one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--finished", type=Path)
    arguments = parser.parse_args()
    machine, python = platform.machine(), platform.python_version()
    print(f"machine: {os.cpu_count()} cores, {machine}, Python {python}")
    with tempfile.TemporaryDirectory() as name:
        smallest, fresh = Path(name, "smallest"), Path(name, "fresh")
        smallest.mkdir()
        fresh.mkdir()
        (smallest / "Snakefile").write_text(EMPTY)
        print("before the first run:", compare(fresh, smallest, arguments.runs))
        if arguments.finished:
            (smallest / "Snakefile").write_text(ONE_JOB)
            run = [sys.executable, "-m", "snakemake", "--cores", "1"]
            subprocess.run(run, cwd=smallest, check=True, capture_output=True)
            print("after a run:", compare(arguments.finished, smallest, arguments.runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
