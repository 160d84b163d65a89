"""What a command delivers: files as a whole, standard output, notes on standard error.

Whatever cannot be written is found out before a long run where that is possible, and is an error of
one line. Where a file is written to standard output (``-``), the text for people goes to standard
error.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from nbt_embed.errors import StreamError
from nbt_embed.files import write_path

STDOUT = "-"
OR_STDOUT = ", or - for standard output"
_PIECE = 1 << 20


@dataclass(frozen=True)
class Result:
    """What a command comes to.

    Attributes: text, for people; files, name (``-``: standard output) and content, which may be an
    open binary file that is read to its end; code, exit code; close, called once all is written.
    """

    text: str
    files: tuple[tuple[str, bytes | BinaryIO], ...] = ()
    code: int = 0
    close: Callable[[], None] = lambda: None


def deliver(result: Result) -> None:
    """Write the files, then standard output. Errors: StreamError, BrokenPipeError."""
    try:
        _deliver(result)
    finally:
        result.close()


def _deliver(result: Result) -> None:
    output = [content for name, content in result.files if name == STDOUT]
    for name, content in result.files:
        if name != STDOUT:
            _write(name, content)
    if not output:
        with to_stdout() as stream:
            stream.write(result.text)
        return
    tell(result.text)
    for content in output:
        with to_stdout() as stream:
            stream.flush()
            for piece in _pieces(content):
                stream.buffer.write(piece)


def check_targets(reads: Sequence[str], *writes: str | None) -> None:
    """Find out before a long run, not after it. Errors: StreamError.

    No file may be written twice, or be one that is read, by whatever name (hard or symbolic link,
    standard input).
    """
    taken: dict[object, str] = {}
    for read in reads:
        if read != STDOUT:
            taken[_identity(Path(read))] = read
        elif (identity := _standard_input()) is not None:
            taken[identity] = "standard input"
    names = [name for name in writes if name is not None]
    for name in names if STDOUT in names else [*names, STDOUT]:
        if name != STDOUT:
            _check_writable(name)
        identity = _identity(None if name == STDOUT else Path(name))
        if identity in taken:
            what = "standard output" if name == STDOUT else name
            other = taken[identity]
            other = "standard output" if other == STDOUT else other
            raise StreamError(f"{what}: is the same file as {other}; name another file to write")
        taken[identity] = name


@contextmanager
def to_stdout() -> Iterator[TextIO]:
    """Standard output, flushed at the end. Errors: StreamError, BrokenPipeError."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        drop(sys.stdout)
        reason = error.strerror if isinstance(error, OSError) else error
        raise StreamError(f"standard output cannot be written ({reason})") from error


def tell(text: str) -> None:
    """Write to standard error, if it can be: who cannot be told has the exit code."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()
    except (OSError, ValueError):
        drop(sys.stderr)


def note(text: str) -> None:
    """Tell something that a person should know and that is no error."""
    tell(f"nbt-embed: note: {text}\n")


def drop(stream: TextIO) -> None:
    """The interpreter flushes a stream at exit and must not meet the same failure again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _write(path: str, content: bytes | BinaryIO) -> None:
    """Replace a file as a whole, or write into what is no regular file. Errors: StreamError."""
    try:
        write_path(path, _pieces(content))
    except OSError as error:
        raise StreamError(f"{path}: cannot be written ({error.strerror})") from error


def _pieces(content: bytes | BinaryIO) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    content.seek(0)
    while piece := content.read(_PIECE):
        yield piece


def _identity(path: Path | None) -> object:
    """What two names of one file have in common (None: standard output); of null there are many."""
    with suppress(OSError, ValueError):
        found = os.fstat(sys.stdout.fileno()) if path is None else path.stat()
        null = Path(os.devnull).stat()
        same_as_null = (found.st_dev, found.st_ino) == (null.st_dev, null.st_ino)
        return object() if same_as_null else (found.st_dev, found.st_ino)
    return path and os.path.realpath(path)


def _standard_input() -> object:
    """What a file that is standard input has in common with its other names; None: it is none."""
    with suppress(OSError, ValueError, AttributeError):  # closed
        found = os.fstat(sys.stdin.fileno())
        if stat.S_ISREG(found.st_mode):
            return found.st_dev, found.st_ino
    return None


def _check_writable(name: str) -> None:
    path = Path(name)
    try:
        possible = path.parent.is_dir() and not path.is_dir()
    except (OSError, ValueError):
        possible = False
    if not possible or name.endswith(os.sep):
        raise StreamError(
            f"{name or repr(name)}: cannot be written; name a file in a directory that exists"
        )
