"""Small networks and samples of sign streams that the tests of the reference share.

They check it against mathematics that it does not contain: derivatives against finite differences,
the random estimate against the exact derivative over many sign streams, the filter against plain
linear algebra. The kernel is not needed here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nbt_embed import reference as ref
from nbt_embed.reference import Array, Step

H, I, STEPS = 3, 2, 8  # noqa: E741
CELLS = tuple(name for name, cell in ref.CELLS.items() if not cell.alone)
NORMS = ("euclidean", "metric")
CELLS_AND_NORMS = list(product(CELLS, NORMS))
ONE_STATE = tuple(cell for cell in CELLS if ref.CELLS[cell].parts == 1)  # may keep traces
ONE_STATE_AND_NORMS = list(product(ONE_STATE, NORMS))
LINKS = ("gaussian", "categorical", "bernoulli")


@dataclass(frozen=True)
class Network:
    """A fixed network on a fixed stream: theta (R, D), x (STEPS, I), leak (H), P (R, D)."""

    cell: str
    theta: Array
    x: Array
    leak: Array
    P: Array

    def step(self, t: int, s: Array, theta: Array) -> tuple[Array, Step]:
        """Return u and the forward step at time t from state s."""
        u = ref.with_input(s[:H], self.x[t])
        return u, ref.CELLS[self.cell].step(theta @ u, s, self.leak)

    def unroll(self, theta: Array, start: Array) -> Array:
        """Return the state (S) after all steps."""
        s = start
        for t in range(len(self.x)):
            s = self.step(t, s, theta)[1].state
        return s

    def metric(self, norm: str) -> ref.Metric:
        """Return the metric of the norms of w and g."""
        return ref.Metric.diagonal(self.P if norm == "metric" else np.ones_like(self.P))

    @property
    def start(self) -> Array:
        """The zero state (S)."""
        return np.zeros(ref.CELLS[self.cell].parts * H)


def units(n_rows: int) -> NDArray[np.int_]:
    """Return the unit of each row, (R)."""
    return np.arange(n_rows) % H


def own_state(g: Array) -> Array:
    """Say of all states what the traces g (R, D) say of each row's own, (R, D, H)."""
    return g[:, :, None] * np.eye(H)[units(len(g))][:, None, :]


def network(cell: str) -> Network:
    """Large enough weights that every gate and every nonlinearity matters."""
    rng = np.random.default_rng(7)
    shape = (ref.CELLS[cell].gates * H, H + I + 1)
    return Network(
        cell,
        theta=rng.normal(scale=0.8, size=shape),
        x=rng.normal(size=(STEPS, I)),
        leak=1 / np.geomspace(1.4, 10, H),
        P=np.exp(rng.normal(size=shape)),
    )


def exact(net: Network) -> Array:
    """Differentiate the last state forward in time, (R, D, S)."""
    s, G = net.start, np.zeros((net.start.size, *net.theta.shape))
    for t in range(len(net.x)):
        u, step = net.step(t, s, net.theta)
        G = ref.exact_rtrl(G, u, step, net.theta)
        s = step.state
    return np.moveaxis(G, 0, -1)


BATCH, BATCHES, GROUP = 1250, 256, 16  # 320,000 sign streams; GROUP batches are 20,000
Update = Callable[[Array, Array, Array, Step, Array, float, ref.Metric], tuple[Array, Array]]


@dataclass(frozen=True)
class Sample:
    """Averages of v w^T over independent sign streams.

    means (BATCHES, R, D, S): of each batch. standard_error (R, D, S): of the grand mean.
    """

    means: Array
    standard_error: Array

    def distance(self, G: Array) -> Array:
        """How many standard errors each entry of the grand mean lies from G, (R, D, S)."""
        off: Array = np.abs(self.means.mean(axis=0) - G)
        return off / np.maximum(self.standard_error, 1e-12)

    @property
    def variance(self) -> float:
        """Sum over the entries of the variance of one stream."""
        return float((self.standard_error**2).sum()) * len(self.means) * BATCH


