"""Runs that are killed go on: nothing half-made is used, nothing finished is done twice."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from skimage import io

from miniature import Workspace, photograph


def unlock(workspace: Workspace) -> subprocess.CompletedProcess[str]:
    """What `make run` does before it starts Snakemake."""
    return subprocess.run(
        [sys.executable, "workflow/rules/alive.py"],
        cwd=workspace.path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_killed_training_goes_on_and_ends_as_if_undisturbed(
    workspace: Workspace, finished: Workspace
) -> None:
    models = workspace.path / "results" / "models"
    shutil.rmtree(models)
    resume = models / "mini" / "gan" / "resume"
    often = ("--set-resources", "train_phase:checkpoint_seconds=0")

    def saved_some() -> bool:
        return len(list(resume.glob("*/step-*.pt"))) >= 2

    workspace.run_until(saved_some, "train", *often)
    assert not (models / "mini" / "gan" / "model.safetensors").exists()

    # Plain snakemake meets the stale lock, and our line says what to type.
    locked = workspace.run("train", check=False)
    assert locked.returncode == 1
    assert "left its lock; to remove it type snakemake --unlock" in locked.stdout

    removed = unlock(workspace)
    assert (removed.returncode, "removed the lock" in removed.stderr) == (0, True), removed.stderr
    workspace.run("train")
    log = (workspace.path / "results" / "logs" / "train" / "mini-gan.log").read_text()
    assert "continuing from step" in log
    assert workspace.digests("results/models/mini/*/model.safetensors") == finished.digests(
        "results/models/mini/*/model.safetensors"
    )
    assert workspace.planned("train") == {}


def test_terminated_training_goes_on_by_itself(workspace: Workspace, finished: Workspace) -> None:
    """What a cluster's time limit does: SIGTERM to the job, and Snakemake tries it again."""
    shutil.rmtree(workspace.path / "results" / "models" / "mini" / "gan")
    resume = workspace.path / "results" / "models" / "mini" / "gan" / "resume"
    running = workspace.path / "results" / ".running"
    often = ("--set-resources", "train_phase:checkpoint_seconds=0")
    with (workspace.path / "retried.log").open("w") as output:
        process = subprocess.Popen(
            workspace.command("train", "--retries", "1", *often),
            cwd=workspace.path,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while not list(resume.glob("*/step-*.pt")):
                assert process.poll() is None
                time.sleep(0.02)
            (job,) = (path for path in running.glob("*") if path.read_text() == "train")
            os.kill(int(job.name.rpartition("-")[2]), signal.SIGTERM)
            told = time.monotonic()
            while job.exists():
                time.sleep(0.02)
                assert time.monotonic() - told < 60
            assert process.wait(timeout=120) == 0
        finally:
            process.kill()
    text = (workspace.path / "retried.log").read_text()
    assert "terminated; the same command goes on from here" in text
    assert "Trying to restart job" in text
    assert "continuing from step" in text
    assert workspace.digests("results/models/mini/*/model.safetensors") == finished.digests(
        "results/models/mini/*/model.safetensors"
    )


def test_killed_colorization_keeps_what_is_finished(workspace: Workspace) -> None:
    scans = workspace.path / "many"
    scans.mkdir()
    whole = photograph("camera.png")
    for number in range(24):
        crop = np.roll(whole, 20 * number, axis=1)
        io.imsave(scans / f"{number:02}.png", crop, check_contrast=False)
    out = workspace.path / "results" / "colorized" / "many"
    arguments = ("colorize", "--config", "archive=many")

    workspace.run_until(lambda: len(list(out.glob("*.png.json"))) >= 3, *arguments)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.png.json")}
    assert 3 <= len(before) < 24
    assert unlock(workspace).returncode == 0
    workspace.run(*arguments)

    rows = workspace.table("results/colorized/many/status.csv")
    assert len(rows) == 24
    assert {row["status"] for row in rows} == {"done"}
    for sidecar, made in before.items():
        assert sidecar.stat().st_mtime_ns == made, f"{sidecar.name} was done twice"
        assert sidecar.with_suffix("").stat().st_mtime_ns <= made


def test_a_lock_is_never_removed_while_an_orphaned_job_lives(workspace: Workspace) -> None:
    shutil.rmtree(workspace.path / "results" / "models")
    running = workspace.path / "results" / ".running"

    def training() -> bool:
        return any(path.read_text() == "train" for path in running.glob("*") if path.exists())

    process = subprocess.Popen(
        workspace.command("train"),
        cwd=workspace.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    group = process.pid
    try:
        while not training():
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)  # Snakemake alone: its job goes on as an orphan
        process.wait()
        (orphan,) = (path for path in running.glob("*") if path.read_text() == "train")
        os.kill(int(orphan.name.rpartition("-")[2]), signal.SIGSTOP)  # however fast it trains

        refused = unlock(workspace)
        assert refused.returncode == 1
        assert "(train) of a run in this folder still works" in refused.stderr
        assert "Traceback" not in refused.stderr
        # Plain snakemake keeps the lock too, and starts nothing beside the orphan.
        for arguments in (["--unlock"], ["train"]):
            kept = workspace.run(*arguments, check=False)
            assert kept.returncode == 1
            assert "(train) of a run in this folder still works" in kept.stdout
        assert list((workspace.path / ".snakemake" / "locks").iterdir())
    finally:
        os.killpg(group, signal.SIGKILL)
    assert unlock(workspace).returncode == 0
    assert not list((workspace.path / ".snakemake" / "locks").iterdir())


def test_a_second_run_beside_a_living_one_is_refused(workspace: Workspace) -> None:
    holder = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import sys, time; sys.path.insert(0, 'workflow/rules'); import alive;"
            "alive.hold('snakemake'); print('held', flush=True); time.sleep(60)",
        ],
        cwd=workspace.path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        (workspace.path / ".snakemake" / "locks").mkdir(exist_ok=True)
        (workspace.path / ".snakemake" / "locks" / "0.output.lock").touch()
        refused = workspace.run(check=False)
        assert refused.returncode == 1
        assert f"process {holder.pid} (snakemake) of a run in this folder still works" in (
            refused.stdout
        )
    finally:
        holder.kill()
        holder.wait()
    assert Path(workspace.path / ".snakemake" / "locks" / "0.output.lock").exists()
