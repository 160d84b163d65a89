"""Columns of one file of any format, some thousand rows at a time."""

from __future__ import annotations

import re
import sys
import tokenize
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from nbt_embed.app import dialect as dialects
from nbt_embed.app import encoding, lines, numerals
from nbt_embed.app.json_lines import is_json, json_lines
from nbt_embed.app.options import ReadOptions
from nbt_embed.app.source import Source, unpacked
from nbt_embed.errors import StreamError

ROWS = 1 << 14  # per batch of a file that is not text
_SAMPLE = 1000
_POINTS = {"dot", "dots", "either dot", "full dot", "full comma", "commas"}  # with a point
_FRACTIONS = ("dot", "full dot", "commas")  # which show that the point is decimal
_SURROGATES = 0xD800  # first of 2048 codes that are not characters
_HEAD = 512  # bytes that show the kind of a file
_LINES = 20  # lines of a text file's sample, at least
_ARROW, _PARQUET, _NUMPY, _ZIP = b"ARROW1", b"PAR1", b"\x93NUMPY", b"PK\x03\x04"
_ARROW_STREAM = b"\xff\xff\xff\xff"
_ERROR = b"|".join(re.escape(text).encode() for text in numerals.ERRORS)

# Exceptions of polars, NumPy and zipfile on damaged bytes. NumPy parses a header as Python.
_DAMAGED = (
    *(pl.exceptions.PolarsError, pl.exceptions.PanicException),
    *(OSError, ValueError, EOFError, zipfile.BadZipFile, RuntimeError, OverflowError, MemoryError),
    *(SyntaxError, tokenize.TokenError),
)

Progress = Callable[[int, int], None]


class ReadAgain(Exception):  # noqa: N818  # no error: what was recognised has been corrected
    """The rows read so far are void, since the file turned out to have another format."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Consecutive rows.

    Attributes:
        row: number of the first one in its file.
        columns: one per column: Float64 with NaN where missing, String or times with null there.
        texts: column -> (row in the batch, cell) of its first cell that should be a number, and the
            number of such cells.
    """

    row: int
    columns: list[pl.Series]
    texts: dict[int, tuple[int, str, int]] = field(default_factory=dict)


