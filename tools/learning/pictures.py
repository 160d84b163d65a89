"""Pictures of the measurements (matplotlib)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tools.learning.curves import Curve
from tools.learning.influence import OPTIMUM, Run
from tools.learning.plan import FAR, LENGTH, SERIES, SHORT_SPAN, SYMBOLS, WHOLE_SPAN
from tools.learning.summary import PUBLISHED, medians, pick, spread
from tools.learning.tasks import TASKS, SymbolTask

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
mpl.rcParams.update(
    {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "savefig.dpi": 130,
        "figure.constrained_layout.use": True,
    }
)


def colour(method: str) -> str:
    """By the family of the method."""
    return next((shade for name, shade in COLOURS.items() if method.startswith(name)), "#999999")


def symbols(curves: Sequence[Curve]) -> Figure:
    """Loss against symbols: median line and the range over seeds of every hundredth of a run."""
    figure = Figure(figsize=(10, 3.8))
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(SYMBOLS))), SYMBOLS, strict=True):
        task = TASKS[name]
        assert isinstance(task, SymbolTask)
        whole = WHOLE_SPAN[name]
        shown = ["unitwise", "residual", "snap1", "nobacktrack", "frozen"]
        shown += [f"LSTM, span {whole}", f"GRU, span {whole}"]
        shown += [f"LSTM, span {SHORT_SPAN}"] if name == FAR else []
        for method in shown:
            found = [c for c in curves if (c.task, c.method, c.hidden) == (name, method, 32)]
            if found:
                _line(axes, found, min(LENGTH[name], min(c.samples for c in found)))
        axes.axhline(task.floor, color="black", lw=0.8, ls=":")
        axes.annotate("floor", (axes.get_xlim()[0], task.floor), va="bottom", fontsize=7)
        if task.blind:
            axes.axhline(task.blind, color="black", lw=0.8, ls=":")
            axes.annotate("no memory", (axes.get_xlim()[0], task.blind), va="bottom", fontsize=7)
        axes.set(xscale="log", title=name, xlabel="symbols seen")
        axes.set_ylim(task.floor * 0.985, task.floor * (1.9 if task.blind is None else 1.35))
        axes.legend(fontsize=7, frameon=False, loc="upper right")
    figure.axes[0].set_ylabel("bits per symbol (median, range of 10 seeds)")
    return figure


def _line(axes: Axes, found: Sequence[Curve], samples: int) -> None:
    whole = [curve.first(samples) for curve in found]
    width = max(whole[0].block, samples // 100)
    blocks = np.array([curve.by(width) for curve in whole])
    seen = width * np.arange(1, blocks.shape[1] + 1)
    method = found[0].method
    style = "--" if "span" in method else "-"
    if f"span {SHORT_SPAN}" in method:
        style = ":"
    axes.plot(seen, medians(whole, width), style, color=colour(method), lw=1.4, label=method)
    axes.fill_between(seen, blocks.min(0), blocks.max(0), color=colour(method), alpha=0.15, lw=0)


def memory(curves: Sequence[Curve]) -> Figure:
    """Loss of symbols 100,000 to 200,000 against the bytes that a method needs to go on."""
    figure = Figure(figsize=(10, 3.8))
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(SYMBOLS))), SYMBOLS, strict=True):
        task = TASKS[name]
        assert isinstance(task, SymbolTask)
        keys = dict.fromkeys(
            (c.method, c.hidden) for c in curves if c.task == name and c.samples >= 200_000
        )
        for method, hidden in keys:
            if "," in method and "span" not in method and "UORO" not in method:
                continue  # variants of the same size
            found = pick(curves, name, method, hidden, 200_000)
            got = spread(found, 100_000)
            mark = "s" if "span" in method else "o"
            axes.plot(found[0].bytes, got.median, mark, color=colour(method), ms=5)
            label = method.replace(", span ", " ")
            label += f" ({hidden})" if hidden != 32 else ""
            axes.annotate(
                label, (found[0].bytes, got.median), xytext=(4, 2), textcoords="offset points",
                fontsize=6,
            )  # fmt: skip
        axes.axhline(task.floor, color="black", lw=0.8, ls=":")
        axes.set(xscale="log", title=name, xlabel="bytes of learning memory")
        axes.margins(x=0.25)
    figure.axes[0].set_ylabel("bits per symbol, symbols 1e5 to 2e5 (median)")
    return figure


def balancing(runs: dict[str, Run]) -> Figure:
    """The parameter of influence balancing against steps, every seed."""
    figure = Figure(figsize=(6.5, 3.6))
    axes = figure.subplots()
    for name, run in runs.items():
        steps = run.every * np.arange(run.theta.shape[1])
        style = "--" if name.startswith("back") else "-"
        shade = colour(name) if name in COLOURS else None
        lines = axes.plot(steps, run.theta.T, style, lw=0.9, color=shade)
        lines[0].set_label(name)
        for line in lines[1:]:
            line.set_color(lines[0].get_color())
    axes.axhline(OPTIMUM, color="black", lw=0.8, ls=":")
    axes.set(ylim=(-0.6, 1.2), xlabel="steps", ylabel="parameter (optimum -1/6)")
    axes.legend(fontsize=7, frameon=False, loc="upper right")
    return figure


def series(curves: Sequence[Curve]) -> Figure:
    """Error of 64 units on the chaotic series: a dot a seed, a line the best published figure."""
    figure = Figure(figsize=(10, 3.8))
    methods = ["unitwise", "residual", "snap1", "nobacktrack", "frozen", "RLS-10"]
    methods += [f"{cell}, span {span}" for cell in ("LSTM", "GRU") for span in (1, 4, 16, 64)]
    methods += ["LSTM, UORO"]
    for axes, name in zip(np.atleast_1d(figure.subplots(1, 3, sharey=True)), SERIES, strict=True):
        for row, method in enumerate(reversed(methods)):
            hidden = 0 if method == "RLS-10" else 64
            found = [c for c in curves if (c.task, c.method, c.hidden) == (name, method, hidden)]
            losses = [c.last(c.samples // 2) for c in found]
            axes.plot(losses, [row] * len(losses), "|", color=colour(method), ms=8)
        axes.axvline(PUBLISHED[name], color="black", lw=0.8, ls=":")
        axes.set(xscale="log", title=f"{name} (dotted: best published)")
        axes.set_xlabel("squared error over variance, samples 10,001 to 20,000")
        axes.set_yticks(range(len(methods)), methods[::-1])
    return figure


def draw(curves: Sequence[Curve], runs: dict[str, Run], folder: Path) -> None:
    """Write every picture into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in (
        ("symbols", symbols(curves)),
        ("memory", memory(curves)),
        ("influence", balancing(runs)),
        ("series", series(curves)),
    ):
        figure.savefig(folder / f"{name}.png")
