"""nbt_embed.testing: leaks are found and named, quiet steps pass, budgets and bits explained."""

from __future__ import annotations

import builtins
import copy
import itertools
import mmap
import os
import queue
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbt_embed import Config, Learner, memory_of
from nbt_embed.errors import (
    InputError,
    InputTypeError,
    MissingExtraError,
    SequenceError,
    StreamError,
)
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream
from nbt_embed.testing import assert_bytes, assert_flat, assert_same_bits, measures, record_bits
from tools import flat

pytest_plugins = ["pytester"]

SMAPS = Path("/proc/self/smaps_rollup")

# ---- assert_flat ---------------------------------------------------------------------------------


@pytest.mark.parametrize("leak", flat.leaks())
def test_a_leak_of_64_bytes_a_step_is_found(leak: str) -> None:
    with pytest.raises(AssertionError, match=r"keeps [\d.,]+ bytes per step \(limit 16\)") as found:
        assert_flat(flat.leaks()[leak], steps=4000)
    said = str(found.value)
    kept = float(said.split(" keeps ")[1].split()[0].replace(",", ""))
    assert 60 < kept < 250
    if "malloc" in leak:
        assert "heap (malloc without free) grows" in said
        assert "no Python object is kept" in said
    else:
        assert "(Python objects and arrays) grows" in said or leak == "a bytearray that grows"
        assert "flat.py:" in said.split("allocated here:")[1]


def test_a_leak_of_memory_that_is_mapped_is_found_by_its_pages() -> None:
    kept = []

    def step() -> None:
        one = mmap.mmap(-1, 4096)
        one[0] = 1
        kept.append(one)

    with pytest.raises(AssertionError, match=r"resident memory .* grows: \+4,\d\d\d"):
        assert_flat(step, steps=2000)


@pytest.mark.skipif(not SMAPS.exists(), reason=f"{SMAPS} is not there")
def test_pages_of_a_file_that_is_read_are_not_kept(tmp_path: Path) -> None:
    path, places = tmp_path / "recording", itertools.count(0, mmap.PAGESIZE)
    with path.open("wb") as file:
        file.write(bytes(16 << 20))
        file.flush()
        os.fsync(file.fileno())  # else its pages are still to be written
    recording = np.memmap(path, mode="r", dtype=np.uint8)
    assert_flat(lambda: recording[next(places) % len(recording)], steps=1000)


def test_what_another_thread_takes_up_is_not_kept() -> None:
    waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def consume() -> None:
        """Take up everything at once, now and then, as a writer to a disk does."""
        going_on = True
        while going_on:
            time.sleep(0.005)
            while not waiting.empty():
                going_on = waiting.get() is not None

    thread = threading.Thread(target=consume)
    thread.start()
    try:
        assert_flat(lambda _: waiting.put(bytes(500)), steps=1000)
    finally:
        waiting.put(None)
        thread.join()


@pytest.mark.parametrize("kind", flat.QUIET)
def test_a_quiet_step_passes(kind: str) -> None:
    growth = assert_flat(flat.QUIET[kind](0), steps=1000)
    assert growth.steps == 1000
    assert growth.traced < 3000  # a queue may fill


@pytest.mark.slow
def test_a_busy_thread_is_not_the_step_s_fault() -> None:
    with flat.busy():
        for make in (flat.QUIET[kind] for kind in ("nothing", "learner", "uneven blocks")):
            assert_flat(make(0), steps=500)


@pytest.mark.slow
def test_no_false_alarm_in_200_runs_and_every_leak_in_10_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert flat.main([]) == 0, capsys.readouterr().out


def test_the_number_of_the_call_is_passed_on() -> None:
    seen: list[int] = []
    assert_flat(lambda i: seen.append(i) if i < 100 else None, steps=8, warmup=3)
    assert seen == list(range(11))


def test_what_a_step_raises_comes_through_and_nothing_stays_behind() -> None:
    def step(i: int) -> None:
        if i == 5:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        assert_flat(step, steps=10)
    assert not tracemalloc.is_tracing()


