"""Distances between two sets of features: Fréchet and kernel.

Features are arrays (N, F), a row a picture. The Fréchet distance takes both sets for normal
distributions (Dowson and Landau 1982; Heusel et al. 2017); it is biased by the number of pictures,
so only figures over equally many pictures may be compared. The kernel distance (Bińkowski et al.
2018) is unbiased, and may come out a little below zero.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating[Any]]


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


def kernel(one: Features, other: Features) -> float:
    """The unbiased squared maximum mean discrepancy for the kernel (x·y / F + 1)³.

    All pictures at once, where the paper averages over random subsets. Two rows at least.
    """
    x, y = np.asarray(one, np.float64), np.asarray(other, np.float64)
    size = x.shape[1]
    within = [
        (float(values.sum()) - float(np.trace(values))) / (len(values) * (len(values) - 1))
        for values in ((rows @ rows.T / size + 1) ** 3 for rows in (x, y))
    ]
    return within[0] + within[1] - 2 * float(((x @ y.T / size + 1) ** 3).mean())


def _root(rows: Features) -> NDArray[np.float64]:
    """R (at most min(N, F) rows) with RᵀR the sample covariance of `rows`."""
    centred = np.asarray(rows, np.float64)
    centred = (centred - centred.mean(axis=0)) / np.sqrt(len(rows) - 1)
    if len(rows) <= centred.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"), np.float64)
