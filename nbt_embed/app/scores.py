"""Incremental scores of one model, for real values and for classes."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from nbt_embed.arrays import Float32Array, Float64Array
from nbt_embed.metrics import RegressionScore


class Score(Protocol):
    """A score of one model's forecasts."""

    def update(self, forecasts: Float32Array, truths: Float32Array) -> None:
        """Score (T, n_out) forecasts against (T, n_label) truths, NaN where not scored."""
        ...

    @property
    def figures(self) -> list[dict[str, float]]:
        """Return the figures of each target, by their names in the document."""
        ...

    @property
    def losses(self) -> Float64Array:
        """Return the sum of the losses so far of each target: squared errors, or bits."""
        ...

    @property
    def counts(self) -> Float64Array:
        """Return the number of scored truths of each target."""
        ...


class RealScore:
    """RMSE, MAE and nRMSE of each target (``metrics.RegressionScore``)."""

    def __init__(self, n_out: int) -> None:
        self._score = RegressionScore(n_out)

    def update(self, forecasts: Float32Array, truths: Float32Array) -> None:
        """As ``Score.update``."""
        self._score.update(forecasts, truths)

    @property
    def figures(self) -> list[dict[str, float]]:
        """Return RMSE and MAE in the target's unit, and nRMSE."""
        score = self._score
        rows = zip(score.rmse_per_target, score.mae_per_target, score.nrmse_per_target, strict=True)
        return [{"rmse": rmse, "mae": mae, "nrmse": nrmse} for rmse, mae, nrmse in rows]

    @property
    def losses(self) -> Float64Array:
        """Σ e² of each target."""
        counts = self.counts
        squares = np.square(np.array(self._score.rmse_per_target)) * counts
        return np.where(counts > 0, squares, 0.0)

    @property
    def counts(self) -> Float64Array:
        """As ``Score.counts``."""
        return np.array(self._score.rows_per_target, np.float64)


class ClassScore:
    """Bits and accuracy of class probabilities.

    Args: n_label, 1 for the categorical link, whose forecasts are probabilities of the classes;
    with the bernoulli link the number of outputs, whose forecasts are probabilities of a 1.
    """

    def __init__(self, n_label: int, categorical: bool) -> None:
        self._categorical = categorical
        self._bits, self._right, self._count = np.zeros((3, n_label))

    def update(self, forecasts: Float32Array, truths: Float32Array) -> None:
        """As ``Score.update``."""
        known = ~np.isnan(truths)
        named = np.where(known, truths, 0).astype(np.intp)
        forecasts = forecasts.astype(np.float64)
        if self._categorical:
            chance = np.take_along_axis(forecasts, named, axis=1)
            best = forecasts.argmax(axis=1)[:, np.newaxis]
        else:
            chance = np.where(named == 1, forecasts, 1 - forecasts)
            best = (forecasts > 0.5).astype(np.intp)
        with np.errstate(divide="ignore"):  # a label of probability 0 has infinitely many bits
            self._bits += np.where(known, -np.log2(chance), 0.0).sum(axis=0)
        self._right += (known & (best == named)).sum(axis=0)
        self._count += known.sum(axis=0)

    @property
    def figures(self) -> list[dict[str, float]]:
        """Return mean bits per label, and the share of labels whose class was the most probable."""
        figures = zip(self._bits, self._right, self._count, strict=True)
        return [
            {
                "bits": float(bits / count) if count else math.nan,
                "accuracy": float(right / count) if count else math.nan,
            }
            for bits, right, count in figures
        ]

    @property
    def losses(self) -> Float64Array:
        """Bits of each target."""
        return self._bits.copy()

    @property
    def counts(self) -> Float64Array:
        """As ``Score.counts``."""
        return self._count.copy()


class IntervalScore:
    """Coverage and mean width of intervals, for each target and level.

    Args: n_out, levels: those of the learner.
    """

    def __init__(self, n_out: int, levels: tuple[float, ...]) -> None:
        self.levels = levels
        self._inside, self._width = np.zeros((2, n_out, len(levels)))
        self._count = np.zeros(n_out)

    def update(self, bounds: Float32Array, truths: Float32Array) -> None:
        """Count bounds (T, n_out, 2 levels) and truths (T, n_out), NaN where not scored."""
        low, high = bounds[..., 0::2], bounds[..., 1::2]
        known = ~np.isnan(truths) & ~np.isnan(bounds).any(axis=2)
        y = truths[..., np.newaxis]
        here = known[..., np.newaxis]
        self._inside += (here & (low <= y) & (y <= high)).sum(axis=0)
        self._width += np.where(here, high.astype(np.float64) - low, 0.0).sum(axis=0)
        self._count += known.sum(axis=0)

    @property
    def figures(self) -> list[list[dict[str, float]]]:
        """Return level, coverage and mean width in the target's unit, for each target and level."""
        share = np.where(self._count > 0, self._count, math.nan)[:, np.newaxis]
        coverage, width = self._inside / share, self._width / share
        return [
            [
                {"level": level, "coverage": float(inside), "width": float(wide)}
                for level, inside, wide in zip(self.levels, *rows, strict=True)
            ]
            for rows in zip(coverage, width, strict=True)
        ]
