"""Many learners in one block: their bits, their bytes, and their checkpoint."""

from __future__ import annotations

import copy
import pickle
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nbt_embed import Config, Learner, memory_of
from nbt_embed.errors import CheckpointError, ConfigError, InputTypeError
from nbt_embed.fleet import Batch

CONFIGS = [
    Config(1, 1, hidden=4, seed=1),
    Config(2, 3, hidden=2, seed=2, max_delay=2, levels=(0.5,), anchor=(None, 1, None)),
    Config(1, 1, hidden=4, seed=2**64 - 1),
    Config(2, 3, hidden=2, link="categorical", cell="lstm"),
    Config(2, 3, hidden=2, seed=2, max_delay=2, levels=(0.8,)),
]


def samples(config: Config, rows: int = 60) -> tuple[Any, Any]:
    rng = np.random.default_rng(config.seed % 1000)
    x = rng.standard_normal((rows, config.n_in))
    if config.link == "categorical":
        return x, rng.integers(0, config.n_out, rows)
    return x, np.c_[x, x, x][:, : config.n_out]


def test_a_row_has_the_bits_and_the_interface_of_a_learner() -> None:
    batch = Batch(CONFIGS)
    assert len(batch) == len(CONFIGS)
    for begin in (0, 20):  # a handle is made again for every piece
        for i, config in enumerate(CONFIGS):
            x, y = samples(config)
            rows = slice(begin, begin + 20)
            batch[i].run(x[rows], y[rows], horizon=config.max_delay)
    for i, config in enumerate(CONFIGS):
        learner, (x, y) = Learner(config), samples(config)
        learner.find_anchor(x[:20], y[:20], horizon=config.max_delay)
        learner.run(x[:40], y[:40], horizon=config.max_delay)
        assert batch[i].hash() == learner.hash()
        assert batch[i].config == learner.config
        assert batch[i].levels == learner.levels
        assert batch[i].anchor == learner.anchor
        assert batch[i].counters == learner.counters
        assert batch[i].predict(x[40]).tobytes() == learner.predict(x[40]).tobytes()
        assert batch.bytes_of(i) == learner.memory.total
        lone = copy.copy(batch[i])
        lone.reset_state()
        assert batch[i].hash() == learner.hash()


def test_anchors_are_looked_for_once() -> None:
    batch = Batch([Config(1, 1, hidden=2)])
    other = np.arange(10.0) % 3
    batch.find_anchor(0, np.zeros(10), other, horizon=1)
    batch[0].run(other, other, horizon=1)
    assert batch[0].anchor == (None,)


@pytest.mark.parametrize("config", [Config(1, 1), Config(1, 1, hidden=0), Config(9, 9, hidden=64)])
def test_memory_is_that_of_the_kernel(config: Config) -> None:
    batch = Batch([replace(config, seed=seed) for seed in range(300)])
    assert batch.nbytes <= 1.05 * 300 * memory_of(config).total


def test_a_checkpoint_goes_on_with_the_same_bits() -> None:
    batch = Batch(CONFIGS)
    again = Batch.from_bytes(batch.to_bytes())  # nothing has been predicted
    other = pickle.loads(pickle.dumps(batch))
    for i, config in enumerate(CONFIGS):
        x, y = samples(config)
        for one in (batch, again, other):
            one[i].run(x, y, horizon=config.max_delay)
        assert batch[i].hash() == again[i].hash() == other[i].hash()
        assert batch[i].config == again[i].config
    assert batch.to_bytes() == Batch.from_bytes(batch.to_bytes()).to_bytes()


def test_damaged_bytes_are_refused() -> None:
    data = Batch(CONFIGS[:2]).to_bytes()
    chance = random.Random(0)
    for place in chance.sample(range(len(data)), 60):
        damaged = bytearray(data)
        damaged[place] ^= 1 << chance.randrange(8)
        with pytest.raises(CheckpointError):
            Batch.from_bytes(bytes(damaged))
    for length in (0, 7, 23, 24, 40, len(data) - 1):
        with pytest.raises(CheckpointError):
            Batch.from_bytes(data[:length])
    with pytest.raises(CheckpointError):
        Batch.from_bytes(data + b"0")
    with pytest.raises(InputTypeError):
        Batch.from_bytes("text")  # type: ignore[arg-type]


def test_what_is_no_learner_is_named() -> None:
    with pytest.raises(ConfigError, match=r"configs\[1\]: hidden = 5000"):
        Batch([CONFIGS[0], replace(CONFIGS[0], hidden=5000)])
    with pytest.raises(ConfigError, match=r"configs\[0\]: seed = -1"):
        Batch([replace(CONFIGS[0], seed=-1)])
    with pytest.raises(InputTypeError, match=r"configs\[0\] = 3"):
        Batch([3])  # type: ignore[list-item]
    with pytest.raises(InputTypeError, match="configs = None: expected a sequence"):
        Batch(None)  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="it has 1 learners"):
        Batch(CONFIGS[:1])[1]
    assert Batch(CONFIGS)[-1].config == CONFIGS[-1]
    assert len(Batch([])) == 0
