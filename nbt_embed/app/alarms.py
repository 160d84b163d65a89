"""Alarms of a stream in pieces: ``nbt_embed.alarm.events``, with the state of earlier pieces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import Float32Array


class AlarmRows:
    """Rows in which an alarm of one target begins.

    A score above the threshold is an event unless one of the ``hold_off`` scores before it was
    above (``Alarm``). So scores below the threshold need not be processed one by one.

    Args: threshold, hold_off: as for ``Alarm``.
    Attributes: last, row of the last score above the threshold, None before any.
    """

    def __init__(self, threshold: float, hold_off: int) -> None:
        self._threshold, self._hold_off = np.float32(threshold), hold_off
        self.last: int | None = None

    def told(self, start: int, scores: Float32Array) -> NDArray[np.intp]:
        """Return the rows of events among the next scores (T,), whose first row is ``start``."""
        above = start + np.flatnonzero(scores > self._threshold)
        if not above.size:
            return above
        before = np.concatenate([[-np.inf if self.last is None else self.last], above[:-1]])
        self.last = int(above[-1])
        events: NDArray[np.intp] = above[above - before > self._hold_off]
        return events
