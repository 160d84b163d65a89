"""Streams: what arrays hold comes out, and what cannot be used is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbt_embed import NbtError
from nbt_embed.errors import InputError, InputTypeError
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream, from_arrays


def test_arrays_become_a_stream() -> None:
    values = np.arange(6.0).reshape(3, 2)
    stream = from_arrays(values)
    assert stream.input_names == stream.target_names == ("x1", "x2")
    values[:] = -1
    np.testing.assert_array_equal(stream.inputs, [[0, 1], [2, 3], [4, 5]])
    stream = from_arrays([1, 2, np.nan], [[1, 2]] * 3, input_names=["p"], target_names=["q", "r"])
    assert (stream.n_in, stream.n_out, stream.target_names) == (1, 2, ("q", "r"))
    assert from_arrays([1.0], target_names=["next"]).target_names == ("next",)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), InputError, r"inputs has shape \(0, 1\)"),
        (([[[1.0]]],), InputError, "inputs has shape"),
        (([1.0, np.inf],), InputError, r"inputs\[1, 0\] is infinite"),
        (([1.0, 1e300],), InputError, r"inputs\[1, 0\] is infinite in float32"),
        (([1.0], [1.0, 2.0]), InputError, "targets has 2 rows and inputs has 1"),
        ((["a"],), InputTypeError, "inputs has dtype <U1"),
        (([1.0], None, ["a", "b"]), InputError, "input_names has 2 names: expected 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    arguments: tuple[Any, ...], error: type[NbtError], message: str
) -> None:
    with pytest.raises(error, match=message):
        from_arrays(*arguments)


def test_the_simulated_sensor_repeats_itself_and_changes_half_way() -> None:
    stream = simulated_sensor(4000, seed=1, missing=0.05)
    again = simulated_sensor(4000, seed=1, missing=0.05)
    np.testing.assert_array_equal(stream.inputs, again.inputs)
    assert not np.array_equal(stream.inputs, simulated_sensor(4000, seed=2).inputs, equal_nan=True)
    assert np.isnan(stream.inputs).mean() == pytest.approx(0.05, abs=0.005)
    clean = simulated_sensor(4000, seed=1, missing=0, noise=0).inputs.astype(float)
    assert np.isfinite(clean).all()
    position, temperature = clean[:, 0], clean[:, 2]
    before, after = position[500:2000].std(), position[2500:].std()
    assert after > 1.1 * before
    assert np.ptp(temperature) > 2
    # White noise of the size that was asked for, once lost samples are left out.
    noisy = simulated_sensor(4000, seed=1, missing=0, noise=0.02).inputs[:, 0].astype(float)
    assert (noisy - position).std() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"steps": 0}, "steps"),
        ({"missing": 1.5}, "missing"),
        ({"missing": float("nan")}, "missing"),
        ({"noise": -1.0}, "noise"),
        ({"seed": -1}, "seed"),
    ],
)
def test_the_simulated_sensor_refuses_settings_by_name(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(InputError, match=f"{name} = "):
        simulated_sensor(**settings)


def test_one_simulated_step_and_only_missing_ones() -> None:
    assert len(simulated_sensor(1)) == 1
    stream: Stream = simulated_sensor(10, missing=1)
    assert np.isnan(stream.inputs).all()