def sample_products(run: Callable[[np.random.Generator], tuple[Array, Array]], n: int) -> Sample:
    """Average v w^T over n batches.

    run gives each batch its w (BATCH, R, D) and its v (BATCH, R, S), or (BATCH, 1, S) for all rows.
    """
    rng = np.random.default_rng(11)
    means, squares = [], []
    for _ in range(n):
        v, w = run(rng)
        left, right = np.moveaxis(w, 0, -1), np.moveaxis(v, 0, 1)  # (R, D, BATCH), (R, BATCH, S)
        means.append(left @ right / BATCH)
        squares.append(left**2 @ right**2 / BATCH)
    variance = np.mean(squares, axis=0) - np.mean(means, axis=0) ** 2
    variance = np.maximum(variance, 0.0)  # rounding, where all streams agree
    return Sample(np.array(means), np.sqrt(variance / (n * BATCH)))


def sample_estimate(net: Network, norm: str, update: Update, batches: int) -> Sample:
    """Run `batches` times BATCH sign streams of nobacktrack through the fixed network."""
    metric = net.metric(norm)

    def run(rng: np.random.Generator) -> tuple[Array, Array]:
        s = net.start
        v, w = np.zeros((BATCH, s.size)), np.zeros((BATCH, *net.theta.shape))
        for t in range(len(net.x)):
            u, step = net.step(t, s, net.theta)
            signs = rng.choice([-1.0, 1.0], size=(BATCH, len(net.theta)))
            z = ref.jacobian_vector(step, net.theta, v)
            v, w = update(w, z, u, step, signs, 1.0, metric)
            s = step.state
        return v[:, None], w

    return sample_products(run, batches)


@cache
def correct_sample(cell: str, norm: str) -> Sample:
    """Draw 320,000 streams of the right update, once for the tests that share them."""
    return sample_estimate(network(cell), norm, ref.estimate_update, BATCHES)


def error_ratio(sample: Sample, G: Array) -> float:
    """Error of the mean over BATCH streams relative to that over GROUP times as many."""
    grouped = sample.means.reshape(-1, GROUP, *G.shape).mean(axis=1)
    return float(np.sqrt(((sample.means - G) ** 2).mean() / ((grouped - G) ** 2).mean()))


@dataclass(frozen=True)
class Move:
    """One right step of `residual`, decay 1, and what it was made of.

    w, g: before the step; v_new, w_new, g_new: after it. J (H, H). y (BATCH, H). rho_0 (BATCH).
    """

    w: Array
    g: Array
    v_new: Array
    w_new: Array
    g_new: Array
    J: Array
    y: Array
    rho_0: Array

    @property
    def d(self) -> Array:
        """What the traces keep of the diagonal of J, (H)."""
        return np.clip(np.diag(self.J), -1.0, 1.0)

    def traces_over(self, y: Array) -> Array:
        """G / y for y (BATCH, H), (BATCH, R, D)."""
        return self.g / ref.by_row(y, len(self.g))[:, :, None]


Flaw = Callable[[Move], tuple[Array, Array]]  # what v and w become instead


def no_flaw(move: Move) -> tuple[Array, Array]:
    """Leave the step as it is."""
    return move.v_new, move.w_new


def with_traces(sample: Sample, g: Array) -> Sample:
    """Add the traces (R, D), each to the state of its own unit."""
    return replace(sample, means=sample.means + own_state(g))


