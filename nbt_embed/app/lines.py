"""Whole rows of a text file in chunks of some hundred kilobytes, with their line numbers.

Comment lines are counted and removed like blank lines, quotes are checked, and every row must have
as many cells as the header. So each chunk can be parsed without the rest of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbt_embed.app.dialect import COMMENT, Dialect, count_of_cells, is_row, shown_delimiter, split
from nbt_embed.app.encoding import UTF8, Utf8
from nbt_embed.app.numerals import is_missing, is_number
from nbt_embed.errors import StreamError

BLOCK = 1 << 19
LONGEST = 1 << 24  # bytes per row; a longer row is refused
_NEWLINE = 10
_COMMENT = re.compile(COMMENT.encode())
_WHITE = np.frombuffer(b"\n \t", np.uint8)
_SHOWN = 40


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some rows as text.

    Attributes:
        data: whole rows in UTF-8, each with a newline at its end.
        row: number of the first one, counted from 0.
        lines: (rows,) line of each row in the file, counted from 1.
        marks: for numbers with a decimal comma: columns that contain a point.
    """

    data: bytes
    row: int
    lines: NDArray[np.int64]
    pointed: frozenset[int]


@dataclass
class Comments:
    """Comment lines that were removed.

    Attributes: count, of them; first, line and text of the first one.
    """

    count: int = 0
    first: tuple[int, str] | None = None

    def add(self, line: int, text: str) -> None:
        """Add a comment line."""
        self.count += 1
        self.first = self.first or (line, text.strip()[:_SHOWN])


class OtherEncoding(Exception):  # noqa: N818  # no error: the file is read once more
    """A file that starts as UTF-8 is not. ``text``: the lines that show it; ``line``, the first."""

    def __init__(self, text: bytes, line: int) -> None:
        super().__init__()
        self.text, self.line = text, line


def chunks(
    title: str, file: Utf8, dialect: Dialect, points: bool, comments: Comments
) -> Iterator[Chunk]:
    """Yield the rows of a file.

    Args: title, name of the file in messages; file, from its start; points, whether to look for
    columns with points; comments, receives comment lines.
    Errors: StreamError names the line; OtherEncoding.
    """
    reader = _Lines(title, file, dialect.first)
    row, text, numbers = 0, b"", np.empty(0, np.int64)
    quote = dialect.quote.encode()
    ascii_so_far = True
    for block, first in reader:
        if not block.isascii():
            ascii_so_far = _check_utf8(title, block, first, ascii_so_far)
        if b"\x00" in block:
            line = first + block.count(b"\n", 0, block.index(b"\x00"))
            raise StreamError(
                f"{title}: line {line} holds a NUL byte: the file is not text, or damaged"
            )
        more, lines = _without_blanks(block, first, dialect, comments)
        if quote and quote in more:
            more = _close_quotes(more, quote, dialect.delimiter)
        text, numbers = text + more, np.concatenate([numbers, lines])
        if (
            quote
            and text.count(quote) % 2
            and len(text) < LONGEST
            and not _swallows(title, text, numbers, dialect, final=False)
        ):
            continue
        if text:
            chunk = _chunk(title, text, numbers, dialect, row, points)
            yield chunk
            row += len(chunk.lines)
        text, numbers = b"", np.empty(0, np.int64)
    if text:
        _swallows(title, text, numbers, dialect, final=True)


def too_long(title: str, line: int) -> StreamError:
    """Return the error about a line that is too long for a row."""
    return StreamError(
        f"{title}: line {line} is longer than {LONGEST >> 20} MiB: this is not a table"
    )


class _Lines:
    """Whole physical lines with newlines of one kind, and the number of the first one."""

    def __init__(self, title: str, file: Utf8, first: int) -> None:
        self._title, self._file, self._first = title, file, first

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        line, rest, size = 1, b"", BLOCK
        while True:
            block = self._file.read(size)
            text = rest + block
            held = b"\r" if block and text.endswith(b"\r") else b""  # a newline may follow
            text = text[: len(text) - len(held)]
            if b"\r" in text:
                text = re.sub(rb"\r+\n", b"\n", text).replace(b"\r", b"\n")
            if not block and text and not text.endswith(b"\n"):
                text += b"\n"
            cut = text.rfind(b"\n") + 1
            rest, text = text[cut:] + held, text[:cut]
            if len(rest) > LONGEST:
                raise too_long(self._title, line + text.count(10))
            size = max(BLOCK, len(rest))
            while text and line < self._first:
                text = text[text.index(b"\n") + 1 :]
                line += 1
            if text:
                yield text, line
                line += text.count(b"\n")
            if not block:
                return


