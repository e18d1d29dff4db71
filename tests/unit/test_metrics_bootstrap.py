"""The bootstrap: group sums, repeatability, and coverage where the truth is known."""

import numpy as np
import pytest

from photochrom.metrics import bootstrap
from photochrom.metrics.bootstrap import group_sums, percentile_interval, resampled_sums


def mean_interval(values: np.ndarray, groups: list[str]) -> tuple[float, float]:
    sums = resampled_sums(group_sums(np.column_stack([np.ones_like(values), values]), groups))
    return percentile_interval(sums[:, 1] / sums[:, 0])


def test_group_sums_are_in_sorted_order_whatever_the_order_of_images() -> None:
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    expected = [[2.0, 20.0], [5.0, 50.0]]
    assert group_sums(values, ["b", "a", "b"]).tolist() == expected
    assert group_sums(values[::-1], ["b", "a", "b"]).tolist() == expected


def test_each_resample_draws_as_many_groups_as_there_are() -> None:
    sums = resampled_sums(group_sums(np.ones((12, 1)), [f"g{i // 2}" for i in range(12)]))
    assert sums.shape == (bootstrap.RESAMPLES, 1)
    assert (sums == 12).all()  # groups of two, so six groups whichever they are


def test_blocks_draw_what_one_block_would(monkeypatch: pytest.MonkeyPatch) -> None:
    table = group_sums(np.arange(20.0).reshape(10, 2), [str(i) for i in range(10)])
    blocks = resampled_sums(table)
    monkeypatch.setattr(bootstrap, "_BLOCK", bootstrap.RESAMPLES)
    assert np.array_equal(resampled_sums(table), blocks)
    assert np.array_equal(resampled_sums(table), resampled_sums(table))


def test_interval_of_equal_values_has_no_width() -> None:
    assert mean_interval(np.full(6, 2.5), list("aabbcc")) == (2.5, 2.5)


def test_standard_error_of_a_mean() -> None:
    """For n independent values the bootstrap's spread is the plug-in standard error."""
    values = np.random.default_rng(0).normal(size=400)
    low, high = mean_interval(values, [f"{i:03d}" for i in range(400)])
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.08)
    assert low < values.mean() < high


def test_coverage_with_dependent_tiles() -> None:
    """Eight tiles each of 30 photographs, alike within a photograph; the true mean is 0.

    Intervals over groups hold it about 95 times in 100, intervals over tiles far less often.
    """
    generator = np.random.default_rng(7)
    groups = [f"{i // 8:02d}" for i in range(240)]
    tiles = [f"{i:03d}" for i in range(240)]
    trials = 80
    held = np.zeros(2)
    for _ in range(trials):
        values = np.repeat(generator.normal(size=30), 8) + 0.3 * generator.normal(size=240)
        for kind, names in enumerate((groups, tiles)):
            low, high = mean_interval(values, names)
            held[kind] += low <= 0 <= high
    # Binomial: 0.95 within three standard errors, less the known shortfall at 30 groups.
    assert held[0] / trials >= 0.86
    assert held[1] / trials < 0.7
