"""Online scores equal the formulas over the whole series."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nbt_embed.errors import InputError
from nbt_embed.metrics import RegressionScore, SymbolScore


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


@pytest.mark.parametrize("symbol", [2, -1, 0.5])
def test_symbols_outside_the_alphabet_are_refused(symbol: float) -> None:
    with pytest.raises(InputError, match=r"expected a class index in 0\.\.1"):
        SymbolScore().update([0.5, 0.5], symbol)


def test_symbol_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"probabilities \(2,\) and symbols \(1,\)"):
        SymbolScore().update([0.5, 0.5], [0])
