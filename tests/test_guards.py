"""Guards: stuck sensors, outliers, labels that never come, streams that change permanently."""

from __future__ import annotations

import struct
import zlib
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from settings import still

from nbt_embed import Counters, Learner
from nbt_embed._kernel import ffi, lib
from nbt_embed.config import Link
from nbt_embed.errors import ConfigError, InputError

Float32Array = NDArray[np.float32]
LEARNT = ("theta", "readout", "covariance", "readout_covariance", "noise")


def wave(steps: int, seed: int = 0) -> Float32Array:
    """A noisy sine, (steps, 1)."""
    noise = np.random.default_rng(seed).normal(size=steps)
    return (np.sin(np.arange(steps) / 4) + 0.05 * noise).astype(np.float32)[:, np.newaxis]


def trained(steps: int = 2000, **settings: Any) -> tuple[Learner, Float32Array]:
    """A learner that forecasts a wave one step ahead, and the next 3000 samples."""
    learner = Learner(n_in=1, n_out=1, hidden=8, **still(**settings))
    z = wave(steps + 3000)
    learner.run(z[:steps], z[:steps], horizon=1)
    return learner, z[steps:]


def learnt(learner: Learner) -> list[Float32Array]:
    return [learner.array(name) for name in LEARNT]


def error(learner: Learner, z: Float32Array) -> Float32Array:
    """Errors one step ahead while it goes on learning."""
    return z[1:, 0] - learner.run(z, z, horizon=1)[:-1, 0]


