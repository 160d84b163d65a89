"""Learn, predict, score: a model on a stream, every forecast scored before its label is learnt."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed._html import html_table
from nbt_embed.arrays import Float32Array, integer
from nbt_embed.curve import Curve, curve
from nbt_embed.errors import InputError, InputTypeError, shown
from nbt_embed.learner import Learner
from nbt_embed.metrics import RegressionScore
from nbt_embed.streams import Stream

# Rows fed in one call: large enough to cost nothing, small enough for a progress bar to move.
_PIECE = 1000


class Model(Protocol):
    """What is evaluated: ``Learner`` with the gaussian link, or a baseline."""

    def run(self, X: ArrayLike, Y: ArrayLike, *, horizon: int) -> Float32Array:
        """Row t is the forecast made at t; with horizon h, Y[t] is learnt before that."""
        ...


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One pass of a model over a stream.

    Attributes:
        horizon: h, steps between a forecast and its target.
        predictions: (T, n_out), the targets' units; row t forecasts target row t + h.
        rows: target rows that were scored.
        rmse, mae: the targets' units, over all targets.
        nrmse: sqrt(Σ e² / Σ (y − ȳ)²), one ratio over all targets (see ``metrics``).
        nrmse_per_target: one ratio each.
        us_per_step: microseconds per row, predict and learn together.
        guard_rows: of a ``Learner``, name of a counter -> rows of the stream in which it grew
            (``Learner.guard_rows``).
    """

    horizon: int
    predictions: Float32Array = field(repr=False)
    rows: int
    rmse: float
    mae: float
    nrmse: float
    nrmse_per_target: tuple[float, ...]
    us_per_step: float
    guard_rows: dict[str, NDArray[np.intp]] = field(default_factory=dict, repr=False)
    _scored: tuple[Float32Array, Float32Array] = field(
        default=(np.empty((0, 0), np.float32), np.empty((0, 0), np.float32)), repr=False
    )

    def curve(self, every: int | None = None, window: int | None = None) -> Curve:
        """The learning curve: error against rows, next to that of the last value.

        Examples:
            >>> from nbt_embed import Learner
            >>> from nbt_embed.simulation import simulated_sensor
            >>> learnt = evaluate(Learner(3, 3), simulated_sensor(3000, missing=0)).curve(every=500)
            >>> bool(learnt.rmse[2, 0] < learnt.rmse[0, 0])
            True

        Args:
            every: rows of a piece; None: a hundredth of the stream.
            window: rows that each value looks back on, a multiple of ``every``; None: one piece. A
                longer one makes the curve a rolling error.

        Errors: InputError, InputTypeError.
        """
        return curve(self.predictions, *self._scored, self.horizon, every, window)

    def _repr_html_(self) -> str:
        """The figures that are the same in every run: without times."""
        rows = {"horizon": f"{self.horizon} rows", "rows scored": f"{self.rows:,}"}
        rows |= {name: f"{getattr(self, name):.4g}" for name in ("rmse", "mae", "nrmse")}
        rows["nrmse of each target"] = ", ".join(f"{one:.4g}" for one in self.nrmse_per_target)
        rows |= {name: f"{len(at):,} rows" for name, at in self.guard_rows.items() if len(at)}
        return html_table("Evaluation", rows)


class Scored:
    """The labels that are scored: those forecast after the model has learnt a label.

    With horizon h >= 1, forecasts are made from row 0 on, the label of row h is the first one that
    is learnt, and the forecast made then is for row 2 h. Horizon 0 learns the label of row 0 and
    scores from row 1 on. A target with missing first labels is scored later by as many rows.

    Args:
        n_label: values in a label.
        horizon: h, from 0.
        score_from: no earlier target row is scored.
    """

    def __init__(self, n_label: int, horizon: int, score_from: int = 0) -> None:
        self.first: list[int | None] = [None] * n_label
        """First target row that is scored, for each target; None before its first label."""
        self._horizon, self._score_from = horizon, score_from

    def truths(self, start: int, targets: Float32Array) -> Float32Array:
        """The next labels (n, n_label), the first one of row ``start``; NaN where not scored."""
        truths = targets.copy()
        for target, first in enumerate(self.first):
            if first is None:
                known = np.flatnonzero(~np.isnan(targets[:, target])) + start
                known = known[known >= self._horizon]
                if known.size:
                    first = max(int(known[0]) + max(self._horizon, 1), self._score_from)
                    self.first[target] = first
            hidden = len(targets) if first is None else max(first - start, 0)
            truths[:hidden, target] = np.nan
        return truths


