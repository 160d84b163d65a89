"""One sample into the kernel and a forecast back (_step.c): bits, refusals, memory."""

from __future__ import annotations

import copy
import gc
import math
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ctypes import CFUNCTYPE, POINTER, c_float, c_int, c_void_p, cast
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed import Learner
from nbt_embed._kernel import lib
from nbt_embed._step import Step
from nbt_embed.errors import InputError, SequenceError
from nbt_embed.testing import assert_flat

Form = Callable[[NDArray[np.float32]], Any]


class Subclass(np.ndarray):
    """An array of another type."""


class Number(float):
    """A float that would rather be another one; Python's own conversions do not ask it."""

    def __float__(self) -> float:
        return 7.0


def unaligned(row: NDArray[np.float32]) -> NDArray[np.float32]:
    raw = np.frombuffer(bytearray(b"\0" + row.tobytes()), np.uint8)
    return raw[1:].view(np.float32)


def read_only(row: NDArray[np.float32]) -> NDArray[np.float32]:
    row = row.copy()
    row.flags.writeable = False
    return row


# How a sample of float32 may lie in memory, and in what.
FORMS: dict[str, Form] = {
    "backwards": lambda row: row[::-1].copy()[::-1],
    "every other": lambda row: np.repeat(row, 2)[::2],
    "a column": lambda row: np.tile(row, (3, 1)).T.copy()[:, 1],
    "the same number": lambda row: np.broadcast_to(row[:1], row.shape),
    "unaligned": unaligned,
    "read-only": read_only,
    "other byte order": lambda row: row.astype(">f4" if sys.byteorder == "little" else "<f4"),
    "subclass": lambda row: row.view(Subclass),
    "masked": lambda row: np.ma.masked_array(row, np.isnan(row)),
    "double": lambda row: row.astype(np.float64),
    "record": lambda row: (
        np.array([tuple(row)] * 2, [("a", "f4"), ("b", "f4")])[["a", "b"]].copy().view("f4")[:2]
    ),
    "buffer": lambda row: row.data,
    "list": lambda row: row.tolist(),
}


def learner() -> Learner:
    """Two inputs, two outputs, missing values allowed."""
    return Learner(2, 2, hidden=3, hold_missing=True, anchor=(0, 1))


def samples() -> NDArray[np.float32]:
    """Rows with a missing value here and there, negative zeros and denormal numbers."""
    rows = np.random.default_rng(4).standard_normal((40, 2)).astype(np.float32)
    rows[5], rows[6], rows[7, 1], rows[20, 0] = -0.0, 1e-40, math.nan, math.nan
    return rows


@pytest.mark.parametrize("form", FORMS)
def test_a_sample_has_the_same_bits_however_it_lies(form: str) -> None:
    one, other = learner(), learner()
    for row in samples():
        given = FORMS[form](row)
        plain = np.array(given, np.float32)
        np.testing.assert_array_equal(other.predict(given), one.predict(plain))
        one.learn(plain)
        other.learn(given)
        assert other.hash() == one.hash()


@pytest.mark.parametrize(
    "given",
    [0.1, -0.0, math.nan, 3, True, np.float32(0.1), np.float64(0.1), np.array(0.1), Number(0.1)],
    ids=lambda value: f"{type(value).__name__} {value!r}",
)
def test_a_number_is_a_sample_of_one(given: Any) -> None:
    one, other = (Learner(1, 1, hidden=3, hold_missing=True) for _ in range(2))
    plain = np.array([float.__float__(given) if isinstance(given, Number) else given], np.float32)
    assert other.predict(given).tobytes() == one.predict(plain).tobytes()
    one.learn(plain)
    other.learn(given)
    assert other.hash() == one.hash()


