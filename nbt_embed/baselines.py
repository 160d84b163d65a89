"""Simple forecasters as baselines: last value, NLMS and recursive least squares.

They have the calls of ``Learner`` with the same meaning, so they have the same label delay: a label
is used when it arrives, for the forecast that was made ``horizon`` steps earlier. Scaling, lag taps
and missing values are those of the learner (docs/design.md, sections 1 and 5). All in float64.
``run`` of the naive forecasters is vectorised, that of NLMS compiled; everything else takes 10 to
50 µs per step.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed._kernel import ffi, lib
from nbt_embed.arrays import Float32Array, Float64Array, float64, integer, one_row, table
from nbt_embed.errors import ConfigError, InputError, SequenceError


class Baseline(ABC):
    """The common part of the baselines: scaling, lags, and forecasts that wait for their labels.

    Args:
        n_in: channels of the input, at least 1.
        n_out: channels of the output, at least 1.
        lags: newest samples of every input that are used in one step, at least 1.
        max_delay: max_delay + 1 forecasts may wait for labels, from 0.
        scale_steps: samples whose running mean and variance standardise inputs and labels; then
            they are frozen. 0 leaves values as they are.

    Missing inputs (NaN) repeat the channel's last scaled value, 0 before any.
    Errors: ConfigError (a setting), InputError (an array), SequenceError (calls out of turn).
    """

    def __init__(
        self, n_in: int, n_out: int, *, lags: int = 1, max_delay: int = 0, scale_steps: int = 300
    ) -> None:
        lowest = {"n_in": 1, "n_out": 1, "lags": 1, "max_delay": 0, "scale_steps": 0}
        given = (n_in, n_out, lags, max_delay, scale_steps)
        for (name, low), value in zip(lowest.items(), given, strict=True):
            if value < low:
                raise ConfigError(f"{name} = {value}: expected at least {low}")
        self.n_in, self.n_out, self.max_delay = n_in, n_out, max_delay
        self._inputs = _Scaler(n_in, scale_steps)
        self._labels = _Scaler(n_out, scale_steps)
        # [x(t); x(t-1); ...; x(t-lags+1); 1], scaled
        self._features = np.zeros(n_in * lags + 1)
        self._features[-1] = 1.0
        self._waiting: deque[Float64Array] = deque()

    @property
    def pending(self) -> int:
        """Forecasts that wait for a label."""
        return len(self._waiting)

    def predict(self, x: ArrayLike) -> Float32Array:
        """Forecast (n_out,) in the labels' units from the inputs x (n_in,)."""
        sample = _sample("x", x, self.n_in)
        if len(self._waiting) > self.max_delay:
            raise SequenceError(
                f"{len(self._waiting)} forecasts wait for labels and max_delay = {self.max_delay}: "
                "learn one of them first"
            )
        features = self._features.copy()
        features[self.n_in : -1] = self._features[: -1 - self.n_in]
        scaled = self._inputs.scale(sample)
        held = np.isnan(scaled)
        features[: self.n_in] = np.where(held, self._features[: self.n_in], scaled)
        self._features = features
        self._waiting.append(features)
        return self._labels.unscale(self._forecast(features)).astype(np.float32)

    def learn(self, y: ArrayLike) -> None:
        """Learn the label y (n_out,) of the oldest forecast that waits; NaN means missing."""
        label = _sample("y", y, self.n_out)
        if not self._waiting:
            raise SequenceError("no forecast waits for a label: predict first")
        self._update(self._waiting.popleft(), self._labels.scale(label))

    def run(self, X: ArrayLike, Y: ArrayLike, *, horizon: int) -> Float32Array:
        """Feed a stream, exactly as ``Learner.run`` does; it may be fed in pieces.

        Horizon 0: predict from X[t], then learn Y[t]. Horizon h: learn Y[t] for the forecast made
        at t - h if there is one, then predict from X[t].

        Args:
            X: (T, n_in), NaN or masked where missing.
            Y: (T, n_out), NaN or masked where missing.
            horizon: 0 .. max_delay + 1.

        Returns: (T, n_out), row t is what was forecast at t.
        """
        inputs, labels, horizon = self._checked(X, Y, horizon)
        out = np.empty((len(inputs), self.n_out), np.float32)
        for t, (x, y) in enumerate(zip(inputs, labels, strict=True)):
            if horizon and self.pending == horizon:
                self.learn(y)
            out[t] = self.predict(x)
            if not horizon:
                self.learn(y)
        return out

    def reset_state(self) -> None:
        """Begin another recording: nothing waits, and the lags are empty."""
        self._waiting.clear()
        self._features[:-1] = 0.0

    def _checked(
        self, X: ArrayLike, Y: ArrayLike, horizon: int
    ) -> tuple[Float64Array, Float64Array, int]:
        """Inputs, labels and horizon of a run. Errors: InputError, SequenceError."""
        inputs = table("X", float64("X", X), self.n_in)
        labels = table("Y", float64("Y", Y), self.n_out)
        for name, values in (("X", inputs), ("Y", labels)):
            if np.isinf(values).any():
                raise InputError(f"{name} holds an infinite value: expected finite numbers or NaN")
        horizon = integer("horizon", horizon)
        if len(inputs) != len(labels):
            raise InputError(f"Y has {len(labels)} rows and X has {len(inputs)}: pass one each")
        if not 0 <= horizon <= self.max_delay + 1:
            raise InputError(
                f"horizon = {horizon}: max_delay = {self.max_delay} allows 0..{self.max_delay + 1}"
            )
        if self.pending > horizon:
            raise SequenceError(
                f"horizon = {horizon}, but {self.pending} forecasts wait for labels: learn them"
            )
        return inputs, labels, horizon

    @abstractmethod
    def _forecast(self, features: Float64Array) -> Float64Array:
        """Scaled forecast (n_out,)."""

    @abstractmethod
    def _update(self, features: Float64Array, label: Float64Array) -> None:
        """Learn the scaled label (n_out,), NaN where missing, of a forecast from features."""


