"""What is compared: the learner without settings, and river's own in the pipelines they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Number
from typing import Any

from river import (
    compose,
    dummy,
    forest,
    linear_model,
    naive_bayes,
    neighbors,
    preprocessing,
    stats,
    time_series,
    tree,
)

from nbt_embed.river import NbtClassifier, NbtForecaster, NbtRegressor
from tools.peers.streams import Stream

SEEDS = 3  # where there is chance; the median counts


@dataclass(frozen=True)
class Model:
    """One column of a table. ``make`` takes a stream and a seed."""

    name: str
    make: Callable[[Stream, int], Any]
    seeds: int = 1


def _scaled(model: Any) -> Any:
    """Numbers standardised and strings one-hot: for models on vectors, and leaves that are one."""
    numbers = compose.SelectType(Number) | preprocessing.StandardScaler()
    return numbers + (compose.SelectType(str) | preprocessing.OneHotEncoder()) | model


def _linear(stream: Stream, _seed: int) -> Any:
    """For numbers the target is standardised too, whose unit the step size would depend on."""
    model: Any
    if stream.task == "numbers":
        model = preprocessing.TargetStandardScaler(regressor=linear_model.LinearRegression())
    elif len({label for _, label in stream}) == 2:
        model = linear_model.LogisticRegression()
    else:
        model = linear_model.SoftmaxRegression()
    return _scaled(model)


def _snarimax(stream: Stream, _seed: int) -> Any:
    """One season's lags and differences, on a regression of standardised values."""
    return time_series.SNARIMAX(
        p=stream.period,
        d=1,
        q=0,
        m=stream.period,
        sd=1,
        regressor=preprocessing.StandardScaler()
        | preprocessing.TargetStandardScaler(regressor=linear_model.LinearRegression()),
    )


class _Last(time_series.base.Forecaster):
    """Repeats the last value, or the last season."""

    def __init__(self, period: int) -> None:
        self.values: list[float] = []
        self.period = period

    def learn_one(self, y: float, x: Any = None) -> None:
        del x
        self.values = [*self.values, y][-self.period :]

    def forecast(self, horizon: int, xs: Any = None) -> list[float]:
        del xs
        return [self.values[step % len(self.values)] for step in range(horizon)]


def _holt_winters(kind: str, stream: Stream, _seed: int) -> Any:
    return time_series.HoltWinters(
        alpha=0.3, beta=0.1, gamma=0.6, seasonality=stream.period, multiplicative=kind == "times"
    )


def _fixed(make: Callable[[], Any]) -> Callable[[Stream, int], Any]:
    return lambda _stream, _seed: make()


def _seeded(make: Callable[..., Any]) -> Callable[[Stream, int], Any]:
    return lambda _stream, seed: make(seed=seed)


def _adaptive(seed: int) -> Any:
    return _scaled(tree.HoeffdingAdaptiveTreeRegressor(seed=seed))


_NEAREST = _fixed(lambda: _scaled(neighbors.KNNRegressor()))
_NEAREST_CLASS = _fixed(lambda: _scaled(neighbors.KNNClassifier()))

MODELS: Mapping[str, tuple[Model, ...]] = {
    "classes": (
        Model("NbtClassifier", _seeded(NbtClassifier), seeds=SEEDS),
        Model("usual class", _fixed(dummy.PriorClassifier)),
        Model("linear", _linear),
        Model("naive Bayes", _fixed(naive_bayes.GaussianNB)),
        Model("nearest", _NEAREST_CLASS),
        Model("Hoeffding tree", _fixed(tree.HoeffdingTreeClassifier)),
        Model("adaptive tree", _seeded(tree.HoeffdingAdaptiveTreeClassifier), seeds=SEEDS),
        Model("ARF", _seeded(forest.ARFClassifier)),
    ),
    "numbers": (
        Model("NbtRegressor", _seeded(NbtRegressor), seeds=SEEDS),
        Model("mean", _fixed(lambda: dummy.StatisticRegressor(stats.Mean()))),
        Model("linear", _linear),
        Model("nearest", _NEAREST),
        Model("Hoeffding tree", _fixed(lambda: _scaled(tree.HoeffdingTreeRegressor()))),
        Model("adaptive tree", _seeded(_adaptive), seeds=SEEDS),
        Model("ARF", _seeded(lambda seed: _scaled(forest.ARFRegressor(seed=seed)))),
    ),
    "series": (
        Model("NbtForecaster", _seeded(NbtForecaster), seeds=SEEDS),
        Model("last value", lambda _stream, _seed: _Last(1)),
        Model("last season", lambda stream, _seed: _Last(stream.period)),
        Model("SNARIMAX", _snarimax),
        Model("Holt-Winters, additive", partial(_holt_winters, "plus")),
        Model("Holt-Winters, multiplicative", partial(_holt_winters, "times")),
    ),
}
