"""The baselines against their textbook formulas, causality, and the learner's interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from settings import still

from nbt_embed import Learner
from nbt_embed.baselines import Baseline, LastValue, Nlms, Rls, Seasonal
from nbt_embed.errors import ConfigError, InputError, SequenceError

KINDS = [LastValue, Nlms, Rls]
Array = NDArray[np.float64]


def walk(steps: int, n_in: int = 2, n_out: int = 2, missing: float = 0.0) -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    X = np.cumsum(rng.normal(size=(steps, n_in)), axis=0)
    Y = X[:, :1] + rng.normal(size=(steps, n_out))
    for table in (X, Y):
        table[rng.random(table.shape) < missing] = np.nan
    return X, Y


def test_last_value_is_the_last_label_that_arrived() -> None:
    labels = np.array([[1.0], [2.0], [np.nan], [4.0], [5.0]])
    inputs = np.zeros((5, 1))
    ahead = LastValue(1, 1, max_delay=1)
    np.testing.assert_array_equal(ahead.run(inputs, labels, horizon=2)[:, 0], [1, 2, 2, 4, 5])
    now = LastValue(1, 1)
    np.testing.assert_array_equal(now.run(inputs, labels, horizon=0)[:, 0], [0, 1, 2, 2, 4])


@pytest.mark.parametrize("horizon", [0, 1, 3, 7, 12])
@pytest.mark.parametrize("period", [None, 5, 12])
def test_naive_forecasts_in_pieces_and_after_resets(horizon: int, period: int | None) -> None:
    """The last label of this recording, or the one some periods before the one that is forecast."""
    delay = max(horizon - 1, 0)
    model = (
        LastValue(1, 2, max_delay=delay)
        if period is None
        else Seasonal(1, 2, period=period, max_delay=delay)
    )
    rng = np.random.default_rng(horizon)
    labels = rng.normal(size=(90, 2))
    labels[rng.random(labels.shape) < 0.2] = np.nan
    labels[[0, 60]] = 1.0, 2.0
    parts = [(0, 1), (1, 4), (4, 30), (30, 60), (60, 61), (61, 90)]
    made = []
    for begin, end in parts:
        if begin == 60:
            model.reset_state()
        made.append(model.run(np.zeros((end - begin, 1)), labels[begin:end], horizon=horizon))
    forecasts = np.concatenate(made)
    for first, last in ((0, 60), (60, 90)):
        filled = labels[first:last].copy()
        for row in range(1, len(filled)):
            filled[row] = np.where(np.isnan(filled[row]), filled[row - 1], filled[row])
        for row in range(horizon == 0, last - first):
            newest = row if horizon else row - 1
            repeated = newest
            if period is not None:
                back = next(n for n in range(1, 90) if row + horizon - n * period <= newest)
                same = row + horizon - back * period
                repeated = same if same >= 0 else newest
            expected = filled[repeated].astype(np.float32)
            np.testing.assert_array_equal(forecasts[first + row], expected)


def test_nlms_follows_its_formula() -> None:
    X, Y = walk(50)
    out = Nlms(2, 2, lags=2, scale_steps=0, step=0.3).run(X, Y, horizon=0)
    W = np.zeros((2, 5))
    before = np.zeros(2)
    for t, x in enumerate(X):
        f = np.concatenate([x, before, [1.0]])
        np.testing.assert_allclose(out[t], W @ f, rtol=1e-5, atol=1e-6)
        W += 0.3 * np.outer(Y[t] - W @ f, f) / (1 + f @ f)
        before = x


def test_rls_is_the_weighted_least_squares_solution() -> None:
    X, Y = walk(80)
    model = Rls(2, 2, lags=2, scale_steps=0, forget=0.95, prior=4.0)
    model.run(X[:-1], Y[:-1], horizon=0)
    F = np.column_stack([X, np.vstack([np.zeros((1, 2)), X[:-1]]), np.ones(80)])
    n = len(X) - 1
    weight = 0.95 ** np.arange(n - 1, -1, -1)
    A = (F[:n] * weight[:, None]).T @ F[:n] + 0.95**n / 4.0 * np.eye(5)
    W = np.linalg.solve(A, (F[:n] * weight[:, None]).T @ Y[:n])
    np.testing.assert_allclose(model.predict(X[-1]), F[-1] @ W, rtol=1e-4)


def test_rls_gives_each_output_the_labels_that_it_has() -> None:
    """Each output learns as if it were alone with its own labels."""
    X, Y = walk(120)
    Y[20:60, 1] = np.nan
    Y[70] = np.nan
    both = Rls(2, 2, lags=2).run(X, Y, horizon=0)
    for o in (0, 1):
        alone = Rls(2, 1, lags=2).run(X, Y[:, o : o + 1], horizon=0)
        np.testing.assert_allclose(both[:, o], alone[:, 0], rtol=1e-4, atol=1e-5)


def test_rls_survives_inputs_that_never_vary() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([np.full(30_000, 3.0), rng.normal(size=30_000)])
    Y = 2 * X[:, 1:]
    out = Rls(2, 1, forget=0.99).run(X, Y, horizon=0)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out[-100:], Y[-100:], rtol=1e-3, atol=1e-3)


def test_rls_is_stable_over_many_samples() -> None:
    """An asymmetry of rounding in P would grow by 1 / forget a step."""
    z = np.random.default_rng(0).normal(size=6000)
    errors = np.square(z[1:] - Rls(1, 1, lags=10, forget=0.99).run(z, z, horizon=1)[:-1, 0])
    assert errors[-1000:].mean() < 1.2 * errors[500:1500].mean()


def test_rls_learns_a_linear_process_ahead() -> None:
    wave = np.sin(np.arange(4000) * 0.3)[:, None] * 7 + 100
    out = Rls(1, 1, lags=2, max_delay=4).run(wave, wave, horizon=5)
    np.testing.assert_allclose(out[3000:-5], wave[3005:], atol=0.02)


def test_scaling_is_the_learners() -> None:
    """With a readout that stays 0, both forecast the running mean of the labels that arrived."""
    X, Y = walk(60, missing=0.2)
    settings = still(scale_steps=20, hold_missing=True, filter="sgd", sgd_rate=0.0)
    learner = Learner(2, 2, hidden=1, **settings).run(X, Y, horizon=1)
    baseline = Nlms(2, 2, scale_steps=20, step=1e-12).run(X, Y, horizon=1)
    np.testing.assert_allclose(baseline, learner, rtol=1e-4, atol=1e-5)


def test_missing_inputs_hold_the_last_scaled_value() -> None:
    X = np.array([[np.nan], [2.0], [np.nan], [3.0]])
    Y = np.ones((4, 1))
    held = np.array([[0.0], [2.0], [2.0], [3.0]])
    a = Rls(1, 1, lags=2, scale_steps=0).run(X, Y, horizon=0)
    b = Rls(1, 1, lags=2, scale_steps=0).run(held, Y, horizon=0)
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_labels_later_than_t_change_no_forecast_up_to_t(kind: type[Baseline], horizon: int) -> None:
    X, Y = walk(60, missing=0.1)
    later = Y.copy()
    later[31:] = 99.0
    out = kind(2, 2, max_delay=3).run(X, Y, horizon=horizon)
    changed = kind(2, 2, max_delay=3).run(X, later, horizon=horizon)
    np.testing.assert_array_equal(out[:31], changed[:31])
    assert not np.array_equal(out[31:], changed[31:])


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_give_the_same_as_the_whole(kind: type[Baseline]) -> None:
    X, Y = walk(50)
    whole = kind(2, 2, max_delay=1, lags=2).run(X, Y, horizon=2)
    model = kind(2, 2, max_delay=1, lags=2)
    pieces = [model.run(X[a:b], Y[a:b], horizon=2) for a, b in ((0, 1), (1, 1), (1, 30), (30, 50))]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))
    assert whole.dtype == np.float32
    assert model.pending == 2


@pytest.mark.parametrize("kind", KINDS)
def test_calls_out_of_turn_and_wrong_arrays_are_refused(kind: type[Baseline]) -> None:
    model = kind(2, 1)
    with pytest.raises(SequenceError, match="predict first"):
        model.learn([1.0])
    with pytest.raises(InputError, match=r"x has shape \(3,\): expected \(2,\)"):
        model.predict([1, 2, 3])
    with pytest.raises(InputError, match="infinite"):
        model.predict([1, np.inf])
    model.predict([1, 2])
    with pytest.raises(SequenceError, match="max_delay = 0"):
        model.predict([1, 2])
    with pytest.raises(SequenceError, match="learn them"):
        model.run(np.zeros((1, 2)), np.zeros(1), horizon=0)
    model.learn(1.0)
    with pytest.raises(InputError, match=r"horizon = 2: max_delay = 0 allows 0\.\.1"):
        model.run(np.zeros((3, 2)), np.zeros(3), horizon=2)
    with pytest.raises(InputError, match="Y has 2 rows and X has 3"):
        model.run(np.zeros((3, 2)), np.zeros(2), horizon=1)
    with pytest.raises(InputError, match="X has shape"):
        model.run(np.zeros(3), np.zeros(3), horizon=1)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (LastValue, {"lags": 0}),
        (LastValue, {"max_delay": -1}),
        (Nlms, {"scale_steps": -1}),
        (Nlms, {"step": 0.0}),
        (Nlms, {"step": 2.0}),
        (Rls, {"forget": 0.0}),
        (Rls, {"forget": 1.1}),
        (Rls, {"prior": 0.0}),
        (Rls, {"prior": float("inf")}),
    ],
)
def test_settings_out_of_range_are_refused(kind: type[Baseline], settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(ConfigError, match=f"{name} = "):
        kind(1, 1, **settings)
