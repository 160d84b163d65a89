"""Bytes of a text stream as rows of a table or of JSON lines; its first character decides."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Sequence
from typing import Any

from nbt_embed.app.dialect import split
from nbt_embed.app.objects import decoded, flattened, objects_of, text_of
from nbt_embed.errors import StreamError
from nbt_embed.live import layout as layouts
from nbt_embed.live import moments
from nbt_embed.live.arrivals import Arrivals
from nbt_embed.live.head import Head, has_value
from nbt_embed.live.layout import Layout, Rows
from nbt_embed.live.lines import LONGEST, Lines
from nbt_embed.live.moments import Days
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.records import EMPTY_ARRAYS, RecordRows
from nbt_embed.live.remarks import Remarks
from nbt_embed.live.table import MALFORMED_LINES, Shape, TableRows, malformed_line
from nbt_embed.live.table import text_of as text_of_line
from nbt_embed.live.values import Classes, Values

_JSON = (b"{", b"[")
_VALUES = re.compile(rb"(\xef\xbb\xbf)?\s*\[\s*[^{\s]")  # an array without objects
# Starts of an object or array that continues in the next line, and of that next line.
_LONE = re.compile(rb"(\xef\xbb\xbf)?\s*[\[{][\s\[{]*")
_OPEN = re.compile(rb"(\xef\xbb\xbf)?\s*[\[{]\s*[\[{\"]")
_MOST_WAITING = 100  # lines that may wait, since some may not be rows
_GOES_ON = re.compile(rb"\s*[\"\]}]")


class TextRows:
    """Takes bytes as they arrive and returns rows, the same ones however the bytes are split.

    Args: title, name of the stream in messages; options; counts, of events.
    Attributes: layout, None before the first row; notes, about what was recognised.
    """

    def __init__(self, title: str, options: SourceOptions, counts: Counter[str]) -> None:
        if options.decimal not in (None, ".", ","):
            raise StreamError(f"decimal {options.decimal!r}: name . or ,")
        self._title, self._options, self._counts = title, options, counts
        self._lines, self._head, self._days = Lines(), Head(title, options), Days()
        self._values = Values(options.missing, options.decimal, counts)
        self._parser: TableRows | _JsonLines | None = None
        self._before: TableRows | _JsonLines | None = None  # of the previous file
        self._doubtful = self._unfinished = False
        self._waiting = b""  # first rows that are kept until the time field is known
        self.layout: Layout | None = None
        self.notes: list[str] = []

    @property
    def held(self) -> int:
        """Bytes of the partial line."""
        return self._lines.held

    @property
    def state(self) -> dict[str, Any]:
        """Further state for the next rows; a JSON value."""
        return {
            "lines": self._lines.state,
            "decimal": self._values.decimal,
            "days": self._days.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state, with a known layout."""
        self._lines.restore(state["lines"])
        self._values.decimal = state["decimal"]
        self._days.state = list(state["days"])
        self._values.remarks.forget()

    def feed(self, data: bytes) -> Arrivals | None:
        """Return the rows that these bytes complete, None before the first. Errors: StreamError."""
        lines = self._lines.feed(data)
        if self._lines.too_long:
            if self.layout is None:
                raise StreamError(
                    f"{self._title}: the first line is longer than {LONGEST >> 20} MiB: this is "
                    "not a text with rows"
                )
            self._counts[MALFORMED_LINES] += self._lines.too_long
            self._lines.too_long = 0
            self._values.remarks.add(
                "line", 0, f"a line is longer than {LONGEST >> 20} MiB: it is dropped"
            )
        return self._rows(lines)

    def finish(self) -> Arrivals | None:
        """Return the row of a last line without an end. Errors: StreamError: there was no row."""
        found = self._rows(self._lines.finish(), ended=True)
        if self.layout is None:
            raise StreamError(
                f"{self._title}: ended before the first row: send each JSON object on one line, "
                "or a table below a header line with the names of the columns"
            )
        return found

    def drop(self) -> None:
        """Drop and count a partial line."""
        if self._lines.drop():
            self._counts["lines cut off"] += 1

    def doubt(self) -> None:
        """Drop the next line, which may be partial, unless it is a header or JSON."""
        if self.layout is None:
            self._doubtful = True
        else:
            self._lines.skip()
            self._counts["lines cut off"] += 1

    def begin_file(self) -> None:
        """Begin another file, which may have its own header."""
        self.drop()
        if self._waiting:  # the new file is taken to continue these rows
            return
        self._before, self._parser = self._parser or self._before, None
        self._head = Head(self._title, self._options)

    def _rows(self, lines: bytes, ended: bool = False) -> Arrivals | None:
        if self._parser is None:
            self._waiting += lines if self._waiting else self._begin(lines)
            if self._waiting:
                lines = self._decided(ended)
        if self._parser is None or self.layout is None:
            return None
        rows = self._parser.parse(lines)
        time = self.layout.moments
        if time is not None and time.form.kind == "clock":
            rows = Rows(self._days.unwrapped(rows.time), rows.table)
        return self.layout.arrivals(rows, remarks=self._values.remarks.take())

    def _begin(self, lines: bytes) -> bytes:
        """Take lines up to the first row; return it and the lines after it."""
        while lines:
            end = lines.index(b"\n") + 1
            line, doubtful, self._doubtful = lines[:end], self._doubtful, False
            unfinished, self._unfinished = self._unfinished, False
            if doubtful and not is_whole(line):
                self._counts["lines cut off"] += 1
            elif line.removeprefix(BOM_UTF8).lstrip().startswith(_JSON):
                if self._is_record(line):
                    return lines
            elif unfinished and _GOES_ON.match(line):
                raise self._several_lines()
            elif self._offered(line[:-1]):
                return (self._head.rows or line) + lines[end:]
            lines = lines[end:]
        return b""

    def _offered(self, line: bytes) -> bool:
        """Return whether a line is the first row. Errors: StreamError, in the first file only."""
        try:
            return self._head.offer(line)
        except StreamError:
            if self.layout is None:
                raise
            return True  # its content is counted line by line

    def _decided(self, ended: bool) -> bytes:
        """Return the waiting rows if they are enough for a decision; else none.

        Args: ended, whether no more rows come. Errors: StreamError.
        """
        lines = self._waiting
        found = _records(lines[: lines.index(b"\n") + 1], self._options.names)
        if self.layout is not None:
            self._parser = self._before if found else self._of_next_file()
        else:
            names, rows = self._first_objects(lines) if found else self._first_rows(lines)
            rest = not ended and lines.count(b"\n") < _MOST_WAITING
            if rest and moments.asks(self._title, names, rows, self._options):
                return b""
            self.notes = [] if found else list(self._head.notes)
            self.layout = layouts.decide(
                self._title, names, rows[0], self._options, self.notes, rows[1:]
            )
            self._parser = self._of_objects(lines, found[0]) if found else self._of_table(rows[0])
        self._waiting = b""
        return lines

    def _of_next_file(self) -> TableRows | _JsonLines | None:
        """Return the parser of a file that has replaced another."""
        shape = self._head.shape
        assert self.layout is not None
        if shape is None or shape.header is None or not {*self.layout.fields} <= {*shape.names}:
            return self._before
        return self._table(shape)

    def _first_rows(self, lines: bytes) -> tuple[tuple[str, ...], list[list[str]]]:
        """Return names, and cells of the first lines that are rows."""
        shape, head = self._head.shape, self._head
        assert shape is not None
        rows = [["" if self._values.is_missing(cell) else cell for cell in head.cells]]
        for line in lines.split(b"\n", moments.HEAD)[1 : moments.HEAD]:
            cells = split(text_of_line(line), shape.delimiter, '"')
            if len(cells) == len(shape.names):
                rows.append(cells)
        return shape.names, rows

    def _of_table(self, cells: Sequence[str]) -> TableRows:
        shape = self._head.shape
        assert shape is not None
        self._find_decimal(shape.names, cells, shape.delimiter if len(cells) > 1 else "")
        return self._table(shape)

    def _find_decimal(self, names: Sequence[str], cells: Sequence[str], delimiter: str) -> None:
        assert self.layout is not None
        first = dict(zip(names, cells, strict=True))
        numbers = {name: first[name] for name in self.layout.columns}
        self._values.begin(self._title, numbers, delimiter)

    def _table(self, shape: Shape) -> TableRows:
        assert self.layout is not None
        return TableRows(shape, self.layout, self._values, self._classes(), self._counts)

    def _is_record(self, line: bytes) -> bool:
        """Return whether a line is the first row; else count it. Errors: StreamError."""
        records = _records(line, self._options.names)
        if records:
            return True
        self._counts[EMPTY_ARRAYS if records == [] else MALFORMED_LINES] += 1
        if records is None and self.layout is None:
            if _LONE.fullmatch(line):
                raise self._several_lines()
            self._unfinished = _OPEN.match(line) is not None
        return False

    def _first_objects(self, lines: bytes) -> tuple[tuple[str, ...], list[list[str]]]:
        """Return names of the fields of the first object, and cells of the first objects."""
        objects: list[dict[str, Any]] = []
        for line in lines.split(b"\n", moments.HEAD)[: moments.HEAD]:
            objects += _records(line, self._options.names) or []
        fields = [flattened(one) for one in objects[: moments.HEAD]]
        names = tuple(fields[0])
        return names, [[text_of(one.get(name)) for name in names] for one in fields]

    def _of_objects(self, lines: bytes, record: dict[str, Any]) -> _JsonLines:
        assert self.layout is not None
        fields = flattened(record)
        texts = [value if isinstance(value, str) else "" for value in fields.values()]
        self._find_decimal(tuple(fields), texts, "")
        rows = RecordRows(self.layout, tuple(record), self._values, self._classes(), self._counts)
        names = self._options.names
        if names is None and _VALUES.match(lines):
            names = tuple(record)
        return _JsonLines(rows, names, self._counts, self._values.remarks)

    def _several_lines(self) -> StreamError:
        return StreamError(
            f"{self._title}: begins with JSON over several lines: send each object on one line, "
            "for example with jq -c ."
        )

    def _classes(self) -> Classes | None:
        assert self.layout is not None
        names = self.layout.classes
        return None if names is None else Classes(names, self._values, self.layout.coded or "")


