"""Archives that are no folders: a zip, a tar, a table of files."""

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from archive_room import contents, fake_model, grey, save
from photochrom.archive.colorize import colorize_rows
from photochrom.archive.job import Job
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings
from photochrom.archive.records import Planned, Status
from photochrom.runtime import StageError

NAMES = ("a.png", "box 1/b.tif", "box 1/deep/ä.jpg")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        save(tmp_path / "scans" / name, grey(40, 30, seed=number))
    return tmp_path / "scans"


def packed(scans: Path, path: Path) -> Path:
    """The scans as a zip or tar."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in NAMES:
                archive.write(scans / name, name)
    else:
        with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
            archive.add(scans, ".")
    return path


def planned(archive: Path, out: Path) -> dict[str, Planned]:
    return {row.path: row for row in plan_archive(str(archive), "same", out / "plan")}


def colorized(rows: dict[str, Planned], out: Path) -> list[Status]:
    todo = [row for row in rows.values() if not row.status]
    return colorize_rows(todo, Job(out, fake_model(), Settings(), 1))


@pytest.mark.parametrize("name", ["scans.zip", "scans.tar", "scans.tgz"])
def test_a_packed_archive_gives_what_its_folder_gives(
    scans: Path, tmp_path: Path, name: str
) -> None:
    archive = packed(scans, tmp_path / name)
    before = archive.read_bytes()
    whole, unpacked = planned(scans, tmp_path / "one"), planned(archive, tmp_path / "two")
    assert list(unpacked) == list(whole) == list(NAMES)
    for path, row in whole.items():
        assert unpacked[path].sha256 == row.sha256
        assert unpacked[path].output == row.output
    statuses = colorized(whole, tmp_path / "one"), colorized(unpacked, tmp_path / "two")
    assert [row.status for row in statuses[1]] == ["done"] * 3
    assert [row.output_sha256 for row in statuses[1]] == [row.output_sha256 for row in statuses[0]]
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert {n for n in two if not n.startswith("plan")} == set(one)
    assert archive.read_bytes() == before


def test_what_is_unpacked_is_what_the_archive_holds_now(scans: Path, tmp_path: Path) -> None:
    archive = packed(scans, tmp_path / "scans.zip")
    first = planned(archive, tmp_path / "out")
    store = tmp_path / "out" / "plan" / "originals"
    assert len(list(store.iterdir())) == 3
    save(scans / "a.png", grey(40, 30, seed=9))
    second = planned(packed(scans, archive), tmp_path / "out")
    assert second["a.png"].sha256 != first["a.png"].sha256
    assert {Path(row.source).name for row in second.values()} == {f.name for f in store.iterdir()}


def test_bad_members_are_rows_and_the_others_are_kept(scans: Path, tmp_path: Path) -> None:
    archive = tmp_path / "scans.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        writer.write(scans / "a.png", "../out.png")
        writer.write(scans / "a.png", "good.png")
        writer.writestr("none.png", b"")
        writer.writestr("broken.png", b"x" * 5000)
    content = bytearray(archive.read_bytes())
    content[content.index(b"x" * 5000) + 9] ^= 1
    archive.write_bytes(content)
    rows = planned(archive, tmp_path / "out")
    assert {path: row.reason for path, row in rows.items() if row.status == "failed"} == {
        "../out.png": "its name leads out of the archive",
        "none.png": "zero bytes",
        "broken.png": "truncated or damaged in the archive: Bad CRC-32 for file 'broken.png'",
    }
    assert rows["good.png"].status == ""
    assert not (tmp_path / "out.png").exists()
    assert not list(tmp_path.glob("out/out.png"))


def test_a_tar_that_is_cut_off_keeps_what_came_before(scans: Path, tmp_path: Path) -> None:
    archive = packed(scans, tmp_path / "scans.tar")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    rows = planned(archive, tmp_path / "out")
    assert [row.status for row in rows.values()].count("") >= 1
    assert "cut off or damaged" in rows["scans.tar"].reason


def test_a_table_names_files_anywhere(scans: Path, tmp_path: Path) -> None:
    far = tmp_path / "elsewhere" / "c.png"
    save(far, grey(40, 30, seed=7))
    table = tmp_path / "list.csv"
    lines = [
        "file,name,note",
        "scans/a.png,,near",
        f"{far},box/c.png,far",
        "scans/box 1/b.tif,,",
        "scans/none.png,,",
        "scans/box 1/b.tif,,again",
        f"{far},../c.png,",
        f"{far},,",
        ",,",
    ]
    table.write_text("\n".join(lines) + "\n")
    rows = planned(table, tmp_path / "out")
    good = {path for path, row in rows.items() if not row.status}
    assert good == {"scans/a.png", "box/c.png", "scans/box 1/b.tif", "elsewhere/c.png"}
    assert {path: row.reason for path, row in rows.items() if row.status} == {
        "scans/none.png": "unreadable: no such file or directory",
        "scans/box 1/b.tif (line 6)": "line 4 of list.csv has its name",
        "../c.png": "line 7 of list.csv: its name leads out of the archive",
        "line 9": "line 9 of list.csv names no file",
    }
    assert rows["box/c.png"].source == str(far)
    assert rows["box/c.png"].output == "box/c.colorized.png"
    assert {row.status for row in colorized(rows, tmp_path / "out")} == {"done"}


def test_the_output_may_not_hold_a_listed_original(scans: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("file\nscans/box 1/b.tif\n")
    with pytest.raises(StageError, match=r"b\.tif lies in the output folder"):
        colorized(planned(table, scans / "box 1"), scans / "box 1")


def test_a_table_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path\na.png\n")
    with pytest.raises(StageError, match="lacks the column file"):
        plan_archive(str(tmp_path / "list.csv"))


def test_scans_beyond_the_limit_are_refused_and_the_others_are_not(
    scans: Path, tmp_path: Path
) -> None:
    save(scans / "large.png", grey(50, 40))
    rows = plan_archive(str(scans))
    job = Job(tmp_path / "out", fake_model(), Settings(), 1, max_pixels=1999)
    found = {row.path: (row.status, row.reason) for row in colorize_rows(rows, job)}
    assert found.pop("large.png") == ("failed", "too large: 0 MP, limit 0 MP")
    assert {status for status, _ in found.values()} == {"done"}


def test_by_hand_and_as_a_dry_run(
    scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from colorize import main

    archive = packed(scans, tmp_path / "scans.zip")
    out = tmp_path / "out"
    assert main([str(archive), str(out), "--dry-run"]) == 0
    assert "files: 3" in capfd.readouterr().out
    assert not out.exists()
    assert main([str(archive), str(out)]) == 0
    assert len(list(out.rglob("*.colorized.*.json"))) == 3
    assert os.path.exists(out / "review.html")