class Naive(Baseline):
    """Forecasts that repeat a label that has arrived; a missing label counts as the one before.

    ``run`` is vectorised: about 0.1 µs per row and output. It also sees the first labels of a
    recording, for which no forecast waits: with horizon h the first h ones.
    """

    _kept = 1  # labels that are remembered

    def __init__(
        self, n_in: int, n_out: int, *, lags: int = 1, max_delay: int = 0, scale_steps: int = 0
    ) -> None:
        super().__init__(n_in, n_out, lags=lags, max_delay=max_delay, scale_steps=scale_steps)
        self._labels_seen = np.zeros((1, n_out))  # the last ones; in the beginning a 0
        # A label has the number of the forecast that was made for it.
        self._made = self._learnt = 0  # number of the next forecast, and of the next label
        self._begin = 0  # number of the first label of this recording

    def predict(self, x: ArrayLike) -> Float32Array:
        """Forecast (n_out,); x only has to have the right shape."""
        super().predict(x)
        self._made += 1
        forecasts = self._repeated(np.array([self._made - 1]), np.array([self._learnt]))
        forecast: Float32Array = forecasts[0].astype(np.float32)
        return forecast

    def learn(self, y: ArrayLike) -> None:
        """Keep the label; a missing one leaves the last."""
        super().learn(y)
        self._keep(_sample("y", y, self.n_out)[np.newaxis])
        self._forget()

    def run(self, X: ArrayLike, Y: ArrayLike, *, horizon: int) -> Float32Array:
        """As ``Baseline.run``."""
        inputs, labels, horizon = self._checked(X, Y, horizon)
        made = self._made + np.arange(len(inputs))
        if self._learnt != self._made - horizon:  # the first labels of a recording
            self._learnt = self._begin = self._made - horizon
        learnt = made - horizon + (horizon > 0)
        self._keep(labels)
        forecasts = self._repeated(made, learnt).astype(np.float32)
        self._forget()
        self._made += len(inputs)
        waiting = min(horizon, self.pending + len(inputs))
        self._waiting = deque([self._features] * waiting)
        return forecasts

    def reset_state(self) -> None:
        """Begin another recording: nothing waits, and only the last label is remembered."""
        super().reset_state()
        self._labels_seen = self._labels_seen[-1:]
        self._made = self._begin = self._learnt

    def _keep(self, labels: Float64Array) -> None:
        """Append labels (T, n_out), NaN replaced by the one before."""
        labels = np.concatenate([self._labels_seen, labels])
        known = np.where(np.isnan(labels), 0, np.arange(len(labels))[:, np.newaxis])
        filled = np.take_along_axis(labels, np.maximum.accumulate(known, axis=0), axis=0)
        self._learnt += len(filled) - len(self._labels_seen)
        self._labels_seen = filled

    def _forget(self) -> None:
        self._labels_seen = self._labels_seen[-self._kept :]

    def _repeated(self, made: NDArray[np.intp], learnt: NDArray[np.intp]) -> Float64Array:
        """The label that each forecast repeats, (T, n_out).

        Args: made, number of the forecast (T,); learnt, number of the label after the last one that
        had arrived before it (T,).
        """
        number = self._number(made, learnt)
        return self._labels_seen[number - self._learnt + len(self._labels_seen)]

    def _number(self, made: NDArray[np.intp], learnt: NDArray[np.intp]) -> NDArray[np.intp]:  # noqa: ARG002
        """Number of the label that is repeated, below learnt."""
        return learnt - 1

    def _forecast(self, features: Float64Array) -> Float64Array:  # noqa: ARG002
        last: Float64Array = self._labels_seen[-1]
        return last

    def _update(self, features: Float64Array, label: Float64Array) -> None:
        """Nothing to fit."""


