"""Numbers as texts: decimal and thousands marks, and spellings of a missing value.

A mark that may be either (``1.234``) is decided by the whole file: by cells that allow one reading
alone (``0.5``, ``12.34``, ``1.234.567``, ``1.234,5``). Where they contradict one another, or where
whole numbers next to them leave it open, the file is refused. Where all cells are as ``1.234``, the
point is decimal; the caller notes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from nbt_embed.arrays import Float64Array
from nbt_embed.errors import StreamError

ERRORS = (  # of a spreadsheet, in English and in German
    "#n/a", "#nv", "#div/0!", "#ref!", "#bezug!", "#value!", "#wert!", "#null!", "#num!", "#zahl!",
    "#name?",
)  # fmt: skip
MISSING = (
    *ERRORS, "", "nan", "na", "n/a", "#n/a n/a", "#na", "<na>", "null", "none", "nat", "nil",
    "-", "--", "---", "\u2212", "\u2013", "\u2014", "?",
    "-nan", "+nan", "nan(ind)", "-nan(ind)", "1.#qnan", "-1.#ind", "1.#ind",
)  # fmt: skip
_MINUS = "\u2212"  # of typography, which means the hyphen's minus
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_DOT = rf"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+){_EXPONENT}"
_COMMA = rf"[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+){_EXPONENT}"
_SPACES = " \u00a0\u202f\u2009'’"
_GROUPED = {  # decimal mark: with thousands marks of the other kind, or spaces or apostrophes
    ".": rf"[+-]?[0-9]{{1,3}}(?:(?:,[0-9]{{3}})+|(?:[{_SPACES}][0-9]{{3}})+)(?:\.[0-9]*)?",
    ",": rf"[+-]?[0-9]{{1,3}}(?:(?:\.[0-9]{{3}})+|(?:[{_SPACES}][0-9]{{3}})+)(?:,[0-9]*)?",
}
_INFINITE = r"[+-]?(?i:inf|infinity)"
_PLAIN = {".": _DOT, ",": _COMMA}
_EITHER = r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}"  # a fraction of three digits, or a thousand
_GROUPS = {mark: re.compile(pattern) for mark, pattern in _GROUPED.items()}
_PLAINS = {mark: re.compile(pattern) for mark, pattern in _PLAIN.items()}
_PARTS = {".": re.compile(f"[,{_SPACES}]"), ",": re.compile(f"[.{_SPACES}]")}
_NUMBER = re.compile("|".join([_DOT, _COMMA, *_GROUPED.values(), _INFINITE]))
# What a cell tells of the file: name -> (a text it must hold, pattern of the cell).
_TELLS = {
    "dot": (".", rf"^(?:{_DOT}|[+-]?[0-9]{{1,3}}(?:[,{_SPACES}][0-9]{{3}})+\.[0-9]*)$"),
    "comma": (",", rf"^(?:{_COMMA}|[+-]?[0-9]{{1,3}}(?:[.{_SPACES}][0-9]{{3}})+,[0-9]*)$"),
    "dots": (".", r"^[+-]?[0-9]{1,3}(?:\.[0-9]{3}){2,}$"),
    "commas": (",", r"^[+-]?[0-9]{1,3}(?:,[0-9]{3}){2,}$"),
    "full dot": (",", r"^[+-]?[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]*$"),
    "full comma": (".", r"^[+-]?[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]*$"),
    "either dot": (".", r"^[+-]?[1-9][0-9]{0,2}\.[0-9]{3}$"),
    "either comma": (",", r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"),
    "small": ("", r"^[+-]?[0-9]{1,3}$"),
    "large": ("", r"^[+-]?[0-9]{4,}$"),
}
REMEDY = "name the decimal mark, --decimal , or --decimal ."

Place = tuple[int, str]  # row and cell
Words = Callable[[str, int, str], str]  # of a column, a row and a cell: line, column and cell


def is_missing(cell: str) -> bool:
    """Whether a cell is empty or spells a missing value."""
    return cell.lower() in MISSING


def is_number(cell: str) -> bool:
    """Whether a cell is a number with any marks, or infinite."""
    return _NUMBER.fullmatch(cell.replace(_MINUS, "-")) is not None


def has_marks(cell: str) -> bool:
    """Whether the decimal mark must be decided by other cells, or is no point."""
    return is_number(cell) and re.fullmatch(_DOT, cell.replace(_MINUS, "-")) is None


@dataclass(frozen=True)
class Missing:
    """What marks a missing value in one file.

    Attributes: texts, spellings, stripped; numbers, values.
    """

    texts: tuple[str, ...]
    numbers: tuple[float, ...]

    @classmethod
    def of(cls, said: tuple[str, ...]) -> Missing:
        """The usual spellings and those that were named."""
        usual = [form for text in MISSING for form in (text, text.upper(), text.capitalize())]
        usual += ["NaN", "NaT", "N/a", "<Na>"]
        numbers = []
        for text in (one.strip().replace(_MINUS, "-") for one in said):
            if re.fullmatch(_DOT, text):
                numbers.append(float(text))
            elif re.fullmatch(_COMMA, text):
                numbers.append(float(text.replace(",", ".")))
        return cls(tuple(dict.fromkeys([*usual, *(text.strip() for text in said)])), tuple(numbers))

    def without(self, cells: pl.Series) -> pl.Series:
        """Texts, stripped; null where missing."""
        stripped = cells.str.strip_chars()
        gone = stripped.is_in(list(self.texts)) | stripped.str.to_lowercase().is_in(list(MISSING))
        return stripped.set(gone.fill_null(value=False), None)

    def out_of(self, values: Float64Array) -> Float64Array:
        """Numbers, NaN where missing."""
        for number in self.numbers:
            values = np.where(values == number, np.nan, values)
        return values


def numbers(cells: pl.Series, decimal: str) -> tuple[Float64Array, NDArray[np.uint32]]:
    """Numbers of stripped texts, NaN where null or no number, and the rows of the latter."""
    found = plain(cells, decimal).cast(pl.Float64, strict=False)
    bad = (found.is_null() & cells.is_not_null()).arg_true()
    return found.fill_null(np.nan).to_numpy(), bad.to_numpy()


def plain(cells: pl.Series, decimal: str) -> pl.Series:
    """Numbers as texts with a decimal point and no other mark; what is no number is no number."""
    text = cells.str.replace_all(_MINUS, "-", literal=True)
    grouped = text.str.contains(f"^(?:{_GROUPED[decimal]})$").fill_null(value=False)
    if grouped.any():
        bare = text.str.replace_all(_PARTS[decimal].pattern, "")
        text = bare.zip_with(grouped, text)
    if decimal == ",":
        wrong = text.str.contains(".", literal=True).fill_null(value=False)
        text = text.str.replace(",", ".", literal=True).set(wrong, "x")
    return text


def number(cell: str, decimal: str) -> float | None:
    """The number of one stripped text, by the rules of ``numbers``; None: it is no finite one."""
    text = cell.replace(_MINUS, "-")
    if _GROUPS[decimal].fullmatch(text):
        text = _PARTS[decimal].sub("", text)
    elif not _PLAINS[decimal].fullmatch(text):
        return None
    return float(text.replace(",", "."))


def decimal_of(cell: str) -> tuple[str, bool] | None:
    """The decimal mark that one stripped number tells, and whether it can be no other.

    None: it has no mark, or is no number. A number as 1,234 may be a thousand, and is not sure.
    """
    text = cell.replace(_MINUS, "-")
    fits = [mark for mark in ".," if number(text, mark) is not None]
    if not fits or not re.search("[.,]", text):
        return None
    if len(fits) == 1:
        return fits[0], True
    return ("." if "." in text else ","), False


@dataclass
class Marks:
    """What the cells of one file tell about its decimal mark; columns by their names."""

    columns: dict[str, dict[str, Place]] = field(default_factory=dict)

    def observe(self, name: str, cells: pl.Series, row: int) -> None:
        """Look at a column's next cells, stripped, null where missing; row is that of the first."""
        tells = self.columns.setdefault(name, {})
        cells = cells.str.replace_all(_MINUS, "-", literal=True)
        holds = {
            mark: cells.str.contains(mark, literal=True).fill_null(value=False) for mark in ".,"
        }
        any_mark = holds["."] | holds[","]
        for tell, (mark, pattern) in _TELLS.items():
            if tell in tells:
                continue
            rows = (holds[mark] if mark else ~any_mark).arg_true()
            if not len(rows):
                continue
            some = cells.gather(rows)
            match = some.str.contains(pattern).fill_null(value=False)
            if tell in ("dot", "comma"):
                sure = match & ~some.str.contains(f"^{_EITHER}$").fill_null(value=False)
                if not mark or not sure.any():
                    continue
                match = sure & some.str.contains(mark, literal=True)
            first = match.arg_max()
            if first is not None and match[first]:
                tells[tell] = (row + int(rows[first]), str(some[first]))

    def first(self, *tells: str) -> tuple[str, int, str] | None:
        """Column, row and cell of the first cell that tells one of these."""
        found = [
            (place[0], name, place[1])
            for name, told in self.columns.items()
            for tell, place in told.items()
            if tell in tells
        ]
        if not found:
            return None
        row, name, cell = min(found)
        return name, row, cell


