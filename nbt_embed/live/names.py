"""Names under which MQTT clients call a broker: one for each client that runs, kept over a restart.

A broker disconnects a client when another one of its name comes, and it keeps messages for a client
by its name. So no two clients that run may share a name, and a client that is started again should
have the name it had. A name is made of what is read or sent, of the machine and the user, and of

* what the caller says tells this client from others (``identity``), as the file of a session; else
* the first number from 0 that no client which runs on this machine has.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import tempfile
import uuid
import zlib
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE

_MOST = 1000  # clients of one title that a machine runs


class ClientName:
    """A name that no other client of this machine has until it is released.

    Args:
        title: of what the client does, the same whenever it does the same.
        identity: tells it from others of the same title; "": a number does.

    Attributes: text. Where no file can be locked, the name is one of chance.
    """

    def __init__(self, title: str, identity: str = "") -> None:
        machine = f"{socket.gethostname()} {_address():x} {os.getuid()}"
        known = zlib.crc32(f"{machine} {title} {identity}".encode())
        self.text = f"nbt-embed-{known:08x}"
        self._lock: int | None = None
        if identity:
            return
        with suppress(OSError):
            self._lock, number = _first_free(_folder(), self.text)
            self.text += f"-{number}" if number else ""
        if self._lock is None:
            self.text += f"-{secrets.token_hex(2)}"  # 23 characters, which every broker takes

    def release(self) -> None:
        """Let another client have the name."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None


def _address() -> int:
    """The machine's hardware address, by which machines of one host name differ; 0: it has none."""
    found = uuid.getnode()
    return 0 if found >> 40 & 1 else found  # a multicast address is one of chance


def _folder() -> Path:
    """A folder for locks of this user alone. Errors: OSError: it is another's."""
    folder = Path(tempfile.gettempdir(), f"nbt-embed-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or S_IMODE(status.st_mode) != 0o700 or folder.is_symlink():
        raise PermissionError(f"{folder}: belongs to another user")
    return folder


def _first_free(folder: Path, name: str) -> tuple[int, int]:
    """The lock of the first number that is free, and the number. Errors: OSError: none is."""
    for number in range(_MOST):
        lock = os.open(folder / f"{name}-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        except OSError:
            os.close(lock)
            raise
        else:
            return lock, number
    raise OSError(f"{folder}: {_MOST} clients run")
