"""Inputs and labels in units of their own deviation: docs/design.md, section 5."""

from __future__ import annotations

import numpy as np

from nbt_embed.reference.arrays import Array


class Scaler:
    """Running mean and variance per channel; a value is counted first and scaled afterwards."""

    def __init__(self, channels: int, steps: int, rate: float) -> None:
        self.steps, self.rate = steps, rate
        self.n = np.zeros(channels)
        self.mean = np.zeros(channels)
        self.variance = np.zeros(channels)

    def count(self, values: Array) -> None:
        """Take values (channels) into the statistics; NaN counts nowhere."""
        if self.steps == 0:
            return
        seen = ~np.isnan(values)
        self.n += seen
        k = np.where(self.n <= self.steps, 1.0 / np.maximum(self.n, 1.0), self.rate)
        z, m, s2 = values, self.mean, self.variance
        m_new = m + k * (z - m)
        s2_new = s2 + k * ((z - m) * (z - m_new) - s2)
        self.mean = np.where(seen, m_new, m)
        self.variance = np.where(seen, s2_new, s2)

    @property
    def deviation(self) -> Array:
        """Standard deviation s (channels), caller's units; 1 while a channel has not varied."""
        flat = self.variance <= 1e-12 * self.mean**2 + 1e-30
        return np.sqrt(np.where(flat, 1.0, self.variance))

    def scale(self, values: Array) -> Array:
        """Caller's units to scaled units; NaN stays NaN."""
        return (values - self.mean) / self.deviation

    def unscale(self, values: Array) -> Array:
        """Scaled units to caller's units."""
        return self.mean + self.deviation * values