@pytest.mark.parametrize("huge", [1e300, -1e300, np.float64(1e39), np.float32(np.inf), 3e38])
def test_a_number_that_is_too_large_is_named(huge: Any) -> None:
    one = Learner(1, 1, hidden=2)
    before = one.hash()
    with pytest.raises(InputError, match=r"x\[0\] is "):
        one.predict(huge)
    assert one.hash() == before
    one.predict(0.5)
    before = one.hash()
    with pytest.raises(InputError, match=r"y\[0\] is "):
        one.learn(huge)
    assert one.hash() == before


@pytest.mark.parametrize("given", [0.5, np.float32(0.5), np.zeros(1, np.float32)])
def test_one_number_is_no_sample_of_two(given: Any) -> None:
    one = learner()
    with pytest.raises(InputError, match=r"x has shape \(1?,?\): expected \(2,\)"):
        one.predict(given)
    with pytest.raises(InputError, match=r"y has shape \(1?,?\): expected \(2,\)"):
        one.learn(given)


PLACES = ("backwards", "every other", "unaligned", "subclass")


@pytest.mark.parametrize("form", PLACES)
@pytest.mark.parametrize("x", [[0.5, -0.25], np.array([0.5, -0.25], np.float32)], ids=type)
def test_a_forecast_goes_into_any_array_of_float32(form: str, x: Any) -> None:
    one, out = learner(), FORMS[form](np.full(2, 9, np.float32))
    expected = copy.copy(one).predict(x)
    assert one.predict(x, out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("out", "found"),
    [
        (read_only(np.zeros(2, np.float32)), r"read-only float32 \(2,\)"),
        (np.zeros(2), r"float64 \(2,\)"),
        (np.zeros(2, np.int32), r"int32 \(2,\)"),
        (FORMS["other byte order"](np.zeros(2, np.float32)), r"[<>]f4 \(2,\)"),
        (np.zeros(3, np.float32), r"float32 \(3,\)"),
        (np.zeros((2, 1), np.float32), r"float32 \(2, 1\)"),
        (np.zeros((), np.float32), r"float32 \(\)"),
        (np.ma.zeros(2, np.float32), "MaskedArray"),
        ([0.0, 0.0], "list"),
    ],
)
def test_what_takes_no_forecast_is_refused_before_the_step(out: Any, found: str) -> None:
    one = learner()
    before, held = one.hash(), np.array(out)
    for x in ([0.5, 0.5], np.array([0.5, 0.5], np.float32)):
        with pytest.raises(InputError, match=f"^out is {found}: expected a writeable float32 arr"):
            one.predict(x, out)
    assert one.hash() == before
    np.testing.assert_array_equal(out, held)


def test_a_read_only_buffer_of_the_learner_is_refused_too() -> None:
    one = learner()
    one.y.flags.writeable = False
    before = one.hash()
    with pytest.raises(InputError, match="out is read-only"):
        one.predict(one.x, one.y)
    assert one.hash() == before


def test_input_and_forecast_may_be_the_same_array() -> None:
    one, row = learner(), np.array([0.5, -0.25], np.float32)
    expected = copy.copy(one).predict(row)
    assert one.predict(row, row) is row
    np.testing.assert_array_equal(row, expected)


def test_a_refused_call_leaves_the_place_of_the_forecast() -> None:
    one, row, out = learner(), np.zeros(2, np.float32), np.full(2, 9, np.float32)
    one.predict(row, out)
    out[:] = 9
    with pytest.raises(SequenceError):
        one.predict(row, out)
    assert out.tolist() == [9, 9]


def test_what_guards_did_is_no_answer_of_another_kind() -> None:
    """A status above NBT_OK: the step ran."""
    one, row = Learner(1, 1, hidden=2, stuck_steps=3), np.ones(1, np.float32)
    out = np.empty(1, np.float32)
    for _ in range(8):
        expected = copy.copy(one).predict(row)
        assert one.predict(row, out) is out
        assert out.tobytes() == expected.tobytes()
        one.learn(row)
    assert one.counters.stuck > 0


