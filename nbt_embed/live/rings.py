"""The last rows of a stream, in constant memory."""

from __future__ import annotations

import numpy as np

from nbt_embed.app.tracks import Pieces
from nbt_embed.arrays import Float64Array

_MOST_POINTS = 256


class Ring:
    """The last rows that were added.

    Args: rows, the most that are kept; width, of a row.
    """

    def __init__(self, rows: int, width: int) -> None:
        self._rows: Float64Array = np.full((rows, width), np.nan)
        self._next = self._filled = 0

    def add(self, rows: Float64Array) -> None:
        """Add rows (T, width), newest last. Cost: O(T), at most the size of the ring."""
        size = len(self._rows)
        new = rows[-size:]
        end = self._next + len(new)
        first = new[: size - self._next]
        self._rows[self._next : self._next + len(first)] = first
        self._rows[: len(new) - len(first)] = new[len(first) :]
        self._next, self._filled = end % size, min(self._filled + len(new), size)

    @property
    def rows(self) -> Float64Array:
        """(k, width) rows, oldest first; a copy."""
        if self._filled < len(self._rows):
            return self._rows[: self._filled].copy()
        return np.roll(self._rows, -self._next, axis=0)

    @property
    def mean(self) -> Float64Array:
        """(width,) means of the kept rows without NaN, NaN if there is no number."""
        kept = self._rows[: self._filled]
        known = ~np.isnan(kept)
        count = known.sum(axis=0)
        total = np.where(known, kept, 0.0).sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def __len__(self) -> int:
        """Number of kept rows."""
        return self._filled


class History:
    """Sums of losses over the whole stream, at no more than 256 points.

    At this limit, every second point is removed, and further points come half as often. Sums are
    cumulative, so the mean between two points remains exact.
    """

    def __init__(self) -> None:
        self.pieces = Pieces()
        self._every, self._since = 8, 0

    def due(self, rows: int) -> bool:
        """Count rows, and return whether a point is due, which the caller adds to ``pieces``."""
        self._since += rows
        if self._since < self._every:
            return False
        self._since = 0
        pieces = self.pieces
        if len(pieces.rows) >= _MOST_POINTS:
            for points in (pieces.rows, pieces.times, pieces.losses, pieces.counts, pieces.trust):
                del points[::2]
            self._every *= 2
        return True
