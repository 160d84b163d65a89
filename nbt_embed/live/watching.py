"""A learner on a running stream: forecasts, their errors, alarms and guard actions.

It is independent of sources and displays, and its memory is constant. The scores equal those of
``nbt-embed run`` on the same rows: every forecast is scored before its label is learnt, from the
same row on (``evaluate.Scored``).
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed.app.alarms import AlarmRows
from nbt_embed.app.classes import EachOutput, LastClass, most_probable
from nbt_embed.app.lane import Delay, expert_names, mixture_shares
from nbt_embed.app.models import LAST, LEARNER
from nbt_embed.app.recording import Block
from nbt_embed.app.results import Pictures, Track
from nbt_embed.app.scores import ClassScore, IntervalScore, RealScore, Score
from nbt_embed.arrays import Float32Array, Float64Array
from nbt_embed.baselines import LastValue
from nbt_embed.config import Config
from nbt_embed.errors import DivergenceWarning
from nbt_embed.evaluate import Scored
from nbt_embed.learner import Learner
from nbt_embed.live.rings import History, Ring
from nbt_embed.live.state import Arrays, StateError, put, taken

ALARMS_KEPT = 100
_MOST_ROWS = 1 << 53  # exact in float64
_DRAWN = ("truth", "forecast", "last", "low", "high", "score")  # per target, in the ring
_MODELS = (LEARNER, LAST)
# Attributes that are rebuilt from the options, or saved separately.
_BUILT = ("learner", "config", "plan", "targets", "level", "_bells", "_real")


@dataclass(frozen=True)
class Plan:
    """Settings of a watch.

    Attributes:
        horizon: rows between a forecast and its label, from 0.
        threshold, hold_off: of the alarms (``nbt_embed.alarm.Alarm``).
        window: rows of the rolling scores.
        drawn: number of last rows that are kept for plots.
        level: of the plotted interval; the learner's nearest level is used.
    """

    horizon: int = 1
    threshold: float = 0.9999
    hold_off: int = 100
    window: int = 1000
    drawn: int = 600
    level: float = 0.8


@dataclass(frozen=True, eq=False)
class Said:
    """Outputs of the learner for the rows of a block.

    Attributes:
        start: number of the first row.
        time: (T,) as in the block, or None.
        forecast: (T, n_out), made in these rows, for ``horizon`` rows later.
        bounds: (T, n_out, 2 levels) of these forecasts, or None without intervals.
        anomaly: (T, n_out), scores of these rows' labels, NaN without a label, or None.
        alarms: (T, n_out), whether an alarm begins in the row, or None without scores.
    """

    start: int
    time: NDArray[Any] | None
    forecast: Float32Array
    bounds: Float32Array | None
    anomaly: Float32Array | None
    alarms: NDArray[np.bool_] | None


class Watch:
    """A learner on a stream, with its scores.

    Args:
        targets: names of the targets.
        config: of the learner; its max_delay is replaced by what the horizon needs.
        plan: the settings.
        learner: an existing one to continue; None: a new one.
    """

    def __init__(
        self,
        targets: Sequence[str],
        config: Config,
        plan: Plan,
        learner: Learner | None = None,
    ) -> None:
        config = replace(config, max_delay=max(plan.horizon - 1, 0))
        self.targets, self.plan = tuple(targets), plan
        self.learner = Learner(config) if learner is None else learner
        self.config = config
        self.rows = 0
        """Number of rows that were fed."""
        self.last_alarms: deque[dict[str, Any]] = deque(maxlen=ALARMS_KEPT)
        """Row, time, number of the target and score of the last alarms."""
        self.alarm_counts = [0] * len(self.targets)
        self.out_of_range = 0
        """Number of labels outside 0 to 1 (link bernoulli), which count as missing."""
        self.guard_rows: dict[str, int] = {}
        """Name of each guard that has acted -> the last row in which it did."""
        levels, n_label = self.learner.levels, config.n_label
        self.level = min(levels, key=lambda one: abs(one - plan.level)) if levels else math.nan
        """Level of the plotted interval, NaN without."""
        self._real = config.link == "gaussian"
        self._last = _last(config)
        self._scores = {key: _score(config) for key in _MODELS}
        self._waiting = {key: Delay(plan.horizon, (config.n_out,)) for key in _MODELS}
        self._intervals = IntervalScore(config.n_out, levels) if config.intervals else None
        self._bounds = Delay(plan.horizon, (config.n_out, 2 * len(levels)))
        self._scored = Scored(n_label, plan.horizon)
        self._blind = 0  # earlier rows have no forecast, since a reset
        self._bells = [AlarmRows(plan.threshold, plan.hold_off) for _ in self.targets]
        measures = 1 if self._real else 2
        self._window = Ring(plan.window, len(_MODELS) * measures * n_label)
        self._drawn = Ring(plan.drawn, 2 + len(_DRAWN) * n_label)
        self._history = History()
        self._now: tuple[Float32Array, Float32Array | None] | None = None

    def feed(self, block: Block) -> Said:
        """Learn the rows of a block, in one call of ``Learner.run``.

        Errors: those of the learner. Cost: that of the learner, some 0.3 ms per call, and some
        microseconds per row.
        """
        block = self._in_range(block)
        start, rows, horizon = block.start, len(block.inputs), self.plan.horizon
        truths = self._scored.truths(start, block.targets)
        if block.reset:
            self._reset(start)
        truths[: max(self._blind - start, 0)] = np.nan
        made, bounds, anomaly = self._learn(block)
        last = self._last.run(block.inputs, block.targets, horizon=horizon)
        aligned = {
            key: self._waiting[key].push(values)
            for key, values in zip(_MODELS, (made, last), strict=True)
        }
        for key in _MODELS:
            self._scores[key].update(aligned[key], truths)
        aligned_bounds = None if bounds is None else self._bounds.push(bounds)
        if self._intervals is not None and aligned_bounds is not None:
            self._intervals.update(aligned_bounds, truths)
        self.rows = start + rows
        losses = np.concatenate([self._losses(aligned[key], truths) for key in _MODELS], axis=1)
        self._window.add(losses[~np.isnan(losses).all(axis=1)])
        alarms = self._ring(block, anomaly)
        self._note_guards(start)
        self._draw(block, aligned, aligned_bounds, anomaly)
        if self._history.due(rows):
            sums = {key: self._scores[key].losses for key in _MODELS}
            counts, shares = self._scores[LEARNER].counts, mixture_shares(self.learner)
            self._history.pieces.add(block, sums, counts, shares)
        if rows:
            self._now = made[-1].copy(), None if bounds is None else bounds[-1].copy()
        return Said(start, block.time, made, bounds, anomaly, alarms)

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the mixture's forecasts."""
        return expert_names(self.learner.config)

    def figures(self) -> list[dict[str, Any]]:
        """Return every target's entry in the document (docs/reference/json.md, ``targets``)."""
        totals = {key: score.figures for key, score in self._scores.items()}
        recent = self._recent()
        levels = None if self._intervals is None else self._intervals.figures
        shares = mixture_shares(self.learner)
        latest = self._drawn.rows[-1:]
        return [
            {
                "target": name,
                "scored_from": self._scored.first[index],
                "scored_rows": int(self._scores[LEARNER].counts[index]),
                "scores": _with_skill({key: dict(totals[key][index]) for key in _MODELS}),
                "recent": _with_skill({key: recent[key][index] for key in _MODELS}),
                "intervals": None if levels is None else levels[index],
                "label": self._latest(latest, index, "truth"),
                "score": self._latest(latest, index, "score"),
                "forecast": self._forecast(index),
                "mixture": None
                if shares is None
                else dict(zip(self.experts, map(float, shares[index]), strict=True)),
                "alarms": self.alarm_counts[index] if self.config.anomaly else None,
            }
            for index, name in enumerate(self.targets)
        ]

    @property
    def pictures(self) -> Pictures:
        """Return the plotted data: the last rows, and losses and shares over the whole stream."""
        rows = self._drawn.rows
        named, horizon = list(enumerate(self.targets)), self.plan.horizon
        pieces = self._history.pieces
        if not pieces.rows:
            return Pictures(tuple([self._track(rows, i) for i, _ in named]), (), ())
        return Pictures(
            tuple([self._track(rows, index) for index, _ in named]),
            tuple([pieces.error_track(horizon, name, i, self._real) for i, name in named]),
            tuple([pieces.trust_track(horizon, name, i, self.experts) for i, name in named])
            if pieces.trust
            else (),
        )

    @property
    def seconds(self) -> float:
        """Time of the last row, NaN if it has none."""
        latest = self._drawn.rows[-1:]
        return float(latest[0, 1]) if len(latest) else math.nan

    def remembered(self, arrays: Arrays) -> dict[str, Any]:
        """Return the state without the learner, as JSON; arrays are put into ``arrays``."""
        return {
            "watch": taken(self, arrays, _BUILT),
            "bells": [bell.last for bell in self._bells],
        }

    def recall(self, state: Any, arrays: Arrays) -> None:
        """Restore a state. Errors: StateError if it belongs to another watch."""
        if not isinstance(state, dict) or state.keys() != {"watch", "bells"}:
            raise StateError("watch: other keys")
        put(self, state["watch"], arrays, _BUILT)
        rows = (self.rows, self.out_of_range, *self.alarm_counts, *self.guard_rows.values())
        if not all(type(row) is int and 0 <= row < _MOST_ROWS for row in rows):
            raise StateError("watch: no numbers of rows")
        for bell, last in zip(self._bells, state["bells"], strict=True):
            if not (last is None or type(last) is int):
                raise StateError("bells: no row")
            bell.last = last

    def _in_range(self, block: Block) -> Block:
        """Remove labels that the link refuses, since an error would end the stream."""
        if self.config.link != "bernoulli":
            return block
        wrong = (block.targets < 0) | (block.targets > 1)
        count = int(wrong.sum())
        if not count:
            return block
        self.out_of_range += count
        return replace(block, targets=np.where(wrong, np.float32(np.nan), block.targets))

    def _reset(self, start: int) -> None:
        self._blind = start + self.plan.horizon
        self.learner.reset_state()
        self._last.reset_state()
        for waiting in (*self._waiting.values(), self._bounds):
            waiting.reset()

    def _learn(self, block: Block) -> tuple[Float32Array, Float32Array | None, Float32Array | None]:
        config, horizon = self.config, self.plan.horizon
        with warnings.catch_warnings():  # divergence is counted and shown
            warnings.simplefilter("ignore", DivergenceWarning)
            if config.intervals:
                run = self.learner.run(
                    block.inputs,
                    block.targets,
                    horizon=horizon,
                    intervals=True,
                    anomaly=bool(config.anomaly),
                )
            elif config.anomaly:
                run = self.learner.run(block.inputs, block.targets, horizon=horizon, anomaly=True)
            else:
                return self.learner.run(block.inputs, block.targets, horizon=horizon), None, None
        return run.y, run.intervals, run.anomaly

    def _losses(self, forecasts: Float32Array, truths: Float32Array) -> Float64Array:
        """Return (T, measures n_label): squared errors; for classes bits, then 1 where correct."""
        known = ~np.isnan(truths)
        if self._real:
            return np.square(forecasts.astype(np.float64) - truths)
        named = np.where(known, truths, 0).astype(np.intp)
        if self.config.link == "categorical":
            chance = np.take_along_axis(forecasts, named, axis=1)
            best = forecasts.argmax(axis=1)[:, np.newaxis]
        else:
            chance = np.where(named == 1, forecasts, 1 - forecasts)
            best = (forecasts > 0.5).astype(np.intp)
        with np.errstate(divide="ignore"):
            bits = -np.log2(chance.astype(np.float64))
        return np.where(np.hstack([known, known]), np.hstack([bits, best == named]), np.nan)

    def _recent(self) -> dict[str, list[dict[str, float]]]:
        """Return the rolling scores by model and target."""
        means = self._window.mean.reshape(len(_MODELS), -1, self.config.n_label)
        names = ("rmse",) if self._real else ("bits", "accuracy")
        return {
            key: [
                {
                    name: math.sqrt(value) if name == "rmse" else float(value)
                    for name, value in zip(names, values, strict=True)
                }
                for values in means[place].T
            ]
            for place, key in enumerate(_MODELS)
        }

    def _ring(self, block: Block, anomaly: Float32Array | None) -> NDArray[np.bool_] | None:
        """Return where alarms begin, and remember them."""
        if anomaly is None:
            return None
        begins = np.zeros(anomaly.shape, np.bool_)
        for target, bell in enumerate(self._bells):
            told = bell.told(block.start, anomaly[:, target]) - block.start
            begins[told, target] = True
            self.alarm_counts[target] += len(told)
        for row, target in np.argwhere(begins)[-ALARMS_KEPT:].tolist():
            self.last_alarms.append(
                {
                    "row": block.start + row,
                    "time": _seconds(block.time, row),
                    "target": target,
                    "score": float(anomaly[row, target]),
                }
            )
        return begins

    def _note_guards(self, start: int) -> None:
        for name, rows in self.learner.guard_rows.items():
            if rows.size:
                self.guard_rows[name] = start + int(rows[-1])

    def _draw(
        self,
        block: Block,
        aligned: dict[str, Float32Array],
        bounds: Float32Array | None,
        anomaly: Float32Array | None,
    ) -> None:
        last = slice(-self.plan.drawn, None)
        truth = block.targets[last]
        rows, n_label = truth.shape
        table = np.full((rows, len(_DRAWN), n_label), np.nan)
        table[:, 0] = truth
        for place, key in enumerate(_MODELS, 1):
            forecasts = aligned[key][last]
            if self.config.link == "categorical":
                forecasts = most_probable(forecasts)
            table[:, place] = forecasts
        if bounds is not None and bounds.shape[2]:
            pair = 2 * self.learner.levels.index(self.level)
            table[:, 3], table[:, 4] = bounds[last, :, pair], bounds[last, :, pair + 1]
        if anomaly is not None:
            table[:, 5] = anomaly[last]
        end = block.start + len(block.targets)
        where = np.empty((rows, 2))
        where[:, 0] = np.arange(end - rows, end)
        where[:, 1] = all_seconds(block.time, len(block.targets))[last]
        self._drawn.add(np.hstack([where, table.reshape(rows, -1)]))

    def _track(self, rows: Float64Array, index: int) -> Track:
        values = (
            rows[:, 2:]
            .reshape(len(rows), len(_DRAWN), len(self.targets))[:, :, index]
            .astype(np.float32)
        )
        columns = dict(zip(_DRAWN, values.T, strict=True))
        time = rows[:, 1]
        has_band = bool(self.config.intervals)
        return Track(
            horizon=self.plan.horizon,
            target=self.targets[index],
            row=rows[:, 0].astype(np.int64),
            time=None if np.isnan(time).any() else dates(time),
            truth=columns["truth"],
            forecast=columns["forecast"],
            rls=columns["last"],
            low=columns["low"] if has_band else None,
            high=columns["high"] if has_band else None,
            level=self.level,
            score=columns["score"] if self.config.anomaly else None,
            every=1,
        )

    def _latest(self, latest: Float64Array, index: int, what: str) -> float:
        if not len(latest):
            return math.nan
        table = latest[0, 2:].reshape(len(_DRAWN), -1)
        return float(table[_DRAWN.index(what), index])

    def _forecast(self, index: int) -> dict[str, Any] | None:
        """Return the newest forecast."""
        if self._now is None:
            return None
        made, bounds = self._now
        if self.config.link == "categorical":
            best = most_probable(made[np.newaxis])[0, 0]
            return {"value": float(best), "probability": float(made.max()), "intervals": None}
        ends = None if bounds is None else bounds[index].reshape(-1, 2).astype(float).tolist()
        return {
            "value": float(made[index]),
            "intervals": None
            if ends is None
            else [
                {"level": level, "low": low, "high": high}
                for level, (low, high) in zip(self.learner.levels, ends, strict=True)
            ],
        }