def test_tracing_goes_on_for_whoever_began_it() -> None:
    tracemalloc.start()
    try:
        assert_flat(lambda: None, steps=8)
        assert tracemalloc.is_tracing()
        with pytest.raises(SequenceError, match="stopped tracemalloc"):
            assert_flat(tracemalloc.stop, steps=8)
    finally:
        tracemalloc.stop()


async def waits() -> None:
    """Nothing."""


def generates() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("step", "settings", "error", "message"),
    [
        (None, {}, InputTypeError, "step = None: expected a function"),
        (waits, {}, InputTypeError, "a coroutine runs only when it is awaited"),
        (generates, {}, InputTypeError, "a generator runs only when a value is requested"),
        (lambda a, b: a + b, {}, InputTypeError, r"takes \(a, b\): expected no argument, or one"),
        (int, {"steps": 3}, InputError, "steps = 3: expected at least 4"),
        (int, {"steps": 4.0}, InputTypeError, "steps = 4.0: expected an integer"),
        (int, {"warmup": -1}, InputError, "warmup = -1: expected 0"),
        (int, {"limit": float("nan")}, InputError, "limit = nan: expected bytes"),
        (int, {"limit": "16"}, InputTypeError, "limit = '16': expected bytes"),
    ],
)
def test_what_is_no_step_is_refused(
    step: Any, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        assert_flat(step, **settings)


def test_without_memory_profiler_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "memory_profiler":
            raise ModuleNotFoundError("No module", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'nbt-embed\[test\]'"):
        assert_flat(lambda: None, steps=8)


def test_where_the_c_library_does_not_count_pages_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "_malloc", lambda: (None, lambda: None))
    assert np.isnan(assert_flat(lambda: None, steps=8).heap)


# ---- assert_bytes --------------------------------------------------------------------------------


def test_a_learner_that_fits_passes() -> None:
    config = Config(1, 1, hidden=4)
    total = memory_of(config).total
    assert assert_bytes(config, total) == assert_bytes(Learner(config), total) == memory_of(config)


@pytest.mark.parametrize("budget", [4000, 1000])
def test_a_learner_too_large_is_told_what_fits(budget: int) -> None:
    config = Config(2, 1, hidden=32, cell="gated", head=0)
    with pytest.raises(AssertionError) as found:
        assert_bytes(config, budget)
    said = str(found.value)
    total = memory_of(config).total
    assert f"takes {total:,} bytes, {total - budget:,} more than the budget {budget:,}" in said
    assert "covariance" in said
    if budget == 4000:
        units = int(said.split("with hidden=")[1].split()[0])
        kinds = [Config(2, 1, hidden=n, cell="gated", head=0) for n in (units, units + 1)]
        smaller = [memory_of(kind) for kind in kinds]
        assert smaller[0].total <= budget < smaller[1].total
    else:
        assert "it does not fit with any number of units" in said


def test_another_method_that_fits_is_named() -> None:
    config = Config(2, 1, hidden=32, cell="gated", head=0)
    with pytest.raises(AssertionError, match="echo state network, same width would fit"):
        assert_bytes(config, memory_of(config).total - 1)


def test_a_budget_is_an_integer_and_a_learner_a_learner() -> None:
    with pytest.raises(InputTypeError, match="budget = '4 kB'"):
        assert_bytes(Config(1, 1), "4 kB")  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match="learner = 3"):
        assert_bytes(3, 3)  # type: ignore[arg-type]


# ---- assert_same_bits ----------------------------------------------------------------------------


@pytest.fixture
def learner() -> Learner:
    return Learner(3, 3, hidden=6, max_delay=1, seed=2)


@pytest.fixture
def stream() -> Stream:
    return simulated_sensor(600, missing=0)


def test_equal_learners_pass_and_stay_where_they_are(learner: Learner, stream: Stream) -> None:
    before, other = learner.hash(), copy.copy(learner)
    end = assert_same_bits(learner, other, stream=stream)
    assert learner.hash() == other.hash() == before != end
    assert assert_same_bits(learner, end, stream=(stream.inputs, stream.targets)) == end
    assert assert_same_bits(learner, before) == before


