"""UORO and truncated backpropagation: their derivatives, and the calls of a learner."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nbt_embed.errors import ConfigError
from nbt_embed.evaluate import evaluate
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream, from_arrays
from tools.rivals import UORO, Rival, TruncatedBPTT, __main__, tuned
from tools.rivals.gru import Array, Step, initial


@pytest.fixture
def network() -> tuple[Array, Array, Array, Array]:
    """W, U, h and inputs (8, 3)."""
    rng = np.random.default_rng(0)
    W, U = initial(4, 3, rng)
    return 3 * W, 3 * U, rng.normal(size=4), rng.normal(size=(8, 3))


def slopes(function: Any, at: Array) -> Array:
    """Central differences, at.shape + value.shape."""
    found = []
    for index in np.ndindex(at.shape):
        shift = np.zeros_like(at)
        shift[index] = 1e-6
        found.append((function(at + shift) - function(at - shift)) / 2e-6)
    return np.array(found).reshape(*at.shape, *np.shape(found[0]))


def test_the_derivatives_of_a_step_are_those_of_differences(
    network: tuple[Array, Array, Array, Array],
) -> None:
    W, U, h, x = network
    step, rng = Step.of(W, U, h, x[0]), np.random.default_rng(1)
    v, g = rng.normal(size=(2, 4))
    along_h = slopes(lambda at: Step.of(W, U, at, x[0]).after, h)
    np.testing.assert_allclose(step.forward(v), v @ along_h, atol=1e-8)
    before, by_input, by_state = step.backward(g)
    np.testing.assert_allclose(before, along_h @ g, atol=1e-8)
    np.testing.assert_allclose(
        by_input, slopes(lambda at: Step.of(at, U, h, x[0]).after @ g, W), atol=1e-8
    )
    np.testing.assert_allclose(
        by_state, slopes(lambda at: Step.of(W, at, h, x[0]).after @ g, U), atol=1e-8
    )


def loss(W: Array, U: Array, V: Array, x: Array, y: Array) -> float:
    """Half the sum of squared errors over a sequence from a zero state."""
    h, total = np.zeros(U.shape[1]), 0.0
    for u, label in zip(x, y, strict=True):
        h = Step.of(W, U, h, u).after
        total += 0.5 * float(((V @ np.concatenate([h, u]) - label) ** 2).sum())
    return total


def test_backpropagation_has_the_gradient_of_its_span(
    network: tuple[Array, Array, Array, Array],
) -> None:
    W, U, _, x = network
    y = np.random.default_rng(2).normal(size=(8, 2))
    rival = TruncatedBPTT(2, 2, hidden=4, span=9)
    rival.W[...], rival.U[...] = W, U
    rival.V[...] = V = np.random.default_rng(3).normal(size=(2, 7))
    for u, label in zip(x, y, strict=True):
        step = Step.of(rival.W, rival.U, rival.state, u)
        rival.state = step.after
        seen = np.concatenate([rival.state, u])
        rival._learn(step, V @ seen - label, seen)
    for found, at in zip(rival.gradients(), range(3), strict=True):

        def moved(one: Array, at: int = at) -> float:
            weights = [W, U, V]
            weights[at] = one
            return loss(weights[0], weights[1], weights[2], x, y)

        expected = slopes(moved, (W, U, V)[at])
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_uoro_has_the_derivative_as_its_mean(network: tuple[Array, Array, Array, Array]) -> None:
    W, U, _, x = network

    def last(W: Array, U: Array) -> Array:
        h = np.zeros(4)
        for u in x[:4]:
            h = Step.of(W, U, h, u).after
        return h

    drawn = []
    for seed in range(3000):
        rival = UORO(2, 1, hidden=4, seed=seed)
        rival.W[...], rival.U[...] = W, U
        for u in x[:4]:
            step = Step.of(W, U, rival.state, u)
            rival.carry(step)
            rival.state = step.after
        drawn.append(rival.right[1][..., None] * rival.left)
    mean, error = np.mean(drawn, axis=0), np.std(drawn, axis=0) / math.sqrt(len(drawn))
    exact = slopes(lambda at: last(W, at), U)
    assert np.abs(exact).max() > 10 * error.max()
    assert (np.abs(mean - exact) < 5 * error + 1e-12).all()


@pytest.fixture(scope="module")
def stream() -> Stream:
    """The value of two rows before, of which the present one says nothing."""
    x = np.random.default_rng(4).choice([-1.0, 1.0], size=6000)
    return from_arrays(x, np.roll(x, 2))


@pytest.mark.parametrize(("kind", "rate", "most"), [(UORO, 3e-3, 0.93), (TruncatedBPTT, 1e-2, 0.1)])
def test_both_learn_what_needs_a_memory(
    kind: type[Rival], rate: float, most: float, stream: Stream
) -> None:
    curve = evaluate(kind(1, 1, rate=rate, hidden=12), stream, horizon=0).curve(every=1000)
    assert curve.rmse[-1, 0] < most < 0.95 < curve.rmse[0, 0]


@pytest.mark.parametrize("kind", [UORO, TruncatedBPTT])
def test_a_machine_is_forecast_better_than_its_last_value(kind: type[Rival]) -> None:
    machine = simulated_sensor(2500, missing=0.02)
    evaluation = evaluate(tuned(kind, machine, horizon=2), machine, 2)
    assert evaluation.curve(every=500).ratio[-1] < 0.9


def test_pieces_and_single_calls_give_the_same() -> None:
    machine = simulated_sensor(400, missing=0)
    whole, pieces = (TruncatedBPTT(3, 3, max_delay=1, span=7) for _ in range(2))
    at_once = whole.run(machine.inputs, machine.targets, horizon=2)
    cut = [
        pieces.run(machine.inputs[i : i + 90], machine.targets[i : i + 90], horizon=2)
        for i in range(0, 400, 90)
    ]
    np.testing.assert_array_equal(at_once, np.concatenate(cut))


def test_a_span_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="span = 0"):
        TruncatedBPTT(1, 1, span=0)


def test_the_command_compares_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--rows", "300", "--hidden", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert "UORO" in lines[3]
