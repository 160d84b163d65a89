"""The first parameters of a learner: docs/design.md, section 4."""

from __future__ import annotations

import numpy as np

from nbt_embed.reference.arrays import Array
from nbt_embed.reference.cells import CELLS
from nbt_embed.reference.generator import Generator
from nbt_embed.reference.resonator import FIRST_BIAS, first_nu_omega
from nbt_embed.reference.settings import Settings


def time_constants(config: Settings, n_units: int) -> Array:
    """Time constants tau of n units of a kind, in samples, log-spaced from tau_min to tau_max."""
    if n_units == 1:
        return np.array([np.sqrt(config.tau_min * config.tau_max)])
    return np.geomspace(config.tau_min, config.tau_max, n_units)


def initial_theta(config: Settings, generator: Generator) -> Array:
    """Seeded recurrent parameters (R, D); draws R * D words, row by row."""
    H, G, inputs = config.n_hidden, config.n_gated, config.n_in * config.lags
    states = config.n_cols - inputs - 1  # columns that see states
    scale = np.sqrt(3.0) * np.concatenate(
        [
            np.full(states, config.recurrent_gain / np.sqrt(max(states, 1))),
            np.full(inputs + 1, config.input_gain / np.sqrt(inputs)),
        ]
    )
    drawn = [generator.uniform() for _ in range(config.n_rows * config.n_cols)]
    theta: Array = np.array(drawn).reshape(config.n_rows, config.n_cols) * scale
    slow = np.log(time_constants(config, G) - 1.0)
    # A sigmoid of the bias -slow is 1 / tau.
    for gate, bias in ((CELLS[config.cell].slow, -slow), (CELLS[config.cell].fast, slow)):
        if gate is not None:
            theta[gate * H : gate * H + G, -1] = bias
    gates, resonating = config.of_kinds(theta)
    resonating[:, :, 0] = first_nu_omega(time_constants(config, config.n_resonators))
    resonating[:, :, -1] *= FIRST_BIAS
    return config.of_all(gates, resonating)


def initial_head(config: Settings, generator: Generator) -> Array:
    """Seeded weights (K, E + I + 1) of the head; draws as many words, row by row, after theta's."""
    scale = config.head_gain * np.sqrt(3.0 / max(config.n_seen, 1))
    drawn = [generator.uniform() for _ in range(config.head * config.n_context)]
    return np.asarray(np.array(drawn).reshape(config.head, config.n_context) * scale)
