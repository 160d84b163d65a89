"""Figures of many runs: medians and ranges over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.learning.curves import Curve
from tools.learning.plan import covers


@dataclass(frozen=True)
class Spread:
    """Losses of the same method over the seeds; failed counts those that are not finite.

    With none that is finite, median and range are None.
    """

    median: float | None
    low: float | None
    high: float | None
    runs: int
    failed: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Median and range of the finite values."""
        array = np.asarray(values, dtype=np.float64)
        finite = array[np.isfinite(array)]
        if not finite.size:
            return cls(None, None, None, array.size, array.size)
        middle, low, high = np.median(finite), finite.min(), finite.max()
        return cls(float(middle), float(low), float(high), array.size, array.size - finite.size)

    def __str__(self) -> str:
        if self.median is None:
            return f"{self.failed} failed"
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.median:.4g} ({self.low:.4g} to {self.high:.4g}{failed})"


def pick(curves: Sequence[Curve], task: str, method: str, hidden: int, samples: int) -> list[Curve]:
    """The first ``samples`` of every run that holds them, one run a seed, by seed."""
    found = {
        curve.seed: curve.first(samples)
        for curve in curves
        if (curve.task, curve.method, curve.hidden) == (task, method, hidden)
        and covers(curve, samples)
    }
    return [found[seed] for seed in sorted(found)]


def spread(curves: Sequence[Curve], tail: int) -> Spread:
    """Losses over the last ``tail`` samples."""
    return Spread.of([curve.last(tail) for curve in curves])


def medians(curves: Sequence[Curve], width: int) -> NDArray[np.float64]:
    """Median over the runs of the mean loss of every stretch of ``width`` samples."""
    return np.asarray(np.median([curve.by(width) for curve in curves], axis=0))


def reaches(curve: Curve, loss: float) -> float:
    """Samples until the mean of a block is at or below the loss; inf if it never is."""
    below = np.flatnonzero(np.asarray(curve.loss) <= loss)
    return float((below[0] + 1) * curve.block) if below.size else np.inf
