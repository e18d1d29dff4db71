"""The yardsticks paint what they say, and the floor is the shards' own."""

import csv
from pathlib import Path

import numpy as np
import pytest

from photochrom.color import AB_SCALE, denormalize, normalize, rgb_to_lab
from photochrom.metrics.painting import paint_picture
from photochrom.models.baselines import (
    Painter,
    constant,
    even_mask,
    grey,
    levin,
    mean_training_ab,
    truth,
)
from photochrom.runtime import EXIT_USAGE, StageError, sha256_file
from photochrom.shards import read_shard, write_shard


def picture(seed: int = 0, side: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("painter", "a", "b"), [(grey(), 0, 0), (constant(3.5, -8, 7), 3.5, -8)], ids=["grey", "even"]
)
def test_even_painters_keep_the_lightness(painter: Painter, a: float, b: float) -> None:
    lab = rgb_to_lab(picture())
    painted = painter.paint(lab)
    assert np.array_equal(painted[..., 0], lab[..., 0])
    assert (painted[..., 1] == a).all()
    assert (painted[..., 2] == b).all()


def test_digests_name_what_is_painted() -> None:
    assert constant(1, 2, 7).digest == constant(1, 2, 9).digest
    painters = (grey(), truth(), constant(1, 2, 7), levin(9), levin(8))
    assert len({painter.digest for painter in painters}) == 5


def test_levin_knows_a_few_evenly_spread_colours_and_spreads_them() -> None:
    mask = even_mask(32, 48, 25)
    assert mask.sum() == 25
    quarters = [part.sum() for half in np.split(mask, 2) for part in np.split(half, 2, axis=1)]
    assert min(quarters) >= 5
    assert even_mask(2, 2, 100).all()
    smooth = np.mgrid[0:32, 0:48].astype(float)
    lab = np.stack([smooth[0] + 40, smooth[1] - 20, smooth[0] - 10], axis=-1)
    errors = [np.abs(levin(hints).paint(lab) - lab) for hints in (1, 25, 300)]
    assert all((error[..., 0] == 0).all() for error in errors)
    assert errors[0].mean() > 2 * errors[1].mean() > 4 * errors[2].mean()
    assert (errors[1][mask] == 0).all()


def test_truth_is_what_a_shard_gives_back(tmp_path: Path) -> None:
    lab = rgb_to_lab(picture())
    L, ab = normalize(lab[..., 0], lab[..., 1:])
    write_shard(tmp_path / "shard.h5", ["one"], L[None], ab[None], "")
    shard = read_shard(tmp_path / "shard.h5")
    stored_L, stored_ab = denormalize(shard.L[0] * shard.scale, shard.ab[0] * shard.scale)
    painted = truth().paint(lab)
    assert np.array_equal(painted[..., 0], stored_L)
    assert np.array_equal(painted[..., 1:], stored_ab)
    assert 0 < np.abs(painted - lab).max() < 0.0018  # half a step of ab


def test_truth_comes_back_to_the_level_for_colours_all_over_srgb() -> None:
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(64, 64, 3)
    assert np.array_equal(paint_picture(colours, truth().paint), colours)


def test_colours_that_srgb_cannot_show_lose_chroma_and_not_lightness() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=-1)
    painted = paint_picture(ramp, constant(90, -100, 1).paint)
    difference = rgb_to_lab(painted)[..., 0] - rgb_to_lab(ramp)[..., 0]
    assert np.abs(difference).max() < 0.6  # the rounding to 8 bits
    assert np.ptp(painted[0, 128].astype(int)) > 100


class Tables:
    """Two shards of two pictures each; all pixels of a picture have one stored ab."""

    STORED = ((1000, -2000), (3000, 500), (-700, 900), (9999, 9999))
    SPLITS = ("train", "val", "train", "train")

    def __init__(self, folder: Path) -> None:
        self.shards_csv, self.split_csv = folder / "shards.csv", folder / "split.csv"
        self.paths = [folder / f"shard-0000{number}.h5" for number in range(2)]
        for number, path in enumerate(self.paths):
            ab = np.array(self.STORED[2 * number : 2 * number + 2]) / 32767
            write_shard(
                path,
                [f"p{2 * number}", f"p{2 * number + 1}"],
                np.zeros((2, 4, 4)),
                np.broadcast_to(ab[:, None, None], (2, 4, 4, 2)),
                "",
            )
        self.index()
        rows = [
            (f"p{i}", f"shard-0000{i // 2}", i % 2, f"g{i}", 1, split)
            for i, split in enumerate(self.SPLITS)
        ]
        self.write(self.split_csv, ["id", "shard", "row", "group", "part", "split"], rows)

    def index(self) -> None:
        rows = [(path.stem, path, 2, sha256_file(path), 4) for path in self.paths]
        self.write(self.shards_csv, ["shard", "path", "rows", "sha256", "size"], rows)

    @staticmethod
    def write(path: Path, columns: list[str], rows: list[tuple]) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([columns, *rows])


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def test_mean_colour_is_of_the_training_pictures_alone(tables: Tables) -> None:
    a, b, pictures = mean_training_ab(tables.shards_csv, tables.split_csv)
    assert pictures == 3
    assert a == pytest.approx((1000 - 700 + 9999) / 3 / 32767 * AB_SCALE, rel=1e-12)
    assert b == pytest.approx((-2000 + 900 + 9999) / 3 / 32767 * AB_SCALE, rel=1e-12)


def test_a_shard_that_the_index_does_not_describe_is_refused(tables: Tables) -> None:
    write_shard(tables.paths[1], ["p2", "p3"], np.ones((2, 4, 4)), np.zeros((2, 4, 4, 2)), "")
    with pytest.raises(StageError, match=r"shard-00001.h5 is not the one .* --forcerun"):
        mean_training_ab(tables.shards_csv, tables.split_csv)


@pytest.mark.parametrize("ids", [["p3", "p2"], ["p2"]], ids=["swapped", "shorter"])
def test_a_shard_that_the_split_does_not_describe_is_refused(
    tables: Tables, ids: list[str]
) -> None:
    n = len(ids)
    write_shard(tables.paths[1], ids, np.zeros((n, 4, 4)), np.zeros((n, 4, 4, 2)), "")
    tables.index()
    with pytest.raises(StageError, match=r"shard-00001.h5 is not the one"):
        mean_training_ab(tables.shards_csv, tables.split_csv)


def test_a_shard_that_the_index_lacks(tables: Tables) -> None:
    tables.paths.pop()
    tables.index()
    with pytest.raises(StageError, match="lacks shard-00001"):
        mean_training_ab(tables.shards_csv, tables.split_csv)


def test_no_training_pictures(tables: Tables) -> None:
    tables.write(tables.split_csv, ["id", "shard", "row", "group", "part", "split"], [])
    with pytest.raises(StageError, match=r"change data\.split") as caught:
        mean_training_ab(tables.shards_csv, tables.split_csv)
    assert caught.value.code == EXIT_USAGE
