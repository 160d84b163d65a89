"""A stream from a CSV file."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from nbt_embed.arrays import Float32Array
from nbt_embed.errors import StreamError
from nbt_embed.streams import Stream

# In this order: where two split the header into equally many cells, the first one is taken.
_DELIMITERS = ("\t", ";", "|", ",")
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_EMPTY = "no value in any row"


def from_csv(
    path: str | Path,
    time: str | None = None,
    inputs: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    missing: float | str | None = None,
) -> Stream:
    """Stream from a CSV file with a header line, plain or gzipped (``.gz``).

    The delimiter (tab, semicolon, bar or comma) is the one that splits the header most; with
    semicolons, numbers may have a decimal comma. A column is numeric if every cell that is not
    empty or missing is a number. Rows without any cell filled are dropped at the end of the file
    (they are samples with everything missing elsewhere), and so are empty columns.

    Args:
        path: the file, UTF-8.
        time: the column that holds the time: it must exist, and is not used by default.
        inputs: names of the input columns; None: every numeric column but the time.
        targets: the same for the targets.
        missing: a number or a text that marks a missing value, as well as the empty cell and nan.

    Errors: StreamError names the file and the column or line, and what to do.
    Cost: one pass; 8 bytes a numeric cell; about 1 µs a cell.
    """
    path = Path(path)
    header, columns = _read(path, missing)
    names = [column.name for column in columns]
    for name in (*(inputs or ()), *(targets or ()), *((time,) if time is not None else ())):
        if name not in names:
            raise StreamError(f"{path}: no column {name!r}; it has {', '.join(names)}")
    usable = [c for c in columns if c.name != time and c.problem is None]
    default = [c.name for c in usable]
    if not default and (inputs is None or targets is None):
        reasons = "; ".join(f"{c.name}: {c.problem}" for c in columns if c.name != time)
        raise StreamError(
            f"{path}: no numeric column ({reasons or 'only the time'}); name the columns in the "
            f"first line and separate them by one of tab ; | , (found {header} column(s))"
        )
    input_names = _chosen(path, "inputs", inputs, default)
    target_names = _chosen(path, "targets", targets, default)
    by_name = {column.name: column for column in columns}
    unused = tuple(
        [(c.name, c.problem) for c in columns if c.problem is not None and c.name != time]
    )
    return Stream(
        _stack(path, [by_name[name] for name in input_names]),
        _stack(path, [by_name[name] for name in target_names]),
        input_names,
        target_names,
        unused if inputs is None or targets is None else (),
    )


@dataclass
class _Column:
    """One column of a file while it is read: its numbers, or why they cannot be used."""

    name: str
    numbers: array[float]
    filled: int = 0
    problem: str | None = None

    def add(self, number: float | None, empty_rows: int, where: str) -> None:
        """Append a cell behind empty_rows missing ones; None says that it is not a number."""
        if self.problem is not None:
            return
        if number is None:
            self.problem = f"{where}, not a number"
            self.numbers = array("d")
            return
        self.numbers.extend([math.nan] * empty_rows)
        self.numbers.append(number)
        self.filled += not math.isnan(number)


class _Cell:
    """How the text of a cell becomes a number in one file."""

    def __init__(self, delimiter: str, missing: float | str | None) -> None:
        self._decimal_comma = delimiter == ";"
        self._missing_text = "" if missing is None else str(missing)
        self._missing_number = self._parse(self._missing_text)

    def value(self, text: str) -> float | None:
        """The number, NaN if it is missing, None if the text is no number."""
        if text in ("", self._missing_text):
            return math.nan
        number = self._parse(text)
        return math.nan if number is not None and number == self._missing_number else number

    def _parse(self, text: str) -> float | None:
        try:
            return float(text.replace(",", ".") if self._decimal_comma else text)
        except ValueError:
            return None


def _read(path: Path, missing: float | str | None) -> tuple[int, list[_Column]]:
    """Every column of the file, and how many cells the header has."""
    try:
        with _open(path) as file:
            return _parse(path, file, missing)
    except FileNotFoundError:
        raise StreamError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise StreamError(f"{path}: not UTF-8 text ({error.reason}): convert it") from error
    except (EOFError, zlib.error) as error:
        raise StreamError(f"{path}: the gzip file is cut off or damaged: fetch it again") from error
    except csv.Error as error:
        raise StreamError(f"{path}: not a CSV file ({error})") from error
    except OSError as error:
        raise StreamError(f"{path}: cannot be read ({error.strerror or error})") from error


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _parse(path: Path, file: TextIO, missing: float | str | None) -> tuple[int, list[_Column]]:
    header_line, header = next(
        ((number, line) for number, line in enumerate(file, 1) if line.strip()), (0, "")
    )
    if not header:
        raise StreamError(f"{path}: the file is empty; expected a header line and rows")
    delimiter = max(_DELIMITERS, key=lambda mark: len(_split(header, mark)))
    names = _split(header, delimiter)
    _check_header(path, names, delimiter)
    columns = [_Column(name or f"column {i + 1}", array("d")) for i, name in enumerate(names)]
    cell_text = _Cell(delimiter, missing)
    empty_rows = 0  # waiting: they count only if a filled row follows
    reader = csv.reader(file, delimiter=delimiter)
    for row in reader:
        line = header_line + reader.line_num
        cells = [cell.strip() for cell in row]
        if not any(cells):
            empty_rows += bool(cells)
            continue
        if len(cells) != len(names):
            raise StreamError(
                f"{path}: line {line} has {len(cells)} cells and the header has {len(names)}, "
                f"separated by {delimiter!r}: make them equal"
            )
        for column, cell in zip(columns, cells, strict=True):
            column.add(cell_text.value(cell), empty_rows, f"line {line} holds {cell!r}")
        empty_rows = 0
    if not any(column.filled or column.problem for column in columns):
        raise StreamError(f"{path}: no row below the header holds a value")
    for column in columns:
        if column.problem is None and column.filled == 0:
            column.problem = _EMPTY
    # A column without a name and without values is only a delimiter too many.
    named = [c for c, name in zip(columns, names, strict=True) if name or c.problem != _EMPTY]
    return len(names), named


def _split(line: str, delimiter: str) -> list[str]:
    """Cells of the header line."""
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def _check_header(path: Path, names: list[str], delimiter: str) -> None:
    cell = _Cell(delimiter, None)
    if all(cell.value(name) is not None for name in names):
        raise StreamError(
            f"{path}: the first line holds no names ({', '.join(names)}): add a header line"
        )
    for name in names:
        if name and names.count(name) > 1:
            raise StreamError(f"{path}: two columns are named {name!r}: rename one")


def _chosen(
    path: Path, role: str, names: Sequence[str] | None, default: list[str]
) -> tuple[str, ...]:
    if names is None:
        return tuple(default)
    if not names or len(set(names)) != len(names):
        raise StreamError(f"{path}: {role} = {list(names)}: name at least one column, each once")
    return tuple(names)


def _stack(path: Path, columns: list[_Column]) -> Float32Array:
    """The columns side by side; a chosen column that has a problem is refused."""
    for column in columns:
        if column.problem is not None:
            raise StreamError(
                f"{path}: column {column.name!r}: {column.problem}; leave the column out, correct "
                "it, or declare that value as missing"
            )
    table = np.array([column.numbers for column in columns], np.float64).T
    bad = np.argwhere(np.abs(table) > _FLOAT32_MAX)
    if len(bad):
        row, index = (int(i) for i in bad[0])
        raise StreamError(
            f"{path}: column {columns[index].name!r}, data row {row + 1}: {table[row, index]:g} "
            "is not a finite float32; correct it or declare that value as missing"
        )
    return np.ascontiguousarray(table, np.float32)
