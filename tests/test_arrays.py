"""What a sample may be made of, and that the values arrive that NumPy would make of it."""

from __future__ import annotations

import array
import math
from collections import deque
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed import Learner
from nbt_embed.arrays import float64, one_sample
from nbt_embed.baselines import LastValue, Nlms, Rls
from nbt_embed.errors import InputError, InputTypeError
from nbt_embed.evaluate import Scored, evaluate
from nbt_embed.metrics import RegressionScore, SymbolScore
from nbt_embed.streams import Stream, from_arrays

VALUES = np.array([1.5, -0.25, 3.0, 1e-40, math.nan, math.inf, 7.0, 8.0])
NUMBERS = ("e", "f", "<f", ">f", "d", ">d", "g", "b", "B", "h", "l", "Q", "?")


class Subclass(np.ndarray):
    """An array of another type."""


def expected(value: Any) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return np.atleast_1d(np.asarray(value).astype(np.float32))


def filled(value: Any, width: int) -> NDArray[np.float32]:
    return one_sample("x", value, width)


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
def test_another_shape_is_refused(shape: tuple[int, ...], kind: str) -> None:
    with pytest.raises(InputError, match=r"x has shape \(.*\): expected \(3,\)"):
        filled(np.zeros(shape, kind), 3)


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


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_was_given_may_change_afterwards(kind: type[np.floating[Any]]) -> None:
    given = np.array([1, 2, 3], kind)
    copy = filled(given, 3)
    given[:] = 9
    assert copy.tolist() == [1, 2, 3]


RAW = np.array([1.5, -9999.0, math.inf, 7.0])
MASK = np.array([False, True, True, False])
MISSING = np.array([1.5, math.nan, math.nan, 7.0])


class Variable:
    """What files of measurements give: an array with a mask behind __array__."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        return np.ma.masked_array(RAW, MASK)


class MaskedElsewhere(np.ndarray):
    """Not numpy.ma, but an array with a mask of its shape, as astropy has it."""

    mask = MASK


def masked_forms() -> dict[str, Any]:
    """The same four values, two of them missing, as a mask may come."""
    one = np.ma.masked_array(RAW, MASK)
    hard = np.ma.masked_array(RAW, MASK, hard_mask=True, fill_value=5.0)
    integers = np.ma.masked_array([15, 3, 4, 70], MASK) / 10
    return {
        "masked": one,
        "hard": hard,
        "float32": one.astype(np.float32),
        "huge beneath": np.ma.masked_array([1.5, 1e300, -1e300, 7.0], MASK),
        "not contiguous": np.ma.masked_array(np.repeat(RAW, 2), np.repeat(MASK, 2))[::2],
        "divided": integers * [1, 1, 1, 1],
        "in a list": [1.5, np.ma.masked, np.ma.masked, 7.0],
        "scalars in a tuple": tuple(one),
        "behind __array__": Variable(),
        "another class": RAW.view(MaskedElsewhere),
        "masked by NaN": np.ma.masked_invalid([1.5, math.nan, math.inf, 7.0]),
    }


@pytest.mark.parametrize("form", masked_forms())
def test_a_mask_is_a_missing_value_wherever_arrays_are_taken(form: str) -> None:
    value = masked_forms()[form]
    np.testing.assert_array_equal(filled(value, 4), MISSING.astype(np.float32))
    np.testing.assert_array_equal(float64("x", value), MISSING)
    for rows in ([value, value], (value, value), deque([value, value])):
        np.testing.assert_array_equal(float64("X", rows), [MISSING, MISSING])
    if isinstance(value, np.ma.MaskedArray):
        np.testing.assert_array_equal(float64("X", np.ma.stack([value, value])), [MISSING] * 2)


MODELS: dict[str, Any] = {
    "learner": lambda: Learner(4, 4, hidden=3, hold_missing=True, anchor=(0, 1, 2, 3)),
    "last value": lambda: LastValue(4, 4),
    "nlms": lambda: Nlms(4, 4, lags=2),
    "rls": lambda: Rls(4, 4, lags=2),
}


@pytest.mark.parametrize("kind", MODELS)
def test_models_learn_from_masked_values_as_from_missing_ones(kind: str) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(60, 4))
    mask = rng.random(values.shape) < 0.3
    masked = np.ma.masked_array(np.where(mask, -9999.0, values), mask)
    filled_in = np.where(mask, math.nan, values)
    one, two, three = (MODELS[kind]() for _ in range(3))
    expected = one.run(filled_in, filled_in, horizon=1)
    np.testing.assert_array_equal(two.run(masked, masked, horizon=1), expected)
    for t, row in enumerate(masked):
        if t:
            three.learn(row)
        forecast = three.predict(row)
        if t or kind != "last value":  # whose run sees the first label too
            np.testing.assert_array_equal(forecast, expected[t])
    stream = from_arrays(masked, masked)
    assert stream.has_missing_inputs
    truths = Scored(4, 1).truths(0, filled_in.astype(np.float32))
    for given in (stream, Stream(masked, masked, stream.input_names, stream.target_names)):
        score = evaluate(MODELS[kind](), given)
        error = expected[:-1] - truths[1:]
        assert score.rmse == pytest.approx(math.sqrt(np.nanmean(error**2)))


def test_one_masked_value_is_missing() -> None:
    learner = Learner(1, 1, hidden=2, hold_missing=True)
    learner.predict(np.ma.masked)
    learner.learn(np.ma.masked)
    assert not learner.array("input_scale")[:, 0].any()
    assert (learner.counters.labels, learner.counters.missing) == (0, 1)
    strict = Learner(1, 1)
    with pytest.raises(InputError, match=r"x\[0\] is nan.*hold_missing"):
        strict.predict(np.ma.masked)
    with pytest.raises(InputError, match=r"X\[1, 0\] is nan"):
        strict.run(np.ma.masked_equal([1.0, 2.0], 2.0), [0.0, 0.0], horizon=0)


def test_masked_labels_of_other_links_and_scores_are_missing() -> None:
    symbols = np.ma.masked_equal([0, 1, 9, 2], 9)
    learner = Learner(1, 3, hidden=2, link="categorical")
    learner.run(np.zeros(4), symbols, horizon=0)
    assert (learner.counters.labels, learner.counters.missing) == (3, 1)
    score = SymbolScore()
    score.update(np.full((4, 3), 0.25), symbols)
    assert (score.symbols, score.bits_per_symbol) == (3, 2.0)
    regression = RegressionScore(1)
    regression.update([[1.0], [2.0]], np.ma.masked_equal([[1.0], [9.0]], 9.0))
    assert (regression.rows, regression.mae) == (1, 0.0)


def test_a_masked_array_takes_no_forecast() -> None:
    """Under a hard mask it would keep what it holds."""
    out = np.ma.masked_array(np.zeros(1, np.float32), [True], hard_mask=True)
    with pytest.raises(InputError, match=r"out is MaskedArray: expected a writeable float32 array"):
        Learner(1, 1, hidden=2).predict(0.5, out=out)


@pytest.mark.parametrize("value", [[[1.0, 2.0], [3.0]], [1.0, [2.0]]])
def test_rows_of_different_lengths_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"x: .*inhomogeneous"):
        filled(value, 2)
