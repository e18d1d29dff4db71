"""The report's figures as files: all of them, each complete by itself, none outside its folder."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fake_results
import report
from fake_results import HOSTILE, PROTOCOL
from photochrom.images import load_rgb
from photochrom.report.figures import GAP, PARTS, file_name, sheet


def written(folder: Path, hostile: str = "") -> Path:
    """The folder of figures of a run, with its pages beside it."""
    results = fake_results.build(folder / "results", pixels=24, hostile=hostile)
    out = results.root / "report"
    arguments = ["--figures", str(out / "figures"), "--out", str(out / "index.html")]
    assert report.main([*results.arguments(), *arguments]) == 0
    return out / "figures"


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("run"))


def names(figures: Path) -> list[str]:
    return sorted(
        path.relative_to(figures).as_posix() for path in figures.rglob("*") if path.is_file()
    )


def test_every_section_has_its_figures(figures: Path) -> None:
    assert {path.name for path in figures.iterdir()} == set(PARTS)
    found = names(figures)
    for name in (
        "data/Brightness.svg",
        "training/quick/Validation-PSNR.svg",
        f"measures/{PROTOCOL}/Balanced-AuC.svg",
        f"slices/colourfulness/{PROTOCOL}/Colour-difference-by-colourfulness.svg",
        "confidence/quick/Mean-error-by-confidence.svg",
        "pictures/best.jpg",
        "pictures/median.jpg",
        "pictures/worst.jpg",
    ):
        assert name in found
    page = (figures.parent / "index.html").read_text(encoding="utf-8")
    assert page.count('<svg class="plot" viewBox') == sum(name.endswith(".svg") for name in found)


def test_each_drawing_stands_by_itself(figures: Path) -> None:
    for path in figures.rglob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert ElementTree.fromstring(text.encode()).tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in text


def test_pictures_are_four_abreast(figures: Path) -> None:
    for path in (figures / "pictures").iterdir():
        assert load_rgb(path).shape == (3 * (24 + GAP) - GAP, 4 * (24 + GAP) - GAP, 3)


def test_a_lacking_picture_leaves_its_place_empty() -> None:
    black = {"src": "data:", "pixels": np.zeros((2, 3, 3), dtype=np.uint8)}
    found = sheet([[black, {"src": None}], [{"src": None}, black]])
    assert found.shape == (2 * (2 + GAP) - GAP, 2 * (3 + GAP) - GAP, 3)
    assert not found[:2, :3].any()
    assert not found[-2:, -3:].any()
    assert (found[:2, 3:] == 255).all()


def test_hostile_names_stay_in_the_folder(tmp_path: Path) -> None:
    figures = written(tmp_path, HOSTILE + "/../..")
    before = {path.name for path in tmp_path.iterdir()}
    assert before == {"results"}
    assert {path.name for path in figures.iterdir()} == set(PARTS)
    (experiment,) = (figures / "training").iterdir()
    assert experiment.name.startswith("quick-title-script")


@given(st.text())
def test_a_name_is_that_of_one_plain_file(text: str) -> None:
    name = file_name(text)
    assert name
    assert not set(name) & set("/\\\n\0 ")
    assert name.strip(".") == name


def test_names_keep_what_files_can_hold() -> None:
    assert file_name("Validation Fréchet distance") == "Validation-Frechet-distance"
    assert file_name("zhang16_v2.1") == "zhang16_v2.1"
    assert file_name("..") == "unnamed"
