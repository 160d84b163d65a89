"""Sources of the samples of a fleet.

A ``Series`` can be read for each device from any row, so another worker can resume any device.
``TimeBlocks`` (nbt_embed/fleet/sources.py) can be read only once, all devices at the same time.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import Float32Array, float32, table
from nbt_embed.errors import InputError, InputTypeError

PIECE_ROWS = 4096
"""Rows per piece, if a source is free to choose."""

ANCHOR_ROWS = 1000
"""First rows in which anchors are searched if a device's stream comes in pieces."""

Piece = tuple[Float32Array, Float32Array]
"""Inputs (t, n_in) and labels (t, n_label) of the same rows, float32, NaN where missing."""


class Series(ABC):
    """Samples of n devices; picklable, so that remote workers can read it.

    Attributes:
        devices: n, from 1.
        input_names: n_in names.
        target_names: names of the labels, n_label.
    """

    devices: int
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]

    @abstractmethod
    def pieces(self, device: int, start: int = 0) -> Iterator[Piece]:
        """Yield the rows of a device in order, from row ``start`` on, in pieces of any length.

        The lengths of the pieces do not change results. Repeated calls return the same rows.
        Errors: NbtError if the device's rows cannot be used; other devices continue without it.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Return text that changes with the samples: a run does not resume with other samples."""

    def head(self, device: int) -> Piece:
        """Return the rows in which a device's anchors are searched (``Learner.find_anchor``).

        These are the whole stream if it is available, as in ``Learner.run``; else the first
        ``ANCHOR_ROWS`` rows, however they are split.
        """
        return first_rows(checked(self, self.pieces(device)), ANCHOR_ROWS)

    def name(self, device: int) -> str:
        """Return the device's name in results."""
        return str(device)

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        """(n,) rows of every device, None if unknown before reading; jobs are divided by them."""
        return None

    def only(self, devices: range) -> Series:  # noqa: ARG002  # of those that can leave some out
        """Return a series of these devices alone, with their numbers, to send to a worker."""
        return self

    @property
    def n_in(self) -> int:
        """Input channels."""
        return len(self.input_names)

    @property
    def n_out(self) -> int:
        """Values in a label."""
        return len(self.target_names)


class Held(threading.local):
    """The stream that each thread has read last, since anchors and rows are read in two calls.

    It is pickled empty.
    """

    def __init__(self) -> None:
        self._device = -1
        self._stream: Piece | None = None

    def get(self, device: int) -> Piece | None:
        """Return the stream of a device, if it was the last one."""
        if self._device != device:
            self._stream = None  # keep one in memory, not two
        return self._stream

    def put(self, device: int, stream: Piece) -> Piece:
        """Store a stream, and return it."""
        self._device, self._stream = device, stream
        return stream

    def __reduce__(self) -> tuple[type[Held], tuple[()]]:
        return Held, ()


def first_rows(pieces: Iterable[Piece], rows: int) -> Piece:
    """Join the first rows, or all if there are fewer."""
    taken: list[Piece] = []
    count = 0
    for inputs, labels in pieces:
        taken.append((inputs[: rows - count], labels[: rows - count]))
        count += len(inputs)
        if count >= rows:
            break
    if not taken:
        raise InputError("the stream has no rows")
    return _together(taken)


def checked(series: Series, pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the pieces of a device as arrays of float32. Errors: InputError, InputTypeError."""
    for piece in pieces:
        if not isinstance(piece, tuple) or len(piece) != 2:
            raise InputTypeError(
                f"pieces returned {type(piece).__name__}: expected pairs of arrays, (t, n_in) and "
                "(t, n_label)"
            )
        x = table("X", float32("X", piece[0]), series.n_in)
        y = x if piece[1] is piece[0] else table("Y", float32("Y", piece[1]), series.n_out)
        if len(x) != len(y):
            raise InputError(f"pieces returned {len(x)} rows of inputs and {len(y)} of labels")
        yield x, y


def cut(pieces: Iterable[Piece], rows: int) -> Iterator[Piece]:
    """Yield the same rows in pieces of ``rows``, the last one shorter."""
    taken: list[Piece] = []
    count = 0
    for inputs, labels in pieces:
        begin = 0
        while begin < len(inputs):
            end = min(begin + rows - count, len(inputs))
            taken.append((inputs[begin:end], labels[begin:end]))
            count += end - begin
            begin = end
            if count == rows:
                yield _together(taken)
                taken, count = [], 0
    if taken:
        yield _together(taken)


def _together(taken: Sequence[Piece]) -> Piece:
    if len(taken) == 1:
        return taken[0]
    inputs, labels = zip(*taken, strict=True)
    return np.concatenate(inputs), np.concatenate(labels)
