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

ROWS = 1 << 16  # rows per step through all rows


def temporary_folder() -> TemporaryDirectory[str]:
    """Create a folder that is removed with its object, also if a signal comes in between."""
    folder = None
    try:
        with _interrupt.put_off():
            folder = TemporaryDirectory(prefix="nbt-embed-")
    except BaseException:  # a postponed signal
        if folder is not None:
            folder.cleanup()
        raise
    return folder


class Spool:
    """Rows of equal width: appended, then read anywhere.

    Attributes: rows, their number.
    """

    def __init__(self, path: Path, kind: DTypeLike, width: int) -> None:
        self._kind, self._width = np.dtype(kind), width
        self._file = path.open("w+b", buffering=0)
        self.rows = 0

    def append(self, rows: NDArray[Any]) -> None:
        """Append rows (n, width), or (n,) if width is 1. Errors: StreamError (disk full)."""
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
        """Return a copy of the rows from start to stop, (stop - start, width)."""
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
        """Yield rows from start to stop in pieces, each with the number of its first row."""
        for first in range(start, stop, ROWS):
            yield first, self.read(first, min(first + ROWS, stop))

    def cut(self, rows: int) -> None:
        """Keep only the first rows."""
        self.rows = rows

    def close(self) -> None:
        """Delete the file."""
        self._file.close()


class Folder:
    """A temporary folder and its spools, until a stack of contexts is closed.

    Attributes: path.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.path = Path(stack.enter_context(temporary_folder()))

    def spool(self, name: str, kind: DTypeLike, width: int) -> Spool:
        """Return a new spool; it replaces one of the same name."""
        made = Spool(self.path / name, kind, width)
        self._stack.callback(made.close)
        return made
