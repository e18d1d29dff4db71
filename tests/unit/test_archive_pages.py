"""Originals of several pages: each page a row, each copy of a page passed over."""

import builtins
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from archive_room import fake_model, grey, save, sidecar
from photochrom.archive.colorize import colorize_rows
from photochrom.archive.job import Job
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings
from photochrom.archive.records import Planned, Status
from photochrom.images import ImageError, load_rgb, open_image, tiff_pages
from photochrom.pages import preview
from photochrom.runtime import sha256_file


def planned(archive: Path, out: Path) -> dict[str, Planned]:
    return {row.path: row for row in plan_archive(str(archive), "same", out / "plan")}


def colorized(rows: dict[str, Planned], out: Path, kind: str = "same") -> dict[str, Status]:
    todo = [row for row in rows.values() if not row.status]
    done = colorize_rows(todo, Job(out, fake_model(), Settings(format=kind), 1))
    return {row.path: row for row in done}


def write_pages(path: Path, *pages: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as tiff:
        for page in pages:
            tiff.write(page, photometric="minisblack", **options)
    return path


def test_the_pages_of_a_tiff_are_rows(tmp_path: Path) -> None:
    first, second = grey(40, 30, seed=1, bits=16), grey(50, 20, seed=2)
    name = os.fsdecode(b"book \xff.tif")
    book = write_pages(tmp_path / "scans" / name, first, second, resolution=(300, 300))
    before = book.read_bytes()
    out = tmp_path / "out"
    rows = planned(tmp_path / "scans", out)
    assert list(rows) == [f"book %FF.tif{end}" for end in ("", "/page-001.tif", "/page-002.tif")]
    whole = rows["book %FF.tif"]
    assert (whole.status, whole.reason) == ("skipped", "its 2 pages are rows of their own")
    statuses = colorized(rows, out)
    for number, samples in ((1, first), (2, second)):
        row = statuses[f"book %FF.tif/page-00{number}.tif"]
        assert row.status == "done"
        assert row.output == f"book %25FF.tif/page-00{number}.colorized.tif"
        note = f"page {number} of 2 of book %FF.tif (SHA-256 {sha256_file(book)})"
        assert row.reason.startswith(note)
        assert sidecar(out, row)["notes"] == [row.reason]
        made = open_image(out / "book %FF.tif" / f"page-00{number}.colorized.tif")
        assert (made.height, made.width) == samples.shape
        assert made.format == ("ushort" if samples.dtype == np.uint16 else "uchar")
        assert made.xres == pytest.approx(300 / 25.4)
    assert book.read_bytes() == before
    # Planned again, all is as it was; and what a thinner book no longer has is taken away.
    assert planned(tmp_path / "scans", out) == rows
    write_pages(book, first)
    assert [row.status for row in planned(tmp_path / "scans", out).values()] == [""]
    assert not list((out / "plan" / "originals").iterdir())


def test_a_page_that_is_damaged_is_a_row_and_the_others_are_done(tmp_path: Path) -> None:
    book = write_pages(tmp_path / "scans" / "a.tif", *[grey(40, 30, seed=n) for n in range(3)])
    with tifffile.TiffFile(book) as tiff:
        offset = tiff.pages[1].aspage().tags["StripOffsets"].valueoffset
    content = bytearray(book.read_bytes())
    content[offset : offset + 4] = b"\xff\xff\xff\x7f"  # beyond the end
    book.write_bytes(content)
    rows = planned(tmp_path / "scans", tmp_path / "out")
    assert [rows[f"a.tif/page-00{n}.tif"].status for n in (1, 2, 3)] == ["", "failed", ""]
    assert rows["a.tif/page-002.tif"].reason == "truncated or damaged"
    assert {row.status for row in colorized(rows, tmp_path / "out").values()} == {"done"}


def test_equal_pages_are_made_once_and_each_says_which_it_is(tmp_path: Path) -> None:
    write_pages(tmp_path / "scans" / "a.tif", grey(20, 20), grey(20, 20))
    out = tmp_path / "out"
    rows = planned(tmp_path / "scans", out)
    statuses = colorized(rows, out)
    one, two = (statuses[f"a.tif/page-00{n}.tif"] for n in (1, 2))
    assert "same file as a.tif/page-001.tif" in two.reason
    for number, row in ((1, one), (2, two)):
        (note,) = sidecar(out, row)["notes"]
        assert note.startswith(f"page {number} of 2")


def test_a_pyramid_and_a_thumbnail_are_one_picture(tmp_path: Path) -> None:
    samples = grey(600, 700)
    scans = tmp_path / "scans"
    scans.mkdir()
    picture = pyvips.Image.new_from_array(samples)
    picture.tiffsave(str(scans / "pyramid.tif"), tile=True, pyramid=True)
    with tifffile.TiffWriter(scans / "thumb.tif") as tiff:
        tiff.write(samples[::8, ::8], photometric="minisblack", subfiletype=1)
        tiff.write(samples, photometric="minisblack")
    assert tiff_pages(scans / "pyramid.tif") == [0]
    assert tiff_pages(scans / "thumb.tif") == [1]
    for path in scans.iterdir():
        np.testing.assert_array_equal(load_rgb(path)[..., 0], samples)
    rows = planned(scans, tmp_path / "out")
    assert list(rows) == ["pyramid.tif", "thumb.tif"]
    statuses = colorized(rows, tmp_path / "out", "pyramid")
    for row in statuses.values():
        assert row.status == "done"
        made = tmp_path / "out" / row.output
        assert len(tiff_pages(made)) == 1
        assert preview(made, 100).shape == (86, 100, 3)  # as the review page shows it
    with pytest.raises(ImageError, match="multi-page: 2 pages"):
        open_image(write_pages(tmp_path / "two.tif", samples, samples))


def test_the_pages_of_a_pdf_are_rows(tmp_path: Path) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    samples = [grey(120, 90, seed=number) for number in range(2)]
    first, second = (Image.fromarray(one) for one in samples)
    first.save(scans / "album", "PDF", resolution=200, save_all=True, append_images=[second])
    (scans / "cut.pdf").write_bytes((scans / "album").read_bytes()[:200])
    (scans / "text.pdf").write_bytes(PDF_OF_WORDS)
    rows = planned(scans, out)
    assert rows["album"].reason == "its 2 pages are rows of their own"
    assert (rows["text.pdf/page-001.png"].status, rows["text.pdf/page-001.png"].reason) == (
        "skipped",
        "no picture on it",
    )
    assert rows["text.pdf"].reason == "its page is a row of its own"
    assert rows["cut.pdf"].status == "failed"
    assert rows["cut.pdf"].reason == "a PDF that is damaged or locked by a password"
    for number, one in enumerate(samples, start=1):
        row = rows[f"album/page-00{number}.png"]
        assert row.reason.endswith("; rendered at 200 dpi")
        seen = load_rgb(Path(row.source))
        assert seen.shape == (120, 90, 3)
        assert np.abs(seen[..., 0].astype(int) - one).mean() < 10  # noise in a JPEG
        assert open_image(Path(row.source)).xres == pytest.approx(200 / 25.4, rel=1e-3)
    statuses = colorized(rows, out)
    assert {row.status for row in statuses.values()} == {"done"}
    assert statuses["album/page-002.png"].output == "album/page-002.colorized.png"


def test_a_pdf_without_the_package_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "scans" / "a.png", grey(9, 9))
    Image.fromarray(grey(20, 20)).save(tmp_path / "scans" / "b.pdf")
    imported = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name == "pypdfium2":
            raise ImportError(name)
        return imported(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    rows = planned(tmp_path / "scans", tmp_path / "out")
    assert rows["b.pdf"].status == "skipped"
    assert "install the extras with: make extras" in rows["b.pdf"].reason
    assert rows["a.png"].status == ""


PDF_OF_WORDS = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R>>endobj
4 0 obj<</Length 28>>stream
0 0 m 50 50 l S 0 0 9 9 re f
endstream endobj
trailer<</Root 1 0 R>>
"""
