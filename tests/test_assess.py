"""Intervals, Student's t and anomaly scores of learners: what they are, and what they do.

The kernel follows reference/intervals.py and reference/anomaly.py on the answers that it gave. Then
what they are for: coverage on either side whatever the noise, few alarms without faults, one alarm
for a change that stays.
Elsewhere: units that move (test_kernel_stream.py), nbt_run against the single calls (driver.c).
"""

from __future__ import annotations

import copy
import itertools
import math
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from settings import still

from nbt_embed import Config, Learner
from nbt_embed._kernel import ffi, lib
from nbt_embed._kernel_config import kernel_config
from nbt_embed.errors import ConfigError
from nbt_embed.learner import Run
from nbt_embed.reference.anomaly import Channel
from nbt_embed.reference.intervals import FREEDOMS, Intervals, log_density, normal_quantile

Floats = NDArray[np.float64]
LEVELS = 0.5, 0.8, 0.95
ASSESSED = {"intervals": True, "anomaly": True}


def assess(learner: Learner, z: Floats, horizon: int = 1) -> Run:
    """Feed a series, whose values to come are its labels."""
    return learner.run(z, z, horizon=horizon, intervals=True, anomaly=True)


def one_series(z: Floats, **settings: Any) -> tuple[Learner, Run]:
    """A small learner after a series, and what it said of it."""
    learner = Learner(1, 1, hidden=2, **settings)
    return learner, assess(learner, z)


def events(scores: NDArray[np.float32], threshold: float, hold_off: int) -> list[int]:
    """Rows at which nbt_alarm_count tells."""
    alarm = ffi.new("nbt_alarm *", {"threshold": threshold, "hold_off": hold_off})
    return [row for row, score in enumerate(scores) if lib.nbt_alarm_count(alarm, float(score))]


# ---- The kernel follows the reference ------------------------------------------------------------


PIECE = 25


def hard_stream(rows: int = 700) -> tuple[Floats, Floats]:
    """Inputs, and labels (rows, 2) with all that happens to sensors; some are missing.

    Output 0: heavy tails, a jump, a spike, a burst, a ramp. Output 1: counts that repeat, a time
    stuck, a level of another size.
    """
    rng = np.random.default_rng(3)
    X = rng.normal(size=(rows, 2))
    first = X[:, 0] + rng.standard_t(3, rows) + 15.0 * (np.arange(rows) >= 300)
    first[200] = -2e4
    first[420:450] *= 8.0
    first[550:] += 0.2 * np.arange(rows - 550)
    second = np.round(3 * X[:, 1] + rng.normal(size=rows))
    second[350:380] = 2.0
    second[500:] += 1000.0
    Y = np.column_stack([first, second])
    Y[rng.random(Y.shape) < [0.05, 0.3]] = np.nan
    return X.astype(np.float32).astype(np.float64), Y.astype(np.float32).astype(np.float64)


def follow_the_reference(
    answers: Floats, labels: Floats, intervals: Intervals, channel: Channel, horizon: int
) -> tuple[Floats, Floats, float, Floats]:
    """Bounds, scores and what is usual of one output from its answers and labels.

    And the scale at the end. What is usual: after every PIECE rows.
    """
    waiting: deque[tuple[float, float, Floats]] = deque()
    bounds, scores, scale = [], np.full(len(labels), np.nan), 0.0
    usual = []

    def learn(row: int) -> None:
        answer, scale, given = waiting.popleft()
        if np.isnan(labels[row]):
            channel.miss()
        else:
            intervals.learn(labels[row], answer, scale, given)
            scores[row] = channel.count(labels[row], labels[row], answer)

    for row, answer in enumerate(answers):
        if horizon > 0 and len(waiting) == horizon:
            learn(row)
        scale = intervals.scale()
        bounds.append(intervals.bounds(answer, scale))
        waiting.append((answer, scale, bounds[-1]))
        if horizon == 0:
            learn(row)
        if (row + 1) % PIECE == 0:
            usual.append(remembered(channel))
    return np.array(bounds), scores, scale, np.array(usual)


