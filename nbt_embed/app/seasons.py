"""Find the period of a stream by its autocorrelation."""

from __future__ import annotations

import numpy as np

from nbt_embed.arrays import Float32Array, Float64Array

# Rows that are examined, and the smallest autocorrelation of a period.
ROWS = 20_000
_LEAST = 0.3
_TURNS = 3  # periods that must have been seen


def find_period(targets: Float32Array) -> int | None:
    """Return the number of rows after which the targets repeat, or None.

    The autocorrelation of a target, without a linear trend, has its highest local maximum at the
    period. This maximum counts if it is at least 0.3 and 0.1 above the lowest value before it, and
    if three periods were seen. Of several targets, the one with the highest maximum decides.

    Args: targets (T, n_out), NaN where missing; the first 20,000 rows are examined.
    Cost: O(T log T).
    """
    best, period = 0.0, None
    for target in np.asarray(targets[:ROWS], np.float64).T:
        height, lag = _highest(target)
        if height > best:
            best, period = height, lag
    return period


def _highest(values: Float64Array) -> tuple[float, int | None]:
    """Return height and lag of the highest local maximum that counts; (0, None) without one."""
    known = ~np.isnan(values)
    if known.sum() < 4 * _TURNS:
        return 0.0, None
    values = np.interp(np.arange(len(values)), np.flatnonzero(known), values[known])
    rows = np.arange(len(values)) - (len(values) - 1) / 2
    values = values - np.mean(values)
    values = values - np.dot(rows, values) / np.dot(rows, rows) * rows
    spread = float(np.dot(values, values))
    longest = len(values) // _TURNS
    if not np.isfinite(spread) or spread <= 0 or longest < 3:
        return 0.0, None
    padded = np.fft.rfft(values, 2 * len(values))
    products = np.fft.irfft(np.abs(padded) ** 2)[: longest + 1]
    # Each lag has fewer pairs than the one before.
    correlation = products / spread * len(values) / (len(values) - np.arange(longest + 1))
    inner = correlation[1:-1]
    peaks = 1 + np.flatnonzero((inner >= correlation[:-2]) & (inner > correlation[2:]))
    lowest = np.minimum.accumulate(correlation)
    good = peaks[
        (peaks >= 2) & (correlation[peaks] >= _LEAST) & (correlation[peaks] - lowest[peaks] >= 0.1)
    ]
    if not good.size:
        return 0.0, None
    # Multiples of a period are as high as the period, so the first nearly highest maximum is used.
    highest = float(correlation[good].max())
    first = int(good[correlation[good] >= 0.9 * highest][0])
    return highest, first
