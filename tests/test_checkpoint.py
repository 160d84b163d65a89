"""Checkpoints: a resumed run is the run, and no byte that is wrong gets in."""

from __future__ import annotations

import copy
import io
import itertools
import pickle
import signal
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_table import MINOR, PAYLOAD, ROWS, counters, place
from conftest import ROOT, Build, run
from numpy.typing import NDArray
from settings import kinds, still

from nbt_embed import Config, Learner, NbtError
from nbt_embed._kernel import ffi, lib
from nbt_embed._kernel_config import config_of
from nbt_embed.errors import CheckpointError, DivergenceWarning, InputTypeError

SANITIZED = (
    *("-std=c99", "-g1", "-O1", "-ffp-contract=off"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
)
GOLDEN = Path(__file__).parent / "golden"
GUARDS: dict[str, Any] = {
    "stuck_steps": 9,
    "drift_steps": 3,
    "rollback_steps": 2,
    "gate": 4,
    "input_limit": 6,
}
GOLDEN_CONFIG = Config(2, 1, hidden=3, max_delay=3, seed=5, **still(lags=2, drift_steps=0, gate=0))
# For every version of the format: a file, what it holds, and its hash, which covers what came
# later. `python -m tools.known_bits` writes the last one.
STREAMS: dict[str, Any] = {
    "follow": True,
    "scale_rate": 2e-3,
    "input_limit": 10,
    "anchored": True,
    "anchor": (0,),
    "linear_lags": 4,
    "linear_forget": 0.999,
    "slow_forget": 0.9998,
    "mix_forget": 0.998,
    "prior_units": True,
}
# What every version of the format has brought so far.
COLUMNS: dict[str, Any] = {"cell": "columnar", "resonators": 1, "head": 2, "rollback_steps": 20}
NEWEST: dict[str, Any] = {**COLUMNS, "levels": (0.3, 0.9), "anomaly": True}
UNASSESSED: dict[str, Any] = {"levels": (), "anomaly": False}
NEWEST_CONFIG = Config(2, 1, hidden=3, max_delay=3, seed=5, anchor=(0,), **NEWEST)
GOLDEN_FILES = [
    ("checkpoint_v1.nbt", GOLDEN_CONFIG, 0x183E53DC317D8D67),
    ("checkpoint_v1_1.nbt", replace(GOLDEN_CONFIG, **GUARDS), 0xD4E3267A550EDA80),
    ("checkpoint_v1_2.nbt", replace(GOLDEN_CONFIG, **STREAMS), 0xBC2F36FF0C08653D),
    (
        "checkpoint_v1_2_default.nbt",
        Config(2, 1, hidden=3, cell="gated", max_delay=3, seed=5, anchor=(0,), **UNASSESSED),
        0x294740D86D828573,
    ),
    (
        "checkpoint_v1_3.nbt",
        Config(2, 1, hidden=3, max_delay=3, seed=5, anchor=(0,), **COLUMNS, **UNASSESSED),
        0x8E8454533E7997B9,
    ),
    ("checkpoint_v1_4.nbt", NEWEST_CONFIG, 0x39AF3824CAF49260),
    ("checkpoint_v1_5.nbt", NEWEST_CONFIG, 0x89742964E49C0AFF),
]
KINDS = kinds("cell", "estimator", "filter", "link")


def stream(steps: int, config: Config) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Inputs with structure, and labels of the link, some missing."""
    rng = np.random.default_rng(1)
    X = np.cumsum(rng.normal(size=(steps, config.n_in)), axis=0).astype(np.float32)
    if config.link == "categorical":
        Y = rng.integers(0, config.n_out, (steps, 1)).astype(np.float32)
    elif config.link == "bernoulli":
        Y = rng.random((steps, config.n_out)).astype(np.float32)
    else:
        Y = np.sin(X[:, :1] + np.arange(config.n_out)).astype(np.float32)
    Y[rng.random(Y.shape) < 0.1] = np.nan
    return X, Y


def trained(config: Config, steps: int = 60) -> Learner:
    """A learner in the middle of its life, with forecasts that wait."""
    learner = Learner(config)
    learner.run(*stream(steps, config), horizon=config.max_delay)
    return learner


def sealed(data: bytes | bytearray) -> bytes:
    """Put the right CRC behind what was changed."""
    return bytes(data[:-4]) + struct.pack("<I", zlib.crc32(data[:-4]))


def refusal(data: bytes) -> str:
    with pytest.raises(CheckpointError) as caught:
        Learner.from_bytes(data)
    return str(caught.value)


def test_bytes_that_change_meanwhile_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both checkpoints are sound; the settings of one with the state of the other are not."""
    one, two = Learner(2, 1, hidden=5).to_bytes(), Learner(1, 1, hidden=2).to_bytes()
    shared = bytearray(one)

    def changes_them(struct: Any) -> Config:
        shared[: len(two)] = two
        return config_of(struct)

    monkeypatch.setattr("nbt_embed.learner.config_of", changes_them)
    learner = Learner.from_bytes(shared)
    assert learner.to_bytes() == one != shared


def test_any_buffer_holds_a_checkpoint_and_nothing_else_does() -> None:
    data = Learner(2, 1, hidden=3).to_bytes()
    spread = np.repeat(np.frombuffer(data, np.uint8), 2)
    buffers: list[Any] = [bytearray(data), memoryview(data), spread[::2]]
    for buffer in buffers:
        assert Learner.from_bytes(buffer).to_bytes() == data
    for other in ("text", 5, None, [1, 2]):
        with pytest.raises(InputTypeError, match=f"data is {type(other).__name__}: expected bytes"):
            Learner.from_bytes(other)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def small() -> bytes:
    """The checkpoint of a learner of one unit."""
    return trained(Config(1, 1, hidden=1, **still(scale_steps=20, **GUARDS))).to_bytes()


@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_a_resumed_run_is_the_run(kind: tuple[str, str, str, str], follows: bool) -> None:
    cell, estimator, filter_, link = kind
    names: dict[str, Any] = {"cell": cell, "estimator": estimator, "filter": filter_, "link": link}
    names = names if follows else still(**names, **GUARDS)
    config = Config(2, 3, **{"hidden": 5, "lags": 2, "max_delay": 2, "seed": 4, **names})
    X, Y = stream(120, config)
    whole = Learner(config)
    whole.run(X[:60], Y[:60], horizon=2)
    resumed = Learner.from_bytes(whole.to_bytes())
    assert resumed.config == whole.config
    assert resumed.counters == whole.counters
    assert resumed.hash() == whole.hash()
    np.testing.assert_array_equal(
        whole.run(X[60:], Y[60:], horizon=2), resumed.run(X[60:], Y[60:], horizon=2)
    )
    assert resumed.to_bytes() == whole.to_bytes()


@pytest.mark.parametrize("waiting", range(5))
def test_forecasts_that_wait_are_kept(waiting: int) -> None:
    config = Config(1, 1, max_delay=3, hidden=2)
    learner = Learner(config)
    for x in range(waiting):
        if learner.pending == 4:
            learner.learn(0.5)
        learner.predict(float(x))
    resumed = Learner.from_bytes(learner.to_bytes())
    assert resumed.pending == min(waiting, 4)
    for y in range(resumed.pending):
        learner.learn(float(y))
        resumed.learn(float(y))
    assert resumed.hash() == learner.hash()


def test_a_checkpoint_is_hardly_longer_than_the_learner() -> None:
    for cell, estimator, filter_, link in KINDS:
        config = Config(1, 2, hidden=1, cell=cell, estimator=estimator, filter=filter_, link=link)
        learner = Learner(config)
        assert len(learner.to_bytes()) <= learner.memory.total + 32


def read(data: bytes) -> dict[str, Any]:
    """A reader of its own, from docs/reference/checkpoint.md alone."""
    magic, major, minor, start, flags, length = struct.unpack_from("<8sHHIIQ", data)
    assert (magic, major, minor, flags) == (b"\x89NBT\r\n\x1a\n", 1, MINOR, 0)
    assert start == PAYLOAD
    assert len(data) == start + length + 4
    assert zlib.crc32(data[:-4]) == struct.unpack("<I", data[-4:])[0]
    S, R, D, N = struct.unpack_from("<4I", data, 28)

    def count(name: str) -> int:
        return int(struct.unpack_from("<I", data, place(name))[0])

    n_in, n_out, H, lags = map(count, ("n_in", "n_out", "n_hidden", "lags"))
    delay, cell, estimator = map(count, ("max_delay", "cell", "estimator"))
    kind, link, C, head = map(count, ("filter", "link", "resonators", "head"))
    Z = H + C + n_in * lags + 1
    F = Z + head
    rank_one, traces = estimator in (1, 3, 4), estimator in (2, 3, 4)
    kalman, gaussian = kind > 0, link == 0
    words = np.frombuffer(data, "<f4", length // 4, start)
    out: dict[str, Any] = {"generator": words[:4].view("<u4")}
    out["pending"], out["column"] = words[4:6].view("<u4")
    rollback = count("rollback_steps") > 0
    at = 6
    learnt = estimator != 0
    parameters = (
        ("theta", learnt, (R, D)),
        ("covariance", kalman and learnt, (R, D)),
        ("coupling", kind == 2 and learnt, (R, D)),
        ("readout", True, (n_out, F)),
        ("ud", kalman, (F * (F + 1) // 2,)),
        ("noise", gaussian, (2, n_out)),
        ("input_scale", True, (3, n_in)),
        ("label_scale", gaussian, (3, n_out)),
    )
    heads = (("head", head > 0, (head, Z)), ("head_covariance", head > 0 and kalman, (head, Z)))
    for name, there, shape in (
        ("theta", True, (R, D)),
        ("readout", True, (n_out, F)),
        ("w", rank_one, (R, D)),
        ("v", rank_one, (N, S)),
        ("traces", traces, (R, D)),
        ("balance", estimator == 3, (1 + 2 * H,)),
        ("rtrl", estimator == 5, (S, R * D)),
        ("covariance", kalman and estimator != 0, (R, D)),
        ("coupling", kind == 2 and estimator != 0, (R, D)),
        ("ud", kalman, (F * (F + 1) // 2,)),
        ("noise", gaussian, (2, n_out)),
        ("state", True, (S,)),
        ("learning_state", True, (S,)),
        ("leak", cell == 1, (H,)),
        ("ring", True, (delay + lags, n_in)),
        ("input_scale", True, (3, n_in)),
        ("label_scale", gaussian, (3, n_out)),
        ("quarantine, copy, level, seen, alarm, opened", True, (7,)),
        ("input_run", True, (2, n_in)),
        ("label_run", gaussian, (2, n_out)),
        *((f"copy of {name}", rollback and there, shape) for name, there, shape in parameters),
        *heads,
        ("angle_traces", traces and C > 0, (2, C)),
        *((f"copy of {name}", rollback and there, shape) for name, there, shape in heads),
    ):
        if there:
            size = int(np.prod(shape))
            out[name] = words[at : at + size].reshape(shape)
            at += size
    assert at == len(words)
    return out


def test_the_table_of_the_header_has_no_gap_and_every_field() -> None:
    for before, row in itertools.pairwise(ROWS):
        assert row.offset == before.offset + before.size, row
    config = [name for name, _ in ffi.typeof("nbt_config").fields]
    assert [place(name) for name in config] == sorted(place(name) for name in config)
    assert [name for _, name in counters()] == [n for n, _ in ffi.typeof("nbt_counters").fields]
    assert f"offset of the payload, {PAYLOAD} here" in ROWS[3].content
    assert ROWS[2].content.startswith(f"minor version, {MINOR}:")


@pytest.mark.parametrize("head", [0, 3])
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_the_document_is_enough_to_read_a_checkpoint(
    kind: tuple[str, str, str, str], copied: bool, head: int
) -> None:
    cell, estimator, filter_, link = kind
    names: dict[str, Any] = {"cell": cell, "estimator": estimator, "filter": filter_, "link": link}
    names = {"hidden": 5, "lags": 2, "head": head, **names, **(GUARDS if copied else {})}
    config = Config(2, 3, **still(**names))
    learner = trained(config)
    got = read(learner.to_bytes())
    assert ("copy of theta" in got) == (copied and estimator != "frozen")
    assert ("copy of head" in got) == (copied and head > 0)
    assert got["pending"] == learner.pending
    for name in set(learner.arrays) - {"readout_covariance"}:
        expected = learner.array(name)
        stored = got[name][: len(expected)] if name.endswith("scale") else got[name]
        stored = stored[0] if name == "noise" or (name == "v" and expected.ndim == 1) else stored
        np.testing.assert_array_equal(stored, expected)
    if "ud" in got:
        F = learner.array("readout").shape[1]
        U, d = np.eye(F), np.empty(F)
        for j in range(F):
            column = got["ud"][j * (j + 1) // 2 :]
            U[:j, j], d[j] = column[:j], column[j]
        covariance = learner.array("readout_covariance")
        np.testing.assert_allclose((U * d) @ U.T, covariance, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("golden", GOLDEN_FILES, ids=lambda golden: golden[0])
def test_golden_checkpoints_are_read_for_ever(golden: tuple[str, Config, int]) -> None:
    name, config, digest = golden
    learner = Learner.load(GOLDEN / name)
    assert learner.config == config
    assert learner.hash() == digest
    assert learner.pending == 3
    again = Learner.from_bytes(learner.to_bytes())
    assert again.to_bytes() == learner.to_bytes()
    present, more = Learner.load(GOLDEN / name), stream(50, config)
    if name == GOLDEN_FILES[-1][0]:  # earlier kernels learnt other bits
        present = trained(config)
    assert present.hash() == digest
    np.testing.assert_array_equal(again.run(*more, horizon=3), present.run(*more, horizon=3))


def test_the_present_format_has_a_golden_checkpoint() -> None:
    name, config, _ = GOLDEN_FILES[-1]
    assert trained(config).to_bytes() == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("settings", [{"rollback_steps": 100}, {"cell": "gated"}], ids=str)
def test_a_copy_goes_on_with_the_bits_where_an_input_jumps(settings: dict[str, Any]) -> None:
    z = np.sin(0.2 * np.arange(620)) + 0.1 * np.random.default_rng(0).normal(size=620)
    z[500:] += 50
    learner = Learner(1, 1, hidden=4, max_delay=2, anchor=(0,), **settings)
    learner.run(z[:550], z[:550], horizon=3)
    for row in range(550, 620):
        other = copy.copy(learner)
        for one in (learner, other):
            one.run(z[row : row + 1], z[row : row + 1], horizon=3)
        assert other.hash() == learner.hash(), row
    assert learner.counters.reopened


# ---- what is refused ---------------------------------------------------------------------------


def test_every_flipped_bit_is_refused(small: bytes) -> None:
    for bit in range(8 * len(small)):
        data = bytearray(small)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CheckpointError):
            Learner.from_bytes(bytes(data))


def test_every_cut_is_refused(small: bytes) -> None:
    for length in range(len(small)):
        text = refusal(small[:length])
        assert ("not a checkpoint" if length < 8 else "truncated") in text


def test_random_bytes_are_refused(small: bytes) -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        junk = rng.bytes(int(rng.integers(0, 600)))
        refusal(junk)
        refusal(small[:8] + junk)
        refusal(sealed(small[:12] + junk + b"    "))


Change = tuple[str, int, Any, str]
CHANGES: list[Change] = [
    ("<H", 8, 2, "newer version"),
    ("<I", 16, 1, "newer version"),
    ("<I", 12, 200, "truncated"),
    ("<Q", 20, 2**63, "truncated"),
    ("<Q", 20, 8, "is invalid"),
    ("<I", 28, 7, "invalid"),
    ("<I", place("n_hidden"), 0, "out of range"),
    ("<I", place("n_hidden"), 2**31, "out of range"),
    ("<f", place("sgd_rate"), float("nan"), "out of range"),
    ("<4I", PAYLOAD, (0, 0, 0, 0), "invalid"),
    ("<I", PAYLOAD + 16, 2, "invalid"),
    ("<I", PAYLOAD + 20, 1, "invalid"),
    ("<f", PAYLOAD + 24, float("inf"), "invalid"),
    ("<f", PAYLOAD + 24, float("nan"), "invalid"),
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_what_cannot_be_is_refused_though_the_crc_is_right(change: Change, small: bytes) -> None:
    form, at, value, message = change
    data = bytearray(small)
    struct.pack_into(form, data, at, *(value if isinstance(value, tuple) else (value,)))
    if (at, value) == (20, 8):
        data = data[: PAYLOAD + 8 + 4]  # short, and says so
    assert message in refusal(sealed(data))


def test_a_covariance_of_zero_is_refused(small: bytes) -> None:
    learner = Learner.from_bytes(small)
    before = read(small)
    at = small.index(before["covariance"].astype("<f4").tobytes())
    for bad in (0.0, -1.0, float("nan")):
        data = bytearray(small)
        struct.pack_into("<f", data, at, bad)
        assert "is invalid" in refusal(sealed(data))
    assert learner.to_bytes() == small


def test_a_later_minor_version_is_read(small: bytes) -> None:
    start, length = PAYLOAD, len(small) - PAYLOAD - 4
    data = bytearray(small[:start] + b"new!" + small[start:-4] + b"more words, " + b"crc.")
    struct.pack_into("<HI", data, 10, MINOR + 1, start + 4)
    struct.pack_into("<Q", data, 20, length + 12)
    assert Learner.from_bytes(sealed(data)).to_bytes() == small
    struct.pack_into("<H", data, 10, 1)  # 1.1 has no such words
    assert "is invalid" in refusal(sealed(data))


def test_a_refused_load_leaves_the_memory_alone(small: bytes) -> None:
    memory = ffi.new("uint64_t[]", 400)
    ffi.buffer(memory)[:] = b"\x5a" * 3200
    handle = ffi.new("nbt_learner **")
    bad = bytearray(small)
    struct.pack_into(
        "<f", bad, len(small) - 8, -1.0
    )  # the count of the label scaler, the last word
    assert lib.nbt_load(memory, 3200, sealed(bad), len(bad), handle) == lib.NBT_ERR_STATE
    assert lib.nbt_load(memory, 8, small, len(small), handle) == lib.NBT_ERR_BYTES
    odd = ffi.cast("char *", memory) + 4
    assert lib.nbt_load(odd, 3196, small, len(small), handle) == lib.NBT_ERR_ALIGN
    assert bytes(ffi.buffer(memory)) == b"\x5a" * 3200
    assert handle[0] == ffi.NULL


def test_null_pointers_are_refused(small: bytes) -> None:
    memory, handle = ffi.new("uint64_t[]", 400), ffi.new("nbt_learner **")
    config = ffi.new("nbt_config *")
    assert lib.nbt_load(memory, 3200, small, len(small), handle) == lib.NBT_OK
    calls: list[Callable[[], int]] = [
        lambda: lib.nbt_save(ffi.NULL, ffi.NULL, 1),
        lambda: lib.nbt_save(handle[0], ffi.NULL, 9999),
        lambda: lib.nbt_save_stream(handle[0], ffi.NULL, ffi.NULL),
        lambda: lib.nbt_load(ffi.NULL, 3200, small, len(small), handle),
        lambda: lib.nbt_load(memory, 3200, ffi.NULL, 0, handle),
        lambda: lib.nbt_load(memory, 3200, small, len(small), ffi.NULL),
        lambda: lib.nbt_load_config(ffi.NULL, 0, config),
        lambda: lib.nbt_load_config(small, len(small), ffi.NULL),
    ]
    assert [call() for call in calls] == [lib.NBT_ERR_NULL] * len(calls)


def test_a_stream_comes_in_pieces_and_may_be_stopped(small: bytes) -> None:
    memory, handle = ffi.new("uint64_t[]", 400), ffi.new("nbt_learner **")
    lib.nbt_load(memory, 3200, small, len(small), handle)
    pieces: list[bytes] = []
    room = [99]

    def take(_: Any, data: Any, n: int) -> int:
        if len(pieces) == room[0]:
            return 1
        pieces.append(bytes(ffi.buffer(data, n)))
        return 0

    write = ffi.callback("int(void *, const unsigned char *, size_t)", take)
    assert lib.nbt_save_stream(handle[0], write, ffi.NULL) == lib.NBT_OK
    assert b"".join(pieces) == small
    assert {len(piece) for piece in pieces[:-1]} == {64}
    pieces.clear()
    room[0] = 2
    assert lib.nbt_save_stream(handle[0], write, ffi.NULL) == lib.NBT_ERR_WRITE
    assert len(pieces) == 2


@pytest.mark.slow
def test_a_source_that_changes_while_it_is_read_gives_an_error_or_one_checkpoint(
    build: Build,
) -> None:
    program = build("gcc", *SANITIZED, source=ROOT / "tests" / "unsteady.c", lanes=4)
    assert "good" in run(str(program), "12", "23")


@pytest.mark.slow
def test_a_source_that_changes_any_byte_gives_an_error_or_one_checkpoint(build: Build) -> None:
    run(str(build("gcc", *SANITIZED, source=ROOT / "tests" / "unsteady.c", lanes=4)), "60", "1")


def test_a_buffer_is_copied_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds the buffer may write while the kernel reads it a second and a third time."""
    import nbt_embed.learner as module

    data = bytearray(trained(GOLDEN_CONFIG).to_bytes())
    whole = bytes(data)

    class Lib:
        def __getattr__(self, name: str) -> Any:
            return getattr(lib, name)

        def nbt_load_config(self, *arguments: Any) -> int:
            status = int(lib.nbt_load_config(*arguments))
            data[PAYLOAD + 17] ^= 0x7F  # as another thread would
            return status

    monkeypatch.setattr(module, "lib", Lib())
    assert Learner.from_bytes(data).to_bytes() == whole


HOSTILE = [0.0, -0.0, 1e-45, -1e-30, 1.0, 1e6, -1e6, 1e12, 9e17, -9e17, 1e30, 3e38, -3e38]


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_hostile_numbers_forecast_finite_or_say_so(kind: tuple[str, str, str, str]) -> None:
    cell, estimator, filter_, link = kind
    names: dict[str, Any] = {"cell": cell, "estimator": estimator, "filter": filter_, "link": link}
    config = Config(1, 2, hidden=2, lags=2, max_delay=len(cell) % 2, **names)
    good = trained(config).to_bytes()
    rng = np.random.default_rng(KINDS.index(kind))
    words = (len(good) - PAYLOAD - 4) // 4
    label = [1.0] if link == "categorical" else [0.5, np.nan]
    accepted = 0
    for _ in range(20):
        data = bytearray(good)
        for _ in range(int(rng.choice([1, 1, 3, words]))):
            at = PAYLOAD + 4 * int(rng.integers(6, words))
            value = np.float32(rng.choice(HOSTILE))
            if rng.random() < 0.3:
                value = rng.integers(0, 2**32, dtype=np.uint32).view(np.float32)
            data[at : at + 4] = value.tobytes()
        try:
            learner = Learner.from_bytes(sealed(data))
        except CheckpointError:
            continue
        accepted += 1
        while learner.pending:
            quietly(learner.learn, label)
        for x in (0.5, -3.0, 1e6):
            values, warned = quietly(learner.predict, x)
            assert warned or np.isfinite(values).all()
            if link == "gaussian":
                values, warned = quietly(learner.variance)
                assert warned or np.isfinite(values).all()
            quietly(learner.learn, label)
    assert accepted > 0


def quietly(call: Callable[..., Any], *arguments: Any) -> tuple[Any, bool]:
    """Call, and tell whether it warned or refused."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            values = call(*arguments)
        except NbtError:
            return np.zeros(1), True
    return values, any(issubclass(one.category, DivergenceWarning) for one in caught)


def overflowing() -> bytes:
    """A checkpoint whose numbers can all be, and whose forecast is beyond float32."""
    learner = Learner(1, 1, hidden=1, **still(cell="tanh", filter="sgd", scale_steps=20))
    for x in range(30):
        learner.predict(float(x))
        learner.learn(1e15 * (x % 7))
    data = bytearray(learner.to_bytes())
    at = data.index(learner.array("readout").astype("<f4").tobytes())
    data[at : at + 12] = np.array([9e17, 9e17, 9e17], np.float32).tobytes()
    scale = learner.array("label_scale").astype("<f4").tobytes()
    at = data.rindex(scale)
    data[at + 4 : at + 8] = np.float32(9e36).tobytes()
    return sealed(data)


def test_a_forecast_that_is_not_finite_is_told_by_every_call() -> None:
    data = overflowing()
    with pytest.warns(DivergenceWarning, match="not finite"):
        assert not np.isfinite(Learner.from_bytes(data).predict(1e5)).all()
    with pytest.warns(DivergenceWarning, match="not finite"):
        assert not np.isfinite(Learner.from_bytes(data).run([1e5], [float("nan")], horizon=0)).all()
    memory, handle = ffi.new("uint64_t[]", 400), ffi.new("nbt_learner **")
    assert lib.nbt_load(memory, 3200, data, len(data), handle) == lib.NBT_OK
    x, y = ffi.new("float[]", [1e5]), ffi.new("float[]", 1)
    done, rows = ffi.new("size_t *"), ffi.new("nbt_rows *", {"y": y})
    nothing = ffi.new("float[]", [float("nan")])
    assert lib.nbt_run(handle[0], rows, x, nothing, 1, 0, done) == lib.NBT_NOT_FINITE
    assert done[0] == 1
    assert lib.nbt_predict(handle[0], y, x) == lib.NBT_NOT_FINITE
    assert lib.nbt_pending(handle[0]) == 1  # the step ran


def test_the_variance_of_huge_labels_is_finite_or_said_not_to_be() -> None:
    learner = Learner(1, 1, hidden=2)
    for x in range(100):
        learner.predict(float(x % 5))
        learner.learn(1e17 * (-1) ** x)
    values, warned = quietly(learner.variance)
    assert warned or np.isfinite(values).all()


# ---- Python: files, copies ---------------------------------------------------------------------


def test_a_file_is_written_and_read(tmp_path: Path) -> None:
    learner = trained(GOLDEN_CONFIG)
    path = tmp_path / "learner.nbt"
    for target in (path, str(path)):
        learner.save(target)
        assert Learner.load(target).hash() == learner.hash()
    file = io.BytesIO()
    learner.save(file)
    assert file.getvalue() == path.read_bytes()
    file.seek(0)
    assert Learner.load(file).hash() == learner.hash()
    assert [entry.name for entry in tmp_path.iterdir()] == ["learner.nbt"]


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "text.nbt"
    path.write_text("hello, world")
    with pytest.raises(
        CheckpointError, match=r"text\.nbt: 12 bytes: the bytes are not a checkpoint"
    ):
        Learner.load(path)
    with path.open("rb") as file, pytest.raises(CheckpointError, match=r"text\.nbt"):
        Learner.load(file)
    with pytest.raises(FileNotFoundError):
        Learner.load(tmp_path / "none.nbt")
    with pytest.raises(FileNotFoundError):
        trained(GOLDEN_CONFIG).save(tmp_path / "none" / "learner.nbt")
    assert issubclass(CheckpointError, NbtError)


@pytest.mark.parametrize(
    "make", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_are_learners_of_their_own(make: Callable[[Learner], Learner]) -> None:
    learner = trained(GOLDEN_CONFIG)
    twin = make(learner)
    assert twin.hash() == learner.hash()
    learner.learn(0.1)
    assert twin.hash() != learner.hash()
    twin.learn(0.1)
    assert twin.hash() == learner.hash()


class Named(Learner):
    """A learner with attributes of its own."""

    __slots__ = ("__secret", "place")

    def __init__(self, name: str) -> None:
        super().__init__(GOLDEN_CONFIG)
        self.name, self.place, self.__secret = name, ["here"], 3
        self.itself = self

    def secret(self) -> int:
        """What only this class knows."""
        return self.__secret


class Numbered(Named):
    """Its slots and attributes come on top."""

    __slots__ = "number"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_keeps_what_a_subclass_adds(protocol: int) -> None:
    one: Any = Numbered("pump")
    one.number = 7
    twin: Any = pickle.loads(pickle.dumps(one, protocol))
    assert str(type(twin)) == str(Numbered)
    assert (twin.name, twin.place, twin.number, twin.secret()) == ("pump", ["here"], 7, 3)
    assert twin.hash() == one.hash()
    assert twin.itself is twin
    plain: Any = Learner(GOLDEN_CONFIG)
    plain.note = "kept"
    assert pickle.loads(pickle.dumps(plain, protocol)).note == "kept"


def test_a_copy_keeps_what_a_subclass_adds() -> None:
    one = Named("pump")
    twin, deep = copy.copy(one), copy.deepcopy(one)
    for other in (twin, deep):
        assert (type(other), other.name, other.secret()) == (Named, "pump", 3)
        assert other.hash() == one.hash()
        assert not hasattr(other, "number")
    assert twin.place is one.place
    assert deep.place == one.place
    assert deep.place is not one.place
    assert deep.itself is deep
    twin.predict([0.0, 0.0])
    assert twin.hash() != one.hash()
    named: Named = Named.from_bytes(one.to_bytes())
    assert type(named) is Named


def test_a_broken_learner_does_not_overwrite_a_good_file(tmp_path: Path) -> None:
    learner = trained(GOLDEN_CONFIG)
    path = tmp_path / "learner.nbt"
    learner.save(path)
    good = path.read_bytes()
    start = learner.memory.header
    learner._block[start : start + 4] = np.array([np.nan], np.float32).view(np.uint8)  # a weight
    with pytest.raises(CheckpointError, match="cannot be saved"):
        learner.save(path)
    assert path.read_bytes() == good


def killed_while_saving(path: Path, times: int) -> None:
    """Start a program that saves two learners in turn, and kill it at a random moment."""
    program = (
        "import sys; from nbt_embed import Learner\n"
        "learners = [Learner(3, 1, hidden=h) for h in (20, 30)]\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for learner in learners: learner.save(sys.argv[1])\n"
    )
    rng = np.random.default_rng(times)
    whole = {Learner(3, 1, hidden=h).to_bytes() for h in (20, 30)}
    for _ in range(times):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(float(rng.uniform(0.001, 0.03)))
            process.send_signal(signal.SIGKILL)
        assert not path.exists() or path.read_bytes() in whole
    assert path.exists()


def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    killed_while_saving(tmp_path / "learner.nbt", 5)


@pytest.mark.slow
def test_two_hundred_kills_leave_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    killed_while_saving(tmp_path / "learner.nbt", 200)