def remembered(c: Channel) -> Floats:
    """What the reference remembers of a channel, in the order of csrc/nbt_anomaly.h."""
    of = c.short
    unsigned = c.n, c.square, of["burst"], c.variance, c.run, c.longest, c.records, c.hold, c.gap
    signed = c.last, of["bias"], of["level"], of["slow level"], c.mean, c.low, c.high, c.calm
    tails = [x for tail in c.tails.values() for x in (tail.q, tail.m)]
    return np.array([*unsigned, *signed, *tails])


def kept(learner: Learner) -> Floats:
    """The same of the kernel, (O, 27): before the scores and what the slow readout learns."""
    n_out = learner.config.n_out
    words = np.frombuffer(learner.to_bytes()[:-4], "<f4")
    if learner.config.slow_forget:
        features = learner.array("slow").shape[1]
        words = words[: -(1 + n_out + features + 3 + n_out + 2 * features)]
    return words[-28 * n_out : -n_out].reshape(n_out, 27).astype(np.float64)


def in_pieces(learner: Learner, X: Floats, Y: Floats, horizon: int) -> tuple[Run, Floats]:
    """A stream, and what is usual after every PIECE rows, (pieces, O, 27)."""
    pieces, usual = [], []
    for at in range(0, len(X), PIECE):
        rows = slice(at, at + PIECE)
        pieces.append(learner.run(X[rows], Y[rows], horizon=horizon, intervals=True, anomaly=True))
        usual.append(kept(learner))
    told = [np.concatenate(part) for part in zip(*map(astuple, pieces), strict=True)]
    return Run(*told), np.array(usual)


@pytest.mark.parametrize("levels", [(0.8,), (0.01, 0.6, 0.605, 0.61, 0.95, 0.99, 0.999, 0.99999)])
@pytest.mark.parametrize("horizon", [0, 1, 3])
@pytest.mark.parametrize(
    "features", [{}, {"mix_forget": 0.99}, {"anchored": True, "anchor": (0, None)}], ids=str
)
def test_the_kernel_follows_the_reference(
    features: dict[str, Any], horizon: int, levels: tuple[float, ...]
) -> None:
    """In fixed units, where the answers are what the caller is given."""
    settings = still(hidden=0, scale_steps=0, follow=True, max_delay=3, anomaly=True)
    learner = Learner(Config(2, 2, levels=levels, **(settings | features)))
    X, Y = hard_stream()
    told, usual = in_pieces(learner, X, Y, horizon)
    assert told.intervals is not None
    assert told.anomaly is not None
    scales, freedoms = learner.student()
    for o in range(2):
        intervals, channel = Intervals(levels), Channel()
        answers = told.y[:, o].astype(np.float64)
        bounds, scores, scale, expected_usual = follow_the_reference(
            answers, Y[:, o], intervals, channel, horizon
        )
        actual = told.intervals[:, o].reshape(bounds.shape)
        width = np.diff(bounds).max(axis=(1, 2), keepdims=True)
        off = np.abs(actual - bounds) / (width + 1e-2 * np.abs(answers)[:, None, None] + 1e-6)
        assert off.max() < 1e-4, np.unravel_index(off.argmax(), off.shape)
        np.testing.assert_allclose(told.anomaly[:, o], scores, atol=2e-3)
        assert np.nanmax(scores) > 0.999  # something has happened
        off = np.abs(usual[:, o] - expected_usual) / (np.abs(expected_usual) + 1e-2)
        assert off.max() < 5e-4, np.unravel_index(off.argmax(), off.shape)
        np.testing.assert_allclose(learner.array("reach")[o], intervals.reach.ravel(), rtol=1e-4)
        errors = intervals.fast, intervals.slow, intervals.labels
        np.testing.assert_allclose(learner.array("error")[:, o], errors, rtol=1e-4)
        best = int(np.argmax(intervals.score))
        assert freedoms[o] == FREEDOMS[best]
        expected = scale * math.exp(intervals.k[best])
        np.testing.assert_allclose(scales[o], expected, rtol=1e-3)


