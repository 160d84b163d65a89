"""The case of the comparison: LSTM, 32 units, 8 inputs, 8 outputs, gaussian, nobacktrack, kalman.

Horizon 0: a step is a forecast and then its label. The stream is standardised already and the
scaler is off, so that every peer can follow; the guards of the kernel are on, as by default, and
nobody else's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed import Config, Learner

Float32Array = NDArray[np.float32]

INPUTS, OUTPUTS, HIDDEN = 8, 8, 32
# The network and its readout alone, which is what the peers have: without units that follow,
# anchors and the mixture.
ALONE: dict[str, Any] = {
    "follow": False,
    "lags": 1,
    "gate": 20.0,
    "rate": 0.24,
    "input_gain": 0.8,
    "info_floor": 0.02,
    "prior_hidden": 0.03,
    "prior_units": False,
}
CONFIG = Config(
    INPUTS,
    OUTPUTS,
    hidden=HIDDEN,
    cell="lstm",
    estimator="nobacktrack",
    scale_steps=0,
    seed=1,
    **ALONE,
)


USUAL_INPUTS, USUAL_OUTPUTS, USUAL_HIDDEN = 3, 1, 16


def usual(hidden: int = USUAL_HIDDEN) -> Config:
    """The learner without settings, mixture of forecasts, intervals and anomaly score included."""
    return Config(USUAL_INPUTS, USUAL_OUTPUTS, hidden=hidden)


@dataclass(frozen=True)
class Stream:
    """Inputs x (T, I) and labels y (T, O), scaled; signs (T, R) for peers that are given theirs."""

    x: Float32Array
    y: Float32Array
    signs: Float32Array

    def __len__(self) -> int:
        """Samples."""
        return len(self.x)


def stream(steps: int, config: Config = CONFIG, seed: int = 0, signs: bool = True) -> Stream:
    """Smooth inputs; labels that depend on the present and the fourth last input, and noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(steps + 4, config.n_in))
    for t in range(1, len(x)):
        x[t] = 0.8 * x[t - 1] + 0.6 * x[t]
    mix = rng.normal(size=(2, config.n_in, config.n_out)) / np.sqrt(config.n_in)
    y = np.tanh(x[4:] @ mix[0]) + 0.5 * (x[:-4] @ mix[1]) + 0.1 * rng.normal(size=(steps, 1))
    rows = 4 * config.hidden if signs else 0  # of an LSTM
    drawn = 1 - 2 * rng.integers(0, 2, (steps, rows))
    parts = (x[4:], y / np.maximum(y.std(axis=0), 0.1), drawn)
    return Stream(*(np.ascontiguousarray(part, np.float32) for part in parts))


@dataclass(frozen=True)
class Numbers:
    """The settings that the equations need, as in docs/design.md.

    gain is eta gamma for one waiting forecast, before annealing.
    """

    decay: float
    gain: float
    gamma: float
    delta: float
    phi: float
    prior: float
    prior_hidden: float
    noise_rate: float
    anneal_steps: float

    @classmethod
    def of(cls, config: Config) -> Numbers:
        """Of a configuration with the gaussian link."""
        assert config.rate is not None
        assert config.info_floor is not None
        assert config.forget is not None
        assert config.prior is not None
        assert config.prior_hidden is not None
        return cls(
            config.decay,
            config.rate * config.info_rate,
            config.info_rate,
            config.info_floor,
            config.forget,
            config.prior,
            config.prior_hidden,
            config.noise_rate,
            float(config.anneal_steps),
        )


def initial_theta(config: Config = CONFIG) -> Float32Array:
    """The kernel's parameters (R, D) before the first step."""
    return Learner(config).array("theta").copy()
