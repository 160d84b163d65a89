"""Whole lines from bytes, however these are split."""

from __future__ import annotations

import re

LONGEST = 1 << 20  # bytes per line; longer lines are dropped
_ENDS = re.compile(rb"\r+\n?")


class Lines:
    r"""Takes bytes as they arrive and returns whole lines, each with "\n" at its end.

    A line ends with "\n", "\r\n" or "\r". Lines longer than ``LONGEST`` are dropped and counted.
    Memory: one line.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._size = 0
        self._after_return = self._skipping = False
        self.too_long = 0

    @property
    def held(self) -> int:
        """Bytes of the partial line."""
        return self._size

    @property
    def state(self) -> list[bool]:
        """Further state for the next bytes; a JSON value."""
        return [self._after_return, self._skipping]

    def restore(self, state: list[bool]) -> None:
        """Continue from a state, without the partial line."""
        self._rest, self._size = [], 0
        self._after_return, self._skipping = map(bool, state)

    def feed(self, data: bytes) -> bytes:
        """Return the lines that these bytes complete."""
        if self._after_return:
            data = data.lstrip(b"\r")
            if data:
                self._after_return = False
                data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._after_return = data.endswith(b"\r")
            data = _ENDS.sub(b"\n", data)
        cut = data.rfind(b"\n") + 1
        if not cut:
            self._hold(data)
            return b""
        if self._skipping:
            start = data.index(b"\n") + 1
            self._skipping = False
            text = data[start:cut]
        else:
            self._rest.append(data[:cut])
            text = b"".join(self._rest)
        self._rest, self._size = [], 0
        self._hold(data[cut:])
        return self._short(text) if len(text) > LONGEST else text

    def skip(self) -> None:
        """Drop the bytes up to the next line end."""
        self._skipping = True

    def finish(self) -> bytes:
        """Return the last line if it has no end."""
        text = b"".join(self._rest)
        self._rest, self._size, self._skipping = [], 0, False
        return text + b"\n" if text else b""

    def drop(self) -> bool:
        """Drop a partial line, and return whether there was one."""
        held = self._size > 0 or self._skipping
        self._rest, self._size = [], 0
        self._skipping = self._after_return = False
        return held

    def _hold(self, data: bytes) -> None:
        if self._skipping or not data:
            return
        self._rest.append(data)
        self._size += len(data)
        if self._size > LONGEST:
            self._rest, self._size = [], 0
            self._skipping = True
            self.too_long += 1

    def _short(self, text: bytes) -> bytes:
        lines = text.split(b"\n")
        kept = [line for line in lines if len(line) <= LONGEST]
        self.too_long += len(lines) - len(kept)
        return b"\n".join(kept)
