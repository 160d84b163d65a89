"""The models of a comparison in pictures: a mark and a colour for each kind of learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbt_embed.app import look
from nbt_embed.app.look import Stroke
from nbt_embed.app.models import LAST, LEARNER, RLS

# Marks of Bokeh and matplotlib.
_MARKS = (
    ("circle", "o"),
    ("square", "s"),
    ("triangle", "^"),
    ("diamond", "D"),
    ("inverted_triangle", "v"),
    ("hex", "h"),
)
AXES = {
    "memory_bytes": ("Error against bytes", "bytes", "on_bytes_line"),
    "milliseconds_high": ("Error against time", "milliseconds per row, at most", "on_time_line"),
}


@dataclass(frozen=True)
class Kind:
    """Points with one appearance: name, stroke, Bokeh's mark, matplotlib's, and the rows."""

    name: str
    stroke: Stroke
    mark: str
    plotted: str
    rows: tuple[Mapping[str, Any], ...]


def kinds(horizon: Mapping[str, Any], price: str) -> list[Kind]:
    """Return the rows with a cost and an error, by cell and estimator; RLS last."""
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for one in horizon["rows"]:
        if one["key"] == LAST or one[price] is None or one["error"] is None:
            continue
        settings = one["settings"]
        learner = one["key"] == LEARNER and settings["hidden"]
        key = (settings["cell"], settings["estimator"]) if learner else ("RLS",)
        found.setdefault(key, []).append(one)
    rls = found.pop(("RLS",), None)
    made = [
        Kind(", ".join(key), look.of_kind(place), *_MARKS[place % len(_MARKS)], tuple(rows))
        for place, (key, rows) in enumerate(found.items())
    ]
    if rls is not None:
        made.append(Kind("RLS", look.of_model(RLS), "star", "*", tuple(rls)))
    return made


def line(horizon: Mapping[str, Any], price: str) -> tuple[list[float], list[float]]:
    """Return cost and error of the Pareto front, as steps from left to right."""
    mark = AXES[price][2]
    rows = sorted((one for one in horizon["rows"] if one[mark]), key=lambda one: one[price])
    x, y = [], []
    for place, one in enumerate(rows):
        if place:
            x.append(one[price])
            y.append(rows[place - 1]["error"])
        x.append(one[price])
        y.append(one["error"])
    return x, y


def points(kind: Kind, price: str) -> dict[str, Sequence[Any]]:
    """Return the columns of a kind's points."""
    return {
        "x": [one[price] for one in kind.rows],
        "y": [one["error"] for one in kind.rows],
        "low": [one["error_least"] for one in kind.rows],
        "high": [_high(one) for one in kind.rows],
        "name": [one["name"] for one in kind.rows],
        "bytes": [one["memory_bytes"] for one in kind.rows],
    }


def _high(one: Mapping[str, Any]) -> float:
    """Return the upper end of an error bar: the median if a seed diverged."""
    most = one["error_most"]
    return float(one["error"] if most is None else most)
