"""CIEDE2000 on the published pairs, the AuC on known offsets, the bins of colours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochrom.color import colourfulness
from photochrom.metrics.colour import (
    AB_BINS,
    auc_by_bin,
    auc_scores,
    balanced_auc,
    ciede2000,
    colourfulness_abs,
    pooled_auc,
)
from sharma import SHARMA


@pytest.mark.parametrize("pair", SHARMA, ids=range(1, 35))
def test_ciede2000_on_the_published_pairs(pair: np.ndarray) -> None:
    first, second = pair[None, None, :3], pair[None, None, 3:6]
    assert ciede2000(first, second) == pytest.approx(pair[6], abs=5e-5)
    assert ciede2000(second, first) == pytest.approx(pair[6], abs=5e-5)


def test_ciede2000_is_the_mean_over_pixels() -> None:
    first, second = SHARMA[None, :, :3], SHARMA[None, :, 3:6]
    assert ciede2000(first, second) == pytest.approx(SHARMA[:, 6].mean(), abs=5e-5)


@pytest.mark.parametrize(
    ("offset", "passed"),
    [(0, 151), (0.5, 150), (1, 150), (9.5, 141), (10, 141), (75, 76), (150, 1), (150.5, 0)],
)
def test_auc_of_known_offsets(offset: float, passed: int) -> None:
    """Of the thresholds 0, 1, ..., 150 those pass that are not below the error."""
    truth = np.zeros((4, 5, 2))
    moved = truth + np.array([0.6, -0.8]) * offset  # a 3-4-5 triangle: the error is the offset
    assert auc_scores(truth, moved) == pytest.approx(np.full((4, 5), passed / 151))


def test_auc_equals_the_mean_of_the_cumulative_shares() -> None:
    """Zhang's definition: the share of pixels within each threshold, averaged."""
    generator = np.random.default_rng(1)
    truth, ab = generator.normal(0, 40, (2, 30, 30, 2))
    error = np.linalg.norm(ab - truth, axis=-1)
    expected = np.mean([(error <= threshold).mean() for threshold in range(151)])
    assert auc_scores(truth, ab).mean() == pytest.approx(expected)


def test_a_worse_colour_never_scores_higher() -> None:
    errors = np.linspace(0, 200, 401)
    ab = np.stack([errors, np.zeros_like(errors)], axis=-1)
    assert (np.diff(auc_scores(np.zeros_like(ab), ab)) <= 0).all()


def test_balanced_auc_weighs_a_small_patch_like_a_large_one() -> None:
    truth = np.zeros((1, 100, 2))
    truth[0, 0] = [60, 40]  # one pixel in a hundred has a colour
    scores = auc_scores(truth, np.zeros_like(truth))
    assert scores.mean() == pytest.approx((99 + 78 / 151) / 100)  # the error is 72.1
    assert balanced_auc(truth, scores) == pytest.approx((1 + 78 / 151) / 2)


def test_bins_are_centred_on_multiples_of_ten() -> None:
    truth = np.array([[[0, 0], [4.9, -4.9], [5.1, 0], [-98.0, 94.0], [98.2, -107.8]]])
    # The first two share the neutral bin, the others have each their own.
    scores = np.array([[1.0, 0.0, 0.9, 0.3, 0.1]])
    assert balanced_auc(truth, scores) == pytest.approx((0.5 + 0.9 + 0.3 + 0.1) / 4)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_balanced_auc_of_equal_scores_is_that_score(seed: int, score: float) -> None:
    truth = np.random.default_rng(seed).uniform(-120, 120, (6, 7, 2))
    assert balanced_auc(truth, np.full((6, 7), score)) == pytest.approx(score)


def test_balanced_auc_does_not_see_areas() -> None:
    """Doubling the area of some colours changes nothing."""
    generator = np.random.default_rng(2)
    truth, scores = generator.uniform(-80, 80, (5, 5, 2)), generator.uniform(0, 1, (5, 5))
    doubled = np.concatenate([truth, truth[:2]]), np.concatenate([scores, scores[:2]])
    distinct = len(np.unique(np.rint(truth.reshape(-1, 2) / 10), axis=0))
    assert distinct == 25, "the example needs a bin for each pixel"
    assert balanced_auc(*doubled) == pytest.approx(balanced_auc(truth, scores))


def test_the_pooled_auc_is_that_of_all_pixels_as_one_photograph() -> None:
    generator = np.random.default_rng(3)
    truths = generator.normal(0, 30, (4, 9, 7, 2))
    scores = generator.uniform(0, 1, (4, 9, 7))
    sums, pixels = np.zeros(AB_BINS), np.zeros(AB_BINS)
    for truth, score in zip(truths, scores, strict=True):
        bins, part, count = auc_by_bin(truth, score)
        assert (np.diff(bins) > 0).all()
        assert count.sum() == 9 * 7
        sums[bins] += part
        pixels[bins] += count
    whole = balanced_auc(truths.reshape(-1, 7, 2), scores.reshape(-1, 7))
    assert pooled_auc(sums, pixels) == pytest.approx(whole)


def test_the_pooled_auc_weighs_pixels_by_the_inverse_frequency_of_their_colour() -> None:
    """Zhang et al. 2016, AuC with class balancing: sum w s / sum w with w = 1 / frequency."""
    generator = np.random.default_rng(4)
    truth = generator.choice([0.0, 10.0, 40.0], size=(50, 50, 2), p=[0.8, 0.15, 0.05])
    scores = generator.uniform(0, 1, (50, 50))
    _, places, counts = np.unique(
        truth.reshape(-1, 2), axis=0, return_inverse=True, return_counts=True
    )
    weights = (1 / counts)[places.ravel()]
    _, sums, pixels = auc_by_bin(truth, scores)
    assert pooled_auc(sums, pixels) == pytest.approx(
        (weights * scores.ravel()).sum() / weights.sum()
    )


def test_the_two_colourfulnesses() -> None:
    """They agree where no opponent changes its sign; else the absolute one is lower."""
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2] = [200, 100, 50]  # rg 100, yb 100
    picture[2:] = [100, 100, 100]
    expected = np.hypot(50, 50) + 0.3 * np.hypot(50, 50)
    assert colourfulness(picture) == pytest.approx(expected)
    assert colourfulness_abs(picture) == pytest.approx(expected)
    picture[2:] = [100, 200, 250]  # rg -100, yb -100: the signed means vanish, not the others
    assert colourfulness(picture) == pytest.approx(np.hypot(100, 100))
    assert colourfulness_abs(picture) == pytest.approx(0.3 * np.hypot(100, 100))
    assert colourfulness_abs(np.full((4, 4, 3), 77, np.uint8)) == 0


@given(st.integers(0, 2**32 - 1))
def test_the_absolute_colourfulness_is_never_higher(seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    assert colourfulness_abs(picture) <= colourfulness(picture) + 1e-9