def sample_residual(net: Network, norm: str, flaw: Flaw, batches: int) -> Sample:
    """Run `batches` times BATCH sign streams of residual through the fixed network; g included."""
    metric, traces = net.metric(norm), np.zeros_like(net.theta)

    def run(rng: np.random.Generator) -> tuple[Array, Array]:
        nonlocal traces
        s, g, balance = net.start, np.zeros_like(net.theta), ref.Balance.start(H)
        v, w = np.zeros((BATCH, H)), np.zeros((BATCH, *net.theta.shape))
        for t in range(len(net.x)):
            u, step = net.step(t, s, net.theta)
            signs = rng.choice([-1.0, 1.0], size=(BATCH, H))
            rho_0, size = balance.scalings(v)
            J = ref.jacobian(step, net.theta)
            v_new, w_new, g_new = ref.residual_update(
                v, w, g, u, step, net.theta, signs, 1.0, balance
            )
            v, w = flaw(Move(w, g, v_new, w_new, g_new, J, signs * size, rho_0))
            s, g, balance = step.state, g_new, balance.after(w, g_new, J, metric)
        traces = g
        return v[:, None], w

    return with_traces(sample_products(run, batches), traces)


def self_exciting(cell: str) -> Network:
    """Return a network whose units feed themselves: some [J_t]_ii exceed 1 and are clamped."""
    net = network(cell)
    theta = 0.2 * net.theta  # weak enough that the units do not saturate
    theta[-H:, :H] += 1.5 * np.eye(H)
    return replace(net, theta=theta)


@cache
def correct_residual(cell: str, norm: str) -> Sample:
    """Draw 320,000 streams of the right step, once for the tests that share them."""
    return sample_residual(network(cell), norm, no_flaw, BATCHES)


def quasi_diagonal_step(M: Array, cross: Array, gradient: Array) -> Array:
    """Ollivier's formula (Riemannian metrics for neural networks I, 2015) for one row (D).

    The bias comes last here: M holds M_ii and M_00, cross M_0i, whose last entry means nothing.
    """
    M00, g0 = M[-1], gradient[-1]
    weights = (M00 * gradient - cross * g0)[:-1] / (M00 * M - cross**2)[:-1]
    bias = g0 / M00 - (cross[:-1] / M00 * weights).sum()
    return np.append(weights, bias)


def dense_quasi_diagonal(M: Array, cross: Array) -> Array:
    """Build the operator on all rows (R D, R D) out of that formula."""
    n_rows, n_cols = M.shape
    dense = np.zeros((n_rows, n_cols) * 2)
    for row in range(n_rows):
        for col, unit in enumerate(np.eye(n_cols)):
            dense[row, :, row, col] = quasi_diagonal_step(M[row], cross[row], unit)
    return dense.reshape(M.size, M.size)


@dataclass(frozen=True)
class Case:
    """A link at a point: raw output, noise and label, the last one or none of them missing."""

    link: str
    raw: Array
    noise: Array
    label: Array
    missing: NDArray[np.bool_]

    @property
    def new(self) -> ref.Innovation:
        """The innovation at this point."""
        return ref.innovation(self.link, self.raw, self.label, self.noise)


def link_case(link: str, gap: str) -> Case:
    """Build a case; gap is none, last (one output without label) or all."""
    rng, n_out = np.random.default_rng(9), 4
    missing = np.array([gap == "all"] * (n_out - 1) + [gap != "none"])
    label = {
        "gaussian": rng.normal(size=n_out),
        "bernoulli": np.array([0.0, 1.0, 0.3, 1.0]),
        "categorical": np.array([2.0]),
    }[link]
    label[missing[-label.size :]] = np.nan
    return Case(link, rng.normal(size=n_out), rng.uniform(0.1, 2, n_out), label, missing)


def log_likelihood(case: Case, raw: Array) -> Array:
    """Of the labels that are there, up to a constant, shape (1)."""
    y = case.label
    if case.link == "gaussian":
        return np.array([np.nansum(-((y - raw) ** 2) / (2 * case.noise))])
    if case.link == "bernoulli":
        return np.array([np.nansum(y * raw - np.log1p(np.exp(raw)))])
    if np.isnan(y[0]):
        return np.zeros(1)
    return np.array([raw[int(y[0])] - np.log(np.exp(raw).sum())])
