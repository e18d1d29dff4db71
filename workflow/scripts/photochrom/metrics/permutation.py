"""Is a paired gain more than chance? The sign-flip permutation test over groups of photographs.

If two rows were equally good, each group's gain could as well have had the other sign. The test
asks how often random signs give a sum at least as far from zero as the one seen (Fisher 1935,
section 21). Whole groups are flipped, since tiles of one photograph are not independent.
"""

import numpy as np
from numpy.typing import NDArray

FLIPS = 9999
SEED = 19350101

# Up to so many groups all 4,096 patterns of signs are counted, and the p-value is exact.
EXACT_GROUPS = 12

# Patterns drawn at a time: bounds the memory for the signs of a hundred thousand groups.
_BLOCK = 50


def sign_flip_p_value(sums: NDArray[np.float64]) -> float:
    """Two-sided p-value (0..1] of the groups' sums (G,) of paired gains.

    Exact up to EXACT_GROUPS groups, where it cannot fall below 2 / 2**G. Beyond, FLIPS random
    patterns and the one seen are counted together, so that it is never zero (Phipson and Smyth
    2010). The patterns depend on the number of groups alone. Raises ValueError without any groups.
    """
    if len(sums) == 0:
        raise ValueError("no groups to test")
    # Equal sums that were added in another order may differ in their last digits.
    seen = abs(sums.sum()) - 1e-9 * np.abs(sums).sum()
    if len(sums) <= EXACT_GROUPS:
        patterns = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float(np.mean(np.abs(_flipped(patterns, sums)) >= seen))
    generator = np.random.default_rng(SEED)
    extreme = 1
    for start in range(0, FLIPS, _BLOCK):
        patterns = generator.integers(0, 2, (min(_BLOCK, FLIPS - start), len(sums)), dtype=np.int8)
        extreme += int(np.sum(np.abs(_flipped(patterns, sums)) >= seen))
    return extreme / (FLIPS + 1)


def _flipped(patterns: NDArray[np.integer], sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Totals (R,) of the sums (G,) under patterns (R, G) of ones, kept, and zeros, flipped."""
    # einsum adds in one order; a matrix product's depends on the threads that BLAS is given.
    return np.einsum("rg,g->r", 2.0 * patterns - 1, sums)
