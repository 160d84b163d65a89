"""A series with its windows, and below it the scores of a detector (matplotlib)."""

from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nbt_embed.arrays import Float64Array
from tools.nab.files import Series
from tools.nab.scoring import probation
from tools.style import SVG_STYLE

mpl.rcParams.update(SVG_STYLE)
# Colour-blind safe (Okabe and Ito 2008).
LINE, WINDOW, ALARM = "#0072B2", "#E69F00", "#D55E00"
BINS = 350


def envelope(values: Float64Array, bins: int = BINS) -> tuple[Float64Array, Float64Array]:
    """Rows and values of a line that looks the same: lowest and highest of every bin, in turn."""
    if values.size <= 2 * bins:
        return np.arange(values.size, dtype=np.float64), values
    edges = np.linspace(0, values.size, bins + 1).astype(np.intp)
    held = [values[first:last] for first, last in pairwise(edges)]
    ends = [(np.fmin.reduce(one), np.fmax.reduce(one)) for one in held]
    middles = (edges[:-1] + edges[1:]) / 2
    return np.repeat(middles, 2), np.array(ends).ravel()


def nines(scores: ArrayLike) -> Float64Array:
    """How near 1 scores are, -log10(1 - score): 3 for 0.999; at most 8."""
    return -np.log10(np.maximum(1 - np.asarray(scores, np.float64), 1e-8))


def figure(series: Series, scores: Float64Array, threshold: float, title: str) -> Figure:
    """Series above, score and threshold below; windows shaded, detections marked."""
    picture = Figure(figsize=(10, 4.2))
    above, below = picture.subplots(2, 1, sharex=True)
    above.plot(*envelope(series.values), color=LINE, lw=0.7)
    above.set(title=title, ylabel="value")
    below.plot(*envelope(nines(scores)), color=LINE, lw=0.7)
    below.axhline(nines(threshold), color="black", lw=0.8, ls=":")
    alarms = np.flatnonzero(scores >= threshold)
    alarms = alarms[alarms >= probation(scores.size)]
    below.plot(alarms, nines(scores[alarms]), ".", color=ALARM, ms=4)
    below.set(xlabel="row (shaded: windows; grey: not scored)", ylabel="nines of the score")
    for axes in (above, below):
        axes.axvspan(0, probation(scores.size), color="#999999", alpha=0.15, lw=0)
        for first, last in series.windows:
            axes.axvspan(first, last, color=WINDOW, alpha=0.3, lw=0)
    return picture
