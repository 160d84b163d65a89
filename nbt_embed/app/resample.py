"""Resample rows to equal intervals by means."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed.app.recording import Rows
from nbt_embed.app.spool import ROWS, Folder, Spool
from nbt_embed.app.times import NAT, SECOND
from nbt_embed.arrays import Float32Array, Float64Array
from nbt_embed.errors import StreamError

_FILLED = 1_000_000  # empty intervals that are created even for few rows


@dataclass(frozen=True, eq=False)
class Resampled:
    """The new rows, those before which the state is reset, and which columns have missing values.

    untimed: number of rows without a time, which belong to no interval.
    """

    rows: Rows
    resets: tuple[int, ...]
    missing: NDArray[np.bool_]
    untimed: int


def resample(
    rows: Rows, resets: tuple[int, ...], seconds: float, coded: frozenset[int], folder: Folder
) -> Resampled:
    """Return means over intervals of this length, from multiples of it; missing without rows.

    Args: rows, with times in order; resets, rows at which a segment begins; coded, columns of
    codes, whose last value in an interval is used; folder, for the temporary files.
    Errors: StreamError if nearly all intervals would be empty.
    Cost: one pass, memory of some megabytes.
    """
    assert rows.time is not None
    width = rows.table.read(0, 1).shape[1]
    date = rows.time.read(0, 1).dtype == np.int64
    table = folder.spool("resampled", np.float32, width)
    time = folder.spool("resampled-time", np.int64 if date else np.float64, 1)
    out = _Out(table, time, seconds, date, 10 * rows.table.rows + _FILLED)
    last = np.zeros(width, bool)
    last[list(coded)] = True
    new_resets, untimed = [], 0
    starts = (0, *resets, rows.table.rows)
    for begin, end in itertools.pairwise(starts):
        if table.rows:
            new_resets.append(table.rows)
        open_bin = _Intervals(width, last)
        for start in range(begin, end, ROWS):
            stop = min(start + ROWS, end)
            values = rows.read(rows.table, start, stop)
            times = rows.read(rows.time, start, stop)[:, 0]
            known = times != NAT if date else ~np.isnan(times)
            untimed += int((~known).sum())
            bins = np.floor_divide(times[known], round(seconds * SECOND) if date else seconds)
            out.add(*open_bin.add(bins.astype(np.int64), values[known]))
        out.add(*open_bin.rest())
        out.begin_segment()
    resets_kept = tuple(sorted({row for row in new_resets if 0 < row < table.rows}))
    return Resampled(Rows(table, time, (0, table.rows)), resets_kept, out.missing, untimed)


class _Intervals:
    """Sums over the incomplete interval."""

    def __init__(self, width: int, last: NDArray[np.bool_]) -> None:
        self._last_is_taken = last
        self._bin: int | None = None
        self._sum: Float64Array = np.zeros(width)
        self._count: Float64Array = np.zeros(width)
        self._latest: Float64Array = np.full(width, np.nan)

    def add(
        self, bins: NDArray[np.int64], values: Float32Array
    ) -> tuple[NDArray[np.int64], Float64Array]:
        """Add rows; return the intervals that are complete now, and their rows."""
        if not len(bins):
            return bins, np.empty((0, len(self._sum)))
        starts = np.flatnonzero(np.diff(bins, prepend=bins[0] - 1))
        known = ~np.isnan(values)
        sums = np.add.reduceat(np.where(known, values, 0).astype(np.float64), starts)
        counts = np.add.reduceat(known.astype(np.float64), starts)
        latest = self._latest_of(values, known, starts)
        numbers = bins[starts]
        if self._bin is not None:
            if self._bin == numbers[0]:
                sums[0] += self._sum
                counts[0] += self._count
                latest[0] = np.where(np.isnan(latest[0]), self._latest, latest[0])
            else:
                numbers = np.concatenate([[self._bin], numbers])
                sums, counts = np.vstack([self._sum, sums]), np.vstack([self._count, counts])
                latest = np.vstack([self._latest, latest])
        self._bin, self._sum, self._count = int(numbers[-1]), sums[-1], counts[-1]
        self._latest = latest[-1]
        return numbers[:-1], self._means(sums[:-1], counts[:-1], latest[:-1])

    def rest(self) -> tuple[NDArray[np.int64], Float64Array]:
        """Return the last interval."""
        if self._bin is None:
            return np.empty(0, np.int64), np.empty((0, len(self._sum)))
        return np.array([self._bin]), self._means(
            self._sum[None], self._count[None], self._latest[None]
        )

    def _latest_of(
        self, values: Float32Array, known: NDArray[np.bool_], starts: NDArray[np.int64]
    ) -> Float64Array:
        """Return the last known value of each interval, NaN if there is none."""
        place = np.where(known, np.arange(len(values))[:, None], -1)
        place = np.maximum.reduceat(place, starts)
        found = np.take_along_axis(values, np.maximum(place, 0), 0).astype(np.float64)
        return np.where(place < 0, np.nan, found)

    def _means(
        self, sums: Float64Array, counts: Float64Array, latest: Float64Array
    ) -> Float64Array:
        with np.errstate(invalid="ignore"):
            return np.where(self._last_is_taken, latest, sums / counts)


class _Out:
    """Writes intervals, with rows for the empty ones between them."""

    def __init__(self, table: Spool, time: Spool, seconds: float, date: bool, most: int) -> None:
        self._table, self._time, self._most = table, time, most
        self._scale: float = round(seconds * SECOND) if date else seconds
        self._next: int | None = None
        self.missing: NDArray[Any] = np.zeros(0, bool)

    def begin_segment(self) -> None:
        """Start a segment: the pause before its first interval is not filled."""
        self._next = None

    def add(self, bins: NDArray[np.int64], values: Float64Array) -> None:
        """Write intervals in order."""
        if not len(bins):
            return
        first = int(bins[0]) if self._next is None else self._next
        count = int(bins[-1]) + 1 - first
        if self._table.rows + count > self._most:
            raise StreamError(
                f"resampling: more than {self._most} rows would be made, nearly all "
                "of them empty: name longer intervals, or reset after pauses with --gap"
            )
        if not len(self.missing):
            self.missing = np.zeros(values.shape[1], bool)
        place = bins - first
        for start in range(0, count, ROWS):
            stop = min(start + ROWS, count)
            here = (place >= start) & (place < stop)
            block = np.full((stop - start, values.shape[1]), np.nan, np.float32)
            block[place[here] - start] = values[here]
            self.missing |= np.isnan(block).any(axis=0)
            self._table.append(block)
            self._time.append((first + np.arange(start, stop)) * self._scale)
        self._next = int(bins[-1]) + 1
