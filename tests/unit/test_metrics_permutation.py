"""The sign-flip test: exact where it can be counted by hand, never zero, blind to order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from photochrom.metrics.permutation import EXACT_GROUPS, FLIPS, sign_flip_p_value


def test_all_of_one_sign_is_one_pattern_and_its_mirror() -> None:
    for groups in (1, 2, 5, EXACT_GROUPS):
        assert sign_flip_p_value(np.ones(groups)) == 2 / 2**groups


def test_fisher_s_darwin_data() -> None:
    # Fisher 1935, section 21: 15 pairs of plants, in eighths of an inch. Of the 32,768 patterns,
    # 863 give a sum of 314 or more, as many -314 or less: p = 1726 / 32768 = 0.05267.
    darwin = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)
    assert darwin.sum() == 314
    spread = np.sqrt(0.05267 * 0.94733 / FLIPS)
    assert sign_flip_p_value(darwin) == pytest.approx(1726 / 32768, abs=4 * spread)


def test_it_agrees_with_scipy() -> None:
    gains = np.random.default_rng(3).normal(0.4, 1, EXACT_GROUPS)
    other = stats.permutation_test(
        (gains, np.zeros_like(gains)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert sign_flip_p_value(gains) == pytest.approx(other.pvalue)


def test_no_gain_is_no_evidence_and_many_gains_are_never_certainty() -> None:
    assert sign_flip_p_value(np.zeros(40)) == 1
    assert sign_flip_p_value(np.ones(100)) == 1 / (FLIPS + 1)
    with pytest.raises(ValueError, match="no groups"):
        sign_flip_p_value(np.array([]))


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=9))
def test_neither_order_nor_sign_nor_scale_matters(gains: list[float]) -> None:
    one = sign_flip_p_value(np.array(gains))
    assert sign_flip_p_value(-np.array(gains[::-1])) == one
    assert sign_flip_p_value(4 * np.array(gains)) == one
    assert 0 < one <= 1
