"""Bytes into files and out of them: whole and new, or as they were, never in between.

A file is replaced by a temporary one of the same folder, ``.<name>.<eight digits>.nbt-tmp``. Who
writes one keeps a lock on it (flock), which the system takes away when the process ends, however
that happens: a temporary file without a lock was left behind by a process that was killed.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import secrets
import stat
import warnings
from collections.abc import Callable
from contextlib import suppress
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
_LONGEST_NAME = 255  # bytes, where a file system does not say


def write_path(path: str, data: bytes) -> None:
    """Write a file so that a crash or a power cut at any moment leaves the old or the new one.

    The bytes go to a temporary file, are forced to the disk, and the file takes the name; then the
    folder is forced to the disk. An existing file keeps owner, group and permissions (other hard
    links keep the old content); a symbolic link stays one, and its target is written. Temporary
    files that killed processes have left in the folder are removed. A character device or a FIFO is
    written to as it is.

    Errors: OSError names the path: a directory, socket or block device, a FIFO that nobody reads,
    and what the system refuses; the old file is then untouched and no temporary file is left.
    Warns with OwnerWarning if owner or group cannot be kept.
    Cost: two waits for the disk, and reading the names of the folder.
    """
    try:
        old = Path(path).stat()
    except FileNotFoundError:  # new, or a link to what is not there yet
        old = None
    real = os.path.realpath(path) if Path(path).is_symlink() else path
    # A link of /proc/self/fd may lead to a file without a name. Another save may replace the file
    # just now, but there is one at any moment.
    if old is None or (stat.S_ISREG(old.st_mode) and (real == path or Path(real).exists())):
        _replace(real, data, old)
    else:
        _write_through(path, data, old.st_mode)


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
        if not isinstance(count, int):  # of no kind that says how much it took
            return
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


def _write_through(path: str, data: bytes, mode: int) -> None:
    """Write to what cannot be replaced."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "Is a directory: name a file in it", path)
    if stat.S_ISSOCK(mode) or stat.S_ISBLK(mode):
        kind = "socket" if stat.S_ISSOCK(mode) else "block device"
        raise OSError(errno.EINVAL, f"Is a {kind}: open it yourself, and pass the file", path)
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags | (os.O_TRUNC if stat.S_ISREG(mode) else 0))
    except OSError as error:
        if stat.S_ISFIFO(mode) and error.errno == errno.ENXIO:
            text = "Is a FIFO that nobody reads: start its reader first"
            raise OSError(errno.ENXIO, text, path) from None
        raise
    with io.FileIO(descriptor, "wb") as file:
        os.set_blocking(descriptor, True)
        write_object(file, data)


def _replace(path: str, data: bytes, old: os.stat_result | None) -> None:
    folder, name = os.path.split(path)
    directory = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    lost = ""
    try:
        _remove_left_behind(directory)
        temporary = ""
        try:
            while True:
                temporary = _temporary_name(directory, name)
                with _opened(directory, temporary, new=old is None) as file:
                    if os.fstat(file.fileno()).st_nlink == 0:
                        continue  # another save took it for one left behind, before it was locked
                    write_object(file, data)
                    if old is not None:
                        lost = _keep_owner(file.fileno(), old)
                    os.fsync(file.fileno())
                    os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
                    break
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)
            raise
        os.fsync(directory)
    finally:
        os.close(directory)
    if lost:
        warnings.warn(f"{path}: {lost}", OwnerWarning, stacklevel=4)


def _temporary_name(directory: int, name: str) -> str:
    """A name that the file system takes: it counts bytes, so a name may be cut anywhere."""
    longest = os.fstatvfs(directory).f_namemax or _LONGEST_NAME
    ending = f".{secrets.token_hex(4)}{_SUFFIX}"
    kept = os.fsencode(name)[: longest - len(ending) - 1].decode("utf-8", "ignore")
    return f".{kept}{ending}"


def _opened(directory: int, name: str, new: bool) -> io.FileIO:
    """A new file with a lock; until it has the permissions of the old one, only its owner's."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o666 if new else 0o600, dir_fd=directory)
    file = io.FileIO(descriptor, "wb")
    with suppress(OSError):  # a file system without locks: what is left behind there stays
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return file


def _remove_left_behind(directory: int) -> None:
    with suppress(OSError):  # a folder that must not be listed
        for name in filter(_TEMPORARY.fullmatch, os.listdir(directory)):
            with suppress(OSError):  # in use, or of somebody else
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                with io.FileIO(os.open(name, flags, dir_fd=directory)) as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
