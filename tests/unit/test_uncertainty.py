"""How sure a network is, in units that mean something, and other colorings by it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from photochrom.color import AB_SCALE
from photochrom.colour_bins import gamut_bins
from photochrom.inference import predict_ab
from photochrom.models import Model
from photochrom.models.base import Colorizer, Distribution
from photochrom.runtime import EXIT_MODEL, StageError
from photochrom.uncertainty import DISAGREEMENT, check_samples, gumbel_field, judge, sample_ab


class Undecided(Distribution):
    """Sure of its first bin where it is dark; red or blue, equally likely, where it is light."""

    multiple = 4

    def __init__(self) -> None:
        super().__init__(np.array([[0, 0], [60, 40], [20, -60]], np.float32), 1, 0.38)

    def predict(self, L: Tensor, *seen: Tensor) -> tuple[Tensor, Tensor]:
        dark = (L < 0).float()
        light = 1 - dark
        logits = torch.cat([30 * dark, 30 * light, 30 * light], dim=1)
        return logits, torch.zeros_like(L).expand(-1, 2, -1, -1)


class OneSided(Colorizer):
    """a* rises to the right, so that the mirror image is answered otherwise."""

    multiple = 1

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, L: Tensor) -> Tensor:
        across = torch.linspace(-1, 1, L.shape[-1]).expand_as(L)
        return torch.cat([self.gain * across, torch.zeros_like(L)], dim=1)


def model_of(network: Colorizer) -> Model:
    return Model(network.eval(), {}, "0" * 64, 16, network.multiple)


HALVES = np.repeat(np.array([20.0, 80.0], np.float32), 8)[None].repeat(14, axis=0)


def test_a_distribution_says_how_undecided_it_is() -> None:
    ab, uncertainty = judge(model_of(Undecided()), HALVES)
    assert ab.shape == (14, 16, 2)
    assert uncertainty[:, :7] == pytest.approx(0, abs=1e-3)
    assert uncertainty[:, 9:] == pytest.approx(np.log(2) / np.log(3), abs=1e-3)


def test_others_are_asked_four_times() -> None:
    model = model_of(OneSided(0.25))
    ab, uncertainty = judge(model, np.full((9, 20), 50, np.float32))
    assert np.array_equal(ab, predict_ab(model, np.full((9, 20), 50, np.float32)))
    # The mirror image gives the opposite: the four lie at the same distance from their mean, 0.
    expected = 1 - np.exp(-0.25 * AB_SCALE / DISAGREEMENT)
    assert uncertainty[:, 0] == pytest.approx(expected, abs=0.05)
    middle = uncertainty[:, 9:11]
    assert middle.max() < 0.2


def test_one_that_never_changes_its_mind_is_sure() -> None:
    _, uncertainty = judge(model_of(OneSided(0)), HALVES)
    assert uncertainty.max() == 0


def test_samples_hang_together_and_differ() -> None:
    samples = sample_ab(model_of(Undecided()), HALVES, 8, seed=1)
    light = np.stack([ab[:, 10:].mean(axis=(0, 1)) for ab in samples])
    assert light[:, 1].max() > 20  # red was drawn,
    assert light[:, 1].min() < -40  # and blue
    for ab in samples:
        assert np.abs(ab[:, :7]).max() < 1  # where it is sure, no sample doubts
    again = sample_ab(model_of(Undecided()), HALVES, 8, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(samples, again, strict=True))
    assert not np.array_equal(samples[0], sample_ab(model_of(Undecided()), HALVES, 1, seed=2)[0])


def test_gumbel_noise_is_standard_and_smooth() -> None:
    generator = np.random.default_rng(0)
    bins = gamut_bins().astype(np.float64)
    drawn = np.stack([gumbel_field(generator, bins, 12, 16)[::40] for _ in range(400)])
    assert drawn.mean() == pytest.approx(np.euler_gamma, abs=0.08)
    assert drawn.std() == pytest.approx(np.pi / np.sqrt(6), abs=0.08)
    step = np.diff(drawn, axis=-1).std()
    assert step < 0.35 * drawn.std()


def test_a_network_without_bins_cannot_be_sampled() -> None:
    with pytest.raises(StageError, match="zhang16 or photochrom") as caught:
        check_samples(model_of(OneSided(1)))
    assert caught.value.code == EXIT_MODEL
