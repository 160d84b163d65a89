"""Streams from Python: anchors, what is refused and kept, and forecasts that do without a start."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed import Config, Learner, memory_of
from nbt_embed.errors import ConfigError, InputError

Stream = NDArray[np.float64]
FOLLOW: dict[str, Any] = {"follow": True, "scale_rate": 2e-3, "input_limit": 10.0, "gate": 5.0}
EVERYTHING = FOLLOW | {
    "anchored": True,
    "linear_lags": 4,
    "linear_forget": 0.999,
    "slow_forget": 0.9998,
    "mix_forget": 0.998,
    "prior_units": True,
}


def walk(steps: int, channels: int = 2) -> Stream:
    """A series whose level and scale change."""
    rng = np.random.default_rng(3)
    grown = np.geomspace(1, 100, steps)[:, np.newaxis]
    return np.asarray(1e3 + np.cumsum(rng.normal(size=(steps, channels)), axis=0) * grown)


@pytest.mark.parametrize(
    ("anchor", "names"),
    [
        ((0,), "anchor = (0,)"),
        ((0, 1, None), "anchor = (0, 1, None)"),
        ((0, 2), "0 to 1"),
        ((0, -1), "0 to 1"),
        ((0, 0.5), "anchor = (0, 0.5)"),
        (1, "anchor = 1"),
        ("01", "anchor = '01'"),
    ],
)
def test_an_anchor_that_is_none_is_refused(anchor: Any, names: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Config(2, 2, **FOLLOW, anchored=True, anchor=anchor)
    assert names in str(refused.value)
    assert "anchor" in str(refused.value)


def test_an_anchor_needs_anchored() -> None:
    with pytest.raises(ConfigError, match="with anchored"):
        Config(2, 2, **FOLLOW, anchor=(0, 1))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("anchored", {"anchored": True}),
        ("mix_forget", {"mix_forget": 0.99}),
        ("slow_forget", FOLLOW | {"slow_forget": 0.99}),
        ("linear_lags", FOLLOW | {"mix_forget": 0.99, "linear_lags": 2, "linear_forget": 0.99}),
        ("linear_forget", EVERYTHING | {"linear_forget": 0.5}),
        ("linear_forget", FOLLOW | {"linear_forget": 0.99}),
        ("slow_forget", FOLLOW | {"mix_forget": 0.99, "slow_forget": 0.99, "filter": "sgd"}),
        ("prior_units", {"prior_units": True, "filter": "sgd"}),
        ("prior_units", {"prior_units": True, "link": "bernoulli"}),
        ("anchored", FOLLOW | {"anchored": True, "link": "bernoulli"}),
        ("rollback_steps", FOLLOW | {"rollback_steps": 100}),
        ("estimator", {"hidden": 0, "estimator": "snap1"}),
    ],
)
def test_what_a_setting_needs_is_asked_for_by_name(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"^{name} = "):
        Learner(2, 2, **settings)


def test_settings_that_are_off_take_no_bytes_and_more_take_more() -> None:
    plain = memory_of(Config(3, 2, scale_rate=2e-3, input_limit=10.0, gate=5.0)).total
    assert plain == memory_of(Config(3, 2)).total
    sizes = [plain]
    for kept in (1, 5, 7, 8, 9):
        settings = dict(list((FOLLOW | {"anchored": True, "mix_forget": 0.998}).items())[:kept])
        sizes.append(memory_of(Config(3, 2, **settings)).total)
    assert sizes == sorted(sizes)
    assert sizes[1] > plain
    assert memory_of(Config(3, 2, **EVERYTHING)).total > sizes[-1]
    assert memory_of(Config(3, 2, hidden=0)).total < memory_of(Config(3, 2, hidden=1)).total


def test_anchors_are_those_that_were_asked_for_and_stay() -> None:
    usual = Learner(3, 5, **EVERYTHING)
    np.testing.assert_array_equal(usual.array("anchor"), [0, 1, 2, -1, -1])
    config = Config(3, 2, max_delay=9, **EVERYTHING, anchor=(2, None))
    learner = Learner(config)
    np.testing.assert_array_equal(learner.array("anchor"), [2, -1])
    z = walk(50, 3)
    learner.run(z, z[:, [2, 0]], horizon=1)
    others = Learner.from_bytes(learner.to_bytes()), pickle.loads(pickle.dumps(learner))
    before, forecast = learner.hash(), learner.predict(z[0])
    for other in others:
        assert other.config == config
        assert eval(repr(other.config)) == config
        assert other.hash() == before
        np.testing.assert_array_equal(other.predict(z[0]), forecast)


@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_run_is_the_loop_to_the_bit(horizon: int) -> None:
    config = Config(2, 2, **EVERYTHING, max_delay=2, hold_missing=True)
    z, one, other = walk(300), Learner(config), Learner(config)
    z[100:103, 0] = np.nan
    forecasts = one.run(z, z, horizon=horizon)
    for t, x in enumerate(z):
        if horizon and other.pending == horizon:
            other.learn(x)
        np.testing.assert_array_equal(other.predict(x), forecasts[t])
        if not horizon:
            other.learn(x)
    assert one.hash() == other.hash()
    assert one.counters.moved > 0


def test_no_value_is_refused_for_being_far_off() -> None:
    learner, z = Learner(2, 2, max_delay=1, **EVERYTHING), walk(300)
    learner.run(z, z, horizon=1)
    before = learner.hash()
    for bad in (np.inf, -np.inf, np.nan, 2e18):
        with pytest.raises(InputError):
            learner.predict([bad, 0.0])
    assert learner.hash() == before
    for wild in (1e12, -1e18, 0.0, 1e-30):
        learner.learn([wild, -wild])
        assert np.isfinite(learner.predict([wild, wild])).all()
    for x in z:
        learner.learn(x)
        y = learner.predict(x)
    assert np.abs(y - z[-1]).max() < 0.5 * np.ptp(z)


def test_an_offset_costs_a_following_learner_nothing() -> None:
    z = walk(1500)

    def error(offset: float) -> float:
        shifted = (z + offset).astype(np.float32).astype(np.float64)
        forecasts = Learner(2, 2, **EVERYTHING).run(shifted, shifted, horizon=1)
        return float(np.mean(np.abs(forecasts[500:-1] - shifted[501:])))

    assert error(1e6) < 1.05 * error(0.0)


def test_forecasts_are_those_of_the_last_value_at_least() -> None:
    z = walk(2000)
    forecasts = Learner(2, 2, **EVERYTHING).run(z, z, horizon=1)
    error, last = (np.mean(np.abs(f[20:-1] - z[21:]), axis=0) for f in (forecasts, z))
    assert (error < 1.05 * last).all()