class LastValue(Naive):
    """Forecast the last label that has arrived: persistence. Before any label: 0."""


class Seasonal(Naive):
    """Forecast the label one period (or several, if need be) before the one that is forecast.

    Before a period is over: the last label that has arrived.

    Args:
        period: rows, at least 2.

    The other arguments are those of ``Baseline``.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        period: int,
        lags: int = 1,
        max_delay: int = 0,
        scale_steps: int = 0,
    ) -> None:
        super().__init__(n_in, n_out, lags=lags, max_delay=max_delay, scale_steps=scale_steps)
        if period < 2:
            raise ConfigError(f"period = {period}: expected at least 2 rows")
        self._period = period
        self._kept = period * (1 + (max_delay + period) // period)

    def _number(self, made: NDArray[np.intp], learnt: NDArray[np.intp]) -> NDArray[np.intp]:
        ahead = made - learnt + 1  # labels from the last one to the one that is forecast
        number = made - self._period * -(-ahead // self._period)
        oldest = max(self._learnt - len(self._labels_seen), self._begin)
        return np.where(number >= oldest, number, learnt - 1)


class Nlms(Baseline):
    """Normalised least mean squares on the lag taps: W ← W + μ e φᵀ / (1 + ‖φ‖²).

    Args:
        step: μ, (0, 2). The default is the best of 0.05, 0.1, 0.15, 0.2, 0.3, 0.5 on samples
            301–600 of five recordings of breathing (mean log nRMSE over horizons 1 to 20).

    The other arguments are those of ``Baseline``.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        lags: int = 1,
        max_delay: int = 0,
        scale_steps: int = 300,
        step: float = 0.15,
    ) -> None:
        super().__init__(n_in, n_out, lags=lags, max_delay=max_delay, scale_steps=scale_steps)
        if not 0 < step < 2:
            raise ConfigError(f"step = {step}: expected a value between 0 and 2")
        self._step = step
        self._weights = np.zeros((n_out, self._features.size))

    def run(self, X: ArrayLike, Y: ArrayLike, *, horizon: int) -> Float32Array:
        """As ``Baseline.run``; compiled, some 0.1 µs per row once the scaler is frozen."""
        inputs, labels, horizon = self._checked(X, Y, horizon)
        waiting, rows = len(self._waiting), len(inputs)
        silent = min(max(horizon - waiting, 0), rows)  # no forecast waits for the first labels
        features = np.vstack([*self._waiting, self._taken(inputs)])
        scaled, mean, deviation = self._labels.scale_rows(labels[silent:])
        scaled = np.concatenate([np.full((silent, self.n_out), np.nan), scaled])
        out = np.empty((rows, self.n_out))
        pointers = [
            ffi.from_buffer("double[]", array) for array in (self._weights, features, scaled)
        ]
        sizes = self._features.size, self.n_out, waiting, rows, horizon, self._step
        nlms = ffi.new("nbt_nlms *", (*pointers, *sizes))
        lib.nbt_nlms_run(nlms, ffi.from_buffer("double[]", out))
        kept = min(horizon, waiting + rows)
        self._waiting = deque(features[waiting + rows - kept :].copy())
        learnt = np.maximum(np.arange(rows) - silent + (horizon > 0), 0)
        return (mean[learnt] + deviation[learnt] * out).astype(np.float32)

    def _taken(self, inputs: Float64Array) -> Float64Array:
        """Features (T, width) of the next inputs, as ``predict`` makes them one by one."""
        scaled, *_ = self._inputs.scale_rows(inputs)
        lags = (len(self._features) - 1) // self.n_in
        before = self._features[:-1].reshape(lags, self.n_in)[::-1]  # the oldest first
        samples = np.concatenate([before, scaled])
        known = np.where(np.isnan(samples), 0, np.arange(len(samples))[:, np.newaxis])
        samples = np.take_along_axis(samples, np.maximum.accumulate(known, axis=0), axis=0)
        taps = [samples[lags - lag : len(samples) - lag] for lag in range(lags)]
        features = np.hstack([*taps, np.ones((len(inputs), 1))])
        if len(features):
            self._features = features[-1].copy()
        return features

    def _forecast(self, features: Float64Array) -> Float64Array:
        return self._weights @ features

    def _update(self, features: Float64Array, label: Float64Array) -> None:
        error = label - self._weights @ features
        error[np.isnan(error)] = 0.0
        self._weights += np.outer(self._step / (1.0 + features @ features) * error, features)


