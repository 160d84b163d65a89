"""Text of a file as UTF-8, whatever its encoding."""

from __future__ import annotations

import codecs

from nbt_embed.app.source import Plain
from nbt_embed.errors import StreamError

UTF8 = "utf-8"
_MARKS = (  # UTF-32 first, since one of its marks starts with one of UTF-16
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ZEROS = 0.3  # share of NUL bytes at every second position of UTF-16 text


def encoding_of(head: bytes) -> tuple[str, int]:
    """Return the encoding that the first bytes indicate, and the length of its byte order mark.

    Without a mark it is UTF-8, unless every second byte is NUL (UTF-16) or the bytes are not UTF-8
    (``single_byte``).
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    even, odd = head[0::2], head[1::2]
    if odd and odd.count(0) > _ZEROS * len(odd) and even.count(0) == 0:
        return "utf-16-le", 0
    if even and even.count(0) > _ZEROS * len(even) and odd.count(0) == 0:
        return "utf-16-be", 0
    try:
        codecs.getincrementaldecoder(UTF8)().decode(head)
    except UnicodeDecodeError:
        return single_byte(head), 0
    return UTF8, 0


def single_byte(text: bytes) -> str:
    """Return the encoding of text with one byte per character: Windows-1252 if all bytes fit."""
    try:
        text.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def known(title: str, name: str) -> str:
    """Return the encoding of this name. Errors: StreamError."""
    try:
        found = codecs.lookup(name).name
        "a".encode(found)  # refuses encodings of bytes, such as base64
    except (LookupError, ValueError):
        raise StreamError(
            f"{title}: encoding {name!r} is unknown: name one such as utf-8, utf-16, latin-1 or "
            "cp1252"
        ) from None
    return found


class Utf8:
    """Bytes of a text file as UTF-8, without its byte order mark."""

    def __init__(self, title: str, file: Plain, encoding: str, mark: int) -> None:
        self._title, self._file, self._encoding = title, file, encoding
        decoder = codecs.getincrementaldecoder(encoding)()
        self._decoder = None if encoding == UTF8 else decoder
        self._at = 0
        if mark:
            file.read(mark)

    def read(self, size: int) -> bytes:
        """Read about ``size`` bytes; empty at the end. Errors: StreamError."""
        while block := self._file.read(size):
            self._at += len(block)
            if self._decoder is None:
                return block
            if text := self._decode(block):
                return text
        if self._decoder is not None:
            self._decode(b"", final=True)
        return b""

    def _decode(self, block: bytes, final: bool = False) -> bytes:
        assert self._decoder is not None
        try:
            return self._decoder.decode(block, final).encode()
        except UnicodeError as error:
            raise StreamError(
                f"{self._title}: byte {self._at - len(block)} and the following are not "
                f"{self._encoding} ({getattr(error, 'reason', error)}): name the encoding, such as "
                "--encoding latin-1"
            ) from None
