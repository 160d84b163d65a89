"""``Learner.set_array``: numbers from outside, and then the learner of a checkpoint with them."""

import copy
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from settings import kinds, still

from nbt_embed import Learner
from nbt_embed._kernel import ffi, lib
from nbt_embed.errors import CheckpointError, ConfigError, InputError, InputTypeError
from nbt_embed.learner import _ARRAYS

KINDS = kinds("cell", "estimator", "filter")
LEARNT = (
    "theta",
    "readout",
    "covariance",
    "coupling",
    "slow",
    "linear",
    "head",
    "head_covariance",
)
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "delayed": {"max_delay": 3},
    "categorical": {"link": "categorical"},
    "still": still(),
    "still delayed": still(max_delay=2),
    "guarded": still(stuck_steps=9, drift_steps=20, rollback_steps=10),
    "quasi": {"cell": "tanh", "filter": "kalman_quasi", "max_delay": 1},
    "sgd": {"filter": "sgd"},
    "frozen": {"estimator": "frozen"},
    "rtrl": {"cell": "gated", "estimator": "rtrl"},
    "alone": {"hidden": 0, "head": 0},
}


def sample(learner: Learner, t: int) -> tuple[NDArray[np.float64], Any]:
    x = np.sin([t / 3, t / 5 + 1])
    return x, (t % 2 if learner.config.link == "categorical" else [x[0] * x[1], x[1]])


def step(learner: Learner, t: int) -> bytes:
    """One step, with as many forecasts waiting as may."""
    x, y = sample(learner, t)
    if learner.pending > learner.config.max_delay:
        learner.learn(y)
    return learner.predict(x).tobytes()


def patched(learner: Learner, name: str, values: NDArray[np.float32]) -> bytes:
    """The learner's checkpoint with other numbers in the place of an array."""
    data, old = learner.to_bytes(), learner.array(name).astype("<f4").tobytes()
    # A fresh learner's slow readout may look like its readout: the first copy is not always it.
    at = data.rindex(old) if name == "slow" else data.index(old)
    data = data[:at] + values.astype("<f4").tobytes() + data[at + len(old) : -4]
    return data + struct.pack("<I", zlib.crc32(data))


def values_for(learner: Learner, name: str) -> NDArray[np.float32]:
    old = learner.array(name)
    new = np.random.default_rng(7).normal(scale=0.3, size=old.shape)
    return (np.abs(new) + 0.1 if "covariance" in name else new).astype(np.float32)


def check_set(learner: Learner, name: str) -> None:
    values = values_for(learner, name)
    loaded = Learner.from_bytes(patched(learner, name, values))
    kept = {other: learner.array(other).tobytes() for other in learner.arrays if other != name}
    learner.set_array(name, values)
    np.testing.assert_array_equal(learner.array(name), values)
    assert {other: learner.array(other).tobytes() for other in kept} == kept
    assert learner.to_bytes() == loaded.to_bytes()
    assert learner.hash() == loaded.hash()
    x, _ = sample(learner, 99)
    assert learner.peek(x).tobytes() == loaded.peek(x).tobytes()
    for t in range(100, 130):
        assert step(learner, t) == step(loaded, t)
    assert learner.to_bytes() == loaded.to_bytes()


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("waits", [True, False])
def test_a_learner_goes_on_as_one_loaded_with_the_numbers(name: str, waits: bool) -> None:
    trained = Learner(2, 2, **{"hidden": 5, **VARIANTS[name]})
    for t in range(40):
        step(trained, t)
    while not waits and trained.pending:
        trained.learn(sample(trained, 40)[1])
    for array in trained.settable:
        if trained.array(array).size:
            check_set(copy.copy(trained), array)
            # With what the kernel keeps between a predict and its learn in place.
            check_set(after(trained), array)


def after(trained: Learner) -> Learner:
    """A copy after one more step: unlike a loaded learner, it has sums for the next label."""
    learner = copy.copy(trained)
    step(learner, 41)
    return learner


@pytest.mark.parametrize(("cell", "estimator", "filter_"), KINDS)
def test_every_kind_goes_on_as_one_loaded(cell: Any, estimator: Any, filter_: Any) -> None:
    trained = Learner(2, 2, hidden=4, cell=cell, estimator=estimator, filter=filter_)
    for t in range(10):
        step(trained, t)
    for array in trained.settable:
        check_set(after(trained), array)


@pytest.mark.parametrize("name", VARIANTS)
def test_what_was_learnt_may_be_set_and_nothing_else(name: str) -> None:
    learner = Learner(2, 2, **{"hidden": 5, **VARIANTS[name]})
    assert set(learner.settable) == set(learner.arrays) & set(LEARNT)
    for array in set(learner.arrays) - set(LEARNT):
        before = learner._block.tobytes()
        with pytest.raises(ConfigError, match="expected one of theta, readout"):
            learner.set_array(array, learner.array(array))
        assert learner._block.tobytes() == before