class Rls(Baseline):
    """Recursive least squares with forgetting on the lag taps (Haykin, Adaptive Filter Theory).

        k = P φ / (λ + φᵀ P φ)    W ← W + e kᵀ    P ← (P − k (P φ)ᵀ) / λ

    An output without label keeps its weights and its P. The outputs share one P until a row comes
    with some labels only, and from then on each has its own. P does not grow by forgetting beyond
    a trace of 1e6 times the number of features, so that constant inputs have no effect.

    Args:
        forget: λ, (0, 1].
        prior: P starts as prior times the identity, above 0.

    The other arguments are those of ``Baseline``.
    Cost: 3 features² operations per step, for each P.
    """

    _TRACE_LIMIT = 1e6

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        lags: int = 1,
        max_delay: int = 0,
        scale_steps: int = 300,
        forget: float = 0.998,
        prior: float = 1.0,
    ) -> None:
        super().__init__(n_in, n_out, lags=lags, max_delay=max_delay, scale_steps=scale_steps)
        if not 0 < forget <= 1:
            raise ConfigError(f"forget = {forget}: expected a value above 0 and up to 1")
        if not (math.isfinite(prior) and prior > 0):
            raise ConfigError(f"prior = {prior}: expected a finite value above 0")
        self._forget = forget
        self._weights = np.zeros((n_out, self._features.size))
        # (groups, features, features): one group for all outputs, or one for each.
        self._covariance = prior * np.eye(self._features.size)[np.newaxis]

    def _forecast(self, features: Float64Array) -> Float64Array:
        return self._weights @ features

    def _update(self, features: Float64Array, label: Float64Array) -> None:
        known = ~np.isnan(label)
        if not known.any():
            return
        if known.all():
            everything = slice(None)
            self._step(everything, everything, features, label)
            return
        if len(self._covariance) == 1:
            self._covariance = np.repeat(self._covariance, self.n_out, axis=0)
        self._step(known, known, features, label)

    def _step(
        self,
        groups: slice | NDArray[np.bool_],
        outputs: slice | NDArray[np.bool_],
        features: Float64Array,
        label: Float64Array,
    ) -> None:
        """The equations above for some outputs and the groups that they belong to."""
        covariance = self._covariance[groups]
        projected = covariance @ features
        weight = 1 / (self._forget + projected @ features)
        gain = weight[:, np.newaxis] * projected
        error = label[outputs] - self._weights[outputs] @ features
        self._weights[outputs] += error[:, np.newaxis] * gain
        # In this order the product is symmetric to the last bit: what is not would grow by 1 / λ
        # a step, until P is no covariance any more.
        square = projected[:, :, np.newaxis] * projected[:, np.newaxis, :]
        covariance = covariance - weight[:, np.newaxis, np.newaxis] * square
        trace = np.trace(covariance, axis1=1, axis2=2)
        forget = np.where(trace > self._TRACE_LIMIT * features.size, 1.0, self._forget)
        self._covariance[groups] = covariance / forget[:, np.newaxis, np.newaxis]


