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
    """Collects remarks until they are taken. Within that time they may be made in any order."""

    def __init__(self) -> None:
        self._made: set[str] = set()
        self._waiting: dict[str, Remark] = {}

    def add(self, kind: str, row: int, text: str) -> None:
        """Remark on a row, unless something of this kind was remarked on before it."""
        if kind in self._made or len(self._made) > MOST:
            return
        if kind not in self._waiting or row < self._waiting[kind].row:
            self._waiting.pop(kind, None)  # remarks on one row stay in the order of the calls
            self._waiting[kind] = Remark(row, text)

    def take(self) -> tuple[Remark, ...]:
        """The remarks since the last call, in the order of rows."""
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
        """Begin again."""
        self._made.clear()
        self._waiting.clear()


def excerpt(text: object) -> str:
    """A value or a line of the stream as a message shows it."""
    whole = text if isinstance(text, str) else str(text)
    return repr(whole[:_SHOWN] + "..." if len(whole) > _SHOWN else whole)
