"""Resonators in float64 NumPy: docs/design.md, sections 2 and 3.

    rho = exp(-exp nu)   n = sqrt(1 - rho^2)   lambda = rho e^(i omega)   u = [x; 1]
    s <- lambda s + n (a + i b)   s = p + i q   a = w_a.u   b = w_b.u

A unit is a damped rotation that the inputs drive. It is linear in its state and sees no other unit,
so that traces of one complex number per weight are the exact derivative. The parameters of C units
are rows [nu, w_a] and [omega, w_b], (2, C, I + 2); the last weight is the bias.

Sources: the linear recurrent unit (Orvieto et al. 2023, arXiv 2303.06349) and its traces (Zucchet
et al. 2023, arXiv 2305.15947; Elelimy et al. 2024, arXiv 2409.01449).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbt_embed.reference.arrays import Array

Complex = NDArray[np.complex128]

STATE_LIMIT = 1e4  # |p|, |q|; no derivative knows of it
NU = (-7.0, 1.0)
OMEGA = (0.0, np.pi)
GOLDEN = 0.618034  # spreads the angles of any number of units over the band
FIRST_BIAS = 0.3  # spread of the first biases relative to that of the weights on inputs


def first_nu_omega(tau: Array) -> Array:
    """First nu and omega (2, C) for time constants tau (C), samples: every third unit only decays.

    |lambda| = exp(-1 / tau).
    """
    k = np.arange(tau.size)
    omega = np.where(k % 3 == 0, 0.0, np.pi * (GOLDEN * k % 1))
    return within_bounds(np.array([-np.log(tau), omega]))


def within_bounds(nu_omega: Array) -> Array:
    """Bring nu and omega (2, C) into their ranges."""
    low, high = np.array([NU, OMEGA]).T[:, :, None]
    return np.asarray(np.clip(nu_omega, low, high))


def damping(nu: Array) -> tuple[Array, Array]:
    """Radius rho = |lambda| and gain n, (C) each: white inputs drive every unit alike."""
    rho = np.exp(-np.exp(nu))
    return rho, np.sqrt(1 - rho**2)


def resonate(theta: Array, state: Array, u: Array) -> Array:
    """The state [p; q] (2 C) after one step, not limited, for u = [x; 1] (I + 1)."""
    p, q = state.reshape(2, -1)
    nu, omega = theta[:, :, 0]
    a, b = theta[:, :, 1:] @ u
    rho, n = damping(nu)
    c, s = rho * np.cos(omega), rho * np.sin(omega)
    return np.concatenate([c * p - s * q + n * a, s * p + c * q + n * b])


def limited(state: Array) -> Array:
    """Keep [p; q] finite whatever the inputs."""
    return np.clip(state, -STATE_LIMIT, STATE_LIMIT)


@dataclass(frozen=True)
class Traces:
    """Derivatives of s of C units. G (C, I + 2): along nu and w_a. angle (C): along omega.

    Along w_b it is i times that along w_a.
    """

    G: Complex
    angle: Complex

    @classmethod
    def start(cls, n_units: int, n_cols: int) -> Traces:
        """No weight has acted yet."""
        return cls(np.zeros((n_units, n_cols), complex), np.zeros(n_units, complex))

    def after(self, theta: Array, state: Array, u: Array) -> Traces:
        """The traces one step later; state: [p; q] (2 C) before it.

        G_j <- lambda G_j + n u_j        angle <- lambda angle + i lambda s
        G_nu <- lambda G_nu - exp(nu) lambda s + n_nu (a + i b)
        n_nu = dn/dnu = rho^2 exp(nu) / n
        """
        p, q = state.reshape(2, -1)
        nu, omega = theta[:, :, 0]
        a, b = theta[:, :, 1:] @ u
        rho, n = damping(nu)
        lam, s = rho * np.exp(1j * omega), p + 1j * q
        along_nu = -np.exp(nu) * lam * s + rho**2 * np.exp(nu) / n * (a + 1j * b)
        injected = np.column_stack([along_nu, np.outer(n, u)])
        return Traces(lam[:, None] * self.G + injected, lam * self.angle + 1j * lam * s)

    @property
    def slopes(self) -> Complex:
        """Derivatives of s along all parameters, in their places, (2, C, I + 2)."""
        along_b = np.column_stack([self.angle, 1j * self.G[:, 1:]])
        return np.array([self.G, along_b])
