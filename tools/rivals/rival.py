"""What both rivals share: a recurrent network under the calls of a learner, and Adam."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from nbt_embed.anchor import find_anchor
from nbt_embed.arrays import Float32Array
from nbt_embed.baselines import Baseline
from nbt_embed.evaluate import evaluate
from nbt_embed.streams import Stream
from tools.rivals.gru import Array, Step, initial

RATES = (1e-3, 3e-3, 1e-2)
FALLS = (2e4, math.inf)


class Rival(Baseline):
    """A network of gated recurrent units with a linear readout of [h; u], learnt with Adam.

    Inputs and labels are scaled as for the other baselines, and an output whose labels are a
    channel's next values is learnt as the difference to that channel, as the learner does it
    (``Config.anchor``), in units of that difference. The state that forecasts and the state that
    learns are two, so that labels may be late.

    Args:
        n_in, n_out: channels.
        hidden: units.
        rate: of Adam; ``tuned`` chooses it.
        fall: the rate falls as 1 / sqrt(1 + labels / fall).
        seed: of the first weights and of what is random.
        lags, max_delay, scale_steps: as for ``Baseline``.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        hidden: int = 16,
        rate: float = 3e-3,
        fall: float = math.inf,
        seed: int = 0,
        lags: int = 1,
        max_delay: int = 0,
        scale_steps: int = 300,
    ) -> None:
        super().__init__(n_in, n_out, lags=lags, max_delay=max_delay, scale_steps=scale_steps)
        self.rng = np.random.default_rng(seed)
        width = n_in * lags + 1
        self.W, self.U = initial(hidden, width, self.rng)
        self.V = np.zeros((n_out, hidden + width))
        self._adam = Adam((self.W, self.U, self.V), rate, fall)
        self._anchor: tuple[int | None, ...] | None = None
        self._unit, self._labels_counted = np.ones(n_out), 0
        self._scale_steps = scale_steps
        self._clear()

    def _clear(self) -> None:
        self.live, self.state = np.zeros(self.W.shape[1]), np.zeros(self.W.shape[1])

    def reset_state(self) -> None:
        """Begin another recording: states are zero, and nothing waits."""
        super().reset_state()
        self._clear()

    def run(self, X: ArrayLike, Y: ArrayLike, *, horizon: int) -> Float32Array:
        """As ``Baseline.run``; anchors are found in the first piece that has rows."""
        inputs, labels, horizon = self._checked(X, Y, horizon)
        if self._anchor is None and len(inputs):
            x, y = inputs.astype(np.float32), labels.astype(np.float32)
            self._anchor = find_anchor(x, y, horizon)
        return super().run(X, Y, horizon=horizon)

    def _base(self, features: Array) -> Array:
        """What is learnt the difference to, (n_out,)."""
        anchor = self._anchor or (None,) * self.n_out
        return np.array([0.0 if one is None else features[one] for one in anchor])

    def _forecast(self, features: Array) -> Array:
        self.live = Step.of(self.W, self.U, self.live, features).after
        raw = self.V @ np.concatenate([self.live, features])
        return np.asarray(self._base(features) + self._unit * raw)

    def _update(self, features: Array, label: Array) -> None:
        difference = label - self._base(features)
        self._labels_counted += 1
        if self._labels_counted <= self._scale_steps:  # root mean square, then it stays
            square = np.where(np.isnan(difference), self._unit**2, difference**2)
            self._unit = np.sqrt(self._unit**2 + (square - self._unit**2) / self._labels_counted)
            self._unit = np.maximum(self._unit, 1e-6)
        step = Step.of(self.W, self.U, self.state, features)
        self.state = step.after
        seen = np.concatenate([self.state, features])
        error = self.V @ seen - difference / self._unit
        error[np.isnan(error)] = 0.0
        self._learn(step, error, seen)

    @abstractmethod
    def _learn(self, step: Step, error: Array, seen: Array) -> None:
        """Learn from the error (O) of V [h'; u] after a step; seen is [h'; u]."""

    def move(self, W: Array, U: Array, V: Array) -> None:
        """Go down these gradients."""
        self._adam.step((W, U, V))


class Adam:
    """Adam (Kingma and Ba 2014, arXiv 1412.6980) on arrays in place; clipped to norm 1."""

    def __init__(self, weights: Sequence[Array], rate: float, fall: float) -> None:
        self._weights, self._rate, self._fall = weights, rate, fall
        self._m = [np.zeros_like(one) for one in weights]
        self._v = [np.zeros_like(one) for one in weights]
        self._n = 0

    def step(self, gradients: Sequence[Array]) -> None:
        """One step; none where a gradient is not finite."""
        norm = math.sqrt(sum(float((one**2).sum()) for one in gradients))
        if not math.isfinite(norm):
            return
        self._n += 1
        rate = self._rate / math.sqrt(1 + self._n / self._fall)
        shrink = 1 / max(norm, 1.0)
        for w, m, v, g in zip(self._weights, self._m, self._v, gradients, strict=True):
            m += 0.1 * (shrink * g - m)
            v += 0.001 * ((shrink * g) ** 2 - v)
            w -= rate * (m / (1 - 0.9**self._n)) / (np.sqrt(v / (1 - 0.999**self._n)) + 1e-8)


def tuned(
    kind: Callable[..., Rival],
    stream: Stream,
    *,
    horizon: int = 1,
    share: float = 0.2,
    seed: int = 0,
    rates: Sequence[float] = RATES,
    falls: Sequence[float] = FALLS,
    **settings: int,
) -> Rival:
    """A fresh rival with the rate that does best on the first part of a stream.

    Args:
        kind: ``UORO`` or ``TruncatedBPTT``.
        stream: what it will be evaluated on.
        horizon: rows ahead.
        share: of the rows, for every trial.
        seed: of the rival that is returned; the trials have another one.
        rates: of the grid.
        falls: of the grid.
        settings: as hidden, lags or span.
    """
    rows = max(int(share * len(stream)), 2 * horizon + 2)
    part = replace(stream, inputs=stream.inputs[:rows], targets=stream.targets[:rows])
    settings |= {"n_in": stream.n_in, "n_out": stream.n_out, "max_delay": max(horizon - 1, 0)}
    tried = {
        (rate, fall): evaluate(
            kind(rate=rate, fall=fall, seed=seed + 1000, **settings), part, horizon
        ).nrmse
        for rate in rates
        for fall in falls
    }
    rate, fall = min(tried, key=lambda pair: (not math.isfinite(tried[pair]), tried[pair]))
    return kind(rate=rate, fall=fall, seed=seed, **settings)