def test_the_long_mean_follows_the_reference_beyond_its_length() -> None:
    learner = Learner(Config(1, 1, **still(hidden=0, scale_steps=0, follow=True, anomaly=True)))
    z = np.random.default_rng(9).normal(size=4600).astype(np.float32).astype(np.float64)
    told = learner.run(z, z, horizon=1)
    channel = Channel()
    follow_the_reference(told[:, 0].astype(np.float64), z, Intervals((0.8,)), channel, 1)
    assert channel.n > 4500
    np.testing.assert_allclose(kept(learner)[0], remembered(channel), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("tail", [0.4999, 0.25, 0.1, 0.025, 1e-3, 1e-6])
def test_the_quantile_that_bounds_start_from_is_that_of_a_normal_distribution(tail: float) -> None:
    assert abs(normal_quantile(tail) - statistics.NormalDist().inv_cdf(1 - tail)) < 5e-4


# ---- Intervals -----------------------------------------------------------------------------------


def skewed(rows: int) -> Floats:
    """A wave with noise that is skewed and whose size changes."""
    rng, t = np.random.default_rng(5), np.arange(rows)
    size = np.exp(np.sin(2 * np.pi * t / 3000))
    return np.sin(2 * np.pi * t / 40) + size * (rng.exponential(size=rows) - 1)


@pytest.mark.parametrize("horizon", [1, 5])
def test_each_side_misses_its_half_of_skewed_noise_of_changing_size(horizon: int) -> None:
    z = skewed(12000)
    learner = Learner(1, 1, hidden=2, max_delay=horizon - 1)
    told = assess(learner, z, horizon)
    assert told.intervals is not None
    truth, bounds = z[1000 + horizon :], told.intervals[1000:-horizon, 0]
    for i, level in enumerate(learner.levels):
        tail = (1 - level) / 2
        below, above = truth < bounds[:, 2 * i], truth > bounds[:, 2 * i + 1]
        for side in (below, above):
            assert abs(side.mean() - tail) < 0.004 + 0.03 * tail, (level, side.mean())
            slices = side[: len(side) // 1000 * 1000].reshape(-1, 1000).mean(axis=1)
            assert slices.max() < 2 * tail + 0.03, (level, slices)
    low, high = np.diff(np.column_stack([bounds[:, 4], told.y[1000:-horizon, 0], bounds[:, 5]])).T
    assert high.mean() > 1.5 * low.mean()  # the noise is long above


def test_levels_enclose_each_other_and_the_forecast() -> None:
    learner = Learner(1, 1, hidden=2, levels=(0.2, 0.21, 0.22, 0.9))
    told = assess(learner, skewed(3000))
    assert told.intervals is not None
    lower, upper = told.intervals[:, 0, ::2], told.intervals[:, 0, 1::2]
    assert (np.diff(lower) <= 0).all()
    assert (np.diff(upper) >= 0).all()
    assert (lower[:, 0] <= told.y[:, 0]).all()
    assert (told.y[:, 0] <= upper[:, 0]).all()


def log_likelihoods(learner: Learner, z: Floats) -> tuple[Floats, Floats, Floats]:
    """Of Student's t and of a normal distribution with the variance; and t's scales."""
    found = []
    for before, value in itertools.pairwise(z):
        (y,), (variance,) = learner.predict(before), learner.variance()
        (scale,), (nu,) = learner.student()
        t = log_density((value - y) / scale, nu) - np.log(scale)
        normal = -0.5 * np.log(2 * np.pi * variance) - (value - y) ** 2 / (2 * variance)
        found.append((t, normal, scale))
        learner.learn(value)
    t, normal, scale = np.array(found).T
    return t, normal, scale


@pytest.mark.parametrize("heavy", [False, True])
def test_the_student_distribution_is_that_of_the_noise(heavy: bool) -> None:
    rng = np.random.default_rng(7)
    z = 5 + 3 * (rng.standard_t(3, 8000) if heavy else rng.normal(size=8000))
    learner = Learner(1, 1, hidden=2)
    learner.run(z[:7000], z[:7000], horizon=1)
    learner.learn(z[7000])
    t, normal, scale = log_likelihoods(learner, z[7000:])
    assert abs(scale.mean() / 3 - 1) < 0.1
    assert learner.student()[1][0] in ((2.5, 4.0) if heavy else (50.0,))
    assert t.mean() > normal.mean() + (0.05 if heavy else -0.02)


def test_before_the_first_label_the_width_is_that_of_the_output_itself() -> None:
    learner = Learner(1, 1, hidden=2, anchor=(0,), max_delay=50)
    np.testing.assert_array_equal(learner.interval(), np.zeros((1, 6)))  # nothing has varied
    z = np.random.default_rng(1).normal(size=50)
    for x in 100 + 5 * z:
        learner.predict(x)
    widths = learner.interval()[0, 1::2] - learner.interval()[0, ::2]
    usual = 2 * np.array([statistics.NormalDist(0, 5).inv_cdf((1 + level) / 2) for level in LEVELS])
    assert (widths > 0.8 * usual).all()
    assert (widths < 2.5 * usual).all()
    assert 2.0 < learner.student()[0][0] < 10.0


def test_after_a_reopening_intervals_are_wider_at_once_and_narrow_again() -> None:
    z = np.random.default_rng(2).normal(size=3000)
    z[2000:] += 300.0  # permanently: the channel restarts its counts later
    learner = Learner(1, 1, hidden=2)
    learner.run(z[:2000], z[:2000], horizon=1)
    widths, opened = [], []
    for row in range(2000, 3000):
        learner.learn(z[row])
        learner.predict(z[row])
        low, high = learner.interval()[0, 2:4]
        widths.append(high - low)
        opened.append(learner.counters.reopened)
    at = opened.index(1)
    assert 0 < at < 150
    assert opened[-1] == 1
    assert widths[at] > 1.5 * widths[at - 1]
    assert 2.2 < np.mean(widths[-200:]) < 3.0  # 80 % of a normal distribution are in 2.56


def test_an_opening_without_labels_widens_up_to_a_bound() -> None:
    """A channel restarts again and again, and no label comes that would narrow anything."""
    learner = Learner(1, 1, hidden=0, anchor=(0,), stuck_steps=0)
    size, z = 1.0, []
    for _ in range(11):
        z += [size * (1 + 0.1 * (i % 2)) for i in range(80)]
        size *= 40.0
    Y = np.full(len(z), np.nan)
    Y[:60] = z[:60]
    for _ in range(20):
        told = learner.run(z, Y, horizon=1, intervals=True)
    assert told.intervals is not None
    assert np.isfinite(told.intervals).all()
    assert np.isfinite(learner.array("error")).all()
    learner.to_bytes()


# ---- Neither changes what is learnt --------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{}, {"mix_forget": 0.0, "linear_lags": 0, "linear_forget": 0.0, "slow_forget": 0.0}],
    ids=["mixture", "readout"],
)
def test_forecasts_and_what_is_learnt_are_the_same_without(settings: dict[str, Any]) -> None:
    X, Y = hard_stream()
    config = Config(2, 2, hidden=3, max_delay=2, anchor=(0, None), **settings)
    plain = Learner(replace(config, intervals=0, levels=None, anomaly=False))
    expected = plain.run(X, Y, horizon=2)
    for chosen in (config, replace(config, anomaly=False), replace(plain.config, anomaly=True)):
        learner = Learner(chosen)
        np.testing.assert_array_equal(learner.run(X, Y, horizon=2), expected)
        for name in plain.arrays:
            np.testing.assert_array_equal(learner.array(name), plain.array(name), name)
        assert learner.counters == plain.counters


@pytest.mark.parametrize("horizon", [0, 2])
def test_a_loaded_learner_goes_on_with_the_same_bits(horizon: int) -> None:
    X, Y = hard_stream()
    learner = Learner(2, 2, hidden=3, max_delay=2, levels=(0.3, 0.9), anchor=(0, None))
    learner.run(X[:333], Y[:333], horizon=horizon)
    twins = Learner.from_bytes(learner.to_bytes()), copy.copy(learner)
    rest = learner.run(X[333:], Y[333:], horizon=horizon, intervals=True, anomaly=True)
    for twin in twins:
        assert twin.levels == (0.3, 0.9)
        told = twin.run(X[333:], Y[333:], horizon=horizon, intervals=True, anomaly=True)
        for name in ("y", "intervals", "anomaly"):
            np.testing.assert_array_equal(getattr(told, name), getattr(rest, name), name)
        assert twin.hash() == learner.hash()


# ---- Anomaly -------------------------------------------------------------------------------------


def autoregressive(noise: Floats) -> Floats:
    z = np.zeros_like(noise)
    for t in range(1, z.size):
        z[t] = 0.9 * z[t - 1] + noise[t]
    return z


FAULTLESS: dict[str, Callable[[np.random.Generator], Floats]] = {
    "gaussian": lambda rng: rng.normal(size=15000),
    "t3": lambda rng: rng.standard_t(3, 15000),
    "autoregressive": lambda rng: autoregressive(rng.normal(size=15000)),
    "random walk": lambda rng: np.cumsum(rng.normal(size=15000)),
}


@pytest.mark.parametrize("kind", FAULTLESS)
def test_streams_without_faults_score_above_a_threshold_as_rarely_as_it_says(kind: str) -> None:
    scores = np.concatenate(
        [
            assess(Learner(1, 1, hidden=0), FAULTLESS[kind](np.random.default_rng(s))).anomaly
            for s in (1, 2)
        ]
    )
    assert (scores > 0.9).mean() <= 0.1
    assert 0 < (scores > 0.99).mean() <= 0.01
    assert (scores > 0.999).mean() <= 0.0025


def test_scores_are_zero_while_little_is_known_and_nan_without_a_label() -> None:
    learner = Learner(1, 2, hidden=0, max_delay=1)
    assert np.isnan(learner.anomaly).all()
    z = np.random.default_rng(1).normal(size=(400, 1))
    Y = np.hstack([z, z])
    Y[5::3, 1] = np.nan
    told = learner.run(z, Y, horizon=2, anomaly=True)
    assert told.anomaly is not None
    assert told.intervals is None
    assert np.isnan(told.anomaly[:2]).all()  # these labels had no forecast
    known = told.anomaly[4:]  # the first one does not vary, and the units of none are known
    np.testing.assert_array_equal(np.isnan(known), np.isnan(Y[4:]))
    assert (np.nan_to_num(told.anomaly[:50]) == 0).all()
    assert np.nanmin(told.anomaly) == 0
    assert np.nanmax(told.anomaly) <= 1
    learner.learn([np.nan, z[-1, 0]])
    assert np.isnan(learner.anomaly[0])
    assert not np.isnan(learner.anomaly[1])


def test_a_constant_channel_has_no_score_until_it_varies() -> None:
    z = np.full(2000, 7.0)
    z[1000:] += np.random.default_rng(4).normal(size=1000)
    learner, told = one_series(z)
    assert told.anomaly is not None
    assert told.intervals is not None
    assert np.isnan(told.anomaly[:1000]).all()
    assert not np.isnan(told.anomaly[1002:]).any()
    assert (told.anomaly[1002:1050] == 0).all()
    np.testing.assert_array_equal(told.intervals[1:1000, 0], np.full((999, 6), 7.0, np.float32))
    missed = (z[1201:] < told.intervals[1200:-1, 0, 2]) | (z[1201:] > told.intervals[1200:-1, 0, 3])
    assert abs(missed.mean() - 0.2) < 0.05
    assert learner.anomaly[0] >= 0


@pytest.mark.parametrize("size", [1e17, 1e-17, 1.0])
def test_huge_and_tiny_values_are_told_of_as_others(size: float) -> None:
    rng = np.random.default_rng(6)
    z = rng.normal(size=3000)
    z[2000] = 9.0
    learner, told = one_series(size * z)
    assert told.anomaly is not None
    assert told.intervals is not None
    assert np.isfinite(told.intervals).all()
    assert told.anomaly[2000] > 0.999
    assert abs(learner.student()[0][0] / size - 1) < 0.15
    missed = (size * z[501:] < told.intervals[500:-1, 0, 2]).mean()
    assert abs(missed - 0.1) < 0.02


@pytest.mark.parametrize("seed", [0, 1])
def test_a_spike_of_any_size_is_told_and_hides_no_later_one(seed: int) -> None:
    z = np.random.default_rng(seed).normal(size=4000)
    z[2000], z[3200] = 1e15, 12.0
    _, told = one_series(z)
    assert told.anomaly is not None
    assert told.intervals is not None
    assert told.anomaly[2000] > 0.9999
    assert told.anomaly[3200] > 0.999
    assert (told.anomaly[2100:3200] > 0.9999).sum() == 0
    assert np.isfinite(told.intervals).all()
    widths = told.intervals[:, 0, 5] - told.intervals[:, 0, 4]
    assert widths[2100] < 2 * widths[1999]


@pytest.mark.parametrize("seed", [3, 4])
def test_a_change_that_stays_is_told_once(seed: int) -> None:
    z = np.random.default_rng(seed).normal(size=4000) + 10.0 * (np.arange(4000) >= 2000)
    _, told = one_series(z)
    assert told.anomaly is not None
    found = events(told.anomaly[:, 0], threshold=0.9999, hold_off=200)
    assert [row for row in found if row >= 2000] == [2000]


def test_a_stuck_channel_is_told_once_and_one_that_often_repeats_is_not() -> None:
    rng = np.random.default_rng(8)
    z = rng.normal(size=3000)
    z[2000:2400] = z[2000]
    _, told = one_series(z)
    assert told.anomaly is not None
    assert [row for row in events(told.anomaly[:, 0], 0.9995, 0) if 2000 < row < 2400] == [2006]
    lazy = np.repeat(rng.normal(size=300), 10)
    _, told = one_series(lazy)
    assert told.anomaly is not None
    stuck = np.float32(1 - 10**-4.0)
    assert not (np.abs(told.anomaly - stuck) < 1e-6).any()


# ---- Events --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "hold_off", "expected"),
    [
        ([0.5, 0.9, 0.9, 0.1, 0.9], 0, [1, 2, 4]),
        ([0.9, 0.0, 0.9, 0.0, 0.0, 0.9], 2, [0, 5]),  # each one above begins it again
        ([0.9, 0.0, 0.0, 0.9], 2, [0, 3]),
        ([0.9, np.nan, np.nan, 0.9], 2, [0, 3]),  # a row without label is a row
        ([np.nan, 0.8, 0.80001], 5, [2]),  # above, not at
        ([0.9, 0.9], 2**32 - 1, [0]),
    ],
)
def test_an_alarm_tells_of_events(scores: list[float], hold_off: int, expected: list[int]) -> None:
    at = float(np.float32(0.8))
    assert events(np.array(scores, np.float32), at, hold_off) == expected


