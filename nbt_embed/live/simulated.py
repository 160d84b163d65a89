"""A simulated live device: the machine of ``nbt_embed.simulation``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from nbt_embed.arrays import Float32Array, Float64Array
from nbt_embed.errors import StreamError, shown
from nbt_embed.live import layout as layouts
from nbt_embed.live.arrivals import Arrivals
from nbt_embed.live.flow import Flow
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.where import parse
from nbt_embed.simulation import SWING, machine

_NAMES = ("position_mm", "current_A", "temperature_C")
_PAGE = 256  # rows whose noise is drawn at once
_NOISE, _MISSING = 0.02, 0.02  # those of ``simulated_sensor``
_FASTEST = "max"
_INTERVAL = 0.02  # seconds between rows at the rate ``max``


class SimulatedSource(Flow):
    """A machine with three sensors, one part of which comes loose.

    Rows come at a fixed rate from the first request on, or as fast as they are requested.

    Args:
        where: ``simulated:?rate=50&seed=0&loose=3000&rows=0``: rows per second or ``max``; random
            seed; row at which the part comes loose; number of rows, 0 for a stream without an end.
        options: how the rows are read.

    Errors: StreamError. Cost: 8 µs per row.
    """

    def __init__(self, where: str, options: SourceOptions) -> None:
        said = parse(where, ("rate", "seed", "loose", "rows"))
        super().__init__("simulated")
        fast = said.said.get("rate") == _FASTEST
        self._rate = None if fast else said.number("rate", 50, 1e-6, 1e6)
        self._seed = said.whole("seed", 0, 0, 1 << 53)
        self._loose = said.whole("loose", 3000, 0, 1 << 53)
        self._end = said.whole("rows", 0, 0, 1 << 53)
        self._interval = _INTERVAL if self._rate is None else 1 / self._rate
        self._row = 0
        notes: list[str] = []
        names = ("time", *_NAMES)
        self._layout = layouts.decide(self.title, names, ("0", "0", "0", "0"), options, notes)
        self.adopt(self._layout, notes)
        self.state = "running"

    def seek(self, position: Any) -> None:
        """Continue after this many rows. Cost: that of these rows."""
        if not isinstance(position, int) or position < 0:
            raise StreamError(f"{self.title}: {shown(position)} is not a number of rows")
        self._row = position

    def arrivals(self, patience: float) -> Iterator[Arrivals]:
        """Yield rows as they arrive."""
        begun, first = time.monotonic(), self._row
        rows = islice(self._readings(), first, None)
        while not self._end or self._row < self._end:
            count = _PAGE
            if self._rate is not None:
                due = int((time.monotonic() - begun) * self._rate) + 1 - (self._row - first)
                if due <= 0:
                    wait = begun + (self._row - first) / self._rate - time.monotonic()
                    time.sleep(max(min(wait, patience), 0))
                    if wait > patience:
                        yield self.nothing(self._row)
                    continue
                count = min(due, count)
            if self._end:
                count = min(count, self._end - self._row)
            table = np.array(list(islice(rows, count)), np.float32)
            times: Float64Array = np.arange(self._row, self._row + count) * np.float64(
                self._interval
            )
            self._row += count
            yield self._layout.arrivals(layouts.Rows(times, self._columns(table)), self._row)
        self.state = "ended"

    def _columns(self, table: Float32Array) -> Float32Array:
        places = [_NAMES.index(name) for name in self._layout.columns]
        return table[:, places]

    def _readings(self) -> Iterator[Float32Array]:
        """Yield the sensors' readings from the first row on, with noise and lost samples."""
        rng = np.random.default_rng([self._seed, 0])
        clean = machine(np.random.default_rng([self._seed, 1]), self._loose)
        while True:
            page = np.array(list(islice(clean, _PAGE)))
            page += _NOISE * np.array(SWING) * rng.standard_normal(page.shape)
            page[rng.random(page.shape) < _MISSING] = np.nan
            yield from page.astype(np.float32)

    def close(self) -> None:
        """End the stream."""
        self._end = self._row or 1
        self.state = "ended"
