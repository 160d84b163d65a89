"""A serial port: lines of text or binary frames, from a device that may be unplugged."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import serial
from serial.tools import list_ports

from nbt_embed.errors import StreamError
from nbt_embed.live.arrivals import Arrivals
from nbt_embed.live.backoff import Backoff
from nbt_embed.live.flow import Flow
from nbt_embed.live.framed_rows import FramedRows
from nbt_embed.live.frames import FrameForm
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.text import TextRows
from nbt_embed.live.where import parse

_BLOCK = 1 << 16
_QUIET = 0.1  # seconds after which the first byte begins a line; earlier it may be within one
_LOOK = 0.1  # seconds between checks for an absent device
_PARITIES = {"none": "N", "even": "E", "odd": "O"}


class _Port(serial.Serial):  # type: ignore[misc]  # published without types
    """A port that keeps what the device has sent before it is opened."""

    def _reset_input_buffer(self) -> None:
        """Keep the input buffer."""


class SerialSource(Flow):
    """Rows of a serial port.

    Partial lines and frames, at opening or unplugging, are dropped. ``Clock`` recognises repeated
    rows by their time, or by their number.

    Args: where, ``serial:///dev/ttyUSB0?baud=115200&...``: baud; parity; stopbits; frame, fields of
    a binary frame such as ``u32:seq,u32:t_ms,f32:temp``; order of its bytes, ``little`` or ``big``.
    options. Opening waits for the first row.
    Errors: StreamError: the port does not exist, or cannot be used.
    """

    def __init__(self, where: str, options: SourceOptions) -> None:
        said = parse(where, ("baud", "parity", "stopbits", "frame", "order"))
        self._device = "/" + said.path.lstrip("/")
        super().__init__(f"serial://{self._device}")
        said = replace(said, path=self._device.lstrip("/"))
        if said.host or said.path == "":
            raise StreamError(f"{where}: name a device, such as serial:///dev/ttyUSB0?baud=115200")
        self._settings: dict[str, Any] = {
            "baudrate": said.whole("baud", 115200, 50, 20_000_000),
            "parity": _PARITIES[said.choice("parity", "none", _PARITIES)],
            "stopbits": said.whole("stopbits", 1, 1, 2),
        }
        big = said.choice("order", "little", ("little", "big")) == "big"
        self._rows: TextRows | FramedRows
        if "frame" in said.said:
            form = FrameForm.parse(self.title, said.said["frame"], big)
            self._rows = FramedRows(self.title, form, options, self.counts)
        else:
            self._rows = TextRows(self.title, options, self.counts)
        self._port: Any = None
        self._backoff = Backoff()
        self._opened_at = self._again = 0.0  # time of opening, earliest time of the next attempt
        self._aligned = False  # whether bytes have come since opening
        self._open()
        try:
            self._pending = self._up_to_first_row()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        try:
            self._connect()
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise StreamError(
                f"{self.title}: cannot be opened ({_words(error)}): check the name, the "
                f"permissions, and that no other program has it open; there are {_ports()}"
            ) from None

    def _connect(self) -> None:
        self._port = _Port(self._device, timeout=0, exclusive=True, **self._settings)
        self._opened_at, self._aligned = time.monotonic(), False
        self.state = "connected"

    def _up_to_first_row(self) -> Arrivals:
        while True:
            found = self._read(1.0)
            if found is not None and self._rows.layout is not None:
                self.adopt(self._rows.layout, self._rows.notes)
                return found

    def _read(self, patience: float) -> Arrivals | None:
        """Return rows within ``patience`` seconds; None if none came, or before the first."""
        if self._port is None:
            self._reconnect(patience)
            return None
        poll = select.poll()
        try:
            descriptor = self._port.fileno()
            poll.register(descriptor, select.POLLIN)
            if not poll.poll(max(patience, 0) * 1000):
                return None
            data = os.read(descriptor, _BLOCK)
        except BlockingIOError:
            return None
        except OSError as error:
            self._lost(_words(error))
            return None
        if not data:
            self._lost("the device has disappeared")
            return None
        if not self._aligned:
            self._aligned = True
            if time.monotonic() - self._opened_at < _QUIET:
                self._rows.doubt()
        return self._rows.feed(data)

    def _lost(self, reason: str) -> None:
        """Handle an unplugged device."""
        self.close()
        self._rows.drop()
        if self._aligned:  # bytes had come, so opening had succeeded
            self._backoff = Backoff()
        self.counts["times unplugged"] += 1
        self.state = f"unplugged ({reason})"
        self._again = time.monotonic() + self._backoff.next()

    def _reconnect(self, patience: float) -> None:
        """Reopen the device if it returns within ``patience`` seconds."""
        until = time.monotonic() + patience
        while (now := time.monotonic()) < until:
            if now < self._again or not Path(self._device).exists():
                time.sleep(min(_LOOK, until - now))
                continue
            try:
                self._connect()
            except (OSError, ValueError) as error:
                self.state = f"unplugged ({_words(error)})"
                self._again = now + self._backoff.next()
            else:
                return

    def arrivals(self, patience: float) -> Iterator[Arrivals]:
        """Yield rows as they arrive, without an end."""
        pending, self._pending = self._pending, self.nothing()
        if len(pending):
            yield pending
        while True:
            found = self._read(patience)
            yield self.nothing() if found is None else found

    def close(self) -> None:
        """Close the port."""
        if self._port is not None:
            with contextlib.suppress(OSError):
                self._port.close()
        self._port = None


def _words(error: Exception) -> str:
    """Return the system's reason, without the library's text around it."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


def _ports() -> str:
    """Return the names of the ports of this machine."""
    return ", ".join(sorted(port.device for port in list_ports.comports())) or "none"
