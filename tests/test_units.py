"""Units that follow: forecasts do not depend on them, and nothing locks a learner out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from settings import still

from nbt_embed import Config, Learner
from nbt_embed.errors import InputError

Array = NDArray[np.float64]


def wave(steps: int, seed: int = 0) -> Array:
    """Return a noisy wave of deviation about 0.7, in steps of 1/1024."""
    t = np.arange(steps)
    noise = np.random.default_rng(seed).normal(size=steps)
    smooth = np.sin(0.1 * t) + 0.3 * np.sin(0.037 * t) + 0.05 * noise
    return np.asarray(np.round(1024 * smooth) / 1024)


def forecasts(x: Array, horizon: int = 1, **settings: Any) -> Array:
    """Return forecasts of a stream for its own future."""
    learner = Learner(1, 1, hidden=8, max_delay=horizon - 1, **settings)
    return learner.run(x, x, horizon=horizon)[:, 0].astype(float)


def error(forecast: Array, x: Array, start: int, horizon: int = 1) -> float:
    """Root mean square of the errors from a row on."""
    return float(np.sqrt(np.mean((forecast[start:-horizon] - x[start + horizon :]) ** 2)))


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("scale", [2.0**-50, 2.0**-40, 2.0**40, 2.0**50])
def test_powers_of_two_change_no_bit(scale: float, horizon: int) -> None:
    x = wave(1200)
    np.testing.assert_array_equal(forecasts(scale * x, horizon), scale * forecasts(x, horizon))


@pytest.mark.parametrize("anchored", [True, False])
@pytest.mark.parametrize("cell", ["gated", "columnar"])
@pytest.mark.parametrize("estimator", ["frozen", "snap1"])
@pytest.mark.parametrize(
    ("a", "b"), [(1e12, 0.0), (1e-12, 0.0), (-1e-3, 0.0), (1.0, 1024.0), (1e12, 2.0**50)]
)
def test_forecasts_do_not_depend_on_units(
    a: float, b: float, estimator: str, cell: str, anchored: bool
) -> None:
    """But for the rounding of the stream, which random signs make larger with time."""
    x = wave(3000)
    y = np.float32(a * x + b).astype(float)
    settings: dict[str, Any] = {"cell": cell, "estimator": estimator, "anchored": anchored}
    if a < 0:  # the network is not odd in its inputs
        settings |= {"hidden": 0, "estimator": "frozen"}
        learner = Learner(1, 1, **settings)
        plain = Learner(1, 1, **settings)
        found = learner.run(y, y, horizon=1)[:, 0].astype(float)
        expected = plain.run(x, x, horizon=1)[:, 0].astype(float)
    else:
        found, expected = forecasts(y, **settings), forecasts(x, **settings)
    resolution = np.spacing(np.float32(abs(b) + abs(a) * np.abs(x).max())) / abs(a)
    # A head that learns makes the rounding larger, too.
    allowed = 1e-4 * x.std() + (4 if cell == "gated" else 100) * resolution
    # Before the first label an output without anchor is 0 in any units.
    assert np.abs((found - b) / a - expected)[1:].max() < allowed


@pytest.mark.filterwarnings("ignore:an update")  # of the wild value itself
@pytest.mark.parametrize("at", [0, 1, 3, 9, 20, 40, 500])
@pytest.mark.parametrize("wild", [85.0, 65535.0, 2.0**31, 1e12, -1e17])
def test_a_wild_value_costs_little(wild: float, at: int) -> None:
    x = 20 + 3 * wave(2500)
    usual = error(forecasts(x), x, 1500)
    x[at] = wild
    assert error(forecasts(x), x, 1500) < 1.25 * usual


@pytest.mark.parametrize(("idle", "scale"), [(0, 24), (0, 5e6), (1e-7, 2), (1e-3, 3000), (1, 3000)])
def test_a_quiet_start_locks_nobody_out(idle: float, scale: float) -> None:
    x = idle * np.random.default_rng(1).normal(size=3500)
    x[400:] += scale * (2 + wave(3100))
    assert error(forecasts(x), x, 2000) < 0.8 * error(x, x, 2000)


def test_a_constant_channel_counts_for_nothing() -> None:
    x = wave(1500)
    both = np.column_stack([x, np.full_like(x, 101325.0)])
    learner = Learner(2, 1, hidden=0)
    alone = Learner(1, 1, hidden=0)
    found = learner.run(both, x, horizon=1)
    np.testing.assert_allclose(found, alone.run(x, x, horizon=1), atol=2e-5)
    assert learner.array("units")[2, 1] == 0


def test_a_constant_stream_is_forecast_as_it_is() -> None:
    x = np.full(50, 20.125)
    assert (forecasts(x) == x).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e19, np.nan])
def test_what_is_no_number_is_refused_and_changes_nothing(value: float) -> None:
    learner = Learner(1, 1, max_delay=3)
    learner.run(wave(100), wave(100), horizon=1)
    before = learner.hash()
    with pytest.raises(InputError):
        learner.predict(value) if np.isnan(value) else learner.learn(value)
    with pytest.raises(InputError):
        learner.predict(value)
    assert learner.hash() == before


def test_labels_wait_across_a_move() -> None:
    """A forecast that waits is worth the same in the new units: nothing is learnt from its move."""
    x = np.r_[wave(600), 40 * wave(600, seed=1)]
    learner = Learner(1, 1, hidden=4, max_delay=7)
    y = learner.run(x, x, horizon=8)
    assert learner.counters.moved > 0
    assert np.abs(y[650:]).max() < 200
    assert learner.counters.skipped == 0


def test_missing_labels_and_held_inputs() -> None:
    x = wave(2000)
    holes, labels = x.copy(), x.copy()
    holes[::7] = np.nan
    labels[::5] = np.nan
    learner = Learner(1, 1, hidden=8, hold_missing=True)
    y = learner.run(holes, labels, horizon=1)[:, 0]
    assert np.isfinite(y).all()
    assert learner.counters.missing >= np.isnan(labels[1:]).sum()


def test_flags_are_taken_as_they_are_until_they_are_none() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 2, 400), rng.normal(50, 9, 400)]).astype(float)
    learner = Learner(2, 2, hidden=4, link="categorical")
    learner.run(x, (x[:, 1] > 50).astype(float), horizon=0)
    assert learner.array("units")[2, 0] == -1
    assert 5 < learner.array("units")[2, 1] < 15
    learner.predict([7.0, 50.0])
    assert learner.array("units")[2, 0] > 0


def test_a_lasting_jump_is_seen_and_a_single_one_is_not() -> None:
    x = wave(4000)
    once, lasting = x.copy(), x.copy()
    once[2000] += 1000
    lasting[2000:] += 1000
    for stream, opened in ((once, 0), (lasting, 1)):
        learner = Learner(1, 1, hidden=4)
        y = learner.run(stream, stream, horizon=1)[:, 0].astype(float)
        assert learner.counters.reopened == opened
        assert error(y[2500:], stream[2500:], 0) < 1.2 * error(y[1000:1900], stream[1000:1900], 0)


@pytest.mark.parametrize("noise", [1e-6, 1e-3])
@pytest.mark.parametrize("idle", [50, 700])
def test_a_machine_that_idles_with_noise_and_then_runs_is_learnt(idle: int, noise: float) -> None:
    """Units that are outgrown by a run of far values take nothing of the idle time along."""
    rng = np.random.default_rng(0)
    x = noise * rng.normal(size=3000)
    x[idle:] += 3000 * (1 + 0.5 * np.sin(0.2 * np.arange(3000 - idle)))
    learner = Learner(1, 1)
    y = learner.run(x, x, horizon=1)[:, 0].astype(float)
    assert learner.counters.skipped == 0
    for first, last in ((idle + 100, idle + 400), (idle + 1000, 3000)):
        own = error(y[first:last], x[first:last], 1)
        assert own < np.sqrt(np.mean(np.diff(x[first:last]) ** 2))
    # A checkpoint while far values come in a row is one that can be read.
    learner = Learner(1, 1, anchor=(0,))
    for z in x[: idle + 5]:
        if learner.pending:
            learner.learn(z)
        learner.predict(z)
        assert Learner.from_bytes(learner.to_bytes()).hash() == learner.hash()


def test_a_checkpoint_in_between_changes_nothing() -> None:
    config = Config(2, 2, hidden=4, max_delay=3, anchor=(1, None))
    x = np.column_stack([wave(600), 1e4 + wave(600, seed=2).cumsum()])
    one, two = Learner(config), Learner(config)
    one.run(x, x, horizon=4)
    two.run(x[:211], x[:211], horizon=4)
    two = Learner.from_bytes(two.to_bytes())
    two.run(x[211:], x[211:], horizon=4)
    assert two.hash() == one.hash()
    assert two.config == config


def test_without_units_the_learner_is_recursive_least_squares() -> None:
    """Against the textbook recursion in float64."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    y = x @ [1.0, -2.0, 0.5] + 3 + 0.1 * rng.normal(size=400)
    settings = still(scale_steps=0, gate=0, forget=1.0, drift_steps=0, prior=1e4)
    learner = Learner(3, 1, hidden=0, **settings)
    found = learner.run(x, y, horizon=0)[:, 0]
    weights, covariance = np.zeros(4), 1e4 * np.eye(4)
    for row, label, forecast in zip(np.c_[x, np.ones(400)], y, found, strict=True):
        assert forecast == pytest.approx(row @ weights, abs=0.02)
        gain = covariance @ row / (1 + row @ covariance @ row)
        weights += gain * (label - row @ weights)
        covariance -= np.outer(gain, row @ covariance)
    np.testing.assert_allclose(learner.array("readout")[0], weights, atol=1e-3)
    assert replace(learner.config, hidden=1) != learner.config
