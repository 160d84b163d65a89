"""Messages about malformed data in a running stream: the first of each kind, limited in number."""

from __future__ import annotations

from typing import NamedTuple

MOST = 8  # remarks per stream; later events are only counted
_SHOWN = 40  # characters of the stream's text in a message


class Remark(NamedTuple):
    """A sentence about a row. Attributes: row, its index in the arrivals; text."""

    row: int
    text: str


class Remarks:
    """Collects remarks, in any order, until they are taken."""

    def __init__(self) -> None:
        self._made: set[str] = set()
        self._waiting: dict[str, Remark] = {}

    def add(self, kind: str, row: int, text: str) -> None:
        """Add a remark on a row, unless one of this kind concerns an earlier row."""
        if kind in self._made or len(self._made) > MOST:
            return
        if kind not in self._waiting or row < self._waiting[kind].row:
            self._waiting.pop(kind, None)  # remarks on one row keep the order of the calls
            self._waiting[kind] = Remark(row, text)

    def take(self) -> tuple[Remark, ...]:
        """Return the remarks since the last call, in the order of rows."""
        found: list[Remark] = []
        for kind, remark in sorted(self._waiting.items(), key=lambda one: one[1].row):
            self._made.add(kind)
            if len(self._made) > MOST:
                text = "more malformed data has arrived; from here on it is only counted"
                found.append(remark._replace(text=text))
                break
            found.append(remark)
        self._waiting.clear()
        return tuple(found)

    def forget(self) -> None:
        """Forget all remarks."""
        self._made.clear()
        self._waiting.clear()


def excerpt(text: object) -> str:
    """Shorten a value or a line of the stream for a message."""
    whole = text if isinstance(text, str) else str(text)
    return repr(whole[:_SHOWN] + "..." if len(whole) > _SHOWN else whole)