def test_nothing_is_above_a_threshold_of_one_and_all_but_nothing_is_above_zero() -> None:
    scores = np.array([1.0, 0.0, 1e-30, np.nan], np.float32)
    assert events(scores, 1.0, 0) == []
    assert events(scores, 0.0, 0) == [0, 2]


# ---- Refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        ((0.8, 0.5), r"levels = \(0.8, 0.5\): expected up to 8 numbers between 0 and 1, ascending"),
        ((0.5, 0.5), r"levels = \(0.5, 0.5\).*or leave levels out"),
        ((0.5, 0.5 + 1e-9), "ascending"),  # one number in float32
        ((0.0, 0.5), "between 0 and 1"),
        ((0.5, 1.0), "between 0 and 1"),
        ((1e-50,), "between 0 and 1"),
        ((1 - 1e-9,), "between 0 and 1"),
        ((math.nan,), r"levels = \(nan,\)"),
        (("0.5",), r"levels = \('0.5',\)"),
        ("0.5", "levels = '0.5'"),
        (0.5, "levels = 0.5"),
        ((0.1,) * 9, "up to 8"),
        (tuple(np.linspace(0.1, 0.9, 9)), "up to 8"),
    ],
)
def test_levels_that_cannot_be_are_refused(levels: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Config(2, 1, levels=levels)


def test_levels_are_kept_as_they_are_given() -> None:
    given: list[Any] = [(0.8,), [0.1, np.float32(0.3)], np.array([0.5, 0.95]), ()]
    for levels in given:
        config = Config(2, 1, levels=levels)
        assert config.intervals == len(levels)
        learner = Learner(config)
        assert learner.levels == config.levels == tuple(round(float(one), 6) for one in levels)
        assert Learner.from_bytes(learner.to_bytes()).config == config
    assert Config(2, 1, intervals=2).levels == (0.5, 0.8)
    assert Config(2, 1).levels == LEVELS
    assert Config(2, 1, link="bernoulli").levels == ()


def test_numbers_of_levels_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"levels = \(0.5,\): intervals = 3.*leave one of the two"
    ):
        Config(2, 1, levels=(0.5,), intervals=3)
    with pytest.raises(ConfigError, match="intervals = 9: expected a value from 0 to 8"):
        Learner(2, 1, intervals=9)
    text = r'intervals = 1 \(levels = \(0.5,\)\): needs link="gaussian".*leave intervals and levels'
    with pytest.raises(ConfigError, match=text):
        Learner(2, 1, link="bernoulli", levels=(0.5,))
    with pytest.raises(ConfigError, match="anomaly = True: needs follow=True"):
        Learner(2, 1, follow=False, anomaly=True)


