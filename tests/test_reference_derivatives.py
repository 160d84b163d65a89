"""The reference's derivatives against finite differences of the unrolled network."""

from __future__ import annotations

import numpy as np
import pytest
from reference_cases import CELLS, exact, network

from nbt_embed import reference as ref


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
