"""Results of a run for drawing: values, errors and mixture shares over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import Float32Array, Float64Array

# Positions of rows in time: dates, numbers from the file, or None.
Time = NDArray[np.datetime64] | Float64Array | None


@dataclass(frozen=True, eq=False)
class Track:
    """One target over time with its forecast.

    Attributes:
        horizon: steps between forecast and target.
        target: its name.
        row: (k,) target rows, increasing; forecast[i] was made for row[i].
        time: (k,) of these rows, or None.
        truth, forecast, rls: (k,) in the target's unit, NaN where there is none; rls is the
            forecast of recursive least squares.
        low, high: (k,) interval at ``level``, or None without intervals.
        level: of the interval.
        score: (k,) anomaly score of the label, or None.
        every: 1: all rows are included; n > 1: of every n rows, those with the lowest and the
            highest truth.
    """

    horizon: int
    target: str
    row: NDArray[np.int64]
    time: Time
    truth: Float32Array
    forecast: Float32Array
    rls: Float32Array
    low: Float32Array | None
    high: Float32Array | None
    level: float
    score: Float32Array | None
    every: int


@dataclass(frozen=True, eq=False)
class ErrorTrack:
    """Root mean squared error of every model over equal pieces of the stream.

    Attributes: horizon, target; row and time (b,) of each piece's last row; rmse, key of a model ->
    (b,), NaN where nothing was scored.
    """

    horizon: int
    target: str
    row: NDArray[np.int64]
    time: Time
    rmse: dict[str, Float64Array]


@dataclass(frozen=True, eq=False)
class TrustTrack:
    """Shares of the mixture's experts of one target.

    Attributes: horizon, target; row and time (b,); weight, name of an expert -> (b,), sum 1.
    """

    horizon: int
    target: str
    row: NDArray[np.int64]
    time: Time
    weight: dict[str, Float32Array]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Everything that a page or a picture draws; one track per horizon and target."""

    tracks: tuple[Track, ...]
    errors: tuple[ErrorTrack, ...]
    trust: tuple[TrustTrack, ...]
