"""Single values of a live stream: texts as numbers, and as classes."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from nbt_embed.app.numerals import Missing, is_missing
from nbt_embed.arrays import VALUE_LIMIT, Float32Array, Float64Array
from nbt_embed.errors import StreamError

MALFORMED_VALUES = "malformed values"
_POINT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAN = math.nan


class Values:
    """Texts and JSON values as numbers, NaN where there is none.

    A text that is no number, an infinite value and one beyond what a learner takes
    (``VALUE_LIMIT``) are NaN and counted as malformed; a missing value is NaN alone.

    Args:
        missing: further spellings of a missing value.
        decimal: the decimal mark; None: the first number with a mark decides.
        counts: where malformed values are counted.
    """

    def __init__(self, missing: Sequence[str], decimal: str | None, counts: Counter[str]) -> None:
        self._missing = Missing.of(tuple(missing))
        self._texts = frozenset(self._missing.texts)
        self.decimal, self._counts = decimal, counts

    def is_missing(self, cell: str) -> bool:
        """Whether a stripped text spells a missing value."""
        return cell in self._texts or is_missing(cell)

    def without_missing(self, cells: pl.Series) -> pl.Series:
        """Texts, stripped; null where missing."""
        return self._missing.without(cells)

    def malformed(self, count: int = 1) -> None:
        """Count values that are not what they should be."""
        if count:
            self._counts[MALFORMED_VALUES] += count

    def number(self, cell: str) -> float:
        """The number that a text spells."""
        text = cell.strip()
        if self.is_missing(text):
            return _NAN
        text = text.replace("\u2212", "-")
        if self.decimal is None and ("," in text or "." in text):
            if _COMMA.fullmatch(text):
                self.decimal = ","
            elif _POINT.fullmatch(text):
                self.decimal = "."
        if self.decimal == "," and _COMMA.fullmatch(text):
            return float(text.replace(",", "."))
        if self.decimal != "," and _POINT.fullmatch(text):
            return float(text)
        self.malformed()
        return _NAN

    def of_json(self, value: Any) -> float:
        """The number that a JSON value is or spells; true is 1 and false is 0."""
        if isinstance(value, str):
            return self.number(value)
        if value is None:
            return _NAN
        if isinstance(value, (int, float)):
            try:
                return float(value)
            except OverflowError:
                return math.inf
        self.malformed()
        return _NAN

    def checked(self, values: Float64Array) -> Float32Array:
        """As float32, NaN where missing, infinite or too large."""
        values = self._missing.out_of(values)
        beyond = np.abs(values) > VALUE_LIMIT
        if beyond.any():
            self.malformed(int(beyond.sum()))
            values = np.where(beyond, np.nan, values)
        return values.astype(np.float32)


class Classes:
    """Numbers of classes by their names; where all names are numbers, by their values.

    Errors: StreamError: fewer than two names, or one of them twice.
    """

    def __init__(self, names: Sequence[str], values: Values) -> None:
        if len(names) < 2 or len(set(names)) < len(names):
            raise StreamError(
                f"classes {', '.join(names) or 'are none'}: name at least two, each once"
            )
        self.names, self._values = tuple(names), values
        self._codes = {name: float(code) for code, name in enumerate(names)}
        numbers = [float(name) if _POINT.fullmatch(name) else _NAN for name in names]
        self._numbers = dict(zip(numbers, map(float, range(len(names))), strict=True))
        if any(math.isnan(number) for number in numbers):
            self._numbers = {}

    def code(self, value: Any) -> float:
        """Number of the class of a text or a JSON value, NaN where missing or unknown."""
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
        self._values.malformed()
        return _NAN
