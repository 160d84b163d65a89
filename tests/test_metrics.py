"""Online scores equal the formulas over the whole series."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nbt_embed.errors import InputError
from nbt_embed.metrics import (
    RegressionScore,
    SymbolScore,
    brier_score,
    coverage,
    interval_score,
    log_loss,
    pinball_loss,
    reliability,
)


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_pieces_of_any_size_give_the_formulas(piece: int) -> None:
    rng = np.random.default_rng(0)
    truth = 1e4 + rng.normal(size=(200, 3)) * [1, 10, 0.1]  # large mean: cancellation would show
    forecast = truth + rng.normal(size=truth.shape) * [0.5, 1, 0.2]
    truth[rng.random(truth.shape) < 0.3] = np.nan
    truth[5] = np.nan
    score = RegressionScore(3)
    for start in range(0, 200, piece):
        score.update(forecast[start : start + piece], truth[start : start + piece])
    error = forecast - truth
    spread = np.nansum((truth - np.nanmean(truth, axis=0)) ** 2, axis=0)
    squared = np.nansum(error**2, axis=0)
    assert score.rows == np.isfinite(truth).any(axis=1).sum()
    assert score.mae == pytest.approx(np.nanmean(np.abs(error)))
    assert score.rmse == pytest.approx(math.sqrt(np.nanmean(error**2)))
    assert score.nrmse == pytest.approx(math.sqrt(squared.sum() / spread.sum()))
    np.testing.assert_allclose(score.nrmse_per_target, np.sqrt(squared / spread))


def test_a_row_without_batch_axis_is_one_sample() -> None:
    score = RegressionScore(2)
    score.update([1.0, 2.0], [0.0, math.nan])
    assert (score.rows, score.mae, score.rmse) == (1, 1.0, 1.0)


def test_figures_that_do_not_exist_are_nan() -> None:
    score = RegressionScore(1)
    assert math.isnan(score.mae)
    assert math.isnan(score.rmse)
    assert math.isnan(score.nrmse)
    score.update([[1.0], [1.0]], [[math.nan], [2.0]])
    assert (score.rows, score.mae) == (1, 1.0)
    assert math.isnan(score.nrmse)  # one value does not vary
    assert math.isnan(score.nrmse_per_target[0])


def test_a_forecast_that_is_not_finite_spoils_the_score() -> None:
    score = RegressionScore(1)
    score.update([[math.nan], [1.0], [2.0]], [[1.0], [2.0], [3.0]])
    assert math.isnan(score.rmse)


def test_no_rows_change_nothing() -> None:
    score = RegressionScore(2)
    score.update(np.zeros((0, 2)), np.zeros((0, 2)))
    assert score.rows == 0


@pytest.mark.parametrize("shapes", [((2,), (3,)), ((1, 3), (1, 3)), ((), ()), ((1, 1, 2),) * 2])
def test_shapes_that_do_not_fit_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(InputError, match=r"expected both as \(2,\) or \(T, 2\)"):
        RegressionScore(2).update(np.zeros(shapes[0]), np.zeros(shapes[1]))
    with pytest.raises(InputError, match="n_out = 0"):
        RegressionScore(0)


def test_bits_per_symbol_leave_out_missing_symbols() -> None:
    score = SymbolScore()
    assert math.isnan(score.bits_per_symbol)
    score.update([0.125, 0.875], 0)
    score.update([[0.5, 0.5], [0.3, 0.7]], [1, math.nan])
    assert score.symbols == 2
    assert score.bits_per_symbol == pytest.approx((3 + 1) / 2)
    score.update([0.0, 1.0], 0)
    assert score.bits_per_symbol == math.inf


@pytest.mark.parametrize("symbol", [2, -1, 0.5, math.inf, -1e300])
def test_symbols_outside_the_alphabet_are_refused(symbol: float) -> None:
    with pytest.raises(InputError, match=r"expected a class index in 0\.\.1"):
        SymbolScore().update([0.5, 0.5], symbol)


def test_symbol_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"probabilities \(2,\) and symbols \(1,\)"):
        SymbolScore().update([0.5, 0.5], [0])


NAN, INF = math.nan, math.inf


def test_coverage_counts_both_ends_and_leaves_out_what_is_missing() -> None:
    assert coverage([0.0] * 4, [1.0] * 4, [0.0, 1.0, 1.0001, -0.0001]) == 0.5
    assert coverage([0.0, NAN], [1.0, NAN], [2.0, NAN]) == 0.0
    assert coverage([-INF], [INF], [1e30]) == 1.0
    masked = np.ma.masked_array([0.5, 9.0], mask=[False, True])
    assert coverage([0.0, 0.0], [1.0, 1.0], masked) == 1.0
    assert coverage(np.zeros((2, 3)), np.ones((2, 3)), np.full((2, 3), 0.5)) == 1.0


def test_the_interval_score_is_the_width_and_a_fine() -> None:
    # Level 0.8: 2/alpha = 10. Inside, at the end, 0.2 below and 0.1 above.
    scores = [1.0, 1.0, 1.0 + 10 * 0.2, 1.0 + 10 * 0.1]
    truths = [0.5, 1.0, -0.2, 1.1]
    for truth, score in zip(truths, scores, strict=True):
        assert interval_score([0.0], [1.0], [truth], 0.8) == pytest.approx(score)
    both = interval_score([0.0] * 4, [1.0] * 4, truths, 0.8)
    assert both == pytest.approx(sum(scores) / 4)
    assert interval_score([0.0], [1.0], [3.0], 0.5) == pytest.approx(1 + 4 * 2)
    assert interval_score([-INF], [INF], [0.0], 0.8) == INF
    assert interval_score([0.0], [INF], [-1.0], 0.8) == INF
    assert interval_score([INF], [INF], [0.0], 0.8) == INF


def test_the_interval_score_is_the_sum_of_two_pinball_losses() -> None:
    rng = np.random.default_rng(0)
    low, y = rng.normal(size=(2, 50))
    high = low + rng.random(50)
    losses = pinball_loss(low, y, 0.1) + pinball_loss(high, y, 0.9)
    assert interval_score(low, high, y, 0.8) == pytest.approx(2 / 0.2 * losses)


def test_true_quantiles_have_the_best_interval_score_and_pinball_loss() -> None:
    y = np.random.default_rng(1).normal(size=20_000)
    ends = [0.9, 1.2816, 1.7]
    scores = [interval_score(np.full(y.size, -z), np.full(y.size, z), y, 0.8) for z in ends]
    losses = [pinball_loss(np.full(y.size, z), y, 0.9) for z in ends]
    assert scores[1] == min(scores)
    assert losses[1] == min(losses)
    assert scores[1] == pytest.approx(2 * 0.17550 / 0.1, rel=0.02)


def test_the_pinball_loss_weighs_both_sides() -> None:
    assert pinball_loss([1.0], [3.0], 0.9) == pytest.approx(0.9 * 2)
    assert pinball_loss([1.0], [0.5], 0.9) == pytest.approx(0.1 * 0.5)
    assert pinball_loss([1.0, 5.0], [1.0, NAN], 0.9) == 0.0


def test_the_log_loss_of_both_distributions() -> None:
    normal = math.log(2) + 0.5 * math.log(2 * math.pi) + 0.5
    assert log_loss([1.0], [2.0], [3.0]) == pytest.approx(normal)
    # One degree of freedom is Cauchy: p = 1 / (pi s (1 + z^2)).
    assert log_loss([1.0], [2.0], [3.0], 1) == pytest.approx(math.log(math.pi * 2 * 2))
    # Two: p = 1 / (s (2 + z^2)^1.5).
    assert log_loss([1.0], [2.0], [3.0], 2) == pytest.approx(math.log(2 * 3**1.5))
    assert log_loss([1.0], [2.0], [3.0], 1e9) == pytest.approx(normal)
    each = log_loss([1.0] * 3, [2.0] * 3, [3.0] * 3, [1, INF, 2])
    assert each == pytest.approx((math.log(4 * math.pi) + normal + math.log(2 * 3**1.5)) / 3)
    assert log_loss([1.0, 1.0], [2.0, 2.0], [3.0, NAN], [1, 2]) == pytest.approx(
        math.log(4 * math.pi)
    )


def test_the_brier_score_of_events_and_of_classes() -> None:
    assert brier_score([0.5, 0.2, 0.9], [1, 0, NAN]) == pytest.approx((0.25 + 0.04) / 2)
    assert brier_score([[0.5, 0.5], [1.0, 0.0]], [1, 1]) == pytest.approx((0.5 + 2.0) / 2)
    assert brier_score([0.2, 0.8], 1) == pytest.approx(0.08)
    assert brier_score([[0.2, 0.9]], [[0, 1]]) == pytest.approx((0.04 + 0.01) / 2)
    # Classes with one column for two outcomes are not events.
    assert brier_score([[1.0]], [0]) == 0.0


def test_the_reliability_table_counts_what_came() -> None:
    table = reliability([0.0, 0.05, 0.1, 0.95, 1.0, 0.5], [0, 1, 0, 1, 1, NAN])
    assert table.count.tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    np.testing.assert_allclose(table.mean[[0, 1, 9]], [0.025, 0.1, 0.975])
    np.testing.assert_allclose(table.frequency[[0, 1, 9]], [0.5, 0.0, 1.0])
    assert np.isnan(table.mean[2:9]).all()
    assert np.isnan(table.frequency[2:9]).all()
    np.testing.assert_allclose(table.edges, np.arange(11) / 10)
    expected = (2 * 0.475 + 1 * 0.1 + 2 * 0.025) / 5
    assert table.error == pytest.approx(expected)
    # Every class counts: three probabilities of each row.
    assert reliability([0.29, 0.31], [0, 1]).count.tolist() == [0, 0, 1, 1, 0, 0, 0, 0, 0, 0]
    classes = reliability([[0.7, 0.2, 0.1]] * 2, [0, 2], bins=1)
    assert (classes.count[0], classes.mean[0], classes.frequency[0]) == (
        6, pytest.approx(1 / 3), pytest.approx(1 / 3),
    )  # fmt: skip


def test_probabilities_that_are_true_are_reliable() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(50_000)
    came = rng.random(p.size) < p
    assert reliability(p, came).error < 0.01
    assert reliability(np.sqrt(p), came).error > 0.1
    assert brier_score(p, came) == pytest.approx(1 / 6, abs=0.003)


@pytest.mark.parametrize("known", [False, True])
def test_where_nothing_was_scored_figures_are_nan(known: bool) -> None:
    truths: list[float] = [NAN, NAN] if known else []
    zeros, ones = [0.0] * len(truths), [1.0] * len(truths)
    figures = [
        coverage(zeros, ones, truths),
        interval_score(zeros, ones, truths, 0.8),
        pinball_loss(zeros, truths, 0.5),
        log_loss(zeros, ones, truths),
        brier_score(ones, truths),
        reliability(ones, truths).error,
    ]
    assert np.isnan(figures).all()
    assert reliability(ones, truths).count.sum() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: coverage([0], [1, 1], [0, 0]),
            r"lower \(1,\) and truths \(2,\): expected the same",
        ),
        (lambda: coverage([0, 0], [1], [0, 0]), r"upper \(1,\) and truths \(2,\)"),
        (lambda: coverage([[0]], [[1]], [0]), r"lower \(1, 1\) and truths \(1,\)"),
        (
            lambda: coverage([0, 2], [1, 1], [0, 0]),
            "lower = 2 is above upper = 1 in 1 of 2 .* swap",
        ),
        (lambda: interval_score([INF], [-INF], [0], 0.8), "lower = inf is above upper = -inf"),
        (lambda: coverage([0, NAN], [1, 1], [0, 0]), r"lower\[1\] is NaN and its truth is known"),
        (lambda: interval_score([0], [1], [0], 1), "level = 1: expected a share between 0 and 1"),
        (lambda: interval_score([0], [1], [0], 80), "level = 80"),
        (lambda: pinball_loss([0], [0], NAN), "level = nan"),
        (lambda: pinball_loss([NAN], [0], 0.5), r"quantiles\[0\] is NaN"),
        (lambda: log_loss([0], [0], [0]), "scales holds 0: expected values above 0"),
        (lambda: log_loss([0], [1], [0], -1), "freedom holds -1"),
        (lambda: log_loss([0], [1], [0], [1, 1]), r"freedom \(2,\) and truths \(1,\)"),
        (lambda: log_loss([0], [1], [0], NAN), "freedom.* is NaN"),
        (lambda: brier_score([1.1], [1]), "probabilities hold 1.1: expected values from 0 to 1"),
        (lambda: brier_score([NAN], [1]), "probabilities hold nan"),
        (lambda: brier_score([0.5], [0.5]), "outcomes hold 0.5: expected 0 or 1, or NaN"),
        (
            lambda: brier_score([[0.5, 0.5]], [2]),
            r"outcomes hold 2: expected a class index in 0\.\.1",
        ),
        (lambda: brier_score([0.5, 0.5], [1]), r"probabilities \(2,\) and outcomes \(1,\)"),
        (lambda: brier_score(np.zeros((2, 0)), [0, 0]), r"probabilities \(2, 0\) and outcomes"),
        (lambda: reliability([0.5], [1], bins=0), "bins = 0: expected at least 1"),
    ],
)
def test_arrays_that_cannot_be_scored_are_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
