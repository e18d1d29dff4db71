"""Measures on the validation split."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from photochrom import color
from photochrom.models.base import Colorizer
from photochrom.shards import SCALE_FACTOR, TrainingSet
from photochrom.validation import psnr, to_srgb, validate

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


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_batched_colourfulness_is_that_of_the_colour_module(seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (3, 6, 5, 3), dtype=np.uint8)
    batched = color.colourfulness_torch(torch.from_numpy(rgb).permute(0, 3, 1, 2).float())
    np.testing.assert_allclose(batched, [color.colourfulness(one) for one in rgb], rtol=1e-5)


def test_psnr_of_a_known_error() -> None:
    truth = torch.full((1, 3, 4, 4), 100.0)
    assert psnr(truth + 255, truth).item() == pytest.approx(0, abs=1e-5)
    assert psnr(truth + 25.5, truth).item() == pytest.approx(20)
    assert psnr(truth, truth).item() == 100


def test_no_chroma_is_grey() -> None:
    rgb = to_srgb(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, 2))
    assert rgb.unique().tolist() == [119]  # L* 50


def test_measures_are_means_over_pictures_whatever_the_batch() -> None:
    network = Constant(0.1)
    measured = [validate(network, photographs(5, 0.3), 8, batch, CPU, go_on) for batch in (1, 2, 5)]
    assert measured[0] == pytest.approx(measured[1], rel=1e-6)
    assert measured[0] == pytest.approx(measured[2], rel=1e-6)
    assert measured[0]["l1"] == pytest.approx(0.2, abs=1e-4)
    assert measured[0]["colourfulness"] < measured[0]["colourfulness_truth"]
    assert not network.training


def test_the_truth_itself_scores_perfectly() -> None:
    data = photographs(2, 0.25)
    values = validate(Constant(data.ab.flat[0] * SCALE_FACTOR), data, 4, 2, CPU, go_on)
    assert values["psnr_rgb"] == 100
    assert values["colourfulness"] == pytest.approx(values["colourfulness_truth"])


def test_it_can_be_left_between_batches() -> None:
    calls = []

    def leave() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        validate(Constant(0.1), photographs(5, 0.3), 8, 1, CPU, leave)
