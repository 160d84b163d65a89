"""Times in texts and numbers: recognised by a sample, parsed, and named.

A time is a date (nanoseconds since 1970, UTC if the text has a zone) or seconds since a start.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from nbt_embed.arrays import Float64Array
from nbt_embed.errors import StreamError

NAT = np.iinfo(np.int64).min
SECOND = 1_000_000_000
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "d": 86400.0}
_UNIT_WORDS = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "sekunden": "s",
    "ms": "ms", "msec": "ms", "millis": "ms", "milliseconds": "ms", "us": "us", "usec": "us",
    "µs": "us", "micros": "us", "microseconds": "us", "ns": "ns", "nanos": "ns", "nsec": "ns",
    "nanoseconds": "ns", "min": "min", "mins": "min", "minute": "min", "minutes": "min", "h": "h",
    "hour": "h", "hours": "h", "hr": "h", "hrs": "h", "d": "d", "day": "d", "days": "d",
}  # fmt: skip
_TIME_WORDS = {
    "t", "time", "times", "timestamp", "timestamps", "datetime", "date", "ts", "epoch", "unix",
    "unixtime", "elapsed", "zeit", "datum", "zeitstempel", "uhrzeit", "stamp", "temps", "fecha",
    "hora", "heure", "data", "tijd", "clock", "recorded", "measured", "timecode",
    "seconds", "milliseconds", "microseconds", "nanoseconds", "millis", "micros", "dt",
}  # fmt: skip
# Words of a calendar: such a column is a time if it increases and its numbers are dates.
_CALENDAR_WORDS = {
    "year", "years", "month", "jahr", "monat", "yyyymm", "jd", "mjd", "julian", "datenum",
}  # fmt: skip
# Words that indicate a date instead of a time since a start.
_DATE_WORDS = {
    "date", "datetime", "datum", "fecha", "data", "timestamp", "timestamps", "zeitstempel",
    *_CALENDAR_WORDS,
}  # fmt: skip
_COUNTERS = {
    "", "n", "i", "k", "index", "idx", "id", "no", "nr", "num", "number", "row", "rows", "record",
    "records", "rec", "sample", "samples", "seq", "sequence", "counter", "count", "step", "steps",
    "tick", "ticks", "uptime", "runtime", "entry", "line", "frame", "packet",
}  # fmt: skip
_OTHER_WORDS = {"utc", "gmt", "local", "since", "start", "from", "of", "at", "in", "abs", "iso"}
_MISSED = 0.1  # share of cells of a time column that may be something else, and are refused
_FEW = 2  # cells above which one may be something else, such as a footer
_EPOCH = (3.15e8, 4.1e9)  # seconds since 1970: years 1979 to 2099
_EXCEL = (20000.0, 80000.0)  # days since 1899-12-30: years 1954 to 2119
_DAY = 86400.0
# Numbers of days since a start: seconds of number 0 since 1970, and the numbers of 1900 to 2100.
_DAYS = {
    "excel": ("days since 1900", -25569 * _DAY, _EXCEL),
    "matlab": ("days of MATLAB", -719529 * _DAY, (693962.0, 767010.0)),
    "julian": ("Julian dates", -2440587.5 * _DAY, (2415021.0, 2488070.0)),
    "mjd": ("modified Julian dates", -40587 * _DAY, None),
}
_YEARS = (1800.0, 2200.0)
_LONG_STEP = 40.0  # days, up to which a step is in days
_DATES = (
    (r"\d{4}-\d{1,2}-\d{1,2}", ("%Y-%m-%d",)),
    (r"\d{4}/\d{1,2}/\d{1,2}", ("%Y/%m/%d",)),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", ("%Y.%m.%d",)),
    (r"\d{1,2}/\d{1,2}/\d{4}", ("%d/%m/%Y", "%m/%d/%Y")),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", ("%d.%m.%Y", "%m.%d.%Y")),
    (r"\d{1,2}-\d{1,2}-\d{4}", ("%d-%m-%Y", "%m-%d-%Y")),
    (r"\d{1,2}/\d{1,2}/\d{2}", ("%d/%m/%y", "%m/%d/%y", "%y/%m/%d")),
    (r"\d{1,2}\.\d{1,2}\.\d{2}", ("%d.%m.%y", "%m.%d.%y")),
    (r"\d{1,2}-\d{1,2}-\d{2}", ("%d-%m-%y", "%m-%d-%y", "%y-%m-%d")),
    (r"\d{1,2} [A-Za-z]{3} \d{4}", ("%d %b %Y",)),
    (r"\d{1,2}-[A-Za-z]{3}-\d{4}", ("%d-%b-%Y",)),
    (r"\d{1,2}-[A-Za-z]{3}-\d{2}", ("%d-%b-%y",)),
    (r"\d{1,2}/[A-Za-z]{3}/\d{4}", ("%d/%b/%Y",)),
    (r"\d{1,2} [A-Za-z]{4,9} \d{4}", ("%d %B %Y",)),
    (r"[A-Za-z]{3} \d{1,2},? \d{4}", ("%b %d %Y", "%b %d, %Y")),
    (r"[A-Za-z]{4,9} \d{1,2},? \d{4}", ("%B %d %Y", "%B %d, %Y")),
    (r"\d{8}", ("%Y%m%d",)),
)
_CLOCKS = (
    (r"\d{1,2}:\d{2}:\d{2}(?:\.\d{1,9})?", "%H:%M:%S%.f"),
    (r"\d{1,2}:\d{2}", "%H:%M"),
    (r"\d{1,2}:\d{2}:\d{2} ?[AaPp][Mm]", "%I:%M:%S %p"),
    (r"\d{1,2}:\d{2} ?[AaPp][Mm]", "%I:%M %p"),
    (r"\d{1,2}\.\d{2}\.\d{2}", "%H.%M.%S"),
    (r"\d{1,2}\.\d{2}", "%H.%M"),
    (r"\d{6}(?:\.\d{1,9})?", "%H%M%S%.f"),
    (r"\d{4}", "%H%M"),
)
_SEPARATORS = (" ", "T", "t", "_", "-", ", ", ":", "/", "")
_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2}))"
_DURATION = r"^(?:(\d+) days? )?(\d{1,4}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?$"
_LIKE_DATE = (
    r"\d{1,4}[-/.: ]\d{1,2}[-/.: ]\d{1,4}|\d{2}:\d{2}"
    r"|(?i:\b(?:jan|feb|mar|m\u00e4r|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez))"
    r"[a-z]*\.?[-/ ]*\d|\d[-/. ]*(?i:jan|feb|mar|m\u00e4r|apr|may|mai|jun|jul|aug|sep|oct|okt|nov"
    r"|dec|dez)"
)
_CLOCK_ALONE = re.compile(
    r"(?:\d+ days? )?\d{1,4}:\d{2}(?::\d{2}(?:[.,]\d+)?)?|\d{1,2}\.\d{2}\.\d{2}"
    r"|\d{1,2}:\d{2}(?::\d{2})? ?[AaPp][Mm]"
)
_DOTTED = re.compile(r"(?:[01]?\d|2[0-3])\.[0-5]\d")
_COMPACT = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


@dataclass(frozen=True)
class TimeFormat:
    """The format of a time column.

    Attributes:
        name: in messages.
        kind: ``date`` (nanoseconds since 1970), ``seconds`` or ``clock`` (seconds of a day).
        patterns: of strptime, the first that fits; none for a unit.
        scale: seconds of one unit, for numbers.
        start: seconds since 1970 of number 0, for numbers that are dates.
        digits: of a number that spells a date.
        zoned: whether the texts have a zone.
        doubt: another possible meaning of the numbers, or "".
    """

    name: str
    kind: str
    patterns: tuple[str, ...] = ()
    scale: float = 1.0
    start: float = 0.0
    digits: int = 0
    zoned: bool = False
    doubt: str = ""

    def parse(self, cells: pl.Series) -> tuple[NDArray[Any], int | None]:
        """Return times, missing where null or not a time, and the first row of the latter."""
        if cells.dtype == pl.Duration:
            spans = cells.dt.total_nanoseconds().cast(pl.Float64) / SECOND
            return spans.fill_null(np.nan).to_numpy(), None
        if self.kind == "clock":
            return _durations(cells)
        if cells.dtype.is_temporal():
            zone = getattr(cells.dtype, "time_zone", None)
            found = cells.cast(pl.Datetime("ns", zone)).to_physical()
        elif self.patterns:
            found = self._texts(cells.cast(pl.String) if cells.dtype != pl.String else cells)
        elif self.kind == "seconds":
            values = cells.cast(pl.Float64, strict=False)
            bad = (values.is_null() & cells.is_not_null()).arg_true()
            seconds = values.fill_null(np.nan).to_numpy() * self.scale
            return seconds, int(bad[0]) if len(bad) else None
        else:
            found = self._numbers(cells)
        bad = (found.is_null() & cells.is_not_null()).arg_true()
        times = found.fill_null(NAT).to_numpy()
        return times, int(bad[0]) if len(bad) else None

    def _numbers(self, cells: pl.Series) -> pl.Series:
        """Return dates of numbers, or of whole numbers as texts."""
        if cells.dtype == pl.String and self.scale == 1e-9:
            return cells.cast(pl.Int64, strict=False)
        values = cells.cast(pl.Float64, strict=False).fill_nan(None)
        if self.digits:
            texts = values.cast(pl.Int64, strict=False).cast(pl.String)
            texts = texts.set((values != values.round()).fill_null(value=False), "x")
            first = "01" * max(0, (8 - self.digits) // 2)  # of January, of the month
            return _strptime(texts + first, _COMPACT[max(8, self.digits)])
        if self.start == 0 and self.scale < 1e-3:  # exact if the unit is a multiple of a nanosecond
            whole = round(self.scale * SECOND)
            return (values * whole).round().cast(pl.Int64, strict=False)
        seconds = values * self.scale + self.start
        return (seconds * 1e6).round().cast(pl.Int64, strict=False) * 1000

    def _texts(self, cells: pl.Series) -> pl.Series:
        texts = cells
        if self.zoned:
            texts = texts.str.replace(r" ?(?:Z|UTC|GMT)$", "+0000")
            texts = texts.str.replace(r" ?([+-]\d{2}):?(\d{2})?$", "${1}${2}")
            texts = texts.str.replace(r"([:.]\d+[+-]\d{2})$", "${1}00")
        if any("%.f" in pattern for pattern in self.patterns):
            texts = texts.str.replace(r"(\d{2}),(\d{1,9})", "${1}.${2}")
        if any("%p" in pattern for pattern in self.patterns):
            texts = texts.str.replace(r"(\d) ?([AaPp][Mm])$", "${1} ${2}")
        found = None
        for pattern in self.patterns:
            if found is None:
                found = _strptime(texts, pattern)
            elif (found.is_null() & texts.is_not_null()).any():
                found = found.fill_null(_strptime(texts, pattern))
        assert found is not None
        return found


def _strptime(texts: pl.Series, pattern: str) -> pl.Series:
    """Return nanoseconds since 1970, null where the text is not a date of this pattern."""
    found = texts.str.to_datetime(pattern, strict=False, time_unit="ns")
    return found.to_physical()


def _durations(cells: pl.Series) -> tuple[Float64Array, int | None]:
    """Return seconds of texts like 18:00, 18:00:00.5, 18.00.00, 6:00 PM or 1 days 02:00:00."""
    if cells.dtype == pl.Time:
        nanoseconds = cells.to_physical().cast(pl.Float64)
        return (nanoseconds / SECOND).fill_null(np.nan).to_numpy(), None
    texts = cells.str.replace(r"^(\d{1,2})\.(\d{2})\.(\d{2})$", "${1}:${2}:${3}")
    texts = texts.str.replace(r"^(\d{1,2})\.(\d{2})$", "${1}:${2}")
    half = texts.str.extract(r"([AaPp])[Mm]$").str.to_lowercase()
    texts = texts.str.replace(r" ?[AaPp][Mm]$", "").str.replace(",", ".", literal=True)
    parts = texts.str.extract_groups(_DURATION).struct.unnest().cast(pl.Float64)
    days, hours, minutes, seconds = (parts.to_series(i) for i in range(4))
    if half.is_not_null().any():
        hours = (hours % 12 + (half == "p").cast(pl.Float64) * 12).fill_null(hours)
    total = days.fill_null(0) * 86400 + hours * 3600 + minutes * 60 + seconds.fill_null(0)
    bad = (total.is_null() & cells.is_not_null()).arg_true()
    return total.fill_null(np.nan).to_numpy(), int(bad[0]) if len(bad) else None


def is_time(cell: str) -> bool:
    """Return whether a text is a date or a time of day; a plain number is not."""
    if not cell or cell.isdigit() or not cell[0].isalnum():
        return False
    return _CLOCK_ALONE.fullmatch(cell) is not None or bool(_patterns(cell))


def _patterns(cell: str) -> list[tuple[str, ...]]:
    """Return patterns of a text with a date: a list of alternatives per order of day and month."""
    zone = re.search(_ZONE + "$", cell)
    zoned = bool(zone and re.search(r"\d{1,2}[:.]?\d{2}", cell[: zone.start()][-9:]))
    # A day after a minus, as in 2024-01-15, is not a zone.
    for bare in ([cell[: zone.start()]] if zone and zoned else []) + [cell]:
        with_zone = bare != cell
        text = re.sub(r"(:\d{2}),(\d{1,9})$", r"\1.\2", bare)
        for date, orders in _DATES:
            start = re.match(date, text, re.ASCII)
            if not start:
                continue
            rest = text[start.end() :]
            if not rest:
                if not with_zone:
                    return [(order,) for order in orders]
                continue
            for separator in _SEPARATORS:
                if not rest.startswith(separator):
                    continue
                clock = rest[len(separator) :]
                for shape, pattern in _CLOCKS:
                    if re.fullmatch(shape, clock, re.ASCII):
                        return [
                            _alternatives(order, separator, pattern, with_zone) for order in orders
                        ]
    return []


def _alternatives(date: str, separator: str, clock: str, zoned: bool) -> tuple[str, ...]:
    """Return a pattern and those of shorter texts in the same file: full minutes, midnight."""
    zone = "%z" if zoned else ""
    full = f"{date}{separator}{clock}{zone}"
    if clock == "%H:%M:%S%.f" and not zoned:
        return full, f"{date}{separator}%H:%M", date
    if clock == "%H:%M":
        return full, f"{date}{separator}%H:%M:%S%.f{zone}", *(() if zoned else (date,))
    return (full,)


def text_formats(cells: Sequence[str]) -> list[TimeFormat]:
    """Return formats in which all these texts are times; several if day and month are ambiguous."""
    if not cells:
        return []
    if is_nanoseconds(cells):
        return [TimeFormat("ns since 1970", "date", scale=1e-9)]
    series = pl.Series(cells, dtype=pl.String)
    found = []
    if _CLOCK_ALONE.fullmatch(cells[0]):
        found = [TimeFormat("time of day", "clock")]
    seen = dict.fromkeys(
        patterns for cell in [*cells[:3], max(cells, key=len)] for patterns in _patterns(cell)
    )
    found += [
        TimeFormat(patterns[0].replace("%.f", ""), "date", patterns, zoned="%z" in patterns[0])
        for patterns in seen
    ]
    whole = [one for one in found if one.parse(series)[1] is None]
    if whole:
        return whole
    # A few other cells do not make a column of texts: they are refused with their lines.
    missed = {one: _missed(one, series) for one in found}
    allowed = max(_MISSED, 1 / len(cells)) if len(cells) > _FEW else _MISSED
    return [one for one in found if missed[one] == min(missed.values()) <= allowed][:1]


def _missed(form: TimeFormat, cells: pl.Series) -> float:
    """Return the share of cells that are not times."""
    times, _ = form.parse(cells)
    wrong = np.isnan(times) if times.dtype == np.float64 else times == NAT
    return float(wrong.mean())


def format_of(title: str, said: str) -> TimeFormat:
    """Return the named format: a unit or a pattern. Errors: StreamError."""
    if said in _DAYS:
        name, start, _ = _DAYS[said]
        return TimeFormat(name, "date", scale=_DAY, start=start)
    if pattern := re.fullmatch("%Y(?:%m(?:%d)?)?", said):
        digits = {2: 4, 4: 6, 6: 8}[len(pattern[0])]
        return TimeFormat(said, "date", digits=digits)
    if said in _UNITS:
        return TimeFormat(f"numbers of {said}", "seconds", scale=_UNITS[said])
    if "%" not in said:
        raise StreamError(
            f"{title}: time format {said!r}: name a pattern, such as %d/%m/%Y %H:%M, a unit: "
            f"{', '.join(_UNITS)}, or a count of days: {', '.join(_DAYS)}"
        )
    return TimeFormat(said, "date", (said,), zoned="%z" in said)


def named_time(name: str) -> bool:
    """Return whether the name of a column indicates a time and nothing else."""
    words = _words(name)
    return bool(words & _TIME_WORDS) and words <= (
        _TIME_WORDS | _OTHER_WORDS | _UNIT_WORDS.keys()
    ) and name.strip() != "T"  # fmt: skip


def is_dotted_clock(name: str, cells: Sequence[object]) -> bool:
    """Return whether a column of this name contains hours like 18.30, which are not numbers."""
    known = [cell for cell in cells if cell is not None and cell != ""]
    return (
        named_time(name)
        and len(known) > 0
        and all(isinstance(cell, str) and _DOTTED.fullmatch(cell) for cell in known)
    )


def is_nanoseconds(cells: Sequence[str]) -> bool:
    """Return whether texts are nanoseconds since 1970, whose last digits float64 would lose."""
    known = [cell for cell in cells if cell]
    return len(known) > 0 and all(re.fullmatch(r"[1-3]\d{18}", cell) for cell in known)


def vague(name: str) -> bool:
    """Return whether a name may be that of a time or of a temperature."""
    return _words(name) == {"t"}


def _words(name: str) -> set[str]:
    split = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return set(re.findall(r"[a-zµ]+", split.lower()))


def number_formats(name: str, values: Float64Array, explicit: bool) -> list[TimeFormat]:
    """Return formats in which numbers may be a time; the whole file decides whether they are.

    Args: name, of the column; values, some of its numbers, not missing; explicit, whether the
    column was named as the time.
    """
    if not len(values):
        return []
    named = named_time(name) or explicit
    low, high = float(values.min()), float(values.max())
    whole = bool((values == np.round(values)).all())
    steps = np.diff(values)
    ordered = len(values) > 2 and (bool((steps > 0).all()) or bool((steps < 0).all()))
    regular = ordered and float((steps == np.median(steps)).mean()) > 0.5
    for digits, pattern in list(_COMPACT.items())[2:]:
        if whole and 19 * 10 ** (digits - 2) <= low and high < 21 * 10 ** (digits - 2):
            form = TimeFormat(pattern, "date", digits=digits)
            if (named or ordered) and form.parse(pl.Series(values))[1] is None:
                return [form]
    for unit in ("s", "ms", "us", "ns"):
        scale = _UNITS[unit]
        if _EPOCH[0] <= low * scale and high * scale <= _EPOCH[1] and (named or regular):
            return [TimeFormat(f"{unit} since 1970", "date", scale=scale)]
    words = _words(name)
    if not named:
        known = words <= _TIME_WORDS | _OTHER_WORDS | _CALENDAR_WORDS
        soft = ordered and known and bool(words & _CALENDAR_WORDS)
        date = _calendar(words, values, ordered=ordered, whole=whole) if soft else None
        return [date] if date else []
    units = [_UNIT_WORDS[word] for word in words if word in _UNIT_WORDS]
    if units and not words & _DATE_WORDS:
        return [TimeFormat(f"numbers of {units[0]}", "seconds", scale=_UNITS[units[0]])]
    if found := _calendar(words, values, ordered=ordered, whole=whole):
        return [found]
    unit = units[0] if units else "s"
    return [TimeFormat(f"numbers of {unit}", "seconds", scale=_UNITS[unit],
                       doubt=_doubt(words, low, high))]  # fmt: skip


def _calendar(
    words: set[str], values: Float64Array, *, ordered: bool, whole: bool
) -> TimeFormat | None:
    """Return the format of years, months and days of a calendar, or of days since a start."""
    low, high = float(values.min()), float(values.max())
    dated = bool(words & _DATE_WORDS)
    if whole and (ordered or dated):
        for digits, (first, last) in ((6, (_YEARS[0] * 100, _YEARS[1] * 100)), (4, _YEARS)):
            form = TimeFormat(_COMPACT[digits], "date", digits=digits)
            if first <= low and high < last and form.parse(pl.Series(values))[1] is None:
                return form
    if words & {"mjd"}:
        return TimeFormat(_DAYS["mjd"][0], "date", scale=_DAY, start=_DAYS["mjd"][1])
    steps = np.abs(np.diff(values))
    if not ordered or (whole and not dated) or float(np.median(steps)) > _LONG_STEP:
        return None
    for name, start, span in _DAYS.values():
        if span and span[0] <= low and high <= span[1]:
            return TimeFormat(name, "date", scale=_DAY, start=start)
    return None


def _doubt(words: set[str], low: float, high: float) -> str:
    """Return what numbers under a name without a unit may be instead of seconds."""
    for said, (name, _, span) in _DAYS.items():
        if span and span[0] <= low and high <= span[1]:
            return f"they may be {name} (--time-format {said})"
    if _YEARS[0] <= low and high < _YEARS[1]:
        return "they may be years (--time-format %Y reads whole ones)"
    if words & _DATE_WORDS:
        return "the name indicates a date: name its format with --time-format (excel, julian, %Y%m)"
    return ""


def counts(name: str) -> bool:
    """Return whether a name may be that of a counter of rows or time."""
    words = _words(name)
    known = _COUNTERS | _TIME_WORDS | _OTHER_WORDS | _UNIT_WORDS.keys()
    return words <= known and name.strip() != "T"


def looks_like_date(cell: str) -> bool:
    """Return whether a text without a known pattern may be a date or a time."""
    return re.search(_LIKE_DATE, cell) is not None


def text_of(value: float | int, is_date: bool) -> str:
    """Format a time."""
    if not is_date:
        return f"{value:.10g} s"
    text = str(np.datetime64(int(value), "ns"))
    head, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    return head.replace("T", " ") + (f".{fraction}" if fraction else "")
