"""Files that are either as they were or whole and new, never in between."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that a crash or a power cut at any moment leaves the old or the new one.

    The bytes go to a temporary file in the same folder, are forced to the disk, and the file takes
    the name; then the folder is forced to the disk. An existing file keeps its permissions. A
    symbolic link is followed.

    Errors: OSError; the old file is then untouched and no temporary file is left.
    """
    path = path.resolve()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, _mode(path))
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _mode(path: Path) -> int:
    """Permissions of the file, or of a new one as ``open`` would make it."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
