"""Derivatives of one step along the state before it: docs/design.md, section 3."""

from __future__ import annotations

import numpy as np

from nbt_embed.reference.arrays import Array
from nbt_embed.reference.cells import Step


def sum_rows(per_row: Array, n_hidden: int) -> Array:
    """Sum (..., parts, R) over the rows of each unit and flatten the parts: (..., S)."""
    *batch, parts, n_rows = per_row.shape
    gates = n_rows // max(n_hidden, 1)
    per_unit: Array = per_row.reshape(*batch, parts, gates, n_hidden).sum(axis=-2)
    return per_unit.reshape(*batch, parts * n_hidden)


def jacobian_vector(step: Step, theta: Array, v: Array) -> Array:
    """Jacobian-vector product z = J_t v for v (..., S).

    z_k,i = carry_k,i v_memory,i + sum_{r of unit i} e_k,r (theta_h v_h)_r
    """
    parts, n_hidden = step.carry.shape
    v_part = v.reshape(*v.shape[:-1], parts, n_hidden)
    v_h, v_memory = v_part[..., 0, :], v_part[..., -1, :]
    direct = step.carry * v_memory[..., None, :]
    through_a = v_h @ theta[:, :n_hidden].T
    gates = sum_rows(step.gain * through_a[..., None, :], n_hidden)
    return direct.reshape(gates.shape) + gates


def jacobian(step: Step, theta: Array) -> Array:
    """J_t (S, S), the derivative of the new state with respect to the old one."""
    columns = jacobian_vector(step, theta, np.eye(step.state.size))
    return columns.T


def by_row(per_unit: Array, n_rows: int) -> Array:
    """Repeat (..., H) for the rows of each unit, (..., R)."""
    repeated: Array = per_unit[..., np.arange(n_rows) % per_unit.shape[-1]]
    return repeated
