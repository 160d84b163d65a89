"""Evaluation scores each forecast against its own target, and refuses to score nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from nbt_embed import Learner
from nbt_embed.baselines import LastValue, Rls
from nbt_embed.errors import InputError
from nbt_embed.evaluate import Scored, evaluate
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import from_arrays


class Echo:
    """Forecast the present input plus the horizon: right about a ramp of slope 1."""

    def run(self, X: ArrayLike, Y: ArrayLike, horizon: int = 0) -> NDArray[np.float32]:  # noqa: ARG002
        """Row t is X[t] + horizon."""
        return np.asarray(X, np.float32) + np.float32(horizon)


@pytest.mark.parametrize("horizon", [0, 1, 7])
def test_row_t_is_scored_against_row_t_plus_horizon(horizon: int) -> None:
    result = evaluate(Echo(), from_arrays(np.arange(50)), horizon)
    scored = 50 - max(2 * horizon, 1)  # a model has to have seen a label before
    assert (result.rmse, result.mae, result.nrmse, result.rows) == (0, 0, 0, scored)
    assert result.predictions.shape == (50, 1)
    assert result.us_per_step > 0


def test_scoring_starts_at_a_target_row_and_leaves_out_missing_targets() -> None:
    targets = np.arange(20.0)
    targets[12] = np.nan
    targets[5] = 1e6  # before score_from: must not count
    result = evaluate(Echo(), from_arrays(np.arange(20.0), targets), 3, score_from=10)
    assert (result.rows, result.rmse) == (9, 0)


def test_nothing_is_scored_before_the_model_has_seen_a_label() -> None:
    """Each target by itself: forecasts that were made after its first label was learnt."""
    targets = np.zeros((12, 3), np.float32)
    targets[:5, 1] = np.nan
    targets[:, 2] = np.nan
    for horizon, first in ((0, [1, 6, None]), (1, [2, 6, None]), (3, [6, 8, None])):
        whole = Scored(3, horizon)
        truths = whole.truths(0, targets)
        assert whole.first == first
        for target, row in enumerate(first):
            known = np.flatnonzero(~np.isnan(truths[:, target]))
            assert known.tolist() == list(range(12 if row is None else row, 12))
        pieces = Scored(3, horizon)
        parts = [pieces.truths(start, targets[start : start + 5]) for start in (0, 5, 10)]
        np.testing.assert_array_equal(np.concatenate(parts), truths)
    assert Scored(1, 1, score_from=7).truths(0, targets[:, :1]).tolist()[6:8] == [
        [pytest.approx(np.nan, nan_ok=True)],
        [0],
    ]


def test_scores_are_the_formulas_over_the_scored_rows() -> None:
    stream = simulated_sensor(700, seed=4)
    result = evaluate(LastValue(3, 3, max_delay=1), stream, 2, score_from=300)
    truth = stream.targets[300:].astype(float)
    error = result.predictions[298:-2] - truth
    spread = np.nansum((truth - np.nanmean(truth, axis=0)) ** 2, axis=0)
    assert result.rmse == pytest.approx(math.sqrt(np.nanmean(error**2)))
    assert result.mae == pytest.approx(np.nanmean(np.abs(error)))
    assert result.nrmse == pytest.approx(math.sqrt(np.nansum(error**2) / spread.sum()))
    expected = np.sqrt(np.nansum(error**2, axis=0) / spread)
    np.testing.assert_allclose(result.nrmse_per_target, expected)


def test_long_streams_are_fed_in_pieces_with_the_same_result() -> None:
    stream = simulated_sensor(2500)
    fed: list[int] = []
    result = evaluate(Learner(3, 3, hold_missing=True), stream, 1, progress=fed.append)
    assert sum(fed) == 2500
    assert len(fed) > 2
    whole = Learner(3, 3, hold_missing=True).run(stream.inputs, stream.targets, horizon=1)
    np.testing.assert_array_equal(result.predictions, whole)


def test_the_learner_beats_the_last_value() -> None:
    stream = simulated_sensor(3000)
    learner = evaluate(Learner(3, 3, max_delay=4, hold_missing=True), stream, 5, 1000)
    last = evaluate(LastValue(3, 3, max_delay=4), stream, 5, 1000)
    assert learner.nrmse < 0.5 * last.nrmse


@pytest.mark.parametrize(
    ("rows", "horizon", "score_from"),
    [(1, 0, 0), (1, 1, 0), (2, 1, 0), (6, 3, 0), (5, 1, 5), (5, 1, 100)],
)
def test_nothing_to_score_is_refused_before_anything_is_fed(
    rows: int, horizon: int, score_from: int
) -> None:
    model = Rls(1, 1, max_delay=9)
    with pytest.raises(InputError, match=f"nothing to score: the stream has {rows} rows"):
        evaluate(model, from_arrays(np.arange(rows)), horizon, score_from)
    assert model.pending == 0


def test_all_targets_missing_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to score"):
        evaluate(Echo(), from_arrays(np.arange(4), np.full(4, np.nan)))


@pytest.mark.parametrize(("horizon", "score_from", "name"), [(-1, 0, "horizon"), (1, -1, "score")])
def test_negative_rows_are_refused(horizon: int, score_from: int, name: str) -> None:
    with pytest.raises(InputError, match=name):
        evaluate(Echo(), from_arrays(np.arange(4)), horizon, score_from)


def test_an_error_of_the_model_tells_the_piece() -> None:
    inputs = np.arange(1500.0)
    inputs[1200] = np.nan
    with pytest.raises(InputError, match=r"rows 1000\.\.1499 of the stream.*X\[200, 0\]"):
        evaluate(Learner(1, 1), from_arrays(inputs))
