"""Numbers as texts: decimal and thousands marks, and spellings of a missing value.

An ambiguous mark (``1.234``) is decided by the whole file, by its unambiguous cells (``0.5``,
``12.34``, ``1.234.567``, ``1.234,5``). If these contradict one another, or whole numbers next to
them leave the mark open, the file is refused. If all cells are like ``1.234``, the point is
decimal, which the caller notes.
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

ERRORS = (  # of spreadsheets, in English and in German
    "#n/a", "#nv", "#div/0!", "#ref!", "#bezug!", "#value!", "#wert!", "#null!", "#num!", "#zahl!",
    "#name?",
)  # fmt: skip
MISSING = (
    *ERRORS, "", "nan", "na", "n/a", "#n/a n/a", "#na", "<na>", "null", "none", "nat", "nil",
    "-", "--", "---", "\u2212", "\u2013", "\u2014", "?",
    "-nan", "+nan", "nan(ind)", "-nan(ind)", "1.#qnan", "-1.#ind", "1.#ind",
)  # fmt: skip
_MINUS = "\u2212"  # typographic minus, replaced by a hyphen
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
# What a cell shows about the file: name -> (a text that it contains, pattern of the cell).
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
Words = Callable[[str, int, str], str]  # formats column, row and cell as line, column and cell


def is_missing(cell: str) -> bool:
    """Return whether a cell is empty or spells a missing value."""
    return cell.lower() in MISSING


def is_number(cell: str) -> bool:
    """Return whether a cell is a number with any marks, or infinite."""
    return _NUMBER.fullmatch(cell.replace(_MINUS, "-")) is not None


def has_marks(cell: str) -> bool:
    """Return whether other cells must decide the decimal mark, or it is not a point."""
    return is_number(cell) and re.fullmatch(_DOT, cell.replace(_MINUS, "-")) is None


@dataclass(frozen=True)
class Missing:
    """Missing values of one file.

    Attributes: texts, spellings, stripped; numbers, values.
    """

    texts: tuple[str, ...]
    numbers: tuple[float, ...]

    @classmethod
    def of(cls, said: tuple[str, ...]) -> Missing:
        """Return the usual spellings and the given ones."""
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
        """Return texts, stripped; null where missing."""
        stripped = cells.str.strip_chars()
        gone = stripped.is_in(list(self.texts)) | stripped.str.to_lowercase().is_in(list(MISSING))
        return stripped.set(gone.fill_null(value=False), None)

    def out_of(self, values: Float64Array) -> Float64Array:
        """Return numbers, NaN where missing."""
        for number in self.numbers:
            values = np.where(values == number, np.nan, values)
        return values


def numbers(cells: pl.Series, decimal: str) -> tuple[Float64Array, NDArray[np.uint32]]:
    """Convert stripped texts, NaN where null or not a number; also return the rows of those."""
    found = plain(cells, decimal).cast(pl.Float64, strict=False)
    bad = (found.is_null() & cells.is_not_null()).arg_true()
    return found.fill_null(np.nan).to_numpy(), bad.to_numpy()


def plain(cells: pl.Series, decimal: str) -> pl.Series:
    """Replace the marks of numbers by a decimal point; other texts do not become numbers."""
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
    """Return the number of a stripped text, by the rules of ``numbers``; None: not finite."""
    text = cell.replace(_MINUS, "-")
    if _GROUPS[decimal].fullmatch(text):
        text = _PARTS[decimal].sub("", text)
    elif not _PLAINS[decimal].fullmatch(text):
        return None
    return float(text.replace(",", "."))


def decimal_of(cell: str) -> tuple[str, bool] | None:
    """Return the decimal mark of one stripped number, and whether it is unambiguous.

    None: it has no mark, or is not a number. A number like 1,234 may be a thousand, so it is
    ambiguous.
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
    """What the cells of one file show about its decimal mark; columns by their names."""

    columns: dict[str, dict[str, Place]] = field(default_factory=dict)

    def observe(self, name: str, cells: pl.Series, row: int) -> None:
        """Examine a column's next cells, stripped, null where missing; row is that of the first."""
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
        """Return column, row and cell of the first cell that shows one of these."""
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
    """Decide the decimal mark of a file.

    Args: marks, of all its cells; delimiter, "" for a single column; place, formats (column, row,
    cell).
    Errors: StreamError shows two cells that contradict one another, or an ambiguous one.
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
        sure = not either_comma or delimiter == ";"  # the usual delimiter with decimal commas
        if doubtful and not (either_dot and delimiter == ","):  # or with decimal points
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
    """Refuse a column of cells like 20,129 next to a column of cells like 6.95.

    If commas separate cells, commas within cells are thousands marks. Otherwise the column must
    show it: by a cell without a mark, or by one with two.
    """
    for name, told in marks.columns.items():
        either = told.get("either comma")
        if either and not told.keys() & {"small", "commas", "full dot"}:
            raise StreamError(
                f"{place(name, *either)}, which may be a fraction or thousands, and "
                f"{place(*dot)}, with a decimal point: {REMEDY}, or correct the cells"
            )


def _check_columns(marks: Marks, decimal: str, place: Words) -> None:
    """Refuse thousands marks in a column whose other cells have none."""
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
