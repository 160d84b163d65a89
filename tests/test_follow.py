"""Streams from Python: anchors, what is refused and kept, and forecasts that do without a start."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from settings import still

from nbt_embed import Config, Learner, memory_of
from nbt_embed.config import CHOICES, Filter, Link
from nbt_embed.errors import ConfigError, InputError
from nbt_embed.simulation import simulated_sensor

Stream = NDArray[np.float64]
EVERYTHING: dict[str, Any] = {"lags": 1, "linear_lags": 4}


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
        Config(2, 2, anchor=anchor)
    assert names in str(refused.value)
    assert "anchor" in str(refused.value)


@pytest.mark.parametrize(
    "settings", [{"anchored": False}, {"follow": False}, {"link": "categorical"}], ids=str
)
def test_an_anchor_needs_anchored(settings: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigError, match=r"anchor = \(0, 1\): needs anchored=True.*leave anchor out"
    ):
        Config(2, 2, anchor=(0, 1), **settings)


@pytest.mark.parametrize(
    ("name", "other", "settings"),
    [
        ("anchored", "follow", {"anchored": True, "follow": False}),
        ("mix_forget", "follow", {"mix_forget": 0.99, "follow": False}),
        ("slow_forget", "mix_forget", {"slow_forget": 0.99, "mix_forget": 0}),
        ("linear_lags", "anchored", {"linear_lags": 2, "anchored": False}),
        ("linear_lags", "mix_forget", {"linear_lags": 2, "mix_forget": 0}),
        ("linear_forget", "above 0.5 and up to 1", {"linear_forget": 0.5}),
        ("linear_forget", "linear_lags", {"linear_forget": 0.99, "linear_lags": 0}),
        ("slow_forget", "filter", {"slow_forget": 0.99, "filter": "sgd"}),
        ("prior_units", "filter", {"prior_units": True, "filter": "sgd"}),
        ("prior_units", "link", {"prior_units": True, "link": "bernoulli"}),
        ("anchored", "link", {"anchored": True, "link": "bernoulli"}),
        ("mix_forget", "link", {"mix_forget": 0.99, "link": "categorical"}),
        ("rollback_steps", "follow", {"rollback_steps": 100, "mix_forget": 0}),
        ("rollback_steps", "drift_steps", {"rollback_steps": 9, "follow": False, "drift_steps": 0}),
        ("estimator", "frozen", {"hidden": 0, "estimator": "snap1"}),
    ],
)
def test_what_a_setting_needs_is_asked_for_by_name(
    name: str, other: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=f"^{name} = .*{other}"):
        Learner(2, 2, **settings)


@pytest.mark.parametrize(
    ("settings", "off"),
    [
        ({"follow": False}, ("scale_rate", "input_limit", "anchored", "mix_forget", "linear_lags")),
        ({"mix_forget": 0}, ("linear_lags", "linear_forget", "slow_forget")),
        ({"anchored": False}, ("linear_lags", "linear_forget")),
        ({"filter": "sgd"}, ("prior_units", "slow_forget", "linear_lags")),
        ({"link": "bernoulli"}, ("anchored", "mix_forget", "prior_units")),
    ],
)
def test_a_setting_that_was_left_open_is_off_without_what_it_needs(
    settings: dict[str, Any], off: tuple[str, ...]
) -> None:
    config = Config(2, 2, **settings)
    assert memory_of(config).total > 0
    assert {name: getattr(config, name) for name in off} == dict.fromkeys(off, 0)
    assert eval(repr(config)) == config
    (name,) = settings
    assert repr(config) == f"Config(2, 2, {name}={getattr(config, name)!r})"


def test_without_units_there_is_nothing_recurrent_to_learn() -> None:
    assert Config(2, 2, hidden=0).estimator == "frozen"
    z = walk(300)
    assert np.isfinite(Learner(2, 2, hidden=0).run(z, z, horizon=1)).all()


def test_settings_that_are_off_take_no_bytes_and_more_take_more() -> None:
    less: list[dict[str, Any]] = [
        {"follow": False},
        {"anchored": False, "mix_forget": 0},
        {"mix_forget": 0},
        {"linear_lags": 0, "slow_forget": 0},
        {"linear_lags": 0},
        {},
    ]
    sizes = [memory_of(Config(3, 2, **settings)).total for settings in less]
    assert sizes == sorted(set(sizes))
    assert memory_of(Config(3, 2, hidden=0)).total < memory_of(Config(3, 2, hidden=1)).total


def test_anchors_are_those_that_were_asked_for_and_stay() -> None:
    np.testing.assert_array_equal(Learner(3, 5).array("anchor"), [-1] * 5)
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
    config = Config(2, 2, **EVERYTHING, max_delay=2, hold_missing=True, anchor=(0, 1))
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


@pytest.mark.parametrize("link", CHOICES["link"])
def test_values_that_are_taken_as_they_are_have_a_bound(link: Link) -> None:
    learner = Learner(2, 2, link=link, scale_steps=0, hidden=0)
    with pytest.raises(InputError, match="too far"):
        learner.predict([0.0, 1000001.0])
    learner.predict([0.0, 1e6])
    if link == "gaussian":
        with pytest.raises(InputError, match="too far"):
            learner.learn([0.0, -1000001.0])
        learner.learn([0.0, -1e6])
    assert Learner.from_bytes(learner.to_bytes()).hash() == learner.hash()


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


# ---- classes and probabilities ------------------------------------------------------------------


@pytest.mark.parametrize("filter_", CHOICES["filter"])
@pytest.mark.parametrize("link", ["categorical", "bernoulli"])
def test_inputs_of_0_and_1_give_the_bits_of_units_that_stand_still(
    link: Link, filter_: Filter
) -> None:
    symbols = np.random.default_rng(0).integers(0, 4, 1500)
    x = np.eye(4)[symbols]
    y = symbols if link == "categorical" else x
    kind: dict[str, Any] = {"filter": filter_, "hidden": 5, "max_delay": 1}
    kind |= {"cell": "gated", "head": 0}
    learners = Learner(4, 4, link=link, **kind), Learner(4, 4, **still(link, **kind))
    for horizon in (0, 2):
        one, other = (learner.run(x, y, horizon=horizon) for learner in learners)
        np.testing.assert_array_equal(one, other)
        for learner in learners:
            learner.reset_state()


def rising(seed: int, steps: int = 6000) -> tuple[Stream, Stream]:
    """Temperature and pressure as sensors give them, and whether the first is about to rise."""
    rng, t = np.random.default_rng(seed), np.arange(steps) / 30
    noise = rng.normal(size=(steps, 2)) * [0.2, 10]
    x = np.column_stack([21 + 4 * np.sin(t), 101325 + 80 * np.cos(t)]) + noise
    return x, np.r_[0, np.diff(np.sin(t)) > 0].astype(float)


def quiet(x: Stream) -> None:
    x[:400] = 1e-5 * np.random.default_rng(1).normal(size=(400, 2))


def flags(x: Stream) -> None:
    x[:400] = np.random.default_rng(1).integers(0, 2, (400, 2))


def outliers(x: Stream) -> None:
    x[50, 0], x[3000, 1] = 1e12, 1e9


def other_units(x: Stream) -> None:
    x[2500:] = x[2500:] * [1000, 1] + [5, 2000]


@pytest.mark.parametrize("change", [lambda _: None, quiet, flags, outliers, other_units])
@pytest.mark.parametrize("link", ["categorical", "bernoulli"])
@pytest.mark.parametrize("seed", range(3))
def test_real_inputs_are_scaled_for_every_link(link: Link, seed: int, change: Any) -> None:
    x, y = rising(seed)
    change(x)
    n_out = 2 if link == "categorical" else 1
    p = Learner(2, n_out, link=link).run(x, y, horizon=0)[:, -1]
    assert ((p > 0.5)[4000:] == y[4000:]).mean() > 0.96


def test_the_first_forecasts_are_not_far_away() -> None:
    """Readouts of units that two values made would forecast dozens of deviations off."""
    for seed in range(4):
        x = simulated_sensor(300, seed=seed, missing=0).inputs
        learner = Learner(3, 1, max_delay=4)
        forecasts = learner.run(x, x[:, :1], horizon=5)[:-5, 0]
        assert np.abs(forecasts - x[5:, 0]).max() < 10 * x[:, 0].std()


@pytest.mark.parametrize(("noise", "seed"), [(0.05, 8), (0.5, 12), (1.0, 12)])
def test_a_ramp_is_forecast_without_bursts(noise: float, seed: int) -> None:
    """Next to a steady slope noise is small, and units of the head rest at the ends of tanh."""
    rng = np.random.default_rng(seed)
    ramp = np.arange(20_000) + noise * rng.normal(size=20_000)
    forecasts = Learner(1, 1).run(ramp, ramp, horizon=1)[1_000:-1, 0]
    assert np.abs(forecasts - ramp[1_001:]).max() < 8 * noise + 0.01


@pytest.mark.parametrize("name", ["readout", "slow", "linear"])
def test_a_readout_whose_weights_cancel_starts_again_when_units_move(name: str) -> None:
    """A long ramp leaves directions without samples, in which weights wander off in time."""
    ramp = np.arange(4_000.0)[:, None]
    learner = Learner(1, 1, hidden=4)
    learner.run(ramp[:1_000], ramp[:1_000], horizon=1)
    weights = learner.array(name).copy()
    weights[0, 1] += 2_000
    learner.set_array(name, weights)
    moved, row = learner.counters.moved, 1_000
    while learner.counters.moved == moved:
        learner.run(ramp[row : row + 1], ramp[row : row + 1], horizon=1)
        row += 1
    assert np.abs(learner.array(name)).max() < 10
    forecasts = learner.run(ramp[row:], ramp[row:], horizon=1)
    np.testing.assert_allclose(forecasts[500:-1], ramp[row + 501 :], atol=1)
