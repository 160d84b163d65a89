"""Bytes into files and out of them: whole and new, or as they were, never in between.

A file is replaced by a temporary one of the same folder, ``.<name>.<eight digits>.nbt-tmp``. Who
writes one keeps a lock on it (flock), which the system takes away when the process ends, however
that happens: a temporary file without a lock was left behind by a process that was killed.
"""

from __future__ import annotations

import errno
import fcntl
import io
import operator
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from nbt_embed.errors import InputError, InputTypeError, OwnerWarning


class Writable(Protocol):
    """An open binary file to write to."""

    def write(self, data: bytes, /) -> object:
        """Take the bytes, or the first of them; returns how many, if it says so."""
        ...


class Readable(Protocol):
    """An open binary file to read from."""

    def read(self) -> bytes:
        """Some bytes; none at the end."""
        ...


_SUFFIX = ".nbt-tmp"
_TEMPORARY = re.compile(rf"\..*\.[0-9a-f]{{8}}{re.escape(_SUFFIX)}", re.DOTALL)
_DESCRIPTORS = re.compile(r"/proc/\d+(/task/\d+)?/fd")
_LONGEST_NAME = 255  # bytes, where a file system does not say


def write_path(path: str, data: bytes | Iterable[bytes]) -> None:
    """Write a file so that a crash or a power cut at any moment leaves the old or the new one.

    The bytes go to a temporary file, are forced to the disk, and the file takes the name; then the
    folder is forced to the disk. An existing file keeps owner, group and permissions (other hard
    links keep the old content); a symbolic link stays one, and its target is written. Temporary
    files that killed processes have left in the folder are removed. A character device, a FIFO
    or an open file by its name in /dev/fd or /proc/self/fd is written to as it is.

    Errors: OSError names the path: a directory, socket or block device, a FIFO without a reader,
    and what the system refuses; the old file is then untouched and no temporary file is left.
    Warns with OwnerWarning if owner or group cannot be kept.
    Cost: two waits for the disk, and reading the names of the folder.
    """
    pieces = [data] if isinstance(data, bytes) else data
    try:
        try:
            old = os.stat(path)  # noqa: PTH116  # Path would drop a slash at the end
        except FileNotFoundError:  # new, or a link to what is not there yet
            old = None
        if old is None or (stat.S_ISREG(old.st_mode) and not _is_descriptor(path)):
            _replace(os.path.realpath(path) if Path(path).is_symlink() else path, pieces, old)
        else:
            _write_through(path, pieces, old.st_mode)
    except OSError as error:
        if error.errno is None or error.filename == path:
            raise
        raise OSError(error.errno, error.strerror, path) from error


def write_object(file: Any, data: bytes) -> None:
    """Write all bytes to an open binary file; one that takes only some is given the rest.

    Errors: InputTypeError (opened as text, no file), InputError (closed), OSError.
    """
    write = _method(file, "write", "wb")
    rest = memoryview(data)
    while rest:
        try:
            count = write(data if len(rest) == len(data) else rest)
        except TypeError as error:
            raise _text_error(file, "wb") from error
        if count is None and isinstance(file, io.RawIOBase):
            raise BlockingIOError(errno.EAGAIN, "the file takes no bytes now: make it blocking")
        if isinstance(count, bool) or not hasattr(count, "__index__"):
            return  # of no kind that says how much it took
        count = operator.index(count)
        if not 0 < count <= len(rest):
            raise OSError(errno.EIO, f"write() took {count} of {len(rest)} bytes")
        rest = rest[count:]


def read_object(file: Any) -> bytes:
    """All bytes of an open binary file, to its end. Errors: as ``write_object``."""
    read = _method(file, "read", "rb")
    pieces: list[bytes] = []
    while True:
        piece = read()
        if isinstance(piece, str):
            raise _text_error(file, "rb")
        if piece is None:
            raise BlockingIOError(errno.EAGAIN, "the file has no bytes yet: make it blocking")
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def read_file(file: str | os.PathLike[str] | Readable) -> tuple[str, bytes]:
    """What messages call the file, a path or an open one, and its bytes. Errors: as above."""
    if isinstance(file, (str, bytes, os.PathLike)):
        name = os.fsdecode(file)
        return name, Path(name).read_bytes()
    return str(getattr(file, "name", "the file")), read_object(file)


def _method(file: Any, name: str, mode: str) -> Callable[..., Any]:
    """The method, if the file is one, open, and binary."""
    method = getattr(file, name, None)
    if not callable(method):
        raise InputTypeError(
            f"file is {type(file).__name__}: expected a path or an open binary file"
        )
    if isinstance(file, io.TextIOBase):
        raise _text_error(file, mode)
    if getattr(file, "closed", False):
        raise InputError(f"file is closed: open it with mode {mode!r}, or pass its path")
    return method  # type: ignore[no-any-return]  # callable, and what it gives is looked at


