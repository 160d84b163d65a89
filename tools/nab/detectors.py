"""Detectors of anomalies: simple ones, and the learner."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nbt_embed import Learner
from nbt_embed.arrays import Float64Array
from nbt_embed.streams import from_arrays
from tools.answers import Answers, ask

# What counts as strange where nobody has looked at the data yet: standard deviations.
STRANGE = 5.0
_upper_tail = np.vectorize(lambda z: 0.5 * math.erfc(z / math.sqrt(2)), otypes=[np.float64])


@dataclass(frozen=True)
class Detector:
    """A way to score a series.

    Attributes:
        name: in the tables.
        scores: (T,) values (NaN where missing) and a seed -> (T,) scores in [0, 1], causal. A row
            without value scores 0.
        threshold: the score of an alarm, chosen without data.
        seeds: how many seeds are run; the median of their scores counts.
    """

    name: str
    scores: Callable[[Float64Array, int], Float64Array]
    threshold: float
    seeds: int = 1


def squashed(z: Float64Array) -> Float64Array:
    """|z| / (1 + |z|), 1 where z is infinite and 0 where it is NaN."""
    size = np.abs(np.nan_to_num(z, nan=0.0, posinf=np.inf, neginf=-np.inf))
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(size), 1.0, size / (1 + size))


def innovations(values: Float64Array, said: Answers) -> Float64Array:
    """(T, n_out) error of the forecast made one row before, in its standard deviations.

    NaN where there is no value or no forecast; infinite where a value differs from a forecast that
    was certain.
    """
    error = values[1:] - said.forecasts[:-1]
    deviation = np.sqrt(said.variances[:-1].astype(np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(error == 0, 0.0, error / deviation)
    return np.vstack([np.full_like(z[:1], np.nan), z])


def windowed_gaussian(
    values: Float64Array, _: int = 0, *, window: int = 6400, step: int = 100
) -> Float64Array:
    """1 - Q(|z|), z against mean and deviation of the last values, as the benchmark publishes it.

    Until there are ``window`` values the statistics take in every value; from then on the window
    moves by ``step`` at once. A deviation of 0 counts as 1e-6.
    """
    known = ~np.isnan(values)
    seen = values[known]
    count = np.arange(seen.size)
    moved = np.where(count < window, 0, (count - window) // step * step)
    # Values [moved, last) are the window of value number `count`.
    last = np.where(count < window, count, window + moved)
    shifted = seen - seen[:1]
    total = np.append(0.0, np.cumsum(shifted))
    squares = np.append(0.0, np.cumsum(shifted**2))
    size = np.maximum(last - moved, 1)
    mean = (total[last] - total[moved]) / size
    variance = (squares[last] - squares[moved]) / size - mean**2
    deviation = np.sqrt(np.maximum(variance, 0))
    z = (shifted - mean) / np.where(deviation > 0, deviation, 1e-6)
    scores = np.zeros(values.size)
    scores[known] = 1 - _upper_tail(np.abs(z)) if seen.size else z
    scores[np.flatnonzero(known)[:1]] = 0  # nothing was seen before it
    return scores


def last_value(values: Float64Array, _: int = 0) -> Float64Array:
    """|z| / (1 + |z|) of the difference to the last value, in its running deviation.

    r <- r + max(1/n, .002) (d^2 - r) after the difference d was scored.
    """
    z = np.full(values.size, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    mean_square = 0.0
    for n, (row, difference) in enumerate(
        zip(known[1:].tolist(), np.diff(values[known]).tolist(), strict=True), start=1
    ):
        if n > 1 and difference != 0:
            z[row] = difference / math.sqrt(mean_square) if mean_square > 0 else math.inf
        mean_square += max(1 / n, 0.002) * (difference**2 - mean_square)
    return squashed(z)


def chance(values: Float64Array, seed: int) -> Float64Array:
    """Independent uniform numbers."""
    return np.random.default_rng(seed).random(values.size)


def innovation_of_each(values: Float64Array, seed: int, **settings: Any) -> Float64Array:
    """|z| / (1 + |z|) of the learner's errors one row ahead, in their standard deviations.

    Values and scores: (T, channels).
    """
    return squashed(innovations(values, answers(values, seed, **settings)))


def anomaly_of_each(values: Float64Array, seed: int, **settings: Any) -> Float64Array:
    """The learner's own score. Values and scores: (T, channels)."""
    return np.nan_to_num(answers(values, seed, **settings).anomaly.astype(np.float64), nan=0.0)


def innovation(values: Float64Array, seed: int, **settings: Any) -> Float64Array:
    """The same of a single channel, (T,)."""
    return innovation_of_each(values[:, np.newaxis], seed, **settings)[:, 0]


def anomaly(values: Float64Array, seed: int, **settings: Any) -> Float64Array:
    """The same of a single channel, (T,)."""
    return anomaly_of_each(values[:, np.newaxis], seed, **settings)[:, 0]


def answers(values: Float64Array, seed: int, **settings: Any) -> Answers:
    """Scores of a fresh learner for (T, channels) values one row ahead, NaN where missing."""
    stream = from_arrays(values)
    learner = Learner(
        stream.n_in, stream.n_out, seed=seed, hold_missing=stream.has_missing_inputs, **settings
    )
    return ask(learner, stream, 1)


# The same as |z| / (1 + |z|), and as the share of a Gaussian below it.
FAR = STRANGE / (1 + STRANGE)
TAIL = 1 - 0.5 * math.erfc(STRANGE / math.sqrt(2))
SEEDS = 5
# By the rule's prices, not by what is best on the series: docs/evidence/uncertainty.md.
ALARM = 0.995
ANOMALY = Detector("learner's anomaly score", anomaly, ALARM, SEEDS)
INNOVATION = Detector("learner's innovation", innovation, FAR, SEEDS)
DETECTORS = (
    ANOMALY,
    INNOVATION,
    Detector("last value", last_value, FAR),
    Detector("windowed Gaussian", windowed_gaussian, TAIL),
    Detector("random", chance, 0.9999, SEEDS),
)


def learners(name: str, settings: dict[str, Any]) -> list[Detector]:
    """The learner's detectors with other settings than the defaults."""
    return [
        Detector(f"anomaly score, {name}", partial(anomaly, **settings), ALARM, SEEDS),
        Detector(f"innovation, {name}", partial(innovation, **settings), FAR, SEEDS),
    ]
