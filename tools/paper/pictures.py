"""Pictures of the claims (matplotlib), each from its record alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tools.learning.tasks import SymbolTask
from tools.paper import approximation, cost, derivative, filters, successors, truncation
from tools.paper.claim import Data, spread
from tools.paper.streams import BRACKETS, SENSOR, STREAMS
from tools.style import STYLE

mpl.rcParams.update(STYLE)
# Colour-blind safe (Okabe and Ito 2008).
ORANGE, SKY, GREEN, BLUE, RED, PINK = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
GREY, BLACK = "#777777", "#000000"
ESTIMATORS = {
    "frozen": GREY,
    "nobacktrack": ORANGE,
    "residual": GREEN,
    "unitwise": BLUE,
    "columnar, head": PINK,
    "rtrl": BLACK,
}
FILTERS = {"sgd": GREY, "kalman": ORANGE, "kalman_quasi": BLUE}


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(10, 3.9))
    return figure, list(np.atleast_1d(figure.subplots(1, n)))


def _legend(figure: Figure, panels: Sequence[Axes], columns: int) -> None:
    """One for all panels, each name once."""
    named: dict[str, Artist] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        named.update(zip(labels, handles, strict=True))
    figure.legend(
        list(named.values()),
        list(named),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=8,
    )


def _curve(
    axes: Axes, row: Data, label: str, colour: str, style: str = "-", band: bool = False
) -> None:
    """Median over the seeds, and their range on request."""
    seen, median, low, high = (
        np.array(row[key], dtype=float) for key in ("seen", "median", "low", "high")
    )
    axes.plot(seen / 1e3, median, style, color=colour, lw=1.5, label=label)
    if band:
        axes.fill_between(seen / 1e3, low, high, color=colour, alpha=0.15, lw=0)


def _levels(axes: Axes, name: str) -> None:
    """What can be reached on a text, with memory and without."""
    task = STREAMS[name]
    if not isinstance(task, SymbolTask):
        axes.set(title=name, yscale="log", ylabel="squared error / variance")
        axes.set_xlabel("thousand samples seen")
        return
    for level, words in ((task.floor, "entropy rate"), (task.blind, "best without memory")):
        if level is not None:
            axes.axhline(level, color="black", lw=0.8, ls=":")
            place = axes.get_yaxis_transform()
            axes.text(0.01, level, words, transform=place, fontsize=7, va="bottom")
    axes.set(title=name, ylabel="bits per symbol", xlabel="thousand symbols seen")


def _logarithmic(axes: Axes) -> None:
    """Show symbols on a logarithmic axis, from ten thousand to a million."""
    axes.set(xscale="log")
    axes.set_xticks([10, 30, 100, 300, 1000], ["10", "30", "100", "300", "1000"], minor=False)
    axes.set_xticks([], minor=True)


def _window(axes: Axes, name: str) -> None:
    """Show the range in which methods differ."""
    if name == SENSOR:
        axes.set_ylim(1e-3, 3e-1)
    elif name == BRACKETS:
        axes.set_ylim(1.62, 2.35)
    else:
        axes.set_ylim(0.135, 0.36)


def draw_derivative(data: Data) -> Figure:
    """Errors of means against samples; variances against width."""
    figure, (left, right) = _panels(2)
    colours = (ORANGE, RED, GREEN, BLUE, PINK, BLACK)
    unbiased = [row for row in data["biases"] if row["decay"] == 1]
    for row, colour in zip(unbiased, colours, strict=True):
        x = np.array(row["counts"])
        y, half = (np.array([one[key] for one in row["error"]]) for key in ("centre", "half"))
        left.errorbar(x, y, half, fmt="o", color=colour, ms=3, capsize=2, lw=1, label=row["label"])
        left.plot(x, np.sqrt(row["variance_last"] / x), "--", color=colour, lw=0.8)
    left.set(
        xscale="log",
        yscale="log",
        xlabel="samples in the mean",
        ylabel="|mean − exact| / |exact|",
        title="dashed: √(variance / samples), no bias",
    )
    left.legend(fontsize=7, frameon=False)
    for estimator in derivative.SAMPLES:
        found = [derivative.variances(data, estimator, hidden) for hidden in derivative.WIDTHS]
        middle, low, high = (of(found, axis=1) for of in (np.median, np.min, np.max))
        right.errorbar(
            derivative.WIDTHS,
            middle,
            (middle - low, high - middle),
            fmt="o-",
            color=ESTIMATORS[estimator],
            capsize=3,
            lw=1.3,
            label=estimator,
        )
    right.set(
        xscale="log",
        yscale="log",
        xlabel="gated units",
        ylabel="variance / gradient²",
        title="median and range of three networks",
    )
    right.set_xticks(derivative.WIDTHS, [str(h) for h in derivative.WIDTHS])
    right.set_xticks([], minor=True)
    right.legend(fontsize=8, frameon=False)
    return figure


def draw_filters(data: Data) -> Figure:
    """Learning curves of every variant."""
    figure, panels = _panels(len(data))
    for axes, (name, found) in zip(panels, data.items(), strict=True):
        for variant, row in found.items():
            frozen = filters.FROZEN in variant
            colour = BLACK if frozen else FILTERS[variant.split(",")[0].split()[0]]
            dashed = "euclidean" in variant or (frozen and "sgd" in variant)
            band = variant in ("kalman_quasi, norm metric", f"kalman, {filters.FROZEN}")
            _curve(axes, row, variant, colour, "--" if dashed else "-", band)
        _levels(axes, name)
        _window(axes, name)
    _legend(figure, panels, 4)
    return figure


def draw_cost(data: Data) -> Figure:
    """Time and bytes against parameters; time along the stream."""
    figure, (times, sizes, length) = _panels(3)
    for name, rows in cost.series(data).items():
        cell, estimator = name.split(", ")
        mark = "o-" if cell == "gated" else "s--"
        x = [row["parameters"] for row in rows]
        kept: dict[str, Any] = {"color": ESTIMATORS[estimator], "ms": 4, "lw": 1.2, "label": name}
        times.plot(x, [row["nanoseconds"][0] / 1e3 for row in rows], mark, **kept)
        sizes.plot(x, [row["bytes"] / 1e3 for row in rows], mark, **kept)
    for axes, unit, guides in (
        (times, "µs per step", ((1, 3e3, 0.5), (2, 400, 5))),
        (sizes, "kilobytes", ((1, 3e3, 15), (1.5, 400, 10))),
    ):
        for exponent, start, height in guides:
            end = (25 * start, height * 25**exponent)
            axes.plot([start, end[0]], [height, end[1]], ":", color=GREY, lw=1)
            axes.annotate(f" slope {exponent}", end, fontsize=7, color=GREY, va="center")
        axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel=unit)
    long = data["long"]
    seen = long["piece"] * (1 + np.arange(len(long["nanoseconds"]))) / 1e6
    length.plot(seen, np.array(long["nanoseconds"]) / 1e3, "o-", color=ORANGE, ms=3, lw=1)
    length.set(
        xlabel="million steps seen",
        ylabel="µs per step",
        ylim=(0, 2e-3 * max(long["nanoseconds"])),
        title=f"nobacktrack, {cost.LONG_WIDTH} gated units",
    )
    _legend(figure, [times], 4)
    return figure


def draw_approximation(data: Data) -> Figure:
    """Learning curves with the exact derivative and with the random one."""
    figure, panels = _panels(len(data))
    for axes, (name, found) in zip(panels, data.items(), strict=True):
        for method, row in found.items():
            if method == approximation.LATER_NAME:
                _curve(axes, row, method, SKY, band=True)
                _logarithmic(axes)
                continue
            if method == approximation.FROZEN:
                _curve(axes, row, method, BLACK, ":")
                continue
            estimator, kind = method.split(", ")
            dashed = estimator == "rtrl"
            _curve(
                axes, row, method, FILTERS[kind], "--" if dashed else "-", kind == "kalman_quasi"
            )
        _levels(axes, name)
        _window(axes, name)
    _legend(figure, panels, 4)
    return figure


def draw_truncation(data: Data) -> Figure:
    """Learning curves of nobacktrack and of the better optimiser of every span."""
    figure, panels = _panels(len(truncation.SETUPS))
    colours = {2: PINK, 4: RED, 16: GREEN, 32: GREY, 64: BLACK}
    for axes, setup in zip(panels, truncation.SETUPS, strict=True):
        name = setup.task
        is_long = name == truncation.LONGER.task
        found = data["longer"] if is_long else data[name]
        for span in truncation.SPANS[name]:
            row = found[truncation.best(data, name, span)]
            _curve(axes, row, f"backpropagation, span {span}", colours[span], "--")
        _curve(axes, found[truncation.BEST], truncation.BEST, BLUE, band=True)
        _levels(axes, name)
        _window(axes, name)
        if is_long:
            _logarithmic(axes)
    _legend(figure, panels, 3)
    return figure


def draw_successors(data: Data) -> Figure:
    """Loss against bytes: median and range over the seeds, a line over the widths."""
    figure, panels = _panels(len(data))
    for axes, (name, widths) in zip(panels, data.items(), strict=True):
        for method in (successors.FROZEN, *successors.METHODS):
            rows = [found[method] for found in widths.values()]
            middle, low, high = (
                np.array([getattr(spread(row["losses"]), key) for row in rows])
                for key in ("median", "low", "high")
            )
            axes.errorbar(
                [row["bytes"] / 1e3 for row in rows],
                middle,
                (middle - low, high - middle),
                fmt="o-",
                ms=4,
                lw=1.2,
                capsize=2,
                color=ESTIMATORS[method],
                label=method,
            )
        _levels(axes, name)
        axes.set(xscale="log", xlabel="kilobytes of learning memory")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xticks([2, 5, 10, 20, 40], minor=False)
        axes.set_xticks([], minor=True)
    _legend(figure, panels, 5)
    return figure


PICTURES: Mapping[str, Callable[[Data], Figure]] = {
    "derivative": draw_derivative,
    "filters": draw_filters,
    "cost": draw_cost,
    "approximation": draw_approximation,
    "truncation": draw_truncation,
    "successors": draw_successors,
}


def draw(name: str, data: Data, folder: Path) -> None:
    """Write the picture of a claim into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    PICTURES[name](data).savefig(folder / f"{name}.png")
