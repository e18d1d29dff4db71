"""What an original says of itself goes into its derivative, or is named as missing."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import pyvips
from PIL import Image

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
    said = sidecar(tmp_path / "out", row)["metadata"]
    assert (said["exiftool"], said["not_carried"]) == (None, sorted(NAMES))
    assert row.status == "done"
    assert b"Jane" in read(tmp_path / "out" / row.output).get("xmp-data")
    # Once it is installed, the derivative is made again.
    monkeypatch.undo()
    row = run(tagged.parent, tmp_path / "out")["mill.tif"]
    assert sidecar(tmp_path / "out", row)["metadata"]["not_carried"] == []


@pytest.fixture
def exiftool(need: Callable[[bool, str], None]) -> Callable[..., None]:
    need(EXIFTOOL is not None, "exiftool is not installed")

    def run_it(path: Path, *arguments: str) -> None:
        command = [str(EXIFTOOL), "-q", "-overwrite_original", *arguments, str(path)]
        subprocess.run(command, check=True)

    return run_it


def test_comments_come_along_and_the_grey_thumbnail_stays(
    tmp_path: Path, exiftool: Callable[..., None]
) -> None:
    path = save(tmp_path / "scans" / "a.jpg", grey(40, 60))
    thumbnail = save(tmp_path / "thumbnail.jpg", grey(20, 30))
    exiftool(path, "-IFD0:Artist=Jane Ärcher", "-Comment=by hand", f"-ThumbnailImage<={thumbnail}")
    row = run(path.parent, tmp_path / "out")["a.jpg"]
    made = tmp_path / "out" / row.output
    assert values(path, "ThumbnailImage")
    assert values(made, "Comment", "Artist", "IFD1:all") == ["by hand", "Jane Ärcher"]
    said = sidecar(tmp_path / "out", row)["metadata"]
    assert said["not_carried"] == []


def test_xmp_beyond_its_first_segment_is_listed(
    tmp_path: Path, exiftool: Callable[..., None]
) -> None:
    path = save(tmp_path / "scans" / "a.jpg", grey(40, 60))
    words = "".join(chr(97 + n % 26) for n in np.random.default_rng(0).integers(0, 26, 70_000))
    (tmp_path / "long.txt").write_text(words)
    exiftool(path, "-XMP-dc:Creator=Jane", f"-XMP-dc:Description<={tmp_path / 'long.txt'}")
    row = run(path.parent, tmp_path / "out")["a.jpg"]
    said = sidecar(tmp_path / "out", row)["metadata"]
    assert said["not_carried"] == ["XMP:HasExtendedXMP"]
    assert values(tmp_path / "out" / row.output, "XMP-xmpNote:HasExtendedXMP") == []


def test_what_jpeg_2000_and_heic_say_of_themselves_comes_along(
    tmp_path: Path, exiftool: Callable[..., None]
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    Image.fromarray(grey(40, 60)).save(scans / "a.jp2", irreversible=False)
    given = ("-IFD0:Artist=Jane Ärcher", "-XMP-dc:Title=Mühle")
    exiftool(scans / "a.jp2", *given, "-IPTC:Keywords=mill", "-IPTC:Keywords=dusk")
    exif = Image.Exif()
    exif[0x0112] = 6  # which HEIC's own properties decide
    exif[0x013B] = "Jane ?rcher"
    stored = exif.tobytes().replace(b"Jane ?rcher", "Jane Ärche".encode())
    pillow_heif.from_pillow(Image.fromarray(grey(40, 60)).convert("RGB")).save(
        scans / "b.heic", quality=-1, exif=stored
    )
    statuses = run(scans, tmp_path / "out")
    for name, artist in (("a.jp2", "Jane Ärcher"), ("b.heic", "Jane Ärche")):
        made = tmp_path / "out" / statuses[name].output
        assert values(made, "Artist") == [artist]
        assert sidecar(tmp_path / "out", statuses[name])["metadata"]["not_carried"] == []
    made = tmp_path / "out" / statuses["a.jp2"].output
    assert values(made, "XMP-dc:Title", "IPTC:Keywords") == ["Mühle", "mill+dusk"]


def test_a_jpeg_2000_whose_tags_cannot_come_along_lists_them(
    tmp_path: Path, exiftool: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scans").mkdir()
    Image.fromarray(grey(40, 60)).save(tmp_path / "scans" / "a.jp2", irreversible=False)
    exiftool(tmp_path / "scans" / "a.jp2", "-IPTC:Keywords=mill")
    monkeypatch.setattr(metadata.shutil, "which", lambda name: None)
    row = run(tmp_path / "scans", tmp_path / "out")["a.jp2"]
    said = sidecar(tmp_path / "out", row)["metadata"]
    assert said["not_carried"] == ["IPTC:Keywords"]
    assert "25.4 dpi" in said["resolution"]


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
