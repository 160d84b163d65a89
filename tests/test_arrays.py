"""What a sample may be made of, and that the values arrive that NumPy would make of it."""

from __future__ import annotations

import array
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed.arrays import SampleBuffer
from nbt_embed.errors import InputError, InputTypeError

VALUES = np.array([1.5, -0.25, 3.0, 1e-40, math.nan, math.inf, 7.0, 8.0])
NUMBERS = ("e", "f", "<f", ">f", "d", ">d", "g", "b", "B", "h", "l", "Q", "?")


class Subclass(np.ndarray):
    """An array of another type."""


def expected(value: Any) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return np.atleast_1d(np.asarray(value).astype(np.float32))


def filled(value: Any, width: int) -> NDArray[np.float32]:
    place = SampleBuffer("x", width)
    place.array[:] = 99
    place.fill(value)
    return place.array


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("step", [1, 2, -1])
def test_arrays_of_any_real_type_and_layout(kind: str, step: int) -> None:
    values = VALUES if np.dtype(kind).kind == "f" else np.arange(8)
    whole = values.astype(kind)
    for some in (whole[::step], np.asfortranarray(np.tile(whole, (2, 1)))[0, ::step]):
        np.testing.assert_array_equal(filled(some, len(some)), expected(some))
    one = whole[:1].reshape(())
    np.testing.assert_array_equal(filled(one, 1), expected(one))


@pytest.mark.parametrize(
    "value",
    [
        [0.1, 0.2],
        (1, 2.5),
        [np.float32(0.1), True],
        array.array("f", [0.1, 0.2]),
        array.array("d", [0.1, 0.2]),
        np.array([0.1, 0.2], np.float32).data,
        np.array([0.1, 0.2], np.float32).view(Subclass),
        np.frombuffer(b"\0" + np.array([0.1, 0.2], np.float32).tobytes(), np.uint8)[1:].view("f"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_sequences(value: Any) -> None:
    np.testing.assert_array_equal(filled(value, 2), expected(value))


@pytest.mark.parametrize(
    "value",
    [0.1, -1e300, math.nan, 3, True, 2**40, np.float32(0.1), np.float64(1e300), np.int8(-3)],
    ids=repr,
)
def test_scalars_are_samples_of_one(value: Any) -> None:
    np.testing.assert_array_equal(filled(value, 1), expected(value))
    with pytest.raises(InputError, match=r"x has shape \(\): expected \(2,\)"):
        filled(value, 2)


def test_the_sign_of_a_zero_and_a_nan_arrives() -> None:
    for value in (-0.0, np.float32(-0.0), np.array([-0.0], np.float32), [-0.0]):
        assert math.copysign(1.0, filled(value, 1)[0]) == -1.0


@pytest.mark.parametrize("shape", [(), (1,), (2,), (4,), (1, 3), (3, 1), (3, 3), (0,)])
@pytest.mark.parametrize("kind", ["f", "d", "l"])
def test_another_shape_is_refused_and_copies_nothing(shape: tuple[int, ...], kind: str) -> None:
    place = SampleBuffer("x", 3)
    place.array[:] = 99
    with pytest.raises(InputError, match=r"x has shape \(.*\): expected \(3,\)"):
        place.fill(np.zeros(shape, kind))
    assert (place.array == 99).all()


def test_one_value_is_no_matrix() -> None:
    with pytest.raises(InputError, match=r"x has shape \(1, 1\): expected \(1,\)"):
        filled(np.zeros((1, 1), np.float32), 1)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "0.5",
        b"0.5",
        1j,
        Decimal("0.5"),
        10**30,
        {},
        np.array([1j], np.complex64),
        np.array([None]),
        np.array(["a"]),
        np.array([1], "M8[s]"),
        np.array([(1.0,)], [("a", "f4")]),
    ],
    ids=repr,
)
def test_what_is_no_real_number_is_refused(value: Any) -> None:
    with pytest.raises(InputTypeError, match=r"x has dtype .*: expected real numbers"):
        filled(value, 1)


def test_a_value_may_lie_where_it_goes() -> None:
    place = SampleBuffer("x", 3)
    place.array[:] = 1, 2, 3
    place.fill(place.array[::-1])
    assert place.array.tolist() == [3, 2, 1]
