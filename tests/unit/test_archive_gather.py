"""Every planned file is accounted for, and the manifest holds."""

import csv
import io
import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive_room import contents, fake_model, grey, save
from gather import main
from photochrom.archive.colorize import Job, colorize_rows
from photochrom.archive.gather import gather_statuses, manifest_text, tidy
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings
from photochrom.archive.records import Planned, Status, read_rows, write_rows
from photochrom.runtime import StageError, sha256_file

PLAN = [
    Planned("a.jpg", "/s/a.jpg", "1", "1", "a.colorized.jpg", "", ""),
    Planned("b.jpg", "/s/b.jpg", "", "", "", "failed", "zero bytes"),
    Planned("c.jpg", "/s/c.jpg", "3", "1", "c.colorized.jpg", "", ""),
]
DONE = [
    Status("c.jpg", "skipped", "already in colour", source_sha256="3"),
    Status("a.jpg", "done", "", source_sha256="1"),
]


def test_one_row_for_each_planned_file_in_the_plans_order() -> None:
    rows = gather_statuses(PLAN, DONE)
    assert [(row.path, row.status, row.reason) for row in rows] == [
        ("a.jpg", "done", ""),
        ("b.jpg", "failed", "zero bytes"),
        ("c.jpg", "skipped", "already in colour"),
    ]


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        (DONE[:1], "1 files have no status .the first: a.jpg"),
        ([*DONE, DONE[0]], "not planned once .the first: c.jpg"),
        ([*DONE, Status("d.jpg", "done", "")], "not planned once .the first: d.jpg"),
        ([*DONE, Status("b.jpg", "done", "")], "not planned once .the first: b.jpg"),
        ([DONE[0], replace(DONE[1], source_sha256="9")], "another content .the first: a.jpg"),
    ],
)
def test_statuses_of_another_plan_are_refused(statuses: list[Status], words: str) -> None:
    with pytest.raises(StageError, match=words):
        gather_statuses(PLAN, statuses)


@pytest.fixture
def colorized(tmp_path: Path) -> Path:
    """An archive of three files, planned and colorized."""
    save(tmp_path / "scans" / "a.png", grey(9, 9))
    save(tmp_path / "scans" / "b" / "new\nline 100%.png", grey(9, 9, seed=1))
    (tmp_path / "scans" / "empty.png").touch()
    rows = plan_archive(str(tmp_path / "scans"))
    write_rows(tmp_path / "plan" / "plan.csv", Planned, rows)
    job = Job(tmp_path / "out", fake_model(), Settings(), 1)
    statuses = colorize_rows([row for row in rows if not row.status], job)
    write_rows(tmp_path / "status-0.csv", Status, statuses[:1])
    write_rows(tmp_path / "status-1.csv", Status, statuses[1:])
    return tmp_path


def arguments(folder: Path, shards: int = 2) -> list[str]:
    out = folder / "out"
    options = {
        "--plan": folder / "plan",
        "--root": out,
        "--archive": "scans",
        "--out": out / "status.csv",
        "--manifest": out / "manifest-sha256.txt",
        "--events": out / "events.csv",
        "--review": out / "review.html",
    }
    statuses = [str(folder / f"status-{index}.csv") for index in range(shards)]
    return [*(str(word) for pair in options.items() for word in pair), "--status", *statuses]


def untimed(events: bytes) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(events.decode())))
    for row in rows:
        stamp = datetime.fromisoformat(row.pop("eventDateTime"))
        assert abs((datetime.now(UTC) - stamp).total_seconds()) < 600
    return rows


