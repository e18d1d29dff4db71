"""What one run of a stage costs, for the benchmarks that start stages as the workflow does."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"


def stage_cost(folder: Path, script: str, *options: str) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak memory in MiB of one stage, run in `folder`.

    The peak is what Linux tells while the stage runs, asked 50 times a second: the figure that it
    hands over at the end would count the benchmark's own memory, from before the stage's start.
    """
    started, peak = time.perf_counter(), 0
    process = subprocess.Popen([sys.executable, str(SCRIPTS / script), *options], cwd=folder)
    told = Path("/proc", str(process.pid), "status")
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        found = re.search(r"VmHWM:\s*(\d+) kB", told.read_text())
        if found and time.perf_counter() > started + 0.1:  # by then it is the stage's own
            peak = max(peak, int(found[1]))
        time.sleep(0.02)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{script} failed")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, peak / 1024