def _check_utf8(title: str, block: bytes, first: int, ascii_so_far: bool) -> bool:
    """Return False, since the text is UTF-8 beyond ASCII. Errors: StreamError, OtherEncoding."""
    try:
        block.decode(UTF8)
    except UnicodeDecodeError as error:
        line = first + block.count(b"\n", 0, error.start)
        if ascii_so_far and block[: error.start].isascii():
            raise OtherEncoding(block, line) from None
        raise StreamError(
            f"{title}: line {line} is not UTF-8, unlike the lines before: correct it, or name the "
            "encoding, such as --encoding latin-1"
        ) from None
    return False


def _without_blanks(
    block: bytes, first: int, dialect: Dialect, comments: Comments
) -> tuple[bytes, NDArray[np.int64]]:
    """Remove comments, and blank lines unless there is one column; return lines with numbers.

    A delimiter of spaces becomes one space.
    """
    delimiter, single = dialect.delimiter, len(dialect.names) == 1
    if delimiter == " ":
        block = re.sub(rb"(?m)^ +| +$", b"", re.sub(rb"[ \t]+", b" ", block))
    array = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(array == _NEWLINE)
    numbers = np.arange(first, first + len(ends))
    commented = b"#" in block or b"%" in block or b"//" in block
    # The first byte of a line shows for most lines that they are not blank.
    begins = array[np.concatenate([[0], ends[:-1] + 1])]
    if not commented and (single or not np.isin(begins, _WHITE).any()):
        return block, numbers
    mark = b"" if delimiter == " " else delimiter.encode()
    kept = [
        (line, number)
        for line, number in zip(block.split(b"\n"), numbers.tolist(), strict=False)
        if not (commented and _COMMENT.match(line) and _is_comment(line, number, dialect, comments))
        and (single or line.strip() or (mark and mark in line))
    ]
    text = b"".join([line + b"\n" for line, _ in kept])
    return text, np.array([number for _, number in kept], np.int64)


def _is_comment(line: bytes, number: int, dialect: Dialect, comments: Comments) -> bool:
    """Return whether a line that starts like a comment is one, and count it."""
    text = line.decode(errors="replace")
    if is_row(split(text, dialect.delimiter, dialect.quote), dialect.numeric):
        return False
    comments.add(number, text)
    return True


def _close_quotes(text: bytes, quote: bytes, delimiter: str) -> bytes:
    """Remove the spaces that some programs write between a quote and its delimiter."""
    mark = re.escape(delimiter.encode())
    text = re.sub(rb"(^|" + mark + rb"|\n)[ \t]+" + quote, rb"\1" + quote, text)
    return re.sub(quote + rb"[ \t]+(" + mark + rb"|\n)", quote + rb"\1", text)


def _chunk(
    title: str,
    text: bytes,
    numbers: NDArray[np.int64],
    dialect: Dialect,
    row: int,
    points: bool,
) -> Chunk:
    """Return a chunk of lines, after checking their rows."""
    array = np.frombuffer(text, np.uint8)
    ends, marks = np.flatnonzero(array == _NEWLINE), np.empty(0, np.int64)
    width, mark = len(dialect.names), ord(dialect.delimiter)
    marks = np.flatnonzero(array == mark)
    if dialect.quote and dialect.quote.encode() in text:
        quotes = np.flatnonzero(array == ord(dialect.quote))
        _check_quotes(title, text, quotes, numbers, ends, dialect)
        inside = np.searchsorted(quotes, ends) % 2 == 1
        if inside.any():
            _check_cells(title, text, quotes, numbers, ends, dialect)
        marks = marks[np.searchsorted(quotes, marks) % 2 == 0]
        starts = np.concatenate([[True], ~inside[:-1]])
        numbers, ends = numbers[starts], ends[~inside]
    _check_widths(title, text, marks, ends, numbers, width, dialect.delimiter)
    pointed: frozenset[int] = frozenset()
    if points and b"." in text:
        dots = np.flatnonzero(array == ord("."))
        separators = np.sort(np.concatenate([marks, ends]))
        columns = np.searchsorted(separators, dots) % width
        pointed = frozenset(np.unique(columns).tolist())
    return Chunk(text, row, numbers, pointed)


def _check_widths(
    title: str,
    text: bytes,
    marks: NDArray[np.int64],
    ends: NDArray[np.int64],
    numbers: NDArray[np.int64],
    width: int,
    delimiter: str,
) -> None:
    """Refuse a row with more or fewer cells than the header."""
    if len(marks) == len(ends) * (width - 1):
        if width == 1:
            return
        table = marks.reshape(len(ends), width - 1)
        if (table[:, -1] < ends).all() and (table[1:, 0] > ends[:-1]).all():
            return
    cells = np.diff(np.searchsorted(marks, ends), prepend=0) + 1
    bad = int(np.argmax(cells != width))
    start = int(ends[bad - 1]) + 1 if bad else 0
    shown = text[start : int(ends[bad])].decode(errors="replace")[:_SHOWN]
    raise StreamError(
        f"{title}: line {numbers[bad]} has {count_of_cells(int(cells[bad]))} and the header has "
        f"{width}, "
        f"separated by {shown_delimiter(delimiter)} ({shown!r}): correct or remove the line"
    )


