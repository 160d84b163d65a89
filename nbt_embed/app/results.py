"""What a run leaves to be drawn: values over time, errors over time, shares of the mixture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import Float32Array, Float64Array

# Where a row stands in time: dates, numbers as the file has them, or nothing.
Time = NDArray[np.datetime64] | Float64Array | None


@dataclass(frozen=True, eq=False)
class Track:
    """One target over time with its forecast.

    Attributes:
        horizon: steps between forecast and target.
        target: its name.
        row: (k,) target rows, rising; forecast[i] is the one that was made for row[i].
        time: (k,) of these rows, or None.
        truth, forecast, rls: (k,) in the target's unit, NaN where there is none; rls is the
            forecast of recursive least squares.
        low, high: (k,) interval at ``level``, or None without intervals.
        level: of the interval.
        score: (k,) anomaly score of the label, or None without.
        every: 1, every row is here; n > 1, of every n rows the ones with the lowest and with the
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
    """Everything that a page or a picture draws; one track a horizon and target."""

    tracks: tuple[Track, ...]
    errors: tuple[ErrorTrack, ...]
    trust: tuple[TrustTrack, ...]
