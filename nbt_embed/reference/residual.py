"""Traces, and v w^T of what they leave out: docs/design.md, section 3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbt_embed.reference.arrays import TINY, Array
from nbt_embed.reference.cells import Step
from nbt_embed.reference.jacobian import by_row, jacobian, jacobian_vector
from nbt_embed.reference.metric import Metric
from nbt_embed.reference.traces import own_carry, trace_update


@dataclass(frozen=True)
class Balance:
    """What the scalings of `residual` remember of the steps before.

    norm_w (...): |w|. norm_g (H): |g_i|, over the rows of unit i. kappa (H): norm of column i of
    J_t without its diagonal, when last refreshed. steps: how many went before, which says whose
    turn it is. Any positive values keep the estimate unbiased; these keep its variance low.
    """

    norm_w: Array
    norm_g: Array
    kappa: Array
    steps: int = 0

    @classmethod
    def start(cls, n_hidden: int) -> Balance:
        """Before the first step."""
        return cls(np.zeros(()), np.zeros(n_hidden), np.ones(n_hidden))

    def after(self, w: Array, g: Array, J: Array, metric: Metric) -> Balance:
        """Measure the new w (..., R, D) and g (R, D), and one column of J (H, H), in turn."""
        n_hidden = self.kappa.size
        g_squared = metric.square(g).sum(axis=-1)
        turn, kappa = self.steps % n_hidden, self.kappa.copy()
        kappa[turn] = np.linalg.norm(np.delete(J[:, turn], turn))
        return Balance(
            norm_w=np.sqrt(metric.square(w).sum(axis=(-2, -1))),
            norm_g=np.sqrt(g_squared.reshape(-1, n_hidden).sum(axis=0)),
            kappa=kappa,
            steps=self.steps + 1,
        )

    def scalings(self, v: Array) -> tuple[Array, Array]:
        """rho_0 (...) for v (..., H), and |y| (H)."""
        norm_v = np.sqrt((v**2).sum(axis=-1))
        rho_0 = np.sqrt((self.norm_w + TINY) / (norm_v + TINY))
        return rho_0, np.sqrt((self.norm_g + TINY) / (self.kappa + TINY))


def residual_update(
    v: Array,
    w: Array,
    g: Array,
    u: Array,
    step: Step,
    theta: Array,
    signs: Array,
    decay: float,
    balance: Balance,
) -> tuple[Array, Array, Array]:
    """Advance v (..., H), w (..., R, D) and g (R, D): v w^T estimates what the traces leave out.

    With decay 1, E[v w^T] + diag(g) is ds/dtheta. Arguments: u (D); signs (..., H), one per unit.
    """
    d = own_carry(jacobian(step, theta))
    rho_0, size = balance.scalings(v)
    y = signs * size
    v_new = decay * (jacobian_vector(step, theta, rho_0[..., None] * v + y) - d * y)
    w_new = w / rho_0[..., None, None] + g / by_row(y, len(g))[..., None]
    return v_new, w_new, trace_update(g, u, step, d)
