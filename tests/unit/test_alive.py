"""A lock is stale only when no process of the run lives."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import alive
from photochrom import runtime

HOLDER = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from photochrom.runtime import start_log
start_log("train")
print("held", flush=True)
time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen:
    scripts = Path(runtime.__file__).resolve().parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(scripts)],
        env={**os.environ, runtime.ALIVE_VARIABLE: str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_living_stage_is_named_and_a_killed_one_is_not(tmp_path: Path) -> None:
    process = holder(tmp_path)
    try:
        (found,) = alive.living(tmp_path)
        assert found == f"process {process.pid} (train)"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert list(tmp_path.iterdir()) != []
    assert alive.living(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_an_own_lock_does_not_count(tmp_path: Path) -> None:
    alive.hold("snakemake", tmp_path)
    assert alive.living(tmp_path) == []


def test_the_lock_of_a_folder_without_snakemake(tmp_path: Path) -> None:
    assert not alive.lock_left_behind(tmp_path / "locks")
    (tmp_path / "locks").mkdir()
    assert not alive.lock_left_behind(tmp_path / "locks")
    (tmp_path / "locks" / "0.output.lock").touch()
    assert alive.lock_left_behind(tmp_path / "locks")