def test_events_tell_what_was_done_to_every_file(colorized: Path) -> None:
    out = colorized / "out"
    sidecar = out / "a.colorized.png.json"
    record = json.loads(sidecar.read_text())
    record["metadata"] |= {"exiftool": "12.57", "not_carried": ["IPTC:City"]}
    sidecar.write_text(json.dumps(record))
    assert main(arguments(colorized)) == 0
    rows = untimed((out / "events.csv").read_bytes())
    assert [(row["sourceObject"], row["eventType"], row["eventOutcome"]) for row in rows] == [
        ("a.png", "message digest calculation", "success"),
        ("a.png", "creation", "success"),
        ("a.png", "metadata modification", "warning"),
        ("a.png", "fixity check", "success"),
        ("b/new%0Aline 100%25.png", "message digest calculation", "success"),
        ("b/new%0Aline 100%25.png", "creation", "success"),
        ("b/new%0Aline 100%25.png", "fixity check", "success"),
        ("empty.png", "message digest calculation", "success"),
        ("empty.png", "creation", "fail"),
    ]
    assert len({row["eventIdentifier"] for row in rows}) == len(rows)
    digest, creation, tags, fixity = rows[:4]
    assert digest["sourceSha256"] == sha256_file(colorized / "scans" / "a.png")
    assert digest["outcomeObject"] == ""
    for row in (creation, tags, fixity):
        assert row["outcomeObject"] == "a.colorized.png"
        assert row["outcomeSha256"] == sha256_file(out / "a.colorized.png")
    assert creation["modelSha256"] == "d" * 64
    assert creation["linkingAgentIdentifier"].startswith("photochrom ")
    assert tags["linkingAgentIdentifier"] == "exiftool 12.57"
    assert tags["eventOutcomeDetailNote"] == "not carried over: IPTC:City"
    assert rows[-1]["eventOutcomeDetailNote"] == "zero bytes"


def test_the_stage_writes_table_manifest_and_page(colorized: Path) -> None:
    out = colorized / "out"
    assert main(arguments(colorized)) == 0
    rows = read_rows(out / "status.csv", Status, "gather.py")
    assert [(row.path, row.status) for row in rows] == [
        ("a.png", "done"),
        ("b/new%0Aline 100%25.png", "done"),
        ("empty.png", "failed"),
    ]
    manifest = (out / "manifest-sha256.txt").read_text()
    assert len(manifest.splitlines()) == 4
    assert "  b/new%0Aline 100%.colorized.png\n" in manifest
    check = ["sha256sum", "--check", "--quiet", "manifest-sha256.txt"]
    subprocess.run(check, cwd=out, check=True)
    before = contents(out)
    assert main(arguments(colorized)) == 0
    after = contents(out)
    assert {**after, "events.csv": b""} == {**before, "events.csv": b""}  # it tells times
    assert untimed(after["events.csv"]) == untimed(before["events.csv"])
    assert "empty.png" in (out / "review.html").read_text()


def test_a_missing_shard_or_a_changed_picture_is_refused(colorized: Path) -> None:
    with pytest.raises(StageError, match="no status"):
        main(arguments(colorized, shards=1))
    made = colorized / "out" / "a.colorized.png"
    data = made.read_bytes()
    made.write_bytes(data + b"x")
    with pytest.raises(StageError, match=r"a\.colorized\.png has changed"):
        main(arguments(colorized))
    made.unlink()
    with pytest.raises(StageError, match=r"a\.colorized\.png is gone"):
        main(arguments(colorized))
    assert not (colorized / "out" / "status.csv").exists()


def test_leftovers_of_killed_jobs_go_and_strange_derivatives_are_named(
    colorized: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = colorized / "out"
    statuses = [
        row
        for index in range(2)
        for row in read_rows(colorized / f"status-{index}.csv", Status, "colorize.py")
    ]
    manifest = manifest_text(statuses, out)
    leftover = out / "b" / ".x.colorized.4711.tmp.png"
    leftover.write_bytes(b"torn")
    keep = [out / "gone.colorized.png", out / "notes.tmp", out / ".hidden", out / "x.json"]
    for path in keep:
        path.write_bytes(b"x")
    with caplog.at_level("WARNING", logger="photochrom"):
        tidy(statuses, out)
    assert not leftover.exists()
    assert all(path.exists() for path in keep)
    assert "1 files" in caplog.text
    assert "gone.colorized.png" in caplog.text
    assert manifest_text(statuses, out) == manifest
