"""A caption stands below the picture and changes none of its pixels."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import pyvips

from archive_room import fake_model, grey, read, save
from photochrom.archive.colorize import colorize_rows
from photochrom.archive.encode import margin_of
from photochrom.archive.job import Job
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings, parse_settings
from photochrom.pages import preview
from photochrom.runtime import StageError

WORDS = "Colorized <by> a computer & invented"
SCHEMA = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "sidecar.schema.json"


@pytest.mark.parametrize(("name", "bits"), [("a.png", 8), ("b.tif", 16), ("c.jpg", 8)])
def test_the_picture_is_as_without_and_the_margin_holds_ink(
    tmp_path: Path, name: str, bits: int
) -> None:
    save(tmp_path / "scans" / name, grey(240, 400, bits=bits))
    plain = Job(tmp_path / "plain", fake_model(), Settings(), 1)
    job = replace(plain, out=tmp_path / "out", settings=Settings(caption=WORDS))
    rows = plan_archive(str(tmp_path / "scans"))
    (before,), (after,) = colorize_rows(rows, plain), colorize_rows(rows, job)
    assert after.status == "done"
    bare, with_margin = read(plain.out / before.output), read(job.out / after.output)
    margin = margin_of(400, 240, WORDS)
    assert (with_margin.width, with_margin.height) == (400, 240 + margin)
    assert with_margin.format == bare.format == ("ushort" if bits == 16 else "uchar")
    picture = with_margin.numpy()
    if not name.endswith("jpg"):
        np.testing.assert_array_equal(picture[:240], bare.numpy())
    white = 65535 if bits == 16 else 255
    strip = picture[240:].astype(float) / white
    assert np.median(strip) > 0.95
    assert 0.01 < (strip < 0.5).mean() < 0.3
    sidecar = json.loads((job.out / after.sidecar).read_text())
    jsonschema.validate(sidecar, json.loads(SCHEMA.read_text()))
    assert sidecar["output"]["margin"] == margin
    assert sidecar["output"]["height"] == 240 + margin
    assert sidecar["original"]["height"] == 240
    assert sidecar["settings"]["caption"] == WORDS
    # What pages show of it lies over the scan.
    shown = preview(job.out / after.output, 200, margin)
    assert shown.shape == preview(plain.out / before.output, 200).shape


def test_alpha_is_opaque_in_the_margin(tmp_path: Path) -> None:
    alpha = np.full((60, 80, 1), 9, np.uint8)
    pixels = np.concatenate([grey(60, 80).reshape(60, 80, -1)[..., :1], alpha], axis=-1)
    path = tmp_path / "scans" / "a.png"
    path.parent.mkdir()
    pyvips.Image.new_from_array(pixels).copy(interpretation="b-w").write_to_file(str(path))
    job = Job(tmp_path / "out", fake_model(), Settings(caption="words"), 1)
    (status,) = colorize_rows(plan_archive(str(path.parent)), job)
    picture = read(job.out / status.output).numpy()
    assert (picture[:60, :, 3] == 9).all()
    assert (picture[60:, :, 3] == 255).all()


def test_what_no_font_can_show_is_said(tmp_path: Path) -> None:
    save(tmp_path / "scans" / "a.png", grey(60, 80))
    job = Job(tmp_path / "out", fake_model(), Settings(caption=" "), 1)
    (status,) = colorize_rows(plan_archive(str(tmp_path / "scans")), job)
    assert status.status == "failed"
    assert "its caption cannot be drawn" in status.reason


def test_a_caption_is_a_text() -> None:
    with pytest.raises(StageError, match="caption is 3"):
        parse_settings({"caption": 3})
