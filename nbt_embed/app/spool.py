"""Rows in a temporary file instead of memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbt_embed import _interrupt
from nbt_embed.errors import StreamError

ROWS = 1 << 16  # of one look at all rows


def temporary_folder() -> TemporaryDirectory[str]:
    """A folder that goes with its object: no signal can come between its making and its owner."""
    folder = None
    try:
        with _interrupt.put_off():
            folder = TemporaryDirectory(prefix="nbt-embed-")
    except BaseException:  # a signal that was put off
        if folder is not None:
            folder.cleanup()
        raise
    return folder


class Spool:
    """Rows of equal width: appended, then read anywhere.

    Attributes: rows, how many there are.
    """

    def __init__(self, path: Path, kind: DTypeLike, width: int) -> None:
        self._kind, self._width = np.dtype(kind), width
        self._file = path.open("w+b", buffering=0)
        self.rows = 0

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows (n, width), or (n,) where width is 1. Errors: StreamError (no room)."""
        block = np.ascontiguousarray(rows, self._kind)
        view = memoryview(block.reshape(-1).view(np.uint8).data)
        at = self.rows * self._width * self._kind.itemsize
        try:
            while view:
                count = os.pwrite(self._file.fileno(), view, at)
                view, at = view[count:], at + count
        except OSError as error:
            raise StreamError(
                f"{self._file.name}: cannot write rows to this temporary file "
                f"({error.strerror}): free some space, or set TMPDIR to another folder"
            ) from error
        self.rows += len(block)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """A copy of the rows from start to stop, (stop - start, width)."""
        size = self._kind.itemsize * self._width
        found = bytearray((stop - start) * size)
        view, at = memoryview(found), 0
        while at < len(found):
            count = os.preadv(self._file.fileno(), [view[at:]], start * size + at)
            if not count:
                raise OSError("the temporary file of a recording was cut off")
            at += count
        return np.frombuffer(found, self._kind).reshape(-1, self._width)

    def chunks(self, start: int, stop: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """Rows from start to stop in pieces, each with the number of its first."""
        for first in range(start, stop, ROWS):
            yield first, self.read(first, min(first + ROWS, stop))

    def cut(self, rows: int) -> None:
        """Keep the first rows alone."""
        self.rows = rows

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


class Folder:
    """A temporary folder and its spools, until a stack of contexts is closed.

    Attributes: path.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.path = Path(stack.enter_context(temporary_folder()))

    def spool(self, name: str, kind: DTypeLike, width: int) -> Spool:
        """A new spool; it replaces one of the same name."""
        made = Spool(self.path / name, kind, width)
        self._stack.callback(made.close)
        return made
