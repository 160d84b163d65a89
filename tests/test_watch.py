"""What opens a learner on streams, and what never does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed import Learner

Array = NDArray[np.float64]


def ramp(t: Array, noise: Array) -> Array:
    """A tank that is filled."""
    return 0.01 * t + 0.05 * noise


def meter(t: Array, noise: Array) -> Array:
    """A counter that only rises."""
    return 41_234_567 + np.cumsum(500 + 400 * np.sin(0.01 * t) + 20 * noise)


def track(t: Array, noise: Array) -> Array:
    """Longitude of a vehicle: straight on, with curves and halts."""
    speed = np.maximum(0, np.sin(t / 700) + 0.3 * np.sin(t / 90))
    return 8.5 + np.cumsum(2e-5 * speed) + 1e-6 * noise


def daily(t: Array, noise: Array) -> Array:
    """A slow day: 17,280 samples."""
    return 15 + 8 * np.sin(2 * np.pi * t / 17280) + 0.2 * noise


def walk(t: Array, noise: Array) -> Array:
    """A random walk with heavy tails and a trend."""
    return 0.001 * t + np.cumsum(noise**3)


STREAMS = (ramp, meter, track, daily, walk)


def run(x: Array, horizon: int, drift_steps: int) -> tuple[Learner, float]:
    """A learner after the stream, and its squared error over all of it but the start."""
    learner = Learner(1, 1, hidden=8, max_delay=horizon - 1, drift_steps=drift_steps)
    y = learner.run(x, x, horizon=horizon)[:, 0].astype(float)
    return learner, float(np.mean((x[1000:] - y[1000 - horizon : -horizon]) ** 2))


def nothing_opens(make: Callable[[Array, Array], Array], steps: int, horizon: int) -> None:
    x = make(np.arange(float(steps)), np.random.default_rng(3).normal(size=steps))
    learner, error = run(x, horizon, drift_steps=Learner(1, 1).config.drift_steps)
    assert learner.config.drift_steps > 0
    assert learner.counters.reopened == 0
    assert error <= 1.02**2 * run(x, horizon, drift_steps=0)[1]


@pytest.mark.parametrize("make", STREAMS)
def test_nothing_opens_on_streams_without_a_change(make: Callable[[Array, Array], Array]) -> None:
    nothing_opens(make, 30_000, 1)


@pytest.mark.slow
@pytest.mark.parametrize("horizon", [1, 12])
@pytest.mark.parametrize("make", STREAMS)
def test_nothing_opens_for_long(make: Callable[[Array, Array], Array], horizon: int) -> None:
    nothing_opens(make, 200_000, horizon)


def jumping(offset: float) -> Array:
    """A noisy oscillation whose level jumps after 2000 samples."""
    rng = np.random.default_rng(1)
    x = np.sin(np.arange(4000) / 5) + 0.1 * rng.normal(size=4000)
    x[2000:] += offset
    return x


def test_after_a_jump_all_but_the_slow_readout_starts_again() -> None:
    x = jumping(30)
    learner = Learner(1, 1, hidden=4, anchor=(0,))
    learner.run(x[:2000], x[:2000], horizon=1)
    answers = []
    for z in x[2000:2120]:
        learner.learn(z)
        before = learner.array("theta")
        learner.predict(z)
        answers.append(learner.counters.reopened)
        if answers[-1]:
            break
    assert 60 < len(answers) < 120
    np.testing.assert_array_equal(learner.array("theta"), before)
    for name in ("readout", "linear"):
        assert not learner.array(name).any()
    assert (learner.array("covariance") == 1 / np.float32(learner.config.info_floor)).all()
    assert (learner.array("weight") == 0.25).all()
    assert learner.array("slow_noise")[1, 0] > 500  # it learns one label in four
    assert learner.array("linear_noise")[1, 0] == 0


def test_a_jump_is_forgotten_sooner_with_the_watch() -> None:
    x = jumping(30)
    errors = {}
    for steps in (0, 300):
        learner = Learner(1, 1, max_delay=4, drift_steps=steps)
        y = learner.run(x, x, horizon=5)[:, 0].astype(float)
        errors[steps] = float(np.mean((x[2200:3200] - y[2195:3195]) ** 2))
        assert learner.counters.reopened == (steps > 0)
        assert (learner.guard_rows["reopened"] > 2060).all()
    assert errors[300] < 0.8 * errors[0]


def test_the_answer_says_so() -> None:
    """The kernel's status of the prediction that shows the jump, and a guard's row."""
    x = jumping(30)
    learner = Learner(1, 1, hidden=0, anchor=(0,))
    learner.run(x, x, horizon=1)
    (row,) = learner.guard_rows["reopened"]
    assert 2064 <= row < 2120


def test_a_copy_gives_the_recurrent_weights_of_before_the_jump_back() -> None:
    x = jumping(30)
    learner = Learner(1, 1, hidden=4, anchor=(0,), rollback_steps=1999)
    kept = None
    for z in x[:2120]:
        if learner.pending:
            learner.learn(z)
            if learner.counters.labels == 1999:
                kept = {name: learner.array(name) for name in ("theta", "covariance")}
            before = learner.array("input_scale")
        learner.predict(z)
        if learner.counters.rolled_back:
            break
    assert learner.counters.rolled_back == learner.counters.reopened == 1
    assert kept is not None
    for name, values in kept.items():
        np.testing.assert_array_equal(learner.array(name), values)
    assert not learner.array("readout").any()
    assert (np.abs(learner.array("input_scale") - before)[0] < 30).all()  # units do not go back
    assert Learner.from_bytes(learner.to_bytes()).hash() == learner.hash()
