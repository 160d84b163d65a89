"""The covariance of a readout, C = U diag(d) U^T: docs/design.md, section 3."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbt_embed.reference.arrays import Array


def ud_product(U: Array, d: Array) -> Array:
    """C = U diag(d) U^T, (D, D)."""
    return (U * d) @ U.T


def ud_update(U: Array, d: Array, f: Array, kappa: float) -> tuple[Array, Array]:
    """Bierman's update: the UD factors of C - kappa (C f)(C f)^T / (1 + kappa f^T C f).

    U is unit upper triangular. Source: Bierman 1977, Factorization Methods for Discrete
    Sequential Estimation, chapter V, with measurement variance 1 / kappa. Cost: O(D^2).
    """
    U, d = U.copy(), d.copy()
    p = U.T @ f
    g = d * p
    Cf = np.zeros_like(f)  # C f, column by column
    alpha = 1.0
    for j in range(d.size):
        alpha_before, alpha = alpha, alpha + kappa * p[j] * g[j]
        d[j] *= alpha_before / alpha
        column = U[:, j].copy()
        U[:j, j] -= kappa * p[j] / alpha_before * Cf[:j]
        Cf += g[j] * column
    return U, d


def forget_step(d: Array, start: Array, forget: float) -> Array:
    """d_j <- d_j / (phi + (1 - phi) d_j / d0_j): information decays towards the prior's."""
    return d / (forget + (1 - forget) * d / start)


class ReadoutCovariance:
    """C of a readout, C = U diag(d) U^T, in units of the noise.

    The factors stand in the order of the features that `order` says: what is forgotten, d, depends
    on it. C itself, and every argument, is in the order of f.

    Attributes: U (n, n); d, d0 (n): now and at the start.
    """

    def __init__(self, start: Array, order: NDArray[np.int_]) -> None:
        self.order, self.d0 = order, start[order]
        self.restart()

    def restart(self) -> None:
        """Know nothing but the prior."""
        self.U, self.d = np.eye(self.d0.size), self.d0.copy()

    @property
    def dense(self) -> Array:
        """C (n, n)."""
        C = np.empty_like(self.U)
        C[np.ix_(self.order, self.order)] = ud_product(self.U, self.d)
        return C

    def measure(self, f: Array, kappa: float, forget: float, lift: float) -> None:
        """Take in a sample with weight kappa, then forget towards lift times the prior."""
        self.U, self.d = ud_update(self.U, self.d, f[self.order], kappa)
        self.d = forget_step(self.d, self.d0 * lift, forget)
