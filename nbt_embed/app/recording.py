"""A stream from files, in a temporary file, that can be read in order any number of times."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed.app.spool import Folder, Spool
from nbt_embed.arrays import Float32Array
from nbt_embed.streams import Stream

_DATES = np.dtype("datetime64[ns]")


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive rows of one segment.

    Attributes:
        start: number of the first row, counted from 0 over the whole recording.
        reset: whether a segment begins here, so the learner's state is reset before it (never for
            row 0).
        inputs: (n, n_in), NaN where missing.
        targets: (n, n_out), NaN where missing; for a class target (n, 1) class numbers.
        time: (n,) datetime64[ns] (NaT missing) or float64 seconds (NaN missing), or None.
    """

    start: int
    reset: bool
    inputs: Float32Array
    targets: Float32Array
    time: NDArray[Any] | None


@dataclass(frozen=True)
class TimeFacts:
    """Facts about the time column.

    Attributes:
        column: its name; for two columns both, with a plus.
        kind: format of its cells.
        first, last: the earliest and the latest time of all files, as text.
        interval: median seconds between rows; NaN if there is none.
        gaps: (row, seconds) of the first row after each long pause, the first 10,000.
        duplicates: number of rows with the time of the previous row.
        out_of_order: number of rows with a time before that of an earlier row.
    """

    column: str
    kind: str
    first: str
    last: str
    interval: float
    gaps: tuple[tuple[int, float], ...]
    duplicates: int
    out_of_order: int


@dataclass(frozen=True, eq=False)
class Channel:
    """One input or target: a column unchanged, or converted from its codes.

    Attributes:
        name: of the channel.
        column: index of its values in the spool.
        values: of the codes 0, 1, ... of texts, or None.
        one_hot: the code that becomes 1 while all others become 0, or None.
        classes: the sorted numbers that become 0, 1, ..., or None.
    """

    name: str
    column: int
    values: Float32Array | None = None
    one_hot: int | None = None
    classes: Float32Array | None = None

    @property
    def is_coded(self) -> bool:
        """Whether the column contains codes or classes, which have no mean."""
        return not (self.values is None and self.one_hot is None and self.classes is None)

    def of(self, table: Float32Array) -> Float32Array:
        """Return its values in rows of the spool."""
        cells = table[:, self.column]
        missing = np.isnan(cells)
        if self.one_hot is not None:
            hot: Float32Array = (cells == self.one_hot).astype(np.float32)
            hot[missing] = np.nan
            return hot
        if self.classes is not None:
            found: Float32Array = np.searchsorted(self.classes, cells).astype(np.float32)
        elif self.values is not None:
            found = self.values[np.where(missing, 0, cells).astype(np.int64)]
        else:
            return cells
        return np.where(missing, np.float32(np.nan), found)


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of all files.

    Attributes:
        table: (rows, columns) float32.
        time: (rows, 1) int64 nanoseconds since 1970 or float64 seconds, or None.
        files: first row of each file, then the number of rows.
        backwards: whether the rows of each file are in reverse order.
    """

    table: Spool
    time: Spool | None
    files: tuple[int, ...]
    backwards: bool = False

    def read(self, spool: Spool, start: int, stop: int) -> NDArray[Any]:
        """Return rows of one file in order of time."""
        if not self.backwards:
            return spool.read(start, stop)
        file = next(i for i, end in enumerate(self.files[1:]) if start < end)
        ends = self.files[file] + self.files[file + 1]
        return spool.read(ends - stop, ends - start)[::-1]

    def file_row(self, row: int) -> int:
        """Return the number of a row in the order of the files."""
        file = next(i for i, end in enumerate(self.files[1:]) if row < end)
        return self.files[file] + self.files[file + 1] - 1 - row if self.backwards else row


@dataclass(frozen=True, eq=False)
class Recording:
    """A stream from files. Close it, or use it in ``with``: its rows are in a temporary file.

    Attributes:
        title: name of the file or files.
        rows: their number.
        input_names, target_names: of the channels.
        classes: names of the classes of the class target, by number, or None: numbers.
        has_missing_inputs: whether a learner needs ``hold_missing=True``.
        anchor: for each target the input of the same column, or None.
        time: the time column, or None.
        notes: sentences about what was recognised, left out and dropped, with reasons.
    """

    title: str
    rows: int
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]
    classes: tuple[str, ...] | None
    has_missing_inputs: bool
    anchor: tuple[int | None, ...] | None
    time: TimeFacts | None
    notes: tuple[str, ...]
    _rows: Rows = field(repr=False)
    _inputs: tuple[Channel, ...] = field(repr=False)
    _targets: tuple[Channel, ...] = field(repr=False)
    _resets: tuple[int, ...] = field(repr=False)
    _files: ExitStack = field(repr=False)

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary file."""
        self._files.close()

    @property
    def segments(self) -> int:
        """Number of segments; the learner's state is reset between them."""
        return len(self._resets) + 1

    def blocks(self, rows: int = 4096) -> Iterator[Block]:
        """Yield all rows in order, in blocks of limited size; may be called several times.

        Cost: memory of one block.
        """
        starts = (0, *self._resets, self.rows)
        for begin, end in itertools.pairwise(starts):
            for start in range(begin, end, rows):
                stop = min(start + rows, end)
                table = self._rows.read(self._rows.table, start, stop)
                yield Block(
                    start,
                    start == begin > 0,
                    _stack(self._inputs, table),
                    _stack(self._targets, table),
                    self._time(start, stop),
                )

    def _time(self, start: int, stop: int) -> NDArray[Any] | None:
        if self._rows.time is None:
            return None
        times = np.ascontiguousarray(self._rows.read(self._rows.time, start, stop)[:, 0])
        return times.view(_DATES) if times.dtype == np.int64 else times

    def stream(self) -> Stream:
        """Return everything in memory, without resets and times."""
        inputs = np.empty((self.rows, len(self.input_names)), np.float32)
        targets = np.empty((self.rows, len(self.target_names)), np.float32)
        for block in self.blocks():
            part = slice(block.start, block.start + len(block.inputs))
            inputs[part], targets[part] = block.inputs, block.targets
        return Stream(inputs, targets, self.input_names, self.target_names)


def _stack(channels: tuple[Channel, ...], table: Float32Array) -> Float32Array:
    if not any(channel.is_coded for channel in channels):
        return np.ascontiguousarray(table[:, [channel.column for channel in channels]])
    return np.ascontiguousarray(np.column_stack([channel.of(table) for channel in channels]))


def from_stream(stream: Stream, title: str, classes: tuple[str, ...] | None = None) -> Recording:
    """Return a stream in memory as a recording.

    Args: stream; title, its name; classes, names of the classes of its target, if it is one.
    Errors: OSError. Cost: one copy, in a temporary file.
    """
    with ExitStack() as stack:
        spool = Folder(stack).spool("rows", np.float32, stream.n_in + stream.n_out)
        spool.append(np.hstack([stream.inputs, stream.targets]))
        return Recording(
            title,
            len(stream),
            stream.input_names,
            stream.target_names,
            classes,
            stream.has_missing_inputs,
            None,
            None,
            (),
            Rows(spool, None, (0, len(stream))),
            tuple([Channel(name, i) for i, name in enumerate(stream.input_names)]),
            tuple([Channel(name, stream.n_in + i) for i, name in enumerate(stream.target_names)]),
            (),
            stack.pop_all(),
        )
