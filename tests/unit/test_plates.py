"""Plates: scans and truths by name, borders left out, colours of the scan on the truth's L*."""

from pathlib import Path

import numpy as np
import pytest

from photochrom.color import rgb_to_lab
from photochrom.images import ImageError, write_png
from photochrom.models.baselines import constant
from photochrom.plates import as_photographs, inside, painted_of, protocol_of, read_plates
from photochrom.runtime import StageError

COLOUR = np.full((100, 50, 3), (120, 110, 100), np.uint8)
GREY = np.full((100, 50, 3), 90, np.uint8)


def plates_in(folder: Path, scan: str = "emir_plate.png", truth: str = "emir_colour.png") -> tuple:
    scans, truths = folder / "scans", folder / "truths"
    for place in (scans, truths):
        place.mkdir(exist_ok=True)
    write_png(scans / scan, GREY)
    write_png(truths / truth, COLOUR)
    return scans, truths


@pytest.mark.parametrize(
    ("scan", "truth"),
    [
        ("emir_plate.png", "emir_colour.png"),
        ("emir.png", "emir_composite.png"),
        ("a_b_Scan.png", "a_b.png"),
    ],
)
def test_names_that_belong_together(scan: str, truth: str, tmp_path: Path) -> None:
    scans, truths = plates_in(tmp_path, scan, truth)
    write_png(scans / "alone.png", GREY)
    (plate,) = read_plates(scans, truths)
    assert (plate.scan, plate.truth) == (scans / scan, truths / truth)
    (photograph,) = as_photographs([plate])
    assert (photograph.id, photograph.path) == (plate.name, truths / truth)


def test_nothing_that_belongs_together(tmp_path: Path) -> None:
    scans, truths = plates_in(tmp_path, "emir_green.png")
    with pytest.raises(StageError, match=r"no scan of .* name them alike, such as bridge\.png"):
        read_plates(scans, truths)
    write_png(truths / "emir.png", COLOUR)
    with pytest.raises(StageError, match=r"two of one name: emir\.png, emir_colour\.png"):
        read_plates(scans, truths)
    with pytest.raises(StageError, match="No such file"):
        read_plates(tmp_path / "nowhere", truths)


def test_colours_of_the_scan_on_the_lightness_of_the_truth(tmp_path: Path) -> None:
    plates = {plate.name: plate for plate in read_plates(*plates_in(tmp_path))}
    (photograph,) = as_photographs(plates.values())
    seen = []

    def paint(lab: np.ndarray) -> np.ndarray:
        seen.append(lab[..., 0])
        return constant(5, 9, 1).paint(lab)

    truth, painting = painted_of(plates, paint, photograph)
    assert seen[0] == pytest.approx(np.full((100, 50), rgb_to_lab(GREY)[0, 0, 0]))
    assert np.array_equal(truth, COLOUR[8:-8, 4:-4])
    lab = rgb_to_lab(painting.picture)
    assert lab[..., 0] == pytest.approx(rgb_to_lab(truth)[..., 0], abs=0.3)
    assert lab[5, 5, 1:] == pytest.approx([5, 9], abs=0.5)

    write_png(plates["emir"].scan, GREY[:90])
    with pytest.raises(ImageError, match="have 50 x 90 and 50 x 100 pixels"):
        painted_of(plates, paint, photograph)


def test_the_border_is_left_out_of_every_side() -> None:
    picture = np.arange(200 * 100 * 3).reshape(200, 100, 3).astype(np.uint8)
    assert np.array_equal(inside(picture), picture[16:-16, 8:-8])
    assert "border of 8%" in protocol_of("x").description
