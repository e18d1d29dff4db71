"""Faults of the output of an archive: a full disk at every writer, signals, folders not writable.

Each has its exit code and one line, leaves nothing half-written, and the same command goes on.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

import colorize
import gather
import plan
from archive_room import contents, grey, make_scans, save
from mounts import mounted
from photochrom.models import build, save_model
from photochrom.runtime import run_stage, sha256_file

SCRIPT = Path(colorize.__file__)

# The first picture that the review page shows; it is named by its content.
PREVIEW = "review/[0-9a-f]{16}-[0-9]+.jpg"

# A name that is being opened for writing, and what is to happen at that moment.
_at_opening: list[tuple[re.Pattern[str], Callable[[], None]]] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    """Python's audit hook: it sees every file that is opened, by whatever function."""
    if event != "open" or not _at_opening or not isinstance(arguments[0], str | bytes):
        return
    pattern, act = _at_opening[0]
    name, flags = os.fsdecode(arguments[0]), arguments[2]
    if isinstance(flags, int) and flags & os.O_CREAT and pattern.fullmatch(name):
        _at_opening.clear()
        act()


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def _watch_nothing_afterwards() -> Iterator[None]:
    yield
    _at_opening.clear()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real network that chooses among bins, so that it can give samples; random weights."""
    network = {"name": "zhang16", "width": 4, "neighbours": 5, "temperature": 0.38}
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    metadata = {"network": network, "size": 16, "experiment": "x", "phase": "y"}
    save_model(path, build(network), metadata)
    return path


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    scans = make_scans(tmp_path / "scans")
    (scans / "copy.jpg").write_bytes((scans / "a.jpg").read_bytes())
    return scans


def stages(scans: Path, out: Path, model: Path) -> int:
    """Plan, colorize and gather in this process; the first exit code that is not 0."""
    table = out / "status" / "shard-00000.csv"
    for name, main, arguments in (
        ("plan", plan.main, [str(scans), f"--out={out}/plan"]),
        (
            "colorize",
            colorize.main,
            [
                *(f"--plan={out}/plan/shard-00000.csv", f"--out={out}", f"--status={table}"),
                *(f"--model={model}", "--samples=2"),
            ],
        ),
        (
            "gather",
            gather.main,
            [
                *(f"--plan={out}/plan", f"--status={table}", f"--root={out}", "--archive=scans"),
                *(f"--out={out}/status.csv", f"--manifest={out}/manifest-sha256.txt"),
                *(f"--events={out}/events.csv", f"--review={out}/review.html"),
            ],
        ),
    ):
        code = run_stage(name, partial(main, arguments))
        if code:
            return code
    return 0


def without_tables(out: Path) -> dict[str, bytes]:
    """All that equal runs make equal to the byte: the tables hold seconds, and the page too."""
    made = contents(out)
    return {name: made[name] for name in made if not name.endswith((".csv", "review.html"))}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, model: Path) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    scans = make_scans(folder / "scans")
    (scans / "copy.jpg").write_bytes((scans / "a.jpg").read_bytes())
    assert stages(scans, folder / "out", model) == 0
    return without_tables(folder / "out")


def fill(disk: Path) -> None:
    """Take all the room that is left."""
    with (disk / "filler").open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 8, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


@pytest.mark.parametrize(
    "writer",
    [
        "plan/plan.csv",
        "plan/shard-00000.csv",
        "a.colorized.jpg",
        "b/c.colorized.png",
        "b/d.colorized.tif",
        "e.colorized.webp",
        "a.colorized.jpg.json",
        "a.colorized.jpg.uncertainty.png",
        "a.colorized.jpg.samples.jpg",
        "copy.colorized.jpg",  # not colorized but copied
        "copy.colorized.jpg.json",
        "status/shard-00000.csv",
        PREVIEW,
        "manifest-sha256.txt",
        "events.csv",
        "review.html",
        "status.csv",
    ],
)
def test_a_full_disk_at_every_writer(
    writer: str,
    scans: Path,
    tmp_path: Path,
    model: Path,
    undisturbed: dict[str, bytes],
    need: Callable[[bool, str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = contents(scans)
    disk = tmp_path / "disk"
    with mounted(disk, "size=4m") as there:
        need(there, "mounting a tmpfs needs root")
        out = disk / "out"
        folder, name = os.path.split(writer)
        stem, suffix = os.path.splitext(name)
        temporary = rf"\.{stem}\.\d+\.tmp\{suffix}"
        pattern = re.compile(re.escape(os.path.join(out, folder, "")) + temporary)
        _at_opening.append((pattern, partial(fill, disk)))
        assert stages(scans, out, model) == 5
        assert not _at_opening, f"{writer} was never written"
        last = capsys.readouterr().err.splitlines()[-1]
        assert re.match(r"photochrom (plan|colorize|gather): cannot write /", last)
        assert last.endswith("the disk is full; free some space and run the same command again")
        assert not [name for name in contents(out) if ".tmp" in name]
        assert not [name for name in contents(out) if re.fullmatch(writer, name)]
        for sidecar in out.rglob("*.colorized.*.json"):
            digest = json.loads(sidecar.read_text())["output"]["sha256"]
            assert sha256_file(sidecar.with_suffix("")) == digest
        (disk / "filler").unlink()
        assert stages(scans, out, model) == 0
        assert without_tables(out) == undisturbed
    assert contents(scans) == before


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")],
)
def test_a_signal_in_the_middle(
    number: signal.Signals,
    code: int,
    words: str,
    tmp_path: Path,
    model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    many = 12  # more than are done while a busy machine lets this process wait
    for index in range(many):
        save(tmp_path / "scans" / f"{index}.png", grey(300, 300, seed=index))
    before = contents(tmp_path / "scans")
    arguments = [str(tmp_path / "scans"), str(out), f"--model={model}"]
    process = subprocess.Popen(
        [sys.executable, SCRIPT, *arguments], stderr=subprocess.PIPE, text=True
    )
    while not list(out.glob("[0-9]*.json")):
        assert process.poll() is None, "ended before it was stopped"
        time.sleep(0.01)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert "Traceback" not in said
    assert said.splitlines()[-1] == (
        f"photochrom colorize: {words}; the same command goes on from here"
    )
    assert not [name for name in contents(out) if ".tmp" in name]
    made = {path: path.stat().st_mtime_ns for path in out.glob("[0-9]*.json")}
    assert 1 <= len(made) < many
    assert run_stage("colorize", partial(colorize.main, arguments)) == 0
    assert f"{len(made)} already finished" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert len(list(out.glob("[0-9]*.json"))) == many
    assert contents(tmp_path / "scans") == before


def test_an_output_that_cannot_be_written(
    scans: Path,
    tmp_path: Path,
    model: Path,
    need: Callable[[bool, str], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Through the whole command: the fault of its first stage is the command's."""
    (tmp_path / "file").write_text("in the way")
    cases = [(tmp_path / "file", "cannot write ")]
    with mounted(tmp_path / "disk", "ro,size=4m") as there:
        need(there, "mounting a tmpfs needs root")
        cases.append((tmp_path / "disk" / "out", "the file system is read-only"))
        for out, words in cases:
            arguments = [str(scans), str(out), f"--model={model}"]
            assert run_stage("colorize", partial(colorize.main, arguments)) == 5
            lines = capfd.readouterr().err.splitlines()
            assert len(lines) == 1, lines
            assert words in lines[0]
    assert (tmp_path / "file").read_text() == "in the way"


def test_originals_on_a_read_only_file_system(
    tmp_path: Path, model: Path, need: Callable[[bool, str], None]
) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "size=4m") as there:
        need(there, "mounting a tmpfs needs root")
        before = contents(make_scans(disk))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert stages(disk, tmp_path / "out", model) == 0
        assert contents(disk) == before
        assert len(list((tmp_path / "out").rglob("*.colorized.*.json"))) == len(before)


def test_no_memory_on_the_device(
    scans: Path,
    tmp_path: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is finished stays; the run ends, because the next picture would fare no better."""
    real = torch.nn.Module.__call__
    calls = 0

    def exhausted(module: torch.nn.Module, *rest: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 200:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(module, *rest, **options)

    monkeypatch.setattr(torch.nn.Module, "__call__", exhausted)
    assert stages(scans, tmp_path / "out", model) == 6
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("photochrom colorize: out of memory (CUDA out of memory.")
    assert not (tmp_path / "out" / "status").exists()
    monkeypatch.undo()
    assert stages(scans, tmp_path / "out", model) == 0
