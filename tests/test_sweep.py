"""Learning curves, and sweeps over settings and seeds."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nbt_embed import Config, Learner
from nbt_embed.baselines import LastValue
from nbt_embed.errors import ConfigError, InputError, InputTypeError
from nbt_embed.evaluate import evaluate
from nbt_embed.parallel import Interrupted
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream, from_arrays
from nbt_embed.sweep import sweep


@pytest.fixture(scope="module")
def stream() -> Stream:
    return simulated_sensor(1500, missing=0.01)


def config(**settings: Any) -> Config:
    return Config(3, 3, hold_missing=True, **settings)


# ---- Curves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [0, 1, 3])
@pytest.mark.parametrize(("every", "window"), [(100, 100), (7, 7), (50, 200), (1, 20)])
def test_a_curve_is_the_error_of_each_window(
    stream: Stream, horizon: int, every: int, window: int
) -> None:
    made = evaluate(Learner(config(max_delay=2)), stream, horizon)
    curve = made.curve(every, window)
    assert (curve.every, curve.window) == (every, window)
    assert curve.rows[-1] == len(stream)
    assert (np.diff(curve.rows)[:-1] == every).all()
    first = max(2 * horizon, 1)
    error = np.full(stream.targets.shape, np.nan)
    error[first:] = (
        made.predictions[first - horizon : len(stream) - horizon] - stream.targets[first:]
    )
    for place, end in enumerate(curve.rows):
        begin = max(place + 1 - window // every, 0) * every
        part = error[begin:end]
        known = ~np.isnan(part)
        expected = np.sqrt(np.where(known, part, 0).__pow__(2).sum(0) / np.maximum(known.sum(0), 1))
        shown = np.where(known.any(0), expected, np.nan)
        np.testing.assert_allclose(curve.rmse[place], shown, rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.nanmean(error**2)), made.rmse, rtol=1e-5)


@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_the_last_value_of_a_curve_is_that_of_the_baseline(stream: Stream, horizon: int) -> None:
    made = evaluate(LastValue(3, 3, max_delay=2), stream, horizon)
    curve = made.curve(every=150)
    np.testing.assert_allclose(curve.rmse, curve.last_value, rtol=1e-5)
    np.testing.assert_allclose(curve.ratio, 1.0, rtol=1e-5)


def test_what_is_not_scored_is_not_in_the_curve() -> None:
    made = evaluate(LastValue(1, 1), from_arrays(np.arange(100.0)), score_from=60)
    curve = made.curve(every=20)
    assert np.isnan(curve.rmse[:3]).all()
    np.testing.assert_allclose(curve.rmse[3:], 1.0)
    assert len(made.curve().rows) == 100


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"every": 0}, InputError, "every = 0"),
        ({"every": 10, "window": 25}, InputError, "window = 25: expected a multiple"),
        ({"every": 1.5}, InputTypeError, "every = 1.5: expected an integer"),
        ({"window": "all"}, InputTypeError, "window = 'all': expected an integer"),
    ],
)
def test_a_curve_of_wrong_pieces_is_refused(
    stream: Stream, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate(LastValue(3, 3), stream).curve(**settings)


def test_a_piece_may_be_longer_than_the_stream(stream: Stream) -> None:
    found = evaluate(LastValue(3, 3), stream)
    curve = found.curve(every=10**30)
    assert curve.rows.tolist() == [len(stream)]
    np.testing.assert_array_equal(curve.rmse, found.curve(every=len(stream)).rmse)


@pytest.mark.parametrize("wrong", [None, (np.zeros(9), np.zeros(9))])
def test_what_is_no_stream_is_refused(wrong: Any) -> None:
    for call in (lambda: evaluate(LastValue(3, 3), wrong), lambda: sweep([Config(3, 3)], wrong)):
        with pytest.raises(InputTypeError, match="expected a Stream"):
            call()


# ---- Sweeps --------------------------------------------------------------------------------------


def test_a_sweep_is_evaluate_for_each_seed_whatever_the_jobs(stream: Stream) -> None:
    configs = {"small": config(hidden=2), "large": config(hidden=6, max_delay=1)}
    one, two = (sweep(configs, stream, (3, 5), horizon=1, jobs=jobs) for jobs in (1, 2))
    for swept, again in zip(one, two, strict=True):
        assert (swept.name, swept.nrmse, swept.rmse) == (again.name, again.nrmse, again.rmse)
        for seed, nrmse, curve in zip(swept.seeds, swept.nrmse, swept.curves, strict=True):
            alone = evaluate(Learner(replace(configs[swept.name], seed=seed)), stream)
            assert alone.nrmse == nrmse
            np.testing.assert_array_equal(alone.curve().rmse, curve.rmse)
    assert [swept.name for swept in one] == list(configs)
    assert one[0].spread == (min(one[0].nrmse), max(one[0].nrmse))
    assert one[0].spread[0] < one[0].median < one[0].spread[1]
    assert one[0].memory_bytes < one[1].memory_bytes
    root = np.sqrt(np.mean(np.square(one[0].rmse_per_target[0])))
    assert root == pytest.approx(one[0].rmse[0], rel=0.01)


def test_progress_counts_every_row(stream: Stream) -> None:
    rows: list[int] = []
    sweep([config(hidden=1), config(hidden=2)], stream, (0, 1), progress=rows.append)
    assert sum(rows) == 4 * len(stream)


def test_ctrl_c_says_how_far_it_came(stream: Stream) -> None:
    calls: list[int] = []

    def progress(rows: int) -> None:
        calls.append(rows)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    threads = threading.active_count()
    with pytest.raises(Interrupted, match=r"^\d+ of 60 passes were done$"):
        sweep([config(hidden=16)], stream, range(60), jobs=1, progress=progress)
    assert threading.active_count() == threads
    assert len(calls) < 120


@pytest.mark.parametrize(
    ("configs", "settings", "error", "message"),
    [
        ([], {}, ConfigError, "configs is empty"),
        (Config(3, 3), {}, InputTypeError, "expected several of type Config"),
        ({"a": Config(3, 3), "b": Config(2, 3)}, {}, ConfigError, "b: n_in = 2 .* has 3 inputs"),
        ([Config(3, 3), Config(3, 3)], {}, ConfigError, r"names 3, 3.* twice"),
        ([3], {}, InputTypeError, "configs has 3: expected a Config"),
        ({"a": 3}, {}, InputTypeError, r"configs\['a'\] is 3"),
        ({"a": Config(3, 3)}, {"seeds": ()}, ConfigError, r"seeds = \(\)"),
        ({"a": Config(3, 3)}, {"seeds": (1, 1)}, ConfigError, "none twice"),
        ({"a": Config(3, 3)}, {"horizon": 2}, ConfigError, "a: max_delay = 0 and horizon = 2"),
        ({"a": Config(3, 3)}, {"horizon": 1.0}, InputTypeError, "horizon = 1.0"),
        ({"a": Config(3, 3)}, {"seeds": 5}, InputTypeError, "seeds = 5"),
        ({"a": Config(3, 3)}, {"jobs": 0}, ConfigError, "jobs = 0"),
        ({"a": Config(3, 3)}, {"jobs": 1.5}, InputTypeError, "jobs = 1.5: expected an integer"),
        ({"a": Config(3, 3, link="categorical")}, {}, ConfigError, "no real-valued targets"),
        ({"a": Config(3, 3)}, {"score_from": 10**6}, InputError, "nothing to score"),
    ],
)
def test_what_is_no_sweep_is_refused(
    stream: Stream, configs: Any, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        sweep(configs, stream, **settings)