def evaluate(
    model: Model,
    stream: Stream,
    horizon: int = 1,
    score_from: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Feed a stream to a fresh model, and score every forecast against its label.

    A learner whose anchors are open finds them in the whole stream (``Learner.find_anchor``). With
    horizon 1 and a ``score``, this is the five-line loop

    Examples:
        >>> from nbt_embed import Learner
        >>> from nbt_embed.metrics import RegressionScore
        >>> from nbt_embed.simulation import simulated_sensor
        >>> stream = simulated_sensor(500, missing=0)
        >>> model, score = Learner(3, 3, anchor=(0, 1, 2)), RegressionScore(3)
        >>> forecast = model.predict(stream.inputs[0])
        >>> for row in range(1, 500):
        ...     y = stream.targets[row]
        ...     if row >= 2:                      # the forecast follows a learnt label
        ...         score.update(forecast, y)
        ...     model.learn(y)
        ...     forecast = model.predict(stream.inputs[row])
        >>> score.rmse == evaluate(Learner(3, 3), stream).rmse
        True

    Args:
        model: fresh, with as many inputs and outputs as the stream, and max_delay >= horizon - 1.
        stream: what is fed, in order.
        horizon: h, from 0. A forecast made at row t is scored against target row t + h.
        score_from: first target row that may be scored; the model learns from row 0 on, and no
            label is scored before the model has learnt one (``Scored``): from row 2 h on.
        progress: called with the number of rows fed since the last call.

    Errors: InputError if nothing would be scored, and what the model raises.
    Cost: that of the model.
    """
    horizon, score_from = integer("horizon", horizon), integer("score_from", score_from)
    truths = scored_truths(stream, horizon, score_from)
    predictions = np.empty_like(stream.targets)
    if isinstance(model, Learner):
        model.find_anchor(stream.inputs, stream.targets, horizon=horizon)
    grew: dict[str, list[NDArray[np.intp]]] = {}
    seconds = 0.0
    for start in range(0, len(stream), _PIECE):
        piece = slice(start, start + _PIECE)
        inputs, targets = stream.inputs[piece], stream.targets[piece]
        began = time.perf_counter()
        try:
            predictions[piece] = model.run(inputs, targets, horizon=horizon)
        except InputError as error:
            where = f"rows {start}..{start + len(inputs) - 1} of the stream"
            raise InputError(f"{where}, counted from the first of them: {error}") from error
        seconds += time.perf_counter() - began
        if isinstance(model, Learner):
            for name, rows in model.guard_rows.items():
                grew.setdefault(name, []).append(start + rows)
        if progress is not None:
            progress(len(inputs))
    score = RegressionScore(stream.n_out)
    score.update(predictions[: len(stream) - horizon], truths[horizon:])
    return Evaluation(
        horizon=horizon,
        predictions=predictions,
        rows=score.rows,
        rmse=score.rmse,
        mae=score.mae,
        nrmse=score.nrmse,
        nrmse_per_target=score.nrmse_per_target,
        us_per_step=1e6 * seconds / len(stream),
        guard_rows={name: np.concatenate(rows) for name, rows in grew.items()},
        _scored=(truths, stream.targets),
    )


def scored_truths(stream: Stream, horizon: int, score_from: int) -> Float32Array:
    """The targets, NaN where not scored; refuses, before anything is fed, to score nothing."""
    if not isinstance(stream, Stream):
        raise InputTypeError(
            f"stream = {shown(stream)}: expected a Stream; nbt_embed.streams.from_arrays(X, Y) "
            "makes one"
        )
    if horizon < 0:
        raise InputError(f"horizon = {horizon}: expected 0 or more")
    if score_from < 0:
        raise InputError(f"score_from = {score_from}: expected a row, from 0")
    truths = Scored(stream.n_out, horizon, score_from).truths(0, stream.targets)
    if np.isnan(truths).all():
        first = max(score_from, 2 * horizon, 1)
        raise InputError(
            f"nothing to score: the stream has {len(stream)} rows and no target from row {first} "
            f"on (horizon = {horizon}, score_from = {score_from}) that follows a learnt label; "
            "use a longer stream, or smaller values"
        )
    return truths
