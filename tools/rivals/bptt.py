"""Truncated backpropagation through time: back through the last `span` labels, then one step."""

from __future__ import annotations

import math

import numpy as np

from nbt_embed.errors import ConfigError
from tools.rivals.gru import Array, Step
from tools.rivals.rival import Rival


class TruncatedBPTT(Rival):
    """``Rival`` that keeps `span` steps and learns when they are full; the state is carried on.

    Args:
        span: steps, from 1.
        others: as ``Rival``.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        span: int = 20,
        hidden: int = 16,
        rate: float = 3e-3,
        fall: float = math.inf,
        seed: int = 0,
        lags: int = 1,
        max_delay: int = 0,
        scale_steps: int = 300,
    ) -> None:
        if span < 1:
            raise ConfigError(f"span = {span}: expected at least 1 step")
        self._span = span
        super().__init__(
            n_in, n_out, hidden=hidden, rate=rate, fall=fall, seed=seed, lags=lags,
            max_delay=max_delay, scale_steps=scale_steps,
        )  # fmt: skip

    def _clear(self) -> None:
        super()._clear()
        self._kept: list[tuple[Step, Array, Array]] = []

    def _learn(self, step: Step, error: Array, seen: Array) -> None:
        self._kept.append((step, error, seen))
        if len(self._kept) == self._span:
            gradients = self.gradients()
            self._kept.clear()
            self.move(*(one / self._span for one in gradients))

    def gradients(self) -> tuple[Array, Array, Array]:
        """Of half the sum of the squared errors of the kept steps, along W, U and V."""
        W, U, V = (np.zeros_like(one) for one in (self.W, self.U, self.V))
        back = np.zeros_like(self.state)
        for step, error, seen in reversed(self._kept):
            V += np.outer(error, seen)
            back, by_input, by_state = step.backward(back + error @ self.V[:, : back.size])
            W += by_input
            U += by_state
        return W, U, V
