"""Colour bins: the gamut, priors, weights, soft encoding and its inverse; analytic values."""

import math

import numpy as np
import pytest
import torch

from photochrom.color import AB_SCALE, rgb_to_lab
from photochrom.colour_bins import (
    GRID,
    SIGMA,
    annealed_mean,
    bin_prior,
    entropy,
    gamut_bins,
    paper_bins,
    rebalancing_weights,
    soft_encoding,
)

BINS = torch.from_numpy(gamut_bins())
# One stored step is a hundredth of a Lab unit.
SCALE = 0.01 / AB_SCALE


def stored(*colours: tuple[float, float], size: int = 2) -> np.ndarray:
    """One picture (1,2,size,size) a colour, in the shards' integers."""
    table = np.array(colours)[:, :, None, None] * np.ones((1, 1, size, size))
    return np.rint(table * 100).astype(np.int16)


def index(a: float, b: float) -> int:
    return int(((BINS - torch.tensor([a, b])) ** 2).sum(dim=1).argmin())


def test_every_bin_holds_an_srgb_colour_and_every_srgb_colour_has_a_bin() -> None:
    bins = gamut_bins()
    assert bins.shape == (261, 2)
    assert (bins.min(axis=0).tolist(), bins.max(axis=0).tolist()) == ([-90, -110], [100, 90])
    assert [0.0, 0.0] in bins.tolist()
    assert bins.tolist() == sorted(bins.tolist())
    rgb = np.random.default_rng(0).integers(0, 256, (200_000, 3)).astype(np.uint8)
    squares = np.rint(rgb_to_lab(rgb)[:, 1:] / GRID) * GRID
    assert {tuple(square) for square in squares.tolist()} <= {tuple(b) for b in bins.tolist()}


def test_the_papers_bins_are_as_published_and_hold_the_gamut() -> None:
    bins = paper_bins().tolist()
    assert len(bins) == 313
    # First and last of the published file, and its corners.
    assert bins[:6] == [[-90, 50], [-90, 60], [-90, 70], [-90, 80], [-90, 90], [-80, 20]]
    assert bins[-6:] == [[100, -50], [100, -40], [100, -30], [100, -20], [100, -10], [100, 0]]
    assert bins == sorted(bins)
    assert {tuple(b) for b in gamut_bins().tolist()} <= {tuple(b) for b in bins}


def test_the_prior_counts_colours_and_smooths_them() -> None:
    prior = bin_prior([stored((3, -4), (3, -4), (3, -4), (41, 38))], SCALE, gamut_bins())
    assert prior.sum() == pytest.approx(1)
    assert prior.min() > 0
    # At the bin itself; and one bin on, where the Gaussian of 5 is exp(-2) of the middle.
    beside = math.exp(-(GRID**2) / (2 * SIGMA**2))
    assert prior[index(0, 10)] / prior[index(0, 0)] == pytest.approx(beside, rel=1e-3)
    assert prior[index(0, 0)] / prior[index(40, 40)] == pytest.approx(3, rel=1e-2)
    assert prior[index(0, 0)] == pytest.approx(0.75 / (1 + 2 * beside) ** 2, rel=1e-2)


def test_colours_outside_every_bin_count_in_the_nearest() -> None:
    prior = bin_prior([stored((110, -110))], SCALE, gamut_bins())
    assert prior.argmax() == index(110, -110)


def test_no_pictures_give_an_even_prior() -> None:
    prior = bin_prior([], SCALE, gamut_bins())
    assert prior == pytest.approx(np.full(261, 1 / 261))


def test_rebalancing_weights() -> None:
    assert rebalancing_weights(np.full(261, 1 / 261)) == pytest.approx(np.ones(261))
    prior = np.array([0.7, 0.2, 0.1])
    weights = rebalancing_weights(prior)
    assert (prior * weights).sum() == pytest.approx(1)
    # Half of each is the uniform third.
    assert weights[2] / weights[0] == pytest.approx((0.35 + 1 / 6) / (0.05 + 1 / 6))


def test_soft_encoding_of_known_colours() -> None:
    ab = torch.tensor([[0.0, 0.0], [5.0, 0.0]])[:, :, None, None].expand(2, 2, 3, 4)
    indices, shares = soft_encoding(ab, BINS, neighbours=5)
    assert indices.shape == shares.shape == (2, 5, 3, 4)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2, 3, 4))
    # A bin's own colour: itself, and four neighbours at a distance of two sigma.
    assert indices[0, 0, 0, 0] == index(0, 0)
    beside = math.exp(-2)
    expected = torch.tensor([1, beside, beside, beside, beside]) / (1 + 4 * beside)
    torch.testing.assert_close(shares[0, :, 0, 0], expected)
    # Between two bins: half of what is left to them each.
    assert {int(i) for i in indices[1, :2, 0, 0]} == {index(0, 0), index(10, 0)}
    torch.testing.assert_close(shares[1, 0], shares[1, 1])


def test_a_colour_far_from_all_bins_is_its_nearest() -> None:
    far = torch.tensor([110.0, 110.0]).reshape(1, 2, 1, 1)
    indices, shares = soft_encoding(far, BINS, neighbours=10)
    assert indices[0, 0] == index(110, 110)
    assert shares.isfinite().all()
    assert shares.sum() == pytest.approx(1)


def test_encoding_and_decoding_give_back_the_colour() -> None:
    ab = torch.rand(2, 2, 4, 4, generator=torch.Generator().manual_seed(0)) * 40 - 20
    indices, shares = soft_encoding(ab, BINS, neighbours=10)
    whole = torch.zeros(2, 261, 4, 4).scatter(1, indices, shares)
    back = annealed_mean(torch.log(whole + 1e-30), BINS, temperature=1.0)
    assert (back - ab).abs().max() < 0.25 * GRID
    assert (back - ab).abs().mean() < 0.1 * GRID


def test_the_annealed_mean_lies_between_mean_and_mode() -> None:
    logits = torch.full((1, 261, 1, 1), -50.0)
    logits[0, index(40, 0)] = math.log(0.6)
    logits[0, index(-40, 0)] = math.log(0.4)
    at = {t: annealed_mean(logits, BINS, t)[0, 0, 0, 0].item() for t in (1.0, 0.38, 0.01)}
    assert at[1.0] == pytest.approx(8, abs=1e-3)
    odds = (0.6 / 0.4) ** (1 / 0.38)
    assert at[0.38] == pytest.approx(40 * (odds - 1) / (odds + 1), abs=1e-3)
    assert at[0.01] == pytest.approx(40, abs=1e-3)


def test_entropy_is_zero_when_sure_and_one_when_anything_goes() -> None:
    assert entropy(torch.zeros(1, 261, 1, 1)).item() == pytest.approx(1)
    sure = torch.zeros(1, 261, 1, 1)
    sure[0, 7] = 100
    assert entropy(sure).item() == pytest.approx(0, abs=1e-6)
    two = torch.full((1, 261, 1, 1), -100.0)
    two[0, :2] = 0
    assert entropy(two).item() == pytest.approx(math.log(2) / math.log(261), rel=1e-4)