def test_the_first_array_that_differs_is_named(learner: Learner, stream: Stream) -> None:
    other = copy.copy(learner)
    for one in (learner, other):
        one.predict(stream.inputs[0])
    learner.learn(stream.targets[0])
    other.learn(stream.targets[0] + np.array([0, 1, 0], np.float32))
    with pytest.raises(AssertionError, match=r"before any row \(hash 0x.{16} and 0x.{16}\)"):
        assert_same_bits(learner, other, stream=stream)


def test_learners_that_part_later_are_told_apart_at_the_row(
    learner: Learner, stream: Stream
) -> None:
    """One of them has another label in row 317, as a damaged wire would give."""
    other = copy.copy(learner)
    run = Learner.run

    class Damaged(Learner):
        """Learns a label that is off by the last bit."""

        __slots__ = ()

        def run(self, X: Any, Y: Any, *, horizon: int) -> Any:  # type: ignore[override]
            Y = np.array(Y)
            at = np.flatnonzero((np.asarray(X) == stream.inputs[317]).all(axis=1))
            Y[at, 1] = np.nextafter(Y[at, 1], np.float32(9))
            return run(self, X, Y, horizon=horizon)

    damaged = Damaged.from_bytes(other.to_bytes())
    with pytest.raises(AssertionError, match=r"after row 317 \(hash 0x.{16} and 0x.{16}\): \w+\["):
        assert_same_bits(learner, damaged, stream=stream)


def test_other_settings_are_named(learner: Learner) -> None:
    with pytest.raises(AssertionError, match=r"max_delay = 1 and 0, seed = 2 and 0"):
        assert_same_bits(learner, Learner(3, 3, hidden=6))


@pytest.mark.parametrize("horizon", [0, 1, 2])
def test_a_golden_log_is_replayed(
    horizon: int, learner: Learner, stream: Stream, tmp_path: Path
) -> None:
    path = tmp_path / "golden.csv"
    learner.find_anchor(stream.inputs, stream.targets, horizon=horizon)  # as `run` does
    end = record_bits(learner, path, stream=stream, horizon=horizon)
    assert assert_same_bits(learner, path) == end
    assert assert_same_bits(learner, end, stream=stream, horizon=horizon) == end
    lines = path.read_text().splitlines()
    lines[41] = lines[41][:-1] + ("0" if lines[41][-1] != "0" else "1")
    path.write_text("\n".join(lines))
    with pytest.raises(AssertionError, match=r"golden.csv, line 42: after row 40 the hash is 0x"):
        assert_same_bits(learner, path)


def test_a_checkpoint_is_the_end(learner: Learner, stream: Stream, tmp_path: Path) -> None:
    path, after = tmp_path / "after.nbt", copy.copy(learner)
    after.run(stream.inputs, stream.targets, horizon=1)
    after.save(path)
    assert assert_same_bits(learner, path, stream=stream) == after.hash()
    with pytest.raises(
        AssertionError, match=r"learners: anchor = \(None, None, None\) and \(0, 1, 2\)"
    ):
        assert_same_bits(learner, path)


def test_a_checkpoint_without_anchors_is_the_same_learner(tmp_path: Path) -> None:
    wave = np.sin(np.arange(300.0))
    one = Learner(1, 1, hidden=4, anchor=(None,))
    one.run(wave, wave, horizon=1)
    one.save(tmp_path / "one.nbt")
    assert assert_same_bits(one, tmp_path / "one.nbt") == one.hash()
    assert assert_same_bits(one, Learner.load(tmp_path / "one.nbt")) == one.hash()


def test_symbols_have_bits_too(tmp_path: Path) -> None:
    one = Learner(1, 3, hidden=4, link="categorical")
    x = np.sin(np.arange(300.0))
    end = assert_same_bits(one, copy.copy(one), stream=(x, np.arange(300) % 3))
    assert record_bits(one, tmp_path / "log", stream=(x, np.arange(300) % 3)) == end
    assert assert_same_bits(one, str(tmp_path / "log")) == end


