"""The mixture of forecasts: its weights, and that it is never far from the best of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_units import error, forecasts, wave

from nbt_embed import Learner


def test_weights_sum_to_one_and_every_forecast_can_come_back() -> None:
    x = np.column_stack([wave(500), wave(500, seed=1)])
    learner = Learner(2, 2, hidden=4)
    assert learner.array("weight") == pytest.approx(np.full((2, 4), 0.25))
    for row in x:
        if learner.pending:
            learner.learn(row)
        learner.predict(row)
        weight = learner.array("weight")
        assert weight.sum(axis=1) == pytest.approx(1, abs=1e-6)
        assert (weight >= 0.99e-3 / 4).all()


def test_a_walk_is_left_to_its_last_value_and_a_wave_is_not() -> None:
    walk = np.random.default_rng(0).normal(size=5000).cumsum()
    assert error(forecasts(walk), walk, 2000) < 1.02 * error(walk, walk, 2000)
    x = wave(5000)
    assert error(forecasts(x), x, 2000) < 0.8 * error(x, x, 2000)


def test_the_variance_is_the_error_of_the_mixture() -> None:
    x = 100 * wave(3000)
    learner = Learner(1, 1)
    found = learner.run(x, x, horizon=1)[:, 0].astype(float)
    expected = error(found, x, 2000)
    assert np.sqrt(learner.variance()[0]) == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize(
    "left_out",
    [
        {"slow_forget": 0},
        {"linear_lags": 0, "linear_forget": 0},
        {"hidden": 0},
        {"prior_units": False},
    ],
)
def test_every_part_can_be_left_out(left_out: dict[str, Any]) -> None:
    x = wave(2500)
    learner = Learner(1, 1, **({"hidden": 8} | left_out))
    y = learner.run(x, x, horizon=1)[:, 0].astype(float)
    assert error(y, x, 1500) < 0.85 * error(x, x, 1500)
    assert np.isfinite(y).all()


def test_an_output_without_anchor_is_learnt_too() -> None:
    x = np.column_stack([wave(3000), wave(3000, seed=1)])
    y = 1e5 + 300 * (0.4 * x[:, :1] - 0.7 * x[:, 1:]) ** 2
    learner = Learner(2, 1, hidden=16, anchor=(None,))
    found = learner.run(x, y, horizon=0)
    residual = np.sqrt(np.mean((found[1500:] - y[1500:]) ** 2))
    assert residual < 0.6 * y[1500:].std()


def test_what_is_learnt_of_a_missing_label_is_nothing() -> None:
    learner = Learner(1, 1)
    x = wave(300)
    learner.run(x, x, horizon=1)
    arrays = ("weight", "mix_error", "slow", "linear", "slow_noise", "linear_noise", "readout")
    before = {name: learner.array(name) for name in arrays}
    learner.learn(np.nan)
    for name in arrays:
        np.testing.assert_array_equal(learner.array(name), before[name])
