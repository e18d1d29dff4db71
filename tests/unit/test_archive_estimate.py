"""A dry run by hand: what an archive will take, with nothing written."""

from pathlib import Path

import pytest

from archive_room import contents, fake_model, grey, make_scans, run, save
from photochrom.archive import estimate as module
from photochrom.archive.estimate import estimate
from photochrom.archive.job import Job
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    scans = make_scans(tmp_path / "scans")
    (scans / "empty.tif").touch()
    (scans / "broken.jpg").write_text("no picture")  # of unknown content: would be a PNG
    return scans


def told(scans: Path, out: Path) -> dict[str, str]:
    lines = estimate(plan_archive(str(scans)), Job(out, fake_model(), Settings(), 1))
    return {name: words for name, _, words in (line.partition(": ") for line in lines)}


def test_counts_time_disk_and_memory_are_told_and_nothing_is_written(
    scans: Path, tmp_path: Path
) -> None:
    before = contents(scans)
    lines = told(scans, tmp_path / "out")
    assert lines["files"] == "6"
    assert lines["to colorize"] == "2 png, 1 jpeg, 1 tiff, 1 webp"
    assert lines["not to be colorized"].startswith("1 failed (")
    assert lines["seem finished already"] == "0"
    assert lines["png"].startswith("2 files of 0.00 megapixels on average; one of 0.00 took ")
    assert {"time", "disk", "memory"} <= set(lines)
    assert "TOO LITTLE" not in lines["disk"]
    assert contents(scans) == before
    assert not (tmp_path / "out").exists()


def test_what_is_finished_is_not_counted_again(scans: Path, tmp_path: Path) -> None:
    run(scans, tmp_path / "out")
    (tmp_path / "out" / "a.colorized.jpg").unlink()
    lines = told(scans, tmp_path / "out")
    assert lines["seem finished already"] == "3"
    assert lines["jpeg"].startswith("1 files")
    assert lines["png"].startswith("unknown")  # the broken one alone is left
    assert "tiff" not in lines


def test_time_and_disk_grow_with_the_pictures_and_a_small_disk_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one trial of p pixels, n pictures take n times as much at the same size."""
    scans = tmp_path / "scans"
    for index in range(8):
        save(scans / f"{index}.png", grey(50, 40, seed=index))
    trial = module.Trial(seconds=60.0, size=5_000_000, pixels=1000)
    monkeypatch.setattr(module, "_trial", lambda group, job: trial)
    monkeypatch.setattr(module, "_free", lambda out: 70_000_000)
    lines = told(scans, tmp_path / "out")
    assert lines["time"].startswith("about 16 min")
    assert lines["disk"] == "about 80 MB; 70 MB are free, WHICH IS TOO LITTLE"


def test_an_archive_without_a_picture_has_no_estimate(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.jpg").write_text("no picture")
    lines = told(tmp_path / "scans", tmp_path / "out")
    assert lines["time, disk and memory"] == "unknown"
    assert lines["png"].startswith("unknown")
