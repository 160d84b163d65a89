"""A learner as a sktime forecaster (extra [sktime]): docs/guide/peers.md."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nbt_embed._extras import needs
from nbt_embed._peers import Reach, config_of
from nbt_embed.arrays import float32
from nbt_embed.learner import Learner

with needs("nbt_embed.sktime", pandas="sktime"):
    import pandas as pd
    from sktime.forecasting.base import BaseForecaster

if TYPE_CHECKING:
    from typing_extensions import Self


class NbtForecaster(BaseForecaster):  # type: ignore[misc]  # sktime has no type hints
    """Forecasts of a time series with a small recurrent network that learns online.

    ``fit`` learns the series from its first value to its last, ``update`` continues. Later steps of
    a forecast use the earlier ones as values. A missing value repeats the last one. sktime keeps
    the series too; ``set_config(remember_data=False)`` prevents this.

    Args:
        hidden: Recurrent units.
        head: Units of a learnt layer; None means as many as hidden.
        lags: Newest values that are used in one step.
        seed: Of the initial weights.
        settings: Other fields of ``nbt_embed.Config`` by name.

    Examples:
        >>> from nbt_embed.sktime import NbtForecaster
        >>> from sktime.datasets import load_airline
        >>> forecasts = NbtForecaster().fit(load_airline()).predict(fh=[1, 2, 12])
        >>> len(forecasts)
        3
    """

    _tags = {  # noqa: RUF012  # sktime's own form
        "scitype:y": "univariate",
        "y_inner_mtype": "pd.Series",
        "requires-fh-in-fit": False,
        "capability:exogenous": False,
        "capability:missing_values": True,
        "capability:insample": False,
        "capability:update": True,
    }

    # sktime warns at every construction where its default decides whether it keeps the series. So
    # its default is not asked for: a forecaster is told when it is made, as sktime recommends.
    _config = {"remember_data": False}  # noqa: RUF012

    def __init__(
        self,
        hidden: int = 16,
        head: int | None = None,
        lags: int | None = 12,
        seed: int = 0,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.hidden, self.head, self.lags, self.seed = hidden, head, lags, seed
        self.settings = settings
        super().__init__()
        self._y = self._X = None
        self.set_config(remember_data=True)

    def _fit(self, y: Any, X: Any = None, fh: Any = None) -> Self:  # noqa: ARG002  # sktime's
        self._learner = Learner(config_of(self, 1, 1, "gaussian", usual=False, anchor=(0,)))
        self._reach, self._last = Reach(), None
        return self._update(y)

    def _update(self, y: Any, X: Any = None, update_params: bool = True) -> Self:  # noqa: ARG002
        """Learn new values, or without update_params only advance the state.

        An error leaves the forecaster unchanged.
        """
        # Windows overlap in evaluate(strategy="update"). NumPy's arrays do not say which rows these
        # are, so they are new.
        if self._last is not None and self._y_mtype_last_seen not in ("np.ndarray", "numpy1D"):
            y = y[y.index > self._last]
            if y.empty:
                return self
        values, learner = float32("y", y.to_numpy(np.float64)), copy.copy(self._learner)
        labels = values if update_params else np.full_like(values, np.nan)
        self._next = float(learner.run(values, labels, horizon=1)[-1, 0])
        self._learner, self._name, self._last = learner, y.name, y.index[-1]
        self._reach.see(float(y.min()), float(y.max()))
        return self

    def _predict(self, fh: Any, X: Any = None) -> Any:  # noqa: ARG002
        steps = fh.to_relative(self.cutoff).to_numpy().astype(int)
        learner, values = copy.copy(self._learner), [self._reach.bounded(self._next)]
        while len(values) < steps.max():
            learner.learn(math.nan)
            values.append(self._reach.bounded(float(learner.predict(values[-1])[0])))
        index = fh.to_absolute_index(self.cutoff)
        return pd.Series([values[step - 1] for step in steps], index=index, name=self._name)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:  # noqa: ARG003
        """Parameters for sktime's own checks."""
        return [{}, {"hidden": 2, "head": 4}]