class _JsonLines:
    """Parses whole lines of JSON."""

    def __init__(
        self,
        rows: RecordRows,
        names: Sequence[str] | None,
        counts: Counter[str],
        remarks: Remarks,
    ) -> None:
        self._rows, self._names, self._counts, self._remarks = rows, names, counts, remarks

    def parse(self, lines: bytes) -> Rows:
        """Return the rows of whole lines, each with a newline at its end."""
        records: list[dict[str, Any]] = []
        for line in lines.split(b"\n")[:-1]:
            found = _records(line, self._names)
            if found:
                records += found
            elif found is not None:
                self._counts[EMPTY_ARRAYS] += 1
            elif line.strip():
                problem = "is not JSON like the first row"
                malformed_line(line, self._counts, self._remarks, len(records), problem)
        return self._rows.rows(records)


def is_whole(line: bytes) -> bool:
    """Return whether a possibly partial line is whole: it is JSON, or contains only names."""
    if line.lstrip().startswith(_JSON):
        return _records(line, None) is not None
    return not line.strip() or (b"}" not in line and not has_value(line.decode(errors="replace")))


def _records(line: bytes, names: Sequence[str] | None) -> list[dict[str, Any]] | None:
    """Return the objects of a line, or its array of values with names; None if it is neither."""
    try:
        value = decoded(line.removeprefix(BOM_UTF8).decode())
        found = objects_of(value)
    except ValueError:
        return None
    if found is None and isinstance(value, list):
        names = names or [f"x{i + 1}" for i in range(len(value))]
        return [dict(zip(names, value, strict=True))] if len(value) == len(names) else None
    return found
