"""What an original says of itself goes into its derivative, or is named as missing."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips

from archive_room import contents, grey, read, run, save, sidecar
from photochrom.archive import metadata
from photochrom.archive.metadata import tags_of
from photochrom.archive.provenance import Settings
from photochrom.images import load_lightness, open_image

EXIFTOOL = shutil.which("exiftool")
TAGS = (
    *(
        "-IFD0:Artist=Jane Doe",
        "-IFD0:Copyright=CC0",
        "-ExifIFD:DateTimeOriginal=1931:05:06 07:08:09",
    ),
    *("-IPTC:Keywords=mill", "-IPTC:Keywords=dusk", "-IPTC:City=Lugano"),
    *("-GPSLatitude=46", "-GPSLatitudeRef=N", "-XMP-dc:Creator=Jane"),
)
NAMES = {
    **{"IFD0:Artist": 1, "IFD0:Copyright": 1, "ExifIFD:DateTimeOriginal": 1},
    **{"IPTC:Keywords": 2, "IPTC:City": 1, "GPS:GPSLatitude": 1, "GPS:GPSLatitudeRef": 1},
}


@pytest.fixture
def tagged(tmp_path: Path, need: Callable[[bool, str], None]) -> Path:
    """An archive of one 16-bit TIFF with tags of every kind."""
    need(EXIFTOOL is not None, "exiftool is not installed")
    path = save(tmp_path / "scans" / "mill.tif", grey(20, 30, bits=16))
    command = [str(EXIFTOOL), "-q", "-overwrite_original", "-Orientation#=6", *TAGS, str(path)]
    subprocess.run(command, check=True)
    return path


def tags(path: Path) -> dict[str, int]:
    return dict(tags_of(path, read(path)))


def values(path: Path, *names: str) -> list[str]:
    command = [str(EXIFTOOL), "-s3", "-sep", "+", *(f"-{name}" for name in names), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("name", ["tiff", "png", "jpeg", "pyramid"])
def test_exiftool_brings_everything_that_is_still_true(
    tagged: Path, tmp_path: Path, name: str
) -> None:
    assert tags(tagged) == NAMES
    before = tagged.read_bytes()
    row = run(tagged.parent, tmp_path / "out", settings=Settings(name))["mill.tif"]
    made = tmp_path / "out" / row.output
    assert tags(made) == NAMES
    assert values(made, "Artist", "IPTC:Keywords", "GPSLatitude#", "XMP-dc:Creator") == [
        *("Jane Doe", "mill+dusk", "46", "Jane")
    ]
    assert values(made, "Orientation#", "XMP-iptcExt:DigitalSourceType")[0] == "1"
    said = sidecar(tmp_path / "out", row)["metadata"]
    assert said["not_carried"] == []
    assert said["exiftool"]
    assert "complaint" not in said
    # Its pixels are what they were: upright, at the scan's lightness.
    assert (read(made).width, read(made).height) == (20, 30)
    L = [load_lightness(open_image(path)) for path in (tagged, made)] if name != "pyramid" else []
    assert all(np.abs(L[0] - other).max() < (0.06 if name != "jpeg" else 8) for other in L)
    assert tagged.read_bytes() == before
    # And once more, to the byte.
    run(tagged.parent, tmp_path / "again", settings=Settings(name))
    assert contents(tmp_path / "again") == contents(tmp_path / "out")


def test_without_exiftool_what_is_missing_is_named(
    tagged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata.shutil, "which", lambda name: None)
    row = run(tagged.parent, tmp_path / "out")["mill.tif"]
    assert sidecar(tmp_path / "out", row)["metadata"] == {
        "exiftool": None,
        "not_carried": sorted(NAMES),
    }
    assert row.status == "done"
    assert b"Jane" in read(tmp_path / "out" / row.output).get("xmp-data")
    # Once it is installed, the derivative is made again.
    monkeypatch.undo()
    row = run(tagged.parent, tmp_path / "out")["mill.tif"]
    assert sidecar(tmp_path / "out", row)["metadata"]["not_carried"] == []


def test_names_that_nobody_would_choose(tagged: Path, tmp_path: Path) -> None:
    """exiftool reads its arguments line by line, and @ and - mean something to it."""
    odd = tagged.with_name('-we"ird\nna$me\\ @x #.tif')
    tagged.rename(odd)
    (row,) = run(odd.parent, tmp_path / "out").values()
    assert sidecar(tmp_path / "out", row)["metadata"]["not_carried"] == []
    (row,) = run(odd.parent, tmp_path / "new\nline").values()
    said = sidecar(tmp_path / "new\nline", row)["metadata"]
    assert said["not_carried"]
    assert "line break" in said["complaint"]


@pytest.mark.parametrize("body", ["exit 1", "sleep 60", "read line; echo no; echo '{ready}'"])
def test_a_broken_exiftool_costs_tags_and_nothing_else(
    tagged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    program = tmp_path / "bin" / "exiftool"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nif [ $1 = -ver ]; then echo 0.1; exit; fi\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setattr(metadata.shutil, "which", lambda name: str(program))
    monkeypatch.setattr(metadata, "_PATIENCE", 0.5)
    metadata.exiftool_version.cache_clear()
    row = run(tagged.parent, tmp_path / "out")["mill.tif"]
    metadata.exiftool_version.cache_clear()
    said = sidecar(tmp_path / "out", row)["metadata"]
    assert said["complaint"].startswith("exiftool: ")
    assert "IFD0:Artist" in said["not_carried"]
    assert row.status == "done"


@pytest.mark.parametrize("block", [b"XX*\0\x08\0\0\0", b"II*\0", b""])
def test_damaged_directories_are_said(tmp_path: Path, block: bytes) -> None:
    picture = read(save(tmp_path / "a.jpg", grey(9, 9))).copy()
    picture.set_type(pyvips.GValue.blob_type, "exif-data", b"Exif\0\0" + block)
    found = dict(tags_of(tmp_path / "a.jpg", picture))
    assert found == ({"EXIF that cannot be read": 1} if block else {})
