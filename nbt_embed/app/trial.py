"""The learner and its baselines on the same stream, in one pass.

Every piece of the stream goes to all models of all horizons before the next one is read, so memory
does not grow with the stream. A forecast is scored if the model had seen a label before it made the
forecast (``evaluate.Scored``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nbt_embed._kernel_config import Counters
from nbt_embed.anchor import find_anchor
from nbt_embed.app.alarms import AlarmRows
from nbt_embed.app.classes import most_probable
from nbt_embed.app.lane import Lane, LearnerLane
from nbt_embed.app.models import LEARNER, RLS, Entrant, entrants
from nbt_embed.app.recording import Block, Recording
from nbt_embed.app.results import Pictures
from nbt_embed.app.scores import ClassScore, RealScore, Score
from nbt_embed.app.tracks import Pieces, Values, block_rows, thinning
from nbt_embed.arrays import Float32Array
from nbt_embed.config import Config
from nbt_embed.errors import InputError
from nbt_embed.evaluate import Scored
from nbt_embed.learner import Learner

# Rows in which the learner searches the anchor of each target.
ANCHOR_ROWS = 65_536


@dataclass(frozen=True)
class Plan:
    """Settings of a trial.

    Attributes:
        horizons: rows between forecast and label, at least one, each from 0.
        score_from: first target row that is scored.
        period: rows after which the stream repeats, for the seasonal last value; None: without.
        threshold, hold_off: of the alarms (``nbt_embed.alarm.Alarm``).
        level: of the plotted interval; the learner's nearest level is used.
    """

    horizons: tuple[int, ...]
    score_from: int = 0
    period: int | None = None
    threshold: float = 0.9999
    hold_off: int = 100
    level: float = 0.8


@dataclass(frozen=True)
class AlarmEvent:
    """An alarm: row and time of the label, number of the target, score."""

    row: int
    time: object
    target: int
    score: float


@dataclass(frozen=True, eq=False)
class ModelResult:
    """One model at one horizon.

    Attributes: key, name; config and memory_bytes, of a learner of the kernel; figures, for each
    target; us_per_row, of predict and learn together.
    """

    key: str
    name: str
    config: Config | None
    memory_bytes: int | None
    figures: list[dict[str, float]]
    us_per_row: float


@dataclass(frozen=True, eq=False)
class HorizonResult:
    """All results of one horizon.

    Attributes:
        horizon: rows.
        models: by key; the learner first.
        first: first scored row of each target, None if nothing was scored.
        counts: scored rows of each target.
        intervals: of each target and level; None without intervals.
        alarms: in order of their rows; None without an anomaly score.
        learner: in its state after the stream.
        counters: of the learner.
        guard_rows: of the learner, name of a counter -> rows in which it grew.
        pieces: sums of losses over time.
    """

    horizon: int
    models: dict[str, ModelResult]
    first: list[int | None]
    counts: list[int]
    intervals: list[list[dict[str, float]]] | None
    alarms: list[AlarmEvent] | None
    learner: Learner
    counters: Counters
    guard_rows: dict[str, NDArray[np.intp]]
    pieces: Pieces


@dataclass(frozen=True, eq=False)
class Trial:
    """Results of a trial: its horizons, and values for drawing."""

    plan: Plan
    config: Config
    rows: int
    horizons: tuple[HorizonResult, ...]
    pictures: Pictures


@dataclass(frozen=True, eq=False)
class Told:
    """Outputs of the learner for the rows of a block.

    Attributes: horizon; forecast (T, n_out); bounds (T, n_out, 2 levels) or None; anomaly (T,
    n_out) or None; alarms, rows of each target.
    """

    horizon: int
    forecast: Float32Array
    bounds: Float32Array | None
    anomaly: Float32Array | None
    alarms: list[NDArray[np.intp]]


class Listener(Protocol):
    """Receives the learner's outputs row by row (``forecasts.Writer``)."""

    def add(self, block: Block, told: list[Told]) -> None:
        """Receive the next rows, one entry per horizon."""
        ...

    def finish(self, waiting: list[tuple[Float32Array, Float32Array | None]]) -> None:
        """Receive forecasts and bounds of later rows, one entry per horizon."""
        ...


