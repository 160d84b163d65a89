"""Learners as river estimators (extra [river]): docs/guide/peers.md.

A call of ``learn_one`` is one step of a ``Learner``: the state takes the features in and forecasts,
then the label is learnt. ``predict_one`` returns the forecast for these features as the next row,
and changes nothing. So ``predict_one`` before ``learn_one`` is the forecast of that step; with late
labels it continues from the last row whose label has arrived.

An estimator has the bytes that its features and classes need, and grows with new ones up to
``max_features`` and ``max_classes``.
"""

from __future__ import annotations

import copy
import math
import warnings
from abc import abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nbt_embed._extras import needs
from nbt_embed._features import Features, is_missing, number
from nbt_embed._kernel_config import memory_of
from nbt_embed._peers import Reach, config_of
from nbt_embed._widen import widened
from nbt_embed.arrays import Float32Array, integer
from nbt_embed.config import Config
from nbt_embed.errors import CapacityWarning, ConfigError, InputError, InputTypeError, shown
from nbt_embed.learner import Learner

with needs("nbt_embed.river"):
    from river import base
    from river.time_series.base import Forecaster

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NbtClassifier", "NbtForecaster", "NbtRegressor"]

_LABEL = "a number, or None where it is not known"
Row = Mapping[Any, Any]


class _Streaming(base.Estimator):
    """Features, and a learner with an input for each."""

    def __init__(
        self,
        hidden: int,
        head: int | None,
        lags: int | None,
        seed: int,
        max_features: int,
        settings: dict[str, Any] | None,
    ) -> None:
        self.hidden = hidden
        self.head = head
        self.lags = lags
        self.seed = seed
        self.max_features = max_features
        self.settings = settings
        self._begin()

    def _begin(self) -> None:
        """Check the parameters, also of the largest learner, and start with nothing learnt."""
        limit = _count("max_features", self.max_features)
        memory_of(self._config(limit, self._most_outputs()))
        self._features = Features(limit)
        self._learner: Learner | None = None

    def _most_outputs(self) -> int:
        return 1

    def _config(self, n_in: int, n_out: int) -> Config:
        return config_of(self, n_in, n_out, "gaussian", anchor=(None,) * n_out)

    def _ready(self, n_in: int, n_out: int) -> Learner:
        """The learner, after it has been given the size that is needed now."""
        learner, n_in = self._learner, max(n_in, 1)
        if learner is None:
            learner = Learner(self._config(n_in, n_out))
        elif (n_in, n_out) != (learner.config.n_in, learner.config.n_out):
            learner = widened(learner, n_in, n_out)
        self._learner = learner
        return learner

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        yield {}
        yield {"hidden": 2, "head": 4, "lags": 2}


class _Labelled(_Streaming):
    """Rows with labels of their own."""

    @abstractmethod
    def learn_one(self, x: Row, y: Any) -> None:
        """One step."""

    def learn_many(self, X: pd.DataFrame, y: pd.Series) -> None:
        """``learn_one`` of every row, in their order."""
        for row, label in _pairs(X, y):
            self.learn_one(row, label)


