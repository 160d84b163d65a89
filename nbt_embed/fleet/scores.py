"""Sums that errors are made of: the same bits however the rows are cut.

Sums of squares are carried on row after row, so a cut changes nothing. The spread of the truths,
Σ (y − ȳ)², is summed in blocks of ``BLOCK_ROWS`` rows counted from row 0, each around its own first
value, and blocks are merged as by Chan, Golub and LeVeque (1979).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import Float64Array

BLOCK_ROWS = 4096


def carried(total: Float64Array, values: Float64Array) -> Float64Array:
    """The totals (n,) after the values (n, t) were added in order, one addition each."""
    sums: Float64Array = np.concatenate([total[:, np.newaxis], values], axis=1)
    np.add.accumulate(sums, axis=1, out=sums)
    return sums[:, -1]


class Spread:
    """Count and Σ (y − ȳ)² of some truths, a row of numbers for each.

    Attributes: sums (n, 7): count, mean and spread of the finished blocks; count, first value, Σ d
    and Σ d² of the open one, d = y − first value.
    """

    def __init__(self, sums: Float64Array) -> None:
        self.sums = sums

    @classmethod
    def zeros(cls, n: int) -> Spread:
        return cls(np.zeros((n, 7)))

    def add(self, where: slice, truths: Float64Array, known: NDArray[np.bool_]) -> None:
        """Add truths (n, t) of the open block, where they are known."""
        sums = self.sums[where]
        fresh = np.flatnonzero((sums[:, 3] == 0) & known.any(axis=1))
        sums[fresh, 4] = truths[fresh, known[fresh].argmax(axis=1)]
        d = np.where(known, truths - sums[:, 4:5], 0.0)
        sums[:, 3] += known.sum(axis=1)
        sums[:, 5] = carried(sums[:, 5], d)
        sums[:, 6] = carried(sums[:, 6], d * d)

    def close(self, where: slice) -> None:
        """Merge the open block into the finished ones."""
        count, mean, spread, new, first, d, squared = self.sums[where].T
        rest = np.maximum(new, 1)
        own = np.maximum(squared - d * d / rest, 0)
        shift = np.where(new > 0, first + d / rest - mean, 0)
        share = new / np.maximum(count + new, 1)
        spread += own + shift * shift * count * share
        mean += shift * share
        count += new
        self.sums[where, 3:] = 0

    @property
    def count(self) -> Float64Array:
        """(n,) truths so far."""
        return self.sums[:, 0] + self.sums[:, 3]

    @property
    def spread(self) -> Float64Array:
        """(n,) of the finished blocks."""
        return self.sums[:, 2]