def run_trial(
    recording: Recording,
    config: Config,
    plan: Plan,
    listener: Listener | None = None,
    progress: Callable[[int], None] | None = None,
) -> Trial:
    """Feed a recording to new models.

    Args:
        recording: what is fed, in order; the state is reset where a block requires it.
        config: the learner's; max_delay is replaced by what each horizon needs.
        plan: horizons and other settings.
        listener: receives every forecast.
        progress: called with the number of rows fed since the last call.

    Errors: InputError if nothing was scored; errors of the models.
    Cost: that of the models, in one thread.
    """
    blocks = recording.blocks(block_rows(recording.rows))
    head = list(_first_rows(blocks))
    races = [
        _Race(recording, anchored(config, recording, head, horizon), plan, horizon)
        for horizon in plan.horizons
    ]
    for block in chain(head, blocks):
        told = [race.feed(block) for race in races]
        if listener is not None:
            listener.add(block, told)
        if progress is not None:
            progress(len(block.inputs))
    if listener is not None:
        listener.finish([race.waiting for race in races])
    for race in races:
        race.check_scored(recording, plan)
    pictures = [race.pictures for race in races]
    return Trial(
        plan,
        races[0].learner.config,
        recording.rows,
        tuple([race.result for race in races]),
        Pictures(
            tuple(chain.from_iterable(one.tracks for one in pictures)),
            tuple(chain.from_iterable(one.errors for one in pictures)),
            tuple(chain.from_iterable(one.trust for one in pictures)),
        ),
    )


def _first_rows(blocks: Iterator[Block]) -> Iterator[Block]:
    """Return blocks of the first ANCHOR_ROWS rows."""
    rows = 0
    while rows < ANCHOR_ROWS and (block := next(blocks, None)) is not None:
        rows += len(block.inputs)
        yield block


def anchored(config: Config, recording: Recording, head: list[Block], horizon: int) -> Config:
    """Return the learner with the input of each target's own column as anchor.

    If a target is not an input, or the stream is not from a file, anchors are searched in the first
    rows.
    """
    if not config.anchored or config.anchor is not None:
        return config
    inputs = np.concatenate([block.inputs for block in head])
    targets = np.concatenate([block.targets for block in head])
    found = find_anchor(inputs, targets, horizon)
    known = recording.anchor or (None,) * len(found)
    own = [later if one is None else one for one, later in zip(known, found, strict=True)]
    return replace(config, anchor=tuple(own))