def rms(values: Float32Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


# ---- stuck sensors -----------------------------------------------------------------------------


def test_nothing_is_learnt_from_a_stuck_input() -> None:
    learner, z = trained(stuck_steps=20)
    frozen = np.full((500, 1), z[0, 0], np.float32)
    learner.run(frozen[:20], z[:20], horizon=1)
    assert learner.counters.stuck == 0
    learner.run(frozen[:1], z[20:21], horizon=1)  # the label of the last forecast before
    before, labels = learnt(learner), learner.counters.labels
    learner.run(frozen, z[20:520], horizon=1)
    assert learner.counters.stuck == 501
    assert learner.counters.missing == 500
    assert learner.counters.labels == labels
    for was, now in zip(before, learnt(learner), strict=True):
        np.testing.assert_array_equal(was, now)
    learner.run(z[520:620], z[520:620], horizon=1)
    assert learner.counters.labels == labels + 99  # the first belongs to a stuck forecast


def test_all_forecasts_that_wait_are_kept_from_learning() -> None:
    learner = Learner(n_in=1, n_out=1, hidden=4, max_delay=4, stuck_steps=3)
    x = wave(100)
    learner.run(x, x, horizon=5)
    learner.run(np.zeros((10, 1)), np.zeros((10, 1)), horizon=5)
    stuck = learner.counters
    assert stuck.stuck == 7 + 7  # inputs, and the labels, which are stuck as well
    before = learnt(learner)
    learner.run(x[:5], x[50:55], horizon=5)  # labels of the five that waited
    assert learner.counters.labels == stuck.labels
    for was, now in zip(before, learnt(learner), strict=True):
        np.testing.assert_array_equal(was, now)
    learner.run(x[5:6], x[55:56], horizon=5)
    assert learner.counters.labels == stuck.labels + 1


def test_a_stuck_label_is_missing() -> None:
    learner = Learner(n_in=1, n_out=2, hidden=4, **still(stuck_steps=10))
    x = wave(200)
    both = np.hstack([x, x + 1])
    both[100:, 1] = 7
    learner.run(x, both, horizon=0)
    assert learner.counters.stuck == 90
    assert learner.counters.labels == 200  # the other output learns on
    both[:] = 3, 7
    learner.run(x, both, horizon=0)
    assert learner.counters.missing == 190


def test_a_missing_value_does_not_count_as_standing_still() -> None:
    learner = Learner(n_in=1, n_out=1, hidden=2, stuck_steps=3, hold_missing=True)
    for value in (1.0, np.nan, np.nan, np.nan, 1.0, np.nan, 1.0):
        learner.predict(value)
        learner.learn(np.nan)
    assert learner.counters.stuck == 0
    learner.predict(1.0)
    assert learner.counters.stuck == 1


def test_classes_may_repeat() -> None:
    learner = Learner(n_in=1, n_out=2, hidden=2, link="categorical", stuck_steps=3)
    x = wave(50)
    learner.run(x, np.zeros(50), horizon=0)
    assert learner.counters.stuck == 0
    assert learner.counters.labels == 50


# ---- outliers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("filter_", ["kalman", "kalman_quasi", "sgd"])
def test_the_gate_limits_a_label(filter_: str) -> None:
    learners = [trained(gate=6.0, drift_steps=0, filter=filter_)[0] for _ in range(3)]
    for learner, label in zip(learners, (1e2, 1e3, -1e3), strict=True):
        learner.learn(label)
        assert learner.counters.limited == 1
    assert learners[0].hash() == learners[1].hash()
    assert learners[0].hash() != learners[2].hash()


def test_an_outlier_does_no_harm_behind_the_gate() -> None:
    errors = []
    for gate in (0.0, 20.0):
        learner, z = trained(gate=gate, drift_steps=0)
        outlier = z[:50].copy()
        outlier[10] = 1e5
        labels = outlier.copy()
        learner.run(z[:50], labels, horizon=1)
        errors.append(rms(error(learner, z[50:150])))
    calm = rms(error(*trained())[:150])
    assert errors[0] > 10 * calm
    assert errors[1] < 1.5 * calm


def test_the_gate_leaves_ordinary_labels() -> None:
    hashes = set()
    for gate in (20.0, 1e6):
        learner, _ = trained(gate=gate)
        assert learner.counters.limited == 0
        hashes.add(learner.array("readout").tobytes())
    assert len(hashes) == 1


def test_an_input_is_brought_to_its_limit() -> None:
    learner, z = trained(input_limit=6.0)
    mean, variance = learner.array("input_scale")[:, 0]
    bound = mean + np.float32(6) * np.sqrt(variance)
    twin = Learner.from_bytes(learner.to_bytes())
    learner.learn(z[0])
    twin.learn(z[0])
    for value in (1e3, 3e38):
        copy = Learner.from_bytes(learner.to_bytes())
        np.testing.assert_allclose(copy.predict(value), twin.predict(bound), rtol=1e-6)
        assert copy.counters.clipped == 1
        assert twin.counters.clipped == 0
        twin = Learner.from_bytes(learner.to_bytes())
    for value in (np.inf, np.nan):
        with pytest.raises(InputError):
            learner.predict(value)


def test_a_limit_lets_in_what_would_be_refused_for_ever() -> None:
    flat, jump = np.full((400, 1), 5.0), 5.0 + 1e7
    plain, limited = (Learner(1, 1, hidden=2, **still(input_limit=limit)) for limit in (0.0, 50.0))
    for learner in (plain, limited):
        learner.run(flat, wave(400), horizon=0)
    with pytest.raises(InputError, match="too far"):
        plain.predict(jump)
    assert np.isfinite(limited.predict(jump)).all()
    assert limited.counters.clipped == 1


def test_a_value_that_is_too_large_is_named() -> None:
    learner = Learner(2, 1, hidden=2)
    expected = r"expected a value from -1e\+18 to 1e\+18; pass NaN"
    with pytest.raises(InputError, match=rf"^x\[1\] is 1e\+19: {expected}"):
        learner.predict([0, 1e19])
    learner.predict([0, 0])
    with pytest.raises(InputError, match=rf"^y\[0\] is -1e\+19: {expected}"):
        learner.learn(-1e19)
    x, y = np.zeros((4, 2)), np.zeros(4)
    x[3, 1], y[2] = 2e18, 3e18
    with pytest.raises(InputError, match=rf"^row 2: y\[0\] is 3e\+18: {expected}"):
        learner.run(x, y, horizon=1)
    y[2] = 0
    learner.reset_state()
    with pytest.raises(InputError, match=rf"^row 3: x\[1\] is 2e\+18: {expected}"):
        learner.run(x, y, horizon=1)


def test_without_a_scaler_the_limit_is_in_your_units() -> None:
    learner, twin = (
        Learner(1, 1, hidden=2, **still(scale_steps=0, input_limit=3.0)) for _ in range(2)
    )
    np.testing.assert_array_equal(learner.predict(-1e9), twin.predict(-3.0))


# ---- streams that change -----------------------------------------------------------------------


def test_it_opens_again_after_a_change() -> None:
    z = wave(4000)
    z[2000:] = 30 - 4 * z[2000:]
    results = {}
    for steps in (0, 100):
        learner = Learner(n_in=1, n_out=1, hidden=8, **still(drift_steps=steps))
        results[steps] = error(learner, z)
        assert learner.counters.reopened == (steps > 0)
    fresh = error(Learner(n_in=1, n_out=1, hidden=8, **still()), z[2000:])
    assert rms(results[100][2600:3000]) < 1.2 * rms(fresh[600:1000])
    assert rms(results[0][2600:3000]) > 2 * rms(fresh[600:1000])


def test_it_opens_again_when_all_sensors_jump() -> None:
    """The forecast is soon right again, but the units are saturated: the inputs tell."""
    z = wave(4000)
    z[2000:] += 100
    learner = Learner(n_in=1, n_out=1, hidden=8, **still())
    learner.run(z, z, horizon=1)
    assert learner.counters.reopened >= 1
    np.testing.assert_allclose(learner.array("input_scale")[0], 100, atol=1)


def test_it_does_not_open_on_an_ordinary_stream() -> None:
    rng = np.random.default_rng(3)
    z = rng.standard_t(3, size=(20000, 1)).astype(np.float32)  # heavy tails
    learner = Learner(n_in=1, n_out=1, hidden=4, **still())
    learner.run(z, z, horizon=1)
    assert learner.counters.reopened == 0


@pytest.mark.parametrize("link", ["categorical", "bernoulli"])
def test_it_opens_again_for_every_link(link: Link) -> None:
    rng = np.random.default_rng(1)
    symbols = rng.integers(0, 2, 4000)
    x = np.eye(2, dtype=np.float32)[symbols]
    y = symbols.astype(np.float32)[:, np.newaxis]
    y[2000:] = 1 - y[2000:]
    n_out = 2 if link == "categorical" else 1
    learner = Learner(n_in=2, n_out=n_out, hidden=4, link=link, drift_steps=50)
    out = learner.run(x, y, horizon=0)
    assert learner.counters.reopened == 1
    chosen = out[-500:].argmax(1) if link == "categorical" else out[-500:, 0] > 0.5
    assert (chosen == y[-500:, 0]).mean() > 0.99


@pytest.mark.parametrize("filter_", ["kalman", "kalman_quasi", "sgd"])
def test_opening_keeps_the_recurrent_weights_and_resets_the_rest(filter_: str) -> None:
    settings = still(filter=filter_, drift_steps=3, hidden=3)
    learner, fresh = (Learner(n_in=1, n_out=1, **settings) for _ in range(2))
    z = wave(1000)
    learner.run(z, z, horizon=1)
    theta, reopened = learner.array("theta"), learner.counters.reopened
    for _ in range(50):
        if learner.counters.reopened > reopened:
            break
        theta = learner.array("theta")
        learner.learn(1e3)
        learner.predict(0.0)
    assert learner.counters.reopened == reopened + 1
    assert np.abs(learner.array("theta") - theta).max() < 1  # one step
    for name in set(learner.arrays) & {
        "covariance", "coupling", "readout", "readout_covariance", "noise", "traces", "w", "v",
    }:  # fmt: skip
        np.testing.assert_array_equal(learner.array(name), fresh.array(name))


def test_it_rolls_back_before_it_opens() -> None:
    """Labels are nonsense for a while: the copy makes up for it as soon as that is over."""
    errors = {}
    for steps in (0, 100):
        learner, z = trained(drift_steps=40, rollback_steps=steps)
        nonsense = np.random.default_rng(0).normal(0, 5, (130, 1)).astype(np.float32)
        learner.run(z[:130], nonsense, horizon=1)
        counters = learner.counters
        assert counters.rolled_back == (1 if steps else 0)
        errors[steps] = rms(error(learner, z[130:430]))
        assert counters.reopened == 1
    assert errors[100] < errors[0]


def test_a_rollback_brings_back_what_was_kept() -> None:
    learner, z = trained(steps=2001, drift_steps=40, rollback_steps=500)
    assert learner.counters.labels == 2000  # so the copy was made just now
    assert learner.counters.reopened == 0
    kept = [*learnt(learner), learner.array("label_scale"), learner.array("input_scale")]
    for _ in range(60):
        if learner.counters.rolled_back:
            break
        learner.learn(5.0)
        learner.predict(z[0])
    now = [*learnt(learner), learner.array("label_scale"), learner.array("input_scale")]
    for was, is_now in zip(kept, now, strict=True):
        np.testing.assert_array_equal(was, is_now)
    assert not learner.array("traces").any()


def test_a_copy_that_nobody_would_ask_for_is_refused() -> None:
    with pytest.raises(ConfigError, match="rollback_steps = 5: needs drift_steps above 0"):
        Learner(1, 1, follow=False, drift_steps=0, rollback_steps=5)


@pytest.mark.parametrize(
    "setting",
    [
        {"gate": -1},
        {"gate": np.nan},
        {"input_limit": 2e6},
        {"stuck_steps": 2**24},
        {"drift_steps": 2**21},
    ],
    ids=str,
)
def test_a_guard_out_of_range_is_named(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(setting))} = .*expected a value from 0 to"):
        Learner(1, 1, **setting)


