"""Bytes of files, standard input, pipes and folders; compression is recognised by content."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import shutil
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from nbt_embed.errors import StreamError

STDIN = "-"
_DATA = {
    ".csv", ".tsv", ".txt", ".dat", ".tab", ".parquet", ".pq", ".feather", ".arrow", ".ipc",
    ".npy", ".npz", ".jsonl", ".ndjson",
}  # fmt: skip
_PACKED = {".gz", ".bz2", ".xz", ".zst", ".zip"}
_LIVE = re.compile(r"(mqtts?|serial)://|simulated:", re.IGNORECASE)
_LAYERS = 4  # nested archives
_HEAD = 512
# First bytes of files that are not tables, with the remedy.
_REFUSED = (
    (b"\xd0\xcf\x11\xe0", "is an Excel workbook: save its sheet as CSV"),
    (b"\x89HDF", "is an HDF5 file: write the table as CSV or Parquet"),
    (b"SQLite format 3", "is an SQLite database: write the table as CSV or Parquet"),
    (b"%PDF", "is a PDF: write the table as CSV"),
    (b"7z\xbc\xaf", "is a 7z archive: unpack it"),
    (b"Rar!", "is a RAR archive: unpack it"),
)


class Plain(Protocol):
    """Bytes without compression, read from the start to the end."""

    def read(self, size: int = -1, /) -> bytes:
        """Read up to ``size`` bytes; empty at the end."""
        ...


@dataclass(frozen=True)
class Source:
    """One file.

    Attributes: title, name in messages; path, of its bytes; found, whether it was found in a folder
    instead of named.
    """

    title: str
    path: Path
    found: bool = False

    def open(self) -> _Checked:
        """Open its uncompressed bytes. Errors: StreamError, here and while reading."""
        return _Checked(self)

    def size(self) -> int:
        """Number of bytes on the disk."""
        return self.path.stat().st_size


class _Checked:
    """Reads a source, and converts errors to messages."""

    def __init__(self, source: Source) -> None:
        self._title = source.title
        self._opened: list[Any] = []
        self._file = self._guard(lambda: self._unpack(source.path))

    def __enter__(self) -> _Checked:
        return self

    def __exit__(self, *_: object) -> None:
        for one in reversed(self._opened):
            one.close()

    @property
    def packed(self) -> bool:
        """Whether the file is compressed."""
        return len(self._opened) > 1

    def read(self, size: int = -1, /) -> bytes:
        """Read up to ``size`` bytes; empty at the end. Errors: StreamError."""
        return bytes(self._guard(lambda: self._file.read(size)))

    def position(self) -> int:
        """Number of bytes on the disk that have been read."""
        return int(self._opened[0].tell())

    def _guard(self, call: Any) -> Any:
        try:
            return call()
        except StreamError:
            self.__exit__()
            raise
        except FileNotFoundError:
            raise StreamError(f"{self._title}: no such file: check the name") from None
        except (OSError, EOFError, RuntimeError, *_DAMAGED) as error:
            self.__exit__()
            # bz2 raises an OSError without a number.
            if not isinstance(error, (OSError, RuntimeError)) or (
                isinstance(error, OSError) and error.errno is None
            ):
                raise StreamError(
                    f"{self._title}: the compressed file is cut off or damaged ({error}): fetch it "
                    "again"
                ) from error
            reason = getattr(error, "strerror", None) or error
            raise StreamError(
                f"{self._title}: cannot be read ({reason}): check the file and its permissions"
            ) from error

    def _unpack(self, path: Path) -> Plain:
        file: Any = path.open("rb")
        self._opened.append(file)
        for _ in range(_LAYERS):
            file, packed = _layer(self._title, file)
            if not packed:
                return file  # type: ignore[no-any-return]
            self._opened.append(file)
        raise StreamError(f"{self._title}: archives within archives, {_LAYERS} deep: unpack them")


class _ZstdError(Exception):
    """A damaged zstd frame."""


_DAMAGED = (zlib.error, lzma.LZMAError, zipfile.BadZipFile, _ZstdError)


class _Zstd(io.RawIOBase):
    """Frames of zstd, read from the start to the end; a truncated frame is an error."""

    def __init__(self, title: str, file: Plain) -> None:
        try:
            import zstandard
        except ImportError:
            raise StreamError(
                f"{title}: is compressed with zstd, for which the package zstandard is missing: "
                "pip install zstandard, or unpack the file"
            ) from None
        self._file, self._error = file, zstandard.ZstdError
        self._begin = zstandard.ZstdDecompressor().decompressobj
        self._frame = self._begin()
        self._open, self._rest = False, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            packed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame, self._open = self._begin(), False
            packed = packed or self._file.read(1 << 16)
            if not packed:
                if self._open:
                    raise _ZstdError("the last frame is not complete")
                return 0
            try:
                self._rest, self._open = self._frame.decompress(packed), True
            except self._error as error:
                raise _ZstdError(str(error)) from error
        count = min(len(self._rest), len(buffer))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _layer(title: str, file: Any) -> tuple[Any, bool]:
    """Remove the outermost compression, and return whether there was one."""
    if not file.seekable():
        file = io.BufferedReader(file, _HEAD)
        head = file.peek(_HEAD)[:_HEAD]
    else:
        head = file.read(_HEAD)
        file.seek(0)
    for magic, sentence in _REFUSED:
        if head.startswith(magic):
            raise StreamError(f"{title}: {sentence}")
    if head[257:262] == b"ustar":
        raise StreamError(f"{title}: is a tar archive: unpack it and name the files or the folder")
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb"), True
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file), True
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(file), True
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return io.BufferedReader(_Zstd(title, file), 1 << 16), True
    if head.startswith(b"PK\x03\x04") and not _is_npz(file):
        return _only_member(title, file), True
    if head.startswith(b"PK\x05\x06"):
        raise StreamError(f"{title}: is an archive without files: name another one")
    return file, False


def _is_npz(file: Any) -> bool:
    """Return whether a zip archive contains NumPy arrays, which makes it a table."""
    with zipfile.ZipFile(_seekable(file)) as archive:
        names = archive.namelist()
    file.seek(0)
    return bool(names) and all(name.endswith(".npy") for name in names)


def _only_member(title: str, file: Any) -> Any:
    archive = zipfile.ZipFile(_seekable(file))
    if "[Content_Types].xml" in archive.namelist():
        raise StreamError(f"{title}: is an Office document: save its sheet as CSV")
    members = [
        info
        for info in archive.infolist()
        if not info.is_dir() and not Path(info.filename).name.startswith(".")
        and not info.filename.startswith("__MACOSX/")
    ]  # fmt: skip
    if len(members) != 1:
        names = ", ".join(info.filename for info in members[:10])
        raise StreamError(
            f"{title}: the archive holds {len(members)} files ({names or 'none'}): unpack it and "
            "name one of them, several or the folder"
        )
    if members[0].flag_bits & 1:
        raise StreamError(f"{title}: {members[0].filename} is encrypted: unpack it")
    return archive.open(members[0])


def _seekable(file: Any) -> BinaryIO:
    if not file.seekable():
        raise NotImplementedError("a zip archive within an archive: unpack the outer one")
    return file  # type: ignore[no-any-return]


def sources(paths: Sequence[str | Path], folder: Path) -> tuple[list[Source], list[str]]:
    """Return the files of paths, in order, and sentences about what was left out.

    Args: paths, names of files and folders, "-" for standard input; folder, for copies of what can
    be read only once.
    Errors: StreamError.
    """
    found: list[Source] = []
    notes: list[str] = []
    if not paths:
        raise StreamError("no file: name at least one, or - for standard input")
    if sum(str(path) == STDIN for path in paths) > 1:
        raise StreamError("-: standard input is named twice: name it once")
    for path in paths:
        if str(path) == STDIN:
            found.append(_kept("standard input", sys.stdin.buffer, folder / "stdin"))
        elif _LIVE.match(str(path)):
            raise StreamError(
                f"{path}: is a live stream without an end: learn it with nbt-embed watch "
                f"{path}; to compare learners, write its rows to a file first"
            )
        elif Path(path).is_dir():
            files, left = _in_folder(Path(path))
            found += [
                replace(_of_path(file, folder, len(found) + i), found=len(files) > 1)
                for i, file in enumerate(files)
            ]
            notes += left
        else:
            found.append(_of_path(Path(path), folder, len(found)))
    _check_twice(found)
    return found, notes


def _check_twice(files: Sequence[Source]) -> None:
    """Refuse a file that is named twice, also under different names."""
    seen: dict[tuple[int, int], str] = {}
    for one in files:
        state = one.path.stat()
        key = state.st_dev, state.st_ino
        if key in seen:
            before = seen[key]
            same = "" if before == one.title else f", which is the same file as {before},"
            raise StreamError(f"{one.title}{same} is named twice: name it once")
        seen[key] = one.title


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return a sort key that orders log_2 before log_10."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(one), "") if one.isdecimal() and one.isascii() else (-1, one.casefold())
            for one in parts], path.name  # fmt: skip


def _of_path(path: Path, folder: Path, number: int) -> Source:
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return Source(str(path), path)
        with path.open("rb") as pipe:
            return _kept(str(path), pipe, folder / f"pipe{number}")
    except FileNotFoundError:
        raise StreamError(f"{path}: no such file: check the name") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StreamError(
            f"{path}: cannot be read ({reason}): check the name and the permissions"
        ) from None


def _kept(title: str, pipe: BinaryIO, path: Path) -> Source:
    """Copy a pipe to a file, since it is read more than once."""
    with path.open("wb") as file:
        shutil.copyfileobj(pipe, file, 1 << 20)
    return Source(title, path)


def _in_folder(path: Path) -> tuple[list[Path], list[str]]:
    """Return files of a folder in natural order; only those that may be tables, if any."""
    try:
        names = [one for one in path.iterdir() if not one.name.startswith(".")]
        names.sort(key=_natural)
    except OSError as error:
        raise StreamError(f"{path}: cannot be read ({error.strerror}): check the folder") from None
    files = [one for one in names if one.is_file()]
    if not files:
        raise StreamError(f"{path}: the folder holds no file: name a folder with data")
    tables = [one for one in files if _is_data(one)] or files
    left = [one.name for one in files if one not in tables]
    if not left:
        return tables, []
    return tables, [
        f"{path}: {_listed(left)} left out: not the extension of a table, such as .csv or .parquet"
    ]


def _is_data(path: Path) -> bool:
    endings = [ending.lower() for ending in path.suffixes[-2:]]
    last = endings[-1] if endings else ""
    return last in _DATA or last in _PACKED


def _listed(names: Iterable[str], most: int = 5) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def unpacked(source: Source, folder: Path, number: int) -> Path:
    """Return the path of a source's uncompressed bytes, in a copy if it is compressed."""
    path = folder / f"unpacked{number}"
    with source.open() as plain:
        if not plain.packed:
            return source.path
        with path.open("wb") as file:
            while block := plain.read(1 << 20):
                file.write(block)
    return path
