"""Times of a live stream: which column they are, and their seconds."""

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

_DAY = 86_400.0
_NONE = ("none", "")
_FEW = 16  # texts that are read one by one
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Names under which small numbers are seconds since a start; under "data" they are a reading.
_SURE = re.compile(r"time|zeit|epoch|unix|elapsed|millis|micros|seconds|(?:^|_)ts(?:_|$)|^t[_ (\[]")


@dataclass(frozen=True)
class Moments:
    """The time of rows.

    Attributes: fields, names of the one or two columns that spell it; form, how.
    """

    fields: tuple[str, ...]
    form: TimeFormat

    def seconds(self, cells: pl.Series | Sequence[str], values: Values) -> Float64Array:
        """Seconds of texts, NaN where missing or no time; the latter are counted as malformed."""
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
            whole, rest = np.divmod(found, SECOND)  # each of which a float64 holds exactly
            seconds = np.where(found == NAT, np.nan, whole + rest / SECOND)
        else:
            seconds = np.where(np.isfinite(found), found, np.nan)
        wrong = np.isnan(seconds) & texts.is_not_null().to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            values.malformed(
                "+".join(self.fields),
                row,
                f"holds {excerpt(texts[row])}, which is no time as the first one was: the row is "
                "taken to have none",
                int(wrong.sum()),
            )
        return seconds

    def _plain(self, cells: pl.Series | Sequence[str], comma: bool) -> Float64Array | None:
        """Seconds of a few texts that are numbers, without the cost of a call for many."""
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
    """Whether a name alone says that its numbers are times."""
    return times.named_time(name) and _SURE.search(name.lower()) is not None


class Days:
    """Times of day as seconds that go on over midnight: a step back by half a day is a new day."""

    def __init__(self) -> None:
        self.state: list[float] = []
        """Days that have passed and the last time of day; a JSON value."""

    def unwrapped(self, seconds: Float64Array) -> Float64Array:
        """Seconds since the first midnight."""
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
    title: str, names: Sequence[str], cells: Sequence[str], options: SourceOptions
) -> Moments | None:
    """The time of a stream, or None.

    Args: title, what messages call the stream; names, of its columns; cells, of its first row.
    Errors: StreamError: the named column is not there, or two formats fit.
    """
    if options.time in _NONE:
        return None
    if options.time is not None:
        return _named(title, names, cells, options, options.time)
    for name, cell in zip(names, cells, strict=True):
        if times.named_time(name) and not times.vague(name):
            forms = _forms(title, name, cell, options, explicit=False)
            if forms and (forms[0].kind != "seconds" or is_sure(name)):
                return Moments((name,), _only(title, name, cell, forms))
    for name, cell in zip(names, cells, strict=True):
        # A clock that is not set may write 0000-00-00, which looks like a date and is none.
        if times.is_time(cell) and (forms := times.text_formats([cell])):
            return Moments((name,), _only(title, name, cell, forms))
    if options.time_format is not None:
        raise StreamError(
            f"{title}: time format {options.time_format!r}: no column is the time; name it "
            f"(--time): there are {', '.join(names)}"
        )
    return None


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
            f"{title}: column {said!r} is no time in the first row ({cell!r}): name its format "
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
        marks = (options.decimal,) if options.decimal else (".", ",")
        value = next((v for mark in marks if (v := numerals.number(cell, mark)) is not None), None)
        if value is None:
            return []
        return times.number_formats(name, np.array([value]), explicit)
    return times.text_formats([cell])


def _only(title: str, name: str, cell: str, forms: list[TimeFormat]) -> TimeFormat:
    if len(forms) > 1:
        raise StreamError(
            f"{title}: column {name!r} holds {cell!r} in the first row, of which day and month are "
            f"not told apart: name the format (--time-format {forms[0].name!r} or "
            f"{forms[1].name!r})"
        )
    return forms[0]
