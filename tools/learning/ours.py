"""Runs of this package's learner, and of the linear baseline on the same lags."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed import Learner
from nbt_embed.baselines import Rls
from nbt_embed.errors import DivergenceWarning
from tools.learning.curves import Curve
from tools.learning.tasks import SeriesTask, SymbolTask, Task

Settings = Mapping[str, Any]
LAGS = 10
# The stochastic gradient of the claim "kalman against sgd" gets the best of these, on other seeds.
SGD_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
ANNEALINGS = (0, 100_000)
TUNING_SEEDS = (100, 101, 102)


def learn(
    settings: Settings, method: str, task: Task, hidden: int, samples: int, seeds: Sequence[int]
) -> list[Curve]:
    """One pass, batch 1, per seed: defaults of the link but for what settings change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)  # counted in the curve
        if isinstance(task, SymbolTask):
            return [_symbols(settings, method, task, hidden, samples, seed) for seed in seeds]
        return [_series(settings, method, task, hidden, samples, seed) for seed in seeds]


# Methods meet the same seeds of a task one after the other, and some streams take longer to make
# than to learn.
@lru_cache(maxsize=4)
def _made(task: Task, samples: int, seed: int) -> NDArray[Any]:
    return task.make(samples, seed)


def _symbols(
    settings: Settings, method: str, task: SymbolTask, hidden: int, samples: int, seed: int
) -> Curve:
    text = _made(task, samples + 1, seed)
    n = task.n_symbols
    learner = Learner(n, n, hidden=hidden, link="categorical", seed=seed, **settings)
    one_hot = np.eye(n, dtype=np.float32)
    loss = []
    for start in range(0, samples, task.block):
        part = text[start : start + task.block + 1]
        p = learner.run(one_hot[part[:-1]], part[1:], horizon=0)
        told = p[np.arange(len(part) - 1), part[1:]].astype(np.float64)
        loss.append(float(-np.log2(told).mean()))
    return _curve(task, method, hidden, seed, loss, learner, settings)


def _series(
    settings: Settings, method: str, task: SeriesTask, hidden: int, samples: int, seed: int
) -> Curve:
    z = _made(task, samples, seed)
    learner = Learner(1, 1, hidden=hidden, seed=seed, max_delay=task.horizon - 1, **settings)
    loss = squared_errors(task, z, learner.run(z, z, horizon=task.horizon))
    return _curve(task, method, hidden, seed, loss, learner, settings)


def squared_errors(task: SeriesTask, z: NDArray[Any], forecast: NDArray[Any]) -> list[float]:
    """Squared error over the variance of the series, block by block; row t forecasts t + horizon.

    The last block is short by what cannot be scored.
    """
    h = task.horizon
    squared = np.square(z[h:] - forecast[:-h]) / z.var()
    starts = range(0, len(z), task.block)
    return [float(squared[start : start + task.block].mean()) for start in starts]


def _curve(
    task: Task,
    method: str,
    hidden: int,
    seed: int,
    loss: list[float],
    learner: Learner,
    settings: Settings,
) -> Curve:
    return Curve(
        task.name,
        method,
        hidden,
        seed,
        task.block,
        tuple(loss),
        learner.memory.total,
        dict(settings),
        learner.counters.skipped,
    )


def tuned_sgd(
    method: str, task: Task, hidden: int, samples: int, seeds: Sequence[int]
) -> list[Curve]:
    """The `sgd` filter with the rate and annealing that lose least on seeds of their own.

    They are tried on a third of the samples, which favours those that learn fast.
    """
    grid = [
        {
            "cell": "gated",
            "estimator": "unitwise",
            "filter": "sgd",
            "sgd_rate": rate,
            "anneal_steps": steps,
        }
        for rate in SGD_RATES
        for steps in ANNEALINGS
    ]
    run = partial(learn, method=method, task=task, hidden=hidden)
    part = max(task.block, samples // 3)

    def loss(settings: Settings) -> float:
        curves = run(settings, samples=part, seeds=TUNING_SEEDS)
        last = float(np.mean([curve.last(part // 10) for curve in curves]))
        return last if np.isfinite(last) else np.inf

    return run(min(grid, key=loss), samples=samples, seeds=seeds)


def rls(method: str, task: Task, hidden: int, samples: int, seeds: Sequence[int]) -> list[Curve]:
    """Recursive least squares on the last LAGS samples; its size is that of float32 numbers."""
    assert isinstance(task, SeriesTask)
    curves = []
    for seed in seeds:
        z = _made(task, samples, seed)
        model = Rls(1, 1, lags=LAGS, max_delay=task.horizon - 1)
        loss = tuple(squared_errors(task, z, model.run(z, z, horizon=task.horizon)))
        size = 4 * ((LAGS + 1) ** 2 + (LAGS + 1) * (1 + task.horizon))
        settings = {"lags": LAGS}
        curves.append(Curve(task.name, method, hidden, seed, task.block, loss, size, settings))
    return curves
