"""The exact derivative ds/dtheta, forward in time: docs/design.md, section 3."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nbt_embed.reference.arrays import Array
from nbt_embed.reference.cells import Step
from nbt_embed.reference.differences import complex_derivative
from nbt_embed.reference.jacobian import jacobian, sum_rows


def exact_rtrl(G: Array, u: Array, step: Step, theta: Array) -> Array:
    """G(t) = J_t G(t-1) + sum_r e_r (x) u, the exact ds/dtheta for fixed parameters, (S, R, D)."""
    n_rows, n_hidden = theta.shape[0], step.carry.shape[1]
    row = np.eye(n_rows)
    e = sum_rows(row[:, None, :] * step.gain, n_hidden)  # (R, S): e_r placed in its unit
    return np.tensordot(jacobian(step, theta), G, 1) + e.T[:, :, None] * u


def exact_layer(
    G: Array, layer: Callable[[Array, Array], Array], state: Array, theta: Array
) -> Array:
    """As exact_rtrl, of units of any kind: the step of the layer is differentiated as it is.

    Arguments: G (S, R, D); layer, the new state (S) as an analytic function of state (S) and theta
    (R, D).
    """
    J = complex_derivative(lambda s: layer(s, theta), state).T
    injected = np.moveaxis(complex_derivative(lambda at: layer(state, at), theta), -1, 0)
    return np.asarray(np.tensordot(J, G, 1) + injected)
