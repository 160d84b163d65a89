"""Scores that are kept up sample by sample, in memory that does not grow.

Symbols: e = forecast − truth, y the truth, ȳ its mean over the scored samples.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed.arrays import Float64Array, float64
from nbt_embed.errors import InputError


class RegressionScore:
    """MAE, RMSE and nRMSE of real-valued forecasts.

        MAE = mean |e|    RMSE = sqrt(mean e²)    nRMSE = sqrt(Σ e² / Σ (y − ȳ)²)

    Pooled figures take the sums over all targets before the ratio, in the targets' own units: a
    target with a large swing weighs more. 1 is the nRMSE of somebody who knows the mean of what
    is to come. Where nothing was scored, or nothing varied, a figure is NaN.

    Σ (y − ȳ)² follows Chan, Golub and LeVeque (1979), which is Welford's update for blocks.

    >>> score = RegressionScore(1)
    >>> score.update([[1.0], [2.0], [4.0]], [[1.0], [3.0], [5.0]])
    >>> score.rows, round(score.mae, 3), round(score.nrmse, 3)
    (3, 0.667, 0.5)

    Args:
        n_out: targets.

    Cost: O(n_out) memory; O(rows n_out) an update.
    """

    def __init__(self, n_out: int) -> None:
        if n_out < 1:
            raise InputError(f"n_out = {n_out}: expected at least 1")
        self._rows = 0
        self._count, self._mean, self._spread, self._squared, self._absolute = np.zeros((5, n_out))

    def update(self, forecasts: ArrayLike, truths: ArrayLike) -> None:
        """Score one sample (n_out,) or many (T, n_out); a NaN or masked truth is not scored.

        Errors: InputError if the shapes differ or do not end in n_out.
        """
        forecast, truth = float64("forecasts", forecasts), float64("truths", truths)
        n_out = self._count.size
        if forecast.shape != truth.shape or truth.shape[-1:] != (n_out,) or truth.ndim > 2:
            raise InputError(
                f"forecasts {forecast.shape} and truths {truth.shape}: expected both as "
                f"({n_out},) or (T, {n_out})"
            )
        forecast, truth = forecast.reshape(-1, n_out), truth.reshape(-1, n_out)
        known = ~np.isnan(truth)
        self._rows += int(known.any(axis=1).sum())
        self._add_truth(np.where(known, truth, 0.0), known)
        error = np.where(known, forecast - truth, 0.0)
        self._squared += (error * error).sum(axis=0)
        self._absolute += np.abs(error).sum(axis=0)

    @property
    def rows(self) -> int:
        """Samples with at least one known target."""
        return self._rows

    @property
    def mae(self) -> float:
        """Mean absolute error over all targets, their units."""
        return _ratio(self._absolute.sum(), self._count.sum())

    @property
    def rmse(self) -> float:
        """Root mean squared error over all targets, their units."""
        return math.sqrt(_ratio(self._squared.sum(), self._count.sum()))

    @property
    def nrmse(self) -> float:
        """One ratio over all targets."""
        return math.sqrt(_ratio(self._squared.sum(), self._spread.sum()))

    @property
    def nrmse_per_target(self) -> tuple[float, ...]:
        """One ratio each."""
        pairs = zip(self._squared, self._spread, strict=True)
        return tuple([math.sqrt(_ratio(squared, spread)) for squared, spread in pairs])

    def _add_truth(self, truth: Float64Array, known: NDArray[np.bool_]) -> None:
        """Merge a block (unknown values are 0 in truth) into count, mean and Σ (y − ȳ)²."""
        count = known.sum(axis=0)
        total = self._count + count
        mean = truth.sum(axis=0) / np.maximum(count, 1)
        deviation = np.where(known, truth - mean, 0.0)
        shift = mean - self._mean
        share = count / np.maximum(total, 1)
        self._spread += (deviation * deviation).sum(axis=0) + shift * shift * self._count * share
        self._mean += shift * share
        self._count = total


class SymbolScore:
    """Bits per symbol: the mean of −log₂ of the probability given to the symbol that came.

    >>> score = SymbolScore()
    >>> score.update([[0.5, 0.5], [0.25, 0.75]], [0, 0])
    >>> score.symbols, score.bits_per_symbol
    (2, 1.5)

    Cost: O(1) memory; O(symbols) an update.
    """

    def __init__(self) -> None:
        self._symbols = 0
        self._bits = 0.0

    def update(self, probabilities: ArrayLike, symbols: ArrayLike) -> None:
        """Score one symbol, (K,) and an index, or many, (T, K) and (T,).

        A symbol that is NaN or masked is not scored.
        Errors: InputError for shapes that do not fit and for indices outside 0..K-1.
        """
        p, index = float64("probabilities", probabilities), float64("symbols", symbols)
        if p.ndim not in (1, 2) or p.shape[:-1] != index.shape:
            raise InputError(
                f"probabilities {p.shape} and symbols {index.shape}: expected (T, K) and (T,), or "
                "(K,) and one index"
            )
        p, index = p.reshape(-1, p.shape[-1]), index.reshape(-1)
        known = ~np.isnan(index)
        chosen = index[known].astype(np.intp)
        bad = chosen[(chosen != index[known]) | (chosen < 0) | (chosen >= p.shape[1])]
        if bad.size:
            raise InputError(f"symbol {bad[0]}: expected a class index in 0..{p.shape[1] - 1}")
        with np.errstate(divide="ignore"):  # probability 0 for what came: infinitely many bits
            self._bits -= float(np.log2(p[known, chosen]).sum())
        self._symbols += chosen.size

    @property
    def symbols(self) -> int:
        """Symbols scored."""
        return self._symbols

    @property
    def bits_per_symbol(self) -> float:
        """Mean bits, NaN before the first symbol."""
        return _ratio(self._bits, self._symbols)


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator) / float(denominator) if denominator > 0 else math.nan
