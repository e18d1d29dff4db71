"""Confidence intervals: the percentile bootstrap over groups of photographs.

Tiles and near-duplicates of one photograph are not independent, so whole groups are drawn: a
resample takes as many groups as there are, with replacement (Davison and Hinkley 1997, section
3.8). The draws depend on the number of groups alone, so every figure and every row of a report
over the same photographs is resampled alike and rows may be compared resample by resample.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
CONFIDENCE = 0.95
SEED = 20040613

# Resamples drawn at a time: bounds the memory for the draws of a hundred thousand groups.
_BLOCK = 50


def group_sums(values: NDArray[np.float64], groups: Sequence[str]) -> NDArray[np.float64]:
    """Sums (G, K) of per-image values (N, K) within the groups, in the groups' sorted order."""
    names, numbers = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, numbers, values)
    return sums


def resampled_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Column sums (RESAMPLES, K) of the groups' sums (G, K), for each resample of the groups."""
    # einsum adds in one order; a matrix product's depends on the threads that BLAS is given.
    return np.concatenate([np.einsum("rg,gk->rk", draws, sums) for draws in _draws(len(sums))])


def percentile_interval(statistics: NDArray[np.float64]) -> tuple[float, float]:
    """The ends of the central CONFIDENCE share of the resampled statistics (RESAMPLES,)."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(statistics, [tail, 100 - tail])
    return float(low), float(high)


def _draws(groups: int) -> Iterator[NDArray[np.float64]]:
    """How often each group is drawn (block, G), RESAMPLES rows in all."""
    generator = np.random.default_rng(SEED)
    for start in range(0, RESAMPLES, _BLOCK):
        rows = min(_BLOCK, RESAMPLES - start)
        counts = generator.multinomial(groups, np.full(groups, 1 / groups), size=rows)
        yield counts.astype(np.float64)
