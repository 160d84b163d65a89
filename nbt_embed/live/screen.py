"""A watch in a terminal, redrawn in place."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from nbt_embed.app import tables, terminal
from nbt_embed.app.results import Pictures, Track
from nbt_embed.app.tables import count, number, percent, safe
from nbt_embed.live.summary import alarm_table, facts, measures, moment, now_table

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from 3.11 on

_LEAST = 0.1  # seconds between two updates
_PICTURE = 11  # lines of the chart
_BARS = " ▁▂▃▄▅▆▇█"
_ASCII_BARS = " .:-=+*#@"
_NINES = 5.0  # a full bar: a score of 0.9 has one nine, 0.99999 has five
_ALARMS = 3
_SHOWN_FACTS = ("source", "counted", "publishing", "guards", "saved")


class ScreenView:
    """Shows a watch on a terminal (``watcher.View``); use it in ``with``. Args: stream."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(
            file=stream,
            no_color=not terminal.wants_colour(stream),
            markup=False,
            emoji=False,
            highlight=False,
        )
        self._ascii = terminal.lacks_lines(stream)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=sys.stderr is not None and sys.stderr.isatty(),  # notes appear above
            vertical_overflow="crop",
        )
        self._next = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def due(self, now: float) -> bool:
        """At most ten times a second."""
        if now < self._next:
            return False
        self._next = now + _LEAST
        return True

    def show(self, document: Mapping[str, Any], pictures: Pictures) -> None:
        """As ``watcher.View``."""
        width, height = self._console.size
        self._live.update(
            Group(*screen(document, pictures, max(width, 40), height, self._ascii)), refresh=True
        )


def screen(
    document: Mapping[str, Any], pictures: Pictures, width: int, height: int, ascii_only: bool
) -> Iterator[RenderableType]:
    """Yield the parts that fit on the terminal, the most important first."""
    room = height - 1
    for part in _parts(document, pictures, width, ascii_only):
        text = terminal.rendered(part, width).rstrip("\n").splitlines()
        if len(text) > room:
            continue
        room -= len(text)
        yield part if not ascii_only else Text(terminal.in_ascii("\n".join(text)))


def _parts(
    document: Mapping[str, Any], pictures: Pictures, width: int, ascii_only: bool
) -> Iterator[RenderableType]:
    yield Text(_cut(_headline(document), width), "bold", no_wrap=True)
    yield Text(_cut(_second_line(document), width), no_wrap=True)
    yield Group("", *terminal.shown_table(now_table(document), width))
    for line in _errors(document, width):
        yield Text(line, no_wrap=True)
    for track in pictures.tracks[:1]:
        drawn = terminal.picture(
            track,
            f"{track.target}, {tables.steps(track.horizon)}",
            width=width,
            height=_PICTURE,
            curve="." if ascii_only else "braille",
        )
        if drawn:
            yield Text("\n" + drawn.rstrip("\n"), no_wrap=True)
        if track.score is not None:
            yield Text(_score_line(track, width, ascii_only), no_wrap=True)
    alarms = alarm_table(document, _ALARMS)
    if alarms.rows:
        yield Group("", *terminal.shown_table(alarms, width))
    for line in _mixture(document, width):
        yield Text(line, no_wrap=True)
    for name, text in facts(document):
        if name in _SHOWN_FACTS:
            yield Text(_cut(f"{name}: {text}", width), no_wrap=True)
    yield Text("Ctrl-C ends the watch.", "dim")


def _headline(document: Mapping[str, Any]) -> str:
    title = terminal.shortened(safe(document["source"]["title"]), 30)
    rate = document["rows_per_second"]
    speed = "" if rate is None else f", {number(rate) if rate < 1000 else f'{rate:,.0f}'} rows/s"
    return f"{title}: {count(document['rows'])} rows{speed}"


def _second_line(document: Mapping[str, Any]) -> str:
    when = moment(document["seconds_now"])
    size = f"{count(document['learner']['memory_bytes'])} bytes"
    return f"{f'{when}, ' if when else ''}{size}, {document['source']['state']}"


def _errors(document: Mapping[str, Any], width: int) -> Iterator[str]:
    """Yield for every target the rolling error and that of the last value."""
    first, title = next(iter(measures(document).items()))
    last = document["models"]["last"]["name"]
    yield f"{title} over the last {count(document['window'])} rows, and over all"
    for one in document["scores"]:
        parts = []
        for scores in (one["recent"], one["scores"]):
            own, other = scores["learner"], scores["last"]
            text = f"{number(own.get(first))} ({last} {number(other.get(first))}"
            skill = own.get("skill")
            text += f", skill {percent(skill)})" if skill is not None else ")"
            parts.append(text)
        line = f"  {terminal.shortened(safe(one['target']), 14)} {parts[0]}"
        both = f"{line}   {parts[1]}"
        yield _cut(both if len(both) <= width else line, width)


def _mixture(document: Mapping[str, Any], width: int) -> Iterator[str]:
    """Yield for every target the shares of the mixture's forecasts, the largest first."""
    for one in document["scores"]:
        if one["mixture"] is not None:
            shares = sorted(one["mixture"].items(), key=lambda pair: -(pair[1] or 0))
            text = ", ".join(f"{name} {percent(share)}" for name, share in shares)
            yield _cut(f"mixture of {terminal.shortened(safe(one['target']), 14)}: {text}", width)


def _score_line(track: Track, width: int, ascii_only: bool) -> str:
    """Draw the anomaly scores: one bar per row, or for the highest score of several."""
    assert track.score is not None
    name = "anomaly "
    rows = width - len(name)
    score = track.score[-144:].astype(np.float64)
    if not len(score):
        return name
    pieces = np.array_split(score, min(rows, len(score)))
    bars = _ASCII_BARS if ascii_only else _BARS
    marks = []
    for piece in pieces:
        known = piece[np.isfinite(piece)]
        if not known.size:
            marks.append(" ")
            continue
        nines = min(-np.log10(max(1 - float(known.max()), 10**-_NINES)), _NINES)
        marks.append(bars[round(nines / _NINES * (len(bars) - 1))])
    return name + "".join(marks)


def _cut(text: str, width: int) -> str:
    return terminal.shortened(safe(text), width)
