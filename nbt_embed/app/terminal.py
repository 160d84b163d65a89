"""Results of a run for a terminal: tables by rich, pictures by plotext, a progress bar.

Everything fits the requested width, whatever the names. Colour is only for terminals; ``NO_COLOR``
(no-color.org) and ``TERM=dumb`` turn it off.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.progress import (
    BarColumn,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Table as RichTable
from rich.text import Text

from nbt_embed.app import tables
from nbt_embed.app.results import Pictures, Track
from nbt_embed.app.tables import Table, safe

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

WIDTH = 80
_SHORTEST = 8  # columns of a name next to figures
_ALARMS_SHOWN = 10
_BEST = "*"
_HEAD = 12  # columns that a word above figures may take; longer ones are broken
_GAP = 2  # columns between two cells
_LINES = "─│┌┐└┘├┤┬┴┼⣿…−"
_IN_ASCII = str.maketrans(dict(zip("─│┌┐└┘├┤┬┴┼…−", "-|++++||+++~-", strict=True)))


def report(
    document: Mapping[str, Any],
    pictures: Pictures | None = None,
    width: int = WIDTH,
    colour: bool = False,
    ascii_only: bool = False,
) -> str:
    """Return the report of a run, the verdict first.

    Args:
        document: of the run (docs/reference/json.md).
        pictures: what is drawn; None: no pictures.
        width: columns, at least 40.
        colour: whether to use colours (``wants_colour``).
        ascii_only: whether lines are drawn in ASCII (``lacks_lines``); names stay unchanged.
    """
    text = rendered(Group(*_parts(document, pictures, width, ascii_only)), width, colour)
    return in_ascii(text) if ascii_only else text


def wants_colour(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal whose user has not turned colours off."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream is not None and stream.isatty()


def shows_motion(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal that can overwrite lines."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def lacks_lines(stream: TextIO | None) -> bool:
    """Return whether a stream's encoding lacks the characters for lines and curves."""
    try:
        _LINES.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def in_ascii(text: str) -> str:
    """Convert lines and marks to ASCII; names stay unchanged."""
    return text.translate(_IN_ASCII)


def rendered(what: RenderableType, width: int = WIDTH, colour: bool = False) -> str:
    """Return the text of a renderable, without blanks at the ends of lines."""
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )
    console.print(what)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def blocks(table: Table, width: int = WIDTH) -> Iterator[RichTable]:
    """Return a table as one or more that fit: figures stay whole, names are cut in the middle.

    Columns of figures that do not fit form a further table, which repeats the names.
    """
    columns = list(zip(table.head, *table.rows, strict=True))
    names, figures = columns[: table.names], columns[table.names :]
    best = {(row, column) for row, column in table.best}
    needs = [
        max(
            *(cell_len(cell) for cell in column[1:]),
            *(min(cell_len(word), _HEAD) for word in column[0].split(" ")),
        )
        + len(_BEST) * bool(table.best)
        for column in figures
    ]
    longest = [max(cell_len(safe(cell)) for cell in column) for column in names]
    while True:
        shares = _widths(longest, max(width - sum(need + _GAP for need in needs), 0))
        fitting, used = 0, sum(share + _GAP for share in shares)
        for need in needs:
            if fitting and used + need + _GAP > width:
                break
            used, fitting = used + need + _GAP, fitting + 1
        first = table.names + (len(columns) - table.names - len(figures))
        yield _block(table, names, figures[:fitting], shares, needs[:fitting], best, first)
        figures, needs = figures[fitting:], needs[fitting:]
        if not figures:
            return


def picture(
    track: Track,
    title: str,
    rows: slice = slice(-144, None),
    width: int = WIDTH,
    height: int = 14,
    curve: str = "braille",
) -> str:
    """Draw truth and forecast with characters; the scale is that of the truth.

    Args:
        track: what is drawn.
        title: first line, with what the marks mean.
        rows: which of the track's samples.
        width: columns.
        height: lines.
        curve: plotext's marker of the truth.

    Returns: lines, "" where the truth has no value there.
    """
    from plotext import figure, uncolorize  # loads its fonts of markers

    where, truth = track.row[rows], track.truth[rows].astype(float)
    forecast = track.forecast[rows].astype(float)
    known = truth[np.isfinite(truth)]
    if not known.size:
        return ""
    low, high = float(known.min()), float(known.max())
    margin = 0.05 * (high - low) or 1.0
    forecast = np.clip(forecast, low - margin, high + margin)
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(width, height)
    for values, marker in ((truth, curve), (forecast, "o")):
        shown = np.isfinite(values)
        if shown.any():
            signal = figure.signal(where[shown].tolist(), values[shown].tolist(), marker=marker)
            figure.draw(signal.lines(active=marker == curve))
    text = str(figure.build())
    figure.clear()
    lines = [line.rstrip() for line in uncolorize(text).splitlines()]
    heading = shortened(safe(title), width - len(_KEY)) + _KEY
    return "\n".join([heading, *lines]) + "\n"


_KEY = "   (line: truth, o: forecast)"


def shortened(name: str, width: int) -> str:
    """Shorten a name to this many columns by removing its middle."""
    if cell_len(name) <= width:
        return name
    if width < 3:
        return set_cell_size(name, max(width, 0))
    head, tail = width // 2, (width - 1) // 2
    end = name
    while cell_len(end) > tail:
        end = end[1:]
    return f"{set_cell_size(name, head).rstrip()}…{end}"


