"""Measures on the validation split."""

import numpy as np
import pytest
import torch
from torch import Tensor

from photochrom.metrics.frechet import frechet_distance
from photochrom.models.base import Colorizer
from photochrom.shards import SCALE_FACTOR, TrainingSet
from photochrom.validation import (
    Judges,
    load_judges,
    to_srgb,
    validate,
    watched_pictures,
    watched_size,
)

CPU = torch.device("cpu")


class Constant(Colorizer):
    """Predicts one ab everywhere."""

    multiple = 1

    def __init__(self, ab: float) -> None:
        super().__init__()
        self.ab = ab

    def forward(self, L: Tensor) -> Tensor:
        return torch.full((len(L), 2, *L.shape[2:]), self.ab)


def go_on() -> None:
    """Nothing happens between batches."""


def photographs(count: int, ab: float) -> TrainingSet:
    """Mid-grey pictures with one ab everywhere."""
    L = np.zeros((count, 1, 8, 8), np.int16)
    colour = np.full((count, 2, 8, 8), round(ab / SCALE_FACTOR), np.int16)
    return TrainingSet([str(number) for number in range(count)], L, colour, SCALE_FACTOR, "digest")


def test_no_chroma_is_grey() -> None:
    rgb = to_srgb(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, 2))
    assert rgb.unique().tolist() == [119]  # L* 50


def test_measures_are_means_over_pictures_whatever_the_batch() -> None:
    network = Constant(0.1)
    measured = [
        validate(network, photographs(5, 0.3), 8, batch, CPU, go_on).values for batch in (1, 2, 5)
    ]
    assert measured[0] == pytest.approx(measured[1], rel=1e-6)
    assert measured[0] == pytest.approx(measured[2], rel=1e-6)
    assert measured[0]["l1"] == pytest.approx(0.2, abs=1e-4)
    assert measured[0]["colourfulness"] < measured[0]["colourfulness_truth"]
    assert not network.training


def test_the_truth_itself_scores_perfectly() -> None:
    data = photographs(2, 0.25)
    values = validate(Constant(data.ab.flat[0] * SCALE_FACTOR), data, 4, 2, CPU, go_on).values
    assert values["psnr_rgb"] == 100
    assert values["ciede2000"] == 0
    assert values["auc"] == values["auc_balanced"] == 100
    assert values["colourfulness"] == pytest.approx(values["colourfulness_truth"])


def test_it_can_be_left_between_batches() -> None:
    calls = []

    def leave() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        validate(Constant(0.1), photographs(5, 0.3), 8, 1, CPU, leave)


def test_few_pictures_have_no_distances_and_the_reason_is_given() -> None:
    judges = load_judges(18, CPU)
    assert judges.eyes == {}
    assert judges.missing == {
        "fd_lite2": "not computed: 18 validation pictures, 64 are needed",
        "kid_lite2": "not computed: 18 validation pictures, 64 are needed",
        "fid": "not computed: 18 validation pictures, 2,048 are needed",
    }


def test_distances_go_by_the_features_of_all_pictures() -> None:
    """With a picture's mean colour for its features, the distances are known."""
    calls = []

    def mean_colour(rgb: Tensor) -> np.ndarray:
        calls.append(len(rgb))
        return rgb.mean(dim=(2, 3)).numpy()

    data = photographs(6, 0.2)
    data.ab[::2] //= 2
    judges = Judges({"lite2": mean_colour})
    grey = validate(Constant(0), data, 8, 4, CPU, go_on, judges).values
    truth = judges.truth["lite2"]
    expected = np.square(truth.mean(axis=0) - 119).sum() + truth.var(axis=0, ddof=1).sum()
    assert grey["fd_lite2"] == pytest.approx(expected, rel=1e-4)
    assert grey["kid_lite2"] > 0
    assert calls == [4, 4, 2, 2]
    validate(Constant(0), data, 8, 4, CPU, go_on, judges)
    assert calls[4:] == [4, 2]  # the photographs are seen once


def test_a_fid_is_by_the_formula_of_pytorch_fid() -> None:
    def eye(rgb: Tensor) -> np.ndarray:
        return rgb.mean(dim=(2, 3)).double().numpy() + rgb[:, :, 0, 0].double().numpy() ** 1.1

    data = photographs(9, 0.2)
    data.ab[:] = np.random.default_rng(0).integers(-9000, 9000, (9, 2, 1, 1))
    judges = Judges({"inception": eye})
    found = validate(Constant(0.1), data, 8, 4, CPU, go_on, judges).values["fid"]
    painted = Judges({"inception": eye})
    again = photographs(9, 0.2)
    again.ab[:] = round(0.1 / SCALE_FACTOR)
    validate(Constant(0), again, 8, 4, CPU, go_on, painted)
    sets = (painted.truth["inception"], judges.truth["inception"])
    moments = [(rows.mean(axis=0), np.cov(rows, rowvar=False)) for rows in sets]
    assert found == pytest.approx(frechet_distance(*moments[0], *moments[1]), rel=1e-3)


def test_the_strip_shows_the_first_pictures() -> None:
    data = photographs(11, 0.2)
    look = validate(Constant(0), data, 8, 3, CPU, go_on)
    grey, truth = watched_pictures(data, 8)
    assert look.pictures.shape == grey.shape == truth.shape == (8, 8, 8, 3)
    assert (look.pictures == grey).all()
    assert (grey == 119).all()
    assert np.ptp(truth.astype(int), axis=-1).min() > 10


def test_all_phases_are_looked_at_at_one_size() -> None:
    network = Constant(0)
    assert watched_size(network, photographs(1, 0)) == 8
    network.multiple = 3
    assert watched_size(network, photographs(1, 0)) == 6