BAD: list[tuple[str, Any, type[Exception], str]] = [
    ("theta", np.nan, InputError, r"theta\[1, 2\] is nan: expected a finite"),
    ("theta", -np.inf, InputError, r"theta\[1, 2\] is -inf"),
    ("theta", 1e39, InputError, r"theta\[1, 2\] is inf"),  # beyond float32
    ("theta", np.ma.masked, InputError, r"theta\[1, 2\] is nan"),
    ("theta", -3e38, InputError, r"theta\[1, 2\] is -3e\+38: the number is too large"),
    ("covariance", 0.0, InputError, r"covariance\[1, 2\] is 0: expected a variance above 0"),
    ("head_covariance", -1.0, InputError, r"is -1: expected a variance above 0"),
    ("covariance", 1e8, InputError, r"covariance\[1, 2\] is 1e\+08: the number is too large"),
]


@pytest.mark.parametrize(("name", "value", "error", "message"), BAD)
def test_a_number_that_a_load_would_refuse_is_refused(
    name: str, value: Any, error: type[Exception], message: str
) -> None:
    learner = Learner(2, 1, hidden=4)
    for t in range(9):
        step_of_one(learner, t)
    values = np.ma.array(learner.array(name), np.float64)
    values[1, 2] = value
    before = learner._block.tobytes()
    with pytest.raises(error, match=message):
        learner.set_array(name, values)
    assert learner._block.tobytes() == before
    hostile = learner.array(name).copy()
    with np.errstate(over="ignore"):
        hostile[1, 2] = values.filled(np.nan)[1, 2]
    with pytest.raises(CheckpointError):
        Learner.from_bytes(patched(learner, name, hostile))


def step_of_one(learner: Learner, t: int) -> None:
    learner.predict(np.sin([t, t / 2]))
    learner.learn(np.cos(t))


@pytest.mark.parametrize(
    ("name", "values", "error", "message"),
    [
        ("tetha", 0.0, ConfigError, "did you mean 'theta'"),
        (3, 0.0, ConfigError, "array 3: expected one of"),
        ("theta", 0.0, InputError, r"shape \(\): expected \(8, 6\)"),
        ("theta", np.zeros((6, 8)), InputError, r"shape \(6, 8\): expected \(8, 6\)"),
        ("theta", np.zeros(48), InputError, r"shape \(48,\)"),
        ("theta", [["a"] * 6] * 8, InputTypeError, "dtype"),
        ("theta", np.zeros((8, 6), complex), InputTypeError, "dtype"),
        ("theta", [[0.0], [0.0, 1.0]], InputError, "theta"),
    ],
)
def test_what_does_not_fit_is_refused(
    name: Any, values: Any, error: type[Exception], message: str
) -> None:
    learner = Learner(2, 1, hidden=4)
    before = learner._block.tobytes()
    with pytest.raises(error, match=message):
        learner.set_array(name, values)
    assert learner._block.tobytes() == before


def test_values_are_copied_whatever_their_layout() -> None:
    learner = Learner(2, 1, hidden=4)
    values = np.arange(96, dtype=np.float64).reshape(12, 8)[::2].T / 100
    learner.set_array("theta", values)
    np.testing.assert_array_equal(learner.array("theta"), values.astype(np.float32))
    values[:] = 7
    assert learner.array("theta").max() < 1
    learner.set_array("theta", values.tolist())
    assert (learner.array("theta") == 7).all()


def test_a_student_goes_on_with_its_teachers_weights() -> None:
    """Another size: the first inputs' columns of the readout of a teacher without units."""
    wave = np.sin(np.arange(400) / 5)
    teacher = Learner(1, 1, hidden=0, head=0, mix_forget=0.0, slow_forget=0.0, linear_lags=0)
    teacher.run(wave, wave, horizon=1)
    student = Learner(1, 1, hidden=3, head=0, mix_forget=0.0, slow_forget=0.0, linear_lags=0)
    weights = np.zeros_like(student.array("readout"))
    known = teacher.array("readout")
    weights[:, -known.shape[1] :] = known
    student.set_array("readout", weights)
    np.testing.assert_array_equal(student.array("readout")[:, :-3], 0)


def test_the_kernel_asks_for_the_shape() -> None:
    learner = Learner(2, 1, hidden=4)
    handle, theta = learner._handle, _ARRAYS["theta"]
    values = ffi.new("float[]", 48)
    before = learner._block.tobytes()
    assert lib.nbt_array_set(ffi.NULL, theta, values, 8, 6) == lib.NBT_ERR_NULL
    for rows, cols in ((6, 8), (8, 5), (1, 48), (0, 0), (2**63, 2)):
        assert lib.nbt_array_set(handle, theta, values, rows, cols) == lib.NBT_ERR_ARRAY
    for name, number in _ARRAYS.items():
        expected = lib.NBT_OK if name in learner.settable else lib.NBT_ERR_ARRAY
        rows, cols = learner._shape(name) or (1, 1)
        assert lib.nbt_array_set(handle, number, ffi.NULL, rows, cols) == expected
    assert lib.nbt_array_set(handle, 99, values, 8, 6) == lib.NBT_ERR_ARRAY
    assert learner._block.tobytes() == before
