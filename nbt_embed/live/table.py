"""Lines with delimiters as rows: many at once or singly, with the same result."""

from __future__ import annotations

import csv
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from nbt_embed.app.dialect import COMMENT, count_of_cells, is_row, split
from nbt_embed.arrays import Float64Array
from nbt_embed.live.layout import Layout, Rows
from nbt_embed.live.remarks import Remarks, excerpt
from nbt_embed.live.values import Classes, Values

Texts = pl.Series | list[str]
MALFORMED_LINES = "malformed lines"
_MANY = 16  # number of lines from which polars is faster
_COMMENT = re.compile(COMMENT)
_COMMENTED = (b"#", b"%", b"//")
_QUOTE = b'"'


@dataclass(frozen=True)
class Shape:
    """The format of a table.

    Attributes:
        header: the line of the names, stripped; None: there is none.
        names: of the columns; a column without a name has its number.
        numeric: for each column whether it holds numbers.
        delimiter: one character; a space stands for any number of spaces and tabs.
    """

    header: bytes | None
    names: tuple[str, ...]
    numeric: tuple[bool, ...]
    delimiter: str


class TableRows:
    """Parses whole lines of a table.

    Args: shape; layout, of its columns; values, which has the decimal mark; classes of the coded
    column, or None; counts, of events.
    """

    def __init__(
        self,
        shape: Shape,
        layout: Layout,
        values: Values,
        classes: Classes | None,
        counts: Counter[str],
    ) -> None:
        self._shape, self._layout, self._values = shape, layout, values
        self._classes, self._counts = classes, counts
        places = {name: i for i, name in enumerate(shape.names)}
        self._numbers = [places[name] for name in layout.columns]
        self._coded = None if layout.coded is None else places[layout.coded]
        times = () if layout.moments is None else layout.moments.fields
        self._times = [places[name] for name in times]
        self._width, self._mark = len(places), shape.delimiter.encode()
        texts = [*self._times, *(() if self._coded is None else (self._coded,))]
        self._used = sorted({*self._numbers, *texts})
        self._twice = not {*self._numbers}.isdisjoint(texts)  # one column in two roles
        self._schema: dict[str, Any] = {str(i): pl.String for i in range(self._width)}
        self._schema |= {str(i): pl.Float64 for i in self._numbers}

    def parse(self, lines: bytes) -> Rows:
        """Return the rows of whole lines, each with a newline at its end."""
        found = self._many(lines)
        if found is None:
            found = self._one_by_one(lines)
        numbers, coded, times = found
        table = self._values.checked(numbers, self._layout.columns)
        if coded is not None:
            table = np.column_stack([table, np.array(coded, np.float32)])
        return Rows(self._seconds(times, len(table)), table)

    def _seconds(self, times: Sequence[Texts], count: int) -> Float64Array:
        """Return the times of the texts of one column, or two."""
        if self._layout.moments is None:
            return np.full(count, np.nan)
        if len(times) == 1:
            return self._layout.moments.seconds(times[0], self._values)
        first, second = (pl.Series(one, dtype=pl.String) for one in times)
        return self._layout.moments.seconds(first + " " + second, self._values)

    def _many(
        self, lines: bytes
    ) -> tuple[Float64Array, list[float] | None, Sequence[Texts]] | None:
        """Parse all rows at once if every line is plain: no quotes, spaces or errors."""
        count = lines.count(b"\n")
        if (
            count < _MANY
            or self._twice
            or not self._has_points(lines)
            or self._mark == b" "
            or lines.count(self._mark) != count * (self._width - 1)
            or _QUOTE in lines
            or any(mark in lines for mark in _COMMENTED)
        ):
            return None
        try:
            frame = pl.read_csv(
                lines,
                has_header=False,
                schema=self._schema,
                separator=self._shape.delimiter,
                quote_char=None,
                columns=self._used,
            )
        except pl.exceptions.PolarsError:  # a cell is not a number, or a line has too many
            return None
        if len(frame) != count:
            return None
        cells = dict(zip(frame.columns, frame.get_columns(), strict=True))
        numbers = np.empty((count, len(self._numbers)), np.float64)
        for place, column in enumerate(self._numbers):
            numbers[:, place] = cells[str(column)].fill_null(np.nan).to_numpy()
        coded = None
        if self._coded is not None:
            coded = self._codes(cells[str(self._coded)].to_list())
        return numbers, coded, [cells[str(column)] for column in self._times]

    def _codes(self, cells: Sequence[str | None]) -> list[float]:
        assert self._classes is not None
        return self._classes.codes(cells)

    def _one_by_one(self, lines: bytes) -> tuple[Float64Array, list[float] | None, Sequence[Texts]]:
        convert = self._converter(lines)
        numbers: list[list[float]] = []
        coded: list[str | None] = []
        times: list[list[str]] = [[] for _ in self._times]
        for line in lines.split(b"\n")[:-1]:
            cells = self._cells(line, len(numbers))
            if cells is None:
                continue
            numbers.append(self._row(cells, convert, len(numbers)))
            if self._coded is not None:
                coded.append(text_of(cells[self._coded]))
            for column, found in zip(self._times, times, strict=True):
                found.append(text_of(cells[column]))
        return (
            np.array(numbers, np.float64).reshape(len(numbers), len(self._numbers)),
            None if self._coded is None else self._codes(coded),
            times,
        )

    def _cells(self, line: bytes, row: int) -> list[bytes] | None:
        """Return the cells of a line, which may become row ``row``; None if it is not a row."""
        if self._mark == b" ":
            cells = line.split()
            if _QUOTE in line or len(cells) != self._width:
                cells = self._quoted(line)
        elif _QUOTE in line:
            cells = self._quoted(line)
        else:
            cells = line.split(self._mark)
        bare = line.strip()
        if not bare and self._width > 1 and len(cells) < self._width:
            return None
        if bare.removeprefix(BOM_UTF8) == self._shape.header:
            self._counts["repeated headers"] += 1
            return None
        if bare.startswith(_COMMENTED) and _COMMENT.match(text_of(line)):
            texts = split(text_of(line), self._shape.delimiter, '"')
            if not is_row(texts, self._shape.numeric):
                self._counts["comment lines"] += 1
                return None
        if len(cells) != self._width:
            malformed_line(line, self._counts, self._values.remarks, row, self._problem(cells))
            return None
        return cells

    def _problem(self, cells: list[bytes]) -> str:
        """Describe a line with another number of cells than there are columns."""
        if not cells:
            return "does not close a quote"
        return f"has {count_of_cells(len(cells))}, and there are {self._width} columns"

    def _quoted(self, line: bytes) -> list[bytes]:
        """Return cells of which some are quoted; none if the line does not close a quote."""
        text = text_of(line)
        if self._mark == b" ":
            text = re.sub(r"[ \t]+", " ", text.strip())
        if text.count('"') % 2:
            return []
        rows = csv.reader([text], delimiter=self._shape.delimiter, skipinitialspace=True)
        try:
            return [cell.encode() for cell in next(rows)]
        except (csv.Error, StopIteration):
            return []

    def _row(
        self, cells: list[bytes], convert: Callable[[bytes], float] | None, row: int
    ) -> list[float]:
        if convert is not None:
            try:
                return [convert(cells[i]) for i in self._numbers]
            except ValueError:
                pass
        return [
            self._values.number(text_of(cells[i]), name, row)
            for i, name in zip(self._numbers, self._layout.columns, strict=True)
        ]

    def _converter(self, lines: bytes) -> Callable[[bytes], float] | None:
        """Return a faster conversion of cells than ``Values``, if its result is the same."""
        if b"_" in lines:  # which float() accepts
            return None
        if self._has_points(lines):
            return float
        return _with_comma if self._values.decimal == "," else None

    def _has_points(self, lines: bytes) -> bool:
        """Return whether the decimal mark is a point, or does not occur in these lines."""
        decimal = self._values.decimal
        return decimal == "." or (decimal is None and b"." not in lines and b"," not in lines)


def malformed_line(
    line: bytes, counts: Counter[str], remarks: Remarks, row: int, problem: str
) -> None:
    """Count a malformed line. Args: row, its index if it were one; problem, the fault."""
    counts[MALFORMED_LINES] += 1
    text = excerpt(text_of(line.strip()))
    remarks.add("line", row, f"line {text} {problem}: it is dropped")


def _with_comma(cell: bytes) -> float:
    if b"." in cell:
        raise ValueError("a thousands mark")
    return float(cell.replace(b",", b"."))


def text_of(line: bytes) -> str:
    """Decode a line as UTF-8, else as Windows-1252 with replacement characters."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")