class NbtRegressor(_Labelled, base.MiniBatchRegressor):
    """Regression with a small recurrent network that learns online.

    A row is a dict of features: numbers, strings (each value is an input), True and False; None and
    NaN are missing. The target belongs to the features of its row. A target that is None or NaN
    advances the state and is not learnt.

    Args:
        hidden: Recurrent units, which keep information of earlier rows.
        head: Units of a learnt layer, for interactions of features.
        lags: Newest rows of every feature that are used in one step.
        seed: Of the initial weights.
        max_features: Input channels at most: numbers, and values of strings. Later ones are
            ignored.
        settings: Other fields of ``nbt_embed.Config`` by name.

    Examples:
        >>> from river import datasets, evaluate, metrics
        >>> from nbt_embed.river import NbtRegressor
        >>> score = evaluate.progressive_val_score(
        ...     datasets.TrumpApproval(), NbtRegressor(), metrics.MAE()
        ... )
        >>> score.get() < 0.25
        True
    """

    def __init__(
        self,
        hidden: int = 16,
        head: int | None = 32,
        lags: int | None = 1,
        seed: int = 0,
        max_features: int = 128,
        settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(hidden, head, lags, seed, max_features, settings)

    def learn_one(self, x: Row, y: Any) -> None:
        """One step: the state takes the features in, then the target is learnt.

        Errors: InputError, InputTypeError (they name the feature; nothing has changed).
        """
        label = number("y", y, _LABEL)
        row = self._features.learn(x)
        _step(self._ready(len(self._features), 1), _inputs(row), label)

    def predict_one(self, x: Row) -> float:
        """The forecast for these features as the next row, 0 before the first. Changes nothing."""
        row = self._features.row(x)
        if self._learner is None:
            return 0.0
        return float(self._learner.peek(_fitted(row, self._learner))[0])

    def predict_many(self, X: pd.DataFrame) -> pd.Series:
        """``predict_one`` of every row, each as the next row."""
        import pandas as pd

        forecasts = [self.predict_one(row) for row in _records(X)]
        return pd.Series(forecasts, index=X.index, dtype="float64")


class NbtClassifier(_Labelled, base.MiniBatchClassifier):
    """Classification with a small recurrent network that learns online.

    Rows and parameters are those of ``NbtRegressor``. A class is any value that can be the key of a
    dict; a new class adds an output. A label that is None or NaN advances the state and is not
    learnt.

    Args:
        hidden: Recurrent units, which keep information of earlier rows.
        head: Units of a learnt layer, for interactions of features.
        lags: Newest rows of every feature that are used in one step.
        seed: Of the initial weights.
        max_features: Input channels at most: numbers, and values of strings. Later ones are
            ignored.
        max_classes: Classes at most. Later ones are not learnt, and have no probability.
        settings: Other fields of ``nbt_embed.Config`` by name.

    Examples:
        >>> from river import datasets, evaluate, metrics
        >>> from nbt_embed.river import NbtClassifier
        >>> score = evaluate.progressive_val_score(
        ...     datasets.Phishing(), NbtClassifier(), metrics.Accuracy()
        ... )
        >>> score.get() >= 0.9
        True
    """

    def __init__(
        self,
        hidden: int = 4,
        head: int | None = 32,
        lags: int | None = 1,
        seed: int = 0,
        max_features: int = 128,
        max_classes: int = 128,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.max_classes = max_classes
        super().__init__(hidden, head, lags, seed, max_features, settings)

    def _begin(self) -> None:
        super()._begin()
        self._classes: dict[Hashable, int] = {}
        self._full = False

    def _most_outputs(self) -> int:
        return max(_count("max_classes", self.max_classes), 2)

    def _config(self, n_in: int, n_out: int) -> Config:
        return config_of(self, n_in, n_out, "categorical")

    @property
    def _multiclass(self) -> bool:
        return True

    def learn_one(self, x: Row, y: Any) -> None:
        """One step: the state takes the features in, then the label is learnt.

        Errors: InputError, InputTypeError (they name the feature; nothing has changed).
        """
        missing = is_missing(y)
        if not missing:
            self._check_class(y)
        row = self._features.learn(x)
        index = math.nan if missing else self._index(y)
        learner = self._ready(len(self._features), max(len(self._classes), 2))
        _step(learner, _inputs(row), index)

    def _check_class(self, label: Any) -> None:
        """Say, before anything has changed, what cannot be learnt. Errors: InputTypeError."""
        try:
            new = label not in self._classes
        except TypeError:
            raise InputTypeError(
                f"y is {shown(label)}: expected a label that can be the key of a dict, or None"
            ) from None
        if new and len(self._classes) >= self.max_classes and not self._full:
            self._full = True
            warnings.warn(
                f"label {shown(label)} is ignored, and so are all later new ones: all "
                f"max_classes = {self.max_classes} places are taken; raise it",
                CapacityWarning,
                stacklevel=3,
            )

    def _index(self, label: Hashable) -> float:
        """The output of a class, after it has got one if there is room; else NaN."""
        if label not in self._classes and len(self._classes) < self.max_classes:
            self._classes[label] = len(self._classes)
        return self._classes.get(label, math.nan)

    def predict_proba_one(self, x: Row, **_: Any) -> dict[Any, float]:
        """Probability of every class so far, for these features as the next row."""
        row = self._features.row(x)
        if self._learner is None or not self._classes:
            return {}
        forecast = self._learner.peek(_fitted(row, self._learner))
        found = forecast[: len(self._classes)].astype(np.float64)
        total = found.sum()
        found = found / total if total > 0 else np.full(len(found), 1 / len(found))
        # A class has no output yet where the call that brought it was interrupted.
        return dict(zip(self._classes, found.tolist(), strict=False))

    def predict_proba_many(self, X: pd.DataFrame) -> pd.DataFrame:
        """``predict_proba_one`` of every row, each as the next row."""
        import pandas as pd

        rows = [list(self.predict_proba_one(row).values()) for row in _records(X)]
        classes = pd.Index(list(self._classes), dtype=object if not self._classes else None)
        return pd.DataFrame(rows, index=X.index, columns=classes, dtype="float64")


class NbtForecaster(_Streaming, Forecaster):
    """Forecasts of the next values of a time series.

    The inputs are the last value and the features, if any, of the row that is forecast. Forecasts
    are differences from the last value, mixed with those of a linear model of the last ten values.
    Later steps use the earlier forecasts as values.

    Args:
        hidden: Recurrent units.
        head: Units of a learnt layer; None means as many as hidden.
        lags: Newest values that are used in one step.
        seed: Of the initial weights.
        max_features: Input channels at most, of the features.
        settings: Other fields of ``nbt_embed.Config`` by name.

    Examples:
        >>> import math
        >>> from nbt_embed.river import NbtForecaster
        >>> model = NbtForecaster()
        >>> for t in range(1000):
        ...     model.learn_one(20 + math.sin(t / 5))
        >>> [round(value, 1) for value in model.forecast(horizon=3)]
        [19.1, 19.2, 19.4]
    """

    def __init__(
        self,
        hidden: int = 16,
        head: int | None = None,
        lags: int | None = 12,
        seed: int = 0,
        max_features: int = 128,
        settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(hidden, head, lags, seed, max_features, settings)

    def _begin(self) -> None:
        super()._begin()
        self._last = math.nan  # value
        self._reach = Reach()

    def _config(self, n_in: int, n_out: int) -> Config:
        return config_of(self, n_in, n_out, "gaussian", usual=False, anchor=(0,))

    def learn_one(self, y: Any, x: Row | None = None) -> None:
        """One step: forecast this value from the one before and its own features, then learn it.

        A value that is None or NaN is missing: the last one is repeated.
        Errors: InputError, InputTypeError (they name the feature; nothing has changed).
        """
        label = number("y", y, _LABEL)
        row = self._features.learn({} if x is None else x)
        if self._learner is not None or not math.isnan(self._last):
            learner = self._ready(1 + len(self._features), 1)
            _step(learner, np.append(np.float32(self._last), row), label)
        self._reach.see(label, label)
        if not math.isnan(label) or self._learner is not None:
            self._last = label

    def forecast(self, horizon: int, xs: Iterable[Row] | None = None) -> list[float]:
        """The next values, limited to the range of past values plus their span. Changes nothing.

        Before the second value, the first is repeated; before the first, 0.

        Args:
            horizon: How many.
            xs: The features of each of them; None: missing.
        """
        horizon = _count("horizon", horizon, 0)
        asked = [{}] * horizon if xs is None else list(xs)
        if len(asked) != horizon:
            raise InputError(
                f"xs has {len(asked)} rows: expected horizon = {horizon}, one for each forecast"
            )
        rows = [self._features.row(x) for x in asked]
        if self._learner is None:
            return [0.0 if math.isnan(self._last) else self._last] * horizon
        learner = copy.copy(self._learner)
        value = self._last
        forecasts = []
        for row in rows:
            inputs = _fitted(np.append(np.float32(value), row), learner)
            value = self._reach.bounded(float(_step(learner, inputs, math.nan)[0]))
            forecasts.append(value)
        return forecasts


def _step(learner: Learner, inputs: Float32Array, label: float) -> Float32Array:
    """Forecast, learn the label, and return the forecast."""
    if learner.pending:  # an interrupt, or a warning that is an error, has come between the two
        learner.learn(math.nan)
    forecast = learner.predict(inputs)
    learner.learn(label)
    return forecast


def _inputs(row: Float32Array) -> Float32Array:
    """Inputs of a learner: one channel before the first feature."""
    return row if len(row) else np.zeros(1, np.float32)


def _fitted(row: Float32Array, learner: Learner) -> Float32Array:
    """The row as wide as the learner: longer where there is no feature yet.

    It is shorter where the call that brought a feature was interrupted.
    """
    inputs = np.zeros(learner.config.n_in, np.float32)
    row = row[: len(inputs)]
    inputs[: len(row)] = row
    return inputs


def _count(name: str, value: Any, least: int = 1) -> int:
    """An integer from `least` on. Errors: ConfigError, InputTypeError."""
    count = integer(name, value)
    if count < least:
        raise ConfigError(f"{name} = {shown(value)}: expected an integer from {least} on")
    return count


def _records(X: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """The rows of a frame. Errors: InputTypeError."""
    if not hasattr(X, "to_dict") or not hasattr(X, "index"):
        raise InputTypeError(f"X is {type(X).__name__}: expected a pandas.DataFrame")
    rows: list[dict[Hashable, Any]] = X.to_dict(orient="records")
    return rows


def _pairs(X: pd.DataFrame, y: pd.Series) -> Iterator[tuple[dict[Hashable, Any], Any]]:
    """The rows of a frame with their labels. Errors: InputError, InputTypeError."""
    rows, labels = _records(X), list(y)
    if len(rows) != len(labels):
        raise InputError(f"y has {len(labels)} values and X {len(rows)} rows: pass one each")
    return zip(rows, labels, strict=True)
