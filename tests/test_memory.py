"""A learner that works for long takes no more memory than at the start."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from memory_profiler import memory_usage

from nbt_embed import Learner
from nbt_embed.errors import SequenceError

KIB = 1024


def resident_kib() -> float:
    """Return the resident memory of this process."""
    return float(memory_usage(-1, interval=0.01, max_usage=True)) * KIB


@pytest.mark.parametrize("steps", [2_000_000, pytest.param(10_000_000, marks=pytest.mark.slow)])
def test_kernel_steps_leave_resident_memory_flat(steps: int) -> None:
    chunk, warm_up = 20_000, 50
    chunks = steps // chunk
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((chunk, 1)).astype(np.float32)
    labels = np.roll(inputs, 1)
    learner = Learner(1, 1, hidden=4)
    levels = []
    for index in range(chunks):
        learner.run(inputs, labels, horizon=0)
        if index >= warm_up and index % 10 == 0:
            levels.append(resident_kib())
    assert learner.counters.predictions == steps
    assert max(levels) - levels[0] < 128


@pytest.mark.parametrize("steps", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_python_steps_leave_traced_memory_flat(steps: int) -> None:
    warm_up = 10_000
    values = np.sin(np.arange(1000, dtype=np.float32))
    learner = Learner(1, 1, hidden=4)
    levels = []
    tracemalloc.start()
    try:
        for step in range(warm_up + steps):
            learner.predict(values[step % 1000])
            learner.learn(values[(step + 1) % 1000])
            if step >= warm_up and step % 10_000 == 0:
                levels.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(levels) - levels[0] < 4 * KIB


Sample = Callable[[Learner], tuple[Any, Any]]

SAMPLES: dict[str, Sample] = {
    "its own buffers": lambda one: (one.x, one.label),
    "arrays": lambda one: (one.x.copy(), one.label.copy()),
    "float64": lambda one: (one.x.astype(float), one.label.astype(float)),
    "lists": lambda one: (one.x.tolist(), one.label.tolist()),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_calls_of_every_kind_leave_traced_memory_flat(kind: str) -> None:
    learner = Learner(1, 1, hidden=4)
    levels = []
    tracemalloc.start()
    try:
        for step in range(20_000):
            x, label = SAMPLES[kind](learner)
            learner.predict(x, out=learner.y if x is learner.x else None)
            learner.learn(label)
            with pytest.raises(SequenceError):
                learner.learn(label)
            if step % 5_000 == 4_999:
                levels.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(levels) - levels[0] < 2 * KIB


def test_building_and_dropping_learners_gives_the_memory_back() -> None:
    config: dict[str, Any] = {"hidden": 64, "cell": "lstm"}
    for _ in range(20):
        Learner(3, 2, **config)
    before = resident_kib()
    for _ in range(500):
        Learner(3, 2, **config).predict([0.0, 0.0, 0.0])
    one = Learner(3, 2, **config).memory.total / KIB
    assert one > 100
    assert resident_kib() - before < 4 * one
