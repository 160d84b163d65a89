"""The learner beside last value, NLMS and RLS: same stream, same lags, same label delay."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

from nbt_embed._kernel_config import Counters, Memory
from nbt_embed.baselines import Baseline, LastValue, Nlms, Rls
from nbt_embed.config import Config
from nbt_embed.errors import DivergenceWarning
from nbt_embed.evaluate import Evaluation, evaluate
from nbt_embed.learner import Learner
from nbt_embed.streams import Stream

# Keys of the results; every horizon is one pass of each model over the stream.
BASELINES: dict[str, type[Baseline]] = {"persistence": LastValue, "nlms": Nlms, "rls": Rls}
PASSES = 1 + len(BASELINES)


@dataclass(frozen=True)
class Comparison:
    """Results of one horizon.

    Attributes: config (of the learner, with the anchors that it found), learner, baselines (by the
    keys of ``BASELINES``), memory (of the learner), counters (of the learner: what its guards did).
    """

    config: Config
    learner: Evaluation
    baselines: dict[str, Evaluation]
    memory: Memory
    counters: Counters


def compare(
    config: Config,
    stream: Stream,
    horizon: int = 1,
    score_from: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Evaluate a fresh learner and fresh baselines on a stream.

    Args:
        config: the learner's; max_delay is replaced by what the horizon needs.
        stream: what is fed.
        horizon: as for ``evaluate``.
        score_from: as for ``evaluate``.
        progress: as for ``evaluate``; every row is fed PASSES times.

    Errors: those of ``Learner`` and ``evaluate``. Cost: mostly the baselines, about 60 µs a row.
    """
    max_delay = max(horizon - 1, 0)
    config = replace(config, max_delay=max_delay)
    learner, lags = Learner(config), config.lags or 1  # never None: Config has settled it
    with warnings.catch_warnings():  # counted, and told by the caller in one line
        warnings.simplefilter("ignore", DivergenceWarning)
        evaluation = evaluate(learner, stream, horizon, score_from, progress)
    baselines = {
        name: evaluate(
            kind(stream.n_in, stream.n_out, lags=lags, max_delay=max_delay),
            stream,
            horizon,
            score_from,
            progress,
        )
        for name, kind in BASELINES.items()
    }
    return Comparison(learner.config, evaluation, baselines, learner.memory, learner.counters)
