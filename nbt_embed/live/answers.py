"""Output of a watch, one line per row: CSV or JSON lines.

The columns are row, time (in seconds, empty without a time), and for each target ``temp``:

* ``temp_forecast``: the forecast made in this row, for ``horizon`` rows later.
* ``temp_low_80``, ``temp_high_80``: bounds of its intervals.
* ``temp_score``: the anomaly score of this row's label.
* ``temp_alarm``: whether an alarm begins in this row.

A class target has the most probable class and its probability (``status_probability``). Without a
value, a cell is empty (JSON: null). Numbers have nine digits, which identify every float32.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed.app.classes import most_probable
from nbt_embed.arrays import Float64Array
from nbt_embed.config import Config
from nbt_embed.live.watching import Said, all_seconds

_NUMBER, _TIME, _WHOLE, _TEXT = "%.9g", "%.16g", "%d", "%s"
_PATTERNS = 256  # formats that are cached, one per combination of missing values


class Answers:
    """Formats answers as text.

    Args: targets, their names; config, of the learner; classes, names of the classes of a class
    target; kind, "csv" or "json".
    """

    def __init__(
        self, targets: Sequence[str], config: Config, classes: Sequence[str] | None, kind: str
    ) -> None:
        self._config, self._json, self._classes = config, kind == "json", classes
        columns = list(_columns(targets, config, classes is not None))
        self.names = _unique([name for name, _ in columns])
        self._formats = [form for _, form in columns]
        written = json.dumps if self._json else _cell
        self._class_texts = [written(name) for name in classes or ()]
        self._patterns: dict[bytes, str] = {}

    @property
    def header(self) -> bytes:
        """The first line: names of the columns; empty for JSON lines."""
        return b"" if self._json else (",".join(map(_cell, self.names)) + "\n").encode()

    def lines(self, said: Said) -> bytes:
        """Format a block. Cost: some microseconds per row."""
        table = self._table(said)
        there = np.isfinite(table)
        changes = np.flatnonzero((there[1:] != there[:-1]).any(axis=1)) + 1
        ends = [0, *changes.tolist(), len(table)]
        return "".join(
            [self._run(table[begin:end], there[begin]) for begin, end in pairwise(ends)]
        ).encode()

    def rows(self, said: Said) -> list[dict[str, Any]]:
        """Return the rows of a block as objects, None where there is no value."""
        return [
            {
                name: self._value(value, form)
                for name, value, form in zip(self.names, values, self._formats, strict=True)
            }
            for values in self._table(said).tolist()
        ]

    def _table(self, said: Said) -> Float64Array:
        """Return (T, columns), NaN where there is no value."""
        rows = len(said.forecast)
        table = np.empty((rows, len(self.names)))
        table[:, 0] = np.arange(said.start, said.start + rows)
        table[:, 1] = all_seconds(said.time, rows)
        if self._config.link == "categorical":
            table[:, 2] = most_probable(said.forecast)[:, 0]
            table[:, 3] = said.forecast.max(axis=1)
            return table
        targets = table[:, 2:].reshape(rows, said.forecast.shape[1], -1)
        targets[:, :, 0] = said.forecast
        at = 1
        if said.bounds is not None:
            targets[:, :, 1 : 1 + said.bounds.shape[2]] = said.bounds
            at += said.bounds.shape[2]
        if said.anomaly is not None and said.alarms is not None:
            targets[:, :, at], targets[:, :, at + 1] = said.anomaly, said.alarms
        table[:, 2:] = targets.reshape(rows, -1)
        return table

    def _run(self, table: Float64Array, there: NDArray[np.bool_]) -> str:
        """Format rows in which the same columns have values, with one pattern."""
        key = there.tobytes()
        pattern = self._patterns.get(key)
        if pattern is None:
            pattern = self._pattern(there.tolist())
            if len(self._patterns) < _PATTERNS:
                self._patterns[key] = pattern
        values: list[Any] = table[:, there].ravel().tolist()
        texts = [form == _TEXT for form, known in zip(self._formats, there, strict=True) if known]
        for place in [place for place, text in enumerate(texts) if text]:
            column = slice(place, None, len(texts))
            values[column] = [self._class_texts[int(value)] for value in values[column]]
        return pattern * len(table) % tuple(values)

    def _pattern(self, there: list[bool]) -> str:
        nothing = "null" if self._json else ""
        cells = [
            form if known else nothing for form, known in zip(self._formats, there, strict=True)
        ]
        if not self._json:
            return ",".join(cells) + "\n"
        names = [json.dumps(name).replace("%", "%%") for name in self.names]
        pairs = [f"{name}:{cell}" for name, cell in zip(names, cells, strict=True)]
        return "{" + ",".join(pairs) + "}\n"

    def _value(self, value: float, form: str) -> Any:
        if not math.isfinite(value):
            return None
        if form == _TEXT:
            return (self._classes or ())[int(value)]
        return int(value) if form == _WHOLE else float(form % value)


def _columns(targets: Sequence[str], config: Config, classes: bool) -> Iterator[tuple[str, str]]:
    """Yield name and format of every column."""
    yield "row", _WHOLE
    yield "time", _TIME
    for name in targets:
        yield f"{name}_forecast", _TEXT if classes else _NUMBER
        if config.link == "categorical":
            yield f"{name}_probability", _NUMBER
        for level in (config.levels or ()) if config.intervals else ():
            yield f"{name}_low_{100 * level:.6g}", _NUMBER
            yield f"{name}_high_{100 * level:.6g}", _NUMBER
        if config.anomaly:
            yield f"{name}_score", _NUMBER
            yield f"{name}_alarm", _WHOLE


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Make names unique, since a target may be named like a column of another target."""
    found: list[str] = []
    for name in names:
        while name in found:
            name += "_"
        found.append(name)
    return tuple(found)


def _cell(text: str) -> str:
    """Return a text as a cell of CSV."""
    if any(sign in text for sign in '",\n\r') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text
