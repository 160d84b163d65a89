"""Learners as scikit-learn estimators (extra [sklearn]): docs/guide/peers.md.

Rows are samples in the order of time. ``fit`` learns them from scratch, one after the other,
``partial_fit`` continues, and ``predict`` continues from the last learnt row without changing the
estimator. So a forecast depends on the rows before it in the same call; split with
``TimeSeriesSplit``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed._extras import needs
from nbt_embed._peers import config_of
from nbt_embed.arrays import Float64Array, float32, float64
from nbt_embed.learner import Learner

with needs("nbt_embed.sklearn"):
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import Tags, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["STATEFUL_CHECKS", "NbtClassifier", "NbtRegressor"]

# Checks of scikit-learn that an estimator of rows in time cannot pass: `expected_failed_checks` of
# its check_estimator.
STATEFUL_CHECKS = {
    "check_methods_sample_order_invariance": "a forecast depends on the rows before it",
    "check_methods_subset_invariance": "a forecast depends on the rows before it",
}


class _Rows(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no type hints
    """Parameters, and rows fed to a learner."""

    def __init__(
        self,
        hidden: int,
        head: int | None,
        lags: int | None,
        seed: int,
        settings: dict[str, Any] | None,
    ) -> None:
        self.hidden = hidden
        self.head = head
        self.lags = lags
        self.seed = seed
        self.settings = settings

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _inputs(self, X: Any, **more: Any) -> Any:
        """What scikit-learn makes of X, and of y if there is one. Errors: ValueError, TypeError."""
        if isinstance(X, np.ma.MaskedArray):  # scikit-learn would take what is behind the mask
            X = float64("X", X)
        if isinstance(more.get("y"), np.ma.MaskedArray) and np.ma.is_masked(more["y"]):
            raise ValueError("y has masked values: leave their rows out, every row needs a label")
        return validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", **more)

    def _feed(self, learner: Learner, inputs: Float64Array, labels: Any) -> None:
        """Learn rows, all of them or (an error) none."""
        learner.run(float32("X", inputs), labels, horizon=0)
        self.learner_ = learner

    def _forecasts(self, X: Any) -> Float64Array:
        """(T, n_out) for the rows after the learnt ones. Changes nothing."""
        check_is_fitted(self)
        inputs = self._inputs(X, reset=False)
        learner = copy.copy(self.learner_)
        labels = np.full((len(inputs), learner.config.n_label), np.nan, np.float32)
        return learner.run(float32("X", inputs), labels, horizon=0).astype(np.float64)


class NbtRegressor(RegressorMixin, _Rows):  # type: ignore[misc]
    """Regression on rows in the order of time, with a recurrent network that learns online.

    The target belongs to the features of its row. NaN in features is missing: the last value is
    repeated.

    Args:
        hidden: Recurrent units, which keep information of earlier rows.
        head: Units of a learnt layer, for interactions of features.
        lags: Newest rows of every feature that are used in one step.
        seed: Of the initial weights.
        settings: Other fields of ``nbt_embed.Config`` by name.

    Attributes:
        n_features_in_: int
        feature_names_in_: ndarray of str, where X has names
        learner_: nbt_embed.Learner, after the last row

    Examples:
        >>> import numpy as np
        >>> from nbt_embed.sklearn import NbtRegressor
        >>> x = np.random.default_rng(0).normal(size=(2000, 2))
        >>> y = 3 * x[:, 0] - 2 * np.abs(x[:, 1])
        >>> bool(NbtRegressor().fit(x[:1500], y[:1500]).score(x[1500:], y[1500:]) > 0.9)
        True
    """

    def __init__(
        self,
        hidden: int = 16,
        head: int | None = 32,
        lags: int | None = 1,
        seed: int = 0,
        settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(hidden, head, lags, seed, settings)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the rows from scratch, one after the other.

        Args:
            X: array-like or frame of shape (T, n_features)
            y: array-like of shape (T,) or (T, n_outputs)
        """
        return self._learn(X, y, fresh=True)

    def partial_fit(self, X: Any, y: Any) -> Self:
        """Learn further rows. An error leaves the estimator unchanged."""
        return self._learn(X, y, fresh=not hasattr(self, "learner_"))

    def predict(self, X: Any) -> Float64Array:
        """Forecasts (T,) or (T, n_outputs) for the rows after the learnt ones."""
        forecasts = self._forecasts(X)
        return forecasts[:, 0] if self._flat else forecasts

    def _learn(self, X: Any, y: Any, fresh: bool) -> Self:
        inputs, labels = self._inputs(X, y=y, reset=fresh, multi_output=True, y_numeric=True)
        width = 1 if labels.ndim == 1 else labels.shape[1]
        if fresh:
            config = config_of(self, inputs.shape[1], width, "gaussian", anchor=(None,) * width)
            learner = Learner(config)
        else:
            learner = copy.copy(self.learner_)
        if width != learner.config.n_out:
            raise ValueError(
                f"y has {width} outputs: partial_fit needs {learner.config.n_out}, as before; "
                "call fit to start again"
            )
        self._feed(learner, inputs, labels)
        self._flat = labels.ndim == 1
        return self


