"""Times of a live stream: which column they are, and their seconds.

The time is the first of these:

1. the column that is named (``--time``);
2. the first column that the first row identifies: by a clear name (``time``, ``timestamp``, ``ts``,
   ``t_ms``, ``epoch``, ...), or by a possible name (``t``, ``clock``, ``date``, ...) and a number
   that is a date, such as seconds since 1970;
3. the first column whose first cell is a date or a time of day as text;
4. the first column with a possible name whose numbers increase like those of a clock in the first
   ``HEAD`` rows (``goes_on``). A temperature called ``t`` usually fails in the second or third row.

``app.timeline`` uses all rows of a file instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from nbt_embed.app import numerals, times
from nbt_embed.app.numerals import is_missing, is_number
from nbt_embed.app.times import NAT, SECOND, TimeFormat
from nbt_embed.arrays import Float64Array
from nbt_embed.errors import StreamError, similar
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.remarks import excerpt
from nbt_embed.live.values import Values

HEAD = 8  # rows that show whether numbers increase like a clock's
_FEWEST = 3  # fewer suffice if the stream ends before
_JITTER = 0.1  # allowed deviation of whole numbers from multiples of the shortest step, in steps
_ROUNDING = 0.02  # allowed deviation of fractions, in steps
_DAY = 86_400.0
_NONE = ("none", "")
_FEW = 16  # up to this many texts are read singly
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Names under which small numbers are seconds since a start; under "data" they are a reading.
_SURE = re.compile(r"time|zeit|epoch|unix|elapsed|millis|micros|seconds|(?:^|_)ts(?:_|$)|^t[_ (\[]")


@dataclass(frozen=True)
class Moments:
    """The time of rows.

    Attributes: fields, names of the one or two columns of the time; form, its format.
    """

    fields: tuple[str, ...]
    form: TimeFormat

    def seconds(self, cells: pl.Series | Sequence[str], values: Values) -> Float64Array:
        """Return seconds of texts; NaN where missing, or malformed, which is counted."""
        decimal = values.decimal or "."
        plain = self._plain(cells, decimal == ",")
        if plain is not None:
            return plain
        texts = pl.Series(cells, dtype=pl.String) if isinstance(cells, Sequence) else cells
        texts = values.without_missing(texts)
        if not self.form.patterns and self.form.kind != "clock":
            found, _ = self.form.parse(numerals.plain(texts, decimal))
        else:
            found, _ = self.form.parse(texts)
        if found.dtype == np.int64:
            whole, rest = np.divmod(found, SECOND)  # each is exact in float64
            seconds = np.where(found == NAT, np.nan, whole + rest / SECOND)
        else:
            seconds = np.where(np.isfinite(found), found, np.nan)
        wrong = np.isnan(seconds) & texts.is_not_null().to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            values.malformed(
                "+".join(self.fields),
                row,
                f"holds {excerpt(texts[row])}, which is not a time in the format of the first "
                "row: this row counts as one without a time",
                int(wrong.sum()),
            )
        return seconds

    def _plain(self, cells: pl.Series | Sequence[str], comma: bool) -> Float64Array | None:
        """Return seconds of a few texts of numbers, without the overhead of polars."""
        form = self.form
        if len(cells) > _FEW or form.kind != "seconds" or form.patterns:
            return None
        if comma:
            cells = [cell and cell.replace(",", ".", 1) for cell in cells]
        if not all(cell is not None and _NUMBER.fullmatch(cell) for cell in cells):
            return None
        found = np.array([float(cell) for cell in cells], np.float64) * form.scale
        return found if np.isfinite(found).all() else None


def is_sure(name: str) -> bool:
    """Return whether the name alone identifies a time."""
    return times.named_time(name) and _SURE.search(name.lower()) is not None


class Days:
    """Times of day as seconds that continue after midnight: half a day back is a new day."""

    def __init__(self) -> None:
        self.state: list[float] = []
        """Number of past days, and the last time of day; a JSON value."""

    def unwrapped(self, seconds: Float64Array) -> Float64Array:
        """Return seconds since the first midnight."""
        known = np.flatnonzero(~np.isnan(seconds))
        if not len(known):
            return seconds
        now = seconds[known]
        days, last = self.state or (0.0, now[0])
        steps = np.diff(now, prepend=last)
        turns = days + np.cumsum(steps < -_DAY / 2) - np.cumsum(steps > _DAY / 2)
        self.state = [float(turns[-1]), float(now[-1])]
        found = seconds.copy()
        found[known] += turns * _DAY
        return found


def find(
    title: str,
    names: Sequence[str],
    cells: Sequence[str],
    options: SourceOptions,
    more: Sequence[Sequence[str]] = (),
    notes: list[str] | None = None,
) -> Moments | None:
    """Return the time of a stream, or None.

    Args: title, name of the stream in messages; names, of its columns; cells, of its first row;
    more, those of the next rows; notes, receives decisions by several rows.
    Errors: StreamError: the named column is not there, or two formats fit.
    """
    if options.time in _NONE:
        return None
    if options.time is not None:
        return _named(title, names, cells, options, options.time)
    shown = _shown(title, names, cells, options)
    if shown is not None:
        return shown
    notes = [] if notes is None else notes
    for name in _doubtful(title, names, cells, options):
        values = _values(names.index(name), (cells, *more), options)
        if goes_on(values) is not False and len(values) >= _FEWEST:
            notes.append(
                f"field {name!r} is the time, since its numbers increase like those of a clock: "
                "use --time none if it is a sensor"
            )
            cell = cells[names.index(name)]
            return Moments(
                (name,), _only(title, name, cell, _forms(title, name, cell, options, False))
            )
        notes.append(
            f"field {name!r} is read as a sensor, since its numbers do not increase like those "
            "of a clock: use "
            f"--time {name} if it is the time"
        )
    if options.time_format is not None:
        raise StreamError(
            f"{title}: time format {options.time_format!r}: no time column; name it "
            f"(--time): there are {', '.join(names)}"
        )
    return None


def asks(
    title: str, names: Sequence[str], rows: Sequence[Sequence[str]], options: SourceOptions
) -> bool:
    """Return whether more rows than these are needed to find the time.

    Errors: as of ``find``.
    """
    if options.time is not None or len(rows) >= HEAD:
        return False
    if _shown(title, names, rows[0], options) is not None:
        return False
    return any(
        goes_on(_values(names.index(name), rows, options)) is None
        for name in _doubtful(title, names, rows[0], options)
    )


def goes_on(values: Sequence[float]) -> bool | None:
    """Return whether numbers increase like a clock's; None: so far, but more are needed.

    Every number must be larger than the one before. Most steps must be the shortest step, and the
    others its multiples, since rows may be lost. Steps of whole numbers may deviate by a tenth
    (milliseconds of an imprecise timer). Fractions must be multiples of the step themselves, unlike
    a temperature that rises steadily.
    """
    found = np.array(values, np.float64)
    steps = np.diff(found)
    if not np.isfinite(found).all() or (steps <= 0).any():
        return False
    if len(steps):
        whole = bool((found == np.round(found)).all())
        step = float(steps.min() if whole else np.median(steps))
        times = steps / step
        near = np.abs(times - np.round(times)) <= (_JITTER if whole else _ROUNDING)
        often = float((np.round(times) == 1).mean()) > 0.5 or len(steps) == 1
        places = found / step
        grid = whole or bool((np.abs(places - np.round(places)) <= _ROUNDING).all())
        if not (near.all() and often and grid):
            return False
    return True if len(found) >= HEAD else None


def _shown(
    title: str, names: Sequence[str], cells: Sequence[str], options: SourceOptions
) -> Moments | None:
    """Return the time that the first row identifies, or None."""
    for name, cell in zip(names, cells, strict=True):
        if times.named_time(name):
            forms = _forms(title, name, cell, options, explicit=False)
            if forms and (
                is_sure(name) or (forms[0].kind != "seconds" and not _said(name, options))
            ):
                return Moments((name,), _only(title, name, cell, forms))
    for name, cell in zip(names, cells, strict=True):
        # An unset clock may write 0000-00-00, which looks like a date and is not one.
        if times.is_time(cell) and (forms := times.text_formats([cell])):
            return Moments((name,), _only(title, name, cell, forms))
    return None


def _doubtful(
    title: str, names: Sequence[str], cells: Sequence[str], options: SourceOptions
) -> list[str]:
    """Return number fields with a possible time name that are not named as a role."""
    return [
        name
        for name, cell in zip(names, cells, strict=True)
        if times.named_time(name)
        and is_number(cell)
        and not _said(name, options)
        and _forms(title, name, cell, options, explicit=False)
    ]


def _said(name: str, options: SourceOptions) -> bool:
    """Return whether a field was named as an input or target."""
    return name in (*(options.inputs or ()), *(options.targets or ()))


def _values(column: int, rows: Sequence[Sequence[str]], options: SourceOptions) -> list[float]:
    """Return the numbers of a column, NaN where there is none."""
    marks = (options.decimal,) if options.decimal else (".", ",")
    found = []
    for row in rows:
        cell = row[column].strip()
        numbers = (numerals.number(cell, mark) for mark in marks)
        found.append(next((one for one in numbers if one is not None), np.nan))
    return found


def _named(
    title: str, names: Sequence[str], cells: Sequence[str], options: SourceOptions, said: str
) -> Moments:
    parts = (said,) if said in names else tuple(part.strip() for part in said.split("+"))
    for part in parts:
        if part not in names or len(parts) > 2:
            raise StreamError(
                f"{title}: no column {part!r} for the time: {similar(part, names)}there are "
                f"{', '.join(names)}"
            )
    cell = " ".join(cells[names.index(part)] for part in parts)
    forms = _forms(title, said, cell, options, explicit=True)
    if not forms:
        raise StreamError(
            f"{title}: column {said!r} is not a time in the first row ({cell!r}): name its format "
            "(--time-format), or another column (--time)"
        )
    return Moments(parts, _only(title, said, cell, forms))


def _forms(
    title: str, name: str, cell: str, options: SourceOptions, explicit: bool
) -> list[TimeFormat]:
    if options.time_format is not None:
        return [times.format_of(title, options.time_format)]
    if is_missing(cell):
        return []
    if is_number(cell) and not times.is_nanoseconds([cell]):
        (value,) = _values(0, [[cell]], options)
        return [] if np.isnan(value) else times.number_formats(name, np.array([value]), explicit)
    return times.text_formats([cell])


def _only(title: str, name: str, cell: str, forms: list[TimeFormat]) -> TimeFormat:
    if len(forms) > 1:
        raise StreamError(
            f"{title}: column {name!r} holds {cell!r} in the first row, in which day and month "
            f"cannot be distinguished: name the format (--time-format {forms[0].name!r} or "
            f"{forms[1].name!r})"
        )
    return forms[0]
