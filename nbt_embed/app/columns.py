"""Facts about the columns of a file: sensors, constants, counters, texts with few values."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from nbt_embed.app.markers import Marker
from nbt_embed.arrays import VALUE_LIMIT, Float32Array, Float64Array

ONE_HOT = 32  # texts of a column that become inputs, one each
CLASSES = 256  # texts, or numbers, of a class target
_STEPS = 1024  # rows per batch whose steps are examined
_WHOLE = float(1 << 24)  # whole numbers up to here are exact in float32
_EVEN = 1e-6  # relative difference of steps that count as equal
_COUNTER = 3  # rows from which a column that increases by one is a counter


@dataclass(eq=False)
class NumberColumn:
    """Facts about a column of numbers, collected while it is read.

    Attributes:
        filled: number of values.
        low, high: of all values.
        counter: whether every value so far is the previous one plus one.
        even: whether all steps so far are equal; slope, this step.
        text: row and cell of the first cell that is not a number; texts, number of such cells.
        beyond: row of the first value that is infinite or too large for a learner.
        step: median of the first steps, or None.
        rounded: whether it contains whole numbers that float32 cannot represent.
        markers: for its lowest and its highest value.
    """

    filled: int = 0
    low: float = np.inf
    high: float = -np.inf
    counter: bool = True
    even: bool = True
    slope: float | None = None
    text: tuple[int, str] | None = None
    texts: int = 0
    beyond: int | None = None
    step: float | None = None
    rounded: bool = False
    markers: tuple[Marker, Marker] = field(default_factory=lambda: (Marker(1), Marker(-1)))
    _begin: float = np.nan
    _start: float = np.nan

    def add(self, values: Float64Array, row: int, file_row: int) -> Float32Array:
        """Examine the next values, NaN where missing.

        Args: row, of the first value over all files; file_row, the same in its file.
        """
        low, high = np.fmin.reduce(values), np.fmax.reduce(values)
        missing = int(np.count_nonzero(np.isnan(values)))
        self.filled += len(values) - missing
        if missing < len(values):
            self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
        for marker, extreme in zip(self.markers, (low, high), strict=True):
            marker.add(values, float(extreme))
        if self.beyond is None and (high > VALUE_LIMIT or low < -VALUE_LIMIT):
            self.beyond = row + int(np.argmax(np.abs(np.nan_to_num(values)) > VALUE_LIMIT))
        if self.counter:
            if file_row == 0:
                self._begin = float(values[0])
            expected = self._begin + np.arange(file_row, file_row + len(values))
            self.counter = bool((values == expected).all())
        if self.even:
            self._follow(values, file_row)
        if self.step is None and np.isfinite(low) and np.isfinite(high):
            steps = np.abs(np.diff(values[:_STEPS]))
            steps = steps[steps > 0]
            if len(steps):
                self.step = float(np.median(steps))
        with np.errstate(over="ignore"):
            single = values.astype(np.float32)
        if not self.rounded and max(high, -low) > _WHOLE:
            self.rounded = bool(((values == np.rint(values)) & (values != single)).any())
        return single

    def _follow(self, values: Float64Array, file_row: int) -> None:
        """Compare the next values with a straight line from the first one of the file."""
        if not np.isfinite(values).all():
            self.even = False
            return
        if file_row == 0:
            self._start = float(values[0])
        if self.slope is None and file_row + len(values) > 1:
            self.slope = float(values[-1] - self._start) / (file_row + len(values) - 1)
        if self.slope is not None:
            line = self._start + self.slope * np.arange(file_row, file_row + len(values))
            room = _EVEN * abs(self.slope) + 4 * np.spacing(np.abs(line))
            self.even = bool((np.abs(values - line) <= room).all())

    def is_even(self, rows: int) -> bool:
        """Whether all steps are equal, as in counters and clocks."""
        rises = self.slope is not None and self.slope > 0
        return self.even and rises and rows >= _COUNTER

    @property
    def constant(self) -> bool:
        """Whether all values are the same."""
        return self.filled > 0 and self.low == self.high

    def is_counter(self, rows: int) -> bool:
        """Whether the column numbers the rows from 0 or 1."""
        return self.counter and rows >= _COUNTER and self._begin in (0.0, 1.0)

    @property
    def resolution(self) -> float | None:
        """Distance of float32 numbers at the largest value, if above the column's step."""
        if self.step is None:
            return None
        largest = max(abs(self.low), abs(self.high))
        spacing = float(np.spacing(np.float32(min(largest, VALUE_LIMIT))))
        return spacing if self.step < spacing else None


@dataclass(eq=False)
class TextColumn:
    """Facts about a column of texts, collected while it is read.

    Attributes: codes, of each text in order of appearance; filled, number of texts; first, row and
    cell of the first text; many, whether there are more than ``CLASSES``.
    """

    codes: dict[str, int] = field(default_factory=dict)
    filled: int = 0
    first: tuple[int, str] | None = None
    many: bool = False

    def add(self, cells: pl.Series, row: int) -> Float32Array:
        """Return the codes of the next cells, NaN where missing."""
        here = len(cells) - cells.null_count()
        self.filled += here
        if here and self.first is None:
            known = cells.is_not_null().arg_max()
            self.first = row + int(known or 0), str(cells[int(known or 0)])
        if here and not self.many:
            new = list(cells.unique(maintain_order=True).drop_nulls().to_list())
            for text in new:
                self.codes.setdefault(text, len(self.codes))
            self.many = len(self.codes) > CLASSES
        if self.many or not here:
            return np.full(len(cells), np.nan, np.float32)
        return (
            cells.replace_strict(self.codes, default=None, return_dtype=pl.Float32)
            .fill_null(np.nan)
            .to_numpy()
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All texts, sorted."""
        return tuple(sorted(self.codes))
