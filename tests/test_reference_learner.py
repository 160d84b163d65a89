"""The reference's whole learner: cases known in closed form, delays, missing values."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from reference_cases import (
    CELLS,
    LINKS,
    NORMS,
    ONE_STATE,
    STEPS,
    H,
    I,
    dense_quasi_diagonal,
    exact,
    link_case,
    log_likelihood,
    network,
)

from nbt_embed import reference as ref
from nbt_embed.reference import Array, ReferenceLearner, Settings
from nbt_embed.reference.cells import gated
from nbt_embed.reference.covariance import ud_product
from nbt_embed.reference.filter import of_turn
from nbt_embed.reference.start import time_constants


def random_label(link: str, rng: np.random.Generator, n_out: int) -> Array:
    """Draw one label of the link."""
    if link == "categorical":
        return np.array([float(rng.integers(n_out))])
    return rng.normal(size=n_out) if link == "gaussian" else rng.random(n_out).round()


FILTERS = ("sgd", "kalman", "kalman_quasi")


def allowed(cell: str, estimator: str) -> bool:
    """Traces need one state float per unit."""
    return cell in ONE_STATE or not ref.ESTIMATORS[estimator].traces


CELLS_AND_ESTIMATORS = [both for both in product(CELLS, ref.ESTIMATORS) if allowed(*both)]
CONFIGURATIONS = [
    (*both, *rest) for both, rest in product(CELLS_AND_ESTIMATORS, product(NORMS, FILTERS, LINKS))
]


@pytest.mark.parametrize(("cell", "estimator", "norm", "filter_", "link"), CONFIGURATIONS)
def test_every_configuration_learns_and_stays_finite(
    cell: str, estimator: str, norm: str, filter_: str, link: str
) -> None:
    config = Settings(
        2,
        3,
        4,
        lags=2,
        max_delay=1,
        cell=cell,
        estimator=estimator,
        norm=norm,
        filter=filter_,
        link=link,
        scale_steps=10,
    )
    learner, rng = ReferenceLearner(config), np.random.default_rng(1)
    first = learner.theta
    for _ in range(30):
        y = learner.predict(rng.normal(size=2))
        learner.learn(random_label(link, rng, 3))
        assert np.isfinite(y).all()
    for name in ("theta", "readout", "v", "w", "g", "kappa", "G", "P", "d"):
        assert np.isfinite(getattr(learner, name)).all(), name
    assert np.abs(learner.readout).max() > 0
    assert (learner.theta == first).all() == (estimator == "frozen")
    rank_one = estimator in ("nobacktrack", "residual", "unitwise")
    assert learner.w.any() == learner.v.any() == rank_one
    assert learner.g.any() == ref.ESTIMATORS[estimator].traces
    assert learner.kappa.any() == (estimator == "residual")
    assert learner.G.any() == (estimator == "rtrl")


def test_frozen_gaussian_readout_is_exact_ridge_regression() -> None:
    config = Settings(
        2, 1, 5, estimator="frozen", forget=1.0, scale_steps=0, prior=4.0, prior_hidden=0.5
    )
    learner, rng = ReferenceLearner(config), np.random.default_rng(1)
    features, labels = [], []
    for _ in range(80):
        learner.predict(rng.normal(size=2))
        features.append(learner.live_f)
        labels.append(rng.normal())
        learner.learn(labels[-1])
    A = np.array(features)
    solved = np.linalg.solve(A.T @ A + np.diag(1 / learner.d0), A.T @ np.array(labels))
    np.testing.assert_allclose(learner.readout[0], solved, rtol=1e-7)


@pytest.mark.parametrize("filter_", ["kalman", "kalman_quasi"])
@pytest.mark.parametrize("n_waiting", [1, 3])
@pytest.mark.parametrize(("cell", "estimator"), CELLS_AND_ESTIMATORS)
def test_kalman_step_is_the_dense_extended_kalman_filter(
    cell: str, estimator: str, n_waiting: int, filter_: str
) -> None:
    config = Settings(2, 2, 3, lags=2, max_delay=2, cell=cell, estimator=estimator, filter=filter_)
    learner, rng = ReferenceLearner(config), np.random.default_rng(1)
    for _ in range(n_waiting - 1):
        learner.predict(rng.normal(size=2))
    for _ in range(20):
        learner.predict(rng.normal(size=2))
        learner.learn(rng.normal(size=2))
    V, P, M, cross, r = learner.readout, learner.P, learner.M, learner.cross, learner.noise
    C, theta = ud_product(learner.U, learner.d), learner.theta
    label = rng.normal(size=2)
    learner.predict(rng.normal(size=2))
    x = learner.waiting[0]
    learner.learn(label)
    f = ref.with_input(learner.learning_state[:3], x)

    # What the estimate says of dh/dtheta, unit by unit: (H, R, D).
    slope_h = learner.G[:3].copy()
    for row in range(len(theta)):
        v = learner.v[row % 3] if estimator == "unitwise" else learner.v[:3]
        slope_h[:, row] += np.outer(v, learner.w[row])
        slope_h[row % 3, row] += learner.g[row]
    slope = np.tensordot(V[:, :3], slope_h, 1).reshape(2, -1)
    assert slope.any() == (estimator != "frozen")

    # All parameters in one vector [V_0; V_1; theta], their covariance and their derivative.
    n_cols = config.n_cols
    covariance = np.zeros((2 * n_cols + P.size,) * 2)
    for o in range(2):
        covariance[o * n_cols : (o + 1) * n_cols, o * n_cols : (o + 1) * n_cols] = r[o] * C
    step = config.rate * config.info_rate / n_waiting
    recurrent = np.diag(P.ravel()) if filter_ == "kalman" else dense_quasi_diagonal(M, cross)
    covariance[2 * n_cols :, 2 * n_cols :] = step * recurrent
    all_slopes = np.hstack([np.kron(np.eye(2), f), slope])
    error = learner.label_scaler.scale(label) - V @ f
    innovation_covariance = all_slopes @ covariance @ all_slopes.T + np.diag(r)
    gain = covariance @ all_slopes.T @ np.linalg.inv(innovation_covariance)
    moved = np.concatenate([(learner.readout - V).ravel(), (learner.theta - theta).ravel()])
    np.testing.assert_allclose(moved, gain @ error, rtol=1e-7, atol=1e-12)

    # The information follows H^T Lambda H: its diagonal, and the entries of the bias column.
    seen = (slope**2 / r[:, None]).sum(axis=0).reshape(P.shape)
    if filter_ == "kalman_quasi":
        by_row = slope.reshape(2, *P.shape)
        with_bias = (by_row * by_row[:, :, -1:] / r[:, None, None]).sum(axis=0)
        M = M + config.info_rate * (seen + config.info_floor - M)
        np.testing.assert_allclose(learner.M, M, rtol=1e-9)
        cross = cross + config.info_rate * (with_bias - cross)
        np.testing.assert_allclose(learner.cross, cross, rtol=1e-9, atol=1e-15)
        return
    information = 1 / P - config.info_floor
    information += 2 * config.info_rate * (seen - information)
    now = of_turn(P.shape, learner.labels_learnt - 1)
    expected = np.where(now, 1 / (information + config.info_floor), P)
    np.testing.assert_allclose(learner.P, expected, rtol=1e-9)


@pytest.mark.parametrize(("cell", "filter_", "link"), list(product(ONE_STATE, FILTERS, LINKS)))
def test_residual_that_forgets_at_once_is_snap1(cell: str, filter_: str, link: str) -> None:
    config = Settings(
        2, 3, 4, max_delay=1, cell=cell, filter=filter_, link=link, scale_steps=10, decay=0.0
    )
    pair = [ReferenceLearner(replace(config, estimator=name)) for name in ("snap1", "residual")]
    rng = np.random.default_rng(1)
    first = pair[0].theta
    for _ in range(100):
        x, label = rng.normal(size=2), random_label(link, rng, 3)
        for learner in pair:
            learner.predict(x)
            learner.learn(label)
        for name in ("theta", "readout", "g", "P", "state"):
            snap1, residual = (getattr(learner, name) for learner in pair)
            np.testing.assert_allclose(residual, snap1, rtol=1e-12, atol=1e-12)
    assert np.abs(pair[0].theta - first).max() > 1e-4  # the comparison has something to see
    assert pair[1].w.any()
    assert not pair[1].v.any()


def test_traces_need_one_state_float_per_unit() -> None:
    for estimator in ("snap1", "residual", "unitwise"):
        with pytest.raises(ValueError, match="cell is 'lstm'"):
            ReferenceLearner(Settings(1, 1, 2, cell="lstm", estimator=estimator))
    with pytest.raises(ValueError, match="choose one of"):
        ReferenceLearner(Settings(1, 1, 2, estimator="residuals"))


@pytest.mark.parametrize("filter_", FILTERS)
@pytest.mark.parametrize("cell", CELLS)
def test_rtrl_carries_the_exact_derivative(cell: str, filter_: str) -> None:
    config = Settings(
        I, 2, H, cell=cell, estimator="rtrl", filter=filter_, rate=0.0, sgd_rate=0.0, scale_steps=0
    )
    net, rng = network(cell), np.random.default_rng(1)
    net = replace(net, leak=1 / time_constants(config, config.n_hidden))
    learner, s, G = ReferenceLearner(config, net.theta), net.start, 0 * exact(net)
    for t in range(STEPS):
        learner.predict(net.x[t])
        learner.learn(rng.normal(size=2))
        u, step = net.step(t, s, net.theta)
        G = np.moveaxis(ref.exact_rtrl(np.moveaxis(G, -1, 0), u, step, net.theta), 0, -1)
        s = step.state
        np.testing.assert_allclose(np.moveaxis(learner.G, 0, -1), G, rtol=1e-12, atol=1e-14)
    numeric = ref.numeric_derivative(lambda theta: net.unroll(theta, net.start), net.theta, 1e-5)
    np.testing.assert_allclose(np.moveaxis(learner.G, 0, -1), numeric, rtol=0, atol=1e-6)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("cell", CELLS)
def test_rtrl_under_sgd_climbs_the_likelihood(cell: str, link: str) -> None:
    config = Settings(I, 4, H, cell=cell, estimator="rtrl", filter="sgd", link=link, scale_steps=0)
    net = replace(network(cell), leak=1 / time_constants(config, config.n_hidden))
    learner = ReferenceLearner(config, net.theta)
    learner.readout = np.random.default_rng(4).normal(size=(4, config.n_cols))
    case = replace(link_case(link, "none"), noise=np.ones(4))
    readout = learner.readout
    for t in range(STEPS):  # parameters stay until the last label
        learner.predict(net.x[t])
        learner.learn(case.label if t == STEPS - 1 else np.full(case.label.shape, np.nan))

    def likelihood(theta: Array) -> Array:
        h = net.unroll(theta, net.start)[:H]
        return log_likelihood(case, readout @ ref.with_input(h, net.x[-1]))

    slope = ref.numeric_derivative(likelihood, net.theta, 1e-5)[:, :, 0]
    assert np.abs(slope).max() > 0.01
    np.testing.assert_allclose(learner.theta - net.theta, config.sgd_rate * slope, atol=1e-8)


@pytest.mark.parametrize("norm", NORMS)
def test_residual_remembers_norms_and_one_column_a_step(norm: str) -> None:
    config = Settings(2, 1, 3, estimator="residual", norm=norm, info_rate=0.1)
    learner, rng = ReferenceLearner(config), np.random.default_rng(1)
    for t in range(7):
        P, theta, s, kappa = learner.P, learner.theta, learner.learning_state, learner.kappa
        learner.predict(rng.normal(size=2))
        learner.learn(rng.normal())
        x = learner.x

        def advance(at: Array, theta: Array = theta, x: Array = x) -> Array:
            return gated(theta @ ref.with_input(at, x), at, np.zeros(3)).state

        column = ref.numeric_derivative(advance, s, 1e-5)[t % 3]
        others = np.arange(3) != t % 3
        np.testing.assert_allclose(learner.kappa[t % 3], np.linalg.norm(column[others]), rtol=1e-6)
        np.testing.assert_array_equal(learner.kappa[others], kappa[others])
        g = np.sqrt(P) * learner.g  # the filter's metric, whatever the norm of nobacktrack
        np.testing.assert_allclose(
            learner.estimate.balance.norm_w, np.linalg.norm(np.sqrt(P) * learner.w), rtol=1e-12
        )
        np.testing.assert_allclose(
            learner.estimate.balance.norm_g, [np.linalg.norm(g[i::3]) for i in range(3)], rtol=1e-12
        )
    assert np.abs(learner.P - P).max() > 1e-3  # the metric before and after differ
    learner.reset_state()
    np.testing.assert_array_equal(learner.kappa, 1.0)
    assert not learner.g.any()


@pytest.mark.parametrize(("norm", "filter_"), list(product(NORMS, FILTERS)))
def test_unitwise_measures_in_the_metric_of_the_filter(norm: str, filter_: str) -> None:
    config = Settings(2, 1, 3, estimator="unitwise", norm=norm, filter=filter_, decay=0.9)
    config = replace(config, info_rate=0.1)
    learner, rng = ReferenceLearner(config), np.random.default_rng(1)
    for _ in range(7):
        start = learner.v, learner.w, learner.g
        s, theta, metric = learner.learning_state, learner.theta, learner.metric
        generator = ref.Generator(0)
        generator.words = learner.generator.words
        learner.predict(rng.normal(size=2))
        learner.learn(rng.normal())
        u = ref.with_input(s, learner.x)
        step = gated(theta @ u, s, np.zeros(3))
        moved = ref.unitwise_update(*start, u, step, theta, generator.signs(3), 0.9, metric)
        for name, value in zip(("v", "w", "g"), moved, strict=True):
            np.testing.assert_array_equal(getattr(learner, name), value)
    assert (np.std(metric.P) == 0) == (filter_ == "sgd")


def test_unitwise_is_exact_for_a_single_unit() -> None:
    # One state: everything has rank one, whatever the sign. J_t starts above 1, so there is a rest.
    config = Settings(1, 1, 1, cell="tanh", rate=0.0, scale_steps=0)
    theta, rng, largest = [[1.8, 0.2, 0.05]], np.random.default_rng(1), 0.0
    pair = [ReferenceLearner(replace(config, estimator=e), theta) for e in ("rtrl", "unitwise")]
    for _ in range(30):
        x, label = rng.normal(size=1), rng.normal()
        for learner in pair:
            learner.predict(x)
            learner.learn(label)
        rtrl, unitwise = pair
        rest = unitwise.v * unitwise.w
        largest = max(largest, np.abs(rest).max())
        np.testing.assert_allclose(unitwise.g + rest, rtrl.G[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(unitwise.slopes(), rtrl.slopes(), rtol=1e-9, atol=1e-12)
    assert largest > 0.1


@pytest.mark.parametrize("estimator", ref.ESTIMATORS)
def test_reset_state_clears_the_estimate(estimator: str) -> None:
    config = Settings(2, 1, 4, estimator=estimator)
    learner, rng = ReferenceLearner(config), np.random.default_rng(1)
    names = ("v", "w", "g", "G")
    shapes = [getattr(learner, name).shape for name in names]
    for _ in range(10):
        learner.predict(rng.normal(size=2))
        learner.learn(rng.normal())
    assert any(getattr(learner, name).any() for name in names) == (estimator != "frozen")
    learner.reset_state()
    assert not any(getattr(learner, name).any() for name in names)
    assert [getattr(learner, name).shape for name in names] == shapes
    assert learner.v.shape == ((4, 4) if estimator == "unitwise" else (4,))


@pytest.mark.parametrize(
    ("estimator", "n_signs"),
    [("residual", 40), ("unitwise", 40), ("snap1", 0), ("nobacktrack", 80)],
)
def test_a_step_draws_one_sign_per_unit_or_row_or_none(estimator: str, n_signs: int) -> None:
    learner = ReferenceLearner(Settings(1, 1, 40, estimator=estimator))
    expected = ref.Generator(0)
    expected.words = list(learner.generator.words)
    learner.predict(0.3)
    learner.learn(0.1)
    expected.signs(n_signs)
    assert learner.generator.words == expected.words


def test_live_and_learning_state_are_one_without_delay() -> None:
    learner, rng = ReferenceLearner(Settings(2, 1, 4)), np.random.default_rng(1)
    for _ in range(20):
        learner.predict(rng.normal(size=2))
        learner.learn(rng.normal())
        np.testing.assert_array_equal(learner.state, learner.learning_state)


def test_later_labels_do_not_change_earlier_predictions() -> None:
    rng = np.random.default_rng(1)
    x, labels = rng.normal(size=(30, 2)), rng.normal(size=30)

    def forecast(target: Array) -> Array:
        learner, delay = ReferenceLearner(Settings(2, 1, 4, max_delay=2)), 3
        out = []
        for t in range(30):
            if t >= delay:
                learner.learn(target[t])
            out.append(learner.predict(x[t]))
        return np.array(out)

    changed = np.where(np.arange(30) < 20, labels, 100.0)
    np.testing.assert_array_equal(forecast(labels)[:20], forecast(changed)[:20])
    assert (forecast(labels)[20:] != forecast(changed)[20:]).all()


@pytest.mark.parametrize(
    ("estimator", "estimate"),
    [
        ("nobacktrack", ("v", "w")),
        ("snap1", ("g",)),
        ("residual", ("v", "w", "g")),
        ("unitwise", ("v", "w", "g")),
        ("rtrl", "G"),
    ],
)
def test_a_missing_label_advances_state_and_estimate_only(
    estimator: str, estimate: tuple[str, ...]
) -> None:
    learner = ReferenceLearner(Settings(2, 2, 4, estimator=estimator))
    rng = np.random.default_rng(1)
    for _ in range(10):
        learner.predict(rng.normal(size=2))
        learner.learn(rng.normal(size=2))
    kept = ("theta", "readout", "P", "U", "d", "noise")
    moved = (*estimate, "learning_state")
    before = {key: getattr(learner, key).copy() for key in kept + moved}
    learner.predict(rng.normal(size=2))
    learner.learn([np.nan, np.nan])
    assert all((getattr(learner, key) == before[key]).all() for key in kept)
    assert all((getattr(learner, key) != before[key]).any() for key in moved)

    readout = learner.readout
    learner.predict(rng.normal(size=2))
    learner.learn([1.0, np.nan])
    np.testing.assert_array_equal(learner.readout[1], readout[1])
    assert (learner.readout[0] != readout[0]).all()


def test_a_held_input_repeats_the_last_scaled_value() -> None:
    learner = ReferenceLearner(Settings(2, 1, 3, lags=2, max_delay=9, hold_missing=True))
    learner.predict([np.nan, 1.0])
    np.testing.assert_array_equal(learner.x, [0, 0, 0, 0])
    for x in ([1.0, 2.0], [3.0, 4.0]):
        learner.predict(x)
    last = learner.x[:2]
    learner.predict([np.nan, 5.0])
    np.testing.assert_array_equal(learner.x[[0, 2, 3]], [last[0], *last])


def test_ring_refuses_what_does_not_fit() -> None:
    learner = ReferenceLearner(Settings(1, 1, 2, max_delay=1))
    with pytest.raises(RuntimeError, match="predict first"):
        learner.learn(0.0)
    learner.predict(0.0)
    learner.predict(1.0)
    with pytest.raises(RuntimeError, match="learn a label first"):
        learner.predict(2.0)
    with pytest.raises(ValueError, match="hold_missing"):
        ReferenceLearner(Settings(1, 1, 2)).predict(np.nan)
    with pytest.raises(ValueError, match="shape"):
        ReferenceLearner(Settings(1, 1, 2), theta=np.zeros((2, 2)))
