"""The reference's columnar cell and head: exact derivatives, and one Kalman filter over all.

Tests of a head and of the filter are of layers with resonators too; what those do by themselves is
in test_reference_resonator.py.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from reference_cases import CELLS, LINKS, ONE_STATE, link_case, log_likelihood

from nbt_embed import reference as ref
from nbt_embed.reference import Array, ReferenceLearner, Settings, StreamLearner
from nbt_embed.reference.filter import of_head_turn, of_turn
from nbt_embed.reference.units import Change

ALONE = ("columnar", "mixed", "resonator")
H, N_IN, LAGS, K, STEPS = 4, 2, 2, 3, 40
Z = H + N_IN * LAGS + 1
COLUMNAR = Settings(
    N_IN, 2, H, lags=LAGS, cell="columnar", estimator="snap1", scale_steps=0, tau_max=10.0
)
CELLS_AND_ESTIMATORS = [
    (cell, estimator)
    for cell, estimator in product(CELLS, ref.ESTIMATORS)
    if cell in ONE_STATE or not ref.ESTIMATORS[estimator].traces
] + list(product(("columnar", "mixed", "resonator"), ("frozen", "snap1", "rtrl")))


def layer(config: Settings, cell: str) -> Settings:
    """Take a cell, or "mixed": as many columns as resonators."""
    if cell == "mixed":
        return replace(config, cell="columnar", resonators=H // 2)
    return replace(config, cell=cell)


def with_head(config: Settings) -> Settings:
    """Put a head of K units in front of the readout."""
    return replace(config, head=K, head_gain=1.0)


def still(config: Settings) -> Settings:
    """Let the recurrent parameters stay as they are."""
    return replace(config, rate=0.0, sgd_rate=0.0)


def inputs(seed: int = 1) -> Array:
    """Inputs (STEPS, N_IN)."""
    return np.random.default_rng(seed).normal(size=(STEPS, N_IN))


def labels(n_out: int, seed: int = 2) -> Array:
    """Labels (STEPS, n_out)."""
    return np.random.default_rng(seed).normal(size=(STEPS, n_out))


def random_theta(config: Settings, scale: float) -> Array:
    """Parameters (R, D) under which gates and nonlinearities matter."""
    shape = config.n_rows, config.n_cols
    theta = np.asarray(np.random.default_rng(7).normal(scale=scale, size=shape))
    gates, resonating = config.of_kinds(theta)
    resonating[:, :, 0] += np.array([[-1.0], [1.5]])
    return config.of_all(gates, resonating)


def feed(learner: ReferenceLearner, x: Array, y: Array) -> ReferenceLearner:
    """Predict and learn row after row."""
    for sample, label in zip(x, y, strict=True):
        learner.predict(sample)
        learner.learn(label)
    return learner


def own_unit(G: Array) -> Array:
    """Of ds/dtheta (H, R, D), that of each row's own unit, (R, D)."""
    rows = np.arange(G.shape[1])
    return np.asarray(G[rows % H, rows])


# ---- columnar ------------------------------------------------------------------------------------


def test_each_row_sees_its_own_unit_the_inputs_and_1() -> None:
    learner = ReferenceLearner(COLUMNAR)
    assert learner.theta.shape == (2 * H, N_IN * LAGS + 2)
    assert learner.readout.shape == (2, Z)
    state, x = np.linspace(-0.9, 0.9, H), np.arange(1.0, 1 + N_IN * LAGS)
    u, _ = learner.forward(state, x)
    for row in range(2 * H):
        np.testing.assert_array_equal(u[row], [state[row % H], *x, 1.0])


