"""Sums for errors, with the same bits however the rows are split.

Sums of squares are accumulated row by row. The spread of the truths, Σ (y − ȳ)², is summed in
blocks of ``BLOCK_ROWS`` rows counted from row 0, each relative to its own first value. Blocks are
merged by the method of Chan, Golub and LeVeque (1979).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import Float64Array

BLOCK_ROWS = 4096
SUMS = 7
"""Numbers of a spread: count, mean and Σ (y − ȳ)² of the closed blocks; count, first value f,
Σ (y − f) and Σ (y − f)² of the open one."""


def carried(total: Float64Array, values: Float64Array) -> Float64Array:
    """Return the totals (n,) after adding the values (n, t) in order, one addition each."""
    sums: Float64Array = np.concatenate([total[:, np.newaxis], values], axis=1)
    np.add.accumulate(sums, axis=1, out=sums)
    return sums[:, -1]


def add_spread(sums: Float64Array, truths: Float64Array, known: NDArray[np.bool_]) -> None:
    """Add the known truths (n, t) of the open block to spreads (n, SUMS)."""
    for fresh in np.flatnonzero(sums[:, 3] == 0):
        sums[fresh, 4] = truths[fresh, known[fresh].argmax()]
    deviations = np.where(known, truths - sums[:, 4:5], 0.0)
    sums[:, 3] += np.count_nonzero(known, axis=1)
    sums[:, 5] = carried(sums[:, 5], deviations)
    sums[:, 6] = carried(sums[:, 6], deviations * deviations)


def close_spread(sums: Float64Array) -> None:
    """Merge the open blocks of spreads (n, SUMS) into the closed ones."""
    count, mean, spread, new, first, total, squared = sums.T
    rest = np.maximum(new, 1)
    own = np.maximum(squared - total * total / rest, 0)
    shift = np.where(new > 0, first + total / rest - mean, 0)
    share = new / np.maximum(count + new, 1)
    spread += own + shift * shift * count * share
    mean += shift * share
    count += new
    sums[:, 3:] = 0
