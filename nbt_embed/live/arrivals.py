"""The interface of every source of a live stream: blocks of the rows that have arrived, in order.

A source returns all rows that have arrived since the last request. Rows of a slow sensor come one
at a time and are answered at once. Rows of a fast sensor come in blocks, which share the cost of a
call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbt_embed.arrays import Float32Array, Float64Array
from nbt_embed.errors import StreamError, shown
from nbt_embed.live.remarks import Remark

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on


class Sample(NamedTuple):
    """One row of a live stream.

    Attributes: time, seconds since 1970 or since the start of the device, NaN if the row has none;
    x (n_in,) inputs and y (n_label,) targets, NaN where missing; a class is its number.
    """

    time: float
    x: Float32Array
    y: Float32Array


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Rows that arrived together, oldest first; empty if none arrived.

    Attributes:
        time: (n,) seconds as in ``Sample``.
        inputs: (n, n_in).
        targets: (n, n_label).
        position: position of the source after these rows, for ``Source.seek``; a JSON value, None
            if the source cannot return to it.
        remarks: messages to show at once.
    """

    time: Float64Array
    inputs: Float32Array
    targets: Float32Array
    position: Any = None
    remarks: tuple[Remark, ...] = ()

    def __len__(self) -> int:
        """Number of rows, n."""
        return len(self.time)


@dataclass(frozen=True)
class Health:
    """State of a source.

    Attributes: state, a few words such as "connected"; counts, numbers of events by a readable name
    such as "malformed lines", only those above zero.
    """

    state: str
    counts: Mapping[str, int] = field(default_factory=dict)


class Source(ABC):
    """A live stream. Iterate over it for samples, or use ``arrivals`` for blocks of them.

    Close it, or use it in ``with``.
    """

    title: str
    """Name for messages."""
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]
    classes: tuple[str, ...] | None = None
    """Names of the classes of the class target, by number; None: targets are numbers."""
    anchor: tuple[int | None, ...]
    """For each target the index of the input of the same column; None if it is not an input."""
    notes: tuple[str, ...] = ()
    """Sentences about what was recognised and left out."""

    @abstractmethod
    def arrivals(self, patience: float) -> Iterator[Arrivals]:
        """Yield rows as they arrive, until the stream ends.

        Args: patience, seconds without rows after which an empty ``Arrivals`` is yielded.
        """

    @property
    @abstractmethod
    def health(self) -> Health:
        """State of the source."""

    def seek(self, position: Any) -> None:
        """Continue after the rows of an ``Arrivals.position``; call it before reading.

        Errors: StreamError: the source has no positions, or its content has changed.
        """
        raise StreamError(
            f"{self.title}: cannot return to {shown(position)}; start without a position"
        )

    @abstractmethod
    def close(self) -> None:
        """Release the resources of the source."""

    def __iter__(self) -> Iterator[Sample]:
        """Yield samples as they arrive, until the stream ends."""
        for some in self.arrivals(1.0):
            for time, x, y in zip(some.time.tolist(), some.inputs, some.targets, strict=True):
                yield Sample(time, x, y)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def nothing(n_in: int, n_label: int, position: Any = None) -> Arrivals:
    """Return arrivals without rows."""
    return Arrivals(
        np.empty(0, np.float64),
        np.empty((0, n_in), np.float32),
        np.empty((0, n_label), np.float32),
        position,
    )
