"""Baselines for classes: the most frequent class and the last class.

They have ``run`` and ``reset_state`` as a ``Learner`` with the categorical link: labels are class
numbers, forecasts are probabilities (T, K). All are vectorised and count in float64.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed.arrays import Float32Array, Float64Array


class Majority:
    """Probabilities by the frequency of each class: (count + 1) / (labels + K) (Laplace).

    Args: classes, K, at least 2.
    """

    def __init__(self, classes: int) -> None:
        self._counts = np.ones(classes)

    def run(self, X: ArrayLike, Y: ArrayLike, *, horizon: int) -> Float32Array:  # noqa: ARG002
        """As ``Learner.run``; only the number of rows of X matters."""
        labels = np.asarray(Y, np.float64)[:, 0]
        came = np.cumsum(one_hot(labels, len(self._counts)), axis=0)
        known = came if horizon else np.concatenate([np.zeros((1, came.shape[1])), came[:-1]])
        counts = self._counts + known
        self._counts = self._counts + came[-1]
        shares: Float32Array = (counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares

    def reset_state(self) -> None:
        """Start another recording; the counts stay."""


class LastClass:
    """The last class, with its past accuracy as probability; the other classes share the rest.

        p = (s + 1) / (n + 2)    n forecasts with a label, s of them correct

    Args: classes, K, at least 2.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._last = 0
        self._right = self._labels = 0
        self._waiting: deque[int] = deque()

    def run(self, X: ArrayLike, Y: ArrayLike, *, horizon: int) -> Float32Array:  # noqa: ARG002
        """As ``Learner.run``; only the number of rows of X matters."""
        labels = np.asarray(Y, np.float64)[:, 0]
        last = np.empty(len(labels), np.intp)
        chance = np.empty(len(labels))
        for row, label in enumerate(labels.tolist()):
            if horizon:
                self._learn(label, judged=len(self._waiting) == horizon)
            last[row], chance[row] = self._last, (self._right + 1) / (self._labels + 2)
            self._waiting.append(self._last)
            if not horizon:
                self._learn(label, judged=True)
        others = (1 - chance) / (self._classes - 1)
        forecasts = np.repeat(others[:, np.newaxis], self._classes, axis=1)
        forecasts[np.arange(len(last)), last] = chance
        return forecasts.astype(np.float32)

    def reset_state(self) -> None:
        """Start another recording."""
        self._waiting.clear()

    def _learn(self, label: float, judged: bool) -> None:
        """Learn a label; judged, whether a forecast waits for it."""
        forecast = self._waiting.popleft() if judged else None
        if label == label:
            if forecast is not None:
                self._labels += 1
                self._right += forecast == int(label)
            self._last = int(label)


class EachOutput:
    """One such baseline of two classes per output: probabilities of a 1, (T, n_out).

    Args: models, one per output.
    """

    def __init__(self, models: Sequence[Majority | LastClass]) -> None:
        self._models = models

    def run(self, X: ArrayLike, Y: ArrayLike, *, horizon: int) -> Float32Array:
        """As ``Learner.run`` with the bernoulli link."""
        labels = np.asarray(Y)
        return np.hstack(
            [
                model.run(X, labels[:, output : output + 1], horizon=horizon)[:, 1:]
                for output, model in enumerate(self._models)
            ]
        )

    def reset_state(self) -> None:
        """Start another recording."""
        for model in self._models:
            model.reset_state()


def most_probable(forecasts: Float32Array) -> Float32Array:
    """Return the class numbers (T, 1) of highest probability (T, K), NaN without any."""
    best: Float32Array = forecasts.argmax(axis=1, keepdims=True).astype(np.float32)
    best[np.isnan(forecasts).any(axis=1)] = np.nan
    return best


def one_hot(labels: Float64Array, classes: int) -> Float64Array:
    """Convert class numbers (T,) or NaN to (T, K) of 0 and 1."""
    found: NDArray[np.bool_] = labels[:, np.newaxis] == np.arange(classes)
    return found.astype(np.float64)
