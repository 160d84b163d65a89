"""Single values of a live stream: texts as numbers and classes."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from nbt_embed.app import numerals
from nbt_embed.app.numerals import Missing, is_missing
from nbt_embed.arrays import VALUE_LIMIT, Float32Array, Float64Array
from nbt_embed.errors import StreamError, shown
from nbt_embed.live.remarks import Remarks, excerpt

MALFORMED_VALUES = "malformed values"
_POINT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAN = math.nan
_OTHER = {".": ",", ",": "."}


class Values:
    """Converts texts and JSON values to numbers, NaN where there is none.

    A text that is not a number, an infinite value and one beyond ``VALUE_LIMIT`` are NaN and
    counted as malformed. A missing value is NaN and not counted. Marks are read as in files
    (``app.numerals``); if the decimal mark is unknown, the first number with a mark decides.

    Args:
        missing: further spellings of a missing value.
        decimal: the decimal mark; None: recognise it.
        counts: receives the number of malformed values.

    Attributes: remarks, on the first malformed value of each field.
    """

    def __init__(self, missing: Sequence[str], decimal: str | None, counts: Counter[str]) -> None:
        self._missing = Missing.of(tuple(missing))
        self._texts = frozenset(self._missing.texts)
        self.decimal, self._counts = decimal, counts
        self.remarks = Remarks()

    def begin(self, title: str, first: Mapping[str, str], delimiter: str) -> None:
        """Find the decimal mark in the cells of the first row, as in files.

        Args: title, of the stream; first, name -> cell of each number; delimiter, "" for a single
        column, and for texts of JSON.
        Errors: StreamError: the cells contradict one another, or may be fractions or thousands.
        """
        if self.decimal is not None:
            return
        cells = {name: cell.strip() for name, cell in first.items()}
        told = [one for cell in cells.values() if (one := numerals.decimal_of(cell)) is not None]
        found = {mark for mark, _ in told}
        if (not told and delimiter == ",") or found == {"."}:
            self.decimal = "."
        elif found == {","} and any(sure for _, sure in told):
            self.decimal = ","
        elif told:
            self.decimal = self._weighed(title, cells, delimiter)

    def _weighed(self, title: str, cells: Mapping[str, str], delimiter: str) -> str:
        """Decide the decimal mark of cells that are ambiguous or contradict one another."""
        marks = numerals.Marks()
        for name, cell in cells.items():
            if not self.is_missing(cell):
                marks.observe(name, pl.Series([cell], dtype=pl.String), 0)
        try:
            return numerals.decide(
                marks,
                delimiter,
                lambda name, _, cell: f"field {shown(name)} holds {cell!r} in the first row",
            )
        except StreamError as error:
            raise StreamError(f"{title}: {error}") from None

    def is_missing(self, cell: str) -> bool:
        """Return whether a stripped text spells a missing value."""
        return cell in self._texts or is_missing(cell)

    def without_missing(self, cells: pl.Series) -> pl.Series:
        """Return texts, stripped; null where missing."""
        return self._missing.without(cells)

    def malformed(self, name: str, row: int, problem: str, count: int = 1) -> None:
        """Count malformed values.

        Args: name, of the field; row, of the first of them; problem, the fault and the remedy;
        count.
        """
        self._counts[MALFORMED_VALUES] += count
        self.remarks.add(f"value {name}", row, f"field {shown(name)} {problem}")

    def number(self, cell: str, name: str, row: int) -> float:
        """Return the number that a text spells. Args: cell; name of the field; row."""
        text = cell.strip()
        if self.is_missing(text):
            return _NAN
        if self.decimal is None:
            self._decide(text, name, row)
        found = numerals.number(text, self.decimal or ".")
        if found is None:
            self.malformed(name, row, self._problem(text))
            return _NAN
        return found

    def _decide(self, text: str, name: str, row: int) -> None:
        """Take the decimal mark of a number that has one."""
        told = numerals.decimal_of(text)
        if told is None:
            return
        self.decimal, sure = told
        if not sure and self.decimal == ",":
            self.remarks.add(
                "decimal",
                row,
                f"field {shown(name)} holds {excerpt(text)}, the first number with a mark: commas "
                "are read as decimal marks from here on; --decimal . reads them as thousands marks",
            )

    def _problem(self, text: str) -> str:
        """Describe a text that is not a number."""
        decimal = self.decimal or "."
        if numerals.number(text, _OTHER[decimal]) is not None:
            return (
                f"holds {excerpt(text)}, and the decimal mark of this stream is {decimal!r}: it "
                f"counts as missing; --decimal {_OTHER[decimal]} selects the other mark"
            )
        return (
            f"holds {excerpt(text)}, which is not a number: it counts as missing; correct the "
            "sender, or declare it with --missing"
        )

    def of_json(self, value: Any, name: str, row: int) -> float:
        """Return the number that a JSON value is or spells; true is 1 and false is 0."""
        if isinstance(value, str):
            return self.number(value, name, row)
        if value is None:
            return _NAN
        if isinstance(value, (int, float)):
            try:
                return float(value)
            except OverflowError:
                return math.inf
        self.malformed(
            name, row, f"holds {excerpt(value)}, which is not a number: it counts as missing"
        )
        return _NAN

    def checked(self, values: Float64Array, names: Sequence[str]) -> Float32Array:
        """Return float32, NaN where missing or out of range. Args: values (n, k); names (k,)."""
        values = self._missing.out_of(values)
        beyond = np.abs(values) > VALUE_LIMIT
        if beyond.any():
            for column in np.flatnonzero(beyond.any(axis=0)).tolist():
                row = int(beyond[:, column].argmax())
                self.malformed(
                    names[column],
                    row,
                    f"holds {float(values[row, column])}, which is beyond {VALUE_LIMIT:g}, the "
                    "limit of a learner's values: it counts as missing",
                    int(beyond[:, column].sum()),
                )
            values = np.where(beyond, np.nan, values)
        return values.astype(np.float32)


class Classes:
    """Converts names of classes to their numbers; names that are all numbers match by value.

    Args: names, of the classes; values, which recognises missing ones; target, name of the field.
    Errors: StreamError: fewer than two names, or a repeated name.
    """

    def __init__(self, names: Sequence[str], values: Values, target: str) -> None:
        if len(names) < 2 or len(set(names)) < len(names):
            raise StreamError(
                f"classes {', '.join(names) or 'are none'}: name at least two, each once"
            )
        self.names, self._values, self._target = tuple(names), values, target
        self._codes = {name: float(code) for code, name in enumerate(names)}
        numbers = [float(name) if _POINT.fullmatch(name) else _NAN for name in names]
        self._numbers = dict(zip(numbers, map(float, range(len(names))), strict=True))
        if any(math.isnan(number) for number in numbers):
            self._numbers = {}

    def codes(self, values: Iterable[Any]) -> list[float]:
        """Return class numbers of texts or JSON values, NaN where missing or unknown."""
        return [self._code(value, row) for row, value in enumerate(values)]

    def _code(self, value: Any, row: int) -> float:
        text = value.strip() if isinstance(value, str) else value
        if isinstance(text, bool):
            text = str(text).lower() if not self._numbers else int(text)
        if isinstance(text, str):
            if text in self._codes:
                return self._codes[text]
            if self._values.is_missing(text):
                return _NAN
            if self._numbers and _POINT.fullmatch(text):
                text = float(text)
        elif text is None or text != text:
            return _NAN
        if isinstance(text, (int, float)) and text in self._numbers:
            return self._numbers[text]
        if isinstance(text, (int, float)) and str(text) in self._codes:
            return self._codes[str(text)]
        self._values.malformed(
            self._target,
            row,
            f"holds {excerpt(value)}, which is not one of its classes: it counts as missing; "
            "--classes has to name all classes",
        )
        return _NAN
