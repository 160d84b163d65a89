"""Appearance of series on light and dark pages: colours, dashes, hatching; logarithmic ticks.

Hues are those of Okabe and Ito (*Color universal design*, 2008), which colour-blind people can
distinguish. They are made darker or lighter until the contrast with the page is at least 3 to 1.
Colour is never the only distinction: lines have their own dashes, areas a hatching.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nbt_embed.arrays import Float64Array


@dataclass(frozen=True)
class Stroke:
    """Appearance of one series.

    Attributes: light, dark: its colour on such a page; dash: lengths of dashes and gaps in pixels,
    empty for a solid line; hatch: Bokeh's name of a pattern, "" for none.
    """

    light: str
    dark: str
    dash: tuple[int, ...] = ()
    hatch: str = ""


_LOG_FROM = 5.0  # ratio of largest to smallest error from which their axis is logarithmic
TRUTH = Stroke("#24292f", "#e6edf3")
ALARM = Stroke("#b3261e", "#ff8a80")
_OTHER = Stroke("#5c6570", "#a7b1bb", (2, 6))
_MODELS = {
    "learner": Stroke("#0063a3", "#5ab4f0"),
    "frozen": Stroke("#8a4a9e", "#d6a1e8", (10, 3)),
    "rls": Stroke("#b84a00", "#f29a57", (6, 3)),
    "nlms": Stroke("#00735a", "#3ecfa4", (2, 3)),
    "last": Stroke("#5c6570", "#a7b1bb", (8, 3, 2, 3)),
    "seasonal": Stroke("#866100", "#e3bd4b", (12, 4, 2, 4, 2, 4)),
}
_KINDS = ("learner", "nlms", "frozen", "seasonal", "last")
_EXPERTS = (
    Stroke("#5c6570", "#a7b1bb", hatch="dot"),
    Stroke("#b84a00", "#f29a57", hatch="right_diagonal_line"),
    Stroke("#0063a3", "#5ab4f0"),
    Stroke("#00735a", "#3ecfa4", hatch="left_diagonal_line"),
    Stroke("#8a4a9e", "#d6a1e8", hatch="horizontal_line"),
)


def of_model(key: str) -> Stroke:
    """Return the stroke of a model by its key in the document."""
    return _MODELS.get(key, _OTHER)


def of_expert(index: int) -> Stroke:
    """Return the stroke of a mixture's expert by its index."""
    return _EXPERTS[index % len(_EXPERTS)]


def of_kind(index: int) -> Stroke:
    """Return the stroke of a kind of learner in a comparison, by its index."""
    return _MODELS[_KINDS[index % len(_KINDS)]]


def log_ticks(values: Float64Array) -> list[float] | None:
    """Return ticks for a logarithmic axis, or None if a linear axis is better.

    1, 2 and 5 of every decade of the finite values, or only 1 if there are many decades.
    """
    known = values[np.isfinite(values)]
    if not known.size or known.min() <= 0 or known.max() < _LOG_FROM * known.min():
        return None
    low, high = float(known.min()), float(known.max())
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    return [float(f"{step}e{decade}") for decade in range(first, last + 1) for step in steps]
