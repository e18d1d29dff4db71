"""The Fréchet and the kernel distance against their definitions and others' own functions."""

import numpy as np
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from scipy.linalg import sqrtm
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from photochrom.metrics import distances
from photochrom.metrics.distances import frechet, frechet_infinity, kernel, kernel_with_error


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


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
@pytest.mark.parametrize("size", [16, 96])
def test_frechet_agrees_with_pytorch_fid_and_torchmetrics(size: int) -> None:
    one, other = features(300, size, 1), features(400, size, 2)
    moments = [
        moment
        for rows in (one, other)
        for moment in (rows.mean(axis=0), np.cov(rows, rowvar=False))
    ]
    found = frechet(one, other)
    assert found == pytest.approx(calculate_frechet_distance(*moments), rel=1e-3)
    theirs = _compute_fid(*(torch.from_numpy(moment) for moment in moments))
    assert found == pytest.approx(theirs.item(), rel=1e-3)


def test_kernel_agrees_with_torchmetrics(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = features(50, 12, 1), features(50, 12, 2)
    theirs = poly_mmd(torch.from_numpy(one), torch.from_numpy(other)).item()
    assert kernel(one, other) == pytest.approx(theirs, rel=1e-6)
    monkeypatch.setattr(distances, "_ROWS", 7)  # however much is in memory at once
    assert kernel(one, other) == pytest.approx(theirs, rel=1e-6)
    assert kernel_with_error(one, other, range(50), range(50))[0] == pytest.approx(theirs, rel=1e-6)


def test_the_error_is_that_of_leaving_out_each_group() -> None:
    one, other = features(14, 3, 1), features(11, 3, 2)
    groups, others = np.arange(14) // 3, np.arange(11) // 2
    value, error = kernel_with_error(one, other, groups.tolist(), others.tolist())
    names = sorted({*groups, *others})
    left = [kernel(one[groups != name], other[others != name]) for name in names]
    assert value == pytest.approx(kernel(one, other))
    assert error == pytest.approx(np.sqrt(np.var(left) * (len(names) - 1)))


def test_the_error_is_the_spread_of_repeated_samples() -> None:
    def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(seed)
        return generator.normal(size=(60, 4)), generator.normal(0.7, 1, size=(60, 4))

    own = list(range(60)), list(range(60, 120))
    found = np.array([kernel_with_error(*draw(seed), *own) for seed in range(200)])
    assert np.sqrt(np.square(found[:, 1]).mean()) == pytest.approx(found[:, 0].std(), rel=0.2)


def test_no_error_where_too_few_are_left() -> None:
    one, other = features(6, 3, 1), features(5, 3, 2)
    for groups in ([0] * 6, [0] * 5 + [1]):
        value, error = kernel_with_error(one, other, groups, [0, 0, 0, 1, 1])
        assert value == pytest.approx(kernel(one, other))
        assert np.isnan(error)


def test_infinity_is_nearer_the_truth_than_the_plain_distance() -> None:
    """Two normal distributions of 20 dimensions whose distance is known: 20 x 0.3²."""
    errors = []
    for seed in range(10):
        generator = np.random.default_rng(seed)
        one, other = generator.normal(size=(300, 20)), generator.normal(0.3, 1, size=(300, 20))
        errors.append((frechet(one, other) - 1.8, frechet_infinity(one, other) - 1.8))
    plain, infinity = np.abs(np.mean(errors, axis=0))
    assert plain > 0.6
    assert infinity < 0.2 * plain
    assert sum(abs(far) > abs(near) for far, near in errors) >= 9


def test_infinity_is_the_same_each_time_and_refuses_too_few() -> None:
    one, other = features(60, 5, 1), features(60, 5, 2)
    assert frechet_infinity(one, other) == frechet_infinity(one, other)
    with pytest.raises(ValueError, match=r"^10 pictures, more than 10 are needed$"):
        frechet_infinity(one[:10], other[:10])
    with pytest.raises(ValueError, match="sets of one shape"):
        frechet_infinity(one, other[:59])
