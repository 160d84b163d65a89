"""Bias and variance of an estimate of a known vector, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
REPLICATES = 8
# 97.5 % quantile of Student's t with REPLICATES - 1 degrees of freedom, and of the normal law.
STUDENT, NORMAL = 2.365, 1.960


@dataclass(frozen=True)
class Interval:
    """An estimate and the half-width of its 95 % confidence interval."""

    centre: float
    half: float

    @classmethod
    def of_replicates(cls, values: Sequence[float]) -> Interval:
        """From REPLICATES independent values, by Student's t."""
        array = np.asarray(values)
        assert array.size == REPLICATES
        spread = array.std(ddof=1) / np.sqrt(array.size)
        return cls(float(array.mean()), float(STUDENT * spread))

    @classmethod
    def of_samples(cls, values: Array) -> Interval:
        """From many independent values, by the normal law."""
        spread = values.std(ddof=1) / np.sqrt(values.size)
        return cls(float(values.mean()), float(NORMAL * spread))

    def __str__(self) -> str:
        return f"{self.centre:.3f} ± {self.half:.3f}"


def relative_variance(samples: Array, exact: Array) -> float:
    """E |sample - E sample|^2 / |exact|^2 for samples (n, k) of exact (k)."""
    return float(samples.var(axis=0, ddof=1).sum() / (exact**2).sum())


def along(samples: Array, exact: Array) -> Interval:
    """The length of the mean along the exact vector, in units of it: 1 without bias."""
    return Interval.of_samples(samples @ exact / (exact @ exact))


def covered(samples: Array, exact: Array) -> float:
    """Share of the entries whose 95 % interval holds the exact one; 0.95 without bias.

    Entries that are always 0 have no interval and do not count.
    """
    error = np.abs(samples.mean(axis=0) - exact)
    spread = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    moves = spread > 0
    return float((error[moves] <= NORMAL * spread[moves]).mean())


def error_of_means(samples: Array, exact: Array, counts: Sequence[int]) -> list[Interval]:
    """|mean of n samples - exact| / |exact| for every n, over REPLICATES parts of the samples.

    Each part gives the root mean square over its disjoint groups of n.
    """
    parts = np.array([_errors(part, exact, counts) for part in np.split(samples, REPLICATES)])
    return [Interval.of_replicates(values) for values in parts.T]


def slope(samples: Array, exact: Array, counts: Sequence[int]) -> Interval:
    """The exponent of that error in n: -1/2 without bias."""
    x = np.log(np.asarray(counts))
    return Interval.of_replicates(
        [
            float(np.polyfit(x, np.log(_errors(part, exact, counts)), 1)[0])
            for part in np.split(samples, REPLICATES)
        ]
    )


def _errors(samples: Array, exact: Array, counts: Sequence[int]) -> list[float]:
    found = []
    for n in counts:
        groups = len(samples) // n
        means = samples[: groups * n].reshape(groups, n, -1).mean(axis=1)
        squares = ((means - exact) ** 2).sum(axis=1) / (exact**2).sum()
        found.append(float(np.sqrt(squares.mean())))
    return found


def power(x: Sequence[float], y: Sequence[float]) -> float:
    """The exponent b of y = a x^b by least squares on the logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])
