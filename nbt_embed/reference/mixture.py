"""Forecasts that take part in a mixture, and the mixture: docs/design.md, section 11."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbt_embed.reference.arrays import Array
from nbt_embed.reference.covariance import ReadoutCovariance
from nbt_embed.reference.filter import noise_step, prior_lift
from nbt_embed.reference.settings import Settings
from nbt_embed.reference.units import re_express_covariance, re_expressed

ERROR_RATE = 0.002
ERROR_MIN = 1e-11  # squares below this are of rounding, in units of the output
ERRORS_MAX = 8.0  # root mean squares of which an error counts at most
SLOPE_MAX = 50.0
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

    def learn(self, f: Array, target: Array) -> None:
        """Learn target (O), NaN where there is none, for the features f (n)."""
        if not np.isnan(target).all():
            self.look(f, target)
            self.move()

    def look(self, f: Array, target: Array) -> None:
        """Take f (n) into C. Keeps K = C f / (1 + c), c and the errors (O) within the gate."""
        config, Cf = self.config, self.covariance.dense @ f
        self.c = float(f @ Cf)
        reach = config.gate * np.sqrt(self.noise * (1 + self.c)) if config.gate > 0 else np.inf
        self.errors = np.clip(target - self.V @ f, -reach, reach)
        self.K = Cf / (1 + self.c)
        lift = prior_lift(self.noise) if config.prior_units else 1.0
        self.covariance.measure(f, 1.0, self.forget, lift)

    def move(self) -> None:
        """Move V and the noise by what was kept."""
        known = ~np.isnan(self.errors)
        error = np.where(known, self.errors, 0.0)
        self.V = self.V + np.outer(error, self.K)
        self.count = self.count + known
        r = noise_step(self.noise, error, self.c, self.count, self.config.noise_rate)
        self.noise = np.where(known, r, self.noise)

    def re_express(self, A: Array) -> None:
        """The features are now A f (n, n)."""
        self.V = re_expressed(self.V, A)
        re_express_covariance(self.covariance, A)

    def rescale(self, o: int, a: float, shift: float, constant: int) -> None:
        """The target of output o is now a t + shift; the feature `constant` is 1."""
        self.V[o] *= a
        self.V[o, constant] += shift
        self.noise[o] = max(a**2 * self.noise[o], 1e-8)


def is_drawn(label: int, n: int) -> bool:
    """Whether a label is one of n, by a hash of its number."""
    bits = label * 0x9E3779B9 % (1 << 32)
    bits = (bits ^ bits >> 15) * 0x85EBCA6B % (1 << 32)
    return (bits >> 16) * n >> 16 == 0


class SpreadRls(Rls):
    """The same, which learns one of PARTS labels, a part of its work at each. It forgets for all.

    Which one is drawn by reservoir sampling (Vitter 1985): every fourth one would show a single
    phase of a stream with that period. It is looked at with the first part and moves V with the
    last.

    Attributes: part, the next one; K (n), c and errors (O) of what is under way; kept, features and
    target of the label that is learnt next.
    """

    PARTS = 4

    def __init__(
        self, n_out: int, prior: Array, order: NDArray[np.int_], forget: float, config: Settings
    ) -> None:
        super().__init__(n_out, prior, order, forget**self.PARTS, config)

    def restart(self) -> None:
        """Know nothing but the prior."""
        super().restart()
        self.part, self.K = 0, np.zeros(self.V.shape[1])
        self.errors, self.c = np.zeros(len(self.V)), 0.0
        self.kept: tuple[Array, Array] | None = None

    def learn_part(self, f: Array, target: Array, label: int) -> None:
        """Learn a part of an earlier label, and perhaps keep this one, the label-th."""
        if np.isnan(target).all():
            return
        if self.part == 0:
            self.look(*(self.kept or (f, target)))
            self.kept = (f, target) if self.kept else None
        elif self.kept is None or is_drawn(label, self.part + 1):
            self.kept = (f, target)
        self.part = (self.part + 1) % self.PARTS
        if self.part == 0:
            self.move()

    def re_express(self, A: Array) -> None:
        """The features are now A f (n, n), and what is under way moves V the same."""
        super().re_express(A)
        self.kept = None
        self.K = re_expressed(self.K[np.newaxis], A)[0]

    def rescale(self, o: int, a: float, shift: float, constant: int) -> None:
        """The target of output o is now a t + shift."""
        super().rescale(o, a, shift, constant)
        self.kept = None
        self.errors[o] *= a


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
