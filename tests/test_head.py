"""Learners with a head, of columns and of resonators: what every learner promises, at every size.

What they compute is compared with the reference in tests/test_kernel_reference.py.
"""

from __future__ import annotations

import copy
import gc
import pickle
import tracemalloc
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from settings import kinds, still

from nbt_embed import Config, Learner, memory_of
from nbt_embed._kernel_config import shape_of
from nbt_embed.config import Cell
from nbt_embed.errors import DivergenceWarning, InputError

N_IN, N_OUT = 2, 3
# Sizes at their least and odd ones; without mixture; without units; with a last good copy.
SHAPES: dict[str, dict[str, Any]] = {
    "columns": {"cell": "columnar", "hidden": 5},
    "columns, head": {"cell": "columnar", "hidden": 17, "head": 8},
    "columns and resonators": {"cell": "columnar", "hidden": 7, "resonators": 3, "head": 2},
    "resonators": {"cell": "resonator", "hidden": 6},
    "resonators, head": {"cell": "resonator", "hidden": 3, "head": 4, "max_delay": 2},
    "one of each": {"cell": "columnar", "hidden": 1, "head": 1, "lags": 1},
    "one resonator": {"cell": "resonator", "hidden": 1, "head": 1, "lags": 1},
    "head alone": {"hidden": 0, "head": 6},
    "head, no mixture": {"hidden": 4, "head": 3, "mix_forget": 0.0},
    "head, sgd": {"cell": "columnar", "hidden": 4, "head": 3, "filter": "sgd"},
    "head, fixed units": still(hidden=4, head=3),
    "head, last good copy": {"hidden": 3, "head": 3, "drift_steps": 5, "rollback_steps": 3},
    "columns, last good copy": still(
        cell="columnar", hidden=5, resonators=2, head=3, drift_steps=5, rollback_steps=3
    ),
    "lstm, head": {"cell": "lstm", "hidden": 3, "head": 3},
}
Stream = tuple[NDArray[np.float32], NDArray[np.float32]]


