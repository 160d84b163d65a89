"""What a reference learner is: the fields of nbt_config, with names for the choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed.reference.arrays import Array
from nbt_embed.reference.cells import CELLS, seen_columns


@dataclass(frozen=True)
class Settings:
    """What a learner is: the fields of nbt_config, with names instead of numbers for the choices.

    Units and ranges: csrc/nbt.h. The values here suit the tests; they are no recommendation.
    """

    n_in: int
    n_out: int
    n_hidden: int
    lags: int = 1
    max_delay: int = 0
    head: int = 0
    head_gain: float = 0.0
    cell: str = "gated"
    resonators: int = 0  # with columnar; resonator has no other units
    estimator: str = "nobacktrack"
    norm: str = "metric"
    filter: str = "kalman"
    link: str = "gaussian"
    scale_steps: int = 300
    hold_missing: bool = False
    anneal_steps: int = 0
    scale_rate: float = 0.0
    tau_min: float = 1.4
    tau_max: float = 150.0
    recurrent_gain: float = 1.0
    input_gain: float = 1.0
    decay: float = 1.0
    rate: float = 1.0
    info_rate: float = 1e-3
    info_floor: float = 0.1
    forget: float = 0.999
    prior: float = 1.0
    prior_hidden: float = 1.0
    noise_rate: float = 1e-2
    sgd_rate: float = 1e-2
    drift_steps: int = 0  # with mix_forget; without it, the watch is not here
    gate: float = 0.0
    input_limit: float = 0.0  # with follow; the other guards are not here
    follow: bool = False
    anchor: tuple[int | None, ...] | None = None
    linear_lags: int = 0
    linear_forget: float = 0.0
    slow_forget: float = 0.0
    mix_forget: float = 0.0
    prior_units: bool = False
    levels: tuple[float, ...] = ()  # of the intervals, with follow
    anomaly: bool = False
    seed: int = 0

    @property
    def n_rows(self) -> int:
        """R, the pre-activations."""
        return CELLS[self.cell].gates * self.n_hidden

    @property
    def n_cols(self) -> int:
        """D, the columns of theta."""
        inputs = self.n_in * self.lags + 1
        return (1 if CELLS[self.cell].alone else self.n_hidden) + inputs

    @property
    def n_resonators(self) -> int:
        """C, the last of the units."""
        return self.n_hidden if self.cell == "resonator" else self.resonators

    @property
    def n_gated(self) -> int:
        """H - C, the units with the gates of the cell."""
        return self.n_hidden - self.n_resonators

    @property
    def n_seen(self) -> int:
        """E, the first floats of the state, which head and readout see."""
        return self.n_hidden + self.n_resonators

    @property
    def columns(self) -> NDArray[np.int_]:
        """The place in u = [h; x; 1] of what each column of a gate's row sees, (R - 2 C, D)."""
        return seen_columns(self.cell, self.n_gated, self.n_in * self.lags)

    @property
    def n_context(self) -> int:
        """The entries of z = [h; x; 1], the columns of the head."""
        return self.n_seen + self.n_in * self.lags + 1

    @property
    def n_features(self) -> int:
        """F, the features f = [h; phi; x; 1] and the columns of the readout."""
        return self.n_context + self.head

    @property
    def n_state(self) -> int:
        """S, the floats of the state."""
        return CELLS[self.cell].parts * self.n_hidden + self.n_resonators

    @property
    def is_gate(self) -> NDArray[np.bool_]:
        """Which rows of theta are of units with gates, (R); the others are of resonators."""
        return np.arange(self.n_rows) % max(self.n_hidden, 1) < self.n_gated

    def of_kinds(self, rows: Array) -> tuple[Array, Array]:
        """Of rows (R, D) those of gates (R - 2 C, D), and those of resonators (2, C, D)."""
        resonating = rows[~self.is_gate].reshape(2, self.n_resonators, self.n_cols)
        return rows[self.is_gate], resonating

    def of_all(self, gates: Array, resonating: NDArray[Any]) -> NDArray[Any]:
        """Undo ``of_kinds``, (R, D)."""
        rows = np.zeros((self.n_rows, self.n_cols), resonating.dtype)
        rows[self.is_gate], rows[~self.is_gate] = gates, resonating.reshape(-1, self.n_cols)
        return rows
