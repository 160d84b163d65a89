"""Scores of forecasts: updated sample by sample in constant memory, or of whole arrays.

``RegressionScore`` and ``SymbolScore`` are updated. The functions take arrays and measure the
calibration of intervals, quantiles, distributions and probabilities. A truth that is NaN or masked
is not scored; without scored truths a figure is NaN.

Symbols: e = forecast − truth, y the truth, ȳ its mean over the scored samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed.arrays import Float64Array, float64
from nbt_embed.errors import InputError


class RegressionScore:
    """MAE, RMSE and nRMSE of real-valued forecasts.

        MAE = mean |e|    RMSE = sqrt(mean e²)    nRMSE = sqrt(Σ e² / Σ (y − ȳ)²)

    Pooled figures take the sums over all targets before the ratio, in the targets' own units: a
    target with a large range weighs more. A constant forecast, the mean of the truths, has an nRMSE
    of 1. Where nothing was scored, or nothing varied, a figure is NaN.

    Σ (y − ȳ)² follows Chan, Golub and LeVeque (1979), which is Welford's update for blocks.

    Examples:
        >>> score = RegressionScore(1)
        >>> score.update([[1.0], [2.0], [4.0]], [[1.0], [3.0], [5.0]])
        >>> score.rows, round(score.mae, 3), round(score.nrmse, 3)
        (3, 0.667, 0.5)

    Args:
        n_out: targets.

    Cost: O(n_out) memory; O(rows n_out) per update.
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
    def rows_per_target(self) -> tuple[int, ...]:
        """Known samples of each."""
        return tuple([int(count) for count in self._count])

    @property
    def mae_per_target(self) -> tuple[float, ...]:
        """Mean absolute error of each, its unit."""
        return tuple([_ratio(*pair) for pair in zip(self._absolute, self._count, strict=True)])

    @property
    def rmse_per_target(self) -> tuple[float, ...]:
        """Root mean squared error of each, its unit."""
        pairs = zip(self._squared, self._count, strict=True)
        return tuple([math.sqrt(_ratio(squared, count)) for squared, count in pairs])

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
    """Bits per symbol: the mean of −log₂ of the probability of the symbol that occurred.

    Examples:
        >>> score = SymbolScore()
        >>> score.update([[0.5, 0.5], [0.25, 0.75]], [0, 0])
        >>> score.symbols, score.bits_per_symbol
        (2, 1.5)

    Cost: O(1) memory; O(symbols) per update.
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
        named = index[known]
        bad = named[(named != np.floor(named)) | (named < 0) | (named >= p.shape[1])]
        if bad.size:
            raise InputError(f"symbol {bad[0]:g}: expected a class index in 0..{p.shape[1] - 1}")
        chosen = named.astype(np.intp)
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


def coverage(lower: ArrayLike, upper: ArrayLike, truths: ArrayLike) -> float:
    """Share of the truths that lie in their interval, ends included.

    An interval of level 0.8 should cover 0.8 of them.

    Examples:
        >>> coverage([0, 0, 0], [1, 1, 1], [0.5, 1.0, 2.0])
        0.6666666666666666

    Args:
        lower: the lower ends, any shape; -inf and inf are no bounds.
        upper: the upper ends, the same shape.
        truths: the same shape.

    Errors: InputError for shapes that differ, an end that is NaN, a lower end above its upper one.
    """
    low, high, y = _intervals(lower, upper, truths)
    return _mean((low <= y) & (y <= high))


def interval_score(lower: ArrayLike, upper: ArrayLike, truths: ArrayLike, level: float) -> float:
    """Mean interval score of Winkler: width, plus a penalty for a truth outside. Lower is better.

        S = (u − l) + 2/α max(l − y, 0) + 2/α max(y − u, 0),   α = 1 − level

    It is proper: the true quantiles α/2 and 1 − α/2 have the lowest expected score (Winkler 1972;
    Gneiting and Raftery 2007, *Strictly proper scoring rules, prediction, and estimation*, eq. 43).
    Units: those of the truths.

    Examples:
        >>> round(interval_score([0, 0], [1, 1], [0.5, 1.1], level=0.8), 6)
        1.5

    Args:
        lower: as ``coverage``; an interval without end has an infinite score.
        upper: as ``coverage``.
        truths: as ``coverage``.
        level: nominal coverage of the intervals, 0 < level < 1.

    Errors: InputError, as ``coverage``, and for the level.
    """
    low, high, y = _intervals(lower, upper, truths)
    alpha = 1 - _inside("level", level)
    # An end at infinity is beyond every truth: 0 there, and not inf − inf.
    below, above = np.maximum(low - y, 0), np.maximum(y - high, 0)
    width = np.zeros_like(y)
    np.subtract(high, low, out=width, where=low < high)
    return _mean(width + 2 / alpha * (below + above))


def pinball_loss(quantiles: ArrayLike, truths: ArrayLike, level: float) -> float:
    """Mean loss of a quantile forecast: τ (y − q) above it, (1 − τ) (q − y) below it.

    Proper for the quantile τ = level (Koenker and Bassett 1978, *Regression quantiles*). The
    interval score of [q_α/2, q_1−α/2] is 2/α times the sum of both losses. Units: the truths'.

    Examples:
        >>> pinball_loss([1.0, 1.0], [3.0, 0.0], level=0.9)
        0.95

    Args:
        quantiles: any shape.
        truths: the same shape.
        level: τ, 0 < τ < 1.

    Errors: InputError for shapes that differ, a quantile that is NaN, the level.
    """
    q, y = _scored("quantiles", quantiles, truths)
    tau = _inside("level", level)
    return _mean(np.maximum(tau * (y - q), (tau - 1) * (y - q)))


def log_loss(
    means: ArrayLike, scales: ArrayLike, truths: ArrayLike, freedom: ArrayLike = math.inf
) -> float:
    """Mean of −ln p(y) in nats, p Gaussian or Student's t. Lower is better (Good 1952).

        Gaussian     −ln p = ln s + ½ ln 2π + ½ z²,   z = (y − m)/s
        Student's t  −ln p = ln s + ½ ln νπ + ln Γ(ν/2) − ln Γ((ν+1)/2) + (ν+1)/2 ln(1 + z²/ν)

    Differences are meaningful; the figure itself depends on the units: halving them adds ln 2.

    Examples:
        >>> round(log_loss([0.0], [1.0], [0.0]), 6)
        0.918939

    Args:
        means: m, any shape.
        scales: s above 0 (Gaussian: the standard deviation), the same shape.
        truths: y, the same shape.
        freedom: ν above 0, one for all or one each; infinite: Gaussian.

    Errors: InputError for shapes that differ, a mean that is NaN, a scale or freedom not above 0.
    """
    mean, y = _scored("means", means, truths)
    scale, _ = _scored("scales", scales, truths)
    given = float64("freedom", freedom)
    nu, _ = _scored("freedom", given if given.ndim else np.full(np.shape(truths), given), truths)
    for name, values in (("scales", scale), ("freedom", nu)):
        if (values <= 0).any():
            raise InputError(f"{name} holds {values.min():g}: expected values above 0")
    z = (y - mean) / scale
    loss = np.log(scale) + 0.5 * np.log(2 * np.pi) + 0.5 * z * z
    heavy = np.isfinite(nu)
    v = nu[heavy]
    gammas = np.array([math.lgamma(one / 2) - math.lgamma((one + 1) / 2) for one in v])
    loss[heavy] = np.log(scale[heavy]) + 0.5 * np.log(v * np.pi) + gammas
    loss[heavy] += (v + 1) / 2 * np.log1p(z[heavy] ** 2 / v)
    return _mean(loss)


def brier_score(probabilities: ArrayLike, outcomes: ArrayLike) -> float:
    """Mean squared distance of probabilities from outcomes. Lower is better (Brier 1950).

        events (p the shape of the outcomes)    mean (p − o)², o = 0 or 1
        classes (one axis more)                 mean Σ_k (p_k − o_k)², o_k = 1 for the class

    Examples:
        >>> brier_score([0.5, 1.0], [0, 1])
        0.125
        >>> round(brier_score([[0.5, 0.5], [0.2, 0.8]], [0, 1]), 6)
        0.29

    Args:
        probabilities: 0..1. Any shape for events, (..., K) for classes.
        outcomes: 0 or 1, or the index of the class.

    Errors: InputError for shapes that do not fit, a probability outside 0..1, an outcome that is
    none.
    """
    p, o = _outcomes(probabilities, outcomes)
    return _mean(((p - o) ** 2).sum(axis=-1))


@dataclass(frozen=True, eq=False)
class Reliability:
    """Observed frequency of events by bins of their forecast probability.

    Attributes:
        edges: (bins + 1,) of the bins, from 0 to 1.
        count: (bins,) probabilities in the bin.
        mean: (bins,) their mean; NaN where there is none.
        frequency: (bins,) share of them whose event came; NaN where there is none.
    """

    edges: Float64Array
    count: NDArray[np.intp]
    mean: Float64Array
    frequency: Float64Array

    @property
    def error(self) -> float:
        """Expected calibration error: Σ count |mean − frequency| / Σ count; NaN without any."""
        distance = np.abs(self.mean - self.frequency)
        return _ratio(float((self.count * np.nan_to_num(distance)).sum()), float(self.count.sum()))


def reliability(probabilities: ArrayLike, outcomes: ArrayLike, bins: int = 10) -> Reliability:
    """Reliability table: calibrated probabilities have mean = frequency in every bin.

    (Murphy and Winkler 1977, *Reliability of subjective probability forecasts of precipitation and
    temperature*.) With classes the probabilities of all classes count, not only the largest.

    Examples:
        >>> table = reliability([0.1, 0.1, 0.9], [0, 1, 1], bins=2)
        >>> table.count.tolist(), table.mean.tolist(), table.frequency.tolist()
        ([2, 1], [0.1, 0.9], [0.5, 1.0])

    Args:
        probabilities: as ``brier_score``.
        outcomes: as ``brier_score``.
        bins: of equal width, at least 1; 1.0 belongs to the last one.

    Errors: InputError, as ``brier_score``, and for the bins.
    """
    if bins < 1:
        raise InputError(f"bins = {bins}: expected at least 1")
    p, o = (values.ravel() for values in _outcomes(probabilities, outcomes))
    place = np.minimum((p * bins).astype(np.intp), bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=values, minlength=bins) for values in (p, o)]
    mean, frequency = (np.where(count, total / np.maximum(count, 1), np.nan) for total in sums)
    return Reliability(np.linspace(0, 1, bins + 1), count, mean, frequency)


def _scored(
    name: str, forecasts: ArrayLike, truths: ArrayLike
) -> tuple[Float64Array, Float64Array]:
    """Forecasts and truths (N,) where the truth is known. Errors: InputError (shape, NaN)."""
    forecast, truth = float64(name, forecasts), float64("truths", truths)
    if forecast.shape != truth.shape:
        raise InputError(
            f"{name} {forecast.shape} and truths {truth.shape}: expected the same shape; "
            "pass one output at a time, or all of them everywhere"
        )
    known = ~np.isnan(truth)
    lost = np.argwhere(np.isnan(forecast) & known)
    if lost.size:
        raise InputError(
            f"{name}{lost[0].tolist()} is NaN and its truth is known: pass NaN as truth for rows "
            "that are not to be scored"
        )
    return forecast[known], truth[known]


def _intervals(
    lower: ArrayLike, upper: ArrayLike, truths: ArrayLike
) -> tuple[Float64Array, Float64Array, Float64Array]:
    low, y = _scored("lower", lower, truths)
    high, _ = _scored("upper", upper, truths)
    crossed = np.flatnonzero(low > high)
    if crossed.size:
        first = crossed[0]
        raise InputError(
            f"lower = {low[first]:g} is above upper = {high[first]:g} in {crossed.size} of "
            f"{low.size} intervals: swap them, or sort the quantiles they are made of"
        )
    return low, high, y


def _outcomes(probabilities: ArrayLike, outcomes: ArrayLike) -> tuple[Float64Array, Float64Array]:
    """Probabilities (N, K) and outcomes 0 or 1 (N, K), without missing ones; events: K = 1."""
    p, o = float64("probabilities", probabilities), float64("outcomes", outcomes)
    classes = p.ndim == o.ndim + 1
    if (p.shape[:-1] if classes else p.shape) != o.shape or (classes and not p.shape[-1]):
        raise InputError(
            f"probabilities {p.shape} and outcomes {o.shape}: expected the same shape (events), or "
            "one axis more for the probabilities of classes"
        )
    highest = p.shape[-1] - 1 if classes else 1
    known = ~np.isnan(o)
    p, o = p[known], o[known]
    bad = p[~((p >= 0) & (p <= 1))]
    if bad.size:
        raise InputError(f"probabilities hold {bad.flat[0]:g}: expected values from 0 to 1")
    wrong = o[(o != np.floor(o)) | (o < 0) | (o > highest)]
    if wrong.size:
        expected = f"a class index in 0..{highest}" if classes else "0 or 1"
        raise InputError(f"outcomes hold {wrong[0]:g}: expected {expected}, or NaN where missing")
    if not classes:
        return p[:, np.newaxis], o[:, np.newaxis]
    return p, (o[:, np.newaxis] == np.arange(highest + 1)).astype(np.float64)


def _inside(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise InputError(f"{name} = {value}: expected a share between 0 and 1, such as 0.8")
    return float(value)


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float:
    return _ratio(float(values.sum()), float(values.size))


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator) / float(denominator) if denominator > 0 else math.nan
