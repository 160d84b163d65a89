"""The float64 reference against mathematics that it does not contain.

Derivatives against finite differences, the random estimate against the exact derivative over many
sign streams, the filter against plain linear algebra. The kernel is not needed here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
import pytest
import reference as ref
from numpy.typing import NDArray
from reference import Array, ReferenceLearner, Settings, Step

H, I, STEPS = 3, 2, 8  # noqa: E741
CELLS = tuple(ref.CELLS)
NORMS = ("euclidean", "metric")
CELLS_AND_NORMS = list(product(CELLS, NORMS))
ONE_STATE = tuple(cell for cell in CELLS if ref.CELLS[cell].parts == 1)  # may keep traces
ONE_STATE_AND_NORMS = list(product(ONE_STATE, NORMS))
LINKS = ("gaussian", "categorical", "bernoulli")

# ---- Derivatives -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """A fixed network on a fixed stream: theta (R, D), x (STEPS, I), leak (H), P (R, D)."""

    cell: str
    theta: Array
    x: Array
    leak: Array
    P: Array

    def step(self, t: int, s: Array, theta: Array) -> tuple[Array, Step]:
        """Return u and the forward step at time t from state s."""
        u = ref.with_input(s[:H], self.x[t])
        return u, ref.CELLS[self.cell].step(theta @ u, s, self.leak)

    def unroll(self, theta: Array, start: Array) -> Array:
        """Return the state (S) after all steps."""
        s = start
        for t in range(len(self.x)):
            s = self.step(t, s, theta)[1].state
        return s

    def metric(self, norm: str) -> ref.Metric:
        """Return the metric of the norms of w and g."""
        return ref.Metric.diagonal(self.P if norm == "metric" else np.ones_like(self.P))

    @property
    def start(self) -> Array:
        """The zero state (S)."""
        return np.zeros(ref.CELLS[self.cell].parts * H)


def units(n_rows: int) -> NDArray[np.int_]:
    """Return the unit of each row, (R)."""
    return np.arange(n_rows) % H


def own_state(g: Array) -> Array:
    """Say of all states what the traces g (R, D) say of each row's own, (R, D, H)."""
    return g[:, :, None] * np.eye(H)[units(len(g))][:, None, :]


def network(cell: str) -> Network:
    """Large enough weights that every gate and every nonlinearity matters."""
    rng = np.random.default_rng(7)
    shape = (ref.CELLS[cell].gates * H, H + I + 1)
    return Network(
        cell,
        theta=rng.normal(scale=0.8, size=shape),
        x=rng.normal(size=(STEPS, I)),
        leak=1 / np.geomspace(1.4, 10, H),
        P=np.exp(rng.normal(size=shape)),
    )


def exact(net: Network) -> Array:
    """Differentiate the last state forward in time, (R, D, S)."""
    s, G = net.start, np.zeros((net.start.size, *net.theta.shape))
    for t in range(len(net.x)):
        u, step = net.step(t, s, net.theta)
        G = ref.exact_rtrl(G, u, step, net.theta)
        s = step.state
    return np.moveaxis(G, 0, -1)


