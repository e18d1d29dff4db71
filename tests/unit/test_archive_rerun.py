"""What is done again and what is not; full disks, killed runs, the command line."""

import csv
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pyvips

from archive_room import (
    contents,
    fake_model,
    grey,
    make_scans,
    run,
    save,
    sidecar,
)
from photochrom.archive import colorize
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings
from photochrom.archive.records import Planned, Status, read_rows, write_rows
from photochrom.runtime import StageError

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "workflow" / "scripts" / "colorize.py"


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    return make_scans(tmp_path / "scans")


def test_copies_are_computed_once_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = colorize.colorize_picture

    def counted(*rest: Any, **options: Any) -> Any:
        calls.append(rest)
        return real(*rest, **options)

    monkeypatch.setattr(colorize, "colorize_picture", counted)
    first = save(tmp_path / "scans" / "a.jpg", grey(20, 20))
    (tmp_path / "scans" / "b").mkdir()
    (tmp_path / "scans" / "b" / "copy.jpeg").write_bytes(first.read_bytes())
    statuses = run(tmp_path / "scans", tmp_path / "out")
    assert len(calls) == 1
    assert statuses["b/copy.jpeg"].status == "done"
    assert statuses["b/copy.jpeg"].reason == "same file as a.jpg"
    assert statuses["b/copy.jpeg"].output == "b/copy.colorized.jpeg"
    assert statuses["b/copy.jpeg"].output_sha256 == statuses["a.jpg"].output_sha256
    assert sidecar(tmp_path / "out", statuses["b/copy.jpeg"])["original"]["path"] == "b/copy.jpeg"
    (tmp_path / "out" / "a.colorized.jpg").unlink()
    again = run(tmp_path / "scans", tmp_path / "out")
    assert len(calls) == 2
    assert again["b/copy.jpeg"].reason == "same file as a.jpg"


def test_only_stale_work_is_redone(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def times() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in out.rglob("*.*")}

    first = run(scans, out)
    before = times()
    again = run(scans, out)
    assert times() == before
    assert {row.path: replace(row, seconds="") for row in again.values()} == {
        row.path: replace(row, seconds="") for row in first.values()
    }
    (out / "a.colorized.jpg").write_bytes(b"damaged")
    (out / "b" / "c.colorized.png.json").unlink()
    save(scans / "e.webp", grey(33, 21, seed=5))
    save(scans / "new.png", grey(5, 5))
    run(scans, out)
    changed = {Path(name).name for name, value in times().items() if before.get(name) != value}
    made = ("a.colorized.jpg", "c.colorized.png", "e.colorized.webp", "new.colorized.png")
    assert changed == {f"{name}{end}" for name in made for end in ("", ".json", ".uncertainty.png")}
    before = times()
    run(scans, out, model=fake_model(digest="e" * 64))
    after = times()
    assert all(after[name] != value for name, value in before.items())
    assert {row.model_sha256 for row in run(scans, out).values()} == {"d" * 64}


def test_a_scan_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "scans" / "a.png", grey(9, 9))
    rows = plan_archive(str(tmp_path / "scans"))
    save(path, grey(9, 9, seed=7))
    job = colorize.Job(tmp_path / "out", fake_model(), Settings(), 1)
    (status,) = colorize.colorize_rows(rows, job)
    assert (status.status, status.reason[:27]) == ("failed", "changed since the plan was ")
    path.unlink()
    (status,) = colorize.colorize_rows(rows, job)
    assert (status.status, status.reason) == ("failed", "unreadable: no such file or directory")


@pytest.mark.parametrize("out", ["scans", "scans/out", "link/out", "."])
def test_the_output_may_not_touch_the_archive(
    scans: Path, tmp_path: Path, model: Path, out: str
) -> None:
    from colorize import main

    (tmp_path / "link").symlink_to(scans)
    before = contents(scans)
    with pytest.raises(StageError, match="lies inside") as caught:
        main([str(scans), str(tmp_path / out), "--model", str(model)])
    assert caught.value.code == 2
    assert contents(scans) == before


