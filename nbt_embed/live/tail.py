"""A text file that is followed as it grows, like ``tail -F``."""

from __future__ import annotations

import os
import stat
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbt_embed.errors import StreamError, shown
from nbt_embed.live.arrivals import Arrivals
from nbt_embed.live.flow import Flow
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.pipe import BLOCK
from nbt_embed.live.text import TextRows

_PAUSE = 0.02  # seconds between checks of a file that has not grown
_MARK = 64  # bytes before a position that identify it
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PAR1")


class FileSource(Flow):
    """Follows the file of a name: appended rows, and the file that replaces it.

    A replaced file is read to its end first. A truncated or rewritten file is read from its start.
    A line without an end is a row only if the file is read once.

    Args: path; options. Opening waits for the file and its first row, unless the file is read once.
    Errors: StreamError: the file is not text, or its first row cannot be used.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        super().__init__(str(path))
        self._path, self._once = path, options.once
        self._descriptor: int | None = None
        self._offset = 0  # bytes that were read
        self._mark = b""  # the last of them
        self._ended = False
        self._rows = TextRows(self.title, options, self.counts)
        try:
            self._pending = self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> Arrivals:
        while True:
            found = self._read(1.0)
            if self._rows.layout is not None:
                self.adopt(self._rows.layout, self._rows.notes)
                return found or self.nothing()

    def _read(self, patience: float) -> Arrivals | None:
        """Return the rows that arrive within ``patience`` seconds."""
        data = self._bytes(patience)
        if data:
            return self._rows.feed(data)
        if self._ended:
            return self._rows.finish()
        return None

    def _bytes(self, patience: float) -> bytes:
        until = time.monotonic() + patience
        while True:
            if self._descriptor is None:
                self._reopen()
            data = self._grown()
            if data or self._descriptor is None:
                pass
            elif self._once:
                self._ended, self.state = True, "ended"
            else:
                data = self._replaced()
            if data:
                self._offset += len(data)
                self._mark = (self._mark + data)[-_MARK:]
                self.state = "reading"
                return data
            if self._ended or time.monotonic() >= until:
                return b""
            time.sleep(min(_PAUSE, patience))

    def _grown(self) -> bytes:
        """Return the appended bytes."""
        if self._descriptor is None:
            return b""
        try:
            if os.fstat(self._descriptor).st_size < self._offset or (
                os.pread(self._descriptor, len(self._mark), self._offset - len(self._mark))
                != self._mark
            ):
                self._rewind("files cut off or written again")
            return os.pread(self._descriptor, BLOCK, self._offset)
        except OSError as error:  # for example a network file system that is not available
            self.state = f"cannot be read ({error.strerror})"
            return b""

    def _replaced(self) -> bytes:
        """Switch to the file that now has the name, after the old one is read to its end."""
        assert self._descriptor is not None
        try:
            new = self._path.stat()
        except OSError as error:
            self.state = f"waiting for the file ({error.strerror})"
            return b""
        old = os.fstat(self._descriptor)
        if (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino):
            self.state = "waiting for rows"
            return b""
        data = self._grown()  # written before the name changed
        if not data:
            os.close(self._descriptor)
            self._descriptor = None
            self._rewind("files that took the place of another")
        return data

    def _rewind(self, what: str) -> None:
        self.counts[what] += 1
        self._offset, self._mark = 0, b""
        self._rows.begin_file()

    def _reopen(self) -> None:
        try:
            self._descriptor = _opened(self._path)
        except FileNotFoundError as error:
            if self._once:
                raise StreamError(f"{self._path}: no such file: check the name") from None
            self.state = f"waiting for the file ({error.strerror})"
        except StreamError as error:
            if self._rows.layout is None:
                raise
            self.state = f"waiting for the file ({error})"
        except OSError as error:
            if self._rows.layout is None:
                raise StreamError(
                    f"{self._path}: cannot be read ({error.strerror}): check the name and the "
                    "permissions"
                ) from None
            self.state = f"waiting for the file ({error.strerror})"

    def arrivals(self, patience: float) -> Iterator[Arrivals]:
        """Yield rows as they arrive; without an end, unless the file is read once."""
        pending, self._pending = self._pending, self.nothing()
        if len(pending):
            yield self._placed(pending)
        while not self._ended:
            found = self._read(patience)
            yield self._placed(self.nothing() if found is None else found)

    def _placed(self, some: Arrivals) -> Arrivals:
        return replace(some, position=self._position())

    def _position(self) -> dict[str, Any] | None:
        """Return the position after the last whole line."""
        if self._descriptor is None:
            return None
        offset = self._offset - self._rows.held
        status = os.fstat(self._descriptor)
        return {
            "offset": offset,
            "file": [status.st_dev, status.st_ino],
            "mark": _mark_of(self._descriptor, offset),
            "text": self._rows.state,
        }

    def seek(self, position: Any) -> None:
        """Continue after the rows of a position, even if the file was renamed."""
        try:
            offset, file = int(position["offset"]), tuple(position["file"])
            mark, state = int(position["mark"]), position["text"]
        except (TypeError, KeyError, ValueError, OverflowError):
            raise StreamError(
                f"{self.title}: {shown(position)} is not a position in a file"
            ) from None
        for path in [self._path, *self._siblings(file)]:
            try:
                descriptor = _opened(path)
            except (OSError, StreamError):
                continue
            if os.fstat(descriptor).st_size >= offset and _mark_of(descriptor, offset) == mark:
                break
            os.close(descriptor)
        else:
            raise StreamError(
                f"{self.title}: the file no longer holds the {offset} bytes that were read, nor "
                "does any file next to it: start without --resume, or restore the file"
            )
        self.close()
        self._descriptor, self._offset, self._ended = descriptor, offset, False
        self._mark = os.pread(descriptor, min(_MARK, offset), offset - min(_MARK, offset))
        self._pending = self.nothing()
        self._rows.restore(state)

    def _siblings(self, file: tuple[int, ...]) -> list[Path]:
        """Return files in the same folder that are the file of a position."""
        found = []
        for path in sorted(self._path.parent.glob("*")):
            try:
                status = path.stat()
            except OSError:
                continue
            if (status.st_dev, status.st_ino) == file and path != self._path:
                found.append(path)
        return found

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


def _opened(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # do not wait for a pipe's writer
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StreamError(f"{path}: is not a file: name a text file, or - for standard input")
    if os.pread(descriptor, 8, 0).startswith(_PACKED):
        os.close(descriptor)
        raise StreamError(
            f"{path}: is compressed, or not text: unpack it into standard input with "
            f"zcat {path} | nbt-embed watch -"
        )
    return descriptor


def _mark_of(descriptor: int, offset: int) -> int:
    """Return a checksum of the bytes before a position."""
    count = min(_MARK, offset)
    return zlib.crc32(os.pread(descriptor, count, offset - count))
