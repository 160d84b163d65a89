"""Influence balancing (Tallec and Ollivier 2017, arXiv 1705.08209, section on experiments).

    s <- A s + theta sigma      loss = (s_0 - 1)^2 / 2      one parameter, from 0.5
    A_ii = A_i,i+1 = 1/2, 23 states, sigma = +1 ten times, then -1

The parameter pushes s_0 up at once and, through the other states, six times as far down later: a
gradient that sees a short past has the wrong sign. The optimum is theta = -1/6. No cell of the
kernel is linear, so this runs on its reference implementation: 23 units that share one bias.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbt_embed.reference import (
    Array,
    Balance,
    Metric,
    Step,
    estimate_update,
    exact_rtrl,
    jacobian,
    jacobian_vector,
    residual_update,
    unitwise_update,
)

STATES, POSITIVE = 23, 10
START, OPTIMUM = 0.5, -1 / 6
RATE = 3e-4
ESTIMATORS = ("rtrl", "nobacktrack", "residual", "unitwise")
A = (np.eye(STATES) + np.eye(STATES, k=1)) / 2
SIGMA = np.where(np.arange(STATES) < POSITIVE, 1.0, -1.0)
# In the cell's terms: the state of unit r is sigma_r a_r, and a_r = sigma_r (A s)_r + theta.
STEP = Step(np.zeros(STATES), gain=SIGMA[None], carry=np.zeros((1, STATES)))
WEIGHTS = SIGMA[:, None] * A
J = jacobian(STEP, WEIGHTS)
ONE = np.ones(1)
SPANS = (10, 100, 500)
SEEDS = 10
RECORDS = 1000


@dataclass(frozen=True)
class Run:
    """theta (seeds, records) at the start and after every ``every`` steps."""

    every: int
    theta: Array

    def settled(self) -> Array:
        """Steps after which |theta - optimum| stays below 0.01, (seeds); inf if it does not."""
        outside = ~(np.abs(self.theta - OPTIMUM) < 0.01)
        after = np.where(outside.any(axis=1), outside.shape[1] - outside[:, ::-1].argmax(axis=1), 0)
        return np.where(outside[:, -1], np.inf, after * self.every)


class Estimate:
    """ds_0/dtheta of many seeds at once, from an estimator of the reference, decay 1."""

    def __init__(self, estimator: str, seeds: int) -> None:
        self.estimator = estimator
        self.signs = np.random.default_rng(seeds)
        self.metric = Metric.diagonal(np.ones((STATES, 1)))
        units = (STATES,) if estimator == "unitwise" else ()
        self.v = np.zeros((seeds, *units, STATES))
        self.w = np.zeros((seeds, STATES, 1))
        self.g = np.zeros((STATES, 1))
        self.G = np.zeros((STATES, STATES, 1))
        self.balance = [Balance.start(STATES)] * seeds

    def advance(self) -> Array:
        """One step of the system; the new ds_0/dtheta (seeds)."""
        signs = self.signs.choice([-1.0, 1.0], size=(*self.v.shape[:1], STATES))
        if self.estimator == "rtrl":
            self.G = exact_rtrl(self.G, ONE, STEP, WEIGHTS)
            return np.broadcast_to(self.G[0].sum(), self.v.shape[0])
        if self.estimator == "nobacktrack":
            z = jacobian_vector(STEP, WEIGHTS, self.v)
            self.v, self.w = estimate_update(self.w, z, ONE, STEP, signs, 1.0, self.metric)
            return np.asarray(self.v[:, 0] * self.w.sum(axis=(1, 2)))
        if self.estimator == "residual":
            return self._residual(signs)
        self.v, self.w, self.g = unitwise_update(
            self.v, self.w, self.g, ONE, STEP, WEIGHTS, signs, 1.0, self.metric
        )
        return np.asarray((self.v[:, :, 0] * self.w[:, :, 0]).sum(axis=1) + self.g[0, 0])

    def _residual(self, signs: Array) -> Array:
        old = self.g
        for i, balance in enumerate(self.balance):  # the scalings belong to one stream of signs
            self.v[i], self.w[i], self.g = residual_update(
                self.v[i], self.w[i], old, ONE, STEP, WEIGHTS, signs[i], 1.0, balance
            )
            self.balance[i] = balance.after(self.w[i], self.g, J, self.metric)
        return np.asarray(self.v[:, 0] * self.w.sum(axis=(1, 2)) + self.g[0, 0])


def online(estimator: str, steps: int, seeds: int, every: int) -> Run:
    """Learn after every step, at RATE / sqrt(t)."""
    estimate = Estimate(estimator, seeds)
    theta, s = np.full(seeds, START), np.zeros((seeds, STATES))
    kept = [theta]
    for t in range(1, steps + 1):
        slope = estimate.advance()
        s = s @ A.T + theta[:, None] * SIGMA
        theta = theta - RATE / np.sqrt(t) * (s[:, 0] - 1) * slope
        if t % every == 0:
            kept.append(theta)
    return Run(every, np.array(kept).T)


def truncated(span: int, steps: int, every: int) -> Run:
    """Backpropagation through the last ``span`` steps, learning after each span at the same rate.

    The derivative starts from nothing at every span; nothing here is random. The run ends where
    theta leaves [-100, 100].
    """
    theta, s, kept = START, np.zeros(STATES), [START]
    derivative, gradient = np.zeros(STATES), 0.0
    for t in range(1, steps + 1):
        derivative = A @ derivative + SIGMA
        s = A @ s + theta * SIGMA
        gradient += (s[0] - 1) * derivative[0]
        if t % span == 0:
            theta -= RATE / np.sqrt(t) * gradient
            derivative, gradient = np.zeros(STATES), 0.0
        if t % every == 0:
            kept.append(theta)
        if abs(theta) > 100:
            break
    return Run(every, np.array([kept]))


def measured(path: Path, steps: int) -> dict[str, Run]:
    """Every estimator and span; from the file if it holds them."""
    if not path.exists():
        every = steps // RECORDS
        runs = {name: online(name, steps, SEEDS, every) for name in ESTIMATORS}
        for span in SPANS:
            runs[f"backpropagation, span {span}"] = truncated(span, steps, every)
        rows = {
            name: {"every": run.every, "theta": run.theta.tolist()} for name, run in runs.items()
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows), encoding="utf-8")
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {name: Run(row["every"], np.array(row["theta"])) for name, row in rows.items()}