def _check_quotes(
    title: str,
    text: bytes,
    quotes: NDArray[np.int64],
    numbers: NDArray[np.int64],
    ends: NDArray[np.int64],
    dialect: Dialect,
) -> None:
    """Refuse a quote that neither starts nor ends a cell."""
    array = np.frombuffer(text, np.uint8)
    around = np.array([ord(dialect.delimiter), _NEWLINE], np.uint8)
    opening, closing = quotes[0::2], quotes[1::2]
    before = np.isin(array[np.maximum(opening - 1, 0)], around) | (opening == 0)
    after = np.isin(array[np.minimum(closing + 1, len(array) - 1)], around)
    doubled = closing[: len(opening) - 1] + 1 == opening[1 : len(closing) + 1]
    before[1 : 1 + len(doubled)] |= doubled
    after[: len(doubled)] |= doubled
    if before.all() and after.all():
        return
    wrong = [int(opening[np.argmin(before)])] if not before.all() else []
    if not after.all():
        wrong.append(int(opening[np.argmin(after)]))
    at = min(wrong)
    line = int(numbers[np.searchsorted(ends, at)])
    if at in opening[~before]:
        cell = _cell(text, at, dialect.delimiter)
        raise StreamError(
            f"{title}: line {line}: a quote is inside the cell {cell!r}: put quotes around the "
            "cell and double the inner one, or use --quote none if quotes are text here"
        )
    raise StreamError(_stray(title, text, at, line, dialect))


def _check_cells(
    title: str,
    text: bytes,
    quotes: NDArray[np.int64],
    numbers: NDArray[np.int64],
    ends: NDArray[np.int64],
    dialect: Dialect,
) -> None:
    """Refuse a quoted cell with several lines that look like rows."""
    closing = quotes[1::2]
    for begin, end in zip(quotes[0::2].tolist(), closing.tolist(), strict=False):
        if b"\n" not in text[begin:end]:
            continue
        stop = text.find(b"\n", end)
        inner = text[begin:stop].decode(errors="replace").split("\n")[1:]
        if any(_is_row(line, dialect) for line in inner):
            line = int(numbers[np.searchsorted(ends, begin)])
            raise StreamError(_stray(title, text, begin, line, dialect))


def _is_row(line: str, dialect: Dialect) -> bool:
    """Return whether a single line is a row with numbers in the numeric columns."""
    quote = dialect.quote
    cells = split(line.replace(quote, "") if quote else line, dialect.delimiter, "")
    if len(cells) != len(dialect.names):
        return False
    values = [cell for cell, number in zip(cells, dialect.numeric, strict=True) if number]
    return all(is_number(cell) or is_missing(cell) for cell in values) and any(cells)


def _swallows(
    title: str, text: bytes, numbers: NDArray[np.int64], dialect: Dialect, final: bool
) -> bool:
    """Refuse an unclosed quote that is followed by rows or the end of the file."""
    array = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(array == ord(dialect.quote))
    ends = np.flatnonzero(array == _NEWLINE)
    _check_quotes(title, text, quotes, numbers, ends, dialect)
    at = int(quotes[-1])
    following = text[at:].decode(errors="replace").split("\n")[1:-1]
    if final or any(_is_row(line, dialect) for line in following):
        line = int(numbers[np.searchsorted(ends, at)])
        raise StreamError(_stray(title, text, at, line, dialect))
    return False


def _stray(title: str, text: bytes, at: int, line: int, dialect: Dialect) -> str:
    """Return the error about a quote that opens a cell at this position."""
    start = text.rfind(b"\n", 0, at) + 1
    cells = text[start:at].decode(errors="replace").count(dialect.delimiter)
    name = dialect.names[cells] if cells < len(dialect.names) else ""
    column = f"column {name!r}" if name else f"column {cells + 1}"
    shown = text[at : text.find(b"\n", at)].decode(errors="replace")[:_SHOWN]
    return (
        f"{title}: line {line}, {column}: a quote ({shown}) is not closed and includes the "
        "lines below: close or remove it, or use --quote none if quotes are text here"
    )


def _cell(text: bytes, at: int, delimiter: str) -> str:
    mark = delimiter.encode()
    start = max(text.rfind(mark, 0, at), text.rfind(b"\n", 0, at)) + 1
    stops = [stop for stop in (text.find(mark, at), text.find(b"\n", at)) if stop >= 0]
    return text[start : min(stops)].decode(errors="replace")[:_SHOWN]