class Table(Protocol):
    """One file as columns.

    Attributes:
        title: name of the file in messages.
        names: of the columns, "" where there is none.
        numeric: for each column whether its cells are numbers.
    """

    title: str
    names: tuple[str, ...]
    numeric: tuple[bool, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was recognised."""
        ...

    def sample(self) -> list[pl.Series]:
        """First cells of every column, as in a batch but with texts unchanged."""
        ...

    def batches(self, numeric: Sequence[bool], progress: Progress | None) -> Iterator[Batch]:
        """Yield all rows. Errors: StreamError, ReadAgain."""
        ...

    def place(self, row: int) -> str:
        """Return the position of a row in the file, in words."""
        ...

    def cell(self, row: int, column: int) -> str:
        """Return a cell as in the file."""
        ...


def table(source: Source, options: ReadOptions, folder: Path, number: int) -> Table:
    """Open the table of a file. Errors: StreamError."""
    with source.open() as file:
        head = file.read(_HEAD)
    if is_json(head):
        frame, places = json_lines(source, folder, number)
        return FrameTable(source.title, frame, options, places)
    if head.startswith((_PARQUET, _ARROW, _ARROW_STREAM, _NUMPY, _ZIP)):
        path = unpacked(source, folder, number)
        with _refusing(source.title):
            if head.startswith((_NUMPY, _ZIP)):
                return FrameTable(source.title, _arrays(source.title, path), options)
            if head.startswith(_ARROW_STREAM):
                return FrameTable(source.title, pl.read_ipc_stream(path).lazy(), options)
            scan = pl.scan_parquet if head.startswith(_PARQUET) else pl.scan_ipc
            return FrameTable(source.title, scan(path), options)
    return TextTable(source, options)


def is_prose(source: Source) -> bool:
    """Return whether a file is text without a row of numbers, such as a README or a lone header."""
    with source.open() as file:
        head = file.read(dialects.SAMPLE)
    if is_json(head) or head.startswith((_PARQUET, _ARROW, _ARROW_STREAM, _NUMPY, _ZIP)):
        return False
    name, mark = encoding.encoding_of(head)
    return not dialects.has_rows(head[mark:].decode(name, errors="replace"))


class TextTable:
    """A text file with one cell per column in every row."""

    def __init__(self, source: Source, options: ReadOptions) -> None:
        self.title = source.title
        self._source, self._options = source, options
        self._missing = numerals.Missing.of(options.missing)
        self._nulls = [text for text in options.missing if text]
        self._few_nulls = True  # searching all spellings is slow, so it starts with the first one
        self._notes: list[str] = []
        if options.decimal not in (None, ".", ","):
            raise StreamError(f"{self.title}: decimal mark {options.decimal!r}: name . or ,")
        self._decimal = options.decimal or "."
        self._comments, self._errors, self._first_error = lines.Comments(), 0, ""
        self._weighed = options.decimal is not None  # else a later cell may decide otherwise
        with source.open() as file:
            head = file.read(dialects.SAMPLE)
        if options.encoding:
            self._encoding = encoding.known(self.title, options.encoding)
            found, mark = encoding.encoding_of(head)
            self._mark = mark if mark and found.startswith(self._encoding[:6]) else 0
            if mark and self._encoding in ("utf-16", "utf-32"):
                self._encoding = found
        else:
            self._encoding, self._mark = encoding.encoding_of(head)
        try:
            self._recognise()
        except lines.OtherEncoding as found:
            self._recognise_as(found)

    def _recognise_as(self, found: lines.OtherEncoding) -> None:
        """Restart with the encoding that later bytes show. Errors: StreamError."""
        if self._options.encoding:
            raise self._not_utf8(found.line) from None
        self._encoding = encoding.single_byte(found.text)
        self._recognise()

    def _recognise(self) -> None:
        self._last: lines.Chunk | None = None  # the last chunk that a message needed
        with self._open() as (file, _):
            text, more = b"", b"x"
            while more and (len(text) < dialects.SAMPLE or text.count(b"\n") < _LINES):
                more = file.read(dialects.SAMPLE)
                text += more
                if len(text) > lines.LONGEST:
                    break
        if more and len(text) > lines.LONGEST and text.count(b"\n") < 2:
            raise lines.too_long(self.title, text.count(b"\n") + 1)
        if more:
            text = text[: max(text.rfind(b"\n"), text.rfind(b"\r")) + 1] or text
        if b"\x00" in text[: 1 << 12]:
            line = text.count(b"\n", 0, text.index(b"\x00")) + 1
            raise StreamError(
                f"{self.title}: line {line} holds a NUL byte: this is not a text file; "
                "CSV, Parquet, Arrow and NumPy files can be read"
            )
        if self._options.encoding and self._encoding == encoding.UTF8:
            try:
                text.decode(encoding.UTF8)
            except UnicodeDecodeError as error:
                before = re.sub(rb"\r+\n?", b"\n", text[: error.start])
                raise self._not_utf8(before.count(b"\n") + 1) from None
        self._dialect = dialects.recognise(self.title, text.decode(errors="replace"), self._options)
        self.names, self.numeric = self._dialect.names, self._dialect.numeric
        if self._encoding != encoding.UTF8:
            name = {"cp1252": "Windows-1252"}.get(self._encoding, self._encoding.upper())
            said = "as said" if self._options.encoding else "is recognised; --encoding changes it"
            self._notes = [f"the encoding {name} {said}"]
        self._whole = frozenset(self._small_columns())
        if not self._weighed:
            self._judge()

    def _not_utf8(self, line: int) -> StreamError:
        return StreamError(
            f"{self.title}: line {line} is not UTF-8, which --encoding names: correct it, or "
            "name another encoding, such as --encoding latin-1"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was recognised."""
        comma = ["numbers have a decimal comma"] if self._decimal == "," else []
        left = []
        if self._comments.first:
            line, text = self._comments.first
            many = _many(self._comments.count, "comment line below the header is left out",
                         "comment lines below the header are left out")  # fmt: skip
            left.append(f"{many} (the first is line {line}: {text!r})")
        if self._errors:
            many = _many(self._errors, "cell holds an error of a spreadsheet and counts",
                         "cells hold errors of a spreadsheet and count")  # fmt: skip
            left.append(f"{many} as missing (the first is {self._first_error})")
        return (*self._notes, *self._dialect.notes, *comma, *left)

    def _count_errors(self, chunk: lines.Chunk) -> None:
        """Count cells such as #DIV/0!, with the line of the first."""
        if b"#" not in chunk.data:
            return
        mark = re.escape(self._dialect.delimiter.encode())
        cell = rb"(?mi)(?:^|" + mark + rb')[ \t"]*(' + _ERROR + rb')(?=[ \t"]*(?:' + mark + rb"|$))"
        for found in re.finditer(cell, chunk.data):
            self._errors += 1
            if self._errors == 1:
                line = chunk.lines[min(chunk.data.count(b"\n", 0, found.start(1)),
                                       len(chunk.lines) - 1)]  # fmt: skip
                self._first_error = f"{found[1].decode()} in line {line}"

    def _small_columns(self) -> Iterator[int]:
        """Return columns of whole numbers with up to three digits."""
        for column, cells in enumerate(self._dialect.sample):
            numbers = [cell for cell in cells if numerals.is_number(cell)]
            if self.numeric[column] and all(map(re.compile("[+-]?[0-9]{1,3}").fullmatch, numbers)):
                yield column

    def _judge(self) -> None:
        """Decide the decimal mark by the first lines, or by all lines if they are ambiguous."""
        marks = numerals.Marks()
        cells = [
            self._missing.without(pl.Series(one, dtype=pl.String)) for one in self._dialect.sample
        ]
        for name, one, numeric in zip(self._keys(), cells, self.numeric, strict=True):
            if numeric:
                marks.observe(name, one, 0)
        told = {tell for column in marks.columns.values() for tell in column}
        if "comma" in told and not told & _POINTS and not any(map(self._any_spaces, cells)):
            self._decimal = ","
        elif any(
            numerals.has_marks(cell)
            for one, numeric in zip(cells, self.numeric, strict=True)
            for cell in (one.drop_nulls().to_list() if numeric else ())
        ) or ("dot" not in told and any(
            {"either dot", "small"} <= column.keys() for column in marks.columns.values()
        )) or ("dot" not in told and "either dot" in told and self._may_group):  # fmt: skip
            self._weigh()

    def _any_spaces(self, cells: pl.Series) -> bool:
        return bool(cells.str.contains(r"[0-9][ \u00a0\u202f\u2009'’][0-9]").any())

    def _keys(self) -> list[str]:
        return [name or f"column {i + 1}" for i, name in enumerate(self.names)]

    def _weigh(self) -> None:
        """Decide the decimal mark by all cells, with a note if all are ambiguous."""
        marks, keys = numerals.Marks(), self._keys()

        def place(name: str, row: int, cell: str) -> str:
            return f"{self.place(row)}, column {name!r}, holds {cell!r}"

        self._decimal, self._last = ".", None
        for chunk in self._chunks(None):
            for name, cells, numeric in zip(keys, self._texts(chunk), self.numeric, strict=True):
                if numeric:
                    marks.observe(name, cells, chunk.row)
        self._weighed = True
        try:
            self._decimal = numerals.decide(
                marks,
                self._dialect.delimiter if len(self.names) > 1 else "",
                place,
            )
        except StreamError as error:
            raise StreamError(f"{self.title}: {error}") from None
        either = marks.first("either dot")
        if self._decimal == "." and either and not marks.first(*_FRACTIONS) and self._may_group:
            self._notes.append(
                f"{place(*either)}, which is read as a fraction, as no cell shows whether points "
                "are decimal or thousands marks: --decimal , selects thousands"
            )

    @property
    def _may_group(self) -> bool:
        """Return whether points may be thousands marks: not if commas separate cells."""
        return self._dialect.delimiter != "," or len(self.names) == 1

    def sample(self) -> list[pl.Series]:
        """First cells of every column, stripped, null where missing; numbers as numbers."""
        found = []
        for cells, numeric in zip(self._dialect.sample, self.numeric, strict=True):
            texts = self._missing.without(pl.Series(cells, dtype=pl.String))
            if numeric:
                values, _ = numerals.numbers(texts, self._decimal)
                texts = pl.Series(self._missing.out_of(values))
            found.append(texts)
        return found

    def batches(self, numeric: Sequence[bool], progress: Progress | None) -> Iterator[Batch]:
        """Yield all rows. Errors: StreamError, ReadAgain."""
        decimal, doubted = self._decimal, not self._weighed
        kinds = [pl.Float64 if number else pl.String for number in numeric]
        schema = {str(i): kind for i, kind in enumerate(kinds)}
        self._comments, self._errors = lines.Comments(), 0
        for line, text in self._dialect.comments:
            self._comments.add(line, text)
        try:
            for chunk in self._chunks(progress, self._comments):
                self._count_errors(chunk)
                batch = None
                if not any(numeric[column] for column in chunk.pointed):
                    batch = self._fast(chunk, schema, decimal)
                yield batch or self._slow(chunk, numeric, decimal, doubted)
                if doubted and decimal == "." and batch is not None and self._whole:
                    self._check_whole(batch)
        except lines.OtherEncoding as found:
            self._recognise_as(found)
            raise ReadAgain from None

    def _fast(self, chunk: lines.Chunk, schema: dict[str, Any], decimal: str) -> Batch | None:
        """Return a batch in which every number is plain, or None."""
        try:
            frame = self._parse(chunk, schema, decimal)
        except (pl.exceptions.ComputeError, pl.exceptions.SchemaError):
            if not self._few_nulls:
                return None
            self._few_nulls = False
            self._nulls = [text for text in self._missing.texts if text]
            return self._fast(chunk, schema, decimal)
        columns = []
        for cells in frame.get_columns():
            if cells.dtype == pl.Float64:
                values = cells.fill_null(np.nan) if cells.null_count() else cells
                if self._missing.numbers:
                    values = pl.Series(self._missing.out_of(values.to_numpy()))
                columns.append(values)
            else:
                columns.append(self._missing.without(cells))
        return Batch(chunk.row, columns)

    def _slow(
        self, chunk: lines.Chunk, numeric: Sequence[bool], decimal: str, doubted: bool
    ) -> Batch:
        """Return a batch with numbers of any marks, and texts among numbers."""
        batch = Batch(chunk.row, [])
        for column, (cells, number) in enumerate(zip(self._texts(chunk), numeric, strict=True)):
            if not number:
                batch.columns.append(cells)
                continue
            values, bad = numerals.numbers(cells, decimal)
            if doubted and (column in chunk.pointed or self._any_marks(cells)):
                self._weigh()
                raise ReadAgain
            if len(bad):
                batch.texts[column] = int(bad[0]), str(cells[int(bad[0])]), len(bad)
            batch.columns.append(pl.Series(self._missing.out_of(values)))
        return batch

    def _any_marks(self, cells: pl.Series) -> bool:
        odd = cells.str.contains(r"[, \u00a0\u202f\u2009'’]|\..*\.").fill_null(value=False)
        return any(numerals.has_marks(cell) for cell in cells.filter(odd).to_list())

    def _check_whole(self, batch: Batch) -> None:
        """Check columns of whole numbers below 1000 so far: 1.004 may be a thousand."""
        for column in self._whole:
            values = batch.columns[column]
            if values.dtype == pl.Float64:
                known = values.to_numpy()
                known = known[np.isfinite(known)]
                if (known != np.round(known)).any():
                    self._weigh()
                    raise ReadAgain

    def _texts(self, chunk: lines.Chunk) -> list[pl.Series]:
        """Return cells as texts, stripped, null where missing."""
        schema = {str(i): pl.String for i in range(len(self.names))}
        frame = self._parse(chunk, schema, ".")
        return [self._missing.without(cells) for cells in frame.get_columns()]

    def _parse(self, chunk: lines.Chunk, schema: dict[str, Any], decimal: str) -> pl.DataFrame:
        frame = pl.read_csv(
            chunk.data,
            has_header=False,
            schema=schema,
            separator=self._dialect.delimiter,
            quote_char=self._dialect.quote or None,
            null_values=self._nulls,
            decimal_comma=decimal == "," and self._dialect.delimiter != ",",
        )
        if len(frame) != len(chunk.lines):
            raise StreamError(
                f"{self.title}: lines {chunk.lines[0]} to {chunk.lines[-1]} are read as "
                f"{len(frame)} rows: look for quotes there, or use --quote none"
            )
        return frame

    def _chunks(
        self, progress: Progress | None, comments: lines.Comments | None = None
    ) -> Iterator[lines.Chunk]:
        comments = comments or lines.Comments()
        with self._open() as (file, plain):
            total = self._source.size()
            for chunk in lines.chunks(
                self.title, file, self._dialect, points=self._decimal == ",", comments=comments
            ):
                if progress:
                    progress(min(plain.position(), total), total)
                yield chunk

    @contextmanager
    def _open(self) -> Iterator[tuple[encoding.Utf8, Any]]:
        with self._source.open() as plain:
            yield encoding.Utf8(self.title, plain, self._encoding, self._mark), plain

    def _chunk_of(self, row: int) -> lines.Chunk:
        last = self._last
        if last is None or not last.row <= row < last.row + len(last.lines):
            last = next(one for one in self._chunks(None) if row < one.row + len(one.lines))
        self._last = last
        return last

    def place(self, row: int) -> str:
        """Return the line of a row."""
        chunk = self._chunk_of(row)
        return f"line {chunk.lines[row - chunk.row]}"

    def cell(self, row: int, column: int) -> str:
        """Return a cell as in the file."""
        chunk = self._chunk_of(row)
        schema = {str(i): pl.String for i in range(len(self.names))}
        return (self._parse(chunk, schema, ".").item(row - chunk.row, column) or "").strip()


class FrameTable:
    """A file with typed columns: Parquet, Arrow, NumPy, JSON lines.

    Args: title; source, its columns; options; lines, of each row if the file has lines.
    """

    def __init__(
        self,
        title: str,
        source: pl.LazyFrame | dict[str, NDArray[Any]],
        options: ReadOptions,
        lines: NDArray[Any] | None = None,
    ) -> None:
        self.title, self._source, self._places = title, source, lines
        self._missing = numerals.Missing.of(options.missing)
        if isinstance(source, dict):
            self._rows = len(next(iter(source.values()), ()))
            self.names = tuple(source)
        else:
            self._rows = int(source.select(pl.len()).collect().item())
            self.names = tuple(source.collect_schema().names())
        if not self._rows or not self.names:
            raise StreamError(f"{title}: the file has no rows: name one with rows")
        self._notes = self._without_nested() if isinstance(source, pl.LazyFrame) else ()
        head = self._slice(0, _SAMPLE)
        self.numeric = tuple(
            cells.dtype.is_numeric()
            or cells.dtype in (pl.Boolean, pl.Null)
            or (cells.dtype == pl.String and _mostly_numbers(cells))
            for cells in head
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was left out."""
        return self._notes

    def _without_nested(self) -> tuple[str, ...]:
        """Remove columns other than numbers, texts and times, with a note for each."""
        assert isinstance(self._source, pl.LazyFrame)
        kinds = self._source.collect_schema()
        odd = [
            name for name, kind in kinds.items()
            if kind.is_nested() or kind in (pl.Binary, pl.Object)
        ]  # fmt: skip
        self.names = tuple(name for name in self.names if name not in odd)
        if not self.names:
            raise StreamError(
                f"{self.title}: no column holds numbers, texts or times ({', '.join(odd)} of type "
                f"{kinds[odd[0]]}): write plain columns"
            )
        self._source = self._source.select(self.names)
        return tuple(
            f"column {name!r} is left out: {kinds[name]} is neither number nor text nor time"
            for name in odd
        )

    def _slice(self, start: int, count: int) -> list[pl.Series]:
        count = min(count, self._rows - start)
        with _refusing(self.title):
            if isinstance(self._source, dict):
                arrays = [array[start : start + count] for array in self._source.values()]
                return [_series(array) for array in arrays]
            columns = self._source.slice(start, count).collect().get_columns()
        return [
            cells.cast(pl.String) if cells.dtype in (pl.Categorical, pl.Enum) else cells
            for cells in columns
        ]

    def sample(self) -> list[pl.Series]:
        """First cells of every column."""
        return self._converted(0, _SAMPLE, self.numeric).columns

    def batches(self, numeric: Sequence[bool], progress: Progress | None) -> Iterator[Batch]:
        """Yield all rows. Errors: StreamError."""
        for start in range(0, self._rows, ROWS):
            yield self._converted(start, ROWS, numeric)
            if progress:
                progress(min(start + ROWS, self._rows), self._rows)

    def _converted(self, start: int, count: int, numeric: Sequence[bool]) -> Batch:
        batch = Batch(start, [])
        for column, (cells, number) in enumerate(
            zip(self._slice(start, count), numeric, strict=True)
        ):
            if cells.dtype == pl.String:
                cells = self._missing.without(cells)
            if number and cells.dtype == pl.String:
                values, bad = numerals.numbers(cells, ".")
                if len(bad):
                    batch.texts[column] = int(bad[0]), str(cells[int(bad[0])]), len(bad)
            elif number:
                values = cells.cast(pl.Float64).fill_null(np.nan).to_numpy()
            elif cells.dtype == pl.String or cells.dtype.is_temporal():
                batch.columns.append(cells)
                continue
            else:
                batch.columns.append(pl.Series([None] * len(cells), dtype=pl.String))
                continue
            batch.columns.append(pl.Series(self._missing.out_of(values)))
        return batch

    def place(self, row: int) -> str:
        """Return the line of a row, or its number, counted from 1."""
        return f"row {row + 1}" if self._places is None else f"line {self._places[row]}"

    def cell(self, row: int, column: int) -> str:
        """Return a cell as a text."""
        return str(self._slice(row, 1)[column][0])


def _many(count: int, one: str, several: str) -> str:
    """Format a count with words in the singular or the plural."""
    return f"1 {one}" if count == 1 else f"{count} {several}"


def _mostly_numbers(cells: pl.Series) -> bool:
    texts = [cell.strip() for cell in cells.drop_nulls().to_list()]
    known = [text for text in texts if not numerals.is_missing(text)]
    return 2 * sum(map(numerals.is_number, known)) > len(known)


@contextmanager
def _refusing(title: str) -> Iterator[None]:
    """Convert exceptions about a damaged file to messages."""
    try:
        yield
    except StreamError:
        raise
    except _DAMAGED as error:
        reason = str(error).split("\n")[0][:200]
        raise StreamError(
            f"{title}: the file is damaged, or of a kind that is not supported ({reason}): write "
            "it again, as CSV, Parquet or a NumPy array of numbers"
        ) from error


def _series(array: NDArray[Any]) -> pl.Series:
    """Return cells of a NumPy file. Errors: ValueError (texts with invalid characters)."""
    if array.dtype.kind in "mM":  # of any unit
        return pl.Series(array.astype(f"{array.dtype.kind}8[ns]"))
    if array.dtype.kind == "U":  # neither NumPy nor polars checks the characters
        own = np.array(array, array.dtype.newbyteorder("="))
        codes = np.frombuffer(own.tobytes(), np.uint32)
        if (codes > sys.maxunicode).any() or ((codes >> 11) == _SURROGATES >> 11).any():
            raise ValueError("a text contains invalid characters")
        return pl.Series(own)
    return pl.Series(np.array(array, np.float64 if array.dtype.kind in "fiub" else None))


def _arrays(title: str, path: Path) -> dict[str, NDArray[Any]]:
    """Return columns of a NumPy file: of one array with rows, or of arrays of equal length."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about files of Python 2
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        arrays = {"": loaded}
    else:
        with loaded:
            arrays = dict(loaded)
    columns: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        what = f"array {name!r}" if name else "the array"
        fields = [array[field] for field in array.dtype.names or ()]
        if fields and all(one.ndim == 1 and one.dtype.kind in "fiubUSmM" for one in fields):
            columns |= dict(zip(array.dtype.names, fields, strict=True))
        elif array.ndim == 1 and array.dtype.kind in "fiubUmM":
            columns[name or "x1"] = array
        elif array.ndim == 2 and array.dtype.kind in "fiub":
            stem = name if name and len(arrays) > 1 else "x"
            columns |= {f"{stem}{i + 1}": array[:, i] for i in range(array.shape[1])}
        else:
            raise StreamError(
                f"{title}: {what} has shape {array.shape} and type {array.dtype}: save real "
                "numbers as (rows,) or (rows, columns)"
            )
    lengths = {name: len(array) for name, array in columns.items()}
    if len(set(lengths.values())) > 1:
        (a, n), (b, m) = next(
            ((one, first), (other, second))
            for one, first in lengths.items()
            for other, second in lengths.items()
            if first != second
        )
        raise StreamError(
            f"{title}: array {a!r} has {n} rows and {b!r} has {m}: save arrays of equal length"
        )
    return columns