def test_what_cannot_be_compared_is_refused(
    learner: Learner, stream: Stream, tmp_path: Path
) -> None:
    with pytest.raises(StreamError, match=r"cannot be read .* record_bits writes"):
        assert_same_bits(learner, tmp_path / "none.csv")
    (tmp_path / "log").write_text("label,label,label,x,x,x,hash\n,,,1,2,3,\n")
    with pytest.raises(StreamError, match="no row has a hash"):
        assert_same_bits(learner, tmp_path / "log")
    with pytest.raises(InputError, match="its own rows"):
        assert_same_bits(learner, tmp_path / "log", stream=stream)
    with pytest.raises(InputTypeError, match="a pair"):
        assert_same_bits(learner, learner, stream=[1.0])  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="expected 0x0000000000000003"):
        assert_same_bits(learner, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"stream": None}, InputTypeError, "stream = None: expected a Stream"),
        ({"learner": None}, InputTypeError, "learner = None: expected a Learner"),
        ({"horizon": 99}, InputError, "horizon = 99: max_delay = . allows"),
        ({"horizon": -1}, InputError, "horizon = -1: max_delay = . allows"),
        ({"horizon": 1.0}, InputTypeError, "horizon = 1.0: expected an integer"),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_the_file_stays(
    arguments: dict[str, Any],
    error: type[Exception],
    words: str,
    learner: Learner,
    stream: Stream,
    tmp_path: Path,
) -> None:
    path = tmp_path / "golden.csv"
    path.write_text("as it was")
    chosen = {"learner": learner, "stream": stream, **arguments}
    with pytest.raises(error, match=words):
        record_bits(path=path, **chosen)
    assert path.read_text() == "as it was"


# ---- The plugin ----------------------------------------------------------------------------------

TESTS = """
import ctypes

kept = []

def test_learner(nbt_flat, nbt_stream):
    from nbt_embed import Learner
    learner = Learner(3, 3, hidden=4)
    def step(i):
        learner.predict(nbt_stream.inputs[i % len(nbt_stream)])
        learner.learn(nbt_stream.targets[i % len(nbt_stream)])
    growth = nbt_flat(step)
    assert growth.steps == len(nbt_stream) == 1200

def test_leak(nbt_flat):
    nbt_flat(lambda: kept.append(bytearray(64)))

def test_bits(nbt_same_bits, nbt_stream):
    from nbt_embed import Learner
    nbt_same_bits(Learner(3, 3, hidden=4), "golden/golden.csv", stream=nbt_stream)
"""
PLUGIN = ("-p", "pytest_nbt_embed", "-p", "no:cacheprovider")


def test_fixtures_and_options(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    options = (*PLUGIN, "--nbt-steps", "1200")
    first = pytester.runpytest_subprocess(*options)
    first.assert_outcomes(passed=1, failed=2)
    first.stdout.fnmatch_lines(
        [
            "E*AssertionError: <lambda> keeps 1* bytes per step (limit 16)",
            "*kept.append(bytearray(64))*",
            "*golden.csv is not there: pytest --nbt-record writes it*",
        ]
    )
    pytester.runpytest_subprocess(*options, "--nbt-record", "-k", "bits").assert_outcomes(passed=1)
    workers = ("-n", "2") if find_spec("xdist") else ()
    result = pytester.runpytest_subprocess(*options, *workers, "-k", "bits or learner")
    result.assert_outcomes(passed=2)


def test_the_documented_test_passes_with_any_number_of_steps(pytester: pytest.Pytester) -> None:
    document = (Path(__file__).parents[1] / "docs/guide/testing.md").read_text(encoding="utf-8")
    pytester.makepyfile(document.split("```python\n")[1].split("```")[0])
    pytester.runpytest_subprocess(*PLUGIN, "--nbt-record").assert_outcomes(passed=1)
    for steps in ("300", "2500"):
        pytester.runpytest_subprocess(*PLUGIN, "--nbt-steps", steps).assert_outcomes(passed=1)


def test_a_wrong_number_of_steps_is_refused(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess(*PLUGIN, "--nbt-steps", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--nbt-steps: '2': expected an integer from 4*"])


def test_pytest_starts_without_the_package(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\ndef test_it(): assert not {'nbt_embed', 'numpy', 'psutil'} & set(sys.modules)"
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


def test_the_assertions_are_imported_without_what_measures() -> None:
    program = "import nbt_embed.testing, sys; sys.exit('memory_profiler' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
