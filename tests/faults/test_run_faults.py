"""Bad input to the whole workflow: one line each, exit 1, and the good images still get done."""

import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from miniature import Workspace
from mounts import mounted


def our_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("photochrom")]


def refused(workspace: Workspace, *arguments: str) -> str:
    """Run what must fail; return our only line about it."""
    done = workspace.run(*arguments, check=False)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    lines = [line for line in our_lines(done.stdout) if ": made " not in line]
    assert lines, done.stdout
    return lines[-1]


def test_no_images_in_the_source(fresh: Workspace) -> None:
    shutil.rmtree(fresh.path / "photos")
    (fresh.path / "photos").mkdir()
    line = refused(fresh, "data")
    assert line.startswith("photochrom download: ")
    assert "no " in line
    assert "photos" in line


def test_filters_that_leave_nothing(workspace: Workspace) -> None:
    line = refused(workspace, "data", "--config", "data={filters: {chroma_std: 120}}")
    assert line.startswith("photochrom filter: ")
    assert "chroma_std" in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--config", "archive=/no/such/place"), "archive: /no/such/place does not exist"),
        (("--config", "data={sise: 1}"), "unknown key sise in data; did you mean size?"),
        (("--config", "experiments=quik"), "experiments: quik is no file and not one of"),
        (("--config", "colorize={weights: none.safetensors}"), "none.safetensors does not exist"),
    ],
)
def test_faults_in_the_configuration(
    finished: Workspace, arguments: tuple[str, ...], says: str
) -> None:
    assert says in refused(finished, *arguments)


def test_the_shipped_model_is_missing_or_damaged(fresh: Workspace) -> None:
    """As in a partial clone. What needs no model goes on; the rest says where it belongs."""
    model = fresh.path / "workflow" / "models" / "photochrom-1.safetensors"
    published = model.with_suffix(".sha256").read_text().split()[0]
    content = model.read_bytes()
    shipped = ("--config", "colorize={weights: shipped}")
    by_hand = [sys.executable, "workflow/scripts/colorize.py", "scans", "by-hand"]
    model.unlink()
    for target in ("colorize", "evaluate"):
        done = fresh.run(target, *shipped, "--dry-run", check=False)
        assert done.returncode == 4, done.stdout
        (line,) = our_lines(done.stdout)
        assert "it belongs at workflow/models/photochrom-1.safetensors" in line
        assert "git checkout" in line
        assert "train --configfile workflow/configs/photochrom-1.yaml" in line
    fresh.run("train", *shipped, "--dry-run")
    for left, code, says in (
        (None, 4, "it belongs at"),
        (content[: len(content) // 2], 7, f"expected is {published}"),
        (content[:-1] + bytes([content[-1] ^ 1]), 7, f"expected is {published}"),
    ):
        if left is not None:
            model.write_bytes(left)
        ended = subprocess.run(by_hand, cwd=fresh.path, capture_output=True, text=True, check=False)
        assert ended.returncode == code, ended.stderr
        (line,) = our_lines(ended.stderr)
        assert str(model) in line
        assert says in line
        assert "git checkout" in line
        assert "Traceback" not in ended.stderr


def test_a_config_that_is_not_yaml(fresh: Workspace) -> None:
    (fresh.path / "config.yaml").write_text("data:\n  size: [1\nreport: {}\n")
    assert "config.yaml is not YAML at line 3" in refused(fresh)


def test_a_truncated_photograph_among_good_ones(fresh: Workspace) -> None:
    bad = fresh.path / "photos" / "coffee" / "crops" / "0.png"
    bad.write_bytes(bad.read_bytes()[:2000])
    (fresh.path / "photos" / "notes.txt").write_text("not a photograph")
    fresh.run("data")
    rows = {row["original_name"]: row for row in fresh.table("results/data/catalog.csv")}
    assert len(rows) == 31
    assert rows["coffee/crops/0.png"]["verdict"] == "drop"
    assert "unreadable: truncated" in rows["coffee/crops/0.png"]["reason"]
    assert rows["notes.txt"]["verdict"] == "drop"
    assert "not an image" in rows["notes.txt"]["reason"]
    assert sum(row["verdict"] == "keep" for row in rows.values()) >= 25


def test_a_truncated_scan_among_good_ones(workspace: Workspace) -> None:
    bad = workspace.path / "scans" / "camera.png"
    bad.write_bytes(bad.read_bytes()[:2000])
    (workspace.path / "scans" / "empty.tif").touch()
    workspace.run("colorize")
    rows = {row["path"]: row for row in workspace.table("results/colorized/scans/status.csv")}
    assert {name: row["status"] for name, row in rows.items()} == {
        "box 1/coins.png": "done",
        "box 1/deep/moon.png": "done",
        "camera.png": "failed",
        "empty.tif": "failed",
    }
    assert "truncated" in rows["camera.png"]["reason"]


def test_a_full_disk(fresh: Workspace, need: Callable[[bool, str], None]) -> None:
    with mounted(fresh.path / "results", "size=200k") as there:
        need(there, "mounting a tmpfs needs root")
        done = fresh.run("data", check=False)
        assert done.returncode == 1
        assert "the disk is full; free some space" in done.stdout, done.stdout
        subprocess.run(
            ["mount", "-o", "remount,size=500m", str(fresh.path / "results")], check=True
        )
        fresh.run("data")
        assert len(fresh.table("results/data/split.csv")) > 20


def test_results_that_cannot_be_written(
    fresh: Workspace, need: Callable[[bool, str], None]
) -> None:
    with mounted(fresh.path / "results", "ro,size=1m") as there:
        need(there, "mounting a tmpfs needs root")
        line = refused(fresh)
        assert f"cannot write {fresh.path / 'results'}: read-only" in line
        assert "make it writable" in line