class Calling:
    """A sample that makes another call of the learner while it is read."""

    def __init__(self, one: Learner) -> None:
        self.one = one

    def __array__(self, *_: Any, **__: Any) -> NDArray[np.float32]:
        self.one.predict(np.array([0.5, 0.5], np.float32))
        self.one.learn([0.25, 0.25])
        return np.array([-1.0, 1.0], np.float32)


def test_a_sample_may_call_the_learner() -> None:
    one, other = learner(), learner()
    forecast = one.predict(Calling(one))
    other.predict([0.5, 0.5])
    other.learn([0.25, 0.25])
    np.testing.assert_array_equal(other.predict([-1.0, 1.0]), forecast)
    assert one.hash() == other.hash()


def test_threads_that_meet_in_one_learner_read_only_their_own_numbers() -> None:
    """Each of them fills its array again as soon as it is refused or answered."""
    one, steps = Learner(1, 1, hidden=32, max_delay=0), 3000
    begin = threading.Barrier(3)

    def work(value: float) -> int:
        row, done = np.empty(1, np.float32), 0
        begin.wait()
        for _ in range(steps):
            row[0] = value
            with suppress(SequenceError):
                one.predict(row)
                done += 1
            row[0] = math.inf  # refused if it were read
            with suppress(SequenceError):
                one.learn(value)
        return done

    with ThreadPoolExecutor(3) as pool:
        done = sum(pool.map(work, (0.25, 0.5, 0.75)))
    assert one.counters.predictions == done > 0
    assert one._shared.owner == one._shared.holds == 0


def test_calls_keep_the_memory_of_the_learner() -> None:
    one = learner()
    step, block = one._step, weakref.ref(one._block)
    expected = copy.copy(one).predict([0.5, 0.5])
    del one
    gc.collect()
    assert block() is not None
    np.testing.assert_array_equal(step.predict(np.full(2, 0.5, np.float32), None), expected)
    assert step.learn(np.zeros(2, np.float32)) == lib.NBT_OK
    del step
    gc.collect()
    assert block() is None


def test_what_is_not_read_is_left_to_python() -> None:
    step = learner()._step
    plain = np.zeros(2, np.float32)
    assert step.predict([0.0, 0.0], None) is None
    assert step.predict(plain, [0.0, 0.0]) is None
    assert step.learn("text") is None
    status, _ = step.predict(np.full(2, np.inf, np.float32), None)  # type: ignore[misc]
    assert status == lib.NBT_ERR_INPUT
    assert step.learn(plain) == lib.NBT_ERR_EMPTY
    with pytest.raises(TypeError, match="predict takes x and out"):
        step.predict(plain)  # type: ignore[call-arg]


class Asking(np.float32):
    """A number whose conversion runs Python code, which could change anything."""

    def __float__(self) -> float:
        raise AssertionError("a conversion that runs code, while numbers are read without any")


def test_a_subclass_of_a_number_is_left_to_numpy_which_runs_none_of_its_code() -> None:
    one, other = Learner(1, 1, hidden=2), Learner(1, 1, hidden=2)
    assert one._step.predict(Asking(0.5), None) is None
    np.testing.assert_array_equal(one.predict(Asking(0.5)), other.predict(0.5))
    assert one._step.learn(Asking(0.5)) is None
    one.learn(Asking(0.25))
    other.learn(0.25)
    assert one.hash() == other.hash()


# What _step.c calls: the addresses of the learner, of the forecast and of the sample.
Kernel = CFUNCTYPE(c_int, c_void_p, POINTER(c_float), POINTER(c_float))


def calls_of(predict: Callable[[int, Any, Any], int], n_out: int) -> Step:
    """One input; predict takes the part of the kernel."""
    function = Kernel(predict)
    address = cast(function, c_void_p).value
    assert address is not None
    return Step(function, (0, address, address), (1, 1, n_out))


