"""Distances between two sets of features: Fréchet and kernel.

Features are arrays (N, F), a row a picture. The Fréchet distance takes both sets for normal
distributions (Dowson and Landau 1982; Heusel et al. 2017); it is biased by the number of pictures,
so only figures over equally many pictures may be compared, or what they tend to. The kernel
distance (Bińkowski et al. 2018) is unbiased, and may come out a little below zero.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating[Any]]

# Numbers of pictures from half of them to all, at which `frechet_infinity` takes the distance.
SIZES = 8
# Rows of the kernel matrix that are in memory at once.
_ROWS = 512


def frechet(one: Features, other: Features) -> float:
    """|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½) of the means m and sample covariances C.

    The trace of the root is the sum of the singular values of R1 R2ᵀ, where C = RᵀR: that has no
    need of F x F matrices, of a root of a singular matrix, or of a correction. Two rows at least.
    """
    means = [np.asarray(rows, np.float64).mean(axis=0) for rows in (one, other)]
    roots = [_root(rows) for rows in (one, other)]
    spread = sum(float(np.square(root).sum()) for root in roots)
    shared = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    return max(0.0, float(np.square(means[0] - means[1]).sum() + spread - 2 * shared))


def frechet_infinity(one: Features, other: Features) -> float:
    """What the Fréchet distance tends to as pictures join: FID∞ (Chong and Forsyth 2020).

    The bias falls with 1/n, so a line in 1/n through the distances of SIZES random subsets is
    continued to zero. Both sets are equally large (N, F) and thinned alike, row i of one with row
    i of the other, by permutations of fixed seeds; the intercept may be a little below zero. Where
    half the pictures are not more than the features (N <= 2 F), the covariances have no full rank,
    the bias bends, and ValueError is raised.
    """
    count, size = one.shape
    if other.shape != one.shape:
        raise ValueError(f"sets of one shape are needed, not {one.shape} and {other.shape}")
    if count <= 2 * size:
        raise ValueError(f"{count:,} pictures, more than {2 * size:,} are needed")
    counts = np.linspace(count // 2, count, SIZES).round().astype(int)
    found = []
    for seed, n in enumerate(counts):
        rows = np.random.default_rng(seed).permutation(count)[:n]
        found.append(frechet(one[rows], other[rows]))
    return float(np.polyfit(1 / counts, found, 1)[1])


def kernel(one: Features, other: Features) -> float:
    """The unbiased squared maximum mean discrepancy for the kernel (x·y / F + 1)³.

    All pictures at once, where the paper averages over random subsets. Two rows at least.
    """
    together = np.zeros(len(one), int), np.zeros(len(other), int)
    sums = [rows.sum() for rows, _, _ in _kernel_sums(one, other, *together, 1)]
    return float(_discrepancy(sums, len(one), len(other)))


def kernel_with_error(
    one: Features, other: Features, groups: Sequence[Any], other_groups: Sequence[Any]
) -> tuple[float, float]:
    """The kernel distance and its standard error, by the jackknife over groups.

    `groups` and `other_groups` name the group of each row; pictures of one photograph, and a
    picture and the photograph that it was painted from, share theirs. Each group is left out of
    both sets in turn, and the squared error is (B - 1) / B times the sum of the B squared
    deviations of the results from their mean (Efron and Stein 1981). The error is NaN where there
    are fewer than two groups, or where fewer than two rows of a set are left without one.
    """
    names = {name: number for number, name in enumerate(dict.fromkeys([*groups, *other_groups]))}
    mine, theirs = (np.array([names[name] for name in rows]) for rows in (groups, other_groups))
    sums = _kernel_sums(one, other, mine, theirs, len(names))
    totals = [rows.sum() for rows, _, _ in sums]
    value = float(_discrepancy(totals, len(one), len(other)))
    left = [len(rows) - np.bincount(rows, minlength=len(names)) for rows in (mine, theirs)]
    if len(names) < 2 or min(counts.min() for counts in left) < 2:
        return value, math.nan
    without = [
        total - rows - columns + both
        for total, (rows, columns, both) in zip(totals, sums, strict=True)
    ]
    results = _discrepancy(without, *left)
    spread = float(np.square(results - results.mean()).sum())
    return value, math.sqrt((len(names) - 1) / len(names) * spread)


_Sums = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _kernel_sums(
    one: Features,
    other: Features,
    groups: NDArray[np.int64],
    other_groups: NDArray[np.int64],
    count: int,
) -> list[_Sums]:
    """Sums of the kernel within `one`, within `other` and between them, a pair of rows once each.

    Groups are numbers below `count`. Each part has three arrays (count,): over the rows of a group
    with all columns, over all rows with the columns of a group, and over its rows with its columns.
    No row meets itself.
    """
    x, y = np.asarray(one, np.float64), np.asarray(other, np.float64)

    def added(places: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(places, weights=values, minlength=count).astype(np.float64)

    def cross(
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        mine: NDArray[np.int64],
        theirs: NDArray[np.int64],
    ) -> _Sums:
        rows, columns, both = np.zeros((3, count))
        for start in range(0, len(x), _ROWS):
            group = mine[start : start + _ROWS]
            values = (x[start : start + _ROWS] @ y.T / x.shape[1] + 1) ** 3
            rows += added(group, values.sum(axis=1))
            columns += added(theirs, values.sum(axis=0))
            both += added(group, (values * (group[:, None] == theirs)).sum(axis=1))
        return rows, columns, both

    def within(x: NDArray[np.float64], groups: NDArray[np.int64]) -> _Sums:
        itself = added(groups, (np.square(x).sum(axis=1) / x.shape[1] + 1) ** 3)
        rows, columns, both = cross(x, x, groups, groups)
        return rows - itself, columns - itself, both - itself

    return [within(x, groups), within(y, other_groups), cross(x, y, groups, other_groups)]


def _discrepancy(sums: Sequence[Any], n: Any, m: Any) -> Any:
    """The squared discrepancy from the kernel's sums and the numbers of rows; numbers or arrays."""
    xx, yy, xy = sums
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


def _root(rows: Features) -> NDArray[np.float64]:
    """R (at most min(N, F) rows) with RᵀR the sample covariance of `rows`."""
    centred = np.asarray(rows, np.float64)
    centred = (centred - centred.mean(axis=0)) / np.sqrt(len(rows) - 1)
    if len(rows) <= centred.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"), np.float64)
