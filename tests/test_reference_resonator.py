"""The reference's resonators, alone and with gated columns: forward, traces, ranges, start.

Head, filter and moving units with them are in test_reference_columnar.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_reference_columnar import (
    COLUMNAR,
    STEPS,
    H,
    K,
    feed,
    inputs,
    labels,
    layer,
    random_theta,
    still,
    with_head,
)

from nbt_embed import reference as ref
from nbt_embed.reference import Array, ReferenceLearner, Settings, StreamLearner
from nbt_embed.reference import resonator as res
from nbt_embed.reference.rtrl import exact_layer

LAYERS = ("mixed", "resonator")
BAND = np.array([0.0, 0.618034, 1.236068 - 1, 0.0, 2.472136 - 2]) * np.pi  # every third unit: 0


@pytest.fixture(params=LAYERS)
def config(request: pytest.FixtureRequest) -> Settings:
    """A layer with resonators."""
    return layer(replace(COLUMNAR, lags=1), request.param)


def all_slopes(learner: ReferenceLearner) -> Array:
    """The derivative of the learning state, (S, R, D), from the traces of each unit's own rows."""
    config = learner.config
    G, C = config.n_gated, config.n_resonators
    found = np.zeros((config.n_state, config.n_rows, config.n_cols))
    traces = config.of_all(learner.g, learner.estimate.resonance.slopes)
    for row in range(config.n_rows):
        unit = row % H
        found[unit, row] = traces[row].real
        if unit >= G:
            found[unit + C, row] = traces[row].imag
    return found


# ---- forward -------------------------------------------------------------------------------------


def test_the_state_is_that_of_complex_numbers_and_of_gates(config: Settings) -> None:
    theta = random_theta(config, 0.3)
    learner, G = ReferenceLearner(replace(config, max_delay=STEPS), theta), config.n_gated
    h, s = np.zeros(G), np.zeros(H - G, complex)
    for x in inputs():
        learner.predict(x)
        for i in range(G):
            u = np.array([h[i], *x, 1.0])
            z = 1 / (1 + np.exp(-theta[i] @ u))
            h[i] = (1 - z) * h[i] + z * np.tanh(theta[H + i] @ u)
        for i in range(G, H):
            lam = np.exp(-np.exp(theta[i, 0]) + 1j * theta[H + i, 0])
            w = theta[i, 1:] + 1j * theta[H + i, 1:]
            drive = w @ np.append(x, 1.0)
            s[i - G] = lam * s[i - G] + np.sqrt(1 - abs(lam) ** 2) * drive
        np.testing.assert_allclose(learner.state, [*h, *s.real, *s.imag], rtol=1e-11, atol=1e-13)
    assert np.abs(learner.state).min() > 1e-3


def test_head_and_readout_see_both_parts(config: Settings) -> None:
    learner = feed(ReferenceLearner(with_head(still(config))), inputs(), labels(2))
    E, x = 2 * H - config.n_gated, learner.x
    assert learner.theta.shape == (2 * H, config.n_in + 2)
    assert learner.head.shape == (K, E + 3)
    assert learner.readout.shape == (2, E + K + 3)
    phi = np.tanh(learner.head @ [*learner.state, *x, 1.0])
    np.testing.assert_allclose(learner.live_f, [*learner.state, *phi, *x, 1.0], rtol=1e-14)


@pytest.mark.parametrize("kind", [ReferenceLearner, StreamLearner])
def test_the_prior_of_units_is_that_of_both_parts(
    config: Settings, kind: type[ReferenceLearner]
) -> None:
    """Units that follow put the constant and the inputs first in the factors."""
    learner = kind(with_head(replace(config, prior=2.0, prior_hidden=0.1)))
    hidden = 2 * H - config.n_gated + K
    np.testing.assert_array_equal(np.diag(learner.covariance.dense), [0.1] * hidden + [2.0] * 3)
    first, rest = ([2.0] * 3, [0.1] * hidden)
    order = first + rest if kind is StreamLearner else rest + first
    np.testing.assert_array_equal(learner.d, order)


def test_white_inputs_drive_units_alike_whatever_their_time_constant() -> None:
    """Gain n: the variance of s is |w|^2, for a radius near 1 and far from it."""
    theta = np.zeros((2, 4, 3))
    theta[0, :, 0], theta[1, :, 0] = [-4.0, -2.0, 0.0, 1.0], [0.0, 1.0, 2.0, 3.0]
    theta[0, :, 1] = 1.0
    state, squares = np.zeros(8), np.zeros(4)
    for x in np.random.default_rng(1).normal(size=40_000):
        state = res.resonate(theta, state, np.array([x, 0.0]))
        squares += (state.reshape(2, 4) ** 2).sum(axis=0)
    np.testing.assert_allclose(squares / 40_000, 1.0, rtol=0.1)