@pytest.mark.parametrize("cell", CELLS)
def test_exact_rtrl_is_the_derivative_of_the_unrolled_network(cell: str) -> None:
    net = network(cell)
    numeric = ref.numeric_derivative(lambda theta: net.unroll(theta, net.start), net.theta, 1e-5)
    assert np.abs(numeric).max() > 0.1
    np.testing.assert_allclose(exact(net), numeric, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_jacobian_vector_product_is_the_derivative_of_one_step(cell: str) -> None:
    net, rng = network(cell), np.random.default_rng(3)
    s, v = rng.normal(size=net.start.shape), rng.normal(size=net.start.shape)
    _, step = net.step(0, s, net.theta)
    jacobian = ref.numeric_derivative(lambda at: net.step(0, at, net.theta)[1].state, s, 1e-5).T
    z = ref.jacobian_vector(step, net.theta, v)
    np.testing.assert_allclose(z, jacobian @ v, rtol=0, atol=1e-8)
    np.testing.assert_allclose(ref.jacobian(step, net.theta), jacobian, rtol=0, atol=1e-8)


# ---- Unbiasedness ------------------------------------------------------------------------------

BATCH, BATCHES, GROUP = 1250, 256, 16  # 320,000 sign streams; GROUP batches are 20,000

Update = Callable[[Array, Array, Array, Step, Array, float, ref.Metric], tuple[Array, Array]]


def scaled_twice(
    w: Array, z: Array, u: Array, step: Step, signs: Array, decay: float, metric: ref.Metric
) -> tuple[Array, Array]:
    """Wrong: rho_r multiplies e_r twice."""
    v_new, w_new = ref.estimate_update(w, z, u, step, signs, decay, metric)
    _, rho_r = ref.scalings(w, z, u, step.gain, metric)
    surplus = (signs * rho_r * (rho_r - 1))[..., None, :] * step.gain
    return v_new + ref.sum_rows(surplus, H), w_new


def inflated(
    w: Array, z: Array, u: Array, step: Step, signs: Array, decay: float, metric: ref.Metric
) -> tuple[Array, Array]:
    """Wrong: w comes out 1.1 times too large."""
    v_new, w_new = ref.estimate_update(w, z, u, step, signs, decay, metric)
    return v_new, 1.1 * w_new


def one_sided(
    w: Array, z: Array, u: Array, step: Step, signs: Array, decay: float, metric: ref.Metric
) -> tuple[Array, Array]:
    """Wrong: rho_0 scales v only."""
    v_new, w_new = ref.estimate_update(w, z, u, step, signs, decay, metric)
    rho_0, _ = ref.scalings(w, z, u, step.gain, metric)
    return v_new, w_new + w * (1 - 1 / rho_0[..., None, None])


def shared_sign(
    w: Array, z: Array, u: Array, step: Step, signs: Array, decay: float, metric: ref.Metric
) -> tuple[Array, Array]:
    """Wrong: all rows take the sign of the first."""
    same = np.broadcast_to(signs[..., :1], signs.shape)
    return ref.estimate_update(w, z, u, step, same, decay, metric)


@dataclass(frozen=True)
class Sample:
    """Averages of v w^T over independent sign streams.

    means (BATCHES, R, D, S): of each batch. standard_error (R, D, S): of the grand mean.
    """

    means: Array
    standard_error: Array

    def distance(self, G: Array) -> Array:
        """How many standard errors each entry of the grand mean lies from G, (R, D, S)."""
        off: Array = np.abs(self.means.mean(axis=0) - G)
        return off / np.maximum(self.standard_error, 1e-12)

    @property
    def variance(self) -> float:
        """Sum over the entries of the variance of one stream."""
        return float((self.standard_error**2).sum()) * len(self.means) * BATCH


def sample_products(run: Callable[[np.random.Generator], tuple[Array, Array]], n: int) -> Sample:
    """Average v w^T over n batches.

    run gives each batch its w (BATCH, R, D) and its v (BATCH, R, S), or (BATCH, 1, S) for all rows.
    """
    rng = np.random.default_rng(11)
    means, squares = [], []
    for _ in range(n):
        v, w = run(rng)
        left, right = np.moveaxis(w, 0, -1), np.moveaxis(v, 0, 1)  # (R, D, BATCH), (R, BATCH, S)
        means.append(left @ right / BATCH)
        squares.append(left**2 @ right**2 / BATCH)
    variance = np.mean(squares, axis=0) - np.mean(means, axis=0) ** 2
    variance = np.maximum(variance, 0.0)  # rounding, where all streams agree
    return Sample(np.array(means), np.sqrt(variance / (n * BATCH)))


def sample_estimate(net: Network, norm: str, update: Update, batches: int) -> Sample:
    """Run `batches` times BATCH sign streams of nobacktrack through the fixed network."""
    metric = net.metric(norm)

    def run(rng: np.random.Generator) -> tuple[Array, Array]:
        s = net.start
        v, w = np.zeros((BATCH, s.size)), np.zeros((BATCH, *net.theta.shape))
        for t in range(len(net.x)):
            u, step = net.step(t, s, net.theta)
            signs = rng.choice([-1.0, 1.0], size=(BATCH, len(net.theta)))
            z = ref.jacobian_vector(step, net.theta, v)
            v, w = update(w, z, u, step, signs, 1.0, metric)
            s = step.state
        return v[:, None], w

    return sample_products(run, batches)


@cache
def correct_sample(cell: str, norm: str) -> Sample:
    """Draw 320,000 streams of the right update, once for the tests that share them."""
    return sample_estimate(network(cell), norm, ref.estimate_update, BATCHES)


@pytest.mark.parametrize(("cell", "norm"), CELLS_AND_NORMS)
def test_estimate_is_unbiased(cell: str, norm: str) -> None:
    G, sample = exact(network(cell)), correct_sample(cell, norm)
    assert np.abs(G).max() > 100 * sample.standard_error.max()  # the check has something to see
    assert sample.distance(G).max() < 5


def error_ratio(sample: Sample, G: Array) -> float:
    """Error of the mean over BATCH streams relative to that over GROUP times as many."""
    grouped = sample.means.reshape(-1, GROUP, *G.shape).mean(axis=1)
    return float(np.sqrt(((sample.means - G) ** 2).mean() / ((grouped - G) ** 2).mean()))


@pytest.mark.parametrize(("cell", "norm"), CELLS_AND_NORMS)
def test_error_shrinks_as_the_root_of_the_number_of_streams(cell: str, norm: str) -> None:
    ratio = error_ratio(correct_sample(cell, norm), exact(network(cell)))
    assert np.sqrt(GROUP) / 1.4 < ratio < np.sqrt(GROUP) * 1.4


@pytest.mark.parametrize("wrong", [inflated, scaled_twice, one_sided, shared_sign])
@pytest.mark.parametrize("cell", CELLS)
def test_the_check_of_unbiasedness_sees_a_wrong_update(cell: str, wrong: Update) -> None:
    net = network(cell)
    assert sample_estimate(net, "metric", wrong, GROUP).distance(exact(net)).max() > 5


def test_decay_scales_the_past_only() -> None:
    net, rng = network("gated"), np.random.default_rng(2)
    u, step = net.step(0, rng.normal(size=H), net.theta)
    w, z, signs = rng.normal(size=net.P.shape), rng.normal(size=H), np.ones(2 * H)
    whole, half, none = (
        ref.estimate_update(w, z, u, step, signs, decay, net.metric("metric"))
        for decay in (1.0, 0.5, 0.0)
    )
    np.testing.assert_allclose(half[0], (whole[0] + none[0]) / 2)
    np.testing.assert_array_equal(half[1], whole[1])


def test_scalings_equalise_the_norms() -> None:
    net, rng = network("lstm"), np.random.default_rng(2)
    u, step = net.step(0, rng.normal(size=2 * H), net.theta)
    w, z = rng.normal(size=net.P.shape), rng.normal(size=2 * H)
    rho_0, rho_r = ref.scalings(w, z, u, step.gain, net.metric("metric"))
    np.testing.assert_allclose(rho_0**2 * np.linalg.norm(z), np.linalg.norm(np.sqrt(net.P) * w))
    np.testing.assert_allclose(
        rho_r**2 * np.linalg.norm(step.gain, axis=0), np.linalg.norm(np.sqrt(net.P) * u, axis=1)
    )


# ---- Traces and what they leave out ------------------------------------------------------------


@dataclass(frozen=True)
class Move:
    """One right step of `residual`, decay 1, and what it was made of.

    w, g: before the step; v_new, w_new, g_new: after it. J (H, H). y (BATCH, H). rho_0 (BATCH).
    """

    w: Array
    g: Array
    v_new: Array
    w_new: Array
    g_new: Array
    J: Array
    y: Array
    rho_0: Array

    @property
    def d(self) -> Array:
        """What the traces keep of the diagonal of J, (H)."""
        return np.clip(np.diag(self.J), -1.0, 1.0)

    def traces_over(self, y: Array) -> Array:
        """G / y for y (BATCH, H), (BATCH, R, D)."""
        return self.g / ref.by_row(y, len(self.g))[:, :, None]


Flaw = Callable[[Move], tuple[Array, Array]]  # what v and w become instead


def no_flaw(move: Move) -> tuple[Array, Array]:
    """Leave the step as it is."""
    return move.v_new, move.w_new


def own_part_kept(move: Move) -> tuple[Array, Array]:
    """Wrong: - d y is left out, so that the part inside a unit counts twice."""
    return move.v_new + move.d * move.y, move.w_new


def own_part_unclamped(move: Move) -> tuple[Array, Array]:
    """Wrong: v leaves out the whole diagonal, of which the traces keep a clamped part."""
    return move.v_new + (move.d - np.diag(move.J)) * move.y, move.w_new


def traces_too_new(move: Move) -> tuple[Array, Array]:
    """Wrong: w takes the traces after their update."""
    return move.v_new, move.w_new - move.traces_over(move.y) + replace(
        move, g=move.g_new
    ).traces_over(move.y)


def one_sided_balance(move: Move) -> tuple[Array, Array]:
    """Wrong: rho_0 scales v only."""
    return move.v_new, move.w_new + move.w * (1 - 1 / move.rho_0[:, None, None])


def one_sign_for_all(move: Move) -> tuple[Array, Array]:
    """Wrong: all units take the sign of the first."""
    y = np.abs(move.y) * np.sign(move.y[:, :1])
    between_units = move.J - np.diag(move.d)
    v = move.v_new + (y - move.y) @ between_units.T
    return v, move.w_new + move.traces_over(y) - move.traces_over(move.y)


def with_traces(sample: Sample, g: Array) -> Sample:
    """Add the traces (R, D), each to the state of its own unit."""
    return replace(sample, means=sample.means + own_state(g))


def sample_residual(net: Network, norm: str, flaw: Flaw, batches: int) -> Sample:
    """Run `batches` times BATCH sign streams of residual through the fixed network; g included."""
    metric, traces = net.metric(norm), np.zeros_like(net.theta)

    def run(rng: np.random.Generator) -> tuple[Array, Array]:
        nonlocal traces
        s, g, balance = net.start, np.zeros_like(net.theta), ref.Balance.start(H)
        v, w = np.zeros((BATCH, H)), np.zeros((BATCH, *net.theta.shape))
        for t in range(len(net.x)):
            u, step = net.step(t, s, net.theta)
            signs = rng.choice([-1.0, 1.0], size=(BATCH, H))
            rho_0, size = balance.scalings(v)
            J = ref.jacobian(step, net.theta)
            v_new, w_new, g_new = ref.residual_update(
                v, w, g, u, step, net.theta, signs, 1.0, balance
            )
            v, w = flaw(Move(w, g, v_new, w_new, g_new, J, signs * size, rho_0))
            s, g, balance = step.state, g_new, balance.after(w, g_new, J, metric)
        traces = g
        return v[:, None], w

    return with_traces(sample_products(run, batches), traces)


def self_exciting(cell: str) -> Network:
    """Return a network whose units feed themselves: some [J_t]_ii exceed 1 and are clamped."""
    net = network(cell)
    theta = 0.2 * net.theta  # weak enough that the units do not saturate
    theta[-H:, :H] += 1.5 * np.eye(H)
    return replace(net, theta=theta)


def test_traces_carry_the_clamped_diagonal() -> None:
    J = np.array([[2.0, 9.0, 9.0], [9.0, -3.0, 9.0], [9.0, 9.0, 0.5]])
    np.testing.assert_array_equal(ref.own_carry(J), [1.0, -1.0, 0.5])


@cache
def correct_residual(cell: str, norm: str) -> Sample:
    """Draw 320,000 streams of the right step, once for the tests that share them."""
    return sample_residual(network(cell), norm, no_flaw, BATCHES)


@pytest.mark.parametrize(("cell", "norm"), ONE_STATE_AND_NORMS)
def test_traces_and_residual_are_together_unbiased(cell: str, norm: str) -> None:
    G, sample = exact(network(cell)), correct_residual(cell, norm)
    assert np.abs(G).max() > 100 * sample.standard_error.max()
    assert sample.distance(G).max() < 5


@pytest.mark.parametrize(("cell", "norm"), ONE_STATE_AND_NORMS)
def test_error_of_residual_shrinks_as_the_root_of_the_number_of_streams(
    cell: str, norm: str
) -> None:
    ratio = error_ratio(correct_residual(cell, norm), exact(network(cell)))
    assert np.sqrt(GROUP) / 1.4 < ratio < np.sqrt(GROUP) * 1.4


@pytest.mark.parametrize(
    "wrong", [own_part_kept, traces_too_new, one_sided_balance, one_sign_for_all]
)
@pytest.mark.parametrize("cell", ONE_STATE)
def test_the_check_of_residual_sees_a_wrong_step(cell: str, wrong: Flaw) -> None:
    net = network(cell)
    assert sample_residual(net, "metric", wrong, GROUP).distance(exact(net)).max() > 5


@pytest.mark.parametrize("cell", ONE_STATE)
def test_clamped_traces_stay_unbiased_because_the_residual_takes_the_rest(cell: str) -> None:
    net = self_exciting(cell)
    G = exact(net)
    assert sample_residual(net, "metric", no_flaw, GROUP).distance(G).max() < 5
    assert sample_residual(net, "metric", own_part_unclamped, GROUP).distance(G).max() > 5


@pytest.mark.parametrize("norm", NORMS)
def test_traces_lower_the_variance_of_the_gated_cell(norm: str) -> None:
    residual, without = correct_residual("gated", norm), correct_sample("gated", norm)
    assert residual.variance < 0.5 * without.variance


# ---- A rank-one rest for each unit -------------------------------------------------------------


@dataclass(frozen=True)
class UnitMove:
    """What one step of `unitwise`, decay 1, starts from.

    V (..., H, H), w (..., R, D), g (R, D): before it; g_new (R, D). J (H, H), P (R, D).
    """

    V: Array
    w: Array
    g: Array
    g_new: Array
    J: Array
    P: Array

    def rest(self, g: Array, d: Array, signs: Array) -> tuple[Array, Array]:
        """Advance the rest beside traces g (R, D) that keep d (H) of the diagonal of J."""
        return ref.rest_update(
            self.V, self.w, g, self.J, d, signs, 1.0, ref.Metric.diagonal(self.P)
        )


UnitStep = Callable[[UnitMove, Array], tuple[Array, Array]]  # of the move and its signs (..., H)


def unit_step(move: UnitMove, signs: Array) -> tuple[Array, Array]:
    """Take the right step."""
    return move.rest(move.g, ref.own_carry(move.J), signs)


def without_signs(move: UnitMove, signs: Array) -> tuple[Array, Array]:
    """Wrong: the two components are added without a random sign."""
    return unit_step(move, np.ones_like(signs))


def first_component_only(move: UnitMove, signs: Array) -> tuple[Array, Array]:
    """Wrong: the second component is dropped."""
    return unit_step(move, np.zeros_like(signs))


def rest_of_newer_traces(move: UnitMove, signs: Array) -> tuple[Array, Array]:
    """Wrong: the rest takes the traces after their update."""
    return move.rest(move.g_new, ref.own_carry(move.J), signs)


def rest_with_own_part(move: UnitMove, signs: Array) -> tuple[Array, Array]:
    """Wrong: the rest has the whole column of J, so that the part inside a unit counts twice."""
    return move.rest(move.g, np.zeros(H), signs)


def rest_without_clamped_part(move: UnitMove, signs: Array) -> tuple[Array, Array]:
    """Wrong: the rest leaves out the whole diagonal, of which the traces keep a clamped part."""
    return move.rest(move.g, np.diag(move.J), signs)


def sample_unitwise(net: Network, update: UnitStep, batches: int) -> Sample:
    """Run `batches` times BATCH sign streams of unitwise through the fixed network; g included."""
    traces = np.zeros_like(net.theta)

    def run(rng: np.random.Generator) -> tuple[Array, Array]:
        nonlocal traces
        s, g = net.start, np.zeros_like(net.theta)
        V, w = np.zeros((BATCH, H, H)), np.zeros((BATCH, *net.theta.shape))
        for t in range(len(net.x)):
            u, step = net.step(t, s, net.theta)
            signs = rng.choice([-1.0, 1.0], size=(BATCH, H))
            J = ref.jacobian(step, net.theta)
            g_new = ref.trace_update(g, u, step, ref.own_carry(J))
            V, w = update(UnitMove(V, w, g, g_new, J, net.P), signs)
            s, g = step.state, g_new
        traces = g
        return V[:, units(len(g))], w

    return with_traces(sample_products(run, batches), traces)


@cache
def correct_unitwise(cell: str) -> Sample:
    """Draw 80,000 streams of the right step, once for the tests that share them."""
    return sample_unitwise(network(cell), unit_step, BATCHES // 4)


@pytest.mark.parametrize("cell", ONE_STATE)
def test_traces_and_rests_of_the_units_are_together_unbiased(cell: str) -> None:
    G, sample = exact(network(cell)), correct_unitwise(cell)
    assert np.abs(G).max() > 100 * sample.standard_error.max()
    assert sample.distance(G).max() < 5


@pytest.mark.parametrize("cell", ONE_STATE)
def test_error_of_unitwise_shrinks_as_the_root_of_the_number_of_streams(cell: str) -> None:
    ratio = error_ratio(correct_unitwise(cell), exact(network(cell)))
    assert np.sqrt(GROUP) / 1.4 < ratio < np.sqrt(GROUP) * 1.4


@pytest.mark.parametrize(
    "wrong", [without_signs, first_component_only, rest_of_newer_traces, rest_with_own_part]
)
@pytest.mark.parametrize("cell", ONE_STATE)
def test_the_check_of_unitwise_sees_a_wrong_step(cell: str, wrong: UnitStep) -> None:
    net = network(cell)
    assert sample_unitwise(net, wrong, GROUP).distance(exact(net)).max() > 5


@pytest.mark.parametrize("cell", ONE_STATE)
def test_clamped_traces_stay_unbiased_because_the_rest_takes_what_was_cut(cell: str) -> None:
    net = self_exciting(cell)
    G = exact(net)
    assert sample_unitwise(net, unit_step, GROUP).distance(G).max() < 5
    assert sample_unitwise(net, rest_without_clamped_part, GROUP).distance(G).max() > 5


@pytest.mark.parametrize("cell", ONE_STATE)
def test_a_rest_for_each_unit_has_the_lowest_variance(cell: str) -> None:
    for other in (correct_residual, correct_sample):
        assert correct_unitwise(cell).variance < 0.25 * other(cell, "metric").variance


def unit_move(cell: str) -> UnitMove:
    """Draw a step in the middle of a run."""
    net, rng = network(cell), np.random.default_rng(2)
    _, step = net.step(0, rng.normal(size=H), net.theta)
    w, g, g_new = rng.normal(size=(3, *net.theta.shape))
    return UnitMove(rng.normal(size=(H, H)), w, g, g_new, ref.jacobian(step, net.theta), net.P)


def products(V: Array, w: Array) -> Array:
    """Return what the rests say of all states, V_unit(r) w_r^T, (..., R, D, H)."""
    return w[..., None] * V[..., units(w.shape[-2]), None, :]


@pytest.mark.parametrize("decay", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("cell", ONE_STATE)
def test_both_signs_of_the_rest_average_to_its_step(cell: str, decay: float) -> None:
    move = unit_move(cell)
    d, both = ref.own_carry(move.J), np.array([np.ones(H), -np.ones(H)])
    V, w = ref.rest_update(
        move.V, move.w, move.g, move.J, d, both, decay, ref.Metric.diagonal(move.P)
    )
    past = decay * products(move.V, move.w) @ move.J.T
    between = move.g[:, :, None] * (move.J - np.diag(d)).T[units(len(move.g))][:, None, :]
    np.testing.assert_allclose(products(V, w).mean(axis=0), past + between, atol=1e-12)


@pytest.mark.parametrize("cell", ONE_STATE)
def test_components_of_the_rest_are_its_singular_vectors_in_the_metric(cell: str) -> None:
    move = unit_move(cell)
    V, w = unit_step(move, np.array([np.ones(H), -np.ones(H)]))
    for i in range(H):
        own, root = slice(i, None, H), np.sqrt(move.P[i::H]).ravel()
        old_w, old_g = (root * x[own].ravel() for x in (move.w, move.g))
        column = move.J[:, i] - np.eye(H)[i] * ref.own_carry(move.J)[i]
        X = np.outer(move.J @ move.V[i], old_w) + np.outer(column, old_g)
        sigma = np.linalg.svd(X, compute_uv=False)[:2]
        halves = np.array([[1, 1], [1, -1]]) / 2  # first the common part, then that of the sign
        left, right = halves @ V[:, i], halves @ (root * w[:, own].reshape(2, -1))
        for vectors in (left, right):
            np.testing.assert_allclose(vectors @ vectors.T, np.diag(sigma), atol=1e-12)

        # r1 = c q1 + s q2, r2 = -s q1 + c q2, the larger of |c|, |s| positive
        q1 = old_w / np.linalg.norm(old_w)
        q2 = old_g - (q1 @ old_g) * q1
        c, s = right[0] @ q1, right[0] @ q2 / np.linalg.norm(q2)
        assert max(c, s) == max(abs(c), abs(s))
        r2 = (c * q2 / np.linalg.norm(q2) - s * q1) / np.sqrt(sigma[0])
        np.testing.assert_allclose(right[1], np.sqrt(sigma[1]) * r2, atol=1e-12)


def test_rest_starts_along_the_traces_whatever_the_sign() -> None:
    move = replace(unit_move("gated"), V=np.zeros((H, H)), w=np.zeros((2 * H, H + I + 1)))
    V, w = unit_step(move, np.array([np.ones(H), -np.ones(H)]))
    np.testing.assert_array_equal(V[0], V[1])
    np.testing.assert_array_equal(w[0], w[1])
    ratio = w[0] / move.g
    np.testing.assert_allclose(ratio, ratio[units(len(ratio)), :1] * np.ones_like(ratio))
    assert ratio.min() > 0
    nothing = unit_step(replace(move, g=0 * move.g), np.ones(H))
    assert not nothing[0].any()
    assert not nothing[1].any()


@pytest.mark.parametrize("cell", ONE_STATE)
def test_units_that_feed_only_themselves_have_no_rest(cell: str) -> None:
    net, rng = network(cell), np.random.default_rng(2)
    theta = net.theta.copy()
    theta[:, :H] *= 0.5 * np.eye(H)[units(len(theta))]  # J_t diagonal, within [-1, 1]
    net = replace(net, theta=theta)
    s, g, V, w = net.start, 0 * theta, np.zeros((H, H)), 0 * theta
    for t in range(STEPS):
        u, step = net.step(t, s, theta)
        signs = rng.choice([-1.0, 1.0], size=H)
        V, w, g = ref.unitwise_update(V, w, g, u, step, theta, signs, 1.0, net.metric("metric"))
        s = step.state
    assert not products(V, w).any()
    np.testing.assert_allclose(own_state(g), exact(net), rtol=1e-12, atol=1e-14)


# ---- Filter ------------------------------------------------------------------------------------


def random_ud(rng: np.random.Generator, size: int) -> tuple[Array, Array]:
    """Draw a unit upper triangular U and a positive d."""
    return np.eye(size) + np.triu(rng.normal(size=(size, size)), 1), rng.uniform(0.1, 2, size)


@pytest.mark.parametrize("kappa", [0.0, 0.2, 1.0])
def test_ud_update_is_the_plain_covariance_formula(kappa: float) -> None:
    rng = np.random.default_rng(5)
    U, d = random_ud(rng, 6)
    for _ in range(20):
        f, C = rng.normal(size=6), ref.ud_product(U, d)
        U, d = ref.ud_update(U, d, f, kappa)
        plain = C - kappa * np.outer(C @ f, C @ f) / (1 + kappa * f @ C @ f)
        np.testing.assert_allclose(ref.ud_product(U, d), plain, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(np.tril(U), np.eye(6))
        assert d.min() > 0


def test_forgetting_moves_information_towards_the_prior() -> None:
    rng = np.random.default_rng(5)
    d, start = rng.uniform(0.1, 2, 6), rng.uniform(0.1, 2, 6)
    np.testing.assert_allclose(ref.forget_step(d, start, 1.0), d, rtol=1e-15)
    np.testing.assert_allclose(1 / ref.forget_step(d, start, 0.9), 0.9 / d + 0.1 / start)
    np.testing.assert_allclose(ref.forget_step(start, start, 0.9), start)


def test_covariance_step_is_the_inverse_of_the_running_information() -> None:
    rng, rate, floor = np.random.default_rng(5), 0.01, 0.3
    J = np.zeros((4, 3))
    P = np.full_like(J, 1 / floor)
    for _ in range(50):
        seen = rng.exponential(size=J.shape)
        J += rate * (seen - J)
        P = ref.covariance_step(P, seen, rate, floor)
        np.testing.assert_allclose(P, 1 / (J + floor))


def quasi_diagonal_step(M: Array, cross: Array, gradient: Array) -> Array:
    """Ollivier's formula (Riemannian metrics for neural networks I, 2015) for one row (D).

    The bias comes last here: M holds M_ii and M_00, cross M_0i, whose last entry means nothing.
    """
    M00, g0 = M[-1], gradient[-1]
    weights = (M00 * gradient - cross * g0)[:-1] / (M00 * M - cross**2)[:-1]
    bias = g0 / M00 - (cross[:-1] / M00 * weights).sum()
    return np.append(weights, bias)


def dense_quasi_diagonal(M: Array, cross: Array) -> Array:
    """Build the operator on all rows (R D, R D) out of that formula."""
    n_rows, n_cols = M.shape
    dense = np.zeros((n_rows, n_cols) * 2)
    for row in range(n_rows):
        for col, unit in enumerate(np.eye(n_cols)):
            dense[row, :, row, col] = quasi_diagonal_step(M[row], cross[row], unit)
    return dense.reshape(M.size, M.size)


def sampled_information(rows: Array, floor: float) -> tuple[Array, Array]:
    """M and cross (1, D) of row gradients (n, D)."""
    return (rows**2).mean(axis=0)[None] + floor, (rows * rows[:, -1:]).mean(axis=0)[None]


def test_quasi_diagonal_metric_is_a_positive_operator_and_solves_for_the_bias() -> None:
    rng = np.random.default_rng(3)
    gradients = rng.normal(size=(50, 5)) + 2.0 * rng.normal(size=(50, 1))
    M, cross = sampled_information(gradients, 0.01)
    metric, dense = ref.Metric.quasi_diagonal(M, cross), dense_quasi_diagonal(M, cross)
    a, b = rng.normal(size=(2, 1, 5))
    np.testing.assert_allclose(metric.apply(a)[0], dense @ a[0], rtol=1e-12)
    both = (metric.P * metric.without_bias(a) * metric.without_bias(b)).sum()
    np.testing.assert_allclose(both, a[0] @ dense @ b[0], rtol=1e-12)
    np.testing.assert_allclose(dense, dense.T, atol=1e-12)
    assert np.linalg.eigvalsh(dense).min() > 0
    # With a single weight beside the bias nothing is left out: the exact inverse.
    pair = ref.Metric.quasi_diagonal(M[:, 3:], cross[:, 3:])
    exact_M = np.array([[M[0, 3], cross[0, 3]], [cross[0, 3], M[0, 4]]])
    np.testing.assert_allclose(pair.apply(a[:, 3:])[0], np.linalg.solve(exact_M, a[0, 3:]))


def test_quasi_diagonal_step_does_not_depend_on_offset_and_scale_of_a_column() -> None:
    rng = np.random.default_rng(3)
    gradients, gradient = rng.normal(size=(50, 5)) + 1.0, rng.normal(size=5)
    change = np.diag(rng.uniform(0.5, 2, 5))  # u' = change u: scales, and offsets times the 1
    change[:, -1] = rng.normal(size=5)
    change[-1, -1] = 1.0
    before, after = (
        ref.Metric.quasi_diagonal(*sampled_information(seen, 0.0)).apply(slope[None])[0]
        for seen, slope in ((gradients, gradient), (gradients @ change.T, change @ gradient))
    )
    np.testing.assert_allclose(change.T @ after, before, rtol=1e-9)


@dataclass(frozen=True)
class Case:
    """A link at a point: raw output, noise and label, the last one or none of them missing."""

    link: str
    raw: Array
    noise: Array
    label: Array
    missing: NDArray[np.bool_]

    @property
    def new(self) -> ref.Innovation:
        """The innovation at this point."""
        return ref.innovation(self.link, self.raw, self.label, self.noise)


def link_case(link: str, gap: str) -> Case:
    """Build a case; gap is none, last (one output without label) or all."""
    rng, n_out = np.random.default_rng(9), 4
    missing = np.array([gap == "all"] * (n_out - 1) + [gap != "none"])
    label = {
        "gaussian": rng.normal(size=n_out),
        "bernoulli": np.array([0.0, 1.0, 0.3, 1.0]),
        "categorical": np.array([2.0]),
    }[link]
    label[missing[-label.size :]] = np.nan
    return Case(link, rng.normal(size=n_out), rng.uniform(0.1, 2, n_out), label, missing)


# A class index has no parts, so categorical labels are there or missing as a whole.
GAPS = {
    link: ("none", "all") if link == "categorical" else ("none", "last", "all") for link in LINKS
}
CASES = [link_case(link, gap) for link in LINKS for gap in GAPS[link]]


def log_likelihood(case: Case, raw: Array) -> Array:
    """Of the labels that are there, up to a constant, shape (1)."""
    y = case.label
    if case.link == "gaussian":
        return np.array([np.nansum(-((y - raw) ** 2) / (2 * case.noise))])
    if case.link == "bernoulli":
        return np.array([np.nansum(y * raw - np.log1p(np.exp(raw)))])
    if np.isnan(y[0]):
        return np.zeros(1)
    return np.array([raw[int(y[0])] - np.log(np.exp(raw).sum())])


def curvature_point(case: Case) -> Array:
    """Outputs (O) at which the curvature is taken: midway in probability to the label."""
    y = ref.prediction(case.link, case.raw)
    middle = y + case.new.error / 2
    if case.link == "gaussian":
        return case.raw
    return np.log(middle) if case.link == "categorical" else np.log(middle / (1 - middle))


def name(case: Case) -> str:
    return f"{case.link}-{case.missing.sum()}-missing"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_whitened_score_and_curvature_are_those_of_the_likelihood(case: Case) -> None:
    def gradient(raw: Array) -> Array:
        return ref.numeric_derivative(lambda at: log_likelihood(case, at), raw, 1e-4)[:, 0]

    np.testing.assert_allclose(case.new.F @ case.new.t, gradient(case.raw), atol=1e-7)
    hessian = ref.numeric_derivative(gradient, curvature_point(case), 1e-4)
    np.testing.assert_allclose(case.new.curvature, -hessian, atol=1e-6)
    np.testing.assert_array_equal(case.new.labelled, ~case.missing)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_shared_step_divides_the_score_by_the_innovation_covariance(case: Case) -> None:
    rng, new = np.random.default_rng(1), case.new
    alpha = rng.normal(size=case.raw.size)
    M = 0.7 * np.diag(new.varsigma) + 0.4 * np.outer(alpha, alpha)
    direct = np.linalg.solve(np.eye(case.raw.size) + new.curvature @ M, new.F @ new.t)
    x = ref.shared_step(new.F, M, new.t)
    np.testing.assert_allclose(x, direct, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(x[case.missing], 0.0)


@pytest.mark.parametrize("link", ["categorical", "bernoulli"])
def test_weight_of_a_sample_is_the_mean_curvature_weighted_by_itself(link: str) -> None:
    new = link_case(link, "none").new
    eigenvalues = np.linalg.eigvalsh(new.curvature)
    np.testing.assert_allclose(new.kappa, (eigenvalues**2).sum() / eigenvalues.sum())


# ---- Generator and scaler ----------------------------------------------------------------------


def test_generator_matches_the_published_algorithm() -> None:
    generator = ref.Generator(0)
    # splitmix64 from 0 gives 0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4
    assert generator.words == [0x7B1DCDAF, 0xE220A839, 0xA1B965F4, 0x6E789E6A]
    generator.words = [1, 2, 3, 4]
    # first outputs of xoshiro128++ from the state 1, 2, 3, 4
    assert [generator.word() for _ in range(4)] == [641, 1573767, 3222811527, 3517856514]


def test_signs_are_the_bits_of_the_words() -> None:
    signs, words = ref.Generator(5).signs(40), ref.Generator(5)
    bits = f"{words.word():032b}"[::-1] + f"{words.word():032b}"[::-1][:8]
    assert list(signs) == [-1.0 if bit == "1" else 1.0 for bit in bits]


def test_initial_theta_has_the_stated_scale_and_time_constants() -> None:
    config = Settings(4, 1, 64, cell="lstm", recurrent_gain=0.5, input_gain=2.0)
    theta = ref.initial_theta(config, ref.Generator(1))
    assert abs(theta[:, :64].std() * 8 - 0.5) < 0.02
    assert abs(theta[:, 64:68].std() * 2 - 2.0) < 0.1
    forget = ref.sigmoid(theta[64:128, -1])
    np.testing.assert_allclose(1 / (1 - forget), ref.time_constants(config))
    np.testing.assert_allclose(ref.sigmoid(theta[:64, -1]), 1 - forget)


def test_scaler_counts_the_first_steps_and_skips_missing_values() -> None:
    rng = np.random.default_rng(4)
    stream = rng.normal(loc=[5.0, -2.0], scale=[3.0, 0.1], size=(60, 2))
    stream[::7, 1] = np.nan
    scaler = ref.Scaler(2, steps=40, rate=0.0)
    for values in stream:
        scaler.count(values)
    seen = [stream[:40, 0], stream[~np.isnan(stream[:, 1]), 1][:40]]
    np.testing.assert_allclose(scaler.mean, [part.mean() for part in seen])
    np.testing.assert_allclose(scaler.variance, [part.var() for part in seen])
    np.testing.assert_allclose(scaler.unscale(scaler.scale(stream[1])), stream[1])


def test_scaler_follows_with_its_rate_and_leaves_a_constant_channel_alone() -> None:
    scaler = ref.Scaler(2, steps=10, rate=0.05)
    for t in range(400):
        scaler.count(np.array([7.0, 3.0 if t < 100 else 8.0]))
    np.testing.assert_allclose(scaler.scale(np.array([9.0, 8.0]))[0], 2.0)
    np.testing.assert_allclose(scaler.mean[1], 8.0, atol=1e-4)


# ---- Learner -----------------------------------------------------------------------------------


def random_label(link: str, rng: np.random.Generator, n_out: int) -> Array:
    """Draw one label of the link."""
    if link == "categorical":
        return np.array([float(rng.integers(n_out))])
    return rng.normal(size=n_out) if link == "gaussian" else rng.random(n_out).round()


FILTERS = ("sgd", "kalman", "kalman_quasi")


def allowed(cell: str, estimator: str) -> bool:
    """Traces need one state float per unit."""
    return cell in ONE_STATE or estimator not in ref.WITH_TRACES


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
    assert learner.g.any() == (estimator in ref.WITH_TRACES)
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
    C, theta = ref.ud_product(learner.U, learner.d), learner.theta
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
    information += config.info_rate * (seen - information)
    np.testing.assert_allclose(learner.P, 1 / (information + config.info_floor), rtol=1e-9)


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
    for estimator in ref.WITH_TRACES:
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
    net = replace(net, leak=1 / ref.time_constants(config))
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
    net = replace(network(cell), leak=1 / ref.time_constants(config))
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
            return ref.gated(theta @ ref.with_input(at, x), at, np.zeros(3)).state

        column = ref.numeric_derivative(advance, s, 1e-5)[t % 3]
        others = np.arange(3) != t % 3
        np.testing.assert_allclose(learner.kappa[t % 3], np.linalg.norm(column[others]), rtol=1e-6)
        np.testing.assert_array_equal(learner.kappa[others], kappa[others])
        g = np.sqrt(P) * learner.g  # the filter's metric, whatever the norm of nobacktrack
        np.testing.assert_allclose(
            learner.balance.norm_w, np.linalg.norm(np.sqrt(P) * learner.w), rtol=1e-12
        )
        np.testing.assert_allclose(
            learner.balance.norm_g, [np.linalg.norm(g[i::3]) for i in range(3)], rtol=1e-12
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
        step = ref.gated(theta @ u, s, np.zeros(3))
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