class _Scaler:
    """Running mean and variance of the first ``steps`` values per channel, then frozen.

    With the n-th value z:  m' = m + (z − m)/n,  s² ← s² + ((z − m)(z − m') − s²)/n; a value is
    scaled after it was counted. s = 1 while s² is 0 to rounding.
    """

    def __init__(self, channels: int, steps: int) -> None:
        self._steps = steps
        self._count = np.zeros(channels)
        self._mean = np.zeros(channels)
        self._variance = np.zeros(channels)
        self._deviation = np.ones(channels)
        self._frozen = steps == 0

    def scale(self, values: Float64Array) -> Float64Array:
        """Count the values and return them scaled, (channels,); NaN is not counted and stays."""
        if not self._frozen:
            self._count_in(values)
        scaled: Float64Array = (values - self._mean) / self._deviation
        return scaled

    def scale_rows(self, values: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Scale (T, channels) row by row.

        Returns: scaled values; mean and deviation (T + 1, channels) before the first row and after
        each. Cost: some µs per row until all channels are frozen, then vectorised.
        """
        scaled = np.empty_like(values)
        units = np.empty((2, len(values) + 1, len(self._mean)))
        units[:, 0] = self._mean, self._deviation
        row = 0
        while row < len(values) and not self._frozen:
            scaled[row] = self.scale(values[row])
            row += 1
            units[:, row] = self._mean, self._deviation
        scaled[row:] = (values[row:] - self._mean) / self._deviation
        units[:, row + 1 :] = np.array([self._mean, self._deviation])[:, np.newaxis]
        return scaled, units[0], units[1]

    def unscale(self, scaled: Float64Array) -> Float64Array:
        """Back to the units of the values."""
        return self._mean + self._deviation * scaled

    def _count_in(self, values: Float64Array) -> None:
        counted = ~np.isnan(values) & (self._count < self._steps)
        self._count += counted
        rate = np.where(counted, 1.0 / np.maximum(self._count, 1.0), 0.0)
        before = np.where(counted, values - self._mean, 0.0)
        self._mean = self._mean + rate * before
        after = np.where(counted, values - self._mean, 0.0)
        self._variance = self._variance + rate * (before * after - self._variance)
        varies = self._variance > 1e-12 * self._mean**2 + 1e-30
        self._deviation = np.sqrt(np.where(varies, self._variance, 1.0))
        self._frozen = bool((self._count >= self._steps).all())


def _sample(name: str, value: ArrayLike, size: int) -> Float64Array:
    sample = one_row(name, float64(name, value), size)
    if np.isinf(sample).any():
        raise InputError(f"{name} holds an infinite value: expected finite numbers or NaN")
    return sample
