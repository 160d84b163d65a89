"""One model that is fed a stream in pieces, with forecasts aligned to observed values."""

from __future__ import annotations

import time
import warnings

import numpy as np
from numpy.typing import NDArray

from nbt_embed.app.models import Entrant
from nbt_embed.app.recording import Block
from nbt_embed.app.scores import IntervalScore, Score
from nbt_embed.arrays import Float32Array
from nbt_embed.config import Config
from nbt_embed.errors import DivergenceWarning
from nbt_embed.learner import Learner


class Delay:
    """Delays rows by ``rows``: the forecast made at t, for the label of t + rows.

    Args: rows, from 0; shape of one row.
    """

    def __init__(self, rows: int, shape: tuple[int, ...]) -> None:
        self.waiting: Float32Array = np.full((rows, *shape), np.nan, np.float32)
        """(rows, ...), forecasts of later rows, NaN where there is none."""

    def push(self, values: Float32Array) -> Float32Array:
        """Take (T, ...) and return as many, those of ``rows`` rows earlier."""
        both = np.concatenate([self.waiting, values])
        self.waiting = both[len(values) :].copy()
        return both[: len(values)]

    def reset(self) -> None:
        """Forget waiting rows, since another recording starts."""
        self.waiting[:] = np.nan


class Lane:
    """A model with its score and its time.

    Args: entrant; horizon; n_out; score, a new one.
    """

    def __init__(self, entrant: Entrant, horizon: int, n_out: int, score: Score) -> None:
        self.entrant, self.score = entrant, score
        self.forecasts = Delay(horizon, (n_out,))
        self.seconds = 0.0
        self._horizon = horizon

    def feed(self, block: Block, truths: Float32Array) -> Float32Array:
        """Learn the next rows, and return the forecasts for them, (T, n_out)."""
        if block.reset:
            self.reset()
        began = time.perf_counter()
        with warnings.catch_warnings():  # divergence is counted, and reported at the end
            warnings.simplefilter("ignore", DivergenceWarning)
            forecasts = self._run(block)
        self.seconds += time.perf_counter() - began
        aligned = self.forecasts.push(forecasts)
        self.score.update(aligned, truths)
        return aligned

    def reset(self) -> None:
        """Start another recording."""
        self.entrant.model.reset_state()
        self.forecasts.reset()

    def _run(self, block: Block) -> Float32Array:
        return self.entrant.model.run(block.inputs, block.targets, horizon=self._horizon)


class LearnerLane(Lane):
    """The learner, with intervals of its forecasts, scores of labels, and guard actions.

    Attributes: learner; bounds and anomaly of the last rows, (T, n_out, 2 levels) and (T, n_out),
    or None where the learner has none; guard_rows, of the whole stream.
    """

    def __init__(
        self, entrant: Entrant, learner: Learner, horizon: int, n_out: int, score: Score
    ) -> None:
        super().__init__(entrant, horizon, n_out, score)
        self.learner = learner
        config = learner.config
        self.intervals = IntervalScore(n_out, learner.levels) if config.intervals else None
        self.bounds: Float32Array | None = None
        self.anomaly: Float32Array | None = None
        self.bounds_to_come = Delay(horizon, (n_out, 2 * len(learner.levels)))
        self.guard_rows: dict[str, list[NDArray[np.intp]]] = {}

    def feed(self, block: Block, truths: Float32Array) -> Float32Array:
        """As ``Lane.feed``."""
        aligned = super().feed(block, truths)
        if self.intervals is not None and self.bounds is not None:
            self.intervals.update(self.bounds, truths)
        for name, rows in self.learner.guard_rows.items():
            self.guard_rows.setdefault(name, []).append(block.start + rows)
        return aligned

    def reset(self) -> None:
        """As ``Lane.reset``."""
        super().reset()
        self.bounds_to_come.reset()

    @property
    def trust(self) -> Float32Array | None:
        """Current shares of the mixture (``mixture_shares``)."""
        return mixture_shares(self.learner)

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the mixture's forecasts, in the order of ``trust``."""
        return expert_names(self.learner.config)

    def _run(self, block: Block) -> Float32Array:
        config, rows = self.learner.config, (block.inputs, block.targets)
        if config.intervals:
            anomaly = bool(config.anomaly)
            run = self.learner.run(*rows, horizon=self._horizon, intervals=True, anomaly=anomaly)
        elif config.anomaly:
            run = self.learner.run(*rows, horizon=self._horizon, anomaly=True)
        else:
            return super()._run(block)
        self.bounds = None if run.intervals is None else self.bounds_to_come.push(run.intervals)
        self.anomaly = run.anomaly
        return run.y


def mixture_shares(learner: Learner) -> Float32Array | None:
    """Return the current shares of a learner's mixture, (n_out, experts), or None without one."""
    if "weight" not in learner.arrays:
        return None
    return learner.array("weight").reshape(learner.config.n_out, -1)


def expert_names(config: Config) -> tuple[str, ...]:
    """Return the names of the mixture's forecasts, in the order of ``mixture_shares``."""
    names = ["last value"]
    if config.linear_lags:
        names.append(f"own last {config.linear_lags} rows")
    names.append("network" if config.hidden else "all inputs")
    if config.slow_forget:
        names.append(f"{names[-1]}, long memory")
    return tuple(names)
