"""Samples of the estimates of a gradient, on the float64 reference (nbt_embed.reference).

The weights are those of a learner that has read a^n b^n for a while, and are then fixed, so
that the exact derivative is what `rtrl` computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nbt_embed import Learner
from nbt_embed.reference import (
    Array,
    Balance,
    Metric,
    ReferenceLearner,
    Settings,
    Step,
    by_row,
    estimate_update,
    exact_rtrl,
    jacobian,
    jacobian_vector,
    own_carry,
    residual_update,
    trace_update,
    unitwise_update,
)
from tools.learning.tasks import anbn

SYMBOLS = 3
READ = 20_000  # symbols before the weights are fixed


@dataclass(frozen=True)
class Network:
    """A network with fixed weights, and the text that it reads on.

    theta (R, D), readout (O, H), metric: what the filter knew of theta.
    """

    learner: ReferenceLearner
    readout: Array
    metric: Metric
    text: list[int]

    @classmethod
    def trained(
        cls, cell: str, hidden: int, steps: int, seed: int = 0, read: bool = True
    ) -> Network:
        """One that has read READ symbols; `steps` more are to come. Or its recurrent start."""
        text = anbn(READ + steps + 1, seed)
        # The estimator that costs least among those that learn well with the cell.
        estimator = {"gated": "unitwise", "lstm": "rtrl", "columnar": "snap1"}[cell]
        given: dict[str, Any] = {"cell": cell, "estimator": estimator, "link": "categorical"}
        given["head"] = 0
        learner = Learner(SYMBOLS, SYMBOLS, hidden=hidden, seed=seed, **given)
        start = learner.array("theta")
        one_hot = np.eye(SYMBOLS, dtype=np.float32)
        learner.run(one_hot[text[:READ]], text[1 : READ + 1], horizon=0)
        config = Settings(SYMBOLS, SYMBOLS, hidden, cell=cell, estimator="frozen")
        return cls(
            ReferenceLearner(config, learner.array("theta") if read else start),
            learner.array("readout").astype(np.float64)[:, :hidden],
            Metric.diagonal(learner.array("covariance").astype(np.float64)),
            text[READ:].tolist(),
        )

    def steps(self) -> Iterator[tuple[Array, Step, Array]]:
        """Of every symbol u (R, D), the step of the cell, and dl/ds, the loss's slope (S).

        The softmax of V h stands for the readout: any slope would do.
        """
        state = np.zeros(self.learner.config.n_state)
        hidden = self.learner.config.n_hidden
        for symbol, following in pairwise(self.text):
            u, step = self.learner.forward(state, np.eye(SYMBOLS)[symbol])
            state = step.state
            raw = self.readout @ state[:hidden]
            p = np.exp(raw - raw.max())
            p /= p.sum()
            p[following] -= 1
            slope = np.zeros(state.size)
            slope[:hidden] = p @ self.readout
            yield u, step, slope


class Estimate:
    """Many independent estimates of ds/dtheta, a stream of signs each.

    Arguments: estimator; network; n (streams); seed (of the signs); decay; norm.
    """

    def __init__(
        self,
        estimator: str,
        network: Network,
        n: int,
        seed: int,
        decay: float = 1.0,
        norm: str = "euclidean",
    ) -> None:
        learner = network.learner
        config, shape = learner.config, learner.theta.shape
        self.estimator, self.decay = estimator, decay
        self.rng = np.random.default_rng(seed)
        self.theta, self.hidden = learner.wide_theta, config.n_hidden
        euclidean = Metric.diagonal(np.ones(shape))
        self.metric = network.metric if norm == "metric" else euclidean
        units = (config.n_hidden,) if estimator == "unitwise" else ()
        self.v = np.zeros((n, *units, config.n_state))
        self.w = np.zeros((n, *shape))
        self.g = np.zeros(shape)
        start = Balance.start(config.n_hidden)
        self.balance = Balance(np.zeros(n), start.norm_g, start.kappa)

    def advance(self, u: Array, step: Step) -> None:
        """One step, u (R, D)."""
        rows = self.w.shape[1] if self.estimator == "nobacktrack" else self.hidden
        signs = self.rng.choice([-1.0, 1.0], size=(len(self.w), rows))
        if self.estimator == "nobacktrack":
            z = jacobian_vector(step, self.theta, self.v)
            self.v, self.w = estimate_update(self.w, z, u, step, signs, self.decay, self.metric)
        elif self.estimator == "snap1":
            self.g = trace_update(self.g, u, step, own_carry(jacobian(step, self.theta)))
        elif self.estimator == "residual":
            self.v, self.w, self.g = residual_update(
                self.v, self.w, self.g, u, step, self.theta, signs, self.decay, self.balance
            )
            J = jacobian(step, self.theta)
            self.balance = self.balance.after(self.w, self.g, J, self.metric)
        else:
            self.v, self.w, self.g = unitwise_update(
                self.v, self.w, self.g, u, step, self.theta, signs, self.decay, self.metric
            )

    def gradients(self, slope: Array) -> Array:
        """The estimates of dl/dtheta for dl/ds (S): (n, R, D)."""
        rows = self.w.shape[1]
        along = self.v @ slope  # (n), or (n, H) under unitwise
        along = along[..., None] if along.ndim == 1 else by_row(along, rows)
        traces = by_row(slope[: self.hidden], rows)[:, None] * self.g
        return np.asarray(along[..., None] * self.w + traces)


def exact_gradients(network: Network) -> list[Array]:
    """dl/dtheta (R, D) after every symbol."""
    G = np.zeros((network.learner.config.n_state, *network.learner.theta.shape))
    found = []
    for u, step, slope in network.steps():
        G = exact_rtrl(G, u, step, network.learner.wide_theta)
        found.append(np.tensordot(slope, G, 1))
    return found


def sampled_gradients(network: Network, estimate: Estimate, steps: set[int]) -> dict[int, Array]:
    """Estimates (n, R, D) after some of the symbols."""
    found = {}
    for t, (u, step, slope) in enumerate(network.steps()):
        estimate.advance(u, step)
        if t in steps:
            found[t] = estimate.gradients(slope)
    return found