class NbtClassifier(ClassifierMixin, _Rows):  # type: ignore[misc]
    """Classification of rows in the order of time, with a recurrent network that learns online.

    The label belongs to the features of its row. NaN in features is missing: the last value is
    repeated.

    Args:
        hidden: Recurrent units, which keep information of earlier rows.
        head: Units of a learnt layer, for interactions of features.
        lags: Newest rows of every feature that are used in one step.
        seed: Of the initial weights.
        settings: Other fields of ``nbt_embed.Config`` by name.

    Attributes:
        classes_: ndarray, sorted
        n_features_in_: int
        feature_names_in_: ndarray of str, where X has names
        learner_: nbt_embed.Learner, after the last row

    Examples:
        >>> import numpy as np
        >>> from nbt_embed.sklearn import NbtClassifier
        >>> x = np.random.default_rng(0).normal(size=(2000, 2))
        >>> y = np.where(np.hypot(x[:, 0], x[:, 1]) < 1, "inside", "outside")
        >>> bool(NbtClassifier().fit(x[:1500], y[:1500]).score(x[1500:], y[1500:]) > 0.9)
        True
    """

    def __init__(
        self,
        hidden: int = 4,
        head: int | None = 32,
        lags: int | None = 1,
        seed: int = 0,
        settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(hidden, head, lags, seed, settings)

    classes_: NDArray[Any]

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the rows from scratch, one after the other.

        Args:
            X: array-like or frame of shape (T, n_features)
            y: array-like of shape (T,)
        """
        return self._learn(X, y, None, fresh=True)

    def partial_fit(self, X: Any, y: Any, classes: Sequence[Any] | None = None) -> Self:
        """Learn further rows. An error leaves the estimator unchanged.

        Args:
            X: array-like or frame of shape (T, n_features)
            y: array-like of shape (T,)
            classes: all classes, in the first call; None: those of its y.
        """
        return self._learn(X, y, classes, fresh=not hasattr(self, "learner_"))

    def predict_proba(self, X: Any) -> Float64Array:
        """Probabilities (T, n_classes) for the rows after the learnt ones."""
        found: Float64Array = self._forecasts(X)[:, : len(self.classes_)]
        found /= found.sum(axis=1, keepdims=True)
        return found

    def predict(self, X: Any) -> Any:
        """Labels (T,) for the rows after the learnt ones."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _learn(self, X: Any, y: Any, classes: Sequence[Any] | None, fresh: bool) -> Self:
        inputs, labels = self._inputs(X, y=y, reset=fresh)
        labels = column_or_1d(labels, warn=True)
        check_classification_targets(labels)
        if not fresh:
            known = self.classes_
            if classes is not None and not np.array_equal(np.unique(classes), known):
                raise ValueError(
                    f"classes = {classes!r}: the first call of partial_fit had "
                    f"{known.tolist()!r}; leave classes out, or call fit to start again"
                )
        else:
            known = np.unique(labels if classes is None else classes)
        unknown = np.setdiff1d(labels, known)
        if len(unknown):
            raise ValueError(
                f"y holds {unknown[0]!r}, which is not one of the classes {known.tolist()!r}: give "
                "all classes to the first call of partial_fit"
            )
        if fresh:
            learner = Learner(config_of(self, inputs.shape[1], max(len(known), 2), "categorical"))
        else:
            learner = copy.copy(self.learner_)
        self._feed(learner, inputs, np.searchsorted(known, labels))
        self.classes_ = known
        return self
