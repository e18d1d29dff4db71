"""Known colours: the table, its faults, and what they do to a picture."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special
from numpy.typing import NDArray

from archive_room import fake_model, grey, run, save, sidecar
from photochrom.archive.colorize import Job, colorize_rows
from photochrom.archive.hints import (
    Hint,
    hints_for,
    parse_colour,
    read_hints,
    unused,
    within,
)
from photochrom.archive.picture import colorize_picture
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings
from photochrom.archive.records import Status
from photochrom.archive.scan import open_scan
from photochrom.color import rgb_to_lab
from photochrom.models.levin import spread_corrections
from photochrom.runtime import StageError

GOOD = Hint(2, "a.png", 30, 20, 30, 20, 20.0, -15.0, "a diary")


def table(path: Path, *rows: str, header: str = "file,x,y,x1,y1,colour,citation") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_a_table_is_read(tmp_path: Path) -> None:
    rows = ('a.png,30,20,,,"20,-15",a diary', "b/*.tif,9,8,3,4,#4b5320,a decree")
    hints, faults = read_hints(table(tmp_path / "h.csv", *rows))
    assert faults == []
    assert hints[0] == GOOD
    assert (hints[1].left, hints[1].top, hints[1].right, hints[1].bottom) == (3, 4, 9, 8)
    assert [hint.citation for hint in hints_for(hints, "b/x.tif")] == ["a decree"]
    assert hints_for(hints, "c.tif") == []
    assert hints_for([replace(GOOD, file="a[1].png")], "a[1].png")
    assert unused(hints, ["a.png", "c"]) == [
        "hint on line 3: no file of the archive is called b/*.tif"
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('a,-1,2,,,"1,2",c', "x is -1"),
        ('a,1,2.5,,,"1,2",c', "y is 2.5"),
        ('a,,2,,,"1,2",c', "x is missing"),
        ('a,1,2,3,,"1,2",c', "both x1 and y1"),
        ("a,1,2,,,red,c", "'red' is neither"),
        ("a,1,2,,,#12345,c", "neither"),
        ('a,1,2,,,"1,200",c', "beyond 128"),
        ('a,1,2,,,"1,nan",c', "neither"),
        ('a,1,2,,,"1,2",', "no citation"),
        (',1,2,,,"1,2",c', "no file"),
    ],
)
def test_a_bad_row_is_one_line_and_the_rest_goes_on(tmp_path: Path, row: str, words: str) -> None:
    hints, faults = read_hints(table(tmp_path / "h.csv", row, 'a,1,2,,,"1,2",c'))
    assert [hint.line for hint in hints] == [3]
    (fault,) = faults
    assert words in fault
    assert "line 2" in fault


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no such file"):
        read_hints(tmp_path / "none.csv")
    with pytest.raises(StageError, match="lack the column citation"):
        read_hints(table(tmp_path / "h.csv", header="file,x,y,colour"))
    (tmp_path / "h.csv").write_bytes(b"file,x\xff")
    with pytest.raises(StageError, match="not UTF-8"):
        read_hints(tmp_path / "h.csv")


def test_colours_are_hue_and_chroma() -> None:
    assert parse_colour("#808080") == pytest.approx((0, 0), abs=0.01)
    assert parse_colour("#ff0000") == pytest.approx((80.09, 67.20), abs=0.02)
    assert parse_colour("-3.5; 7") == (-3.5, 7)


def test_hints_outside_a_picture_are_named() -> None:
    inside, outside = within([GOOD, replace(GOOD, right=99, line=7)], 31, 21)
    assert inside == [GOOD]
    assert outside == ["hint on line 7 lies outside the picture of 31 x 21"]
    assert within([GOOD], 30, 21)[0] == []


def chroma_of(path: Path, hints: list[Hint]) -> NDArray[Any]:
    done = colorize_picture(open_scan(path).picture, fake_model(0.1), 16, hints=hints)
    return rgb_to_lab(done.picture.numpy() / 65535)[..., 1:]


def flat(tmp_path: Path) -> Path:
    """Two even halves, 120 x 80, with the border at column 60."""
    samples = np.full((80, 120), 25_000, np.uint16)
    samples[:, 60:] = 45_000
    return save(tmp_path / "a.png", samples)


def test_a_hint_is_exact_spreads_and_stops_at_the_edge(tmp_path: Path) -> None:
    path = flat(tmp_path)
    without, with_hint = chroma_of(path, []), chroma_of(path, [GOOD])
    assert with_hint[20, 30] == pytest.approx([20, -15], abs=0.05)
    change = np.hypot(*np.moveaxis(with_hint - without, -1, 0))
    assert change[26, 35] > 0.6 * change[20, 30]  # near it, the colour is much the same
    assert change[20, 70:].max() < 0.1 * change[20, 30]  # beyond the edge it hardly is


def test_a_box_is_exact_in_all_of_it_and_later_rows_win(tmp_path: Path) -> None:
    box = replace(GOOD, left=70, top=10, right=90, bottom=40, a=-12.0, b=18.0)
    point = replace(GOOD, left=80, top=20, right=80, bottom=20, a=5.0, b=5.0)
    ab = chroma_of(flat(tmp_path), [box])
    assert ab[10:41, 70:91] == pytest.approx(np.broadcast_to([-12, 18], (31, 21, 2)), abs=0.05)
    assert chroma_of(flat(tmp_path), [box, point])[20, 80] == pytest.approx([5, 5], abs=0.05)


def test_without_hints_nothing_is_touched_and_strips_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "b.png", grey(90, 70, bits=16))
    hint = replace(GOOD, left=35, right=35, top=45, bottom=50)
    whole = chroma_of(path, [hint])
    monkeypatch.setattr("photochrom.archive.picture.STRIP_PIXELS", 300)
    assert chroma_of(path, [hint]) == pytest.approx(whole, abs=0.02)


def test_a_correction_fades_as_a_plate_bends() -> None:
    """In an even plane it is -4/pi kei(r / reach), the plate on springs under a point load."""
    side, reach = 61, 8.0
    mask = np.zeros((side, side), bool)
    mask[30, 30] = True
    known = np.where(mask[..., None], [1.0, -2.0], 0.0)
    spread = spread_corrections(np.full((side, side), 50.0), known, mask, reach)
    assert spread[30, 30] == pytest.approx([1, -2])
    for distance in (4, 8, 12, 16):
        expected = -4 / np.pi * scipy.special.kei(distance / reach)
        assert spread[30, 30 + distance, 0] == pytest.approx(expected, abs=0.05)
        assert spread[30, 30 + distance, 1] == pytest.approx(-2 * expected, abs=0.1)


def test_corrections_need_a_place() -> None:
    with pytest.raises(ValueError, match="no hint"):
        spread_corrections(np.zeros((4, 4)), np.zeros((4, 4, 2)), np.zeros((4, 4), bool), 2)
    with pytest.raises(ValueError, match="differ"):
        spread_corrections(np.zeros((4, 4)), np.zeros((4, 5, 2)), np.ones((4, 4), bool), 2)


def colorized(archive: Path, out: Path, hints: list[Hint]) -> dict[str, Status]:
    job = Job(out, fake_model(), Settings(), 1, hints)
    return {row.path: row for row in colorize_rows(plan_archive(str(archive)), job)}


def test_citations_reach_the_sidecar_and_new_hints_redo_only_their_files(tmp_path: Path) -> None:
    archive, out = tmp_path / "scans", tmp_path / "out"
    save(archive / "a.png", grey(40, 60))
    save(archive / "b.png", grey(30, 20, seed=2))
    assert {row.status for row in run(archive, out).values()} == {"done"}
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    outside = replace(GOOD, right=60, line=9)
    statuses = colorized(archive, out, [GOOD, outside])
    after = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert {name.split(".")[0] for name in after if after[name] != before[name]} == {"a"}
    assert statuses["a.png"].status == "done-with-warning"
    assert statuses["a.png"].reason == "hint on line 9 lies outside the picture of 60 x 40"
    (cited,) = sidecar(out, statuses["a.png"])["hints"]
    assert (cited["citation"], cited["a"], cited["b"]) == ("a diary", 20, -15)
    assert sidecar(out, statuses["b.png"])["hints"] == []
    assert json.dumps(cited)  # as a reader finds it


def test_a_hint_that_srgb_cannot_show_is_pointed_out(tmp_path: Path) -> None:
    """Deep blue is dark: on a bright place only a pale one of its hue can be shown."""
    archive, out = tmp_path / "scans", tmp_path / "out"
    save(archive / "a.png", np.full((40, 60), 230, np.uint8))
    a, b = parse_colour("#0000ff")
    statuses = colorized(archive, out, [replace(GOOD, a=a, b=b), replace(GOOD, a=2.0, b=-3.0)])
    assert statuses["a.png"].status == "done-with-warning"
    wanted = (
        r"hint on line 2: at lightness 9\d sRGB shows only chroma (\d+) of its 134; .*taken back"
    )
    match = re.fullmatch(wanted, statuses["a.png"].reason)
    assert match, statuses["a.png"].reason
    assert int(match[1]) < 20
    assert sidecar(out, statuses["a.png"])["warnings"] == [statuses["a.png"].reason]