# ---- long lives --------------------------------------------------------------------------------


@pytest.mark.parametrize("filter_", ["kalman", "kalman_quasi"])
def test_a_saturated_network_keeps_its_covariance(filter_: str) -> None:
    """What comes through its units is too weak for its own square."""
    rng = np.random.default_rng(1)
    X = np.cumsum(rng.normal(size=(120, 2)), axis=0).astype(np.float32)
    Y = rng.random((120, 3)).astype(np.float32)
    Y[rng.random(Y.shape) < 0.1] = np.nan
    guards: dict[str, Any] = {
        "stuck_steps": 9,
        "drift_steps": 3,
        "rollback_steps": 2,
        "gate": 4,
        "input_limit": 6,
    }
    kind: dict[str, Any] = {
        "cell": "tanh",
        "filter": filter_,
        "max_delay": 2,
        "lags": 2,
    }
    learner = Learner(2, 3, hidden=5, seed=4, **still("bernoulli", **kind, **guards))
    for x, y in zip(X, Y, strict=True):
        if learner.pending == 2:
            learner.learn(y)
        learner.predict(x)
        assert learner.array("covariance").min() > 1e-6
    assert learner.counters.skipped == 0


@pytest.mark.parametrize("estimator", ["unitwise", "residual", "nobacktrack", "snap1", "rtrl"])
def test_a_long_gap_of_labels_is_survived(estimator: str) -> None:
    learner, z = trained(estimator=estimator)
    before, calm = learnt(learner), rms(error(trained(estimator=estimator)[0], z[:500]))
    gap = wave(100_000, seed=5)
    learner.run(gap[:1], gap[:1], horizon=1)
    before = learnt(learner)
    learner.run(gap, np.full_like(gap, np.nan), horizon=1)
    assert learner.counters.missing == 100_000
    for was, now in zip(before, learnt(learner), strict=True):
        np.testing.assert_array_equal(was, now)
    z = wave(100_500, seed=5)[100_000:]
    assert rms(error(learner, z)) < 1.2 * calm
    assert learner.counters.skipped == learner.counters.reopened == 0


