"""The method in float64 NumPy: docs/design.md, sections 1 to 5, one equation a line.

Purpose: the readable oracle that the C kernel follows step by step. Nothing here is fast, nothing
is shared with the kernel. Symbols and shapes are those of the table in docs/design.md:

    I = n_in * lags   H = n_hidden   O = n_out   D = H + I + 1   parts = 2 (lstm: h, c) or 1 (h)
    S = parts * H     R = gates * H, row r belongs to unit r mod H     u = [h; x; 1]  (D)
    K = head          F = H + K + I + 1                                f = [h; phi; x; 1]  (F)

A row of `columnar` sees of h only its own unit, so that D = I + 2 and u differs from row to row.
The last C of its units may be resonators (reference_resonator.py), all of them with the cell
`resonator`. Then h is [h; p; q] everywhere but in u, with E = S = H + C entries in place of H, and
the rows of a resonator are not the gates of a cell: [nu, w_a] and [omega, w_b].

`rtrl` carries the exact derivative: it is what the other estimators approximate.

Units that follow the stream, the anchor and the mixture of forecasts (section 11) are in
reference_units.py, reference_mixture.py and reference_stream.py. With H = 0 there is no network,
and what remains is recursive least squares on [x; 1].

Functions that take `...` axes work on many independent sign streams at once, so that the tests of
unbiasedness average over the very code that the learner runs.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from nbt_embed.reference.head import HeadStep
from nbt_embed.reference.resonator import (
    FIRST_BIAS,
    Traces,
    first_nu_omega,
    limited,
    resonate,
    within_bounds,
)

Array = NDArray[np.float64]

TINY = 1e-12  # the epsilon_0 that guards the divisions of the estimate
SQUARE_TINY = 1e-20  # the epsilon_1 that guards those of squared norms
ESTIMATORS = ("frozen", "nobacktrack", "snap1", "residual", "unitwise", "rtrl")
WITH_TRACES = ("snap1", "residual", "unitwise")  # they keep g, which needs one state float per unit


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


# ---- Section 4: generator and initial weights --------------------------------------------------


class Generator:
    """xoshiro128++ (Blackman and Vigna 2018) on four words from splitmix64 of the seed."""

    def __init__(self, seed: int) -> None:
        words = []
        for _ in range(2):
            seed = (seed + 0x9E3779B97F4A7C15) % 2**64
            z = seed
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
            z ^= z >> 31
            words += [z % 2**32, z >> 32]
        self.words = words

    def word(self) -> int:
        """Draw the next 32 bits."""

        def rotate(x: int, k: int) -> int:
            return (x << k | x >> (32 - k)) % 2**32

        a, b, c, d = self.words
        result = (rotate((a + d) % 2**32, 7) + a) % 2**32
        c, d, shifted = c ^ a, d ^ b, (b << 9) % 2**32
        b, a = b ^ c, a ^ d
        self.words = [a, b, c ^ shifted, rotate(d, 11)]
        return result

    def signs(self, n_rows: int) -> Array:
        """One step's signs, (R): bit r mod 32 of word r div 32, 1 meaning -1."""
        words = [self.word() for _ in range(-(-n_rows // 32))]
        bits = [words[r // 32] >> r % 32 & 1 for r in range(n_rows)]
        return 1.0 - 2.0 * np.array(bits)

    def uniform(self) -> float:
        """Draw a word and read its upper 24 bits as a number in [-1, 1)."""
        return (self.word() >> 8) / 2**23 - 1.0


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


# ---- Section 5: scaler -------------------------------------------------------------------------


class Scaler:
    """Running mean and variance per channel; a value is counted first and scaled afterwards."""

    def __init__(self, channels: int, steps: int, rate: float) -> None:
        self.steps, self.rate = steps, rate
        self.n = np.zeros(channels)
        self.mean = np.zeros(channels)
        self.variance = np.zeros(channels)

    def count(self, values: Array) -> None:
        """Take values (channels) into the statistics; NaN counts nowhere."""
        if self.steps == 0:
            return
        seen = ~np.isnan(values)
        self.n += seen
        k = np.where(self.n <= self.steps, 1.0 / np.maximum(self.n, 1.0), self.rate)
        z, m, s2 = values, self.mean, self.variance
        m_new = m + k * (z - m)
        s2_new = s2 + k * ((z - m) * (z - m_new) - s2)
        self.mean = np.where(seen, m_new, m)
        self.variance = np.where(seen, s2_new, s2)

    @property
    def deviation(self) -> Array:
        """Standard deviation s (channels), caller's units; 1 while a channel has not varied."""
        flat = self.variance <= 1e-12 * self.mean**2 + 1e-30
        return np.sqrt(np.where(flat, 1.0, self.variance))

    def scale(self, values: Array) -> Array:
        """Caller's units to scaled units; NaN stays NaN."""
        return (values - self.mean) / self.deviation

    def unscale(self, values: Array) -> Array:
        """Scaled units to caller's units."""
        return self.mean + self.deviation * values


# ---- Section 2: cells --------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One forward step of a cell and its derivatives.

    state (S): the new state. gain (parts, R): e, the derivative of the state of row r's unit with
    respect to a_r. carry (parts, H): its derivative with respect to the unit's old memory, the
    pre-activations held fixed.
    """

    state: Array
    gain: Array
    carry: Array


@dataclass(frozen=True)
class Cell:
    """A cell: its step of pre-activations (R), state (S) and leak (H), and what it needs.

    gates and parts: pre-activations and state floats of a unit. slow, fast: the gate whose sigmoid
    starts at 1 / tau, at 1 - 1 / tau. alone: its gates see no other unit's state.
    """

    step: Callable[[Array, Array, Array], Step]
    gates: int
    parts: int
    slow: int | None
    fast: int | None
    alone: bool


CELLS: dict[str, Cell] = {}


def cell(
    gates: int,
    parts: int = 1,
    slow: int | None = None,
    fast: int | None = None,
    *,
    alone: bool = False,
) -> Callable[[Callable[[Array, Array, Array], Step]], Callable[[Array, Array, Array], Step]]:
    """Enter a function into ``CELLS`` under its name."""

    def enter(step: Callable[[Array, Array, Array], Step]) -> Callable[..., Step]:
        CELLS[step.__name__] = Cell(step, gates, parts, slow, fast, alone)
        return step

    return enter


def sigmoid(a: Array) -> Array:
    """1 / (1 + exp(-a)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * a)


@cell(gates=1)
def tanh(a: Array, s: Array, _leak: Array) -> Step:
    """Plain cell: h <- tanh a."""
    h = np.tanh(a)
    return Step(h, gain=(1 - h**2)[None], carry=np.zeros((1, s.size)))


@cell(gates=1)
def leaky(a: Array, s: Array, leak: Array) -> Step:
    """Leaky cell: h <- (1 - k) h + k tanh a, k = 1 / tau fixed per unit."""
    g = np.tanh(a)
    h = (1 - leak) * s + leak * g
    return Step(h, gain=(leak * (1 - g**2))[None], carry=(1 - leak)[None])


@cell(gates=2, slow=0)
def gated(a: Array, s: Array, _leak: Array) -> Step:
    """Gated leaky cell: h <- (1 - z) h + z tanh a_c, z = sigmoid(a_z)."""
    a_z, a_c = a.reshape(2, -1)
    z, g = sigmoid(a_z), np.tanh(a_c)
    h = (1 - z) * s + z * g
    gain = np.concatenate([(g - s) * z * (1 - z), z * (1 - g**2)])
    return Step(h, gain=gain[None], carry=(1 - z)[None])


@cell(gates=4, parts=2, slow=0, fast=1)
def lstm(a: Array, s: Array, _leak: Array) -> Step:
    """Long short-term memory: c <- f c + i g, h = o tanh c."""
    a_i, a_f, a_g, a_o = a.reshape(4, -1)
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
    _, c_old = s.reshape(2, -1)
    c = f * c_old + i * g
    h = o * np.tanh(c)
    dh_dc = o * (1 - np.tanh(c) ** 2)
    dc_da = [g * i * (1 - i), c_old * f * (1 - f), i * (1 - g**2), np.zeros_like(o)]
    dh_da = [dh_dc * d for d in dc_da]
    dh_da[3] = np.tanh(c) * o * (1 - o)
    return Step(
        np.concatenate([h, c]),
        gain=np.array([np.concatenate(dh_da), np.concatenate(dc_da)]),
        carry=np.array([dh_dc * f, f]),
    )


@cell(gates=2, slow=0, alone=True)
def columnar(a: Array, s: Array, leak: Array) -> Step:
    """Gated cell whose gates see only their own unit: a_r = theta_r . [h_unit(r); x; 1]."""
    return gated(a, s, leak)


@cell(gates=2, alone=True)
def resonator(a: Array, s: Array, leak: Array) -> Step:
    """A layer without units that have gates: a and s are empty."""
    return gated(a, s, leak)


def with_input(h: Array, x: Array) -> Array:
    """[h; x; 1], (H + I + 1)."""
    return np.concatenate([h, x, [1.0]])


def seen_columns(cell_name: str, n_hidden: int, n_inputs: int) -> NDArray[np.int_]:
    """The place in u = [h; x; 1] of what each column of theta sees, (R, D)."""
    n_rows = CELLS[cell_name].gates * n_hidden
    if not CELLS[cell_name].alone:
        return np.tile(np.arange(n_hidden + n_inputs + 1), (n_rows, 1))
    own = np.arange(n_rows)[:, None] % max(n_hidden, 1)
    return np.hstack([own, np.tile(n_hidden + np.arange(n_inputs + 1), (n_rows, 1))])


def widened(theta: Array, columns: NDArray[np.int_], n_context: int) -> Array:
    """Write theta (R, D) as a matrix (R, H + I + 1) on all of u: 0 where a row does not look."""
    wide = np.zeros((len(theta), n_context), theta.dtype)
    np.put_along_axis(wide, columns, theta, axis=1)
    return wide


# ---- Section 3: the derivative of the state ----------------------------------------------------


def sum_rows(per_row: Array, n_hidden: int) -> Array:
    """Sum (..., parts, R) over the rows of each unit and flatten the parts: (..., S)."""
    *batch, parts, n_rows = per_row.shape
    gates = n_rows // max(n_hidden, 1)
    per_unit: Array = per_row.reshape(*batch, parts, gates, n_hidden).sum(axis=-2)
    return per_unit.reshape(*batch, parts * n_hidden)


def jacobian_vector(step: Step, theta: Array, v: Array) -> Array:
    """Jacobian-vector product z = J_t v for v (..., S).

    z_k,i = carry_k,i v_memory,i + sum_{r of unit i} e_k,r (theta_h v_h)_r
    """
    parts, n_hidden = step.carry.shape
    v_part = v.reshape(*v.shape[:-1], parts, n_hidden)
    v_h, v_memory = v_part[..., 0, :], v_part[..., -1, :]
    direct = step.carry * v_memory[..., None, :]
    through_a = v_h @ theta[:, :n_hidden].T
    gates = sum_rows(step.gain * through_a[..., None, :], n_hidden)
    return direct.reshape(gates.shape) + gates


@dataclass(frozen=True)
class Metric:
    """The filter's covariance Q of theta: a positive operator that keeps to the rows of (R, D).

    P (R, D) and coupling c (R, D): with x~ = x - c x_bias, a^T Q b = sum P a~ b~. The bias column
    of c is 0; `kalman` has c = 0 everywhere, so that Q = diag(P).
    """

    P: Array
    coupling: Array

    @classmethod
    def diagonal(cls, P: Array) -> Metric:
        """Q = diag(P); P = 1 is the Euclidean metric."""
        return cls(P, np.zeros_like(P))

    @classmethod
    def quasi_diagonal(cls, M: Array, cross: Array) -> Metric:
        """Q of the information M_ii (R, D) and M_0i (R, D), 0 the bias (Ollivier 2015)."""
        M00 = M[:, -1:]
        coupling = cross / M00
        coupling[:, -1] = 0.0
        return cls(1 / (M - coupling**2 * M00), coupling)

    def without_bias(self, x: Array) -> Array:
        """x~ = x - c x_bias for x (..., R, D) or (D), (..., R, D)."""
        return x - self.coupling * x[..., -1:]

    def whiten(self, x: Array) -> Array:
        """sqrt(P) x~ for x (..., R, D): plain inner products of these are those of the metric."""
        return np.asarray(np.sqrt(self.P) * self.without_bias(x))

    def colour(self, y: Array) -> Array:
        """The x (..., R, D) whose whitened form is y."""
        own = y / np.sqrt(self.P)
        return np.asarray(own + self.coupling * own[..., -1:])

    def square(self, x: Array) -> Array:
        """The terms P x~^2 of x^T Q x for x (..., R, D) or (D), (..., R, D)."""
        return np.asarray(self.P * self.without_bias(x) ** 2)

    def apply(self, x: Array) -> Array:
        """Q x for x (R, D): dW_i = P_i (x_i - c_i x_0), db = P_0 x_0 - sum_i c_i dW_i."""
        moved: Array = self.P * self.without_bias(x)
        moved[:, -1] -= (self.coupling * moved).sum(axis=-1)
        return moved


def scalings(w: Array, z: Array, u: Array, gain: Array, metric: Metric) -> tuple[Array, Array]:
    """rho_0 (...) and rho_r (R) of the estimate, in the filter's metric or a Euclidean one."""
    norm_w = np.sqrt(metric.square(w).sum(axis=(-2, -1)))
    norm_z = np.sqrt((z**2).sum(axis=-1))
    norm_u = np.sqrt(metric.square(u).sum(axis=-1))
    norm_e = np.sqrt((gain**2).sum(axis=0))
    rho_0 = np.sqrt((norm_w + TINY) / (norm_z + TINY))
    rho_r = ((norm_u**2 + SQUARE_TINY) / (norm_e**2 + SQUARE_TINY)) ** 0.25
    return rho_0, rho_r


def estimate_update(
    w: Array, z: Array, u: Array, step: Step, signs: Array, decay: float, metric: Metric
) -> tuple[Array, Array]:
    """Advance v (..., S) and w (..., R, D) by one step of NoBackTrack (arXiv 1507.07680).

    Arguments: w (..., R, D); z = J_t v (..., S); u (D); signs (..., R).
    """
    n_hidden = step.carry.shape[1]
    rho_0, rho_r = scalings(w, z, u, step.gain, metric)
    injected = sum_rows((signs * rho_r)[..., None, :] * step.gain, n_hidden)
    v_new = decay * rho_0[..., None] * z + injected
    w_new = w / rho_0[..., None, None] + (signs / rho_r)[..., None] * u
    return v_new, w_new


def jacobian(step: Step, theta: Array) -> Array:
    """J_t (S, S), the derivative of the new state with respect to the old one."""
    columns = jacobian_vector(step, theta, np.eye(step.state.size))
    return columns.T


def by_row(per_unit: Array, n_rows: int) -> Array:
    """Repeat (..., H) for the rows of each unit, (..., R)."""
    repeated: Array = per_unit[..., np.arange(n_rows) % per_unit.shape[-1]]
    return repeated


def own_carry(J: Array) -> Array:
    """Clamp the diagonal of J_t, d (H): beyond [-1, 1] the traces would grow."""
    return np.asarray(np.clip(np.diag(J), -1.0, 1.0))


def trace_update(g: Array, u: Array, step: Step, d: Array) -> Array:
    """g_r <- d_unit(r) g_r + e_r u, the own-unit traces (R, D) of SnAp-1 (arXiv 2006.07232)."""
    injected: Array = step.gain[0][:, None] * u
    return by_row(d, len(g))[:, None] * g + injected


@dataclass(frozen=True)
class Balance:
    """What the scalings of `residual` remember of the steps before.

    norm_w (...): |w|. norm_g (H): |g_i|, over the rows of unit i. kappa (H): norm of column i of
    J_t without its diagonal, when last refreshed. steps: how many went before, which says whose
    turn it is. Any positive values keep the estimate unbiased; these keep its variance low.
    """

    norm_w: Array
    norm_g: Array
    kappa: Array
    steps: int = 0

    @classmethod
    def start(cls, n_hidden: int) -> Balance:
        """Before the first step."""
        return cls(np.zeros(()), np.zeros(n_hidden), np.ones(n_hidden))

    def after(self, w: Array, g: Array, J: Array, metric: Metric) -> Balance:
        """Measure the new w (..., R, D) and g (R, D), and one column of J (H, H), in turn."""
        n_hidden = self.kappa.size
        g_squared = metric.square(g).sum(axis=-1)
        turn, kappa = self.steps % n_hidden, self.kappa.copy()
        kappa[turn] = np.linalg.norm(np.delete(J[:, turn], turn))
        return Balance(
            norm_w=np.sqrt(metric.square(w).sum(axis=(-2, -1))),
            norm_g=np.sqrt(g_squared.reshape(-1, n_hidden).sum(axis=0)),
            kappa=kappa,
            steps=self.steps + 1,
        )

    def scalings(self, v: Array) -> tuple[Array, Array]:
        """rho_0 (...) for v (..., H), and |y| (H)."""
        norm_v = np.sqrt((v**2).sum(axis=-1))
        rho_0 = np.sqrt((self.norm_w + TINY) / (norm_v + TINY))
        return rho_0, np.sqrt((self.norm_g + TINY) / (self.kappa + TINY))


def residual_update(
    v: Array,
    w: Array,
    g: Array,
    u: Array,
    step: Step,
    theta: Array,
    signs: Array,
    decay: float,
    balance: Balance,
) -> tuple[Array, Array, Array]:
    """Advance v (..., H), w (..., R, D) and g (R, D): v w^T estimates what the traces leave out.

    With decay 1, E[v w^T] + diag(g) is ds/dtheta. Arguments: u (D); signs (..., H), one per unit.
    """
    d = own_carry(jacobian(step, theta))
    rho_0, size = balance.scalings(v)
    y = signs * size
    v_new = decay * (jacobian_vector(step, theta, rho_0[..., None] * v + y) - d * y)
    w_new = w / rho_0[..., None, None] + g / by_row(y, len(g))[..., None]
    return v_new, w_new, trace_update(g, u, step, d)


def unit_vectors(per_row: Array, n_hidden: int) -> Array:
    """Gather (..., R, D) into one vector per unit, its rows end to end, (..., H, R / H * D)."""
    *batch, _, n_cols = per_row.shape
    gates = per_row.reshape(*batch, -1, n_hidden, n_cols)
    return np.moveaxis(gates, -3, -2).reshape(*batch, n_hidden, -1)


def unit_rows(vectors: Array, n_cols: int) -> Array:
    """Undo unit_vectors: (..., H, R / H * D) back to (..., R, D)."""
    *batch, n_hidden, _ = vectors.shape
    gates = vectors.reshape(*batch, n_hidden, -1, n_cols)
    return np.moveaxis(gates, -3, -2).reshape(*batch, -1, n_cols)


def direction(x: Array) -> Array:
    """Unit vector x / |x| over the last axis; 0 where x is 0."""
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), TINY))


def plane(a: Array, b: Array) -> Array:
    """Gram-Schmidt basis q1, q2 of a and b (..., n), a first, (..., 2, n); 0 where none is left."""
    q1 = direction(a)
    q2 = direction(b - (q1 * b).sum(axis=-1, keepdims=True) * q1)
    return np.stack([q1, q2], axis=-2)


def right_rotation(K: Array) -> Array:
    """Right singular vectors of K (..., H, 2), largest first: rows [c, s], [-s, c], (..., 2, 2).

    The larger of |c|, |s| is positive, which is the sign of c + s. The signs choose the sample that
    a random sign stands for, and with it every step that follows.
    """
    largest = np.linalg.svd(K)[2][..., 0, :]
    positive = largest.sum(axis=-1, keepdims=True) >= 0
    c, s = np.moveaxis(np.where(positive, largest, -largest), -1, 0)
    return np.stack([np.stack([c, s], axis=-1), np.stack([-s, c], axis=-1)], axis=-2)


def random_rank_one(A: Array, B: Array, a: Array, b: Array, signs: Array) -> tuple[Array, Array]:
    """Random l (..., H) and r (..., n) with E[l r^T] = X = A a^T + B b^T, and least variance.

        X = sigma_1 l_1 r_1^T + sigma_2 l_2 r_2^T
        l = sqrt(sigma_1) l_1 + epsilon sqrt(sigma_2) l_2, r alike

    Source: Benzing et al. 2019, Optimal Kronecker-Sum Approximation of Real Time Recurrent
    Learning, arXiv 1902.03993. Arguments: A, B (..., H); a, b (..., n); signs (...), one epsilon
    each.
    """
    q = plane(a, b)
    in_plane = [np.einsum("...kn,...n->...k", q, x)[..., None, :] for x in (a, b)]
    K = A[..., None] * in_plane[0] + B[..., None] * in_plane[1]  # X q^T
    rotation = right_rotation(K)
    left = np.moveaxis(K @ np.swapaxes(rotation, -1, -2), -1, 0)  # sigma_k l_k
    right = np.moveaxis(rotation @ q, -2, 0)  # r_k
    sigma = np.linalg.norm(left, axis=-1, keepdims=True)
    left, right = left / np.sqrt(np.maximum(sigma, TINY)), right * np.sqrt(sigma)
    epsilon = signs[..., None]
    return left[0] + epsilon * left[1], right[0] + epsilon * right[1]


def rest_update(
    V: Array, w: Array, g: Array, J: Array, d: Array, signs: Array, decay: float, metric: Metric
) -> tuple[Array, Array]:
    """Advance what the traces leave out of unit i's parameters, V_i w_i^T, for every i.

        E[V_i w_i^T] <- decay J V_i w_i^T + (J_:i - d_i 1_i) g_i^T

    Arguments: V (..., H, H), row i is V_i; w (..., R, D), w_i on the rows of unit i; g (R, D);
    J (H, H); d (H), what the traces keep of its diagonal; signs (..., H); the metric in which the
    right vectors are measured. Returns: the new V and w.
    """
    n_hidden = d.size
    A = decay * V @ J.T
    B = (J - np.diag(d)).T
    w_unit, g_unit = (unit_vectors(metric.whiten(x), n_hidden) for x in (w, g))
    V_new, w_new = random_rank_one(A, B, w_unit, g_unit, signs)
    return V_new, metric.colour(unit_rows(w_new, g.shape[1]))


def unitwise_update(
    V: Array,
    w: Array,
    g: Array,
    u: Array,
    step: Step,
    theta: Array,
    signs: Array,
    decay: float,
    metric: Metric,
) -> tuple[Array, Array, Array]:
    """Advance V (..., H, H), w (..., R, D) and the traces g (R, D): a rank-one rest per unit.

    Arguments: u (D); theta (R, D); signs (..., H). The rest takes the old g.
    """
    J = jacobian(step, theta)
    d = own_carry(J)
    V_new, w_new = rest_update(V, w, g, J, d, signs, decay, metric)
    return V_new, w_new, trace_update(g, u, step, d)


def exact_rtrl(G: Array, u: Array, step: Step, theta: Array) -> Array:
    """G(t) = J_t G(t-1) + sum_r e_r (x) u, the exact ds/dtheta for fixed parameters, (S, R, D)."""
    n_rows, n_hidden = theta.shape[0], step.carry.shape[1]
    row = np.eye(n_rows)
    e = sum_rows(row[:, None, :] * step.gain, n_hidden)  # (R, S): e_r placed in its unit
    return np.tensordot(jacobian(step, theta), G, 1) + e.T[:, :, None] * u


def complex_derivative(function: Callable[[Any], Array], at: Array) -> Array:
    """Derivative of an analytic function(at), shape at.shape + value.shape, to the last digit.

    Im f(x + i h) / h has no difference that rounding could spoil (Squire and Trapp 1998).
    """
    columns = []
    for index in np.ndindex(at.shape):
        shifted = at.astype(complex)
        shifted[index] += 1e-30j
        columns.append(np.imag(function(shifted)) / 1e-30)
    return np.array(columns).reshape(*at.shape, *columns[0].shape)


def numeric_derivative(function: Callable[[Array], Array], at: Array, width: float) -> Array:
    """Central differences of function(at), shape at.shape + value.shape; cost 2 calls a number."""
    columns = []
    for index in np.ndindex(at.shape):
        shift = np.zeros_like(at)
        shift[index] = width
        columns.append((function(at + shift) - function(at - shift)) / (2 * width))
    return np.array(columns).reshape(*at.shape, *columns[0].shape)


# ---- Section 3: links --------------------------------------------------------------------------


@dataclass(frozen=True)
class Innovation:
    """What one label says, at one output V f.

    t (O): whitened innovation. F (O, O): factor of the curvature Lambda = F F^T; the score in
    natural parameters is F t. varsigma (O). kappa: weight of the sample for the readout
    covariance. error (O): what sgd follows, label - prediction. labelled (O): outputs with a label.
    """

    t: Array
    F: Array
    varsigma: Array
    kappa: float
    error: Array
    labelled: NDArray[np.bool_]

    @property
    def curvature(self) -> Array:
        """Lambda = F F^T (O, O)."""
        return self.F @ self.F.T


def prediction(link: str, raw: Array) -> Array:
    """link(V f), (O): scaled units (gaussian) or probabilities."""
    if link == "gaussian":
        return raw
    if link == "bernoulli":
        return np.clip(sigmoid(raw), 1e-9, 1 - 1e-6)
    p = np.exp(raw - raw.max())
    return np.asarray(np.maximum(p / p.sum(), 1e-9))


def innovation(link: str, raw: Array, label: Array, noise: Array) -> Innovation:
    """Compare one label with the output: the row of the link in the table of section 3.

    Arguments: raw = V f (O); label (O), or (1) with a class index, NaN where missing; noise r (O).
    """
    y, ones = prediction(link, raw), np.ones(raw.size)
    if link == "categorical":
        labelled = np.repeat(~np.isnan(label), raw.size)
        k = int(label[0]) if labelled[0] else 0
        hit = np.eye(raw.size)[k]
        middle = (y + hit) / 2
        F = np.diag(np.sqrt(middle)) - np.outer(middle, np.sqrt(middle))
        t, error, varsigma = (hit - y) / np.sqrt(middle), hit - y, ones
    else:
        labelled = ~np.isnan(label)
        error = np.where(labelled, label - y, 0.0)
        middle = y + error / 2
        root = np.sqrt(1 / noise) if link == "gaussian" else np.sqrt(middle * (1 - middle))
        F = np.diag(root)
        t = error * root if link == "gaussian" else error / root
        varsigma = noise if link == "gaussian" else ones
    F = F * labelled * labelled[:, None]
    kappa = 1.0
    if link != "gaussian" and labelled.any():
        curvature = F @ F.T
        kappa = float(np.trace(curvature @ curvature) / np.trace(curvature))
    return Innovation(t * labelled, F, varsigma, kappa, error * labelled, labelled)


# ---- Section 3: filter -------------------------------------------------------------------------


def shared_step(F: Array, M: Array, t: Array) -> Array:
    """Step in output space (O), x = F (I + F^T M F)^-1 t, common to both blocks."""
    return np.asarray(F @ np.linalg.solve(np.eye(t.size) + F.T @ M @ F, t))


def covariance_step(P: Array, information: Array, rate: float, floor: float) -> Array:
    """P <- P / ((1 - gamma) + gamma P (information + delta)), elementwise."""
    return P / ((1 - rate) + rate * P * (information + floor))


def ud_product(U: Array, d: Array) -> Array:
    """C = U diag(d) U^T, (D, D)."""
    return (U * d) @ U.T


def ud_update(U: Array, d: Array, f: Array, kappa: float) -> tuple[Array, Array]:
    """Bierman's update: the UD factors of C - kappa (C f)(C f)^T / (1 + kappa f^T C f).

    U is unit upper triangular. Source: Bierman 1977, Factorization Methods for Discrete
    Sequential Estimation, chapter V, with measurement variance 1 / kappa. Cost: O(D^2).
    """
    U, d = U.copy(), d.copy()
    p = U.T @ f
    g = d * p
    Cf = np.zeros_like(f)  # C f, column by column
    alpha = 1.0
    for j in range(d.size):
        alpha_before, alpha = alpha, alpha + kappa * p[j] * g[j]
        d[j] *= alpha_before / alpha
        column = U[:, j].copy()
        U[:j, j] -= kappa * p[j] / alpha_before * Cf[:j]
        Cf += g[j] * column
    return U, d


def forget_step(d: Array, start: Array, forget: float) -> Array:
    """d_j <- d_j / (phi + (1 - phi) d_j / d0_j): information decays towards the prior's."""
    return d / (forget + (1 - forget) * d / start)


def prior_lift(noise: Array) -> float:
    """1 / mean noise, from 1 to 1e8: the prior in units of the target instead of the noise."""
    return float(1 / np.clip(noise.mean(), 1e-8, 1.0))


def noise_step(noise: Array, error: Array, c: float, count: Array, rate: float) -> Array:
    """r_o <- r_o + max(rate, 1 / (n + 1)) (e_o^2 / (1 + c) - r_o) for the n-th label, n counted."""
    k = np.maximum(rate, 1.0 / (count + 1.0))
    return np.asarray(np.maximum(noise + k * (error**2 / (1 + c) - noise), 1e-8))


class ReadoutCovariance:
    """C of a readout, C = U diag(d) U^T, in units of the noise.

    The factors stand in the order of the features that `order` says: what is forgotten, d, depends
    on it. C itself, and every argument, is in the order of f.

    Attributes: U (n, n); d, d0 (n): now and at the start.
    """

    def __init__(self, start: Array, order: NDArray[np.int_]) -> None:
        self.order, self.d0 = order, start[order]
        self.restart()

    def restart(self) -> None:
        """Know nothing but the prior."""
        self.U, self.d = np.eye(self.d0.size), self.d0.copy()

    @property
    def dense(self) -> Array:
        """C (n, n)."""
        C = np.empty_like(self.U)
        C[np.ix_(self.order, self.order)] = ud_product(self.U, self.d)
        return C

    def measure(self, f: Array, kappa: float, forget: float, lift: float) -> None:
        """Take in a sample with weight kappa, then forget towards lift times the prior."""
        self.U, self.d = ud_update(self.U, self.d, f[self.order], kappa)
        self.d = forget_step(self.d, self.d0 * lift, forget)


# ---- Sections 2 and 3: the learner -------------------------------------------------------------


class ReferenceLearner:
    """predict and learn as in csrc/nbt.h, without the skipping of non-finite steps.

    Attributes, shapes as in nbt_array_get: theta (R, D), readout (O, F), head and head_P
    (K, E + I + 1), weights and covariance of the head, v (S), or (H, H) under
    `unitwise` (row i for the parameters of unit i), w and traces (R, D), angle_traces (2, C),
    kappa (H), P and metric.coupling (R, D), U (F, F) and d (F), noise (O), state (S),
    learning_state (S), input_scaler, label_scaler; and G (S, R, D). g (R - 2 C, D) and resonance
    are the traces of gates and of resonators. v, w, traces, kappa and G are 0 where the estimator
    has no such array, P stays 1 and U, d stay as they are under `sgd`: the kernel does not have
    these arrays.

    Arguments: theta (R, D), the kernel's initial parameters, so that both start from the same
    bits; None for the float64 ones. The generator advances by their words either way.
    Errors: ValueError for a theta of another shape, an unknown estimator, or one that the cell
    does not allow.
    """

    def __init__(self, config: Settings, theta: ArrayLike | None = None) -> None:
        O, F = config.n_out, config.n_features  # noqa: E741
        if config.estimator not in ESTIMATORS:
            raise ValueError(f"estimator is {config.estimator!r}: choose one of {ESTIMATORS}")
        if config.estimator in WITH_TRACES and CELLS[config.cell].parts > 1:
            raise ValueError(
                f"estimator {config.estimator!r} needs one state float per unit and the cell is "
                f"{config.cell!r}: choose another cell, or the estimator nobacktrack"
            )
        if CELLS[config.cell].alone and config.estimator not in ("frozen", "snap1", "rtrl"):
            raise ValueError(
                f"estimator {config.estimator!r} has nothing to estimate with the cell "
                f"{config.cell!r}, whose own-unit traces are exact: choose the estimator snap1"
            )
        self.config, self.columns = config, config.columns
        self.cell = CELLS[config.cell].step
        self.leak = 1.0 / time_constants(config, config.n_gated)
        self.generator = Generator(config.seed)
        self.theta = initial_theta(config, self.generator)
        if theta is not None:
            given = np.array(theta, dtype=np.float64)
            if given.shape != self.theta.shape:
                raise ValueError(
                    f"theta has shape {given.shape}: pass initial parameters of shape "
                    f"(R, D) = {self.theta.shape}"
                )
            self.theta = given
        self.head = initial_head(config, self.generator)
        self.readout = np.zeros((O, F))
        hidden = np.arange(F) < config.n_seen + config.head
        self.prior = np.where(hidden, config.prior_hidden, config.prior)
        self.covariance = ReadoutCovariance(self.prior, self.covariance_order())
        self.noise = np.ones(O)
        self.label_count = np.zeros(O)
        self.start_recurrent()
        self.input_scaler = Scaler(config.n_in, config.scale_steps, config.scale_rate)
        label_steps = config.scale_steps if config.link == "gaussian" else 0
        self.label_scaler = Scaler(O, label_steps, config.scale_rate)
        self.reset_state()

    def start_recurrent(self) -> None:
        """Nothing is known of theta, and steps are as large as at the start."""
        sgd = self.config.filter == "sgd"
        self.M = np.full(self.theta.shape, 1.0 if sgd else self.config.info_floor)
        self.cross = np.zeros_like(self.M)
        self.metric = Metric.diagonal(1 / self.M)
        self.head_P = np.full(self.head.shape, 1.0 if sgd else 1 / self.config.info_floor)
        self.labelled_steps = 0

    def reset_state(self) -> None:
        """Forget the recent past: states, estimate, lag taps and waiting predictions."""
        config = self.config
        self.state = np.zeros(config.n_state)
        self.learning_state = np.zeros(config.n_state)
        unitwise = config.estimator == "unitwise"
        self.v = np.zeros((config.n_hidden,) * 2 if unitwise else config.n_state)
        self.w = np.zeros_like(self.theta)
        self.g = np.zeros_like(config.of_kinds(self.theta)[0])
        self.resonance = Traces.start(config.n_resonators, config.n_cols)
        self.G = np.zeros((config.n_state, *self.theta.shape))
        self.balance = Balance.start(config.n_hidden)
        self.x = np.zeros(config.n_in * config.lags)
        self.live_f = self.features(self.state, self.x, self.x)
        self.waiting: deque[Array] = deque()

    def covariance_order(self) -> NDArray[np.int_]:
        """The order of f in the factors of C: [h; phi; x; 1]."""
        return np.arange(self.config.n_features)

    def head_step(self, state: Array, x: Array) -> HeadStep:
        """The head after a step that led to state (S) by x (I), in the units of the network."""
        return HeadStep.of(self.head, with_input(state[: self.config.n_seen], x))

    def features(self, state: Array, x: Array, direct: Array) -> Array:
        """Features f = [h; phi; direct; 1], (F); direct (I) is x as the readout sees it."""
        phi = self.head_step(state, x).phi
        return with_input(np.concatenate([state[: self.config.n_seen], phi]), direct)

    def forward(self, state: Array, x: Array) -> tuple[Array, Step]:
        """What each row of a gate sees, (R - 2 C, D), and the step of the cell from it."""
        u = with_input(state[: self.config.n_gated], x)
        gated = state[: state.size - 2 * self.config.n_resonators]
        return u[self.columns], self.cell(self.wide_theta @ u, gated, self.leak)

    def resonators(self, state: Array, x: Array) -> tuple[Array, Array, Array]:
        """Parameters (2, C, D) of the resonators, their state [p; q] (2 C), and [x; 1]."""
        own = state[state.size - 2 * self.config.n_resonators :]
        return self.config.of_kinds(self.theta)[1], own, with_input(x[:0], x)

    def unlimited_state(self, state: Array, x: Array) -> Array:
        """The state (S) after one step by x (I), an analytic function of state and theta."""
        gated = self.forward(state, x)[1].state
        if self.config.n_resonators == 0:
            return gated
        return np.concatenate([gated, resonate(*self.resonators(state, x))])

    def next_state(self, state: Array, x: Array) -> Array:
        """The state (S) after one step by x (I)."""
        gated = self.config.n_state - 2 * self.config.n_resonators
        new = self.unlimited_state(state, x)
        return np.concatenate([new[:gated], limited(new[gated:])])

    @property
    def wide_theta(self) -> Array:
        """Parameters of the gates on all of u = [h; x; 1], (R - 2 C, H - C + I + 1)."""
        n_context = self.config.n_context - 2 * self.config.n_resonators
        return widened(self.config.of_kinds(self.theta)[0], self.columns, n_context)

    @property
    def U(self) -> Array:  # noqa: N802
        """The factor U (D, D) of the readout's covariance."""
        return self.covariance.U

    @property
    def d(self) -> Array:
        """The factor d (D) of the readout's covariance."""
        return self.covariance.d

    @property
    def d0(self) -> Array:
        """The factor d (D) at the start."""
        return self.covariance.d0

    @property
    def P(self) -> Array:  # noqa: N802
        """Covariance (R, D) of theta, under `kalman_quasi` of what the bias does not explain."""
        return self.metric.P

    @property
    def kappa(self) -> Array:
        """Norms (H) of the columns of J_t without their diagonal, as `residual` remembers them."""
        held: Array = self.balance.kappa
        return held if self.config.estimator == "residual" else np.zeros_like(held)

    def predict(self, x: ArrayLike) -> Array:
        """Advance the live state by one sample (n_in); the forecast (O), caller's units.

        Errors: RuntimeError when max_delay + 1 predictions wait; ValueError for a NaN input that
        is not to be held.
        """
        config = self.config
        if len(self.waiting) > config.max_delay:
            raise RuntimeError(
                f"{len(self.waiting)} predictions wait and max_delay is {config.max_delay}: "
                "learn a label first"
            )
        values = np.array(x, dtype=np.float64).reshape(config.n_in)
        if np.isnan(values).any() and not config.hold_missing:
            raise ValueError(f"input {values} has a NaN: set hold_missing to repeat the last value")
        direct = self.take_input(values)
        self.waiting.append(self.x)
        self.state = self.next_state(self.state, self.x)
        self.live_f = self.features(self.state, self.x, direct)
        return self.answer(values)

    def take_input(self, values: Array) -> Array:
        """Put values (n_in), NaN where held, in front of x (I). Returns what f sees of them (I)."""
        n_in = self.config.n_in
        self.input_scaler.count(values)
        scaled = self.input_scaler.scale(values)
        newest = np.where(np.isnan(values), self.x[:n_in], scaled)
        self.x = np.concatenate([newest, self.x])[: self.x.size]
        return self.x

    def answer(self, _values: Array) -> Array:
        """Forecast (O) from live_f, caller's units."""
        y = prediction(self.config.link, self.readout @ self.live_f)
        return self.label_scaler.unscale(y)

    def variance(self) -> Array:
        """r_o (1 + f^T C f) of the last prediction (O), caller's units squared; gaussian only."""
        f = self.live_f
        return self.noise * (1 + self.spread(f)) * self.label_scaler.deviation**2

    def spread(self, f: Array) -> float:
        """Variance c = f^T C f of the readout; 0 under sgd, which has no C."""
        if self.config.filter == "sgd":
            return 0.0
        return float(f @ self.covariance.dense @ f)

    def learn(self, label: ArrayLike) -> None:
        """Learn the label of the oldest waiting prediction: (O), or a class index; NaN is missing.

        Errors: RuntimeError when no prediction waits.
        """
        if not self.waiting:
            raise RuntimeError("no prediction waits for a label: predict first")
        self.learn_label(np.atleast_1d(np.array(label, dtype=np.float64)))

    def learn_label(self, target: Array) -> None:
        """Scale the label (O), or (1) with a class index, and learn it."""
        if self.config.link == "gaussian":
            self.label_scaler.count(target)
            target = self.label_scaler.scale(target)
        n_waiting = len(self.waiting)
        x = self.advance()
        self.fit(self.features(self.learning_state, x, x), target, n_waiting)

    def advance(self) -> Array:
        """Carry the learning state and its derivative over the oldest input, (I), returned."""
        x = self.waiting.popleft()
        self.advance_estimate(x)
        self.learning_state = self.next_state(self.learning_state, x)
        self.learning_head = self.head_step(self.learning_state, x)
        return x

    def fit(self, f: Array, target: Array, n_waiting: int) -> None:
        """Correct readout, theta, head and noise by target - V f, f (F) of the learning state."""
        config = self.config
        new = innovation(config.link, self.readout @ f, target, self.noise)
        if not new.labelled.any():
            return
        c = self.spread(f)
        if config.filter == "sgd":
            new = self.gated(new, self.noise)
            self.sgd(f, new)
        else:
            new = self.kalman(f, new, c, n_waiting)
        self.label_count += new.labelled
        self.labelled_steps += 1
        if config.link == "gaussian":
            r = noise_step(self.noise, new.error, c, self.label_count, config.noise_rate)
            self.noise = np.where(new.labelled, r, self.noise)

    def advance_estimate(self, x: Array) -> None:
        """Carry the derivative of the learning state over one step; `frozen` has none."""
        config, theta = self.config, self.wide_theta
        u, step = self.forward(self.learning_state, x)
        euclidean = Metric.diagonal(np.ones_like(self.theta))
        metric = self.metric if config.norm == "metric" else euclidean
        if config.estimator == "nobacktrack":
            z = jacobian_vector(step, theta, self.v)
            signs = self.generator.signs(config.n_rows)
            self.v, self.w = estimate_update(self.w, z, u, step, signs, config.decay, metric)
        elif config.estimator == "snap1":
            self.g = trace_update(self.g, u, step, own_carry(jacobian(step, theta)))
            if config.n_resonators > 0:
                self.resonance = self.resonance.after(*self.resonators(self.learning_state, x))
        elif config.estimator == "residual":
            signs = self.generator.signs(config.n_hidden)
            self.v, self.w, self.g = residual_update(
                self.v, self.w, self.g, u, step, theta, signs, config.decay, self.balance
            )
            self.balance = self.balance.after(self.w, self.g, jacobian(step, theta), self.metric)
        elif config.estimator == "unitwise":
            signs = self.generator.signs(config.n_hidden)
            self.v, self.w, self.g = unitwise_update(
                self.v, self.w, self.g, u, step, theta, signs, config.decay, self.metric
            )
        elif config.estimator == "rtrl" and config.n_resonators == 0:
            self.G = exact_rtrl(self.G, u, step, theta)
        elif config.estimator == "rtrl":
            self.G = self.exact_layer(x)

    def exact_layer(self, x: Array) -> Array:
        """As exact_rtrl, of units of any kind: the step of the layer is differentiated as it is."""
        s, there = self.learning_state, copy(self)

        def at(theta: Array) -> Array:
            there.theta = theta
            return there.unlimited_state(s, x)

        J = complex_derivative(lambda state: self.unlimited_state(state, x), s).T
        injected = np.moveaxis(complex_derivative(at, self.theta), -1, 0)
        return np.asarray(np.tensordot(J, self.G, 1) + injected)

    @property
    def traces(self) -> Array:
        """Own-unit traces (R, D); the second row of a resonator has the imaginary parts.

        Column 0 of its rows is along nu. What is along omega stands in ``angle_traces``.
        """
        G = self.resonance.G
        return self.config.of_all(self.g, np.array([G.real, G.imag]))

    @property
    def angle_traces(self) -> Array:
        """Real and imaginary parts of the traces along omega, (2, C)."""
        angle = self.resonance.angle
        return np.array([angle.real, angle.imag])

    def slopes(self) -> Array:
        """Estimate the derivative of V f with respect to theta, (O, R, D): H in docs/design.md.

        The sum of what v w^T, the traces and G say: each is 0 where the estimator does not keep it.
        """
        config = self.config
        V = self.learning_head.through(self.readout, self.head, config.n_seen)
        alpha = V @ self.v[..., : config.n_seen].T  # (O), or (O, H) with one v per unit
        rank_one = by_row(alpha.reshape(len(V), -1), len(self.theta))[:, :, None] * self.w
        # The real part of conj(V_p + i V_q) (dp + i dq) is V_p dp + V_q dq.
        own, q = V[:, : config.n_hidden].astype(complex), V[:, config.n_hidden :]
        own[:, config.n_gated :] -= 1j * q
        traces = config.of_all(self.g, self.resonance.slopes)
        by_traces: Array = (by_row(own, len(self.theta))[:, :, None] * traces).real
        return rank_one + by_traces + np.tensordot(V, self.G[: config.n_seen], 1)

    def head_slopes(self) -> Array:
        """The derivative of V f with respect to the head's weights, (O, K, E + I + 1)."""
        return self.learning_head.slopes(self.readout, self.config.n_seen)

    def move_theta(self, change: Array) -> None:
        """Add a change (R, D) to theta and keep nu and omega in their ranges."""
        gates, resonating = self.config.of_kinds(self.theta + change)
        resonating[:, :, 0] = within_bounds(resonating[:, :, 0])
        self.theta = self.config.of_all(gates, resonating)

    def gated(self, new: Innovation, variance: Array) -> Innovation:
        """The innovation (gaussian) with errors of at most `gate` of its deviations (O)."""
        if self.config.gate == 0 or self.config.link != "gaussian":
            return new
        reach = self.config.gate * np.sqrt(variance)
        error = np.clip(new.error, -reach, reach)
        return replace(new, error=error, t=error / np.sqrt(self.noise))

    def kalman(self, f: Array, new: Innovation, c: float, n_waiting: int) -> Innovation:
        """Both blocks divide by one innovation covariance. Returns what the gate let through.

        Under `frozen` the slopes are 0: theta stays, and P stays at 1 / delta. The head's metric is
        diagonal, under `kalman_quasi` too.
        """
        config, slopes, of_head = self.config, self.slopes(), self.head_slopes()
        gamma, delta = config.info_rate, config.info_floor
        eta_gamma = self.annealed() * config.rate / n_waiting * gamma
        Cf = self.covariance.dense @ f
        whole = self.metric.without_bias(slopes)
        spread = np.einsum("rj,orj,prj->op", self.P, whole, whole)
        spread = spread + np.einsum("kj,okj,pkj->op", self.head_P, of_head, of_head)
        M = c * np.diag(new.varsigma) + eta_gamma * spread
        new = self.gated(new, self.noise + np.diag(M))
        x = shared_step(new.F, M, new.t)

        self.readout = self.readout + np.outer(new.varsigma * x, Cf)
        self.move_theta(eta_gamma * self.metric.apply(np.tensordot(x, slopes, 1)))
        self.head = self.head + eta_gamma * self.head_P * np.tensordot(x, of_head, 1)
        of_head_seen = np.einsum("okj,op,pkj->kj", of_head, new.curvature, of_head)
        self.head_P = covariance_step(self.head_P, of_head_seen, gamma, delta)
        seen = np.einsum("orj,op,prj->rj", slopes, new.curvature, slopes)
        if config.filter == "kalman":
            self.metric = Metric.diagonal(covariance_step(self.P, seen, gamma, delta))
        else:
            with_bias = np.einsum("or,op,prj->rj", slopes[:, :, -1], new.curvature, slopes)
            self.M = (1 - gamma) * self.M + gamma * (seen + delta)
            self.cross = (1 - gamma) * self.cross + gamma * with_bias
            self.metric = Metric.quasi_diagonal(self.M, self.cross)
        lift = prior_lift(self.noise) if config.prior_units else 1.0
        self.covariance.measure(f, new.kappa, config.forget, lift)
        return new

    def annealed(self) -> float:
        """1 / sqrt(1 + n / anneal_steps) after n labelled steps, at least 0.1."""
        if self.config.anneal_steps == 0:
            return 1.0
        return max(0.1, 1.0 / math.sqrt(1.0 + self.labelled_steps / self.config.anneal_steps))

    def sgd(self, f: Array, new: Innovation) -> None:
        """V_o += eta_s s_o f,  theta_i += eta_s H_:i . s, and so the head."""
        rate, slopes = self.annealed() * self.config.sgd_rate, self.slopes()
        of_head = self.head_slopes()
        self.readout = self.readout + rate * np.outer(new.error, f)
        self.move_theta(rate * np.tensordot(new.error, slopes, 1))
        self.head = self.head + rate * np.tensordot(new.error, of_head, 1)
