"""What a person decided on the review page, read back and obeyed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archive_room import contents, fake_model, grey, read, save, sidecar
from photochrom.archive.colorize import colorize_rows
from photochrom.archive.decisions import Decision, read_decisions, strangers
from photochrom.archive.gather import decided
from photochrom.archive.job import Job
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings
from photochrom.archive.records import Status
from photochrom.color import rgb_to_lab
from photochrom.runtime import StageError

SHA = "ab" * 32
HEADER = "path,source_sha256,model_sha256,decision,saturation,abstain,remark\n"


def table(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def test_a_table_is_read(tmp_path: Path) -> None:
    rows = (
        f'a.jpg,{SHA},,reject,,,"the sky, is\r\nbrown"',
        "b.jpg,,,redo,0.5,0.25,",
        "c.jpg,,,,,,undecided",
        "d.jpg,,,accept,,,",
    )
    decisions, faults = read_decisions(table(tmp_path / "r.csv", *rows, header="\ufeff" + HEADER))
    assert faults == []
    assert decisions == {
        "a.jpg": Decision("a.jpg", SHA, "", "reject", None, None, "the sky, is brown"),
        "b.jpg": Decision("b.jpg", "", "", "redo", 0.5, 0.25, ""),
        "d.jpg": Decision("d.jpg", "", "", "accept", None, None, ""),
    }
    assert decisions["a.jpg"].words() == "rejected: the sky, is brown"
    assert strangers(decisions.values(), ["a.jpg", "d.jpg"]) == [
        "review: no file of the archive is called b.jpg"
    ]


def test_bad_rows_are_named_and_the_rest_counts(tmp_path: Path) -> None:
    rows = (
        *("a,,,keep,,,", ",,,accept,,,", "b,xyz,,accept,,,", "c,,,redo,9,,", "d,,,redo,nan,,"),
        *("e,,,accept,,,", "e,,,reject,,,"),
    )
    decisions, faults = read_decisions(table(tmp_path / "r.csv", *rows))
    assert {path: one.decision for path, one in decisions.items()} == {"e": "reject"}
    words = ("accept, reject, redo", "no path", "SHA-256", "from 0 to 4", "from 0 to 4", "again")
    for number, (fault, said) in enumerate(zip(faults, words, strict=True), start=2):
        assert said in fault
        assert f"line {number if number < 7 else 8}:" in fault


def test_a_table_that_is_none(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "gone.csv", "no such file"),
        (table(tmp_path / "r.csv", header="path,remark\n"), "lacks the column decision"),
    ):
        with pytest.raises(StageError, match=words):
            read_decisions(path)
    (tmp_path / "r.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(StageError, match="UTF-8"):
        read_decisions(tmp_path / "r.csv")


def test_rejected_pictures_go_and_redone_ones_have_their_own_settings(tmp_path: Path) -> None:
    for index, name in enumerate("abc"):
        save(tmp_path / "scans" / f"{name}.png", grey(20, 30, seed=index))
    out = tmp_path / "out"
    rows = plan_archive(str(tmp_path / "scans"))
    job = Job(out, fake_model(), Settings(), 1)
    before = {row.path: row for row in colorize_rows(rows, job)}
    times = {path: path.stat().st_mtime_ns for path in out.iterdir()}

    def decision(name: str, word: str, **more: Any) -> Decision:
        whole = Decision(name, before[name].source_sha256, job.model.digest, word, None, None, "")
        return replace(whole, **more)

    review = {
        "a.png": decision("a.png", "accept"),
        "b.png": decision("b.png", "reject", remark="too blue"),
        "c.png": decision("c.png", "redo", saturation=0.0),
    }
    job = replace(job, review=review)
    statuses = {row.path: row for row in decided(colorize_rows(rows, job), review)}
    assert {name: (row.status, row.reason, row.review) for name, row in statuses.items()} == {
        "a.png": ("done", "", "accepted"),
        "b.png": ("skipped", "rejected: too blue", "rejected: too blue"),
        "c.png": ("done-with-warning", "hardly any colour: mean chroma 0.0", "to be redone"),
    }
    assert not [name for name in contents(out) if name.startswith("b")]
    lab = rgb_to_lab(read(out / "c.colorized.png").numpy()[..., :3])
    assert abs(lab[..., 1:]).max() < 0.1
    assert sidecar(out, statuses["c.png"])["settings"]["saturation"] == 0
    assert all(
        path.stat().st_mtime_ns == time for path, time in times.items() if path.name[0] == "a"
    )
    # Another model gets another chance; another content was never judged.
    again = colorize_rows(rows, replace(job, model=fake_model(digest="e" * 64)))
    assert {row.path: row.status for row in again}["b.png"] == "done"
    save(tmp_path / "scans" / "b.png", grey(20, 30, seed=9))
    other = colorize_rows(plan_archive(str(tmp_path / "scans")), job)
    assert {row.path: row.status for row in other}["b.png"] == "done"


def test_a_decision_about_another_picture_is_not_shown() -> None:
    row = Status("a", "done", "", source_sha256=SHA, model_sha256=SHA)
    other = Decision("a", "cd" * 32, "", "accept", None, None, "")
    assert decided([row], {"a": other}) == [row]
