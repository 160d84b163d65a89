"""Many models over one stream at once: losses of learners and baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from nbt_embed._kernel_config import memory_of
from nbt_embed.app.classes import LastClass
from nbt_embed.app.models import Model
from nbt_embed.arrays import Float32Array
from nbt_embed.baselines import LastValue
from nbt_embed.config import Config
from nbt_embed.errors import InputError
from nbt_embed.evaluate import Scored
from nbt_embed.learner import Learner
from nbt_embed.metrics import RegressionScore, SymbolScore
from nbt_embed.parallel import Advance, run_all
from nbt_embed.streams import Stream

_PIECE = 4096  # rows per call, at most
# Bytes of the learner times rows of one call, at most. A row costs up to 0.7 ns per byte, so
# Ctrl-C, which waits for the end of a call, takes a tenth of a second of processor time.
_PIECE_BYTES = 1 << 27


@dataclass(frozen=True)
class Pass:
    """One model over the whole stream.

    Attributes: make, builds the new model in the thread that runs it; horizon; score_from, first
    target rows of the scored spans, increasing: each span ends where the next one begins.
    """

    make: Callable[[], Model]
    horizon: int
    score_from: tuple[int, ...] = (0,)


# For each span and target: RMSE, or mean bits of a class; NaN where nothing was scored.
Losses = tuple[tuple[float, ...], ...]


def run_passes(
    stream: Stream,
    passes: Sequence[Pass],
    classes: int | None = None,
    resets: Sequence[int] = (),
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Losses]:
    """Return the losses of every pass, in order.

    Nothing is scored before a model has seen a label for the horizon (``evaluate.Scored``).

    Args:
        stream: what is fed; targets that are classes are (T, 1) class numbers.
        passes: the longest should come first.
        classes: number of classes, or None for real targets.
        resets: rows at which another recording starts: states are reset before them, and no
            forecast made before such a row is scored after it.
        jobs: passes at once; None: the number of processors that this process may use.
        progress: called with the number of rows since the last call, one call at a time.

    Errors: Interrupted, ConfigError (jobs), errors of the models. Cost: that of the models, and a
    (T, n_out) array for each running pass.
    """
    return run_all(
        [partial(_losses, one, stream, classes, resets) for one in passes], jobs, progress
    )


def learner_pass(
    config: Config, stream: Stream, horizon: int, score_from: tuple[int, ...] = (0,)
) -> Pass:
    """Return a pass of a new learner, whose anchors are those of the whole stream."""

    def make() -> Model:
        learner = Learner(config)
        learner.find_anchor(stream.inputs, stream.targets, horizon=horizon)
        return learner

    return Pass(make, horizon, score_from)


def last_pass(
    stream: Stream, horizon: int, classes: int | None, score_from: tuple[int, ...] = (0,)
) -> Pass:
    """Return a pass of the last value, or for classes the last class."""
    if classes is not None:
        return Pass(lambda: LastClass(classes), horizon, score_from)
    delay = max(horizon - 1, 0)
    return Pass(lambda: LastValue(stream.n_in, stream.n_out, max_delay=delay), horizon, score_from)


def relative_error(losses: tuple[float, ...], last: tuple[float, ...]) -> float:
    """Return the geometric mean over the targets of the loss divided by that of the last value.

    Targets that the last value forecasts without an error are left out. The result is infinite if a
    loss is.
    Errors: InputError if no target is left.
    """
    ratios = [one / other for one, other in zip(losses, last, strict=True) if other > 0]
    if not ratios:
        raise InputError(
            "nothing to compare: the last value forecasts every target without an error, so no "
            "learner can do better; name targets that vary with --targets"
        )
    if not all(math.isfinite(one) for one in ratios):
        return math.inf
    if min(ratios) == 0:
        return 0.0
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _losses(
    one: Pass,
    stream: Stream,
    classes: int | None,
    resets: Sequence[int],
    advance: Advance,
) -> Losses:
    model, horizon, rows = one.make(), one.horizon, len(stream)
    most = _piece_of(model)
    forecasts = np.full((rows, classes or stream.n_out), np.nan, np.float32)  # of each row
    targets = stream.targets.copy()
    for begin, end in pairwise((0, *resets, rows)):
        if begin:
            model.reset_state()
            targets[begin : begin + horizon] = np.nan
        for start in range(begin, end, most):
            piece = slice(start, min(start + most, end))
            made = model.run(stream.inputs[piece], stream.targets[piece], horizon=horizon)
            first = start + horizon
            forecasts[first : min(first + len(made), end)] = made[: max(end - first, 0)]
            advance(len(made))
    ends = (*one.score_from[1:], rows)
    losses = []
    for first, end in zip(one.score_from, ends, strict=True):
        truths = Scored(stream.n_out, horizon, first).truths(0, targets)
        truths[end:] = np.nan
        losses.append(_loss(forecasts[horizon:], truths[horizon:], classes))
    return tuple(losses)


def _piece_of(model: Model) -> int:
    """Return the rows per call."""
    if not isinstance(model, Learner):
        return _PIECE
    return min(max(_PIECE_BYTES // memory_of(model.config).total, 1), _PIECE)


def _loss(forecasts: Float32Array, truths: Float32Array, classes: int | None) -> tuple[float, ...]:
    if classes is None:
        score = RegressionScore(truths.shape[1])
        score.update(forecasts, truths)
        return score.rmse_per_target
    symbols = SymbolScore()
    symbols.update(forecasts, truths[:, 0])
    return (symbols.bits_per_symbol,)