def test_what_a_learner_has_not_is_refused_with_what_to_do() -> None:
    learner = Learner(1, 1, hidden=2, intervals=0, anomaly=False)
    before = learner.hash()
    refused: list[tuple[str, Callable[[], object]]] = [
        ("intervals = 0", learner.interval),
        ("intervals = 0", learner.student),
        ("intervals = 0", lambda: learner.run([1.0], [1.0], horizon=0, intervals=True)),
        ("anomaly = False", lambda: learner.anomaly),
        ("anomaly = False", lambda: learner.run([1.0], [1.0], horizon=0, anomaly=True)),
    ]
    for name, call in refused:
        with pytest.raises(ConfigError, match=f"{name}: this learner has none; build it with"):
            call()
    assert learner.hash() == before
    assert isinstance(learner.run([1.0], [1.0], horizon=0), np.ndarray)


def kernel_learner(**settings: Any) -> tuple[Any, Any]:
    """A learner of the kernel without levels told, and the memory that it lies in."""
    config = kernel_config(Config(1, 1, hidden=2, **settings))
    memory, handle = ffi.new("uint64_t[]", 4000), ffi.new("nbt_learner **")
    assert lib.nbt_init(memory, 32000, config, handle) == lib.NBT_OK
    return handle[0], memory


@pytest.mark.parametrize(
    "levels",
    [(0.5, 0.4), (0.5, 0.5), (0.0, 0.5), (0.5, 1.0), (math.nan, 0.5), (0.5, math.nan), (-0.1, 0.5)],
)
def test_the_kernel_refuses_levels_that_cannot_be_and_is_unchanged(
    levels: tuple[float, float],
) -> None:
    learner, _memory = kernel_learner(intervals=2)
    before = lib.nbt_hash(learner)
    assert lib.nbt_levels_set(learner, list(levels)) == lib.NBT_ERR_CONFIG
    assert lib.nbt_hash(learner) == before
    assert lib.nbt_levels_set(learner, [0.2, 0.4]) == lib.NBT_OK
    assert lib.nbt_hash(learner) != before


