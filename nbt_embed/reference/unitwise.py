"""Traces, and for each unit V_i w_i^T of what they leave out: docs/design.md, section 3."""

from __future__ import annotations

import numpy as np

from nbt_embed.reference.arrays import TINY, Array
from nbt_embed.reference.cells import Step
from nbt_embed.reference.jacobian import jacobian
from nbt_embed.reference.metric import Metric
from nbt_embed.reference.traces import own_carry, trace_update


def unit_vectors(per_row: Array, n_hidden: int) -> Array:
    """Gather (..., R, D) into one vector per unit, its rows end to end, (..., H, R / H * D)."""
    *batch, _, n_cols = per_row.shape
    gates = per_row.reshape(*batch, -1, n_hidden, n_cols)
    return np.moveaxis(gates, -3, -2).reshape(*batch, n_hidden, -1)


def unit_rows(vectors: Array, n_cols: int) -> Array:
    """Undo unit_vectors: (..., H, R / H * D) back to (..., R, D)."""
    *batch, n_hidden, _ = vectors.shape
    gates = vectors.reshape(*batch, n_hidden, -1, n_cols)
    return np.moveaxis(gates, -3, -2).reshape(*batch, -1, n_cols)


def direction(x: Array) -> Array:
    """Unit vector x / |x| over the last axis; 0 where x is 0."""
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), TINY))


def plane(a: Array, b: Array) -> Array:
    """Gram-Schmidt basis q1, q2 of a and b (..., n), a first, (..., 2, n); 0 where none is left."""
    q1 = direction(a)
    q2 = direction(b - (q1 * b).sum(axis=-1, keepdims=True) * q1)
    return np.stack([q1, q2], axis=-2)


def right_rotation(K: Array) -> Array:
    """Right singular vectors of K (..., H, 2), largest first: rows [c, s], [-s, c], (..., 2, 2).

    The larger of |c|, |s| is positive, which is the sign of c + s. The signs choose the sample that
    a random sign stands for, and with it every step that follows.
    """
    largest = np.linalg.svd(K)[2][..., 0, :]
    positive = largest.sum(axis=-1, keepdims=True) >= 0
    c, s = np.moveaxis(np.where(positive, largest, -largest), -1, 0)
    return np.stack([np.stack([c, s], axis=-1), np.stack([-s, c], axis=-1)], axis=-2)


def random_rank_one(A: Array, B: Array, a: Array, b: Array, signs: Array) -> tuple[Array, Array]:
    """Random l (..., H) and r (..., n) with E[l r^T] = X = A a^T + B b^T, and least variance.

        X = sigma_1 l_1 r_1^T + sigma_2 l_2 r_2^T
        l = sqrt(sigma_1) l_1 + epsilon sqrt(sigma_2) l_2, r alike

    Source: Benzing et al. 2019, Optimal Kronecker-Sum Approximation of Real Time Recurrent
    Learning, arXiv 1902.03993. Arguments: A, B (..., H); a, b (..., n); signs (...), one epsilon
    each.
    """
    q = plane(a, b)
    in_plane = [np.einsum("...kn,...n->...k", q, x)[..., None, :] for x in (a, b)]
    K = A[..., None] * in_plane[0] + B[..., None] * in_plane[1]  # X q^T
    rotation = right_rotation(K)
    left = np.moveaxis(K @ np.swapaxes(rotation, -1, -2), -1, 0)  # sigma_k l_k
    right = np.moveaxis(rotation @ q, -2, 0)  # r_k
    sigma = np.linalg.norm(left, axis=-1, keepdims=True)
    left, right = left / np.sqrt(np.maximum(sigma, TINY)), right * np.sqrt(sigma)
    epsilon = signs[..., None]
    return left[0] + epsilon * left[1], right[0] + epsilon * right[1]


def rest_update(
    V: Array, w: Array, g: Array, J: Array, d: Array, signs: Array, decay: float, metric: Metric
) -> tuple[Array, Array]:
    """Advance what the traces leave out of unit i's parameters, V_i w_i^T, for every i.

        E[V_i w_i^T] <- decay J V_i w_i^T + (J_:i - d_i 1_i) g_i^T

    Arguments: V (..., H, H), row i is V_i; w (..., R, D), w_i on the rows of unit i; g (R, D);
    J (H, H); d (H), what the traces keep of its diagonal; signs (..., H); the metric in which the
    right vectors are measured. Returns: the new V and w.
    """
    n_hidden = d.size
    A = decay * V @ J.T
    B = (J - np.diag(d)).T
    w_unit, g_unit = (unit_vectors(metric.whiten(x), n_hidden) for x in (w, g))
    V_new, w_new = random_rank_one(A, B, w_unit, g_unit, signs)
    return V_new, metric.colour(unit_rows(w_new, g.shape[1]))


def unitwise_update(
    V: Array,
    w: Array,
    g: Array,
    u: Array,
    step: Step,
    theta: Array,
    signs: Array,
    decay: float,
    metric: Metric,
) -> tuple[Array, Array, Array]:
    """Advance V (..., H, H), w (..., R, D) and the traces g (R, D): a rank-one rest per unit.

    Arguments: u (D); theta (R, D); signs (..., H). The rest takes the old g.
    """
    J = jacobian(step, theta)
    d = own_carry(J)
    V_new, w_new = rest_update(V, w, g, J, d, signs, decay, metric)
    return V_new, w_new, trace_update(g, u, step, d)
