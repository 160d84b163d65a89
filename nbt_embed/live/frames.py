"""Binary frames of a serial line, with a checksum, and found again after noise.

A frame is a structure of numbers and its CRC-32 (as in zlib, four bytes, the lowest first). It is
encoded with consistent overhead byte stuffing (COBS: Cheshire and Baker, IEEE/ACM Transactions on
Networking 7(2), 1999) and terminated by a zero, the only zero byte in it.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbt_embed.errors import StreamError

LONGEST = 1 << 14  # bytes of a frame; more is noise
MALFORMED_FRAMES = "malformed frames"
_CODES = {
    "u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q",
    "f32": "f", "f64": "d",
}  # fmt: skip
_CHECK = 4  # bytes of the checksum


@dataclass(frozen=True)
class FrameForm:
    """The fields of a frame.

    Attributes: names of the fields; kinds, one each, such as ``u32`` or ``f32``; order, ``<`` or
    ``>``.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    order: str

    @classmethod
    def parse(cls, title: str, text: str, big: bool) -> FrameForm:
        """Parse a text such as ``u32:seq,f32:temp``. Errors: StreamError."""
        names, kinds = [], []
        for part in text.split(","):
            kind, colon, name = part.strip().partition(":")
            if kind not in _CODES or not colon or not name or name in names:
                raise StreamError(
                    f"{title}: frame: {part!r}: write each field once as type:name, with a type "
                    f"of {', '.join(_CODES)}"
                )
            names.append(name)
            kinds.append(kind)
        return cls(tuple(names), tuple(kinds), ">" if big else "<")

    @property
    def layout(self) -> struct.Struct:
        """Layout of the bytes before the checksum."""
        return struct.Struct(self.order + "".join(_CODES[kind] for kind in self.kinds))

    def bits(self, name: str) -> int | None:
        """Return the bits of an unsigned field, which overflows to zero; None for other fields."""
        kind = self.kinds[self.names.index(name)]
        return int(kind[1:]) if kind.startswith("u") else None


def stuffed(data: bytes) -> bytes:
    """Encode bytes by COBS, with a terminating zero."""
    found = bytearray()
    for piece in data.split(b"\x00"):
        while len(piece) >= 254:
            found += b"\xff" + piece[:254]
            piece = piece[254:]
        found.append(len(piece) + 1)
        found += piece
    return bytes(found) + b"\x00"


def unstuffed(data: bytes) -> bytes | None:
    """Decode COBS bytes without their terminating zero; None if they are not valid."""
    found = bytearray()
    place = 0
    while place < len(data):
        code = data[place]
        end = place + code
        if code == 0 or end > len(data):
            return None
        found += data[place + 1 : end]
        place = end
        if code < 255 and place < len(data):
            found.append(0)
    return bytes(found)


def framed(form: FrameForm, values: Sequence[float]) -> bytes:
    """Encode a frame as a device sends it."""
    data = form.layout.pack(*values)
    return stuffed(data + zlib.crc32(data).to_bytes(_CHECK, "little"))


class Frames:
    """Takes bytes as they arrive and returns the values of whole frames. Memory: one frame."""

    def __init__(self, form: FrameForm, counts: Counter[str]) -> None:
        self._layout, self._counts = form.layout, counts
        self._rest = b""
        self._noise = False

    def feed(self, data: bytes) -> list[tuple[Any, ...]]:
        """Return the frames that these bytes complete."""
        *whole, rest = data.split(b"\x00")
        found = []
        for piece in whole:
            frame, self._rest = self._rest + piece, b""
            noise, self._noise = self._noise, False
            if not frame and not noise:
                continue
            values = None if noise else self._values(frame)
            if values is None:
                self._counts[MALFORMED_FRAMES] += 1
            else:
                found.append(values)
        if not self._noise:
            self._rest += rest
            if len(self._rest) > LONGEST:
                self._rest, self._noise = b"", True
        return found

    def drop(self) -> None:
        """Drop a partial frame."""
        if self._rest or self._noise:
            self._counts[MALFORMED_FRAMES] += 1
        self._rest, self._noise = b"", False

    def _values(self, frame: bytes) -> tuple[Any, ...] | None:
        data = unstuffed(frame)
        if data is None or len(data) != self._layout.size + _CHECK:
            return None
        data, check = data[:-_CHECK], data[-_CHECK:]
        if zlib.crc32(data) != int.from_bytes(check, "little"):
            return None
        return self._layout.unpack(data)


class Unwrapped:
    """Unwraps a device's counter that overflows to zero."""

    def __init__(self, bits: int) -> None:
        self._span = 1 << bits
        self._last: int | None = None
        self._total = 0

    def next(self, value: int) -> int:
        """Return the unwrapped number that is closest to the last one."""
        if self._last is None:
            self._total = value
        else:
            step = (value - self._last) % self._span
            self._total += step - self._span if step >= self._span // 2 else step
        self._last = value
        return self._total
