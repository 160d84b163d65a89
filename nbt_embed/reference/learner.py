"""The whole learner: docs/design.md, sections 2 and 3."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from copy import copy
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed._choices import CHOICES
from nbt_embed.reference.arrays import Array
from nbt_embed.reference.cells import CELLS, Step, widened, with_input
from nbt_embed.reference.covariance import ReadoutCovariance
from nbt_embed.reference.estimators import ESTIMATORS, Estimate, Moment
from nbt_embed.reference.filter import (
    covariance_step,
    noise_step,
    of_head_turn,
    of_turn,
    prior_lift,
    shared_step,
)
from nbt_embed.reference.generator import Generator
from nbt_embed.reference.head import HeadStep
from nbt_embed.reference.jacobian import by_row
from nbt_embed.reference.links import Innovation, innovation, prediction
from nbt_embed.reference.metric import Metric
from nbt_embed.reference.resonator import limited, resonate, within_bounds
from nbt_embed.reference.scaler import Scaler
from nbt_embed.reference.settings import Settings
from nbt_embed.reference.start import initial_head, initial_theta, time_constants


class ReferenceLearner:
    """predict and learn as in csrc/nbt.h, without the skipping of non-finite steps.

    Attributes, shapes as in nbt_array_get: theta (R, D), readout (O, F), head and head_P
    (K, E + I + 1), weights and covariance of the head, v (S), or (H, H) under
    `unitwise` (row i for the parameters of unit i), w and traces (R, D), angle_traces (2, C),
    kappa (H), P and metric.coupling (R, D), U (F, F) and d (F), noise (O), state (S),
    learning_state (S), input_scaler, label_scaler; and G (S, R, D). estimate: v, w, G and traces as
    the estimator keeps them. v, w, traces, kappa and G are 0 where the estimator has no such array,
    P stays 1 and U, d stay as they are under `sgd`: the kernel does not have these arrays.

    Arguments: theta (R, D), the kernel's initial parameters, so that both start from the same
    bits; None for the float64 ones. The generator advances by their words either way.
    Errors: ValueError for a theta of another shape, an unknown name in a setting, or an estimator
    that the cell does not allow.
    """

    def __init__(self, config: Settings, theta: ArrayLike | None = None) -> None:
        O, F = config.n_out, config.n_features  # noqa: E741
        for field, known in (("cell", CELLS), ("estimator", ESTIMATORS)):
            if getattr(config, field) not in known:
                raise ValueError(
                    f"{field} is {getattr(config, field)!r}: choose one of {tuple(known)}, "
                    f"or enter your own with @{field}"
                )
        for field in ("norm", "filter", "link"):
            if getattr(config, field) not in CHOICES[field]:
                raise ValueError(
                    f"{field} is {getattr(config, field)!r}: choose one of {CHOICES[field]}"
                )
        estimator = ESTIMATORS[config.estimator]
        if estimator.traces and CELLS[config.cell].parts > 1:
            raise ValueError(
                f"estimator {config.estimator!r} needs one state float per unit and the cell is "
                f"{config.cell!r}: choose another cell, or the estimator nobacktrack"
            )
        if CELLS[config.cell].alone and not estimator.columns:
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
        self.labels_learnt = 0  # unlike labelled_steps it never starts again
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
        self.estimate = Estimate.start(config)
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
        held: Array = self.estimate.balance.kappa
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
        self.labels_learnt += 1
        if config.link == "gaussian":
            r = noise_step(self.noise, new.error, c, self.label_count, config.noise_rate)
            self.noise = np.where(new.labelled, r, self.noise)

    def advance_estimate(self, x: Array) -> None:
        """Carry the derivative of the learning state over one step; `frozen` has none."""
        state = self.learning_state
        u, step = self.forward(state, x)
        euclidean = Metric.diagonal(np.ones_like(self.theta))
        moment = Moment(
            u,
            step,
            self.wide_theta,
            self.metric,
            self.metric if self.config.norm == "metric" else euclidean,
            self.config.decay,
            self.generator,
            self.resonators(state, x),
            self.layer(x),
            state,
            self.theta,
        )
        ESTIMATORS[self.config.estimator].advance(self.estimate, moment)

    def layer(self, x: Array) -> Callable[[Array, Array], Array]:
        """The state (S) after one step by x (I), a function of state (S) and theta (R, D)."""
        there = copy(self)

        def after(state: Array, theta: Array) -> Array:
            there.theta = theta
            return there.unlimited_state(state, x)

        return after

    @property
    def v(self) -> Array:
        """Left factor (S) of the random estimate, or (H, H)."""
        return self.estimate.v

    @property
    def w(self) -> Array:
        """Right factor (R, D) of the random estimate."""
        return self.estimate.w

    @property
    def g(self) -> Array:
        """Own-unit traces (R - 2 C, D) of gates."""
        return self.estimate.g

    @property
    def G(self) -> Array:  # noqa: N802
        """What `rtrl` carries, (S, R, D)."""
        return self.estimate.G

    @property
    def traces(self) -> Array:
        """Own-unit traces (R, D); the second row of a resonator has the imaginary parts.

        Column 0 of its rows is along nu. What is along omega stands in ``angle_traces``.
        """
        G = self.estimate.resonance.G
        return self.config.of_all(self.estimate.g, np.array([G.real, G.imag]))

    @property
    def angle_traces(self) -> Array:
        """Real and imaginary parts of the traces along omega, (2, C)."""
        angle = self.estimate.resonance.angle
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
        traces = config.of_all(self.estimate.g, self.estimate.resonance.slopes)
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
        head_change = eta_gamma * self.head_P * np.tensordot(x, of_head, 1)
        self.head = self.head + self.learning_head.bounded(head_change)
        of_head_seen = np.einsum("okj,op,pkj->kj", of_head, new.curvature, of_head)
        # The coupling with the bias needs all columns at every label; frozen weights have none.
        turns = config.filter == "kalman" or config.estimator == "frozen"
        labels = self.labels_learnt
        of_head_now = of_head_turn(self.head_P.shape, labels) if turns else None
        self.head_P = self.moved(self.head_P, of_head_seen, of_head_now)
        seen = np.einsum("orj,op,prj->rj", slopes, new.curvature, slopes)
        if turns:
            now = of_turn(
                self.P.shape, labels, config.n_hidden if CELLS[config.cell].alone else None
            )
            self.metric = Metric.diagonal(self.moved(self.P, seen, now))
        else:
            with_bias = np.einsum("or,op,prj->rj", slopes[:, :, -1], new.curvature, slopes)
            self.M = (1 - gamma) * self.M + gamma * (seen + delta)
            self.cross = (1 - gamma) * self.cross + gamma * with_bias
            self.metric = Metric.quasi_diagonal(self.M, self.cross)
        lift = prior_lift(self.noise) if config.prior_units else 1.0
        self.covariance.measure(f, new.kappa, config.forget, lift)
        return new

    def moved(self, P: Array, information: Array, now: Array | None) -> Array:
        """P after a label: with twice the rate where it has its turn `now`; without turns all."""
        gamma, delta = self.config.info_rate, self.config.info_floor
        if now is None:
            return covariance_step(P, information, gamma, delta)
        return np.where(now, covariance_step(P, information, 2 * gamma, delta), P)

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
        head_change = rate * np.tensordot(new.error, of_head, 1)
        self.head = self.head + self.learning_head.bounded(head_change)
