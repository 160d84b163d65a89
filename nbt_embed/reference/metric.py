"""Lengths of parameter vectors, as the filter of the parameters measures them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbt_embed.reference.arrays import Array


@dataclass(frozen=True)
class Metric:
    """The filter's covariance Q of theta: a positive operator that keeps to the rows of (R, D).

    P (R, D) and coupling c (R, D): with x~ = x - c x_bias, a^T Q b = sum P a~ b~. The bias column
    of c is 0; `kalman` has c = 0 everywhere, so that Q = diag(P).
    """

    P: Array
    coupling: Array

    @classmethod
    def diagonal(cls, P: Array) -> Metric:
        """Q = diag(P); P = 1 is the Euclidean metric."""
        return cls(P, np.zeros_like(P))

    @classmethod
    def quasi_diagonal(cls, M: Array, cross: Array) -> Metric:
        """Q of the information M_ii (R, D) and M_0i (R, D), 0 the bias (Ollivier 2015)."""
        M00 = M[:, -1:]
        coupling = cross / M00
        coupling[:, -1] = 0.0
        return cls(1 / (M - coupling**2 * M00), coupling)

    def without_bias(self, x: Array) -> Array:
        """x~ = x - c x_bias for x (..., R, D) or (D), (..., R, D)."""
        return x - self.coupling * x[..., -1:]

    def whiten(self, x: Array) -> Array:
        """sqrt(P) x~ for x (..., R, D): plain inner products of these are those of the metric."""
        return np.asarray(np.sqrt(self.P) * self.without_bias(x))

    def colour(self, y: Array) -> Array:
        """The x (..., R, D) whose whitened form is y."""
        own = y / np.sqrt(self.P)
        return np.asarray(own + self.coupling * own[..., -1:])

    def square(self, x: Array) -> Array:
        """The terms P x~^2 of x^T Q x for x (..., R, D) or (D), (..., R, D)."""
        return np.asarray(self.P * self.without_bias(x) ** 2)

    def apply(self, x: Array) -> Array:
        """Q x for x (R, D): dW_i = P_i (x_i - c_i x_0), db = P_0 x_0 - sum_i c_i dW_i."""
        moved: Array = self.P * self.without_bias(x)
        moved[:, -1] -= (self.coupling * moved).sum(axis=-1)
        return moved