def test_the_state_is_limited_and_no_derivative_knows(config: Settings) -> None:
    config = still(replace(config, n_in=2))
    theta = random_theta(config, 0.3)
    huge = inputs() * 1e7
    learner = feed(ReferenceLearner(config, theta), huge, labels(2))
    exact = feed(ReferenceLearner(replace(config, estimator="rtrl"), theta), huge, labels(2))
    resonating = learner.state[config.n_gated :]
    assert np.abs(resonating).max() == res.STATE_LIMIT
    np.testing.assert_allclose(all_slopes(learner), exact.G, rtol=1e-10, atol=1e-9)
    assert np.abs(learner.traces[H - 1]).max() > res.STATE_LIMIT


# ---- traces --------------------------------------------------------------------------------------


@pytest.mark.parametrize("filter_", ["sgd", "kalman"])
def test_traces_are_the_exact_derivative(config: Settings, filter_: str) -> None:
    """Under learning too, with a head. rtrl differentiates the step of the whole layer."""
    config = with_head(replace(config, filter=filter_))
    x, y, theta = inputs(), labels(2), random_theta(config, 0.3)
    snap1 = feed(ReferenceLearner(config, theta), x, y)
    rtrl = feed(ReferenceLearner(replace(config, estimator="rtrl"), theta), x, y)
    assert np.abs(snap1.theta - theta).max(axis=1).min() > 1e-6
    for name in ("theta", "head", "readout", "P", "state"):
        ours, theirs = getattr(snap1, name), getattr(rtrl, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(all_slopes(snap1), rtrl.G, rtol=1e-10, atol=1e-12)


def test_traces_are_the_derivative_of_the_unrolled_network(config: Settings) -> None:
    config = still(replace(config, lags=2))
    theta = random_theta(config, 0.3)
    learner = feed(ReferenceLearner(config, theta), inputs(), labels(2))

    def last_state(at: Array) -> Array:
        return feed(ReferenceLearner(config, at), inputs(), labels(2)).learning_state

    numeric = np.moveaxis(ref.numeric_derivative(last_state, theta, 1e-5), -1, 0)
    assert np.abs(numeric).max(axis=(0, 2)).min() > 0.01
    np.testing.assert_allclose(all_slopes(learner), numeric, rtol=0, atol=1e-8)


def test_the_arrays_of_the_kernel_hold_all_of_them(config: Settings) -> None:
    learner = feed(ReferenceLearner(config), inputs(), labels(2))
    G, angle = learner.estimate.resonance.G, learner.estimate.resonance.angle
    first = config.n_gated
    np.testing.assert_array_equal(learner.traces[first:H] + 1j * learner.traces[H + first :], G)
    np.testing.assert_array_equal(learner.angle_traces[0] + 1j * learner.angle_traces[1], angle)
    np.testing.assert_array_equal(learner.traces[:first], learner.g[:first])
    learner.reset_state()
    for cleared in (learner.traces, learner.angle_traces, learner.state):
        assert not cleared.any()


@pytest.mark.parametrize("cell", ["tanh", "leaky", "gated", "lstm", "columnar"])
def test_a_differentiated_step_says_the_same_as_the_cell(cell: str) -> None:
    config = still(replace(COLUMNAR, cell=cell, estimator="rtrl"))
    learner = feed(ReferenceLearner(config, random_theta(config, 0.5)), inputs(), labels(2))
    layer = learner.layer(learner.x)
    G = exact_layer(learner.G, layer, learner.learning_state, learner.theta)
    learner.advance_estimate(learner.x)
    assert np.abs(G).max() > 0.1
    np.testing.assert_allclose(learner.G, G, rtol=1e-12, atol=1e-14)


# ---- ranges --------------------------------------------------------------------------------------


@pytest.mark.parametrize("filter_", ["sgd", "kalman", "kalman_quasi"])
def test_a_change_keeps_nu_and_omega_in_their_ranges(config: Settings, filter_: str) -> None:
    config = replace(config, filter=filter_, sgd_rate=0.05, rate=10.0)
    theta = random_theta(config, 0.3)
    gates, resonating = config.of_kinds(theta)
    at_bounds = np.tile([[-7.0, 1.0], [0.0, np.pi]], config.n_resonators // 2)
    resonating[:, :, 0] = at_bounds
    learner = ReferenceLearner(config, config.of_all(gates, resonating))
    seen: list[Array] = []
    for x, y in zip(inputs(), labels(2), strict=True):
        learner.predict(x)
        learner.learn(y)
        seen.append(config.of_kinds(learner.theta)[1][:, :, 0])
    moved = np.moveaxis(np.array(seen), 1, 0)  # (2, STEPS, C)
    assert (moved != at_bounds[:, None]).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(moved.min(axis=(1, 2)), [-7.0, 0.0])
    np.testing.assert_array_equal(moved.max(axis=(1, 2)), [1.0, np.pi])


def test_a_change_that_stays_inside_is_made_exactly(config: Settings) -> None:
    learner = ReferenceLearner(config)
    theta = learner.theta
    change = np.random.default_rng(1).uniform(0, 0.1, size=theta.shape)
    learner.move_theta(change)
    np.testing.assert_array_equal(learner.theta, theta + change)


# ---- start ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("resonators", [1, 2, 5])
def test_resonators_start_log_spaced_and_spread_over_the_band(resonators: int) -> None:
    config = replace(COLUMNAR, n_hidden=6, resonators=resonators, tau_min=2.0, tau_max=50.0)
    gates, (a, b) = config.of_kinds(ReferenceLearner(config).theta)
    tau = 2.0 * 25.0 ** (np.arange(resonators) / max(resonators - 1, 1))
    tau = tau if resonators > 1 else np.array([10.0])
    np.testing.assert_allclose(np.exp(-np.exp(a[:, 0])), np.exp(-1 / tau), rtol=1e-12)
    np.testing.assert_allclose(b[:, 0], BAND[:resonators], atol=1e-9)
    columns = 6 - resonators
    tau = 2.0 * 25.0 ** (np.arange(columns) / max(columns - 1, 1))
    tau = tau if columns > 1 else np.array([10.0])
    np.testing.assert_allclose(1 + np.exp(-gates[:columns, -1]), tau, rtol=1e-12)


def test_resonators_take_the_draws_of_the_columns_that_they_replace() -> None:
    plain = ReferenceLearner(COLUMNAR)
    for resonators in (1, 3, 4):
        learner = ReferenceLearner(replace(COLUMNAR, resonators=resonators))
        np.testing.assert_array_equal(learner.theta[:, 1:-1], plain.theta[:, 1:-1])
        theirs = plain.theta[2 * H - resonators :, -1]  # the other row has a time constant instead
        ours = learner.theta[2 * H - resonators :, -1]
        np.testing.assert_allclose(ours, 0.3 * theirs, rtol=1e-12)
        assert learner.generator.words == plain.generator.words


def test_slow_units_start_inside_the_range() -> None:
    config = replace(COLUMNAR, cell="resonator", tau_max=1e6)
    a, _ = config.of_kinds(ReferenceLearner(config).theta)[1]
    assert a[:, 0].min() == -7.0


def test_all_of_a_columnar_layer_may_be_resonators() -> None:
    """The cell resonator is the short form."""
    mixed = replace(COLUMNAR, resonators=H, lags=1)
    alone = replace(COLUMNAR, cell="resonator", lags=1)
    learners = [feed(ReferenceLearner(c), inputs(), labels(2)) for c in (mixed, alone)]
    for name in ("theta", "readout", "traces", "angle_traces", "P", "state"):
        ours, theirs = (getattr(learner, name) for learner in learners)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("estimator", ["nobacktrack", "residual", "unitwise"])
def test_estimators_of_what_is_exact_are_refused(config: Settings, estimator: str) -> None:
    with pytest.raises(ValueError, match=f"{estimator}.*{config.cell}.*choose the estimator snap1"):
        ReferenceLearner(replace(config, estimator=estimator))


# ---- learning ------------------------------------------------------------------------------------


def test_a_resonator_learns_the_frequency_of_its_input() -> None:
    """A noisy tone, one lag: what helps is a rotation of the right angle and a long memory."""
    config = Settings(
        1, 1, 2, cell="resonator", estimator="snap1", scale_steps=0, rate=10.0, tau_max=10.0,
        info_floor=0.01,
    )  # fmt: skip
    rng = np.random.default_rng(2)
    tone = np.sin(1.0 * np.arange(3001) + 0.3)[:, None]
    x = tone + rng.normal(size=tone.shape)

    def late(settings: Settings) -> tuple[float, Array]:
        learner, errors = ReferenceLearner(settings), []
        for t in range(3000):
            errors.append(learner.predict(x[t]) - tone[t + 1])
            learner.learn(x[t + 1])
        return float(np.mean(np.square(errors[-500:]))), learner.theta[2:, 0]

    learnt, omega = late(config)
    frozen, start = late(still(config))
    assert learnt < 0.5 * frozen
    assert np.abs(omega - 1.0).min() < 0.05 < np.abs(start - 1.0).min()
