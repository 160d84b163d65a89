"""The learnt layer in front of the readout, in float64 NumPy: docs/design.md, section 3.

    z = [h; x; 1]   phi = tanh(U z)   e = 1 - phi^2   f = [h; phi; x; 1]

K units see the new state h (E) and the input x (I). U (K, E + I + 1) is learnt like the recurrent
parameters, but its slope needs no derivative of the state, so it is exact with every estimator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbt_embed.reference.arrays import Array

TURN_MAX = 0.5


@dataclass(frozen=True)
class HeadStep:
    """What the head says of one sample: z (E + I + 1), phi (K) and its slope e (K) along U z."""

    z: Array
    phi: Array
    slope: Array

    @classmethod
    def of(cls, U: Array, z: Array) -> HeadStep:
        """Compute phi = tanh(U z)."""
        phi = np.tanh(U @ z)
        return cls(z, phi, 1 - phi**2)

    def through(self, V: Array, U: Array, n_seen: int) -> Array:
        """Slopes of V f along h, V_o,i + sum_k V_o,k e_k U_k,i, (O, E), for V (O, F)."""
        along_phi = V[:, n_seen : n_seen + self.phi.size]
        return np.asarray(V[:, :n_seen] + (along_phi * self.slope) @ U[:, :n_seen])

    def slopes(self, V: Array, n_seen: int) -> Array:
        """Slopes of V f along U, V_o,k e_k z, (O, K, E + I + 1)."""
        along_phi = V[:, n_seen : n_seen + self.phi.size]
        return np.asarray((along_phi * self.slope)[:, :, None] * self.z)

    def bounded(self, change: Array) -> Array:
        """Return the change of U (K, E + I + 1) with every U_k z moved by at most 1/2.

        Rows that would move further are shortened. The slope of tanh grows at most e-fold over half
        a unit, and its mean there is below 2 e_k: what was meant to take off an error never turns
        it into a larger one.
        """
        moves = np.abs(change @ self.z)
        return np.asarray(change * (TURN_MAX / np.maximum(moves, TURN_MAX))[:, None])
