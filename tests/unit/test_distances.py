"""The Fréchet and the kernel distance against their definitions."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from photochrom.metrics.distances import frechet, kernel


def features(count: int, size: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    mixed = generator.normal(size=(count, size)) @ generator.normal(size=(size, size))
    return mixed + generator.normal(size=size)


@pytest.mark.parametrize("counts", [(40, 50), (9, 40), (7, 6)])
def test_frechet_is_its_definition(counts: tuple[int, int]) -> None:
    one, other = (features(count, 8, seed) for seed, count in enumerate(counts))
    covariances = [np.cov(rows, rowvar=False) for rows in (one, other)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = np.square(one.mean(axis=0) - other.mean(axis=0)).sum()
    expected += np.trace(covariances[0] + covariances[1] - 2 * root)
    # The root of a singular product is good to half the digits only.
    assert frechet(one, other) == pytest.approx(expected, rel=1e-6 if min(counts) > 8 else 1e-3)


def test_equal_covariances_leave_the_distance_of_the_means() -> None:
    rows = features(30, 5, 1)
    assert frechet(rows, rows + np.array([3, 0, 0, 4, 0])) == pytest.approx(25)
    assert frechet(rows, rows) == pytest.approx(0, abs=1e-9)


def test_scaling_a_normal_distribution() -> None:
    rows = features(50, 4, 2)
    rows -= rows.mean(axis=0)
    # C and 9 C: tr(C + 9 C - 2 * 3 C) = 4 tr(C)
    assert frechet(rows, 3 * rows) == pytest.approx(4 * np.cov(rows, rowvar=False).trace())


def test_kernel_is_its_definition() -> None:
    one, other = features(6, 3, 1), features(5, 3, 2)

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 3 + 1) ** 3)

    within = [
        np.mean([k(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j])
        for rows in (one, other)
    ]
    between = np.mean([k(x, y) for x in one for y in other])
    assert kernel(one, other) == pytest.approx(within[0] + within[1] - 2 * between)


def test_kernel_is_unbiased() -> None:
    draws = [
        kernel(*(np.random.default_rng([s, i]).normal(size=(20, 4)) for i in range(2)))
        for s in range(300)
    ]
    assert abs(np.mean(draws)) < 3 * np.std(draws) / np.sqrt(len(draws))
    assert min(draws) < 0
