"""Numbers in prose, pictures in pages, links to files of any name."""

import base64
import hashlib
import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st

from photochrom.images import ImageError, path_to_text
from photochrom.pages import (
    counted,
    data_uri,
    decimals_for,
    interval,
    link,
    number,
    preview,
    render,
)


@pytest.mark.parametrize(
    ("value", "decimals", "sign", "text"),
    [
        (1234.567, 1, False, "1,234.6"),
        (-0.25, 2, False, "−0.25"),
        (0.25, 2, True, "+0.25"),
        (-0.001, 2, False, "0.00"),
        (-0.001, 2, True, "0.00"),
    ],
)
def test_numbers(value: float, decimals: int, sign: bool, text: str) -> None:
    assert number(value, decimals, sign) == text


def test_words_around_numbers_do_not_break() -> None:
    assert interval(-1, 2.345, 2) == "−1.00\u00a0to\u00a02.35"
    assert counted(1, "picture") == "1\u00a0picture"
    assert counted(2000, "picture") == "2,000\u00a0pictures"


def test_decimals_follow_the_largest_value() -> None:
    assert decimals_for([0.95, 1.0, None]) == 3
    assert decimals_for([21.4, 23.9]) == 2
    assert decimals_for([89.5, 100.0]) == 1
    assert decimals_for([None]) == 3


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name))
def test_a_link_leads_to_the_very_bytes_of_a_name(name: bytes) -> None:
    address = link(path_to_text(Path(os.fsdecode(name))))
    assert unquote_to_bytes(address) == os.fsencode(Path(os.fsdecode(name)))
    assert re.fullmatch(r"[\w.~%/-]*", address)


def test_a_page_allows_its_own_script_and_no_other(tmp_path: Path) -> None:
    page = render("review.html.j2", **REVIEW)
    script = re.search(r"<script>(.*?)</script>", page, re.S)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_values_are_printed_as_text() -> None:
    page = render("review.html.j2", **{**REVIEW, "archive": "<script>x</script>\"'"})
    assert "<title>Review of &lt;script&gt;x&lt;/script&gt;&#34;&#39;</title>" in page


REVIEW = {
    "archive": "a",
    "summary": ["Nothing."],
    "statuses": [],
    "models": [],
    "preview_pixels": 800,
    "calibrated": True,
    "entries": [],
}


def test_a_preview_is_the_picture_made_smaller(tmp_path: Path) -> None:
    gradient = np.linspace(0, 255, 400).astype(np.uint8)
    pixels = np.stack([np.tile(gradient, (200, 1))] * 2 + [np.full((200, 400), 90)], axis=-1)
    pyvips.Image.new_from_array(pixels.astype(np.uint8)).write_to_file(str(tmp_path / "a.png"))
    small = preview(tmp_path / "a.png", 100)
    assert small.shape == (50, 100, 3)
    means = pixels.reshape(50, 4, 100, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - means)[:, 3:-3].max() <= 2
    assert preview(tmp_path / "a.png", 1000).shape == (200, 400, 3)


def test_previews_of_deep_grey_and_of_transparent_scans(tmp_path: Path) -> None:
    deep = pyvips.Image.new_from_array(np.full((30, 40), 0x8080, np.uint16))
    deep.copy(interpretation="grey16").write_to_file(str(tmp_path / "deep.tif"))
    assert np.abs(preview(tmp_path / "deep.tif", 20).astype(int) - 0x80).max() <= 1

    clear = np.zeros((30, 40, 4), np.uint8)
    pyvips.Image.new_from_array(clear).copy(interpretation="srgb").write_to_file(
        str(tmp_path / "clear.png")
    )
    assert preview(tmp_path / "clear.png", 20).min() == 255


def test_the_preview_of_a_strip_is_a_strip(tmp_path: Path) -> None:
    strip = np.full((1, 5000, 3), 90, np.uint8)
    pyvips.Image.new_from_array(strip).write_to_file(str(tmp_path / "strip.png"))
    assert preview(tmp_path / "strip.png", 100).shape == (1, 100, 3)


def test_what_is_no_picture_has_no_preview(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(ImageError):
        preview(tmp_path / "notes.jpg", 100)


def test_a_data_uri_holds_the_picture() -> None:
    uri = data_uri(np.full((8, 8, 3), (200, 30, 30), np.uint8))
    kind, _, content = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    found = pyvips.Image.new_from_buffer(base64.b64decode(content), "").numpy()
    assert np.abs(found.astype(int) - (200, 30, 30)).max() <= 4