def test_a_link_in_the_output_does_not_lead_out_of_it(scans: Path, tmp_path: Path) -> None:
    before = contents(scans)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b").symlink_to(scans / "b")
    with pytest.raises(StageError, match="leads out"):
        run(scans, tmp_path / "out")
    assert contents(scans) == before


def test_a_plan_for_another_format_is_refused(scans: Path, tmp_path: Path) -> None:
    rows = plan_archive(str(scans))
    job = colorize.Job(tmp_path / "out", fake_model(), Settings("tiff"), 1)
    with pytest.raises(StageError, match="plan again"):
        colorize.colorize_rows(rows, job)


@pytest.fixture
def small_disk(tmp_path: Path, need: Callable[[bool, str], None]) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    need(mounted.returncode == 0, "no permission to mount a small tmpfs")
    yield folder
    # Lazily, because the traceback of the fault that was raised holds its file open.
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_a_full_disk_is_said_and_leaves_nothing_half_written(
    tmp_path: Path, small_disk: Path, suffix: str
) -> None:
    for index in range(4):
        save(tmp_path / "scans" / f"{index}{suffix}", grey(220, 220, seed=index))
    out = small_disk / "out"
    with pytest.raises(StageError, match="disk is full") as caught:
        run(tmp_path / "scans", out)
    assert caught.value.code == 5
    made = contents(out)
    assert all(
        re.fullmatch(rf"\d\.colorized\{suffix}(\.json|\.uncertainty\.png)?", name) for name in made
    )
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    before = {name: (out / name).stat().st_mtime_ns for name in made if name.endswith("json")}
    statuses = run(tmp_path / "scans", out)
    assert {row.status for row in statuses.values()} == {"done"}
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before


def test_no_room_for_a_decoded_scan_is_not_called_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above 100 MB libvips decodes to a temporary file; the words are those it then says."""

    class Large:
        bands = 1
        interpretation = "b-w"

        def crop(self, *area: int) -> None:
            words = "wbuffer_write: write failed\nsystem error: No space left on device\n"
            raise pyvips.Error("unable to call avg", words)

    save(tmp_path / "scans" / "large.tif", grey(9, 9))
    monkeypatch.setattr("photochrom.archive.scan.open_image", lambda *_: Large())
    monkeypatch.setenv("TMPDIR", "/somewhere")
    with pytest.raises(StageError, match=r"no room in /somewhere .* large\.tif") as caught:
        run(tmp_path / "scans", tmp_path / "out")
    assert caught.value.code == 5


def test_a_full_disk_is_told_from_a_picture_that_does_not_fit(tmp_path: Path) -> None:
    save(tmp_path / "scans" / "wide.png", grey(2, 70_000))
    save(tmp_path / "scans" / "x.png", grey(2, 2))
    statuses = run(tmp_path / "scans", tmp_path / "out", settings=Settings("jpeg"))
    assert statuses["wide.png"].status == "failed"
    assert statuses["wide.png"].reason.startswith("cannot be written as JPEG")
    assert statuses["x.png"].status == "done"
    names = ("x.colorized.jpg", "x.colorized.jpg.json", "x.colorized.jpg.uncertainty.png")
    assert sorted(contents(tmp_path / "out")) == list(names)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real network with random weights."""
    import torch

    from photochrom.models import build, save_model

    network = {"name": "unet", "width": 32, "depth": 3, "dropout": 0.0}
    torch.manual_seed(3)
    module = build(network)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(3)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, module, {"network": network, "size": 32, "experiment": "x", "phase": "y"})
    return path


