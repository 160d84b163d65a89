"""The forecaster for sktime: its own checks, and the loop over a learner that it is."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

from nbt_embed import Learner

pytest.importorskip("sktime", reason="pip install 'nbt-embed[sktime]'")
pd = pytest.importorskip("pandas")
from sktime.utils.estimator_checks import check_estimator

from nbt_embed.sktime import NbtForecaster


def series(rows: int) -> Any:
    rng = np.random.default_rng(0)
    values = 20 + 3 * np.sin(np.arange(rows) / 4) + 0.1 * rng.normal(size=rows)
    return pd.Series(values, index=pd.period_range("2000-01", periods=rows, freq="M"), name="z")


@pytest.mark.slow
def test_sktime_checks() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # many of sktime's own
        found = check_estimator(NbtForecaster, raise_exceptions=False, verbose=False)
    assert len(found) > 500
    assert {name: one for name, one in found.items() if one != "PASSED"} == {}


@pytest.mark.parametrize("remember", [True, False])
def test_sktime_warns_of_nothing_and_keeps_the_series_if_it_may(remember: bool) -> None:
    y = series(800)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = NbtForecaster(hidden=4)
        model.set_config(remember_data=remember)
        model.fit(y[:40]).update(y[40:60])
        size = len(pickle.dumps(model))
        model.update(y[60:])
        assert (len(pickle.dumps(model)) < size + 100) is not remember
        assert len(model.clone().fit(y[:40]).predict(fh=[1, 2])) == 2


def test_it_is_the_loop_over_a_learner() -> None:
    y = series(300)
    model = NbtForecaster(hidden=4, seed=2).fit(y[:200])
    model.update(y[200:280])
    learner = Learner(1, 1, hidden=4, lags=12, seed=2, anchor=(0,), hold_missing=True)
    for value in y[:280]:
        if learner.pending:
            learner.learn(value)
        forecast = learner.predict(value)
    expected = []
    for _ in range(6):
        expected.append(float(forecast[0]))
        learner.learn(math.nan)
        forecast = learner.predict(forecast)
    before = pickle.dumps(model._learner)
    forecasts = model.predict(fh=[1, 3, 6])
    assert forecasts.tolist() == [expected[0], expected[2], expected[5]]
    assert forecasts.index.tolist() == [y.index[280], y.index[282], y.index[285]]
    assert forecasts.name == "z"
    assert pickle.dumps(model._learner) == before


def test_without_update_params_the_state_alone_moves() -> None:
    y = series(300)
    model = NbtForecaster().fit(y[:290])
    readout = model._learner.array("readout")
    model.update(y[290:], update_params=False)
    assert np.array_equal(model._learner.array("readout"), readout)
    assert model.predict(fh=1).index[0] == y.index[-1] + 1
    assert abs(model.predict(fh=1).iloc[0] - (20 + 3 * math.sin(300 / 4))) < 1


def test_values_that_come_again_are_not_learnt_again() -> None:
    y = series(60)
    whole, pieces = NbtForecaster().fit(y), NbtForecaster().fit(y[:20])
    for end in (30, 30, 45, len(y)):
        pieces.update(y[:end])
    assert pieces._learner.hash() == whole._learner.hash()
    assert (pieces.predict([1, 2]) == whole.predict([1, 2])).all()


def test_arrays_without_an_index_are_new_values() -> None:
    y = series(60).to_numpy()
    whole, pieces = NbtForecaster().fit(y), NbtForecaster().fit(y[:20])
    pieces.update(y[20:])
    assert pieces._learner.hash() == whole._learner.hash()


def test_bytes_do_not_grow_where_sktime_does_not_keep_the_series() -> None:
    y = series(2000)
    model = NbtForecaster().set_config(remember_data=False).fit(y[:100])
    model.update(y[100:120])
    before = len(pickle.dumps(model))
    for start in range(120, 2000, 20):
        model.update(y[start : start + 20])
    assert len(pickle.dumps(model)) < before + 100


def test_missing_values_hold() -> None:
    y = series(400)
    y.iloc[50::10] = np.nan
    assert np.isfinite(NbtForecaster().fit(y).predict(fh=range(1, 13))).all()


@pytest.mark.parametrize("library", ["sktime", "pandas"])
def test_without_sktime_the_command_is_named(library: str) -> None:
    program = f"import sys; sys.modules['{library}'] = None; import nbt_embed.sktime"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith(f"{library} is not installed: pip install 'nbt-embed[sktime]'")
