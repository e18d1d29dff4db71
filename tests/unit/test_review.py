"""The review page: order, previews, links, hostile names."""

import os
import re
import shutil
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pandas as pd
import pytest

import fake_results
from fake_results import HOSTILE
from html_page import Page
from photochrom.archive.review import Record, archive_summary, review_order, write_review
from photochrom.images import path_to_text


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished archive with its page."""
    root = tmp_path_factory.mktemp("archive") / "scans"
    fake_results.write_archive(root, HOSTILE)
    review(root)
    return root


@pytest.fixture
def root(archive: Path, tmp_path: Path) -> Path:
    shutil.copytree(archive, tmp_path / "scans")  # keeps the times
    return tmp_path / "scans"


def statuses(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "status.csv", dtype=str, keep_default_na=False)


def review(root: Path, rows: pd.DataFrame | None = None) -> Page:
    write_review("scans", statuses(root) if rows is None else rows, root, root / "review.html")
    return Page((root / "review.html").read_text(encoding="utf-8"))


def test_what_needs_an_eye_comes_first(root: Path) -> None:
    shown = [attributes["data-status"] for attributes in review(root).all("article")]
    assert shown == ["done-with-warning", *["failed"] * 2, *["done"] * 4, "skipped"]
    rows = [{"path": name, "status": "done"} for name in "abc"]
    records = {"a": Record(), "b": Record(reduced=0.1), "c": Record(reduced=0.4)}
    assert [row["path"] for row in review_order(rows, records)] == ["c", "b", "a"]


def test_every_reason_is_said(root: Path) -> None:
    text = review(root).text
    for reason in set(statuses(root)["reason"]) - {""}:
        assert " ".join(reason.split()) in text
    assert "5 of 8\u00a0files were colorized, 1 of them with a warning; 2 failed and 1 was" in text


def test_every_link_and_picture_is_there(root: Path) -> None:
    page = review(root)
    addresses = [one["href"] for one in page.all("a")] + [one["src"] for one in page.all("img")]
    assert len(page.all("img")) == 10
    for address in addresses:
        assert not re.match(r"\w+:|/", address)
        assert Path(root, os.fsdecode(unquote_to_bytes(address))).is_file()


def test_pictures_have_their_size_and_words(root: Path) -> None:
    page = review(root)
    for picture in page.all("img"):
        assert picture["loading"] == "lazy"
        assert picture["alt"]
        assert 1 <= int(picture["width"]) <= 800
        assert 1 <= int(picture["height"]) <= 800
    assert all(one["aria-label"] for one in page.all("input") if one["type"] == "range")


def test_a_sidecar_gives_credit_and_the_share_of_dulled_pixels(root: Path) -> None:
    page = review(root)
    assert "scikit-image" + " ".join(HOSTILE.split(" ")).replace("\n", " ") + ", CC0" in page.text
    assert "8% of the pixels dulled" in page.text
    for sidecar in root.rglob("*.colorized.png.json"):
        sidecar.write_text("[" if "coins" in sidecar.name else "[]")
    assert "of the pixels dulled" not in review(root).text


def test_names_are_never_markup(root: Path) -> None:
    page = review(root)
    assert len(page.all("script")) == 1
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert "camera <|title><script>window.broken=1<|script>" in page.text


def test_previews_are_made_once_and_stale_ones_removed(root: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in (root / "review").iterdir()}
    assert len(before) == 10
    (root / "review/notes.txt").write_text("not ours")
    (root / "review/0123456789abcdef-800.jpg").write_bytes(b"stale")
    rows = statuses(root)
    review(root, rows[rows["path"] != "roll 1/coins.png"])
    after = {path.name: path.stat().st_mtime_ns for path in (root / "review").iterdir()}
    assert after.pop("notes.txt")
    assert after.items() < before.items()
    assert len(after) == 8


def test_equal_archives_give_equal_pages(root: Path) -> None:
    first = (root / "review.html").read_bytes()
    review(root)
    assert (root / "review.html").read_bytes() == first


def test_a_damaged_preview_is_made_again(root: Path) -> None:
    victim = next((root / "review").iterdir())
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    review(root)
    assert victim.read_bytes() == whole


def test_a_scan_that_is_gone_is_said_in_words(root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / "review")
    rows = statuses(root)
    rows.loc[rows["path"] == "roll 1/coins.png", "source"] = str(tmp_path / "gone.png")
    page = review(root, rows)
    assert "The pictures cannot be shown: unreadable: no such file or directory." in page.text
    assert len(page.all("img")) == 8


def test_names_that_are_no_utf8_are_found(root: Path) -> None:
    odd = Path(os.fsdecode(b"caf\xe9 100%.png"))
    (root / "roll 1/coins.colorized.png").rename(root / odd)
    rows = statuses(root)
    rows.loc[rows["path"] == "roll 1/coins.png", "output"] = path_to_text(odd)
    page = review(root, rows)
    assert len(page.all("img")) == 10
    assert "caf%E9%20100%25.png" in [one["href"] for one in page.all("a")]


def test_an_archive_of_failures_and_an_empty_one(root: Path) -> None:
    rows = statuses(root)
    page = review(root, rows[rows["status"] == "failed"])
    assert "0 of 2\u00a0files were colorized; 2 failed." in page.text
    assert page.all("img") == []
    assert "The archive holds no files." in review(root, rows[:0]).text
    assert archive_summary([]) == ["The archive holds no files."]
