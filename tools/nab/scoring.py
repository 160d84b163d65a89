"""The score of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015, arXiv 1510.03336).

A row is a detection if its score reaches the threshold. With sigma(y) = 2 / (1 + exp(5 y)) - 1, and
-1 beyond y = 3:

* The first 15 % of a file, at most 750 rows, are not scored.
* The earliest detection in a window gains A_TP sigma(y) / sigma(-1), where
  y = -(rows to the window's last row + 1) / rows of the window.
* A window without detection costs A_FN.
* A detection outside costs A_FP |sigma(y)|, y = (rows since the last window's end) / (rows of that
  window - 1), and A_FP where no window came before.

A detector's score is 100 (s - s_null) / (s_perfect - s_null) of the sums s over all files: null
detects nothing, perfect detects every window at its first row and nothing else.

A window that ends before the first scored row counts nowhere. One that begins before it is scored
by its place in the whole window.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed.arrays import Float64Array, float64
from nbt_embed.errors import InputError
from tools.nab.files import Window


@dataclass(frozen=True)
class Profile:
    """What counts how much: A_TP, A_FP and A_FN of the equations above."""

    name: str
    tp: float
    fp: float
    fn: float


STANDARD = Profile("standard", 1.0, 0.11, 1.0)
PROFILES = (STANDARD, Profile("low FP", 1.0, 0.22, 1.0), Profile("low FN", 1.0, 0.11, 2.0))


@dataclass(frozen=True, eq=False)
class Events:
    """What changes while the threshold falls: row i happens once the threshold is at ``score[i]``.

    Every sum over detections is a sum over these events, so that all thresholds are scored with one
    sort.

    Attributes:
        windows: how many windows there are to be found.
        score: (N,) scores at which something changes.
        gained: (N,) by how much the sum of sigma(y) / sigma(-1) grows.
        cost: (N,) by how much the sum of |sigma(y)| outside of windows grows.
        false: (N,) 1 where the event is a detection outside of windows, else 0.
        found: (N,) 1 where the event is the first detection of a window, else 0.
    """

    windows: int
    score: Float64Array
    gained: Float64Array
    cost: Float64Array
    false: Float64Array
    found: Float64Array


@dataclass(frozen=True)
class Tally:
    """What a threshold gives.

    Attributes: threshold, gained (sum of sigma(y) / sigma(-1)), cost (sum of |sigma(y)|), false
    (detections outside of windows), found (windows detected), windows (how many there are).
    """

    threshold: float
    gained: float
    cost: float
    false: int
    found: int
    windows: int

    def points(self, profile: Profile) -> float:
        """A_TP gained - A_FP cost - A_FN (windows - found)."""
        missed = self.windows - self.found
        return profile.tp * self.gained - profile.fp * self.cost - profile.fn * missed

    def score(self, profile: Profile) -> float:
        """100 (s - s_null) / (s_perfect - s_null); NaN where there is no window to be found."""
        null, perfect = -profile.fn * self.windows, profile.tp * self.windows
        if not self.windows:
            return math.nan
        return 100 * (self.points(profile) - null) / (perfect - null)


def sigma(y: ArrayLike) -> Float64Array:
    """2 / (1 + exp(5 y)) - 1, and -1 beyond y = 3: from about 1 at -1 over 0 at 0 to -1."""
    y = np.asarray(y, np.float64)
    with np.errstate(over="ignore"):
        inside: Float64Array = 2 / (1 + np.exp(5 * np.minimum(y, 3))) - 1
    return np.where(y > 3, -1.0, inside)


def probation(rows: int) -> int:
    """Rows at the start of a file that are not scored: 15 %, at most 750."""
    return min(15 * rows // 100, 750)


def events(scores: ArrayLike, windows: Sequence[Window]) -> Events:
    """What the detections of one file do to the score, at every threshold.

    Args:
        scores: (T,) one number a row, the higher the stranger.
        windows: first and last row of each, in order and apart from each other.

    Errors: InputError for another shape, a score that is not finite, a window outside the file.
    """
    score = float64("scores", scores)
    if score.ndim != 1:
        raise InputError(f"scores has shape {score.shape}: expected (T,), one score a row")
    bad = np.flatnonzero(~np.isfinite(score))
    if bad.size:
        raise InputError(
            f"scores[{bad[0]}] is {score[bad[0]]}: expected a finite number; "
            "give a row without reading the lowest score"
        )
    rows, start = score.size, probation(score.size)
    before = -1
    for first, last in windows:
        if not before < first <= last < rows:
            raise InputError(
                f"window ({first}, {last}): expected rows of 0..{rows - 1}, in order and apart"
            )
        before = last
    parts = [_outside(score, windows, start)]
    scored = [window for window in windows if window[1] >= start]
    parts += [_inside(score, window, start) for window in scored]
    return _joined(parts, len(scored))


def pooled(files: Iterable[Events]) -> Events:
    """The events of several files together, from the highest score to the lowest."""
    files = list(files)
    joined = _joined([_columns(one) for one in files], sum(one.windows for one in files))
    order = np.argsort(-joined.score, kind="stable")
    return Events(joined.windows, *(column[order] for column in _columns(joined)))


def at(found: Events, threshold: float) -> Tally:
    """What a threshold that was fixed beforehand gives."""
    chosen = found.score >= threshold
    return Tally(
        threshold,
        float(found.gained[chosen].sum()),
        float(found.cost[chosen].sum()),
        int(found.false[chosen].sum()),
        int(found.found[chosen].sum()),
        found.windows,
    )


def best(found: Events, profile: Profile) -> Tally:
    """The threshold with the highest score, the highest of them where several have it.

    Every threshold that makes a difference is looked at, that of no detection (infinity) too.

    Args:
        found: what ``pooled`` gives.
        profile: whose score counts.
    """
    gain = profile.tp * found.gained - profile.fp * found.cost + profile.fn * found.found
    total = np.cumsum(gain)
    # Rows of equal score are detected together: only the last of them is a state.
    states = np.flatnonzero(np.diff(found.score, append=-np.inf))
    if not states.size or total[states].max() <= 0:
        return at(found, math.inf)
    return at(found, float(found.score[states[np.argmax(total[states])]]))


Columns = tuple[Float64Array, Float64Array, Float64Array, Float64Array, Float64Array]


def _outside(score: Float64Array, windows: Sequence[Window], start: int) -> Columns:
    """Every scored row outside of windows is an event of its own."""
    rows = np.arange(score.size)
    cost = np.ones(score.size)
    outside = rows >= start
    for first, last in windows:
        after = rows > last
        with np.errstate(divide="ignore"):  # a window of one row: nothing is near it
            cost[after] = -sigma(np.divide(rows[after] - last, last - first))
        outside[first : last + 1] = False
    count = int(outside.sum())
    zeros = np.zeros(count)
    return score[outside], zeros, cost[outside], np.ones(count), zeros


def _inside(score: Float64Array, window: Window, start: int) -> Columns:
    """The rows of a window that score more than all before them.

    With the threshold above such a row and not above the next one, it is the earliest detection.
    While the threshold falls past it, what the window gains changes from that of the next one (from
    nothing, for the last one) to its own.
    """
    first, last = window
    rows = np.arange(max(first, start), last + 1)
    inside = score[rows]
    highest = np.maximum.accumulate(inside)
    records = np.flatnonzero(np.diff(highest, prepend=-np.inf) > 0)
    y = -(last - rows[records] + 1) / (last - first + 1)
    gained = sigma(y) / sigma(-1.0)
    found: NDArray[np.float64] = np.zeros(records.size)
    found[-1] = 1
    zeros = np.zeros(records.size)
    return inside[records], gained - np.append(gained[1:], 0.0), zeros, zeros, found


def _columns(found: Events) -> Columns:
    return found.score, found.gained, found.cost, found.false, found.found


def _joined(parts: Sequence[Columns], windows: int) -> Events:
    if not parts:
        return Events(windows, *(np.zeros(0) for _ in range(5)))
    return Events(windows, *(np.concatenate(column) for column in zip(*parts, strict=True)))
