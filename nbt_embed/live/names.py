"""Client identifiers of MQTT: unique among running clients, and stable over a restart.

A broker disconnects a client when another one with its identifier connects, and it keeps messages
per identifier. So no two running clients may share an identifier, and a restarted client needs its
previous one. An identifier is derived from what is read or sent, the machine, the user, and

* what the caller names to distinguish this client (``identity``), such as the file of a session;
  else
* the first number from 0 that no running client on this machine has.
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

_MOST = 1000  # clients of one title on a machine


class ClientName:
    """A client identifier that no other client of this machine has until it is released.

    Args:
        title: of the client's task; the same task has the same title.
        identity: distinguishes clients of the same title; "": a number does.

    Attributes: text. If no file can be locked, its end is random.
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
            self.text += f"-{secrets.token_hex(2)}"  # 23 characters, which every broker accepts

    def release(self) -> None:
        """Release the identifier for other clients."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None


def _address() -> int:
    """Return the hardware address, which differs between machines with one host name; 0: none."""
    found = uuid.getnode()
    return 0 if found >> 40 & 1 else found  # a multicast address is random


def _folder() -> Path:
    """Return a folder for locks of this user. Errors: OSError: it belongs to another user."""
    folder = Path(tempfile.gettempdir(), f"nbt-embed-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or S_IMODE(status.st_mode) != 0o700 or folder.is_symlink():
        raise PermissionError(f"{folder}: belongs to another user")
    return folder


def _first_free(folder: Path, name: str) -> tuple[int, int]:
    """Return the lock of the first free number, and the number. Errors: OSError: none is free."""
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
