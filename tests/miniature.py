"""A miniature of the embedded default in a folder of its own, for the workflow tests.

Photographs and an archive are cut from those that ship inside scikit-image; training takes
seconds. The folder holds a copy of the workflow, so that a test may edit any of it.
"""

import csv
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
from skimage import io, transform

ROOT = Path(__file__).resolve().parents[1]

CONFIG = """\
data:
  sources: [{kind: folder, path: photos}]
  size: 32
  shard_size: 16
  filters: {brightness: [10, 245], chroma_std: 2, colourfulness: null}
  near_duplicate_bits: null
  split: {train: 0.6, val: 0.2, test: 0.2, key: miniature, assign: null}
experiments: [mini.yaml]
archive: scans
colorize: {weights: mini, shard_size: 4}
report: {title: Miniature}
"""

EXPERIMENT = """\
description: seconds of training, for tests
seed: 1
network: {name: unet, width: 8, depth: 2}
phases:
  - name: l1
    size: 16
    epochs: 30
    batch: 8
    losses: {l1: 100}
    optimizer: {name: adam, lr: 0.001, betas: [0.9, 0.999]}
    augment: {flip: true}
    evaluate_every: 40
  - name: gan
    size: 32
    epochs: 30
    batch: 8
    losses: {l1: 100, gan: 1}
    optimizer: {name: adam, lr: 0.0002, betas: [0.5, 0.999]}
    augment: {flip: true}
    evaluate_every: 40
    discriminator: {name: patchgan, width: 8, layers: 2}
"""


@dataclass(frozen=True)
class Workspace:
    """A folder with a copy of the workflow, its configuration and its data."""

    path: Path

    def command(self, *arguments: str) -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake", "--cores", "2"),
            *arguments,
            *("--configfile", "mini-config.yaml"),
        ]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run snakemake here; with `check` a failure shows what it printed."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        if check and done.returncode:
            ours = [line for line in done.stdout.splitlines() if line.startswith("photochrom")]
            raise AssertionError("\n".join([*ours, done.stdout[-4000:]]))
        return done

    def planned(self, *arguments: str) -> dict[str, int]:
        """What a dry run would do: jobs by rule, the targets left out."""
        text = self.run("--quiet", "host", "--dry-run", *arguments).stdout
        if "Nothing to be done" in text:
            return {}
        _, _, table = text.partition("Job stats:\n")
        assert table, text
        jobs: dict[str, int] = {}
        for line in table.splitlines()[2:]:
            rule, _, count = line.rpartition(" ")
            if rule.strip() == "total":
                return jobs
            if rule.strip() not in {"all", "data", "train", "evaluate", "colorize", "report"}:
                jobs[rule.strip()] = int(count)
        raise AssertionError(text)

    def run_until(self, reached: Callable[[], bool], *arguments: str) -> str:
        """Start snakemake, kill -9 its whole process group once `reached`, return the output."""
        output = self.path / "killed.log"
        with output.open("w") as file:
            process = subprocess.Popen(
                self.command(*arguments),
                cwd=self.path,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            deadline = time.monotonic() + 120
            while not reached():
                assert process.poll() is None, "ended before it was killed: " + output.read_text()
                assert time.monotonic() < deadline, output.read_text()
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return output.read_text()

    def table(self, name: str) -> list[dict[str, str]]:
        with (self.path / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def digests(self, pattern: str) -> dict[str, str]:
        """SHA-256 of the files that match a pattern, by relative path."""
        return {
            path.relative_to(self.path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.path.glob(pattern))
            if path.is_file()
        }

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.path / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def copy(self, to: Path) -> "Workspace":
        """The same with all results and times, elsewhere."""
        shutil.copytree(self.path, to, symlinks=True)
        return Workspace(to)


def photograph(name: str) -> np.ndarray:
    """One of scikit-image's photographs, uint8."""
    return io.imread(Path(skimage.data.__file__).parent / name)


def make_workspace(path: Path) -> Workspace:
    """The miniature before its first run."""
    path.mkdir(parents=True)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, path)
    for name in ("workflow", "profiles", "envs"):
        shutil.copytree(
            ROOT / name,
            path / name,
            ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "*.safetensors"),
        )
    shipped = Path("workflow", "models", "photochrom-1.safetensors")
    (path / shipped).parent.mkdir(exist_ok=True)
    (path / shipped).symlink_to(ROOT / shipped)
    (path / "mini-config.yaml").write_text(CONFIG)
    (path / "mini.yaml").write_text(EXPERIMENT)
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "ihc.png", "rocket.jpg"):
        whole = photograph(name)
        stem = name.split(".")[0]
        folder = path / "photos" / stem / "crops"
        folder.mkdir(parents=True)
        for number in range(6):
            top, left = 40 * (number // 3), 100 * (number % 3)
            io.imsave(
                folder / f"{number}.png",
                whole[top : top + 200, left : left + 200],
                check_contrast=False,
            )
    for name, box in (("camera", "."), ("coins", "box 1"), ("moon", "box 1/deep")):
        (path / "scans" / box).mkdir(parents=True, exist_ok=True)
        small = transform.resize(photograph(f"{name}.png"), (120, 150), anti_aliasing=True)
        io.imsave(
            path / "scans" / box / f"{name}.png",
            (small * 255).astype(np.uint8),
            check_contrast=False,
        )
    return Workspace(path)