def test_a_killed_run_goes_on(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from colorize import main

    out, plan = tmp_path / "out", tmp_path / "plan" / "shard-00000.csv"
    for index in range(6):
        save(tmp_path / "scans" / f"{index}.png", grey(200, 200, seed=index))
    (tmp_path / "scans" / "bad.jpg").write_text("no picture")
    write_rows(plan, Planned, plan_archive(str(tmp_path / "scans")))
    shard = ["--plan", str(plan), "--model", str(model), "--status"]
    arguments = [*shard, str(tmp_path / "status.csv"), "--out", str(out)]
    process = subprocess.Popen([sys.executable, SCRIPT, *arguments], stderr=subprocess.DEVNULL)
    while not list(out.glob("[0-9]*.json")):
        assert process.poll() is None, "ended before it was killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in out.glob("[0-9]*.json")}
    assert 1 <= len(finished) < 6
    assert not (tmp_path / "status.csv").exists()
    assert main(arguments) == 3
    said = capsys.readouterr().err
    assert f"{len(finished)} already finished" in said
    assert said.splitlines()[-1].endswith(": 6 done, 1 failed")
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    # One undisturbed run gives the same.
    undisturbed = [*shard, str(tmp_path / "other.csv"), "--out", str(tmp_path / "other")]
    assert main([*undisturbed, "--allow-rejects"]) == 0
    made = {name: data for name, data in contents(out).items() if ".tmp" not in name}
    assert made == contents(tmp_path / "other")
    one, two = (
        [replace(row, seconds="") for row in read_rows(tmp_path / name, Status, "colorize.py")]
        for name in ("status.csv", "other.csv")
    )
    assert one == two


def test_an_archive_by_hand(tmp_path: Path, model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from colorize import main

    archive, out = tmp_path / "-scans", tmp_path / "out"
    save(archive / "b" / "good.tif", grey(9, 9))
    (archive / "a.jpg").write_text("no picture")
    settings = "{format: png, skip_coloured: false}"
    arguments = [str(archive), str(out), "--model", str(model), "--settings", settings]
    assert main([*arguments, "--dry-run"]) == 0
    assert "to colorize: 2 png" in capfd.readouterr().out
    assert not out.exists()
    assert main(arguments) == 3
    assert capfd.readouterr().err.splitlines()[-1].endswith(": 1 done, 1 failed")
    with (out / "status.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:3] == ["path", "status", "reason"]
    assert [(row["path"], row["status"], row["output"]) for row in rows] == [
        ("a.jpg", "failed", ""),
        ("b/good.tif", "done", "b/good.colorized.png"),
    ]
    assert "good.tif" in (out / "review.html").read_text()
    subprocess.run(["sha256sum", "--check", "--quiet", "manifest-sha256.txt"], cwd=out, check=True)


def test_the_stage_says_what_is_wrong_in_one_line(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from colorize import main
    from photochrom.runtime import run_stage

    save(tmp_path / "scans" / "a.png", grey(9, 9))
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(model.read_bytes()[:-5])
    scans, out = str(tmp_path / "scans"), str(tmp_path / "out")
    cases = [
        ([scans, out, "--model", "nowhere"], 4, "there is no model at nowhere"),
        ([scans, out, "--model", str(damaged)], 7, "refused"),
        ([scans, scans + "/out", "--model", str(model)], 2, "lies inside the archive"),
        ([scans, "--model", str(model)], 2, "give ARCHIVE and OUT"),
        ([scans, out, "--model", str(model), "--settings", "{fromat: png}"], 2, "did you mean"),
        ([scans, out, "--model", str(model), "--threads", "0"], 2, "--threads"),
        (["--plan", "no.csv", "--out", out, "--status", "s", "--model", str(model)], 2, "no.csv"),
        (["--plan", "p", "--out", out, "--status", "s", "--model", "m", "--dry-run"], 2, "-n"),
    ]
    for arguments, code, words in cases:
        assert run_stage("colorize", partial(main, arguments)) == code
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert words in lines[0]
        assert not Path(out).exists()
    assert stat.S_ISDIR((tmp_path / "scans").stat().st_mode)
    assert set(contents(tmp_path / "scans")) == {"a.png"}