def test_the_kernel_refuses_levels_after_a_forecast_and_without_intervals() -> None:
    learner, _memory = kernel_learner(intervals=1)
    assert lib.nbt_predict(learner, ffi.new("float[1]"), [1.0]) == lib.NBT_OK
    before = lib.nbt_hash(learner)
    assert lib.nbt_levels_set(learner, [0.5]) == lib.NBT_ERR_CONFIG
    assert lib.nbt_hash(learner) == before
    learner, _memory = kernel_learner(intervals=0)
    assert lib.nbt_levels_set(learner, [0.5]) == lib.NBT_ERR_ARRAY


def swinging(rows: int, seed: int = 0) -> Floats:
    """A sine with noise."""
    noise = np.random.default_rng(seed).normal(size=rows)
    return np.asarray(np.sin(0.2 * np.arange(rows)) + 0.1 * noise)


@pytest.mark.parametrize("glitch", [10.0, 1e3, 1e6])
def test_one_absurd_reading_does_not_hide_a_dead_sensor(glitch: float) -> None:
    z = swinging(4000)
    z[3000] += glitch
    z[3200:3600] = z[3199]
    told = Learner(1, 1).run(z, z, horizon=1, anomaly=True)
    assert told.anomaly is not None
    scores = told.anomaly[:, 0]
    assert scores[3000] > 0.999
    assert scores[3200:3220].max() > 0.999


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sensor_that_stands_still_is_told_at_once_and_seldom_again(seed: int) -> None:
    """Later, errors of the last digits may be unlike those before: an alarm in 1,000s of rows."""
    z = swinging(12_000, seed)
    z[3000:] = z[2999]
    learner = Learner(1, 1)
    told = learner.run(z, z, horizon=1, anomaly=True)
    assert told.anomaly is not None
    assert learner.guard_rows["moved"][-1] > 4000  # units move with a constant channel
    first, *later = [row for row in events(told.anomaly[:, 0], 0.999, 100) if row >= 3000]
    assert first < 3010
    assert len(later) <= 3