def _text_error(file: Any, mode: str) -> InputTypeError:
    return InputTypeError(
        f"file is {type(file).__name__}, a text file: expected a binary one; open it with mode "
        f"{mode!r}, or pass its buffer"
    )


def _is_descriptor(path: str) -> bool:
    """Whether a path is an open file of a process, as /dev/stdout and /proc/self/fd/3.

    Whoever holds such a file would not see that another one has taken its name, if it has one.
    """
    while os.path.islink(path):  # noqa: PTH114  # the same
        folder = os.path.realpath(os.path.dirname(path))  # noqa: PTH120  # the same
        if _DESCRIPTORS.fullmatch(folder):
            return True
        path = os.path.join(folder, os.readlink(path))  # noqa: PTH115, PTH118  # the same
    return False


def _write_through(path: str, pieces: Iterable[bytes], mode: int) -> None:
    """Write to what cannot be replaced."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "Is a directory: name a file in it", path)
    if stat.S_ISSOCK(mode) or stat.S_ISBLK(mode):
        kind = "socket" if stat.S_ISSOCK(mode) else "block device"
        raise OSError(errno.EINVAL, f"Is a {kind}: open it yourself, and pass the file", path)
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK
    try:
        with _open(path, flags | (os.O_TRUNC if stat.S_ISREG(mode) else 0)) as descriptor:
            os.set_blocking(descriptor, True)
            _write_pieces(descriptor, pieces)
    except OSError as error:
        if stat.S_ISFIFO(mode) and error.errno == errno.ENXIO:
            text = "Is a FIFO without a reader: start its reader first"
            raise OSError(errno.ENXIO, text, path) from None
        raise


def _replace(path: str, pieces: Iterable[bytes], old: os.stat_result | None) -> None:
    folder, name = os.path.split(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    mode = 0o666 if old is None else 0o600  # until it has the permissions of the old one
    lost = ""
    with _open(folder or ".", os.O_RDONLY | os.O_DIRECTORY) as directory:
        _remove_left_behind(directory)
        temporary = ""
        try:
            while True:
                temporary = _temporary_name(directory, name)
                with _open(temporary, flags, mode, directory) as descriptor:
                    with suppress(OSError):  # without locks, what is left behind there stays
                        fcntl.flock(descriptor, fcntl.LOCK_EX)
                    if os.fstat(descriptor).st_nlink == 0:
                        continue  # another save took it for one left behind, before it was locked
                    _write_pieces(descriptor, pieces)
                    if old is not None:
                        lost = _keep_owner(descriptor, old)
                    os.fsync(descriptor)
                    os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
                    break
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)
            raise
        os.fsync(directory)
    if lost:
        warnings.warn(f"{path}: {lost}", OwnerWarning, stacklevel=4)


def _write_pieces(descriptor: int, pieces: Iterable[bytes]) -> None:
    file = io.FileIO(descriptor, "wb", closefd=False)
    for piece in pieces:
        write_object(file, piece)


def _temporary_name(directory: int, name: str) -> str:
    """A name that the file system takes: it counts bytes, so a name may be cut anywhere."""
    longest = os.fstatvfs(directory).f_namemax or _LONGEST_NAME
    ending = f".{os.urandom(4).hex()}{_SUFFIX}"
    kept = os.fsencode(name)[: longest - len(ending) - 1].decode("utf-8", "ignore")
    return f".{kept}{ending}"


@contextmanager
def _open(path: str, flags: int, mode: int = 0, directory: int | None = None) -> Iterator[int]:
    """A descriptor that is closed at the end, also where Ctrl-C comes at the wrong moment."""
    held: list[int] = []
    try:
        # One step of the interpreter: nothing can come between the opening and the list.
        held.extend(
            map(partial(os.open, mode=mode, dir_fd=directory), [path], [flags | os.O_CLOEXEC])
        )
        yield held[0]
    finally:
        for descriptor in held:
            os.close(descriptor)


def _remove_left_behind(directory: int) -> None:
    with suppress(OSError):  # a folder that must not be listed
        for name in filter(_TEMPORARY.fullmatch, os.listdir(directory)):
            with suppress(OSError):  # in use, or of somebody else
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
                with _open(name, flags, directory=directory) as descriptor:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(name, dir_fd=directory)


def _keep_owner(descriptor: int, old: os.stat_result) -> str:
    """Give the file the owner and the permissions of the old one; returns what was not possible."""
    mode, mine = stat.S_IMODE(old.st_mode), os.fstat(descriptor)
    lost = ""
    if (mine.st_uid, mine.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except OSError:
            lost = f"the owner was {old.st_uid} and is {mine.st_uid} now"
            mode &= 0o777  # never with somebody else's set-user-id
            try:
                os.fchown(descriptor, -1, old.st_gid)
            except OSError:
                lost += f", the group was {old.st_gid} and is {mine.st_gid}"
                mode &= ~0o070 | mode << 3  # another group gets what everybody has
            lost += ": only root can give a file to another user"
    os.fchmod(descriptor, mode)
    return lost
