"""What a person should be told of a stream while it runs: of each kind the first, and no flood."""

from __future__ import annotations

from typing import NamedTuple

MOST = 8  # remarks on one stream; what comes after them is counted alone
_SHOWN = 40  # characters of a text of the stream


class Remark(NamedTuple):
    """A sentence about a row. Attributes: row, of the arrivals that it comes with; text."""

    row: int
    text: str


class Remarks:
    """Collects remarks until they are taken."""

    def __init__(self) -> None:
        self._made: set[str] = set()
        self._waiting: list[Remark] = []

    def add(self, kind: str, row: int, text: str) -> None:
        """Remark on a row, unless something of this kind was remarked on before."""
        if kind in self._made or len(self._made) > MOST:
            return
        self._made.add(kind)
        if len(self._made) > MOST:
            text = "more malformed data has arrived; from here on it is only counted"
        self._waiting.append(Remark(row, text))

    def take(self) -> tuple[Remark, ...]:
        """The remarks since the last call, in the order of rows."""
        found, self._waiting = sorted(self._waiting, key=lambda one: one.row), []
        return tuple(found)

    def forget(self) -> None:
        """Begin again."""
        self._made.clear()
        self._waiting.clear()


def excerpt(text: object) -> str:
    """A value or a line of the stream as a message shows it."""
    whole = text if isinstance(text, str) else str(text)
    return repr(whole[:_SHOWN] + "..." if len(whole) > _SHOWN else whole)
