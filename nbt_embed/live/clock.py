"""Place rows on a time grid before they are learnt: rows may be late, repeated or missing.

A row is dropped if its time is not after that of the last row: it was learnt already (*twice*, the
same row again), or a later row was learnt (*late*). ``RESTART`` late rows in increasing order are a
*restart* of the device's time.

With an interval T, a row that comes dt after the last one is placed round(dt / T) steps later. At
step 0 it is dropped (*twice*); steps between the two become rows of NaN (*filled*). So H rows ahead
stay H intervals ahead, and a device whose interval is slightly off accumulates no error. A pause
that is too long to fill resets the state of the learner.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nbt_embed.app.recording import Block
from nbt_embed.arrays import Float32Array, Float64Array
from nbt_embed.errors import StreamError, shown
from nbt_embed.live.arrivals import Arrivals

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

RESTART = 10  # late rows in increasing order that are a restart
FILLED = 1000  # steps that are filled at most
REMEMBERED = 256  # number of first rows, and of last rows, that are recognised when repeated
_PIECE = 4096  # rows per block, if rows are processed singly
_COUNTS = ("late", "twice", "filled", "resets", "restarts")


class Clock:
    """Places the rows of a source on a time grid.

    The result depends only on the rows, not on when they arrive or how they are split. Only the
    boundaries of the resulting blocks may differ.

    Args:
        interval: seconds between samples; None: nothing is filled.
        gap: seconds; a longer pause resets the learner's state, and nothing is filled. None: with
            an interval, a pause of more than ``FILLED`` steps has this effect.

    Errors: StreamError. Cost: little if rows are consecutive; else about 2 µs per row.
    """

    def __init__(self, interval: float | None = None, gap: float | None = None) -> None:
        for name, value in (("interval", interval), ("gap", gap)):
            if value is not None and not 0 < value < math.inf:
                raise StreamError(f"{name} {value}: name a number of seconds above 0")
        self._interval, self._gap = interval, gap
        self._rows = 0
        self._last: float | None = None  # time of the last row with a time
        self._begun: list[int] = []  # checksums of the first rows
        self._recent: deque[int] = deque(maxlen=REMEMBERED)  # and of the last rows
        self._run, self._run_last = 0, math.nan  # such late rows, the last one's time
        self._matched = 0  # late rows that are among the first rows
        self._again = False  # the learnt rows are repeated, from the first on
        self._unknown: deque[Arrivals] = deque()  # last rows without a checksum yet
        self._held = 0  # number of these
        self._counts = dict.fromkeys(_COUNTS, 0)

    @property
    def counts(self) -> Mapping[str, int]:
        """Counts of late, repeated and filled rows, and of resets, which include restarts."""
        return self._counts

    @property
    def state(self) -> dict[str, Any]:
        """State from which later rows are processed, once all blocks of some arrivals were taken.

        A JSON value of some kilobytes.
        """
        self._know()
        return {
            "rows": self._rows,
            "last": self._last,
            "begun": list(self._begun),
            "recent": list(self._recent),
            "run": self._run,
            "run_last": None if math.isnan(self._run_last) else self._run_last,
            "matched": self._matched,
            "again": self._again,
            "counts": dict(self._counts),
        }

    @classmethod
    def restored(cls, state: Any, interval: float | None = None, gap: float | None = None) -> Self:
        """Return a clock that continues from a state. Errors: StreamError: the state is invalid."""
        clock = cls(interval, gap)
        try:
            clock._rows = int(state["rows"])
            clock._last = None if state["last"] is None else float(state["last"])
            clock._begun = [int(one) for one in state["begun"]]
            clock._recent.extend(int(one) for one in state["recent"])
            clock._run = int(state["run"])
            last = state["run_last"]
            clock._run_last = math.nan if last is None else float(last)
            clock._matched, clock._again = int(state["matched"]), bool(state["again"])
            clock._counts = {name: int(state["counts"][name]) for name in _COUNTS}
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise StreamError(f"{shown(state)} is not the state of a clock ({error!r})") from None
        return clock

    def blocks(self, arrivals: Iterable[Arrivals]) -> Iterator[Block]:
        """Yield the rows to learn; blocks of one arrival come before the next is read."""
        for some in arrivals:
            if len(some):
                yield from self._plain(some) if self._is_plain(some.time) else self._sorted(some)

    def _is_plain(self, time: Float64Array) -> bool:
        """Return whether rows are consecutive, without a pause, or have no times."""
        if np.isnan(time).all():
            return True
        last = np.nan if self._last is None else self._last
        steps = np.diff(time, prepend=last)[0 if self._last is not None else 1 :]
        if not (steps > 0).all() or np.isnan(time[0]):  # False for NaN
            return False
        if self._gap is not None and (steps > self._gap).any():
            return False
        if self._interval is None:
            return True
        places = _places(steps, self._interval)
        return bool((places == 1).all())

    def _plain(self, some: Arrivals) -> Iterator[Block]:
        timed = not math.isnan(some.time[-1])
        if timed:
            self._last = float(some.time[-1])
            self._end_run()
            self._remember(some, range(len(some)))
        yield self._block(some.inputs, some.targets, some.time, reset=False)

    def _sorted(self, some: Arrivals) -> Iterator[Block]:
        """Process rows singly."""
        piece = _Piece()
        learnt: list[int] = []  # rows with a time that are not yet remembered
        for row, time in enumerate(some.time.tolist()):
            reset, before = False, 0
            if not math.isnan(time):
                last = self._last
                if last is not None and time <= last:
                    self._remember(some, learnt)
                    learnt = []
                    if not self._restarts(some, row, time):
                        continue
                    reset = True
                elif last is not None:
                    places = 1 if self._interval is None else _place(time - last, self._interval)
                    if places == 0:
                        self._counts["twice"] += 1
                        continue
                    reset = (self._gap is not None and time - last > self._gap) or places > FILLED
                    before = 0 if reset else places - 1
                self._end_run()
                learnt.append(row)
            if reset:
                yield from self._given(piece, some)
                piece = _Piece(reset=True)
                self._counts["resets"] += 1
            if before:
                assert self._last is not None
                piece.fill(self._last, time, before)
                self._counts["filled"] += before
            piece.add(row, time)
            if not math.isnan(time):
                self._last = time
            if len(piece.rows) >= _PIECE:
                yield from self._given(piece, some)
                piece = _Piece()
        self._remember(some, learnt)
        yield from self._given(piece, some)

    def _restarts(self, some: Arrivals, row: int, time: float) -> bool:
        """Return whether a row that is not after the last one is a restart; else count it."""
        self._know()
        known = _checksum(some, row)
        if known in self._begun:
            self._matched += 1
            whole = len(self._begun) == REMEMBERED and self._matched > REMEMBERED // 2
            self._again = self._again or (whole and known == self._begun[-1])
        elif not (self._again or time == self._last or known in self._recent):
            follows = self._run > 0 and time > self._run_last
            self._run, self._run_last = (self._run + 1 if follows else 1), time
            if self._run < RESTART:
                self._counts["late"] += 1
                return False
            self._counts["restarts"] += 1
            self._begun.clear()
            self._recent.clear()
            return True
        self._run, self._run_last = 0, math.nan
        self._counts["twice"] += 1
        return False

    def _end_run(self) -> None:
        self._run, self._run_last = 0, math.nan
        self._matched, self._again = 0, False

    def _remember(self, some: Arrivals, rows: Sequence[int]) -> None:
        """Remember learnt rows: checksums of the first, the last as they are."""
        if not len(rows):
            return
        for row in rows[: REMEMBERED - len(self._begun)]:
            self._begun.append(_checksum(some, row))
        last = list(rows[-REMEMBERED:])
        self._unknown.append(Arrivals(some.time[last], some.inputs[last], some.targets[last]))
        self._held += len(last)
        while self._held - len(self._unknown[0]) >= REMEMBERED:
            self._held -= len(self._unknown.popleft())

    def _know(self) -> None:
        """Compute the checksums of the last rows."""
        for some in self._unknown:
            self._recent.extend(_checksum(some, row) for row in range(len(some)))
        self._unknown.clear()
        self._held = 0

    def _given(self, piece: _Piece, some: Arrivals) -> Iterator[Block]:
        if piece.rows:
            rows = np.array(piece.rows)
            gone = rows < 0
            inputs, targets = some.inputs[rows], some.targets[rows]
            inputs[gone] = targets[gone] = np.nan
            yield self._block(inputs, targets, np.array(piece.times), piece.reset)

    def _block(
        self, inputs: Float32Array, targets: Float32Array, time: Float64Array, reset: bool
    ) -> Block:
        start, self._rows = self._rows, self._rows + len(inputs)
        return Block(start, reset and start > 0, inputs, targets, time)


class _Piece:
    """Rows of a block: their indices in the arrivals, -1 for a filled row."""

    def __init__(self, reset: bool = False) -> None:
        self.reset = reset
        self.rows: list[int] = []
        self.times: list[float] = []

    def add(self, row: int, time: float) -> None:
        """Add a row that arrived."""
        self.rows.append(row)
        self.times.append(time)

    def fill(self, last: float, time: float, count: int) -> None:
        """Add ``count`` filled rows between two times."""
        step = (time - last) / (count + 1)
        self.rows += [-1] * count
        self.times += [last + step * place for place in range(1, count + 1)]


def _places(steps: Float64Array, interval: float) -> Float64Array:
    places: Float64Array = np.floor(steps / interval + 0.5)
    return places


def _place(step: float, interval: float) -> int:
    """Return the step as ``_places``, limited to slightly more than can be filled."""
    return int(min(math.floor(step / interval + 0.5) if step / interval < 1e9 else 1e9, FILLED + 2))


def _checksum(some: Arrivals, row: int) -> int:
    """Return the checksum by which a repeated row is recognised."""
    values = zlib.crc32(some.inputs[row].tobytes(), zlib.crc32(some.targets[row].tobytes()))
    return zlib.crc32(some.time[row].tobytes(), values)