def test_counters_stay_at_their_end() -> None:
    """A count of labels that wrapped would set the annealed rate back to its start."""
    learner, z = trained()
    data = bytearray(learner.to_bytes())
    struct.pack_into("<4Q", data, 160, *[2**64 - 2] * 4)
    data[-4:] = struct.pack("<I", zlib.crc32(data[:-4]))
    old = Learner.from_bytes(bytes(data))
    assert rms(error(old, z[:500])) < 1.2 * rms(error(learner, z[:500]))
    assert old.counters.predictions == old.counters.labels == 2**64 - 1


@pytest.mark.parametrize("estimator", ["unitwise", "frozen"])
def test_old_recurrent_weights_shrink(estimator: str) -> None:
    """From label 2^24 on, 1024 labels at once: theta (1 - 1024 * 2e-8)."""
    learner, z = trained(estimator=estimator, rate=0.0, drift_steps=0)
    data = bytearray(learner.to_bytes())
    theta = learner.array("theta")
    for labels, shrinks in ((2**24 - 1025, False), (2**24 - 1, True), (2**24, False)):
        struct.pack_into("<Q", data, 168, labels)
        data[-4:] = struct.pack("<I", zlib.crc32(data[:-4]))
        old = Learner.from_bytes(bytes(data))
        old.learn(z[0])
        factor = np.float32(1 - 1024 * 2e-8) if shrinks and estimator != "frozen" else 1
        np.testing.assert_allclose(old.array("theta"), factor * theta, rtol=1e-7)
    assert np.abs(old.array("theta") - factor * theta).max() == 0


def test_every_status_is_told() -> None:
    guards = still(stuck_steps=5, drift_steps=50, input_limit=9, gate=5, rollback_steps=1)
    learner = Learner(1, 1, hidden=2, **guards)
    handle = learner._handle
    y, label = ffi.new("float *"), ffi.new("float *")
    told = set()
    x = [*wave(500)[:, 0], 1e5, *wave(500)[:, 0] * 50, *[1.0] * 20]
    for value in map(float, x):
        label[0] = value
        if learner.pending:
            told.add(lib.nbt_learn(handle, label))
        told.add(lib.nbt_predict(handle, y, label))
    assert told == {
        lib.NBT_OK, lib.NBT_LIMITED, lib.NBT_STUCK, lib.NBT_REOPENED, lib.NBT_ROLLED_BACK
    }  # fmt: skip
    names = [f.name for f in fields(Counters)][4:-2]  # without those of units that follow
    assert all(getattr(learner.counters, name) > 0 for name in names), learner.counters


def test_guards_that_are_off_change_nothing() -> None:
    """The watch only watches."""
    watched, plain = (trained(drift_steps=steps)[0] for steps in (300, 0))
    for name in plain.arrays:
        np.testing.assert_array_equal(watched.array(name), plain.array(name))
