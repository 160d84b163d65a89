"""A gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), and its derivatives by hand.

    r = sigmoid(W_r u + U_r h)   z = sigmoid(W_z u + U_z h)   m = U_n h
    n = tanh(W_n u + r m)        h' = (1 - z) n + z h

u (D) is the input with a 1 at its end. W (3, H, D) and U (3, H, H) hold r, z, n in this order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def initial(hidden: int, width: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """W and U, uniform within 1 / sqrt(H), as is usual; half of the units start slow."""
    reach = 1 / np.sqrt(max(hidden, 1))
    W = rng.uniform(-reach, reach, (3, hidden, width))
    W[1, :, -1] += np.linspace(0.0, 3.0, hidden)  # keeps h for 2 to 20 steps
    return W, rng.uniform(-reach, reach, (3, hidden, hidden))


@dataclass(frozen=True)
class Step:
    """One step from h by u, with what its derivatives need."""

    W: Array
    U: Array
    h: Array
    u: Array
    r: Array
    z: Array
    n: Array
    m: Array

    @classmethod
    def of(cls, W: Array, U: Array, h: Array, u: Array) -> Step:
        """Make the step."""
        from_input, m = W @ u, U[2] @ h
        r, z = 0.5 + 0.5 * np.tanh(0.5 * (from_input[:2] + U[:2] @ h))
        return cls(W, U, h, u, r, z, np.tanh(from_input[2] + r * m), m)

    @property
    def after(self) -> Array:
        """H' (H)."""
        return np.asarray((1 - self.z) * self.n + self.z * self.h)

    def forward(self, v: Array) -> Array:
        """The derivative of h' along h, times v (H)."""
        dr, dz = self.r * (1 - self.r), self.z * (1 - self.z)
        along = self.U @ v
        dn = (1 - self.n**2) * (dr * along[0] * self.m + self.r * along[2])
        return np.asarray(dz * along[1] * (self.h - self.n) + (1 - self.z) * dn + self.z * v)

    def backward(self, g: Array) -> tuple[Array, Array, Array]:
        """From dl/dh' (H): dl/dh (H), dl/dW (3, H, D), dl/dU (3, H, H)."""
        a_n = g * (1 - self.z) * (1 - self.n**2)
        a_r = a_n * self.m * self.r * (1 - self.r)
        a_z = g * (self.h - self.n) * self.z * (1 - self.z)
        by_input, by_state = np.array([a_r, a_z, a_n]), np.array([a_r, a_z, a_n * self.r])
        before = g * self.z + np.einsum("ghk,gh->k", self.U, by_state)
        return before, by_input[:, :, None] * self.u, by_state[:, :, None] * self.h
