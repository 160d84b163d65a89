"""Standard input and named pipes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
from collections.abc import Iterator
from pathlib import Path

from nbt_embed.errors import StreamError
from nbt_embed.live.arrivals import Arrivals
from nbt_embed.live.flow import Flow
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.text import TextRows

BLOCK = 1 << 18  # bytes per read
_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", 1031)  # Python has this name from 3.10 on, on Linux


class PipeSource(Flow):
    """Reads a file descriptor to its end: standard input, a named pipe, a device.

    Unread bytes wait in the pipe, and block its writer. A last line without an end is a row on
    standard input; on a named pipe, which waits for its next writer, it is dropped.

    Args:
        title: name in messages.
        descriptor: of standard input; None: of the named pipe.
        path: of the named pipe or device, or None.
        options: how to read.

    Errors: StreamError: the stream ended before the first row, or that row cannot be used.
    """

    def __init__(
        self, title: str, descriptor: int | None, path: Path | None, options: SourceOptions
    ) -> None:
        super().__init__(title)
        self._path = path
        self._descriptor = _reopened(path) if descriptor is None and path else descriptor
        # A named pipe may have further writers; a device ends.
        self._goes_on = path is not None and path.is_fifo() and not options.once
        self._rows = TextRows(title, options, self.counts)
        with contextlib.suppress(OSError):  # not a pipe, or a system without this call
            fcntl.fcntl(self._file, _SET_PIPE_SIZE, 1 << 20)
        try:
            self._first = self._open()
        except BaseException:
            self.close()
            raise

    @property
    def _file(self) -> int:
        if self._descriptor is None:
            raise StreamError(f"{self.title}: is closed: open it again")
        return self._descriptor

    def _open(self) -> Arrivals:
        """Read up to the first row."""
        while True:
            found = self._read(None)
            if found is not None and self._rows.layout is not None:
                self.adopt(self._rows.layout, self._rows.notes)
                self.state = "reading"
                return found

    def _read(self, patience: float | None) -> Arrivals | None:
        """Return the next rows; None if none came in time, or before the first row."""
        poll = select.poll()
        poll.register(self._file, select.POLLIN)
        if not poll.poll(None if patience is None else max(patience, 0) * 1000):
            return None
        try:
            data = os.read(self._file, BLOCK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise StreamError(f"{self.title}: cannot be read ({error.strerror})") from error
        if data:
            return self._rows.feed(data)
        if self._goes_on and self._path is not None:
            self._rows.drop()
            os.close(self._file)
            self._descriptor = _reopened(self._path)
            return None
        self.state = "ended"
        return self._rows.finish()

    def arrivals(self, patience: float) -> Iterator[Arrivals]:
        """Yield rows as they arrive, until the writer ends."""
        if len(self._first):
            first, self._first = self._first, self.nothing()
            yield first
        while self.state != "ended":
            found = self._read(patience)
            yield self.nothing() if found is None else found

    def close(self) -> None:
        """Close the named pipe; standard input stays open."""
        if self._path is not None and self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


def _reopened(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        if os.isatty(descriptor):
            os.close(descriptor)
            raise StreamError(f"{path}: is a serial port: write serial://{path}?baud=115200")
        return descriptor
    except OSError as error:
        raise StreamError(
            f"{path}: cannot be read ({error.strerror}): check the name and its permissions"
        ) from None
