"""Makers of intervals and, where there is one, of a distribution."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from nbt_embed.arrays import Float64Array
from tools.answers import Answers

LEVELS = (0.5, 0.8, 0.95)


@dataclass(frozen=True, eq=False)
class Spread:
    """How sure the forecasts of one output are; row t is about target row t + horizon.

    Attributes:
        intervals: (T, L, 2), lower and upper end at each of ``LEVELS``.
        scale: (T,) of the distribution around the forecast; None if there is none.
        freedom: (T,) degrees of freedom of Student's t; infinite: Gaussian.
    """

    intervals: Float64Array
    scale: Float64Array | None = None
    freedom: float | Float64Array = math.inf


# Answers, (T,) labels, horizon -> spread. Row t may use labels up to row t.
Maker = Callable[[Answers, Float64Array, int], Spread]


def own(answers: Answers, _: Float64Array, __: int) -> Spread:
    """The learner's own intervals, and Student's distribution."""
    ends = answers.intervals[:, 0].reshape(-1, len(LEVELS), 2).astype(np.float64)
    scale = np.maximum(answers.scale[:, 0].astype(np.float64), np.finfo(np.float32).tiny)
    return Spread(ends, scale, answers.freedom[:, 0].astype(np.float64))


def gaussian(answers: Answers, _: Float64Array, __: int) -> Spread:
    """Forecast ± z deviations of the learner's variance, z the Gaussian quantile of the level."""
    forecast = answers.forecasts[:, 0].astype(np.float64)
    # A variance of 0 is one below what float32 can say.
    variance = np.maximum(answers.variances[:, 0].astype(np.float64), np.finfo(np.float32).tiny)
    deviation = np.sqrt(variance)
    z = np.array([NormalDist().inv_cdf((1 + level) / 2) for level in LEVELS])
    half = deviation[:, np.newaxis] * z
    ends = [forecast[:, np.newaxis] - half, forecast[:, np.newaxis] + half]
    return Spread(np.stack(ends, axis=-1), deviation)


def last_errors(answers: Answers, labels: Float64Array, horizon: int, window: int = 500) -> Spread:
    """Forecast + quantiles of the last errors that are known: 500 floats per output.

    Without an error yet, the whole line.
    """
    forecast = answers.forecasts[:, 0].astype(np.float64)
    shares = np.array([[(1 - level) / 2, (1 + level) / 2] for level in LEVELS])
    ends = np.empty((forecast.size, *shares.shape))
    ends[..., 0], ends[..., 1] = -math.inf, math.inf
    waiting: deque[float] = deque()
    ordered: list[float] = []
    for t in range(forecast.size):
        if t >= horizon and not math.isnan(error := labels[t] - forecast[t - horizon]):
            waiting.append(error)
            insort(ordered, error)
            if len(waiting) > window:
                del ordered[bisect_left(ordered, waiting.popleft())]
        if ordered:
            ends[t] = forecast[t] + _quantiles(ordered, shares)
    return Spread(ends)


def _quantiles(ordered: Sequence[float], shares: Float64Array) -> Float64Array:
    """Linear between the order statistics, as ``numpy.quantile``, of numbers in order."""
    place = shares * (len(ordered) - 1)
    below = place.astype(np.intp)
    above = np.minimum(below + 1, len(ordered) - 1)
    low = np.array([[ordered[i] for i in pair] for pair in below])
    high = np.array([[ordered[i] for i in pair] for pair in above])
    found: Float64Array = low + (place - below) * (high - low)
    return found


# The first is shown task by task; all are compared with the Gaussian intervals.
GAUSSIAN = "Gaussian, the learner's variance"
MAKERS: dict[str, Maker] = {
    "the learner's own": own,
    GAUSSIAN: gaussian,
    "quantiles of the last 500 errors": last_errors,
}
