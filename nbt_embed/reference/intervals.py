"""Prediction intervals of one output, and Student's t, in plain numbers.

Written from the equations at the top of csrc/nbt_interval.h. stream.py moves them with the units.
"""

from __future__ import annotations

import math

import numpy as np

from nbt_embed.reference.arrays import Array

SETTLED = 20  # labels before bounds move
RATE_FAST, RATE_SLOW = 0.05, 0.005
REACH_MIN, REACH_MAX = 1e-3, 1e3
FREEDOMS = (2.5, 4.0, 8.0, 50.0)


def normal_quantile(tail: float) -> float:
    """Where a standard normal variable is with probability `tail`: Abramowitz, Stegun 26.2.23."""
    t = math.sqrt(-2 * math.log(tail))
    above = 2.515517 + 0.802853 * t + 0.010328 * t**2
    return t - above / (1 + 1.432788 * t + 0.189269 * t**2 + 0.001308 * t**3)


def log_density(u: float, nu: float) -> float:
    """Log of the density of Student's t."""
    factor = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
    return factor - (nu + 1) / 2 * math.log1p(u * u / nu)


class Intervals:
    """Of one output, at ascending levels (L).

    Attributes: fast, slow: mean absolute errors; labels; reach (L, 2): c of the lower and the upper
    side; k, score: of each degree of freedom.
    """

    def __init__(self, levels: tuple[float, ...]) -> None:
        self.tails = np.array([(1 - float(np.float32(level))) / 2 for level in levels])
        start = [min(max(1.25 * normal_quantile(a), REACH_MIN), REACH_MAX) for a in self.tails]
        self.reach = np.array([start, start]).T
        self.fast = self.slow = 0.0
        self.labels = 0
        self.k, self.score = [0.0] * len(FREEDOMS), [0.0] * len(FREEDOMS)

    def scale(self) -> float:
        """The s of a forecast that is made now."""
        if self.labels == 0:
            return 1.0
        mean = (self.fast + self.slow) / 2
        return math.sqrt(math.pi / 2) * mean * (1 + 2 / (self.labels + 1))

    def bounds(self, forecast: float, scale: float) -> Array:
        """Lower and upper of each level, (L, 2)."""
        return forecast + scale * self.reach * [-1.0, 1.0]

    def learn(self, truth: float, forecast: float, scale: float, bounds: Array) -> None:
        """Learn the truth of a forecast that had this scale, 0 for none, and these bounds."""
        self.labels += 1
        n, error = self.labels, abs(truth - forecast)
        if n > SETTLED and scale > 0:
            self.move_reach(truth, bounds, max(0.3 / (n - SETTLED), 0.02))
            self.move_student((truth - forecast) / scale, min(max(0.5 / (n - SETTLED), 0.005), 0.2))
        self.fast += max(1 / n, RATE_FAST) * (self.counted(error, self.fast) - self.fast)
        self.slow += max(1 / n, RATE_SLOW) * (self.counted(error, self.slow) - self.slow)

    def counted(self, error: float, mean: float) -> float:
        """An absolute error counts at most 8 times the mean, once there is one."""
        return min(error, 8 * mean) if self.labels > SETTLED and mean > 0 else error

    def move_reach(self, truth: float, bounds: Array, eta: float) -> None:
        """Each side by whether the truth was beyond it; no level inside the one before."""
        beyond = np.column_stack([truth < bounds[:, 0], truth > bounds[:, 1]])
        moved = self.reach * (1 + eta * (beyond - self.tails[:, None]))
        for level in range(len(moved)):
            inner = moved[level - 1] if level > 0 else REACH_MIN
            moved[level] = np.clip(np.maximum(moved[level], inner), REACH_MIN, REACH_MAX)
        self.reach = moved

    def move_student(self, ratio: float, eta: float) -> None:
        """A natural gradient step of the scale of each degree of freedom, and what it scored."""
        for i, nu in enumerate(FREEDOMS):
            u = ratio * math.exp(-self.k[i])
            likelihood = min(max(log_density(u, nu) - self.k[i], -30.0), 30.0)
            self.score[i] += 0.005 * (likelihood - self.score[i])
            slope = (nu + 1) * u**2 / (nu + u**2) - 1
            self.k[i] += eta * slope * (nu + 3) / (2 * nu)
            self.k[i] = min(max(self.k[i], -7.0), 7.0)

    def student(self, scale: float) -> tuple[float, float]:
        """Scale and degrees of freedom of the best; the last of equals at the start."""
        best = max(range(len(FREEDOMS)), key=lambda i: (self.score[i], i == len(FREEDOMS) - 1))
        return scale * math.exp(self.k[best]), FREEDOMS[best]

    def widen(self) -> None:
        """Half as wide again, and labels count as the first ones did."""
        self.rescale(1.5)
        self.labels = min(self.labels, SETTLED)

    def rescale(self, a: float) -> None:
        """The values of the output are a times as large."""
        self.fast *= a
        self.slow *= a
