"""PyTorch learners with a rate from a grid, chosen on seeds of their own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch

from tools.learning import bptt, uoro
from tools.learning.curves import Curve
from tools.learning.ensemble import Model
from tools.learning.tasks import SymbolTask, Task

RATES = (1e-3, 3e-3, 1e-2)
FALLS = (2e4, float("inf"))
TUNING_SEEDS = (100, 101)
TUNING_SAMPLES = 100_000


class Train(Protocol):
    """Losses (M, blocks) of models over a number of samples."""

    def __call__(self, *, samples: int, models: Sequence[Model]) -> np.ndarray:
        """Train on the task that the function belongs to."""


def truncated(
    cell: str, span: int, method: str, task: Task, hidden: int, samples: int, seeds: Sequence[int]
) -> list[Curve]:
    """Truncated backpropagation over ``span`` samples."""
    train = partial(bptt.train, task, cell, span, hidden)
    size = bptt.bytes_held(_inputs(task), cell, span, hidden)
    return _tuned(train, method, task, hidden, samples, seeds, size)


def rank_one(
    cell: str, method: str, task: Task, hidden: int, samples: int, seeds: Sequence[int]
) -> list[Curve]:
    """UORO."""
    train = partial(uoro.train, task, cell, hidden)
    size = uoro.bytes_held(_inputs(task), cell, hidden)
    return _tuned(train, method, task, hidden, samples, seeds, size)


def _inputs(task: Task) -> int:
    return task.n_symbols if isinstance(task, SymbolTask) else 1


def _tuned(
    train: Train,
    method: str,
    task: Task,
    hidden: int,
    samples: int,
    seeds: Sequence[int],
    size: int,
) -> list[Curve]:
    """Try the grid on a part of the samples, then learn the streams of all seeds at once."""
    torch.set_num_threads(1)
    grid = [(rate, fall) for rate in RATES for fall in FALLS]
    trials = [Model(seed, *pair) for pair in grid for seed in TUNING_SEEDS]
    tried = train(samples=min(samples, TUNING_SAMPLES), models=trials)
    tail = tried[:, -max(1, tried.shape[1] // 10) :].mean(axis=1)
    tail = np.where(np.isfinite(tail), tail, np.inf).reshape(len(grid), -1).mean(axis=1)
    rate, fall = grid[int(tail.argmin())]
    losses = train(samples=samples, models=[Model(seed, rate, fall) for seed in seeds])
    settings: dict[str, Any] = {"rate": rate, "fall": fall, "torch": torch.__version__}
    return [
        Curve(task.name, method, hidden, seed, task.block, tuple(row.tolist()), size, settings)
        for seed, row in zip(seeds, losses, strict=True)
    ]
