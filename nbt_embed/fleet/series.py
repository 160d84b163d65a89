"""Sources of the samples of a fleet.

A ``Series`` can be read for each device from any row on, so any worker can run a device, also after
another worker was lost. ``TimeBlocks`` (nbt_embed/fleet/sources.py) can be read only once, all
devices at the same time.
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
"""Rows that a source gives at once where it may choose."""

ANCHOR_ROWS = 1000
"""First rows in which anchors are looked for where a device's stream comes in pieces."""

Piece = tuple[Float32Array, Float32Array]
"""Inputs (t, n_in) and labels (t, n_label) of the same rows, float32, NaN where missing."""


class Series(ABC):
    """Samples of n devices; picklable, so that workers elsewhere can read it.

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
        """The rows of a device in order, from row ``start`` on, in pieces of any length.

        The lengths of the pieces change no bit of a result. The same call gives the same rows.
        Errors: NbtError if the device's rows cannot be used; the others go on without it.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Text that changes when the samples do: a run does not resume with other samples."""

    def head(self, device: int) -> Piece:
        """The rows in which the anchors of a device are looked for (``Learner.find_anchor``).

        Where the whole stream is at hand that is all of it, as in ``Learner.run``; else the first
        ``ANCHOR_ROWS`` rows, however they are cut.
        """
        return first_rows(checked(self, self.pieces(device)), ANCHOR_ROWS)

    def name(self, device: int) -> str:
        """What the device is called in results."""
        return str(device)

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        """(n,) rows of every device, None where only reading tells: jobs are cut by them."""
        return None

    def only(self, devices: range) -> Series:  # noqa: ARG002  # of those that can leave some out
        """The same for these devices alone, which keep their numbers: what a worker is sent."""
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
    """What each thread has read last: a device's anchors and rows are asked for one after another.

    It is pickled empty.
    """

    def __init__(self) -> None:
        self._device = -1
        self._stream: Piece | None = None

    def get(self, device: int) -> Piece | None:
        """The stream of a device, if it was the last one."""
        if self._device != device:
            self._stream = None  # two of them would be twice the memory
        return self._stream

    def put(self, device: int, stream: Piece) -> Piece:
        """Remember a stream; returns it."""
        self._device, self._stream = device, stream
        return stream

    def __reduce__(self) -> tuple[type[Held], tuple[()]]:
        return Held, ()


def first_rows(pieces: Iterable[Piece], rows: int) -> Piece:
    """The first rows together, fewer where there are no more."""
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
    """The pieces of a device as arrays of float32. Errors: InputError, InputTypeError."""
    for piece in pieces:
        if not isinstance(piece, tuple) or len(piece) != 2:
            raise InputTypeError(
                f"pieces gave {type(piece).__name__}: expected pairs of arrays, (t, n_in) and "
                "(t, n_label)"
            )
        x = table("X", float32("X", piece[0]), series.n_in)
        y = x if piece[1] is piece[0] else table("Y", float32("Y", piece[1]), series.n_out)
        if len(x) != len(y):
            raise InputError(f"pieces gave {len(x)} rows of inputs and {len(y)} of labels")
        yield x, y


def cut(pieces: Iterable[Piece], rows: int) -> Iterator[Piece]:
    """The same rows, ``rows`` at once but for the last ones."""
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
