"""The reference's rank-one estimate is unbiased, over many sign streams."""

from __future__ import annotations

import numpy as np
import pytest
from reference_cases import (
    CELLS,
    CELLS_AND_NORMS,
    GROUP,
    H,
    Update,
    correct_sample,
    error_ratio,
    exact,
    network,
    sample_estimate,
)

from nbt_embed import reference as ref
from nbt_embed.reference import Array, Step
from nbt_embed.reference.jacobian import sum_rows
from nbt_embed.reference.nobacktrack import scalings


def scaled_twice(
    w: Array, z: Array, u: Array, step: Step, signs: Array, decay: float, metric: ref.Metric
) -> tuple[Array, Array]:
    """Wrong: rho_r multiplies e_r twice."""
    v_new, w_new = ref.estimate_update(w, z, u, step, signs, decay, metric)
    _, rho_r = scalings(w, z, u, step.gain, metric)
    surplus = (signs * rho_r * (rho_r - 1))[..., None, :] * step.gain
    return v_new + sum_rows(surplus, H), w_new


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
    rho_0, _ = scalings(w, z, u, step.gain, metric)
    return v_new, w_new + w * (1 - 1 / rho_0[..., None, None])


def shared_sign(
    w: Array, z: Array, u: Array, step: Step, signs: Array, decay: float, metric: ref.Metric
) -> tuple[Array, Array]:
    """Wrong: all rows take the sign of the first."""
    same = np.broadcast_to(signs[..., :1], signs.shape)
    return ref.estimate_update(w, z, u, step, same, decay, metric)


@pytest.mark.parametrize(("cell", "norm"), CELLS_AND_NORMS)
@pytest.mark.slow
def test_estimate_is_unbiased(cell: str, norm: str) -> None:
    G, sample = exact(network(cell)), correct_sample(cell, norm)
    assert np.abs(G).max() > 100 * sample.standard_error.max()  # the check has something to see
    assert sample.distance(G).max() < 5


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
    rho_0, rho_r = scalings(w, z, u, step.gain, net.metric("metric"))
    np.testing.assert_allclose(rho_0**2 * np.linalg.norm(z), np.linalg.norm(np.sqrt(net.P) * w))
    np.testing.assert_allclose(
        rho_r**2 * np.linalg.norm(step.gain, axis=0), np.linalg.norm(np.sqrt(net.P) * u, axis=1)
    )
