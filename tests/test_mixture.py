"""The mixture of forecasts: its weights, and that it is never far from the best of them."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from test_units import error, forecasts, wave

from nbt_embed import Learner
from nbt_embed.errors import CheckpointError


def test_weights_sum_to_one_and_every_forecast_can_come_back() -> None:
    x = np.column_stack([wave(500), wave(500, seed=1)])
    learner = Learner(2, 2, hidden=4)
    assert learner.array("weight") == pytest.approx(np.full((2, 4), 0.25))
    for row in x:
        if learner.pending:
            learner.learn(row)
        learner.predict(row)
        weight = learner.array("weight")
        assert weight.sum(axis=1) == pytest.approx(1, abs=1e-6)
        assert (weight >= 0.99e-3 / 4).all()


def test_a_walk_is_left_to_its_last_value_and_a_wave_is_not() -> None:
    walk = np.random.default_rng(0).normal(size=5000).cumsum()
    assert error(forecasts(walk), walk, 2000) < 1.02 * error(walk, walk, 2000)
    x = wave(5000)
    assert error(forecasts(x), x, 2000) < 0.8 * error(x, x, 2000)


def test_the_variance_is_the_error_of_the_mixture() -> None:
    x = 100 * wave(3000)
    learner = Learner(1, 1)
    found = learner.run(x, x, horizon=1)[:, 0].astype(float)
    expected = error(found, x, 2000)
    assert np.sqrt(learner.variance()[0]) == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize(
    "left_out",
    [
        {"slow_forget": 0},
        {"linear_lags": 0, "linear_forget": 0},
        {"hidden": 0},
        {"prior_units": False},
    ],
)
def test_every_part_can_be_left_out(left_out: dict[str, Any]) -> None:
    x = wave(2500)
    learner = Learner(1, 1, **({"hidden": 8} | left_out))
    y = learner.run(x, x, horizon=1)[:, 0].astype(float)
    assert error(y, x, 1500) < 0.85 * error(x, x, 1500)
    assert np.isfinite(y).all()


def test_an_output_without_anchor_is_learnt_too() -> None:
    x = np.column_stack([wave(3000), wave(3000, seed=1)])
    y = 1e5 + 300 * (0.4 * x[:, :1] - 0.7 * x[:, 1:]) ** 2
    learner = Learner(2, 1, hidden=16, anchor=(None,))
    found = learner.run(x, y, horizon=0)
    residual = np.sqrt(np.mean((found[1500:] - y[1500:]) ** 2))
    assert residual < 0.6 * y[1500:].std()


def test_what_is_learnt_of_a_missing_label_is_nothing() -> None:
    learner = Learner(1, 1)
    x = wave(300)
    learner.run(x, x, horizon=1)
    arrays = ("weight", "mix_error", "slow", "linear", "slow_noise", "linear_noise", "readout")
    before = {name: learner.array(name) for name in arrays}
    learner.learn(np.nan)
    for name in arrays:
        np.testing.assert_array_equal(learner.array(name), before[name])


# Of the label that the slow readout learns in parts a checkpoint ends with: part, place, c; targets
# or errors (O); two rows of F; then comes the CRC.
OUTPUTS = 2


def under_way(learner: Learner) -> NDArray[np.float32]:
    """The words of a checkpoint from part to errors."""
    words = np.frombuffer(learner.to_bytes(), "<f4")
    first = len(words) - 1 - 2 * learner.array("slow").shape[1] - OUTPUTS - 3
    return words[first : first + 3 + OUTPUTS]


def go_on(learner: Learner, x: NDArray[np.float64], steps: int, label: float | None = None) -> None:
    """So many labels, those of the second output perhaps other ones."""
    for _ in range(steps):
        t = learner.counters.predictions
        learner.predict(x[t])
        learner.learn([x[t + 1, 0], x[t, 1] if label is None else label])


def half_way(part: int) -> tuple[Learner, NDArray[np.float64]]:
    """A learner before this part, whose label under way has one output; its units are fixed."""
    x = np.random.default_rng(5).uniform(-1, 1, (300, 2))
    learner = Learner(2, OUTPUTS, hidden=4, anchor=(0, None))
    go_on(learner, x, 200)
    while under_way(learner)[0] > 0:
        go_on(learner, x, 1)
    go_on(learner, x, 8 + part, label=np.nan)
    return learner, x


@pytest.mark.parametrize("part", range(4))
def test_a_learner_is_saved_in_the_middle_of_a_label(part: int) -> None:
    learner, x = half_way(part)
    words = under_way(learner)
    assert words[0] == part
    assert np.isnan(words[4])
    loaded = Learner.from_bytes(learner.to_bytes())
    assert loaded.hash() == learner.hash()
    for _ in range(10):
        for one in (learner, loaded):
            go_on(one, x, 1)
        assert loaded.to_bytes() == learner.to_bytes()


def test_the_slow_readout_moves_with_the_last_of_four_labels() -> None:
    learner, x = half_way(0)
    moved = []
    for _ in range(12):
        before = learner.array("slow").tobytes()
        go_on(learner, x, 1)
        moved.append(learner.array("slow").tobytes() != before)
    assert moved == [False, False, False, True] * 3


@pytest.mark.parametrize(
    ("word", "bits"),
    [
        pytest.param(0, 0x40800000, id="part 4"),
        pytest.param(0, 0x3F000000, id="half a part"),
        pytest.param(0, 0xBF800000, id="part -1"),
        pytest.param(1, 0x7F000000, id="a row that is not there"),
        pytest.param(1, 0x7FC00000, id="no row"),
        pytest.param(2, 0xBF800000, id="a negative variance"),
        pytest.param(3, 0x7F800000, id="an infinite error"),
        pytest.param(3, 0xFFC00000, id="another NaN"),
        pytest.param(5, 0x7FC00000, id="a gain that is no number"),
    ],
)
def test_what_cannot_be_under_way_is_refused(word: int, bits: int) -> None:
    learner, _ = half_way(2)
    data = bytearray(learner.to_bytes())
    at = len(data) - 4 * (1 + 2 * learner.array("slow").shape[1] + OUTPUTS + 3 - word)
    struct.pack_into("<I", data, at, bits)
    struct.pack_into("<I", data, len(data) - 4, zlib.crc32(memoryview(data)[:-4]))
    with pytest.raises(CheckpointError, match=r"a number in the .* checkpoint is invalid"):
        Learner.from_bytes(bytes(data))
