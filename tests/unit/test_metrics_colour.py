"""CIEDE2000 on the published pairs, the AuC on known offsets, the bins of colours."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochrom.metrics.colour import (
    auc_scores,
    balanced_auc,
    ciede2000,
)

# Sharma, Wu and Dalal 2005, table 1: two colours in Lab and their difference, all 34 pairs.
SHARMA = np.loadtxt(
    io.StringIO("""
 50.0000   2.6772 -79.7751  50.0000   0.0000 -82.7485   2.0425
 50.0000   3.1571 -77.2803  50.0000   0.0000 -82.7485   2.8615
 50.0000   2.8361 -74.0200  50.0000   0.0000 -82.7485   3.4412
 50.0000  -1.3802 -84.2814  50.0000   0.0000 -82.7485   1.0000
 50.0000  -1.1848 -84.8006  50.0000   0.0000 -82.7485   1.0000
 50.0000  -0.9009 -85.5211  50.0000   0.0000 -82.7485   1.0000
 50.0000   0.0000   0.0000  50.0000  -1.0000   2.0000   2.3669
 50.0000  -1.0000   2.0000  50.0000   0.0000   0.0000   2.3669
 50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0009   7.1792
 50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0010   7.1792
 50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0011   7.2195
 50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0012   7.2195
 50.0000  -0.0010   2.4900  50.0000   0.0009  -2.4900   4.8045
 50.0000  -0.0010   2.4900  50.0000   0.0010  -2.4900   4.8045
 50.0000  -0.0010   2.4900  50.0000   0.0011  -2.4900   4.7461
 50.0000   2.5000   0.0000  50.0000   0.0000  -2.5000   4.3065
 50.0000   2.5000   0.0000  73.0000  25.0000 -18.0000  27.1492
 50.0000   2.5000   0.0000  61.0000  -5.0000  29.0000  22.8977
 50.0000   2.5000   0.0000  56.0000 -27.0000  -3.0000  31.9030
 50.0000   2.5000   0.0000  58.0000  24.0000  15.0000  19.4535
 50.0000   2.5000   0.0000  50.0000   3.1736   0.5854   1.0000
 50.0000   2.5000   0.0000  50.0000   3.2972   0.0000   1.0000
 50.0000   2.5000   0.0000  50.0000   1.8634   0.5757   1.0000
 50.0000   2.5000   0.0000  50.0000   3.2592   0.3350   1.0000
 60.2574 -34.0099  36.2677  60.4626 -34.1751  39.4387   1.2644
 63.0109 -31.0961  -5.8663  62.8187 -29.7946  -4.0864   1.2630
 61.2901   3.7196  -5.3901  61.4292   2.2480  -4.9620   1.8731
 35.0831 -44.1164   3.7933  35.0232 -40.0716   1.5901   1.8645
 22.7233  20.0904 -46.6940  23.0331  14.9730 -42.5619   2.0373
 36.4612  47.8580  18.3852  36.2715  50.5065  21.2231   1.4146
 90.8027  -2.0831   1.4410  91.1528  -1.6435   0.0447   1.4441
 90.9257  -0.5406  -0.9208  88.6381  -0.8985  -0.7239   1.5381
  6.7747  -0.2908  -2.4247   5.8714  -0.0985  -2.2286   0.6377
  2.0776   0.0795  -1.1350   0.9033  -0.0636  -0.5514   0.9082
""")
)
assert SHARMA.shape == (34, 7)


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
