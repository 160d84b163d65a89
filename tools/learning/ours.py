"""Runs of this package's learner on the symbol tasks."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from nbt_embed import Learner
from nbt_embed.errors import DivergenceWarning
from tools.learning.curves import BLOCK, Curve
from tools.learning.tasks import SymbolTask

# What each method changes in the defaults of the categorical link.
METHODS: dict[str, dict[str, Any]] = {
    "unitwise": {},
    "residual": {"estimator": "residual"},
    "snap1": {"estimator": "snap1"},
    "nobacktrack": {"estimator": "nobacktrack"},
    "frozen": {"estimator": "frozen"},
    "rtrl": {"estimator": "rtrl"},
    "unitwise, quasi-diagonal": {"filter": "kalman_quasi"},
    # The best of 0.0003 to 0.1 in steps of about 3 on seeds 100 to 102 (docs/learning.md).
    "unitwise, sgd": {"filter": "sgd", "sgd_rate": 0.03},
}


def learn(task: SymbolTask, method: str, symbols: int, seed: int, hidden: int = 32) -> Curve:
    """One pass of the default learner over a stream of the task, batch 1."""
    settings = METHODS[method]
    text = task.make(symbols + 1, seed)
    learner = Learner(
        task.n_symbols, task.n_symbols, hidden=hidden, link="categorical", seed=seed, **settings
    )
    one_hot = np.eye(task.n_symbols, dtype=np.float32)
    bits = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)  # counted below
        for start in range(0, symbols, BLOCK):
            part = text[start : start + BLOCK + 1]
            p = learner.run(one_hot[part[:-1]], part[1:])
            told = p[np.arange(len(part) - 1), part[1:]].astype(np.float64)
            bits.append(float(-np.log2(told).mean()))
    return Curve(
        task.name,
        method,
        seed,
        BLOCK,
        tuple(bits),
        learner.memory.total,
        {"hidden": hidden, **settings},
        learner.counters.skipped,
    )
