"""What every source of a live stream gives: rows, in order, as many at once as have come.

A source hands over whatever has arrived since it was last asked. A slow sensor's rows come one by
one and are answered at once; a fast one's come in blocks, so that the cost of a call is shared.
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

    Attributes: time, seconds since 1970 or since the device's own start, NaN where the row has
    none; x (n_in,) inputs and y (n_label,) targets, NaN where missing, a class by its number.
    """

    time: float
    x: Float32Array
    y: Float32Array


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Rows that came together, the oldest first; none if nothing came.

    Attributes:
        time: (n,) seconds as in ``Sample``.
        inputs: (n, n_in).
        targets: (n, n_label).
        position: where the source stands after these rows, for ``Source.seek``; a JSON value, None
            where a source cannot go back.
        remarks: what a person should be told now.
    """

    time: Float64Array
    inputs: Float32Array
    targets: Float32Array
    position: Any = None
    remarks: tuple[Remark, ...] = ()

    def __len__(self) -> int:
        """Rows, n."""
        return len(self.time)


@dataclass(frozen=True)
class Health:
    """How a source is.

    Attributes: state, a few words for people, as "connected"; counts, what happened so far by a
    name for people, as "malformed lines": only what happened at least once.
    """

    state: str
    counts: Mapping[str, int] = field(default_factory=dict)


class Source(ABC):
    """A live stream. Iterate it for samples, or take ``arrivals`` for blocks of them.

    Close it, or use it in ``with``.
    """

    title: str
    """A name for people."""
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]
    classes: tuple[str, ...] | None = None
    """Names of the classes of the one class target by number; None: targets are numbers."""
    anchor: tuple[int | None, ...]
    """For each target the input that is the same column; None if it is no input."""
    notes: tuple[str, ...] = ()
    """Sentences about what was recognised and left out."""

    @abstractmethod
    def arrivals(self, patience: float) -> Iterator[Arrivals]:
        """Rows as they come, until the stream ends.

        Args: patience, seconds after which an empty ``Arrivals`` is given although nothing came.
        """

    @property
    @abstractmethod
    def health(self) -> Health:
        """How the source is."""

    def seek(self, position: Any) -> None:
        """Go on after the rows of an ``Arrivals.position``, before the first row is asked for.

        Errors: StreamError: this source cannot, or what stood there is gone.
        """
        raise StreamError(f"{self.title}: cannot go back to {shown(position)}; begin without it")

    @abstractmethod
    def close(self) -> None:
        """Give everything back that the source holds."""

    def __iter__(self) -> Iterator[Sample]:
        """Samples as they come, until the stream ends."""
        for some in self.arrivals(1.0):
            for time, x, y in zip(some.time.tolist(), some.inputs, some.targets, strict=True):
                yield Sample(time, x, y)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def nothing(n_in: int, n_label: int, position: Any = None) -> Arrivals:
    """Arrivals without a row."""
    return Arrivals(
        np.empty(0, np.float64),
        np.empty((0, n_in), np.float32),
        np.empty((0, n_label), np.float32),
        position,
    )
