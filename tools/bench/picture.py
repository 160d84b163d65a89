"""Cost against size (matplotlib)."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from tools.style import STYLE

# Colour-blind safe (Okabe and Ito 2008), as in docs/evidence/learning.md.
COLOURS = {
    "unitwise": "#0072B2",
    "residual": "#009E73",
    "snap1": "#56B4E9",
    "nobacktrack": "#E69F00",
    "frozen": "#777777",
    "rtrl": "#CC79A7",
}
CELLS = ("tanh", "leaky", "gated", "lstm")
mpl.rcParams.update(STYLE)


def cost(data: dict[str, Any]) -> Figure:
    """Microseconds per step against H, kalman, one panel per cell; ns per parameter of the LSTM."""
    figure = Figure(figsize=(10, 6.2))
    panels = figure.subplots(2, 3).ravel()
    for axes, cell in zip(panels, CELLS, strict=False):
        _steps(axes, data, cell)
    shown = [y for axes in panels[:4] for line in axes.lines for y in line.get_ydata()]
    for axes in panels[:4]:
        axes.set_ylim(0.7 * min(shown), 1.4 * max(shown))
    panels[0].set_ylabel("µs per step")
    panels[3].set_ylabel("µs per step")
    _parameters(panels[4], data)
    _limits(panels[5], data)
    lines = {line.get_label(): line for axes in panels[:4] for line in axes.lines}
    names = [name for name in COLOURS if name in lines]
    places = {"loc": "outside lower center", "ncols": 6, "frameon": False}
    figure.legend([lines[name] for name in names], names, **places)
    return figure


def _sizes(axes: Axes, sizes: list[int]) -> None:
    axes.set_xscale("log", base=2)
    shown = sorted(set(sizes))
    axes.xaxis.set_major_locator(FixedLocator(shown[:: 2 if len(shown) > 6 else 1]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axes.set_xlabel("H, units")


def _steps(axes: Axes, data: dict[str, Any], cell: str) -> None:
    rows = [row for row in data["grid"] if (row["cell"], row["filter"]) == (cell, "kalman")]
    for name, shade in COLOURS.items():
        found = [row for row in rows if row["estimator"] == name]
        if found:
            x, y = ([row["hidden"] for row in found], [row["ns"]["low"] / 1e3 for row in found])
            axes.plot(x, y, "o-", ms=3, lw=1.5, color=shade, label=name)
    axes.set_yscale("log")
    axes.set_title(f"{cell}, kalman")
    _sizes(axes, [row["hidden"] for row in data["grid"]])


def _parameters(axes: Axes, data: dict[str, Any]) -> None:
    for filter_, style in (("sgd", ":"), ("kalman", "-"), ("kalman_quasi", "--")):
        found = [
            row
            for row in data["grid"]
            if (row["cell"], row["estimator"], row["filter"]) == ("lstm", "nobacktrack", filter_)
        ]
        x = [row["hidden"] for row in found]
        axes.plot(
            x, [row["ns_per_parameter"] for row in found], style, label=filter_, color="black"
        )
    axes.set(title="lstm, nobacktrack", ylabel="ns per step and parameter")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    _sizes(axes, [row["hidden"] for row in data["grid"]])


def _limits(axes: Axes, data: dict[str, Any]) -> None:
    rows = [row for row in data["limits"] if row["cell"] == "lstm"]
    x = [row["hidden"] for row in rows]
    named = (
        ("step_us", "step", "-"),
        ("arithmetic_us", "arithmetic", ":"),
        ("bytes_us", "bytes", "--"),
    )
    for key, label, style in named:
        y = [1e3 * row[key]["median"] / row["parameters"] for row in rows]
        axes.plot(x, y, style, color="black" if key == "step_us" else "#D55E00", label=label)
    axes.set(title="lstm, nobacktrack, kalman: limits", ylabel="ns per step and parameter")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    _sizes(axes, x)