def decide(marks: Marks, delimiter: str, place: Words) -> str:
    """The decimal mark of a file.

    Args: marks, of all its cells; delimiter, "" for a single column; place, (column, row, cell)
    in words.
    Errors: StreamError shows two cells that contradict one another, or one with two readings.
    """
    comma = marks.first("comma", "dots")
    dot = marks.first("dot", "commas")
    if comma and dot:
        raise StreamError(
            f"{place(*comma)}, with a decimal comma, and {place(*dot)}, with a decimal point: "
            f"{REMEDY}, or correct the cells"
        )
    either_comma, either_dot = marks.first("either comma"), marks.first("either dot")
    if not comma and not dot:
        if either_comma and either_dot:
            raise StreamError(
                f"{place(*either_comma)} and {place(*either_dot)}, which may each be a fraction "
                f"or thousands: {REMEDY}"
            )
        doubtful = either_comma or either_dot
        sure = not either_comma or delimiter == ";"  # which is used where the comma is decimal
        if doubtful and not (either_dot and delimiter == ","):  # or not, where the point is
            for name, told in marks.columns.items():
                either = told.get("either comma") or told.get("either dot")
                if either and ("small" in told or not sure):
                    whole = told.get("small")
                    others = f", and {place(name, *whole)}, without a mark" if whole else ""
                    raise StreamError(
                        f"{place(name, *either)}, which may be a fraction or thousands{others}: "
                        f"{REMEDY}"
                    )
        decimal = "," if either_comma else "."
    else:
        decimal = "," if comma else "."
    _check_columns(marks, decimal, place)
    if dot and delimiter != ",":
        _check_commas(marks, dot, place)
    return decimal


