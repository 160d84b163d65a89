"""The reference's unitwise estimate: unbiased, and of the least variance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from reference_cases import (
    BATCH,
    BATCHES,
    GROUP,
    ONE_STATE,
    STEPS,
    H,
    I,
    Network,
    Sample,
    correct_residual,
    correct_sample,
    error_ratio,
    exact,
    network,
    own_state,
    sample_products,
    self_exciting,
    units,
    with_traces,
)

from nbt_embed import reference as ref
from nbt_embed.reference import Array
from nbt_embed.reference.unitwise import rest_update


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
        """Advance the rest next to traces g (R, D) that keep d (H) of the diagonal of J."""
        return rest_update(self.V, self.w, g, self.J, d, signs, 1.0, ref.Metric.diagonal(self.P))


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
@pytest.mark.slow
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
@pytest.mark.slow
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
    V, w = rest_update(move.V, move.w, move.g, move.J, d, both, decay, ref.Metric.diagonal(move.P))
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
