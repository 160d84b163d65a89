"""Output to standard output or a growing file. Every block is written at once."""

from __future__ import annotations

import os
import select
import sys
from typing import Any

from nbt_embed.errors import StreamError
from nbt_embed.output import STDOUT


class Out:
    """Output of answers to standard output (``-``) or to the end of a file.

    Args: name; resumed, the saved result of ``mark``: the file is cut there, so that no row is
    written twice; or None for a new file.
    Errors: StreamError.
    """

    def __init__(self, name: str, resumed: Any = None) -> None:
        self._name, self._file = name, None
        self._begun = False
        if name == STDOUT:
            sys.stdout.flush()
            self._descriptor = sys.stdout.fileno()
            return
        before = resumed if isinstance(resumed, dict) else {}
        goes_on = before.get("file") == os.path.realpath(name)
        flags = os.O_WRONLY | os.O_CREAT | (0 if goes_on else os.O_TRUNC)
        try:
            self._descriptor = os.open(name, flags, 0o666)
            size, kept = os.fstat(self._descriptor).st_size, before.get("bytes")
            if goes_on and type(kept) is int and 0 < kept <= size:
                os.ftruncate(self._descriptor, kept)
                self._begun = True
            if goes_on and size:
                os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError as error:
            raise StreamError(
                f"--out {name}: cannot be written ({error.strerror}): name another file"
            ) from None
        self._file = os.fdopen(self._descriptor, "wb", buffering=0)

    def begin(self, header: bytes) -> None:
        """Write the header, unless a resumed file has it. Errors: as ``write``."""
        if not self._begun:
            self.write(header)

    def write(self, data: bytes) -> None:
        """Write all bytes. Errors: BrokenPipeError, StreamError."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:  # a non-blocking pipe
                select.select([], [self._descriptor], [])
            except BrokenPipeError:
                raise
            except OSError as error:
                what = "standard output" if self._name == STDOUT else f"--out {self._name}"
                raise StreamError(
                    f"{what}: cannot be written ({error.strerror}): free some space, or name "
                    "another place"
                ) from error

    def mark(self) -> Any:
        """Return the position in the file after forcing it to disk; None for standard output."""
        if self._file is None:
            return None
        try:
            os.fsync(self._descriptor)
        except OSError:  # a device
            return None
        return {
            "file": os.path.realpath(self._name),
            "bytes": os.lseek(self._descriptor, 0, os.SEEK_CUR),
        }

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
