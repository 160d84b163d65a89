"""NoBackTrack, one random rank-one estimate v w^T of ds/dtheta: docs/design.md, section 3."""

from __future__ import annotations

import numpy as np

from nbt_embed.reference.arrays import SQUARE_TINY, TINY, Array
from nbt_embed.reference.cells import Step
from nbt_embed.reference.jacobian import sum_rows
from nbt_embed.reference.metric import Metric


def scalings(w: Array, z: Array, u: Array, gain: Array, metric: Metric) -> tuple[Array, Array]:
    """rho_0 (...) and rho_r (R) of the estimate, in the filter's metric or a Euclidean one."""
    norm_w = np.sqrt(metric.square(w).sum(axis=(-2, -1)))
    norm_z = np.sqrt((z**2).sum(axis=-1))
    norm_u = np.sqrt(metric.square(u).sum(axis=-1))
    norm_e = np.sqrt((gain**2).sum(axis=0))
    rho_0 = np.sqrt((norm_w + TINY) / (norm_z + TINY))
    rho_r = ((norm_u**2 + SQUARE_TINY) / (norm_e**2 + SQUARE_TINY)) ** 0.25
    return rho_0, rho_r


def estimate_update(
    w: Array, z: Array, u: Array, step: Step, signs: Array, decay: float, metric: Metric
) -> tuple[Array, Array]:
    """Advance v (..., S) and w (..., R, D) by one step of NoBackTrack (arXiv 1507.07680).

    Arguments: w (..., R, D); z = J_t v (..., S); u (D); signs (..., R).
    """
    n_hidden = step.carry.shape[1]
    rho_0, rho_r = scalings(w, z, u, step.gain, metric)
    injected = sum_rows((signs * rho_r)[..., None, :] * step.gain, n_hidden)
    v_new = decay * rho_0[..., None] * z + injected
    w_new = w / rho_0[..., None, None] + (signs / rho_r)[..., None] * u
    return v_new, w_new
