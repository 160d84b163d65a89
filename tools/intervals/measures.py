"""How good the intervals of one task are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import Float64Array
from nbt_embed.errors import InputError
from nbt_embed.metrics import coverage, interval_score, log_loss
from tools.answers import Answers
from tools.intervals.makers import LEVELS, Spread

WINDOW = 1000  # rows in a row
MIDDLE = LEVELS.index(0.8)
BAND = (0.7, 0.9)  # coverage that a window may have at the level in the middle


@dataclass(frozen=True)
class Measures:
    """Figures of one pass, over the target rows from the task's first scored one on.

    Attributes:
        coverage: share of the targets inside, by level.
        windows: share of all windows of ``WINDOW`` scored targets in a row whose coverage at 80 %
            lies within ``BAND``; NaN where there are fewer targets.
        width: mean width in standard deviations of the targets, by level; infinite where they do
            not vary.
        winkler: mean interval score, the target's units, by level.
        log_loss: nats; NaN where there is no distribution.
    """

    coverage: tuple[float, ...]
    windows: float
    width: tuple[float, ...]
    winkler: tuple[float, ...]
    log_loss: float


def rolling_share(
    inside: NDArray[np.bool_], window: int = WINDOW, band: tuple[float, float] = BAND
) -> float:
    """Share of the windows of so many values in a row whose mean lies in the band, ends included.

    NaN where there are fewer values.
    """
    if inside.size < window:
        return math.nan
    count = np.append(0, np.cumsum(inside.astype(np.int64)))
    covered = (count[window:] - count[:-window]) / window
    return float(((covered >= band[0]) & (covered <= band[1])).mean())


def measure(
    spread: Spread, answers: Answers, labels: Float64Array, horizon: int, start: int
) -> Measures:
    """Score the forecasts of row t against target row t + horizon, for target rows from start on.

    Errors: InputError if there is no such target, and for intervals that are NaN or upside down
    where it is known.
    """
    first = max(start, horizon)
    made = slice(first - horizon, labels.size - horizon)
    known = ~np.isnan(labels[first:])
    truth = labels[first:][known]
    if not truth.size:
        raise InputError(f"start = {start}: there is no target from row {first} on to be scored")
    ends = spread.intervals[made][known]
    low, high = (ends[:, MIDDLE, side] for side in (0, 1))
    pairs = [(ends[:, one, 0], ends[:, one, 1]) for one in range(len(LEVELS))]
    loss = math.nan
    if spread.scale is not None:
        freedom = np.broadcast_to(spread.freedom, labels.shape)[made][known]
        mean = answers.forecasts[made, 0][known]
        loss = log_loss(mean, spread.scale[made][known], truth, freedom)
    deviation = float(truth.std())
    return Measures(
        tuple(coverage(*pair, truth) for pair in pairs),
        rolling_share((low <= truth) & (truth <= high)),
        tuple(_over(float((pair[1] - pair[0]).mean()), deviation) for pair in pairs),
        tuple(
            interval_score(*pair, truth, level) for pair, level in zip(pairs, LEVELS, strict=True)
        ),
        loss,
    )


def _over(width: float, deviation: float) -> float:
    return width / deviation if deviation > 0 else math.inf