class _Race:
    """All models of one horizon."""

    def __init__(self, recording: Recording, config: Config, plan: Plan, horizon: int) -> None:
        self._names = recording.target_names
        self._horizon, self._link, n_label = horizon, config.link, config.n_label
        self._scored = Scored(n_label, horizon, plan.score_from)
        self._blind = 0  # earlier rows have no forecast, since a reset
        self._lanes: dict[str, Lane] = {}
        for entrant in entrants(config, horizon, plan.period):
            self._lanes[entrant.key] = self._lane(entrant, config, horizon)
        lane = self._lanes[LEARNER]
        assert isinstance(lane, LearnerLane)
        self._own = lane
        levels = self.learner.levels
        self._level = min(levels, key=lambda level: abs(level - plan.level)) if levels else 0.0
        self._alarms: list[AlarmEvent] = []
        self._bells = [AlarmRows(plan.threshold, plan.hold_off) for _ in self._names]
        every = thinning(recording.rows)
        self._values = [Values(horizon, name, self._level, every) for name in self._names]
        self._pieces = Pieces()
        self._rows = 0

    @property
    def learner(self) -> Learner:
        """The learner itself."""
        return self._own.learner

    def feed(self, block: Block) -> Told:
        """Feed the next rows to all models."""
        truths = self._scored.truths(block.start, block.targets)
        if block.reset:
            self._blind = block.start + self._horizon
        truths[: max(self._blind - block.start, 0)] = np.nan
        forecasts = {key: lane.feed(block, truths) for key, lane in self._lanes.items()}
        own = self._own
        self._rows += len(block.inputs)
        losses = {key: lane.score.losses for key, lane in self._lanes.items()}
        self._pieces.add(block, losses, own.score.counts, own.trust)
        alarms = self._ring(block)
        self._draw(block, forecasts, alarms)
        return Told(self._horizon, forecasts[LEARNER], own.bounds, own.anomaly, alarms)

    @property
    def waiting(self) -> tuple[Float32Array, Float32Array | None]:
        """Return forecasts and bounds of later rows."""
        own = self._own
        bounds = None if own.intervals is None else own.bounds_to_come.waiting
        return own.forecasts.waiting, bounds

    def check_scored(self, recording: Recording, plan: Plan) -> None:
        """Refuse a stream in which nothing was scored. Errors: InputError."""
        if not self._own.score.counts.any():
            first = max(plan.score_from, 2 * self._horizon, 1)
            raise InputError(
                f"nothing to score: {recording.title} has {recording.rows} rows and no target "
                f"from row {first} on (horizon {self._horizon}, score from row {plan.score_from}) "
                "that follows a learnt label; use a longer file, or smaller values"
            )

    @property
    def result(self) -> HorizonResult:
        """Return the results."""
        own = self._own
        return HorizonResult(
            horizon=self._horizon,
            models={key: self._model(lane) for key, lane in self._lanes.items()},
            first=list(self._scored.first),
            counts=[int(count) for count in own.score.counts],
            intervals=None if own.intervals is None else own.intervals.figures,
            alarms=self._alarms if self.learner.config.anomaly else None,
            learner=self.learner,
            counters=self.learner.counters,
            guard_rows={name: np.concatenate(rows) for name, rows in own.guard_rows.items()},
            pieces=self._pieces,
        )

    @property
    def pictures(self) -> Pictures:
        """Return the values for drawing."""
        named = list(enumerate(self._names))
        squared = self._link == "gaussian"
        return Pictures(
            tracks=tuple([values.track for values in self._values]),
            errors=tuple(
                [self._pieces.error_track(self._horizon, name, o, squared) for o, name in named]
            ),
            trust=tuple(
                [
                    self._pieces.trust_track(self._horizon, name, o, self._own.experts)
                    for o, name in named
                ]
            )
            if self._own.trust is not None
            else (),
        )

    def _lane(self, entrant: Entrant, config: Config, horizon: int) -> Lane:
        score: Score = (
            RealScore(config.n_out)
            if config.link == "gaussian"
            else ClassScore(config.n_label, config.link == "categorical")
        )
        if entrant.key == LEARNER:
            assert isinstance(entrant.model, Learner)
            return LearnerLane(entrant, entrant.model, horizon, config.n_out, score)
        return Lane(entrant, horizon, config.n_out, score)

    def _model(self, lane: Lane) -> ModelResult:
        one = lane.entrant
        return ModelResult(
            one.key,
            one.name,
            one.config,
            one.memory_bytes,
            lane.score.figures,
            1e6 * lane.seconds / self._rows,
        )

    def _ring(self, block: Block) -> list[NDArray[np.intp]]:
        scores = self._own.anomaly
        if scores is None:
            return [np.empty(0, np.intp) for _ in self._names]
        told = [
            bell.told(block.start, scores[:, target]) for target, bell in enumerate(self._bells)
        ]
        events = [
            AlarmEvent(
                row,
                None if block.time is None else block.time[row - block.start],
                target,
                float(scores[row - block.start, target]),
            )
            for target, rows in enumerate(told)
            for row in rows.tolist()
        ]
        self._alarms += sorted(events, key=lambda event: event.row)
        return told

    def _draw(
        self, block: Block, forecasts: dict[str, Float32Array], alarms: list[NDArray[np.intp]]
    ) -> None:
        own, levels = self._own, self.learner.levels
        own_forecast, rls = forecasts[LEARNER], forecasts.get(RLS)
        if rls is None:
            rls = np.full_like(own_forecast, np.nan)
        if self._link == "categorical":
            own_forecast, rls = most_probable(own_forecast), most_probable(rls)
        for o, values in enumerate(self._values):
            band = None
            if own.bounds is not None:
                pair = 2 * levels.index(self._level)
                band = own.bounds[:, o, pair : pair + 2]
            values.add(
                block,
                block.targets[:, o],
                own_forecast[:, o],
                rls[:, o],
                band,
                None if own.anomaly is None else own.anomaly[:, o],
                alarms[o],
            )
