"""Forecasts that take part in a mixture, and the mixture: docs/design.md, section 11."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from reference import Array, ReadoutCovariance, Settings, noise_step, prior_lift

ERROR_RATE = 0.002
ERROR_MIN = 1e-11  # squares below this are of rounding, in units of the output
ERRORS_MAX = 8.0  # root mean squares of which an error counts at most
SLOPE_MAX = 50.0
PROVEN, FAILED, OLD = 0.8, 1.2, 8  # shares of the last value's loss; memories
HUGE = 1e18
SHARE = 1e-3  # of the weight, spread evenly, so that every forecast can come back


class Rls:
    """A readout that learns by itself: recursive least squares with forgetting and a gate.

        e_o = gated(target_o - V_o f),  |e_o| <= gate sqrt(r_o (1 + c)),  c = f^T C f
        V_o <- V_o + e_o / (1 + c) C f,     C <- C - C f f^T C / (1 + c), then forgetting

    Attributes: V (O, n); covariance, in units of the noise, shared by the outputs; noise r (O);
    count (O), labels.
    """

    def __init__(
        self, n_out: int, prior: Array, order: NDArray[np.int_], forget: float, config: Settings
    ) -> None:
        self.forget, self.config = forget, config
        self.covariance = ReadoutCovariance(prior, order)
        self.V = np.zeros((n_out, prior.size))
        self.restart()

    def restart(self) -> None:
        """Know nothing but the prior."""
        self.V = np.zeros_like(self.V)
        self.covariance.restart()
        self.noise, self.count = np.ones(len(self.V)), np.zeros(len(self.V))

    def open(self, o: int) -> None:
        """Output o knows nothing but the prior, nor does the covariance that all share."""
        self.V[o] = 0.0
        self.covariance.restart()
        self.noise[o], self.count[o] = 1.0, 0.0

    def learn(self, f: Array, target: Array) -> None:
        """Learn target (O), NaN where there is none, for the features f (n)."""
        known = ~np.isnan(target)
        if not known.any():
            return
        config, Cf = self.config, self.covariance.dense @ f
        c = float(f @ Cf)
        reach = config.gate * np.sqrt(self.noise * (1 + c)) if config.gate > 0 else np.inf
        error = np.where(known, np.clip(target - self.V @ f, -reach, reach), 0.0)
        lift = prior_lift(self.noise) if config.prior_units else 1.0
        self.covariance.measure(f, 1.0, self.forget, lift)
        self.V = self.V + np.outer(error / (1 + c), Cf)
        self.count = self.count + known
        r = noise_step(self.noise, error, c, self.count, config.noise_rate)
        self.noise = np.where(known, r, self.noise)


@dataclass
class Record:
    """What the K forecasts of one output have lost lately, and whether one has failed.

        L_k <- L_k + (min((l - p_k)^2, 64 r) - L_k) / n

    Forecast 0, the last value, judges the others: one that is n labels old and loses less than
    0.8 L_0 has proven itself. It fails if it loses more than 1.2 L_0 later, from its label 8 n on.

    Attributes: lost L (K), age (K), labels; proven (K).
    """

    lost: Array
    age: Array
    proven: NDArray[np.bool_]

    @classmethod
    def start(cls, K: int) -> Record:
        """Nothing lost, nothing proven."""
        return cls(np.zeros(K), np.zeros(K), np.zeros(K, bool))

    def count(self, p: Array, label: float, most: float, n: float) -> list[int]:
        """Count the label of the forecasts p (K). Returns those that have failed, started again."""
        self.lost = self.lost + (np.minimum((label - p) ** 2, most) - self.lost) / n
        self.age = self.age + 1
        self.proven = self.proven | ((self.age > n) & (self.lost < PROVEN * self.lost[0]))
        failed = self.proven & (self.age > OLD * n) & (self.lost > FAILED * self.lost[0])
        for k in np.flatnonzero(failed[1:]) + 1:
            self.lost[k], self.age[k], self.proven[k] = self.lost[0], 0.0, False
        return (np.flatnonzero(failed[1:]) + 1).tolist()

    def condemn(self, forecasts: range) -> None:
        """They fail with the next label."""
        self.lost[forecasts], self.age[forecasts], self.proven[forecasts] = HUGE, np.inf, True


@dataclass
class Mixture:
    """The weights of K forecasts of one output: Bernstein online aggregation, discounted.

    Source: Wintenberger 2017, Optimal learning with Bernstein online aggregation, arXiv 1404.1356,
    with one rate for all and the losses linearised at the answer m:

        g_k = -2 (l - m) (p_k - m) / r         l - m within 8 sqrt(r), g_k within 50
        V_k <- phi V_k + g_k^2                 eta = 1 / sqrt(max_k V_k)
        R_k <- phi R_k - (g_k + eta g_k^2)     w = (1 - SHARE) softmax(eta R) + SHARE / K

    r is the mean squared error of the answers, so that the weights have no units. It is at least
    1e-11; there an error counts whole, and the weights stay.

    Attributes: weight w, regret R, spread V (K); error r; count, labels.
    """

    weight: Array
    regret: Array
    spread: Array
    error: float = 0.0
    count: int = 0

    @classmethod
    def start(cls, K: int) -> Mixture:
        """Equal weights."""
        return cls(np.full(K, 1.0 / K), np.zeros(K), np.zeros(K))

    def learn(self, p: Array, answer: float, label: float, forget: float) -> None:
        """Learn the label of the forecasts p (K) and of what was answered."""
        off, square = label - answer, (label - answer) ** 2
        if self.error > ERROR_MIN:
            square = min(square, ERRORS_MAX**2 * self.error)
        self.count += 1
        rate = max(ERROR_RATE, 1 / self.count)
        self.error = max(self.error + rate * (square - self.error), ERROR_MIN)
        if self.error <= ERROR_MIN:  # all answers were exact but for rounding
            return

        q = np.sqrt(self.error)
        off = np.clip(off / q, -ERRORS_MAX, ERRORS_MAX)
        g = np.clip(-2 * off * (p - answer) / q, -SLOPE_MAX, SLOPE_MAX)
        self.spread = forget * self.spread + g**2
        eta = np.sqrt(1 / (self.spread.max() + 1e-12))
        self.regret = forget * self.regret - (g + eta * g**2)
        favour = np.exp(eta * self.regret - (eta * self.regret).max())
        self.weight = (1 - SHARE) * favour / favour.sum() + SHARE / p.size