def _score(config: Config) -> Score:
    if config.link == "gaussian":
        return RealScore(config.n_out)
    return ClassScore(config.n_label, config.link == "categorical")


def _last(config: Config) -> LastValue | LastClass | EachOutput:
    if config.link == "gaussian":
        return LastValue(config.n_in, config.n_out, max_delay=config.max_delay)
    if config.link == "categorical":
        return LastClass(config.n_out)
    return EachOutput([LastClass(2) for _ in range(config.n_out)])


def _with_skill(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    last = scores[LAST].get("rmse", 0.0)
    for figures in scores.values():
        if "rmse" in figures:
            figures["skill"] = 1 - figures["rmse"] / last if last > 0 else math.nan
    return scores


_YEAR_2000 = 946_684_800.0  # an earlier time in seconds counts from another start


def dates(time: Float64Array) -> NDArray[np.datetime64] | Float64Array:
    """Return seconds since 1970 as dates; seconds of another start unchanged."""
    if len(time) and time.min() >= _YEAR_2000:
        return (time * 1e6).round().astype("datetime64[us]")
    return time


def all_seconds(time: NDArray[Any] | None, rows: int) -> Float64Array:
    """(T,) seconds, NaN where there are none."""
    if time is None:
        return np.full(rows, np.nan)
    if time.dtype.kind == "M":
        seconds = time.astype("datetime64[ns]").astype(np.int64) / 1e9
        return np.where(np.isnat(time), np.nan, seconds)
    return time.astype(np.float64)


def _seconds(time: NDArray[Any] | None, row: int) -> float | None:
    """Return the seconds of one row, or None."""
    if time is None:
        return None
    value = float(all_seconds(time[row : row + 1], 1)[0])
    return None if math.isnan(value) else value
