"""All tasks together: coverage, scores and widths of every maker."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tools.intervals.makers import GAUSSIAN, LEVELS
from tools.intervals.measures import MIDDLE, Measures
from tools.streams.recordings import Task

# Tasks of more rows have to keep the coverage within these bounds, by level.
LONG = 3000
BOUNDS = {0.8: (0.78, 0.82), 0.95: (0.94, 0.96)}
WINDOWS = 0.95  # share of the windows within their band
Table = Mapping[Task, Mapping[str, Measures]]


@dataclass(frozen=True)
class Summary:
    """One maker over all tasks.

    Attributes:
        long: tasks of more than ``LONG`` rows.
        outside: of these, the names of the tasks whose coverage is outside of ``BOUNDS``, by level.
        windowed: tasks long enough for a window.
        unsteady: names of the tasks with less than ``WINDOWS`` of their windows within the band.
        winkler: interval score over that of the Gaussian intervals, geometric mean, by level.
        width: the same of the widths.
        log_loss: mean of the differences to the Gaussian's, nats; NaN without a distribution.
    """

    long: int
    outside: Mapping[float, tuple[str, ...]]
    windowed: int
    unsteady: tuple[str, ...]
    winkler: tuple[float, ...]
    width: tuple[float, ...]
    log_loss: float


def geometric_mean(ratios: Iterable[float]) -> float:
    """The exponential of the mean logarithm; NaN of nothing."""
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def ratio(table: Table, task: Task, maker: str, name: str, level: int) -> float:
    """A figure of a maker over that of the Gaussian intervals."""
    own, other = (getattr(table[task][one], name)[level] for one in (maker, GAUSSIAN))
    return float(own / other)


def summarise(table: Table, rows: Mapping[Task, int], maker: str) -> Summary:
    """One maker over all tasks, whose recordings have so many rows."""
    long = [task for task in table if rows[task] > LONG]
    places = range(len(LEVELS))
    return Summary(
        len(long),
        {
            level: tuple(
                task.name
                for task in long
                if not low <= table[task][maker].coverage[LEVELS.index(level)] <= high
            )
            for level, (low, high) in BOUNDS.items()
        },
        sum(not math.isnan(table[task][maker].windows) for task in table),
        tuple(task.name for task in table if table[task][maker].windows < WINDOWS),
        tuple(
            geometric_mean(ratio(table, one, maker, "winkler", k) for one in table) for k in places
        ),
        tuple(
            geometric_mean(ratio(table, one, maker, "width", k) for one in table) for k in places
        ),
        sum(table[one][maker].log_loss - table[one][GAUSSIAN].log_loss for one in table)
        / max(len(table), 1),
    )


def worst(table: Table, maker: str) -> tuple[str, float]:
    """The task with the worst ratio at 80 %, and the ratio."""
    task = max(table, key=lambda one: ratio(table, one, maker, "winkler", MIDDLE))
    return task.name, ratio(table, task, maker, "winkler", MIDDLE)
