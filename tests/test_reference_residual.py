"""The reference's traces, and the rank-one estimate of what they leave out, over sign streams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reference_cases import (
    GROUP,
    NORMS,
    ONE_STATE,
    ONE_STATE_AND_NORMS,
    Flaw,
    Move,
    correct_residual,
    correct_sample,
    error_ratio,
    exact,
    network,
    no_flaw,
    sample_residual,
    self_exciting,
)

from nbt_embed import reference as ref
from nbt_embed.reference import Array


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


def test_traces_carry_the_clamped_diagonal() -> None:
    J = np.array([[2.0, 9.0, 9.0], [9.0, -3.0, 9.0], [9.0, 9.0, 0.5]])
    np.testing.assert_array_equal(ref.own_carry(J), [1.0, -1.0, 0.5])


@pytest.mark.parametrize(("cell", "norm"), ONE_STATE_AND_NORMS)
@pytest.mark.slow
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
