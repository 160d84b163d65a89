"""Anchors that a learner finds by itself, and what its guards did in which row."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed import Config, Learner, memory_of
from nbt_embed.anchor import find_anchor
from nbt_embed.errors import InputError
from nbt_embed.evaluate import evaluate
from nbt_embed.export import golden
from nbt_embed.streams import from_arrays

Array = NDArray[np.float32]
NAN = np.nan


def walk(steps: int = 300, channels: int = 3) -> Array:
    """Inputs that wander."""
    steps_ = np.random.default_rng(5).normal(size=(steps, channels))
    return np.cumsum(steps_, axis=0).astype(np.float32)


def found(X: Any, Y: Any, horizon: int = 1) -> tuple[int | None, ...]:
    return find_anchor(np.array(X, np.float32), np.array(Y, np.float32), horizon)


# ---- finding them ------------------------------------------------------------------------------


def test_an_output_is_anchored_to_the_input_that_it_repeats() -> None:
    x = walk()
    assert found(x, x) == (0, 1, 2)
    assert found(x, x[:, [2, 0]]) == (2, 0)
    assert found(x, np.column_stack([x[:, 1], x[:, 1] + 1, x[:, 0] * 2])) == (1, None, None)
    other = x.copy()
    other[-1, 0] += 1  # one row is enough
    assert found(x, other) == (None, 1, 2)


def test_missing_labels_say_nothing_and_missing_inputs_are_no_labels() -> None:
    x = walk()
    y = x.copy()
    y[::2] = NAN
    y[:, 2] = NAN
    assert found(x, y) == (0, 1, None)
    holes = x.copy()
    holes[7, 0] = NAN
    assert found(holes, x) == (None, 1, 2)
    assert found(holes, holes) == (0, 1, 2)


def test_of_equal_channels_the_same_number_is_taken_else_the_first() -> None:
    x = walk()
    same = np.column_stack([x[:, 0], x[:, 0], x[:, 0]])
    assert found(same, same) == (0, 1, 2)
    assert found(np.column_stack([x[:, 1], x[:, 0], x[:, 0]]), x[:, :1]) == (1,)


def test_a_machine_that_idles_does_not_tell_its_channels_apart() -> None:
    x = walk(400)
    x[:100] = 0
    assert found(x[:100], x[:100, 2:]) == (None,)
    assert found(x[:1], x[:1, 2:]) == (None,)
    assert found(x, x[:, 2:]) == (2,)
    levels = np.tile([5, 7, 7], (100, 1))
    assert found(levels, levels) == (0, None, None)
    # Anchored to a channel of another size, an output would never be learnt.
    x[:, 0] *= 1e-6
    x[:, 2] *= 1e6
    learner = Learner(3, 1, hidden=2)
    learner.run(x[:0], x[:0, 2:], horizon=1)  # decides nothing either
    pieces = [x[start : start + 100] for start in range(0, len(x), 100)]
    got = np.vstack([learner.run(piece, piece[:, 2:], horizon=1) for piece in pieces])
    steps = np.diff(x[200:, 2])
    assert np.mean((got[200:-1, 0] - x[201:, 2]) ** 2) < 1.5 * np.mean(steps**2)
    learner = Learner(3, 1)
    learner.run(x[:0], x[:0, 2:], horizon=1)
    learner.run(x, x[:, 2:], horizon=1)
    assert learner.anchor == (2,)


def test_a_label_of_the_future_stands_before_its_input_at_horizon_0() -> None:
    x = walk()
    assert found(x, x, 0) == (0, 1, 2)
    for ahead in (1, 5, 64):
        later = np.vstack([x[ahead:, [1]], np.full((ahead, 1), NAN, np.float32)])
        assert found(x, later, 0) == (1,)
        assert found(x[:-ahead], x[ahead:, :1], 0) == (0,)
    assert found(x[:-65], x[65:, :1], 0) == (None,)
    assert found(x[:-1], x[1:, :1], 1) == (None,)  # there the rows belong together
    assert found(x[:1], x[:1, :1], 0) == (0,)
    assert found(x[:0], x[:0, :1], 0) == (None,)


# ---- learners ----------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [0, 1, 2])
def test_run_finds_the_anchors_and_computes_as_if_it_had_been_told(horizon: int) -> None:
    x = walk()
    y = np.column_stack([x[:, 2], x[:, 0] ** 2])
    learner, told = (Learner(3, 2, max_delay=1, anchor=one) for one in (None, (2, None)))
    assert learner.anchor == (None, None)
    got, expected = (one.run(x, y, horizon=horizon) for one in (learner, told))
    np.testing.assert_array_equal(got, expected)
    assert learner.hash() == told.hash()
    assert learner.anchor == learner.config.anchor == (2, None)
    assert repr(learner) == "Learner(3, 2, max_delay=1, anchor=(2, None))"
    np.testing.assert_array_equal(learner.array("anchor"), [2, -1])


def test_only_a_learner_that_has_predicted_nothing_looks_for_anchors() -> None:
    x = walk()
    for pieces_before in (0, 1):
        learner = Learner(3, 1)
        if pieces_before:
            learner.run(x, x[:, :1] + 1, horizon=1)
        else:
            learner.predict(x[0])
        learner.run(x, x[:, :1], horizon=1)
        assert learner.anchor == (None,)
    pieces, whole = Learner(3, 1), Learner(3, 1)
    whole.run(x, x[:, :1], horizon=1)
    for piece in (x[:100], x[100:]):
        pieces.run(piece, piece[:, :1], horizon=1)
    assert pieces.hash() == whole.hash()


@pytest.mark.parametrize("settings", [{"anchor": (None,)}, {"anchored": False}, {"follow": False}])
def test_nothing_is_looked_for_where_the_settings_say_so(settings: dict[str, Any]) -> None:
    x = walk()
    learner = Learner(3, 1, **settings)
    learner.run(x, x[:, :1], horizon=1)
    assert learner.anchor == (None,)
    assert learner.config == Config(3, 1, **settings)


def test_an_anchor_that_was_found_is_kept(tmp_path: Path) -> None:
    x = walk()
    learner = Learner(3, 1)
    learner.run(x, x[:, 1:2], horizon=1)
    learner.save(tmp_path / "learner.nbt")
    for one in (copy.copy(learner), Learner.load(tmp_path / "learner.nbt")):
        assert one.anchor == (1,)
        assert one.config == learner.config
        assert one.hash() == learner.hash()
    # Before the first sample nothing has been found, and "none" stays what was said.
    for anchor, later in ((None, (1,)), ((None,), (None,))):
        fresh = pickle.loads(pickle.dumps(Learner(3, 1, anchor=anchor)))
        fresh.run(x, x[:, 1:2], horizon=1)
        assert fresh.anchor == later


def test_find_anchor_serves_a_loop_and_refuses_what_run_refuses() -> None:
    x = walk()
    loop, whole = Learner(3, 1), Learner(3, 1)
    loop.find_anchor(x, x[:, :1], horizon=1)
    expected = whole.run(x, x[:, :1], horizon=1)
    for t, row in enumerate(x):
        if loop.pending:
            loop.learn(row[:1])
        np.testing.assert_array_equal(loop.predict(row), expected[t])
    assert loop.hash() == whole.hash()
    fresh = Learner(3, 1)
    for arguments, message in (
        ((x, x[:-1, :1]), "one label row each"),
        ((x[:, :2], x[:, :1]), "X has shape"),
        ((x, x), "Y has shape"),
    ):
        with pytest.raises(InputError, match=message):
            fresh.find_anchor(*arguments, horizon=1)
    with pytest.raises(InputError, match="horizon = 3"):
        fresh.find_anchor(x, x[:, :1], horizon=3)


def test_a_quiet_start_decides_nothing_where_the_whole_stream_is_there() -> None:
    """In its first thousand rows the target repeats an input, and later it does not."""
    x = walk(2500)
    y = x[:, :1].copy()
    x[:1000] = y[:1000] = 0
    y[1000:] = 5 * x[1000:, :1] ** 2
    learner = Learner(3, 1)
    evaluate(learner, from_arrays(x, y))
    assert learner.anchor == (None,)
    y[1000:] = x[1000:, 2:]
    other = Learner(3, 1, hidden=2)
    evaluate(other, from_arrays(x, y))
    assert other.anchor == (2,)


def test_an_input_that_is_its_own_label_is_forecast_exactly_at_horizon_0() -> None:
    x = 1e5 + walk(500, 1)
    got = Learner(1, 1).run(x, x, horizon=0)
    np.testing.assert_allclose(got, x, rtol=1e-6)


def test_a_learner_without_anchor_is_hardly_worse_than_last_value() -> None:
    x = 1e4 + walk(2000, 1)
    learner = Learner(1, 1)
    forecasts = []
    for row in x:
        if learner.pending:
            learner.learn(row)
        forecasts.append(learner.predict(row)[0])
    error = np.sqrt(np.mean((np.array(forecasts)[200:-1] - x[201:, 0]) ** 2))
    assert error < 1.1 * np.sqrt(np.mean(np.diff(x[200:, 0]) ** 2))


# ---- what the guards did, and when -------------------------------------------------------------


def test_the_rows_of_a_guard_are_those_in_which_its_counter_grew() -> None:
    """Against a loop that looks at the counters after every row."""
    x = walk(700, 1)
    x[300] += 1000
    x[450:500] = x[450]
    x[600:] *= 100
    settings: dict[str, Any] = {"stuck_steps": 20, "hidden": 3, "max_delay": 1, "anchor": (0,)}
    learner, loop = Learner(1, 1, **settings), Learner(1, 1, **settings)
    learner.run(x, x, horizon=2)
    grew: dict[str, list[int]] = {name: [] for name in learner.guard_rows}
    assert sorted(grew) == sorted(set(vars(loop.counters)) - {"predictions", "labels", "missing"})
    for t, row in enumerate(x):
        before = loop.counters
        if loop.pending == 2:
            loop.learn(row)
        loop.predict(row)
        for name, rows in grew.items():
            if getattr(loop.counters, name) > getattr(before, name):
                rows.append(t)
    assert {name: rows.tolist() for name, rows in learner.guard_rows.items()} == grew
    for name in ("clipped", "limited", "stuck", "moved"):
        assert grew[name], name
    assert 300 in grew["clipped"]


def test_rows_are_counted_from_the_start_of_a_run_and_of_a_stream() -> None:
    x = walk(2300, 1)
    x[1500:] *= 100
    learner = Learner(1, 1, hidden=3)
    assert all(not len(rows) for rows in learner.guard_rows.values())
    result = evaluate(learner, from_arrays(x))
    whole = Learner(1, 1, hidden=3)
    whole.run(x, x, horizon=1)
    for name, rows in whole.guard_rows.items():
        np.testing.assert_array_equal(result.guard_rows[name], rows)
    assert any(1500 <= row < 1600 for row in result.guard_rows["moved"])
    # The learner itself knows those of the last piece alone.
    last = result.guard_rows["moved"][result.guard_rows["moved"] >= 2000] - 2000
    np.testing.assert_array_equal(learner.guard_rows["moved"], last)


def test_a_run_that_ends_early_tells_what_happened_until_then() -> None:
    learner = Learner(1, 1, hidden=2)
    x = walk(50, 1)
    learner.run(x, x, horizon=1)
    x[30:] *= 1e30  # beyond what is taken
    with pytest.raises(InputError, match="row 30"):
        learner.run(x, x, horizon=1)
    assert all(rows.max(initial=0) <= 30 for rows in learner.guard_rows.values())


def test_an_anchor_takes_bytes_only_where_there_may_be_one() -> None:
    assert memory_of(Config(2, 2, anchored=False)).total < memory_of(Config(2, 2)).total


def test_golden_labels_lie_around_the_anchor() -> None:
    """An anchored output has no units of its own: labels around 0 would not be those of 1e6."""
    x = 1e6 + walk(300, 1)
    learner = Learner(1, 1, hidden=2)
    learner.run(x, x, horizon=1)
    labels = golden(learner).samples[:, 1]
    assert np.abs(labels[~np.isnan(labels)] - x.mean()).max() < 20 * x.std()
