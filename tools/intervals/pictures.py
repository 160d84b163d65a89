"""A fan chart of one task, and how far the coverage of all tasks is from the level (matplotlib)."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from nbt_embed.arrays import Float64Array
from tools.answers import Answers
from tools.intervals.makers import LEVELS, MAKERS, Spread
from tools.intervals.summary import BOUNDS, LONG, Table
from tools.streams.recordings import Task
from tools.style import SVG_STYLE

mpl.rcParams.update(SVG_STYLE)
# Colour-blind safe (Okabe and Ito 2008).
FAN, TRUTH = "#0072B2", "#D55E00"
ROWS = 200


def fan(task: Task, spread: Spread, answers: Answers, labels: Float64Array) -> Figure:
    """The last rows of a task: intervals, forecasts and labels."""
    last = min(ROWS, labels.size - task.horizon)
    made = np.arange(labels.size - task.horizon - last, labels.size - task.horizon)
    target = made + task.horizon
    picture = Figure(figsize=(10, 3.4))
    axes = picture.subplots()
    for place in reversed(range(len(LEVELS))):
        ends = spread.intervals[made, place]
        label = f"{LEVELS[place]:.0%}"
        shade = 0.45 - 0.12 * place
        axes.fill_between(target, *ends.T, color=FAN, alpha=shade, lw=0, label=label)
    axes.plot(target, answers.forecasts[made, 0], color=FAN, lw=0.9, label="forecast")
    axes.plot(target, labels[target], ".", color=TRUTH, ms=3.5, label="what came")
    axes.set(title=f"{task.name}, seed 0", xlabel="row", ylabel=task.target)
    axes.legend(ncols=5, frameon=False, fontsize=8, loc="best")
    return picture


def reliability(table: Table, rows: dict[Task, int]) -> Figure:
    """Coverage minus level, a dot a task; full dots: long tasks, shaded: where they should be."""
    picture = Figure(figsize=(10, 0.8 + 0.7 * len(MAKERS)))
    panels = picture.subplots(1, len(LEVELS), sharey=True)
    for place, (axes, level) in enumerate(zip(panels, LEVELS, strict=True)):
        for row, name in enumerate(reversed(MAKERS)):
            for task, makers in table.items():
                distance = 100 * (makers[name].coverage[place] - level)
                fill = FAN if rows[task] > LONG else "none"
                axes.plot(distance, row, "o", ms=4, color=FAN, mfc=fill, alpha=0.7)
        if level in BOUNDS:
            low, high = (100 * (bound - level) for bound in BOUNDS[level])
            axes.axvspan(low, high, color="#009E73", alpha=0.2, lw=0)
        axes.axvline(0, color="black", lw=0.8, ls=":")
        axes.set(title=f"level {level:.0%}", xlabel="coverage − level, points")
        axes.set_ylim(-0.5, len(MAKERS) - 0.5)
        axes.set_yticks(range(len(MAKERS)), list(reversed(MAKERS)))
    return picture
