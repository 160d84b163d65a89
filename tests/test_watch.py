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
    """A random walk with heavy tails."""
    return np.cumsum(noise**3)


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


def henon(steps: int) -> Array:
    """The x coordinate of Henon's map, a = 1.4, b = 0.3."""
    x = [0.1, 0.1]
    for _ in range(steps):
        x.append(1 - 1.4 * x[-1] ** 2 + 0.3 * x[-2])
    return np.array(x[2:])


def test_a_forecast_that_has_failed_starts_again() -> None:
    """The law of the stream changes its sign; levels and units do not move enough to be a jump."""
    x = henon(9000)
    x[6000:] *= -1
    learner, error = run(x, 1, drift_steps=128)
    _, off = run(x, 1, drift_steps=0)
    assert learner.counters.reopened > 0
    assert error < off


def test_a_jump_of_an_input_opens_two_forecasts_and_keeps_the_slow_one() -> None:
    rng = np.random.default_rng(1)
    x = np.sin(np.arange(3000) / 5) + 0.1 * rng.normal(size=3000)
    x[2000:] += 30
    learner = Learner(1, 1, hidden=4, anchor=(0,))
    learner.run(x[:2050], x[:2050], horizon=1)
    slow, count = learner.array("slow"), learner.array("noise")
    opened = learner.counters.reopened
    learner.run(x[2050:2080], x[2050:2080], horizon=1)
    assert learner.counters.reopened == opened + 1
    assert np.abs(learner.array("readout")).max() < 1
    assert learner.array("slow_noise")[1, 0] > 2000
    assert learner.array("linear_noise")[1, 0] < 30
    assert slow.shape == learner.array("slow").shape
    assert count.shape == learner.array("noise").shape
