"""The first lines of a live table: its names and its format.

As few lines as possible are needed: one if it is a row, else those up to the first row.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import replace

from nbt_embed.app import times
from nbt_embed.app.dialect import COMMENT, Dialect, recognise, split
from nbt_embed.app.numerals import is_missing, is_number
from nbt_embed.app.options import ReadOptions
from nbt_embed.errors import StreamError
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.table import Shape, text_of

_MOST = 5  # lines up to the first row: names and units
_DELIMITERS = ("\t", ";", "|", ",")
_COMMENT = re.compile(COMMENT)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # an escape may be in a name


class Head:
    """Takes lines up to the first row.

    Attributes: shape, None before the first row; rows, the lines among those taken that are rows;
    cells, of the first row; notes, sentences about what was recognised.
    """

    def __init__(self, title: str, options: SourceOptions) -> None:
        self._title, self._options = title, options
        self._lines: list[bytes] = []  # with comments, without blank lines
        self._content = 0
        self.shape: Shape | None = None
        self.cells: tuple[str, ...] = ()
        self.rows: bytes = b""
        self.notes: list[str] = []

    def offer(self, line: bytes) -> bool:
        """Take a line, and return whether it is the first row. Errors: StreamError."""
        if not self._lines:
            line = line.removeprefix(BOM_UTF8)
        if _CONTROL.search(line) or line.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise StreamError(
                f"{self._title}: the first line contains bytes that are not text: send UTF-8 "
                "(iconv "
                "-f utf-16 -t utf-8 converts what a Windows shell writes)"
            )
        text = text_of(line)
        if not text.strip():
            return False
        self._lines.append(line)
        if _COMMENT.match(text) or re.fullmatch(r"\s*\"?sep=.\"?\s*", text):
            return False
        self._content += 1
        if self._options.names is not None:
            return self._named(text)
        if not has_value(text, self._options.delimiter) and self._content < _MOST:
            return False
        self._recognise()
        return True

    def _named(self, text: str) -> bool:
        names = self._options.names
        assert names is not None
        if len(set(names)) < len(names):
            raise StreamError(f"{self._title}: names {', '.join(names)}: name each column once")
        form = recognise(self._title, text, self._read(header=False))
        cells = tuple(column[0] for column in form.sample)
        if cells == names:  # the stream has a header in spite of names
            return False
        if len(cells) != len(names):
            raise StreamError(
                f"{self._title}: {len(names)} names are given ({', '.join(names)}), and the first "
                f"row has {len(cells)} cells ({text.strip()[:40]!r}): name every column (--names)"
            )
        self._settle(replace(form, names=names, first=len(self._lines)))
        return True

    def _recognise(self) -> None:
        text = "\n".join(map(text_of, self._lines)) + "\n"
        form = recognise(self._title, text, self._read(None if self._content > 1 else False))
        names = tuple(name or f"column {i + 1}" for i, name in enumerate(form.names))
        self.notes += form.notes
        self._settle(replace(form, names=names))

    def _read(self, header: bool | None) -> ReadOptions:
        options = self._options
        return ReadOptions(
            header=header,
            delimiter=options.delimiter,
            decimal=options.decimal,
            missing=options.missing,
        )

    def _settle(self, form: Dialect) -> None:
        above, rows = self._lines[: form.first - 1], self._lines[form.first - 1 :]
        header = next(
            (
                line.strip()
                for line in above
                if tuple(split(text_of(line), form.delimiter, '"')) == form.names
            ),
            None,
        )
        self.shape = Shape(header, form.names, form.numeric, form.delimiter)
        self.rows = b"".join(line + b"\n" for line in rows)
        known = [[cell for cell in column if not is_missing(cell)] for column in form.sample]
        self.cells = tuple(cells[0] if cells else "" for cells in known)


def has_value(text: str, said: str | None = None) -> bool:
    """Return whether a cell of a line is a number or a time, so that the line is not a header.

    Args: text; said, the delimiter if it is known. If it may be a space, more than half of the
    cells must be.
    """
    if said is not None and said != " ":
        return any(map(_is_value, split(text, said, '"')))
    for delimiter in _DELIMITERS if said is None else ():
        if delimiter in text and any(map(_is_value, split(text, delimiter, '"'))):
            return True
    cells = split(text, " ", '"')
    return _is_value(text.strip()) or 2 * sum(map(_is_value, cells)) > len(cells)


def _is_value(cell: str) -> bool:
    return is_number(cell) or times.is_time(cell)
