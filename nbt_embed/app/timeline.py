"""Find the time column: candidates are parsed while a file is read, and judged by their order."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from nbt_embed.app import times
from nbt_embed.app.options import ReadOptions
from nbt_embed.app.spool import Folder, Spool
from nbt_embed.app.table import Batch, Table
from nbt_embed.app.times import NAT, SECOND, TimeFormat
from nbt_embed.errors import StreamError, shown, similar

_PARTS = ("year", "month", "day", "hour", "minute", "second")
_DISORDER = 0.2  # share of backward steps from which a column is not a time
_REGULAR = 0.5  # share of equal steps from which numbers named t are a time
_DUPLICATES = 0.05  # share of repeated times in a column named t
_SAMPLED = 100_000  # steps for the median, which is the interval
_HALF_DAY = 43_200.0
_FIRST, _SECOND, _THIRD, _LAST = range(4)  # ranks of candidates


class Reading(Protocol):
    """One way to convert cells to times."""

    @property
    def name(self) -> str:
        """Name in messages."""
        ...

    @property
    def kind(self) -> str:
        """``date``, ``seconds`` or ``clock``."""
        ...

    def times(self, columns: Sequence[pl.Series]) -> tuple[NDArray[Any], int | None]:
        """Return times of rows, and the first row with a cell that is not a time."""
        ...


@dataclass(frozen=True)
class _Single:
    form: TimeFormat

    @property
    def name(self) -> str:
        return self.form.name

    @property
    def kind(self) -> str:
        return self.form.kind

    def times(self, columns: Sequence[pl.Series]) -> tuple[NDArray[Any], int | None]:
        return self.form.parse(columns[0])


@dataclass(frozen=True)
class _Pair:
    """A date and a time of day in two columns."""

    date: TimeFormat

    @property
    def name(self) -> str:
        return f"{self.date.name} and time of day"

    @property
    def kind(self) -> str:
        return "date"

    def times(self, columns: Sequence[pl.Series]) -> tuple[NDArray[Any], int | None]:
        dates, bad = self.date.parse(columns[0])
        seconds, worse = TimeFormat("", "clock").parse(columns[1])
        known = (dates != NAT) & ~np.isnan(seconds)
        found = np.where(known, dates, 0) + np.round(np.where(known, seconds, 0) * 1e6).astype(
            np.int64
        ) * (SECOND // 1_000_000)
        return np.where(known, found, NAT), bad if worse is None else worse


@dataclass(frozen=True)
class _Parts:
    """Year, month, day and so on in columns of numbers."""

    count: int

    @property
    def name(self) -> str:
        return "columns of " + ", ".join(_PARTS[: self.count])

    @property
    def kind(self) -> str:
        return "date"

    def times(self, columns: Sequence[pl.Series]) -> tuple[NDArray[Any], int | None]:
        frame = pl.DataFrame(
            [c.fill_nan(None).alias(p) for c, p in zip(columns, _PARTS, strict=False)]
        )
        known = ~frame.select(pl.any_horizontal(pl.all().is_null())).to_series()
        texts = frame.select(
            pl.format(
                "{}-{}-{} {}:{}:{}",
                *(pl.col(p).cast(pl.Int64) for p in _PARTS[: self.count]),
                *(pl.lit("0") for _ in _PARTS[self.count :]),
            )
        ).to_series()
        found = texts.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="ns")
        bad = (found.is_null() & known).arg_true()
        return found.to_physical().fill_null(NAT).to_numpy(), int(bad[0]) if len(bad) else None


@dataclass(frozen=True)
class Order:
    """Order of the times of one reading, in the order of the files.

    Attributes: rising, equal, falling, number of such steps; back, row of the first backward step;
    longest, seconds; interval, seconds, the median step; regular, share of the steps of this
    length; first, last.
    """

    rising: int
    equal: int
    falling: int
    back: int | None
    longest: float
    interval: float
    regular: float
    first: float
    last: float

    @property
    def backwards(self) -> bool:
        """Whether every step goes back, or none forward."""
        return self.falling > 0 and self.rising == 0

    @property
    def ordered(self) -> bool:
        """Whether all steps have one direction."""
        return (self.rising > 0) != (self.falling > 0)

    @property
    def disorder(self) -> float:
        """Share of the steps in the rarer direction."""
        steps = self.rising + self.falling
        return min(self.rising, self.falling) / steps if steps else 1.0


@dataclass(eq=False)
class Candidate:
    """Columns that may be the time.

    Attributes:
        columns: their numbers; name, of them.
        readings: those that fit every cell so far.
        rank: the ordered candidate of lowest rank is the time.
        certain: whether its cells are times in any order; else numbers that may be times.
        spools: of each reading, its times.
        bad: row and cell of the first cell that is not a time in any reading.
    """

    columns: tuple[int, ...]
    name: str
    readings: list[Reading]
    rank: int
    certain: bool
    explicit: bool = False
    spools: list[Spool] = field(default_factory=list)
    bad: int | None = None
    _days: float = 0.0
    _clock: float = np.nan

    def start(self, folder: Folder, number: int) -> None:
        """Start at the first row."""
        self.bad, self._days, self._clock = None, 0.0, np.nan
        self.spools = [
            folder.spool(f"time{number}-{i}", np.int64 if one.kind == "date" else np.float64, 1)
            for i, one in enumerate(self.readings)
        ]

    def add(self, batch: Batch, row: int) -> None:
        """Parse the next rows; ``row`` is the number of the first over all files."""
        columns = [batch.columns[i] for i in self.columns]
        found = [one.times(columns) for one in self.readings]
        alive = [i for i, (_, bad) in enumerate(found) if bad is None]
        if not alive:
            if self.bad is None:
                self.bad = row + max(bad for _, bad in found if bad is not None)
            alive = list(range(len(found)))
        self.readings = [self.readings[i] for i in alive]
        self.spools = [self.spools[i] for i in alive]
        for i, one in zip(alive, self.spools, strict=True):
            values = found[i][0]
            if self.readings[alive.index(i)].kind == "clock":
                values = self._unwrapped(values)
            one.append(values)

    def _unwrapped(self, seconds: NDArray[Any]) -> NDArray[Any]:
        """Return times of day that continue after midnight."""
        filled = pl.Series(np.concatenate([[self._clock], seconds])).fill_nan(None)
        filled = filled.fill_null(strategy="forward")
        steps = np.diff(filled.fill_null(np.nan).to_numpy())
        days = self._days + 86400.0 * np.cumsum(np.nan_to_num(steps) < -_HALF_DAY)
        if len(days):
            self._days = float(days[-1])
        last = filled[-1]
        self._clock = np.nan if last is None else float(last)
        unwrapped: NDArray[Any] = seconds + days
        return unwrapped


def candidates(table: Table, options: ReadOptions) -> list[Candidate]:
    """Return the columns that may be the time, by the first rows. Errors: StreamError."""
    sample, names = table.sample(), table.names
    if options.time is not None:
        return _said(table, sample, options) if options.time else []
    found: list[Candidate] = []
    singles: dict[int, list[TimeFormat]] = {}
    for column, cells in enumerate(sample):
        formats = _formats(names[column], cells, table.numeric[column], explicit=False)
        if formats:
            singles[column] = formats
    found += _pairs(names, sample, singles)
    lower = [name.strip().lower() for name in names]
    parts = [lower.index(part) for part in _PARTS if part in lower]
    if [lower[i] for i in parts] == list(_PARTS[: len(parts)]) and len(parts) >= 3:
        label = "+".join(names[i] for i in parts)
        if all(table.numeric[i] for i in parts):
            found.append(Candidate(tuple(parts), label, [_Parts(len(parts))], _FIRST, True))
    for column, formats in singles.items():
        text = not table.numeric[column]
        if options.time_format:
            formats = [times.format_of(table.title, options.time_format)]
        named = times.named_time(names[column])
        clock = formats[0].kind == "clock"
        rank = (_LAST if clock else _SECOND) if text else _THIRD if named else _LAST
        found.append(
            Candidate(
                (column,), names[column] or f"column {column + 1}",
                [_Single(one) for one in formats], rank, text,
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: one.rank)


def _formats(name: str, cells: pl.Series, numeric: bool, explicit: bool) -> list[TimeFormat]:
    if cells.dtype.is_temporal():
        kind = {pl.Duration: "seconds", pl.Time: "clock"}.get(type(cells.dtype), "date")
        return [TimeFormat(f"column of type {type(cells.dtype).__name__}", kind)]
    if numeric:
        values = cells.to_numpy()
        return times.number_formats(name, values[np.isfinite(values)], explicit)
    return times.text_formats(cells.drop_nulls().to_list())


def _pairs(
    names: Sequence[str], sample: Sequence[pl.Series], singles: dict[int, list[TimeFormat]]
) -> Iterator[Candidate]:
    """Return dates without a time of day that are next to a column of times of day."""
    for date, formats in singles.items():
        whole = formats[0].patterns[0] if formats[0].patterns else "%H"
        if formats[0].kind != "date" or re.search("%[HI]", whole):
            continue
        for clock in (date + 1, date - 1):
            if not 0 <= clock < len(names):
                continue
            of_day = clock in singles and singles[clock][0].kind == "clock"
            if not of_day and not times.is_dotted_clock(names[clock], sample[clock].to_list()):
                continue
            name = f"{names[date]}+{names[clock]}"
            yield Candidate((date, clock), name, [_Pair(one) for one in formats], _FIRST, True)
            break


def _said(table: Table, sample: Sequence[pl.Series], options: ReadOptions) -> list[Candidate]:
    """Return the named column or two columns."""
    assert options.time is not None
    keys = [name or f"column {i + 1}" for i, name in enumerate(table.names)]
    said = [options.time] if options.time in keys else options.time.split("+")
    for name in said:
        if name not in keys:
            raise StreamError(
                f"{table.title}: no column {options.time!r}: {similar(options.time, keys)}it has "
                f"{', '.join(keys)}"
            )
    columns = tuple(keys.index(name) for name in said)
    readings: list[Reading] = []
    if len(columns) == 2:
        formats = _formats(keys[columns[0]], sample[columns[0]], table.numeric[columns[0]], True)
        readings = [_Pair(one) for one in formats if one.kind == "date"]
    elif len(columns) == 1:
        formats = _formats(keys[columns[0]], sample[columns[0]], table.numeric[columns[0]], True)
        if options.time_format:
            formats = [times.format_of(table.title, options.time_format)]
        readings = [_Single(one) for one in formats]
    if not readings:
        known = sample[columns[0]].drop_nulls()
        first = known[0] if len(known) else ""
        raise StreamError(
            f"{table.title}: column {options.time!r} holds {shown(first)}, which is not a known "
            "time format: name it with --time-format, such as %d/%m/%Y %H:%M, or another column"
        )
    return [Candidate(columns, options.time, readings, _FIRST, True, explicit=True)]


def order(spool: Spool, files: Sequence[int]) -> Order:
    """Return the order of times within the files."""
    rising = equal = falling = 0
    back: int | None = None
    longest, sampled = 0.0, []
    every = max(1, spool.rows // _SAMPLED)
    ends: list[float] = []
    for _, rows, steps in _steps(spool, files, ends):
        rising += int((steps > 0).sum())
        equal += int((steps == 0).sum())
        down = np.flatnonzero(steps < 0)
        falling += len(down)
        if len(down) and back is None:
            back = int(rows[down[0]])
        if len(steps):
            longest = max(longest, float(np.abs(steps).max()))
        some = np.abs(steps[::every])
        sampled.append(some[some > 0])
    all_steps = np.concatenate(sampled) if sampled else np.empty(0)
    interval = float(np.median(all_steps)) if len(all_steps) else np.nan
    regular = float(np.isclose(all_steps, interval, rtol=1e-3).mean()) if len(all_steps) else 0.0
    first, last = (ends[0], ends[-1]) if ends else (0.0, 0.0)
    return Order(rising, equal, falling, back, longest, interval, regular, first, last)


def _steps(
    spool: Spool, files: Sequence[int], ends: list[float]
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
    """Return rows and seconds since the previous time, per file; ends: first and last."""
    for begin, end in itertools.pairwise(files):
        before: Any = None
        for first, block in spool.chunks(begin, end):
            values = block[:, 0]
            known = np.flatnonzero(values != NAT if values.dtype == np.int64 else ~np.isnan(values))
            if not len(known):
                continue
            kept = values[known]
            scale = SECOND if values.dtype == np.int64 else 1
            joined = np.concatenate([[kept[0] if before is None else before], kept])
            steps = np.diff(joined) / scale
            rows = first + known
            if before is None:
                steps, rows = steps[1:], rows[1:]
            if not ends:
                ends += [kept[0], kept[0]]
            ends[1], before = kept[-1], kept[-1]
            yield begin, rows, steps


def pauses(spool: Spool, files: Sequence[int], longer: float) -> Iterator[tuple[int, float]]:
    """Yield (row, seconds) of every step of more than ``longer`` seconds, forward or back."""
    for _, rows, steps in _steps(spool, files, []):
        for i in np.flatnonzero(np.abs(steps) > longer).tolist():
            yield int(rows[i]), float(abs(steps[i]))


@dataclass(frozen=True)
class FileOrder:
    """Order of the times of files.

    Attributes: first, last, times of all; back, files that start before an earlier one ends; equal,
    files that start at the time of the last row before; notes.
    """

    first: Any
    last: Any
    back: int
    equal: int
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Chosen:
    """The time of a recording: candidate, reading, its times and their order."""

    candidate: Candidate
    reading: Reading
    spool: Spool
    order: Order


def extents(spool: Spool, files: Sequence[int]) -> list[tuple[Any, Any] | None]:
    """Return the earliest and the latest time of each file, None if it has none."""
    found: list[tuple[Any, Any] | None] = []
    for begin, end in itertools.pairwise(files):
        low: Any = None
        high: Any = None
        for _, block in spool.chunks(begin, end):
            values = block[:, 0]
            known = values[values != NAT if values.dtype == np.int64 else ~np.isnan(values)]
            if len(known):
                low = known.min() if low is None else min(low, known.min())
                high = known.max() if high is None else max(high, known.max())
        found.append(None if low is None else (low, high))
    return found


def check_files(chosen: Chosen, files: Sequence[int], titles: Sequence[str]) -> FileOrder:
    """Return the order of the times of files.

    Errors: StreamError if a file with dates precedes one that is named before it.
    """
    date = chosen.reading.kind == "date"
    spans = extents(chosen.spool, files)
    notes: list[str] = []
    back = equal = 0
    latest: int | None = None  # the latest end among the files so far
    for i, span in enumerate(spans):
        before = None if latest is None else spans[latest]
        if span is not None and before is not None and latest is not None:
            equal += int(span[0] == before[1])
            back += int(span[0] < before[1])
            texts = [times.text_of(one, date) for one in (*span, *before)]
            if date and span[1] <= before[0] and span[0] < before[1]:
                raise StreamError(
                    f"{titles[i]}: its times, {texts[0]} to {texts[1]}, lie before those of "
                    f"{titles[latest]}, {texts[2]} to {texts[3]}, which is read first: name the "
                    "files one by one in the order of time, or use --time none"
                )
            if date and span[0] < before[1]:
                notes.append(
                    f"{titles[i]} begins at {texts[0]}, before {titles[latest]} ends at "
                    f"{texts[3]}: if they hold the same rows, these are learned twice"
                )
        if span is not None and (before is None or span[1] > before[1]):
            latest = i
    if back and not date:
        many = "1 file begins" if back == 1 else f"{back} files begin"
        notes.append(f"{many} before the time at which the one before ends: times start again")
    known = [span for span in spans if span is not None]
    first, last = (min(a for a, _ in known), max(b for _, b in known)) if known else (0, 0)
    return FileOrder(first, last, back, equal, tuple(notes))


def choose(
    found: Sequence[Candidate], files: Sequence[int], words: Any, notes: list[str]
) -> Chosen | None:
    """Return the first candidate whose times are in order.

    Args: found, by rank; files, first rows; words, (row, columns) -> file, line and cells.
    Errors: StreamError (cells that are not times, rows out of order, ambiguous day and month).
    """
    unsorted: StreamError | None = None
    for one in found:
        if one.bad is not None:
            if not one.certain:
                continue
            raise StreamError(
                f"{words(one.bad, one.columns)}, which is not a time in the format of the rows "
                f"above ({one.readings[0].name}): correct it, declare it with --missing, name the "
                "format with --time-format, or use --time none"
            )
        orders = [order(spool, files) for spool in one.spools]
        ranked = sorted(
            range(len(orders)), key=lambda i: (orders[i].disorder, orders[i].longest, i)
        )
        best = orders[ranked[0]]
        if not best.rising and not best.falling:
            if one.explicit:
                raise StreamError(
                    f"{words(0, one.columns)}, like every row: name a column in which the time "
                    "increases, or use --time none"
                )
            if one.spools[0].rows > 1 or not one.certain:
                continue
        elif not best.ordered:
            if _is_time_out_of_order(one, best):
                raise _out_of_order(one, best, words)
            if times.named_time(one.name) and not times.vague(one.name):
                unsorted = unsorted or _out_of_order(one, best, words)
            continue
        elif not one.explicit and best.equal > _most_equal(one) * (best.rising + best.falling):
            continue
        reading = one.readings[ranked[0]]
        if isinstance(reading, _Single) and reading.form.doubt:
            notes.append(f"times of {one.name!r} are taken as seconds: {reading.form.doubt}")
        _check_day_and_month(one, [orders[i] for i in ranked], ranked, words, notes)
        return Chosen(one, one.readings[ranked[0]], one.spools[ranked[0]], best)
    if unsorted:
        raise unsorted
    return None


def _is_time_out_of_order(one: Candidate, found: Order) -> bool:
    """Return whether a column that is not in order is nevertheless the time."""
    if one.explicit:
        return True
    if times.vague(one.name):  # a temperature also rises and falls, but not in regular steps
        return found.disorder < _DISORDER and found.regular > _REGULAR
    return found.disorder < _DISORDER and (one.certain or times.named_time(one.name))


def _most_equal(one: Candidate) -> float:
    """Return the largest allowed ratio of rows with a repeated time to the others."""
    if times.vague(one.name):
        return _DUPLICATES
    return np.inf if one.certain or times.named_time(one.name) else 0.0


def _out_of_order(one: Candidate, found: Order, words: Any) -> StreamError:
    if found.back is None or found.rising < found.falling:
        return StreamError(
            f"{words(0, one.columns)}: the times go back and forth: sort the file by time, "
            "newest last, or use --time none"
        )
    return StreamError(
        f"{words(found.back, one.columns)}, which is before the time of the row above: sort the "
        "file by time, split it there, or use --time none"
    )


def _check_day_and_month(
    one: Candidate, orders: Sequence[Order], ranked: Sequence[int], words: Any, notes: list[str]
) -> None:
    """Note the chosen order of day and month, or refuse two that fit equally well."""
    if len(orders) < 2:
        return
    best, other = orders[:2]
    same = (other.disorder, other.longest) == (best.disorder, best.longest)
    if same and (other.first, other.last) != (best.first, best.last):
        names = " or ".join(one.readings[i].name for i in ranked)
        raise StreamError(
            f"{words(0, one.columns)}, which may have day and month in either order, like all "
            f"rows: choose one with --time-format {names}"
        )
    notes.append(
        f"times are read as {one.readings[ranked[0]].name}: in another order of day and month "
        "they increase less evenly"
    )