def test_calls_that_are_open_at_once_have_numbers_of_their_own() -> None:
    depth = 0

    def predict(_: int, y: Any, x: Any) -> int:
        nonlocal depth
        if depth < 3:
            depth += 1
            (deeper,) = step.predict(np.float32(depth), None)  # type: ignore[misc]
            assert deeper == 2 * depth
            depth -= 1
        y[0] = 2 * x[0]
        return int(lib.NBT_OK)

    step = calls_of(predict, 1)

    def calls() -> None:
        assert step.predict(np.float32(0), None) == 0

    assert_flat(calls, steps=2_000, limit=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("change", ["size", "type", "shape", "read-only"])
def test_a_place_that_changes_during_the_step_is_not_written_past_its_end(change: str) -> None:
    """Another thread gets the global lock during the step; here it is the step."""
    outputs = 1 << 10
    place = np.zeros(outputs, np.float32)

    def predict(_: int, y: Any, x: Any) -> int:
        y[outputs - 1] = x[0]
        if change == "size":
            place.resize(1, refcheck=False)
        elif change == "type":
            place.dtype = np.float64  # type: ignore[misc, assignment]
        elif change == "shape":
            place.shape = outputs // 2, 2
        else:
            place.flags.writeable = False
        return int(lib.NBT_OK)

    step = calls_of(predict, outputs)
    answer = step.predict(np.ones(1, np.float32), place)
    assert isinstance(answer, tuple)
    status, forecast = answer
    assert status == lib.NBT_OK
    assert forecast.shape == (outputs,)
    assert forecast[-1] == 1
    assert not place.view(np.uint8).any()


class Changed:
    """Calls of a learner during which another thread changes ``out``."""

    def predict(self, *_: object) -> tuple[int, NDArray[np.float32]]:
        return lib.NBT_OK, np.full(2, 0.25, np.float32)


@pytest.mark.parametrize(("shape", "fits"), [((2,), True), ((1, 2), True), ((3,), False)])
def test_a_forecast_for_a_changed_place_is_assigned_by_numpy(
    shape: tuple[int, ...], fits: bool
) -> None:
    one, out = learner(), np.zeros(shape, np.float32)
    one._step = Changed()  # type: ignore[assignment]
    if fits:
        assert one.predict(np.zeros(2, np.float32), out) is out
        assert (out == 0.25).all()
    else:
        with pytest.raises(ValueError, match="broadcast"):
            one.predict(np.zeros(2, np.float32), out)


@pytest.mark.parametrize("settings", [{}, {"hidden": -1}])
def test_a_learner_is_initialised_once(settings: dict[str, int]) -> None:
    """Its calls pass arrays of the configuration's sizes to the kernel without another check."""
    one = learner()
    before, config = one.hash(), one.config
    with pytest.raises(SequenceError, match="build another Learner"):
        one.__init__(1, 1, **settings)  # type: ignore[misc]
    assert one.hash() == before
    assert one.config is config
    assert one.variance().shape == (2,)


def test_learners_that_are_gone_leave_nothing() -> None:
    learner()
    held = sys.getrefcount(Step)
    for _ in range(200):
        learner()
    assert sys.getrefcount(Step) - held < 20


def test_every_kind_of_answer_leaves_memory_flat() -> None:
    one, row, out = learner(), np.zeros(2, np.float32), np.zeros(2, np.float32)
    bad = np.full(2, np.inf, np.float32)

    def step() -> None:
        assert one.predict(row, out) is out
        for place in (None, out[::-1]):
            with pytest.raises(SequenceError):
                one.predict(row, place)
        with pytest.raises(InputError):
            one.learn(bad)
        one.learn(row[::-1])
        with pytest.raises(InputError):
            one.predict(bad)
        one.predict(out[::-1])
        one.learn([0.5, 0.5])

    assert_flat(step, steps=2_000, limit=0)
    held = [sys.getrefcount(value) for value in (row, out, None, type(one._step))]
    for _ in range(10_000):
        step()
    now = [sys.getrefcount(value) for value in (row, out, None, type(one._step))]
    assert max(abs(a - b) for a, b in zip(now, held, strict=True)) < 100
