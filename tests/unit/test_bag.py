"""A bag of derivatives: whole, linked, told apart from another, and replaced as a whole."""

from pathlib import Path

import bagit
import pytest

from archive_room import fake_model, grey, save
from bag import main
from photochrom.archive.colorize import colorize_rows
from photochrom.archive.job import Job
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings
from photochrom.archive.records import Status, write_rows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    out = tmp_path / "colorized" / "box"
    for name in ("a.png", "deep/ä.tif"):
        save(tmp_path / "scans" / name, grey(30, 20))
    rows = plan_archive(str(tmp_path / "scans"))
    write_rows(
        out / "status.csv", Status, colorize_rows(rows, Job(out, fake_model(), Settings(), 1))
    )
    (out / "plan").mkdir()
    (out / "plan" / "plan.csv").write_text("")
    return out


def bagged(root: Path) -> Path:
    bag = root.parents[1] / "bags" / "box"
    assert main([f"--root={root}", f"--out={bag}", "--archive=box"]) == 0
    return bag


def test_a_bag_is_whole_and_says_what_it_holds(root: Path) -> None:
    bag = bagged(root)
    opened = bagit.Bag(str(bag))
    opened.validate()
    assert {"data/a.colorized.png", "data/a.colorized.png.json", "data/status.csv"} <= set(
        opened.payload_entries()
    )
    assert "data/deep/ä.colorized.tif" in opened.payload_entries()
    assert not any(name.startswith("data/plan") for name in opened.payload_entries())
    assert opened.info["External-Identifier"] == "box"
    assert opened.info["Photochrom-Model-SHA256"] == "d" * 64
    assert "invented" in opened.info["External-Description"]
    one, other = bag / "data" / "a.colorized.png", root / "a.colorized.png"
    assert one.stat().st_ino == other.stat().st_ino  # no room of its own


def test_a_flipped_byte_is_found(root: Path) -> None:
    bag = bagged(root)
    path = bag / "data" / "a.colorized.png"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(bagit.BagValidationError, match=r"a\.colorized\.png"):
        bagit.Bag(str(bag)).validate()


def test_another_bag_takes_the_place_of_the_first(root: Path) -> None:
    bag = bagged(root)
    (root / "a.colorized.png").unlink()
    assert bagged(root) == bag
    assert "data/a.colorized.png" not in bagit.Bag(str(bag)).payload_entries()
    assert [path.name for path in bag.parent.iterdir()] == ["box"]