@pytest.mark.parametrize("filter_", ["sgd", "kalman", "kalman_quasi"])
def test_own_unit_traces_are_the_exact_derivative(filter_: str) -> None:
    """Under learning too, which moves both learners in the same way."""
    config = replace(COLUMNAR, filter=filter_, lags=1)
    x, y, theta = inputs(), labels(2), random_theta(config, 0.3)
    snap1 = feed(ReferenceLearner(config, theta), x, y)
    rtrl = feed(ReferenceLearner(replace(config, estimator="rtrl"), theta), x, y)
    assert np.abs(snap1.theta - theta).max() > 1e-5
    for name in ("theta", "readout", "P", "state"):
        ours, theirs = getattr(snap1, name), getattr(rtrl, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(snap1.g, own_unit(rtrl.G), rtol=1e-10, atol=1e-13)
    others = rtrl.G.copy()
    others[np.arange(2 * H) % H, np.arange(2 * H)] = 0.0
    assert not others.any()


def test_a_columnar_network_is_a_gated_one_whose_units_do_not_see_each_other() -> None:
    config = still(replace(COLUMNAR, lags=1))
    theta = random_theta(config, 0.3)
    columnar = feed(ReferenceLearner(config, theta), inputs(), labels(2))
    gated = ReferenceLearner(
        replace(config, cell="gated", estimator="rtrl"), theta=columnar.wide_theta
    )
    feed(gated, inputs(), labels(2))
    np.testing.assert_allclose(columnar.state, gated.state, rtol=1e-12)
    narrow = np.take_along_axis(own_unit(gated.G), config.columns, axis=1)
    np.testing.assert_allclose(columnar.g, narrow, rtol=1e-10, atol=1e-13)


def test_traces_are_the_derivative_of_the_unrolled_network() -> None:
    config = still(COLUMNAR)
    theta = random_theta(config, 0.3)
    learner = feed(ReferenceLearner(config, theta), inputs(), labels(2))

    def last_state(at: Array) -> Array:
        return feed(ReferenceLearner(config, at), inputs(), labels(2)).learning_state

    numeric = np.moveaxis(ref.numeric_derivative(last_state, theta, 1e-5), -1, 0)
    assert np.abs(learner.g).max() > 0.1
    np.testing.assert_allclose(learner.g, own_unit(numeric), rtol=0, atol=1e-8)


def test_the_clamp_is_all_that_keeps_traces_from_the_derivative() -> None:
    """A unit that feeds itself by more than 1: its traces stay bounded instead of exact."""
    config = still(replace(COLUMNAR, lags=1))
    theta = 0.1 * random_theta(config, 0.3)
    theta[H:, 0] = 3.0
    theta[:H, -1] = 1.0
    short = inputs()[:4] * 0.01
    learner = feed(ReferenceLearner(config, theta), short, labels(2)[:4])
    exact = feed(ReferenceLearner(replace(config, estimator="rtrl"), theta), short, labels(2)[:4])
    carry = np.diag(ref.jacobian(learner.forward(learner.state, learner.x)[1], learner.wide_theta))
    assert (carry > 1).any()
    assert np.abs(own_unit(exact.G)).max() > 1.5 * np.abs(learner.g).max()


@pytest.mark.parametrize("estimator", ["nobacktrack", "residual", "unitwise"])
def test_estimators_of_what_is_exact_are_refused(estimator: str) -> None:
    with pytest.raises(ValueError, match=f"{estimator}.*columnar.*choose the estimator snap1"):
        ReferenceLearner(replace(COLUMNAR, estimator=estimator))


# ---- head ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("cell", [*CELLS, "columnar", "mixed", "resonator"])
@pytest.mark.slow
def test_the_head_and_what_is_behind_it_climb_the_likelihood(cell: str, link: str) -> None:
    """Plain gradient steps on theta and head against finite differences of the unrolled network."""
    estimator = "rtrl" if cell in CELLS else "snap1"
    config = with_head(replace(COLUMNAR, n_out=4, estimator=estimator, link=link))
    config = layer(replace(config, filter="sgd"), cell)
    theta = random_theta(config, 0.4)
    case, x = replace(link_case(link, "none"), noise=np.ones(4)), inputs()[:8]
    V = np.random.default_rng(4).normal(size=(4, config.n_features))
    start = ReferenceLearner(config, theta)

    def unlabelled(at: Array, head: Array) -> ReferenceLearner:
        """The learner before the last label."""
        learner = ReferenceLearner(config, at)
        learner.head, learner.readout = head, V
        missing = np.full((len(x) - 1, case.label.size), np.nan)
        feed(learner, x[:-1], missing).predict(x[-1])
        return learner

    def likelihood(at: Array, head: Array) -> Array:
        return log_likelihood(case, V @ unlabelled(at, head).live_f)

    learner = unlabelled(theta, start.head)
    learner.learn(case.label)
    along_theta = ref.numeric_derivative(lambda at: likelihood(at, start.head), theta, 1e-5)
    along_head = ref.numeric_derivative(lambda at: likelihood(theta, at), start.head, 1e-5)
    assert min(np.abs(along_theta).max(), np.abs(along_head).max()) > 0.01
    rate = config.sgd_rate
    np.testing.assert_allclose(learner.theta - theta, rate * along_theta[:, :, 0], atol=1e-8)
    np.testing.assert_allclose(learner.head - start.head, rate * along_head[:, :, 0], atol=1e-8)


def state_slopes(learner: ReferenceLearner) -> Array:
    """Derivatives of what the readout sees of the state, (E, R, D), from the kernel's arrays."""
    config = learner.config
    slope, G, C = learner.G[: config.n_seen].copy(), config.n_gated, config.n_resonators
    for row in range(config.n_rows):
        unit = row % H
        if unit < G:
            v = learner.v[unit] if config.estimator == "unitwise" else learner.v[: config.n_seen]
            slope[:, row] += np.outer(v, learner.w[row])
            slope[unit, row] += learner.traces[row]
            continue
        along_p, along_q = learner.traces[unit].copy(), learner.traces[H + unit].copy()
        if row >= H:  # omega and w_b turn by a right angle what w_a does
            along_p, along_q = -along_q, along_p
            along_p[0], along_q[0] = learner.angle_traces[:, unit - G]
        slope[unit, row] += along_p
        slope[unit + C, row] += along_q
    return slope


@pytest.mark.parametrize("n_waiting", [1, 3])
@pytest.mark.parametrize(("cell", "estimator"), CELLS_AND_ESTIMATORS)
def test_the_step_is_the_dense_extended_kalman_filter(
    cell: str, estimator: str, n_waiting: int
) -> None:
    """Readouts, theta and head as one vector with a block-diagonal covariance."""
    config = with_head(Settings(2, 2, H, lags=2, max_delay=2, estimator=estimator))
    config = layer(config, cell)
    E = config.n_seen
    learner, rng = ReferenceLearner(config), np.random.default_rng(1)
    for _ in range(n_waiting - 1):
        learner.predict(rng.normal(size=2))
    feed(learner, rng.normal(size=(20, 2)), rng.normal(size=(20, 2)))
    V, P, head_P, r = learner.readout, learner.P, learner.head_P, learner.noise
    C, theta, head = learner.covariance.dense, learner.theta, learner.head
    label, labels = rng.normal(size=2), learner.labelled_steps
    learner.predict(rng.normal(size=2))
    x = learner.waiting[0]
    learner.learn(label)

    h = learner.learning_state[:E]
    z = np.concatenate([h, x, [1.0]])
    phi = np.tanh(head @ z)
    f = np.concatenate([h, phi, x, [1.0]])
    # d phi / d h, then d (V f) / d h, both written out.
    phi_h = (1 - phi**2)[:, None] * head[:, :E]
    along_h = V[:, :E] + V[:, E : E + K] @ phi_h
    slope = np.tensordot(along_h, state_slopes(learner), 1).reshape(2, -1)
    assert slope.any() == (estimator != "frozen")
    head_slope = np.einsum("ok,k,j->okj", V[:, E : E + K], 1 - phi**2, z).reshape(2, -1)

    step = config.rate * config.info_rate / n_waiting
    blocks = [r[0] * C, r[1] * C, np.diag(step * P.ravel()), np.diag(step * head_P.ravel())]
    size = sum(len(block) for block in blocks)
    covariance, at = np.zeros((size, size)), 0
    for block in blocks:
        covariance[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    all_slopes = np.hstack([np.kron(np.eye(2), f), slope, head_slope])
    error = learner.label_scaler.scale(label) - V @ f
    gain = covariance @ all_slopes.T
    gain = gain @ np.linalg.inv(all_slopes @ gain + np.diag(r))
    moved = [learner.readout - V, learner.theta - theta, learner.head - head]
    moved_all = np.concatenate([part.ravel() for part in moved])
    np.testing.assert_allclose(moved_all, gain @ error, rtol=1e-7, atol=1e-12)
    assert np.abs(moved[2]).max() > 1e-7

    of_theta = of_turn(P.shape, labels, H if cell in ALONE else None)
    of_head = of_head_turn(head_P.shape, labels)
    for before, after, along, now in (
        (P, learner.P, slope, of_theta),
        (head_P, learner.head_P, head_slope, of_head),
    ):
        information = 1 / before - config.info_floor
        seen = (along**2 / r[:, None]).sum(axis=0).reshape(before.shape)
        information += 2 * config.info_rate * (seen - information)
        expected = np.where(now, 1 / (information + config.info_floor), before)
        np.testing.assert_allclose(after, expected, rtol=1e-9)


@pytest.mark.parametrize("cols", [1, 2, 5, 8])
def test_each_variance_has_its_turn_at_one_of_two_labels(cols: int) -> None:
    for first, second in (
        (of_turn((6, cols), 0), of_turn((6, cols), 1)),
        (of_turn((6, cols), 0, 3), of_turn((6, cols), 1, 3)),
        (of_head_turn((6, cols), 0), of_head_turn((6, cols), 1)),
    ):
        np.testing.assert_array_equal(first, np.logical_not(second))
    np.testing.assert_array_equal(of_turn((4, cols), 7, 2)[:, 0], [False, False, True, True])
    np.testing.assert_array_equal(of_head_turn((4, 5), 3)[0], [True, True, True, False, False])


def test_without_units_the_head_learns_from_the_inputs_alone() -> None:
    """A product of two inputs, of which a linear model sees nothing."""
    config = Settings(2, 1, 0, estimator="frozen", head=8, head_gain=1.0, scale_steps=0)
    config = replace(config, prior_hidden=1.0, rate=10.0, info_floor=0.01)
    x = np.random.default_rng(3).normal(size=(1500, 2))
    y = np.clip(x[:, :1] * x[:, 1:], -2, 2)

    def late_error(settings: Settings) -> float:
        learner, errors = ReferenceLearner(settings), []
        for sample, label in zip(x, y, strict=True):
            errors.append(learner.predict(sample)[0] - label[0])
            learner.learn(label)
        return float(np.mean(np.square(errors[-500:])) / y.var())

    frozen = late_error(still(config))
    assert late_error(replace(config, head=0, head_gain=0.0)) > 0.9
    assert frozen < 0.8  # random features help
    assert late_error(config) < 0.6 * frozen


def test_without_a_head_the_generator_draws_nothing_for_it() -> None:
    plain = ReferenceLearner(replace(COLUMNAR, estimator="frozen"))
    headed = ReferenceLearner(with_head(replace(COLUMNAR, estimator="frozen")))
    np.testing.assert_array_equal(plain.theta, headed.theta)
    generator = ref.Generator(0)
    for _ in range(plain.theta.size):
        generator.word()
    assert generator.words == plain.generator.words
    assert headed.head.shape == (K, Z)


# ---- units that follow ---------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["gated", "columnar", "mixed", "resonator"])
def test_moving_units_leave_forecasts_where_they_are(cell: str) -> None:
    """The head sees live units: what is re-expressed is the readout on x alone."""
    config = Settings(
        2, 1, H, lags=2, estimator="snap1", follow=True, anchor=(0,),
        scale_rate=2e-3, gate=5.0, prior_units=True, slow_forget=0.9998, mix_forget=0.998,
    )  # fmt: skip
    config = with_head(layer(config, cell))
    learner, rng = StreamLearner(config), np.random.default_rng(5)
    x = np.cumsum(rng.normal(size=(300, 2)), axis=0)
    for t in range(300):
        learner.predict(x[t])
        learner.learn(x[min(t + 1, 299), :1])
    f, head = learner.live_f.copy(), learner.head.copy()
    before = learner.readout @ f, learner.spread(f)
    a, b = 0.5, 0.3
    learner.move_input(1, Change(0.0, 0.0, a, b))
    places = config.n_seen + K + 1 + 2 * np.arange(2)
    f[places] = a * f[places] + b
    np.testing.assert_allclose(learner.readout @ f, before[0], rtol=1e-9)
    np.testing.assert_allclose(learner.spread(f), before[1], rtol=1e-7)
    np.testing.assert_array_equal(learner.head, head)
