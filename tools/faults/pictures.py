"""A machine with its faults, and when a detector calls (matplotlib)."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from nbt_embed.arrays import Float64Array
from tools.faults.machines import WARM_UP, Machine
from tools.nab.pictures import ALARM, LINE, WINDOW, envelope, nines
from tools.style import SVG_STYLE

mpl.rcParams.update(SVG_STYLE)
CHANNELS = ("position, mm", "current, A", "temperature, °C")


def figure(one: Machine, scores: Float64Array, threshold: float, title: str) -> Figure:
    """A panel a channel, and below them the highest score of the channels."""
    picture = Figure(figsize=(10, 6.5))
    panels = picture.subplots(len(CHANNELS) + 1, 1, sharex=True)
    for axes, channel, name in zip(panels, one.readings.T, CHANNELS, strict=False):
        axes.plot(*envelope(channel), color=LINE, lw=0.6)
        axes.set_ylabel(name)
    highest = scores.max(axis=1)
    panels[-1].plot(*envelope(nines(highest)), color=LINE, lw=0.6)
    panels[-1].axhline(nines(threshold), color="black", lw=0.8, ls=":")
    alarms = np.flatnonzero(highest >= threshold)
    alarms = alarms[alarms >= WARM_UP]
    panels[-1].plot(alarms, nines(highest[alarms]), ".", color=ALARM, ms=4)
    panels[-1].set(xlabel="row (grey: not looked at)", ylabel="nines of the score")
    for axes in panels:
        axes.axvspan(0, WARM_UP, color="#999999", alpha=0.15, lw=0)
        for fault in one.faults:
            axes.axvspan(fault.row, max(fault.end, fault.row + 30), color=WINDOW, alpha=0.5, lw=0)
    for fault in one.faults:
        top = panels[0].get_xaxis_transform()
        panels[0].text(fault.row, 1.01, fault.kind, transform=top, fontsize=8)
    panels[0].set_title(title, pad=16)
    return picture