class Progress:
    """A progress bar on standard error while the block runs, if that is a terminal.

    Examples:
        >>> with Progress(1000) as progress:
        ...     progress.add(1000)

    Args:
        total: number of rows; None: unknown.
        title: before the bar.
        stream: where to show it; None: standard error.
        items: number of equal parts, and their name: the number of finished ones is shown next to
            the rows per second.
    """

    def __init__(
        self,
        total: int | None,
        title: str = "",
        stream: TextIO | None = None,
        items: tuple[int, str] | None = None,
    ) -> None:
        stream = sys.stderr if stream is None else stream
        shown = stream is not None and stream.isatty()
        console = Console(
            file=stream if shown else io.StringIO(),
            no_color=not wants_colour(stream),
            markup=False,
            emoji=False,
        )
        self._bar = RichProgress(
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            *([] if items is None else [_Items(*items)]),
            _Rate(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not shows_motion(stream),
        )
        self._task = self._bar.add_task(title, total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def add(self, rows: int) -> None:
        """Count rows as done."""
        self._bar.advance(self._task, rows)


class _Rate(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        """Return the content of the column."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} rows/s")


class _Items(ProgressColumn):
    """Number of finished items, by their share of the rows."""

    def __init__(self, count: int, name: str) -> None:
        super().__init__()
        self._count, self._name = count, name

    def render(self, task: Task) -> Text:
        """Return the content of the column."""
        if not task.total:
            return Text(f"{self._count:,} {self._name}")
        done = int(self._count * task.completed / task.total)
        return Text(f"{done:,} of {self._count:,} {self._name}")


def _parts(
    document: Mapping[str, Any], pictures: Pictures | None, width: int, ascii_only: bool
) -> Iterator[RenderableType]:
    source = document["source"]
    many = source["segments"] > 1
    segments = f", {tables.count(source['segments'])} segments" if many else ""
    title = shortened(safe(source["title"]), width - 30)
    yield Text(f"{title}: {tables.count(source['rows'])} rows{segments}", "bold")
    yield ""
    for sentence in document["verdict"]:
        yield _sentence(sentence, "bold")
    for horizon in document["horizons"]:
        many = len(document["horizons"]) > 1
        for sentence in horizon["verdict"]:
            if sentence not in document["verdict"]:
                yield _sentence(_ahead(horizon["horizon"], sentence) if many else sentence)
    yield ""
    yield from shown_table(tables.learner_table(document), width)
    yield from shown_table(tables.models_table(document), width)
    for track in (pictures.tracks if pictures is not None else ())[:1]:
        title = f"{track.target}, {tables.steps(track.horizon)}"
        drawn = picture(track, title, width=width, curve="." if ascii_only else "braille")
        if drawn:
            yield Text(drawn, no_wrap=True)
    yield from _facts(document, width)


def _ahead(horizon: int, sentence: str) -> str:
    """Return the start of a sentence about a horizon."""
    first = tables.steps(horizon)
    return f"{first[0].upper()}{first[1:]}, {sentence[0].lower()}{sentence[1:]}"


def _facts(document: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    for one in document["horizons"]:
        if one["alarms"]:
            yield from shown_table(tables.alarm_table(one, _ALARMS_SHOWN), width)
    for table in (tables.memory_table, tables.cost_table, tables.speed_table):
        yield from shown_table(table(document), width)
    yield Text("Data and settings", "bold")
    yield from map(_sentence, facts(document))


def shown_table(table: Table, width: int) -> Iterator[RenderableType]:
    """Yield title, blocks and note; nothing for a table without rows."""
    if table.rows:
        yield Text(safe(table.title), "bold")
        yield from blocks(table, width)
        legend = f"{_BEST} marks the best." if table.best else ""
        if table.note or legend:
            yield _sentence(f"{table.note} {legend}".strip(), "dim")
        yield ""


def facts(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield sentences about the data and the learner."""
    source = document["source"]
    when = source["time"]
    if when is not None:
        yield f"time: {when['first']} to {when['last']} ({when['column']})"
    yield f"inputs: {', '.join(document['inputs'])}"
    yield f"targets: {', '.join(document['targets'])}"
    yield f"learner: {document['learner']['text']}, seed {document['learner']['seed']}"
    yield from source["notes"]
    yield f"command: {document['command']}"


def _sentence(text: str, style: str = "") -> RenderableType:
    return Text(safe(text), style, overflow="fold")


def _widths(longest: Sequence[int], room: int) -> list[int]:
    """Return widths of name columns: all they need if possible, else equal parts, at least 8."""
    room -= _GAP * len(longest)
    shares = list(longest)
    while sum(shares) > room and max(shares) > _SHORTEST:
        shares[shares.index(max(shares))] -= 1
    return shares


def _block(
    table: Table,
    names: Sequence[Sequence[str]],
    figures: Sequence[Sequence[str]],
    shares: Sequence[int],
    needs: Sequence[int],
    best: set[tuple[int, int]],
    first: int,
) -> RichTable:
    block = RichTable(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),  # and the box has a blank between two columns
        header_style="",
    )
    marked = bool(best)
    for column, share in zip(names, shares, strict=True):
        block.add_column(Text(shortened(safe(column[0]), share)), width=share, no_wrap=True)
    for column, need in zip(figures, needs, strict=True):
        heading = Text(safe(column[0]) + " " * marked, overflow="fold")
        block.add_column(heading, justify="right", width=need, vertical="bottom")
    for row in range(len(table.rows)):
        cells = [
            Text(shortened(safe(column[1 + row]), share))
            for column, share in zip(names, shares, strict=True)
        ]
        for place, column in enumerate(figures):
            won = (row, first + place) in best
            mark = (_BEST if won else " ") if marked else ""
            cells.append(Text(column[1 + row] + mark, "bold green" if won else ""))
        block.add_row(*cells)
    return block
