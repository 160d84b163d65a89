"""SnAp-1, exact traces inside each unit: docs/design.md, section 3."""

from __future__ import annotations

import numpy as np

from nbt_embed.reference.arrays import Array
from nbt_embed.reference.cells import Step
from nbt_embed.reference.jacobian import by_row


def own_carry(J: Array) -> Array:
    """Clamp the diagonal of J_t, d (H): beyond [-1, 1] the traces would grow."""
    return np.asarray(np.clip(np.diag(J), -1.0, 1.0))


def trace_update(g: Array, u: Array, step: Step, d: Array) -> Array:
    """g_r <- d_unit(r) g_r + e_r u, the own-unit traces (R, D) of SnAp-1 (arXiv 2006.07232)."""
    injected: Array = step.gain[0][:, None] * u
    return by_row(d, len(g))[:, None] * g + injected
