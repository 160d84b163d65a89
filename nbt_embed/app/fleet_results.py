"""Results of a fleet by horizon and setting, and the drawn values of its devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nbt_embed.app.fleet_stream import Source
from nbt_embed.arrays import Float64Array
from nbt_embed.fleet.columns import Columns

MEASURES = {"error": "relative_error", "bits": "bits"}
"""Measure -> its column."""

Parts = Mapping[tuple[int, str], Columns]
"""Horizon and name of a setting -> the columns of its rows, in the order of devices."""


def parts_of(columns: Columns, horizons: Sequence[int], settings: Sequence[str]) -> Parts:
    """Divide results. Cost: a sort, and a copy of the columns."""
    numbers = {name: number for number, name in enumerate(settings)}
    setting = np.array([numbers[name] for name in columns["setting"].tolist()], np.int64)
    order = np.lexsort((columns["device"], setting, columns["horizon"]))
    ends = np.flatnonzero(np.diff(columns["horizon"][order]) | np.diff(setting[order])) + 1
    found = {}
    for rows in np.split(order, ends):
        key = int(columns["horizon"][rows[0]]), settings[int(setting[rows[0]])]
        found[key] = {name: values[rows] for name, values in columns.items()}
    return {(horizon, name): found[horizon, name] for horizon in horizons for name in settings}


def errors_of(part: Columns, measure: str) -> Float64Array:
    """Return the measure of each device: infinite if its learner diverged, NaN if undefined."""
    errors: Float64Array = part[MEASURES[measure]].astype(np.float64)
    errors = np.where(part["diverged"] & ~np.isfinite(errors), np.inf, errors)
    return np.where(part["error"] != "", np.nan, errors)


@dataclass(frozen=True)
class Drawn:
    """The drawn values of every device: column -> (n,)."""

    columns: Mapping[str, Float64Array]

    @classmethod
    def of(cls, source: Source) -> Drawn:
        """Draw the values of a series. Cost: some 10 µs per device and kind."""
        series = source.series
        table = np.empty((len(series.columns), series.devices))
        for device in range(series.devices):
            table[:, device] = list(series.drawn(device).values())
        return cls(dict(zip(series.columns, table, strict=True)))
