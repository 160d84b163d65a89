"""An echo state network: a fixed random recurrent layer, read out by recursive least squares."""

from __future__ import annotations

from collections import deque

import numpy as np

from nbt_embed.arrays import Float64Array
from nbt_embed.baselines import Baseline, Rls


class EchoState(Baseline):
    """Leaky tanh units with fixed random weights (Jaeger 2001), and ``Rls`` on [h; x; 1].

        h ← (1 − leak) h + leak tanh(W h + W_in x + b)

    The inputs and the labels are scaled as every ``Baseline`` scales them.

    Args:
        units: at least 1.
        forget: forgetting factor of the readout, (0, 1].
        radius: spectral radius of W.
        input_gain: standard deviation of W_in and b.
        leak: (0, 1].
        seed: of W, W_in and b.
        others: as ``Baseline``; lags stay 1, since the units remember.

    Cost: units² + 3 (units + n_in)² operations per step.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        max_delay: int = 0,
        scale_steps: int = 300,
        units: int = 100,
        forget: float = 0.9995,
        radius: float = 0.9,
        input_gain: float = 0.2,
        leak: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__(n_in, n_out, max_delay=max_delay, scale_steps=scale_steps)
        rng = np.random.default_rng(seed)
        weights = rng.normal(size=(units, units))
        self._recurrent = weights * (radius / np.abs(np.linalg.eigvals(weights)).max())
        self._inward = input_gain * rng.normal(size=(units, n_in + 1))
        self._leak = leak
        self._state = np.zeros(units)
        self._readout = Rls(units + n_in, n_out, max_delay=max_delay, scale_steps=0, forget=forget)
        self._seen: deque[Float64Array] = deque()

    def _forecast(self, features: Float64Array) -> Float64Array:
        drive = np.tanh(self._recurrent @ self._state + self._inward @ features)
        self._state = (1 - self._leak) * self._state + self._leak * drive
        self._seen.append(np.concatenate([self._state, features]))
        return self._readout._forecast(self._seen[-1])

    def _update(self, features: Float64Array, label: Float64Array) -> None:  # noqa: ARG002
        self._readout._update(self._seen.popleft(), label)
