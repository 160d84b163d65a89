"""A trial: all models side by side in one pass, scored as if each had the stream for itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("polars", reason="needs the extra [app]")

from nbt_embed import Config, Learner
from nbt_embed.alarm import events
from nbt_embed.app.alarms import AlarmRows
from nbt_embed.app.document import run_document
from nbt_embed.app.reading import ReadOptions, read
from nbt_embed.app.recording import from_stream
from nbt_embed.app.trial import Plan, Trial, run_trial
from nbt_embed.baselines import LastValue, Nlms, Seasonal
from nbt_embed.errors import InputError
from nbt_embed.evaluate import Model, evaluate
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream, from_arrays


def trial(stream: Stream, config: Config, **plan: Any) -> Trial:
    with from_stream(stream, "a stream") as recording:
        return run_trial(recording, config, Plan(**plan))


def figures(result: Trial, key: str, name: str, horizon: int = 0) -> list[float]:
    return [one[name] for one in result.horizons[horizon].models[key].figures]


@pytest.fixture(scope="module")
def sensor() -> Stream:
    """Return a short stream with missing values, longer than one block."""
    return simulated_sensor(1500)


CONFIG = Config(3, 3, hidden=4, hold_missing=True)


def test_every_model_has_the_scores_that_it_has_alone(sensor: Stream) -> None:
    horizons = (0, 1, 5)
    result = trial(sensor, CONFIG, horizons=horizons, period=12)
    for index, horizon in enumerate(horizons):
        delay = max(horizon - 1, 0)
        models: dict[str, Model] = {
            "learner": Learner(replace(CONFIG, max_delay=delay)),
            "frozen": Learner(replace(CONFIG, max_delay=delay, estimator="frozen")),
            "rls": Learner(3, 3, hidden=0, hold_missing=True, max_delay=delay),
            "nlms": Nlms(3, 3, lags=2, max_delay=delay),
            "last": LastValue(3, 3, max_delay=delay),
            "seasonal": Seasonal(3, 3, period=12, max_delay=delay),
        }
        assert list(result.horizons[index].models) == list(models)
        for key, model in models.items():
            alone = evaluate(model, sensor, horizon)
            found = figures(result, key, "nrmse", index)
            np.testing.assert_allclose(found, alone.nrmse_per_target, rtol=1e-12, err_msg=key)
        first = max(2 * horizon, 1)
        assert all(row is not None and row >= first for row in result.horizons[index].first)


def test_what_the_learner_says_is_what_it_says_alone(sensor: Stream) -> None:
    result = trial(sensor, CONFIG, horizons=(3,), threshold=0.99, hold_off=5)
    one = result.horizons[0]
    alone = Learner(replace(CONFIG, max_delay=2))
    run = alone.run(sensor.inputs, sensor.targets, horizon=3, intervals=True, anomaly=True)
    assert one.learner.hash() == alone.hash()
    assert run.anomaly is not None
    told = [rows.tolist() for rows in events(run.anomaly, 0.99, 5)]
    assert one.alarms
    assert [
        [event.row for event in one.alarms if event.target == target] for target in range(3)
    ] == told
    assert run.intervals is not None
    for target, levels in enumerate(one.intervals or ()):
        truth = sensor.targets[one.first[target] :, target]
        for index, level in enumerate(levels):
            low, high = run.intervals[:-3, target, 2 * index : 2 * index + 2].T[:, -len(truth) :]
            inside = ((low <= truth) & (truth <= high))[~np.isnan(truth)]
            assert level["coverage"] == pytest.approx(inside.mean())
    for name, rows in alone.guard_rows.items():
        np.testing.assert_array_equal(one.guard_rows.get(name, np.empty(0)), rows)
    track = result.pictures.tracks[1]
    np.testing.assert_array_equal(track.row, np.arange(1500))
    np.testing.assert_array_equal(track.truth, sensor.targets[:, 1])
    np.testing.assert_array_equal(track.forecast[3:], run.y[:-3, 1])


def test_another_recording_begins_without_what_waited() -> None:
    """Reset within a stream: as if the learner had been told reset_state, and nothing across."""
    stream = simulated_sensor(900, missing=0)
    with from_stream(stream, "a") as recording:
        whole = list(recording.blocks(300))
    blocks = [replace(block, reset=block.start == 600) for block in whole]

    class Broken:
        rows, title, target_names, anchor = 900, "a", stream.target_names, None

        def blocks(self, _: int) -> Any:
            return iter(blocks)

    config = Config(3, 3, hidden=3)
    result = run_trial(Broken(), config, Plan((4,)))  # type: ignore[arg-type]
    alone = Learner(replace(config, max_delay=3))
    alone.find_anchor(stream.inputs, stream.targets, horizon=4)
    first = alone.run(stream.inputs[:600], stream.targets[:600], horizon=4)
    alone.reset_state()
    second = alone.run(stream.inputs[600:], stream.targets[600:], horizon=4)
    assert result.horizons[0].learner.hash() == alone.hash()
    errors = np.concatenate([first[4:-4], second[:-4]]) - np.concatenate(
        [stream.targets[8:600], stream.targets[604:]]
    )
    np.testing.assert_allclose(
        figures(result, "learner", "rmse"), np.sqrt(np.square(errors, dtype=float).mean(axis=0))
    )
    assert result.horizons[0].counts == [len(errors)] * 3
    assert np.isnan(result.pictures.tracks[0].forecast[600:604]).all()


def test_classes_are_scored_in_bits_beside_the_usual_and_the_last_class() -> None:
    rng = np.random.default_rng(1)
    state = np.arange(1200) // 7 % 3
    inputs = (np.eye(3)[state] + 0.1 * rng.normal(size=(1200, 3))).astype(np.float32)
    labels = state[:, np.newaxis].astype(np.float32)
    labels[::50] = np.nan
    stream = Stream(inputs, labels, ("a", "b", "c"), ("status",))
    result = trial(stream, Config(3, 3, hidden=4, link="categorical"), horizons=(2,))
    one = result.horizons[0]
    assert list(one.models) == ["learner", "frozen", "rls", "last", "majority"]
    alone = Learner(3, 3, hidden=4, link="categorical", max_delay=1)
    p = alone.run(inputs, labels, horizon=2)
    scored = np.arange(4, 1200)[~np.isnan(labels[4:, 0])]
    came = labels[scored, 0].astype(int)
    forecasts = p[scored - 2]
    expected = -np.log2(forecasts[np.arange(len(came)), came].astype(float)).mean()
    assert figures(result, "learner", "bits") == pytest.approx([expected])
    right = (forecasts.argmax(axis=1) == came).mean()
    assert figures(result, "learner", "accuracy") == pytest.approx([right])
    assert figures(result, "last", "bits")[0] < figures(result, "majority", "bits")[0]
    assert figures(result, "majority", "bits")[0] == pytest.approx(np.log2(3), abs=0.05)
    with from_stream(stream, "a") as recording:
        document = run_document(recording, result, ["run"], "text")
    assert document["horizons"][0]["targets"][0]["scores"]["learner"].keys() == {"bits", "accuracy"}


def test_probabilities_of_ones_are_scored_in_bits() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(800, 1)).astype(np.float32)
    stream = Stream(x, (x > 0).astype(np.float32), ("x",), ("positive",))
    result = trial(stream, Config(1, 1, hidden=3, link="bernoulli"), horizons=(0,))
    assert figures(result, "learner", "accuracy")[0] > 0.95
    assert figures(result, "learner", "bits")[0] < 0.3


def test_learners_that_are_a_baseline_themselves_stand_alone() -> None:
    stream = from_arrays(np.sin(np.arange(300.0)))
    result = trial(stream, Config(1, 1, hidden=0), horizons=(1,))
    assert list(result.horizons[0].models) == ["learner", "nlms", "last"]
    result = trial(stream, Config(1, 1, hidden=2, estimator="frozen"), horizons=(1,))
    assert list(result.horizons[0].models) == ["learner", "rls", "nlms", "last"]


def test_nothing_to_score_is_refused() -> None:
    stream = from_arrays(np.arange(9.0))
    for plan in ({"horizons": (5,)}, {"horizons": (1,), "score_from": 9}):
        with pytest.raises(InputError, match="nothing to score: a stream has 9 rows"):
            trial(stream, Config(1, 1, hidden=2), **plan)


def test_a_quiet_start_hides_no_anchor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that stands at 0 for longer than is looked at is still the future of its column."""
    monkeypatch.setattr("nbt_embed.app.trial.ANCHOR_ROWS", 50)
    values = np.concatenate([np.zeros(200), 100 + np.arange(300) % 7])
    path = tmp_path / "quiet.csv"
    path.write_text("a,b\n" + "".join(f"{value},{i % 5}\n" for i, value in enumerate(values)))
    with read([path], ReadOptions(targets=("a",))) as recording:
        result = run_trial(recording, Config(2, 1, hidden=2), Plan((1,)))
    assert result.config.anchor == (0,)
    with from_stream(from_arrays(values), "a stream") as recording:
        found = run_trial(recording, Config(1, 1, hidden=2), Plan((1,)))
    assert found.config.anchor == (None,)


@pytest.mark.parametrize("hold_off", [0, 1, 3, 100])
def test_alarms_of_pieces_are_the_events_of_the_whole(hold_off: int) -> None:
    rng = np.random.default_rng(hold_off)
    scores = rng.random(400).astype(np.float32)
    scores[rng.random(400) < 0.1] = np.nan
    alarms = AlarmRows(0.8, hold_off)
    cuts = [0, 1, 50, 51, 200, 400]
    told = [alarms.told(a, scores[a:b]).tolist() for a, b in pairwise(cuts)]
    assert list(chain.from_iterable(told)) == events(scores, 0.8, hold_off)[0].tolist()
