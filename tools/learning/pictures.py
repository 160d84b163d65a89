"""Pictures of the measurements (matplotlib)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tools.learning.curves import Curve
from tools.learning.influence import OPTIMUM, Run
from tools.learning.plan import FAR, LENGTH, SERIES, SHORT, SHORT_SPAN, SYMBOLS, WHOLE_SPAN
from tools.learning.record import Record
from tools.learning.summary import medians, pick
from tools.learning.targets import PUBLISHED
from tools.learning.tasks import TASKS, SymbolTask
from tools.style import STYLE

# Colour-blind safe (Okabe and Ito 2008); backpropagation is dashed.
COLOURS = {
    "unitwise": "#0072B2",
    "residual": "#009E73",
    "snap1": "#56B4E9",
    "nobacktrack": "#E69F00",
    "frozen": "#777777",
    "LSTM": "#D55E00",
    "GRU": "#CC79A7",
    "RLS-10": "#000000",
}
mpl.rcParams.update(STYLE)


def colour(method: str) -> str:
    """By the family of the method."""
    return next((shade for name, shade in COLOURS.items() if method.startswith(name)), "#999999")


def _panels(n: int, share_y: bool = False) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(10, 3.9))
    return figure, list(np.atleast_1d(figure.subplots(1, n, sharey=share_y)))


def symbols(curves: Sequence[Curve]) -> Figure:
    """Loss against symbols: the median over seeds, for two methods with their range."""
    figure, panels = _panels(len(SYMBOLS))
    lines: dict[str, Line2D] = {}
    for axes, name in zip(panels, SYMBOLS, strict=True):
        task = TASKS[name]
        assert isinstance(task, SymbolTask)
        shown = ["unitwise", "residual", "snap1", "nobacktrack", "frozen"]
        shown += [f"{cell}, span {WHOLE_SPAN[name]}" for cell in ("LSTM", "GRU")]
        shown += [f"LSTM, span {SHORT_SPAN}"] if name == FAR else []
        for method in shown:
            same = [c for c in curves if (c.task, c.method, c.hidden) == (name, method, 32)]
            if same:
                longest = min(LENGTH[name], max(c.samples for c in same))
                label = method.replace(f"span {WHOLE_SPAN[name]}", "whole span")
                lines[label] = _line(axes, pick(curves, name, method, 32, longest))
        for level, text in ((task.floor, "entropy rate"), (task.blind, "best without memory")):
            if level is not None:
                axes.axhline(level, color="black", lw=0.8, ls=":")
                right = axes.get_yaxis_transform()
                axes.text(0.99, level, text, transform=right, fontsize=7, ha="right", va="top")
        axes.set(xscale="log", title=name, xlabel="symbols seen")
        axes.set_ylim(task.floor * 0.97, task.floor * (1.9 if task.blind is None else 1.35))
    panels[0].set_ylabel("bits per symbol, median of the seeds")
    places = {"loc": "outside lower center", "ncols": 8, "frameon": False, "fontsize": 8}
    figure.legend(list(lines.values()), list(lines), **places)
    return figure


def _line(axes: Axes, found: Sequence[Curve]) -> Line2D:
    width = max(found[0].block, found[0].samples // 50)
    blocks = np.array([curve.by(width) for curve in found])
    seen = width * np.arange(1, blocks.shape[1] + 1)
    method = found[0].method
    style = ":" if f"span {SHORT_SPAN}" in method else "--" if "span" in method else "-"
    (line,) = axes.plot(seen, medians(found, width), style, color=colour(method), lw=1.5)
    if method == "unitwise" or method.startswith("LSTM"):
        low, high = blocks.min(axis=0), blocks.max(axis=0)
        axes.fill_between(seen, low, high, color=colour(method), alpha=0.15, lw=0)
    return line


def balancing(runs: dict[str, Run]) -> Figure:
    """The parameter of influence balancing against steps, a line a seed."""
    figure, panels = _panels(len(runs), share_y=True)
    for axes, (name, run) in zip(panels, runs.items(), strict=True):
        steps = run.every * np.arange(run.theta.shape[1])
        axes.plot(steps[1:], run.theta[:, 1:].T, lw=0.8, color=COLOURS["unitwise"])
        axes.axhline(OPTIMUM, color="black", lw=0.8, ls=":")
        axes.set(xscale="log", ylim=(-0.7, 1.2), xlim=(run.every, 1e5), xlabel="steps")
        axes.set_title(name.replace(", ", ",\n"), fontsize=9)
    panels[0].set_ylabel("parameter (dotted: optimum)")
    return figure


def series(record: Record) -> Figure:
    """Error of 64 units on the chaotic series: a stroke a seed; dotted, the best published."""
    figure, panels = _panels(len(SERIES), share_y=True)
    methods = ["unitwise", "residual", "snap1", "nobacktrack", "frozen"]
    methods += ["unitwise, network alone", "frozen, network alone", "no network", "RLS-10"]
    methods += [f"{cell}, span {span}" for cell in ("LSTM", "GRU") for span in (1, 4, 16, 64)]
    methods += ["LSTM, UORO"]
    for axes, name in zip(panels, SERIES, strict=True):
        for row, method in enumerate(reversed(methods)):
            hidden = 0 if method in ("no network", "RLS-10") else 64
            found = record.figure(name, method, hidden, SHORT)
            if found is None:
                continue
            losses = [loss for loss in found.by_seed if loss is not None]
            axes.plot(losses, [row] * len(losses), "|", color=colour(method), ms=8)
        axes.axvline(PUBLISHED[name], color="black", lw=0.8, ls=":")
        axes.set(xscale="log", title=name, xlabel="squared error / variance, last half")
        axes.set_yticks(range(len(methods)), methods[::-1])
    return figure


def draw_series(record: Record, folder: Path) -> None:
    """Write the picture of the series into the folder."""
    _save({"series": series(record)}, folder)


def draw_symbols(curves: Sequence[Curve], runs: dict[str, Run], folder: Path) -> None:
    """Write the pictures of the symbols into the folder; they need all of their curves."""
    figures = {"symbols": symbols(curves), "influence": balancing(runs)}
    _save(figures, folder)


def _save(figures: dict[str, Figure], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png")