def stream(config: Config, steps: int, seed: int = 3) -> Stream:
    """A random walk, and labels of the link that depend on its past; a tenth is missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(steps, config.n_in)).cumsum(axis=0).astype(np.float32)
    past = np.roll(np.tanh(x[:, :1]), 2) + rng.normal(size=(steps, config.n_label)) / 10
    y = past.astype(np.float32)
    if config.link == "categorical":
        y = np.floor((y > 0) + (y > 0.5)).astype(np.float32)
    elif config.link == "bernoulli":
        y = (y > 0).astype(np.float32)
    y[rng.random(y.shape) < 0.1] = np.nan
    return x, y


def loop(learner: Learner, x: Any, y: Any, horizon: int) -> NDArray[np.float32]:
    """What ``run`` promises to equal."""
    rows = []
    for inputs, label in zip(x, y, strict=True):
        if horizon and learner.pending == horizon:
            learner.learn(label)
        rows.append(learner.predict(inputs))
        if not horizon:
            learner.learn(label)
    return np.array(rows)


@pytest.fixture(params=SHAPES)
def config(request: pytest.FixtureRequest) -> Config:
    """Every shape."""
    return Config(N_IN, N_OUT, **SHAPES[request.param])


@pytest.mark.parametrize("horizon", [0, 1])
def test_run_has_the_bits_of_the_loop(config: Config, horizon: int) -> None:
    x, y = stream(config, 200)
    whole, pieces = Learner(config), Learner(config)
    out = whole.run(x, y, horizon=horizon)
    if config.anchored:
        pieces.find_anchor(x, y, horizon=horizon)
    np.testing.assert_array_equal(loop(pieces, x[:120], y[:120], horizon), out[:120])
    np.testing.assert_array_equal(pieces.run(x[120:], y[120:], horizon=horizon), out[120:])
    assert pieces.hash() == whole.hash()
    assert np.isfinite(out).all()


COPIES: dict[str, Callable[[Learner], Learner]] = {
    "bytes": lambda learner: Learner.from_bytes(learner.to_bytes()),
    "pickle": lambda learner: pickle.loads(pickle.dumps(learner)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_in_mid_stream_goes_on_with_the_same_bits(config: Config, way: str) -> None:
    x, y = stream(config, 160)
    learner = Learner(config)
    learner.run(x[:90], y[:90], horizon=1)
    twin = COPIES[way](learner)
    assert twin.config == learner.config
    assert (twin.hash(), twin.counters) == (learner.hash(), learner.counters)
    expected = learner.run(x[90:], y[90:], horizon=1)
    np.testing.assert_array_equal(twin.run(x[90:], y[90:], horizon=1), expected)
    assert twin.to_bytes() == learner.to_bytes()


@pytest.mark.parametrize("kind", kinds("cell", "estimator", "filter", "link"), ids="-".join)
def test_every_kind_of_learner_has_a_head_that_learns(kind: tuple[Any, ...]) -> None:
    names = dict(zip(("cell", "estimator", "filter", "link"), kind, strict=True))
    config = Config(N_IN, N_OUT, hidden=3, head=4, **names)
    learner, without = Learner(config), Learner(N_IN, N_OUT, hidden=3, head=0, **names)
    before = learner.array("head").copy()
    x, y = stream(config, 120)
    learner.run(x, y, horizon=1)
    S, _, _ = shape_of(config)
    seen = S if config.traces_are_exact else config.hidden
    assert before.shape == (4, seen + N_IN * (config.lags or 0) + 1)
    assert (learner.array("head") != before).any(axis=1).all()
    assert learner.array("readout").shape == (N_OUT, without.array("readout").shape[1] + 4)
    assert ("head_covariance" in learner.arrays) == (config.filter != "sgd")
    assert "head" not in without.arrays
    resumed = Learner.from_bytes(learner.to_bytes())
    np.testing.assert_array_equal(resumed.array("head"), learner.array("head"))


def test_a_learner_that_saw_nothing_has_the_gain_that_it_was_told() -> None:
    settings: dict[str, Any] = {"hidden": 64, "resonators": 0, "head": 200}
    wide = Learner(1, 1, head_gain=1, **settings).array("head")
    assert wide.std() * 8 == pytest.approx(1.0, rel=0.02)
    assert not Learner(1, 1, head_gain=0, **settings).array("head").any()


def test_hostile_inputs_and_labels_change_nothing_or_leave_finite_numbers(config: Config) -> None:
    learner = Learner(config)
    x, y = stream(config, 60)
    learner.run(x, y, horizon=1)
    for bad in (np.nan, np.inf, -np.inf, 3e38):
        learner.learn([np.nan] * N_OUT)
        before, counters = learner.hash(), learner.counters
        with pytest.raises(InputError):
            learner.predict([0.5, bad])
        assert (learner.hash(), learner.counters) == (before, counters)
        learner.predict([0.5, 0.5])
        if not np.isnan(bad):
            with pytest.raises(InputError):
                learner.learn([bad] * N_OUT)
            assert learner.pending == 1
    rng = np.random.default_rng(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        for _ in range(300):
            size = 10.0 ** rng.integers(-38, 6 if config.follow else 5)
            learner.learn(size * rng.normal(size=N_OUT))
            learner.predict(size * rng.normal(size=N_IN))
    for name in learner.arrays:
        assert np.isfinite(learner.array(name)).all(), name
    assert Learner.from_bytes(learner.to_bytes()).hash() == learner.hash()


def test_extreme_settings_leave_finite_parameters(config: Config) -> None:
    """Constants, steps and spikes at the largest rates and gains."""
    given = {name: getattr(config, name) for name in ("cell", "hidden", "head", "filter", "lags")}
    given |= {"resonators": config.resonators, "head_gain": 100.0 * bool(config.head)}
    given |= {"recurrent_gain": 100.0, "input_gain": 100.0}
    given |= {"rate": 100.0, "sgd_rate": 100.0, "info_floor": 1e-6}
    learner = Learner(N_IN, N_OUT, info_rate=0.5, scale_steps=0, **given)
    rng = np.random.default_rng(2)
    x = (10.0 ** rng.integers(-30, 6, (1500, N_IN))) * rng.choice([-1, 1], (1500, N_IN))
    y = np.repeat(np.roll(x[:, :1], 1, axis=0), N_OUT, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        out = learner.run(x, y, horizon=0)
    assert np.isfinite(out).all()
    for name in learner.arrays:
        assert np.isfinite(learner.array(name)).all(), name
    assert Learner.from_bytes(learner.to_bytes()).hash() == learner.hash()


def test_a_loss_that_rises_brings_the_last_good_head_back() -> None:
    """Bit by bit what it was some labels ago."""
    learner = Learner(Config(N_IN, N_OUT, **SHAPES["columns, last good copy"]))
    x, y = stream(learner.config, 400)
    y[300:] = 30 * (-1.0) ** np.arange(100)[:, None]
    before: list[bytes] = []
    for inputs, label in zip(x, y, strict=True):
        learner.predict(inputs)
        learner.learn(label)
        head = learner.array("head").tobytes()
        if learner.counters.rolled_back:
            break
        before.append(head)
    assert len(before) < 400, "no roll-back"
    assert head != before[-1]
    assert head in before[:-1]


def test_learners_in_threads_give_the_bits_they_give_alone() -> None:
    configs = [Config(N_IN, N_OUT, **shape) for shape in SHAPES.values()]

    def hash_of(config: Config) -> int:
        learner = Learner(config)
        learner.run(*stream(config, 2000), horizon=1)
        return learner.hash()

    alone = [hash_of(config) for config in configs]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(hash_of, configs)) == alone
    assert len(set(alone)) == len(configs)


def test_steps_leave_traced_memory_flat() -> None:
    config = Config(N_IN, N_OUT, **SHAPES["columns and resonators"])
    learner = Learner(config)
    x, y = stream(config, 500)
    levels = []
    tracemalloc.start()
    try:
        for turn in range(12):
            loop(learner, x, y, 0)
            learner.run(x, y, horizon=0)
            gc.collect(1)
            if turn >= 2:
                levels.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(levels) - levels[0] < 2048


@pytest.mark.parametrize("cell", ["columnar", "resonator"])
def test_bytes_grow_linearly_with_the_units_of_a_columnar_layer(cell: Cell) -> None:
    """In addition to the readout's covariance, which every learner has: under sgd there is none."""
    small, middle, large = (
        memory_of(Config(3, 1, hidden=hidden, **still(head=4, cell=cell, filter="sgd"))).total
        for hidden in (32, 64, 96)
    )
    assert large - middle == middle - small > 0
