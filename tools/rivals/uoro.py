"""UORO (Tallec and Ollivier 2017, arXiv 1702.05043): one random rank-one estimate, no past.

z = dh'/dh s~           k = nu^T dh'/dtheta          nu: random signs (H)
s~ <- rho_0 z + rho_1 nu                 theta~ <- theta~ / rho_0 + k / rho_1
rho_0 = sqrt(|theta~| / |z|)             rho_1 = sqrt(|k| / |nu|)
gradient: (dl/dh' . s~) theta~, of the readout the exact one
"""

from __future__ import annotations

import math

import numpy as np

from tools.rivals.gru import Array, Step
from tools.rivals.rival import Rival

TINY = 1e-7


class UORO(Rival):
    """``Rival`` that learns with every label."""

    def _clear(self) -> None:
        super()._clear()
        self.left = np.zeros_like(self.state)
        self.right = (np.zeros_like(self.W), np.zeros_like(self.U))

    def carry(self, step: Step) -> None:
        """Advance left and right over a step."""
        signs = self.rng.choice([-1.0, 1.0], size=self.left.size)
        z = step.forward(self.left)
        _, *k = step.backward(signs)
        rho_0 = math.sqrt(_norm(*self.right) / _norm(z))
        rho_1 = math.sqrt(_norm(*k) / _norm(signs))
        self.left = rho_0 * z + rho_1 * signs
        self.right = (self.right[0] / rho_0 + k[0] / rho_1, self.right[1] / rho_0 + k[1] / rho_1)

    def _learn(self, step: Step, error: Array, seen: Array) -> None:
        self.carry(step)
        along = float(error @ self.V[:, : self.left.size] @ self.left)
        self.move(along * self.right[0], along * self.right[1], np.outer(error, seen))


def _norm(*parts: Array) -> float:
    return math.sqrt(sum(float((part**2).sum()) for part in parts)) + TINY
