"""The strip of validation pictures."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from photochrom import strips


def squares(level: int, side: int = 16) -> np.ndarray:
    return np.full((3, side, side, 3), level, np.uint8)


def read(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data))).astype(int)


def test_rows_stand_in_order_between_grey_and_truth(tmp_path: Path) -> None:
    for step, level in ((20, 80), (0, 40), (100, 120)):
        strips.save_row(tmp_path, step, squares(level))
    picture = read(strips.strip(tmp_path, squares(10), squares(250)))
    rows = picture[8 :: 16 + 2, -8, 0]
    np.testing.assert_allclose(rows, [10, 40, 80, 120, 250], atol=2)
    assert picture.shape[1] > 3 * 16 + 2 * 2
    assert picture[:, :96].min() < 128  # words beside the rows


def test_long_phases_show_some_rows_with_the_first_and_the_last(tmp_path: Path) -> None:
    for step in range(41):
        strips.save_row(tmp_path, step, squares(100 + step))
    rows = read(strips.strip(tmp_path, squares(0), squares(255)))[8 :: 16 + 2, -8, 0]
    assert len(rows) == strips.ROWS + 2
    np.testing.assert_allclose(rows[[1, -2]], [100, 140], atol=2)
    assert (np.diff(rows) > 0).all()


def test_large_pictures_are_made_small_and_a_row_may_be_written_again(tmp_path: Path) -> None:
    for _ in range(2):
        strips.save_row(tmp_path, 5, squares(60, side=200))
    picture = read(strips.strip(tmp_path, squares(60, 200), squares(60, 200)))
    assert picture.shape[0] == 3 * strips.SIDE + 2 * 2