def _check_commas(marks: Marks, dot: tuple[str, int, str], place: Words) -> None:
    """Refuse a column of cells as 20,129 next to a column of cells as 6.95.

    Where cells are separated by commas, those within cells are thousands marks. Elsewhere the
    column must show it: by a cell without a mark, or by one with two.
    """
    for name, told in marks.columns.items():
        either = told.get("either comma")
        if either and not told.keys() & {"small", "commas", "full dot"}:
            raise StreamError(
                f"{place(name, *either)}, which may be a fraction or thousands, and "
                f"{place(*dot)}, with a decimal point: {REMEDY}, or correct the cells"
            )


def _check_columns(marks: Marks, decimal: str, place: Words) -> None:
    """Refuse thousands marks in a column that elsewhere does without them."""
    own, other = ("comma", "dot") if decimal == "," else ("dot", "comma")
    for name, told in marks.columns.items():
        grouped = told.get(f"either {other}")
        if grouped is None:
            continue
        if f"full {own}" in told or f"{other}s" in told:  # 1.234,5 or 1.234.567
            continue
        against = told.get(own) or told.get(f"either {own}") or told.get("large")
        if against:
            raise StreamError(
                f"{place(name, *against)} and {place(name, *grouped)}: these marks contradict one "
                f"another: "
                f"{REMEDY}, or correct the cells"
            )
