"""Every command in the README is run here on the miniature, except the two that CI runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kaggle_layout import find_photographs, make_layout
from miniature import ROOT, Workspace

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
INLINE = re.findall(r"`(snakemake [^`]+)`", README)
BY_CI = {"make run", "make test", "source .venv/bin/activate"}
SIDE = 32  # pixels of the set in the Kaggle layout
# Commands that change nothing by themselves are run as they stand, the others as dry runs.
AS_THEY_STAND = ("--report", "--touch", "--lint", "--unlock")


def prepared(workspace: Workspace) -> None:
    """Give the miniature the files and folders that the README's commands speak of."""
    mine = re.search(r"^```yaml\n(# mine\.yaml\n.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert mine
    (workspace.path / "mine.yaml").write_text(mine.group(1))
    recipe = workspace.path / "workflow" / "experiments" / "quick.yaml"
    (workspace.path / "my-recipe.yaml").write_text(recipe.read_text())
    photos = workspace.path / "photos"
    make_layout(find_photographs(photos, SIDE, 10), workspace.path / "kaggle-copy", SIDE)
    (workspace.path / "photos.csv").write_text("file,licence,attribution\n")
    (workspace.path / "list.csv").write_text("url,sha256,licence,attribution\n")
    (workspace.path / "test-photos").mkdir()
    (workspace.path / "their-pictures").mkdir()


def run(command: str, workspace: Workspace) -> subprocess.CompletedProcess[str]:
    words = [word.replace("/scans", str(workspace.path / "scans")) for word in shlex.split(command)]
    if words[0] == "snakemake":
        words[:1] = [sys.executable, "-m", "snakemake"]
        if "profiles/slurm" in words:
            words += ["--executor", "local", "--cores", "2"]  # the plugin is not among the pins
        if not any(word in words for word in AS_THEY_STAND):
            words.append("--dry-run")
        if "--report" in words or "--touch" in words:
            words += ["--configfile", "mini-config.yaml"]  # what was run here
    elif words[0] == "python":
        words[0] = sys.executable
    return subprocess.run(
        words,
        cwd=workspace.path,
        env=os.environ | {"KAGGLE_USERNAME": "somebody", "KAGGLE_KEY": "never sent by a dry run"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_readme_has_its_commands() -> None:
    assert COMMANDS[:2] == ["make run", "make test"]
    assert len(COMMANDS) > 10
    assert INLINE


def test_every_command_runs(finished: Workspace, tmp_path: Path) -> None:
    workspace = finished.copy(tmp_path / "copy")
    prepared(workspace)
    for command in [*COMMANDS, *INLINE]:
        if command in BY_CI or "--sdm conda" in command:  # conda is no part of the pins
            continue
        done = run(command, workspace)
        allowed = {0, 3} if command.startswith("python") else {0}
        assert done.returncode in allowed, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    assert (workspace.path / "overview.html").stat().st_size > 100_000
    assert "http-equiv" not in (workspace.path / "overview.html").read_text()[:2000]


def test_an_edit_is_accepted_without_retraining(finished: Workspace, tmp_path: Path) -> None:
    workspace = finished.copy(tmp_path / "copy")
    source = workspace.path / "workflow" / "scripts" / "photochrom" / "training.py"
    source.write_text(source.read_text() + "# an edit that changes nothing\n")
    assert workspace.planned()["train_phase"] == 2
    workspace.run("--touch")
    assert workspace.planned() == {}


def test_files_and_links_that_the_readme_names_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


@pytest.mark.parametrize("stage", sorted((ROOT / "workflow" / "scripts").glob("*.py")))
def test_every_stage_explains_itself(stage: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(stage), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("usage: ")
    assert "--log" in done.stdout
