"""Who looks at the readings of a machine: one score a row and channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nbt_embed.arrays import Float64Array
from tools.nab import detectors as single
from tools.nab.detectors import anomaly_of_each, innovation_of_each


@dataclass(frozen=True)
class Detector:
    """A way to score readings.

    Attributes:
        name: in the tables.
        scores: (T, channels) readings (NaN where missing) and a seed -> (T, channels) in [0, 1].
        threshold: the score of an alarm, chosen without data.
    """

    name: str
    scores: Callable[[Float64Array, int], Float64Array]
    threshold: float


def last_value(readings: Float64Array, seed: int) -> Float64Array:
    """Every channel by itself, as in ``make nab``."""
    return np.column_stack([single.last_value(channel, seed) for channel in readings.T])


def windowed_gaussian(readings: Float64Array, seed: int) -> Float64Array:
    """Every channel by itself, as in ``make nab``."""
    return np.column_stack([single.windowed_gaussian(channel, seed) for channel in readings.T])


def chance(readings: Float64Array, seed: int) -> Float64Array:
    """Independent uniform numbers."""
    return np.random.default_rng(seed).random(readings.shape)


# One label in 5,000, by the score's meaning (docs/evidence/uncertainty.md).
ALARM = 1 - 1 / 5000
# The first is drawn. Thresholds: five standard deviations, or one row in 5,000 by chance.
DETECTORS = (
    Detector("learner's anomaly score", anomaly_of_each, ALARM),
    Detector("learner's innovation", innovation_of_each, single.FAR),
    Detector("last value", last_value, single.FAR),
    Detector("windowed Gaussian", windowed_gaussian, single.TAIL),
    Detector("random", chance, (1 - 1 / 5000) ** (1 / 3)),
)


def learners(name: str, settings: dict[str, Any]) -> list[Detector]:
    """The learner's detectors with other settings than the defaults."""
    return [
        Detector(f"anomaly score, {name}", partial(anomaly_of_each, **settings), ALARM),
        Detector(f"innovation, {name}", partial(innovation_of_each, **settings), single.FAR),
    ]
