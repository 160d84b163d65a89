"""Read files into a recording: recognise the format, read once in constant memory, check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nbt_embed.app import timeline
from nbt_embed.app.columns import NumberColumn, TextColumn
from nbt_embed.app.options import ReadOptions
from nbt_embed.app.recording import Recording, Rows, TimeFacts
from nbt_embed.app.resample import resample
from nbt_embed.app.roles import Column, Columns, roles
from nbt_embed.app.source import Source, sources
from nbt_embed.app.spool import Folder, Spool
from nbt_embed.app.table import Batch, ReadAgain, Table, is_prose, table
from nbt_embed.app.times import named_time, text_of, vague
from nbt_embed.arrays import Float32Array
from nbt_embed.errors import StreamError

__all__ = ["ReadOptions", "Recording", "read"]

_GAPS = 10_000  # pauses that are listed
_PAUSE = 1.5  # intervals from which a step is a pause
_TRIES = 20  # corrections of recognition, each made once

Progress = Callable[[int, int], None]


def read(
    paths: Sequence[str | Path], options: ReadOptions, progress: Progress | None = None
) -> Recording:
    """Read files as one stream, with a reset of the learner's state between them.

    Formats are text with any delimiter, Parquet, Arrow and NumPy files, plain or compressed. What
    the options leave open is recognised (``notes``), or refused if it is ambiguous.

    Args:
        paths: files, folders (their files in natural order) or "-", standard input.
        options: replace recognition.
        progress: called with the amount read and the total of a file, in bytes or rows.

    Errors: StreamError names file, line, column and cell, and the remedy.
    Cost: one pass, more if marks are ambiguous; memory of some megabytes; temporary files of 4
    bytes per cell and 8 per time.
    """
    if options.time == "none":
        options = replace(options, time="")
    _check_options(options)
    with ExitStack() as stack:
        folder = Folder(stack)
        files, notes = sources(paths, folder.path)
        files = _without_prose(files, notes)
        tables = [_table(file, options, folder.path, i) for i, file in enumerate(files)]
        _check_same(files, tables)
        survey = _survey(tables, options, folder, progress)
        for one in tables:
            prefix = f"{one.title}: " if len(tables) > 1 else ""
            notes += [prefix + note for note in one.notes]
        if survey.dropped:
            many = (
                "1 empty row at the end is" if survey.dropped == 1
                else f"{survey.dropped} empty rows at the end are"
            )  # fmt: skip
            notes.append(f"{many} left out")
        words = _Words(tables, survey.files)
        chosen = timeline.choose(survey.candidates, survey.files, words.cells, notes)
        titles = [one.title for one in tables]
        title = _title(titles)
        columns = Columns(
            title,
            words.names,
            frozenset(i for i, name in enumerate(tables[0].names) if not name),
            survey.facts,
            _times(survey, chosen, words.names, options, notes),
            survey.spool.rows,
            lambda row, column: words.cells(row, (column,)),
            lambda row, column: words.short(row, column),
        )
        found = roles(columns, options, survey.spool, notes)
        rows = Rows(
            survey.spool,
            chosen.spool if chosen else None,
            survey.files,
            chosen is not None and chosen.order.backwards,
        )
        if rows.backwards and chosen:
            notes.append(
                f"the file is newest first by {chosen.candidate.name!r}: its rows are read from "
                "the last to the first"
            )
        facts, resets = _time_facts(chosen, rows, options, title, titles, notes)
        if facts:
            notes += _time_notes(facts, options, len(resets))
        missing = any(_has_missing(survey, one.column) for one in found.inputs)
        resets = sorted({*resets, *survey.files[1:-1]})
        if options.resample is not None:
            coded = {c.column for c in (*found.inputs, *found.targets) if c.is_coded}
            new = resample(rows, tuple(resets), options.resample, frozenset(coded), folder)
            notes.append(
                f"{rows.table.rows} rows became {new.rows.table.rows}, means over "
                f"{options.resample:g} s"
            )
            if new.untimed:
                many = "1 row without a time is" if new.untimed == 1 else (
                    f"{new.untimed} rows without a time are"
                )  # fmt: skip
                notes.append(f"{many} left out")
            rows, resets = new.rows, list(new.resets)
            missing = any(new.missing[one.column] for one in found.inputs)
            if facts:
                facts = replace(facts, interval=options.resample, gaps=(), duplicates=0)
        return Recording(
            title,
            rows.table.rows,
            tuple([one.name for one in found.inputs]),
            tuple([one.name for one in found.targets]),
            found.classes,
            missing,
            found.anchor,
            facts,
            tuple(notes),
            rows,
            found.inputs,
            found.targets,
            tuple(resets),
            stack.pop_all(),
        )


def _check_options(options: ReadOptions) -> None:
    for name in ("gap", "resample"):
        value = getattr(options, name)
        if value is not None and not 0 < value < np.inf:
            raise StreamError(f"{name} {value}: name a number of seconds above 0")
    if options.skip is not None and options.skip < 0:
        raise StreamError(f"skip {options.skip}: name a number of lines from 0")
    if len(options.quote) > 1:
        raise StreamError(f"quote {options.quote!r}: name one character, or none")


def _without_prose(files: list[Source], notes: list[str]) -> list[Source]:
    """Leave out files of a folder without rows, such as a README, unless no file has rows."""
    left = [one for one in files if one.found and is_prose(one)]
    if not left or len(left) == len(files):
        return files
    notes += [f"{one.title} is left out: it holds no row of numbers" for one in left]
    return [one for one in files if one not in left]


def _table(file: Source, options: ReadOptions, folder: Path, number: int) -> Table:
    try:
        return table(file, options, folder, number)
    except StreamError as error:
        raise StreamError(f"{error}{_take_out(file)}") from None


def _take_out(file: Source) -> str:
    """Return the remedy for a file that was found in a folder."""
    return "; or remove the file from the folder" if file.found else ""


def _check_same(files: Sequence[Source], tables: Sequence[Table]) -> None:
    """Refuse files with other columns than the first."""
    first = tables[0]
    for file, one in zip(files[1:], tables[1:], strict=True):
        if one.names == first.names:
            continue
        pairs = enumerate(zip(first.names, one.names, strict=False))
        at = next((i for i, (a, b) in pairs if a != b), min(len(first.names), len(one.names)))
        told = [repr(t.names[at]) if at < len(t.names) else "missing" for t in (first, one)]
        raise StreamError(
            f"{one.title}: column {at + 1} is {told[1]}, and in {first.title} it is {told[0]}: "
            f"read files with the same columns in the same order{_take_out(file)}"
        )


@dataclass(eq=False)
class _Survey:
    """All rows in temporary files, with facts about every column."""

    spool: Spool
    facts: list[Column]
    candidates: list[timeline.Candidate]
    files: tuple[int, ...]
    dropped: int


def _survey(
    tables: Sequence[Table], options: ReadOptions, folder: Folder, progress: Progress | None
) -> _Survey:
    """Read all files in one pass; repeat it if recognition had to be corrected."""
    texts: set[int] = set()
    for _ in range(_TRIES):
        try:
            return _pass(tables, options, folder, texts, progress)
        except ReadAgain:
            continue
    raise StreamError(
        f"{tables[0].title}: the notation of its numbers or its encoding changes repeatedly: "
        "name them with --decimal and --encoding"
    )


def _pass(
    tables: Sequence[Table],
    options: ReadOptions,
    folder: Folder,
    texts: set[int],
    progress: Progress | None,
) -> _Survey:
    numeric = [number and i not in texts for i, number in enumerate(tables[0].numeric)]
    facts: list[Column] = [NumberColumn() if number else TextColumn() for number in numeric]
    found = [one for one in timeline.candidates(tables[0], options) if not texts & {*one.columns}]
    for i, one in enumerate(found):
        one.start(folder, i)
    spool = folder.spool("table", np.float32, len(numeric))
    unknown = {
        i for i, cells in enumerate(tables[0].sample())
        if numeric[i] and np.isnan(cells.to_numpy()).all()
    }  # fmt: skip
    ends, dropped = [0], 0
    for current in tables:
        last = ends[-1]
        for batch in current.batches(numeric, progress):
            row = spool.rows
            _switch_to_text(batch, facts, texts, unknown)
            block = _block(batch, facts, row)
            filled = _last_filled(batch, block)
            last = last if filled is None else row + filled + 1
            spool.append(block)
            for one in found:
                one.add(batch, row)
        dropped += spool.rows - last
        for kept in (spool, *(times for one in found for times in one.spools)):
            kept.cut(last)
        if last == ends[-1]:
            raise StreamError(
                f"{current.title}: no row below the header holds a value: name a file with values"
            )
        ends.append(last)
    return _Survey(spool, facts, found, tuple(ends), dropped)


def _switch_to_text(
    batch: Batch, facts: Sequence[Column], texts: set[int], unknown: set[int]
) -> None:
    """Make a column textual if the sample has no value of it and its first value is a text."""
    for column, (row, _, _) in batch.texts.items():
        one = facts[column]
        if column not in unknown:
            continue
        before = batch.columns[column].to_numpy()[:row]
        if isinstance(one, NumberColumn) and not one.filled and np.isnan(before).all():
            texts.add(column)
            raise ReadAgain


def _block(batch: Batch, facts: Sequence[Column], row: int) -> Float32Array:
    """Return rows as float32: numbers, and the codes of texts."""
    block = np.empty((len(batch.columns[0]), len(facts)), np.float32)
    for i, (cells, one) in enumerate(zip(batch.columns, facts, strict=True)):
        if isinstance(one, NumberColumn):
            if i in batch.texts:
                first, cell, count = batch.texts[i]
                one.text = one.text or (row + first, cell)
                one.texts += count
            block[:, i] = one.add(cells.to_numpy(), row, batch.row)
        elif cells.dtype.is_temporal():
            block[:, i] = np.nan
        else:
            block[:, i] = one.add(cells, row)
    return block


def _last_filled(batch: Batch, block: Float32Array) -> int | None:
    """Return the last row with any cell that is not missing."""
    if not np.isnan(block[-1]).all():
        return len(block) - 1
    filled = np.array(~np.isnan(block).all(axis=1))
    filled[[row for row, _, _ in batch.texts.values()]] = True  # a text is a value
    for cells in batch.columns:
        filled |= cells.is_not_null().to_numpy() & (cells.is_not_nan().to_numpy()
                  if cells.dtype.is_float() else True)  # fmt: skip
    found = np.flatnonzero(filled)
    return int(found[-1]) if len(found) else None


class _Words:
    """Formats cells in messages."""

    def __init__(self, tables: Sequence[Table], files: Sequence[int]) -> None:
        self._tables, self._files = tables, files
        self.names = tuple([name or f"column {i + 1}" for i, name in enumerate(tables[0].names)])

    def cells(self, row: int, columns: Sequence[int]) -> str:
        """Return file, line, column and cell of a row over all files."""
        file = next(i for i, end in enumerate(self._files[1:]) if row < end)
        one, inner = self._tables[file], row - self._files[file]
        names = " and ".join(repr(self.names[i]) for i in columns)
        held = " and ".join(repr(one.cell(inner, i)) for i in columns)
        several = "columns" if len(columns) > 1 else "column"
        verb = "hold" if len(columns) > 1 else "holds"
        return f"{one.title}: {one.place(inner)}: {several} {names} {verb} {held}"

    def short(self, row: int, column: int) -> str:
        """Return line and cell, with the file if there are several."""
        file = next(i for i, end in enumerate(self._files[1:]) if row < end)
        one, inner = self._tables[file], row - self._files[file]
        title = f"{one.title}: " if len(self._tables) > 1 else ""
        return f"{title}{one.place(inner)} holds {one.cell(inner, column)!r}"


def _title(titles: Sequence[str]) -> str:
    if len(titles) <= 2:
        return " and ".join(titles)
    return f"{titles[0]} and {len(titles) - 1} more"


def _has_missing(survey: _Survey, column: int) -> bool:
    return survey.facts[column].filled < survey.spool.rows


def _times(
    survey: _Survey,
    chosen: timeline.Chosen | None,
    names: Sequence[str],
    options: ReadOptions,
    notes: list[str],
) -> frozenset[int]:
    """Return the columns of times, the chosen one and others, which are not default inputs."""
    taken = set(chosen.candidate.columns) if chosen else set()
    for one in survey.candidates:
        if chosen is None or one.bad is not None or taken >= {*one.columns}:
            continue
        judged = timeline.order(one.spools[0], survey.files)
        if one.certain or (named_time(one.name) and (judged.ordered or not vague(one.name))):
            taken |= {*one.columns}
            notes.append(f"column {one.name!r} is left out: it is a second time column")
    wanted = {*(options.inputs or ()), *(options.targets or ())}
    return frozenset(i for i in taken if names[i] not in wanted)


def _time_facts(
    chosen: timeline.Chosen | None,
    rows: Rows,
    options: ReadOptions,
    title: str,
    files: Sequence[str],
    notes: list[str],
) -> tuple[TimeFacts | None, list[int]]:
    """Return facts about the time column, and the rows after pauses longer than the given gap."""
    if chosen is None:
        for name in ("gap", "resample"):
            if getattr(options, name) is not None:
                raise StreamError(
                    f"{title}: {name} needs a time column, and none is recognised: name it with "
                    "--time"
                )
        return None, []
    order, date = chosen.order, chosen.reading.kind == "date"
    between = timeline.check_files(chosen, rows.files, files)
    notes += between.notes
    if options.gap is not None and options.gap < order.interval:
        raise StreamError(
            f"{title}: gap {options.gap:g} s is below the interval of the rows, "
            f"{order.interval:g} s: name a longer one"
        )
    gaps: list[tuple[int, float]] = []
    resets: list[int] = []
    limit = order.interval * _PAUSE if options.gap is None else options.gap
    if np.isfinite(order.interval):
        for row, seconds in timeline.pauses(chosen.spool, rows.files, limit):
            row = rows.file_row(row - 1) if rows.backwards else row
            if len(gaps) < _GAPS:
                gaps.append((row, seconds))
            if options.gap is not None:
                resets.append(row)
    return (
        TimeFacts(
            chosen.candidate.name,
            chosen.reading.name,
            text_of(between.first, date),
            text_of(between.last, date),
            order.interval,
            tuple(sorted(gaps)),
            order.equal + between.equal,
            min(order.rising, order.falling) + between.back,
        ),
        resets,
    )


def _time_notes(facts: TimeFacts, options: ReadOptions, resets: int) -> list[str]:
    notes = [
        f"the time is {facts.column!r} ({facts.kind}): {facts.first} to {facts.last}"
        + (f", a row every {facts.interval:g} s" if np.isfinite(facts.interval) else "")
    ]
    if facts.duplicates:
        many = "1 row has" if facts.duplicates == 1 else f"{facts.duplicates} rows have"
        notes.append(f"{many} the time of the row before")
    if facts.gaps:
        row, seconds = max(facts.gaps, key=lambda gap: gap[1])
        many = f"{len(facts.gaps)} pauses" if len(facts.gaps) > 1 else "1 pause"
        what = (
            f"the state is reset after {resets} of them" if options.gap is not None
            else "--gap SECONDS would reset the state after longer ones"
        )  # fmt: skip
        longest = f"{seconds:,.3f}".rstrip("0").rstrip(".")
        notes.append(f"{many} in time, the longest {longest} s before row {row}: {what}")
    return notes
