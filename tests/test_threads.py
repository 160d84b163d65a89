"""The kernel runs without the global lock; learners share nothing and refuse a second user."""

import copy
import io
import itertools
import math
import os
import pickle
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, TypeVar

import numpy as np
import pytest
from conftest import ROOT, Build, run
from numpy.typing import NDArray

from nbt_embed import Learner
from nbt_embed._kernel import ffi, lib
from nbt_embed.errors import DivergenceWarning, SequenceError

T = TypeVar("T")


def stream(steps: int) -> NDArray[np.float32]:
    return np.sin(np.arange(steps, dtype=np.float32) / 5)[:, np.newaxis]


def test_run_lets_other_threads_run() -> None:
    values = stream(300_000)
    learner = Learner(1, 1, hidden=8)
    seconds = []

    def work() -> None:
        start = time.perf_counter()
        learner.run(values, values, horizon=0)
        seconds.append(time.perf_counter() - start)

    worker = threading.Thread(target=work)
    longest, last = 0.0, time.perf_counter()
    worker.start()
    while worker.is_alive():
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    # With the lock held this thread would be blocked for the whole run.
    assert longest < seconds[0] / 2


def test_learners_in_threads_give_the_bits_they_give_alone() -> None:
    values = stream(20_000)

    def hash_of(seed: int) -> int:
        learner = Learner(1, 1, hidden=5, seed=seed)
        learner.run(values, values, horizon=0)
        return learner.hash()

    alone = [hash_of(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(hash_of, range(4))) == alone
    assert len(set(alone)) == 4


def is_busy(learner: Learner) -> bool:
    """Whether a thread is inside of the kernel; looked at from outside, which disturbs nobody."""
    return bool(learner._shared.owner % 2)


@contextmanager
def busy(learner: Learner, values: NDArray[np.float32]) -> Iterator[None]:
    """Another thread runs the learner on values, and has it until the block is over."""
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        hold = ffi.new("nbt_hold *")
        assert lib.nbt_hold_begin(learner._shared, hold) == lib.NBT_OK
        learner.run(values[:100], values[:100], horizon=0)
        begun.set()
        learner.run(values[100:], values[100:], horizon=0)
        over.wait()
        lib.nbt_hold_end(learner._shared, hold)

    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(work)
        begun.wait()
        try:
            yield
        finally:
            over.set()
            worker.result()


def test_a_learner_that_another_thread_uses_is_refused_and_not_disturbed() -> None:
    values = stream(100_000)
    alone, shared = Learner(1, 1, hidden=8), Learner(1, 1, hidden=8)
    alone.run(values, values, horizon=0)
    with busy(shared, values):
        for name, call in calls(shared).items():
            with pytest.raises(SequenceError, match=f"{name.split()[0]}: another thread is using"):
                call()
        assert "counters: another thread is using" in shared._repr_html_()
    assert shared.hash() == alone.hash()


def calls(learner: Learner) -> dict[str, Callable[[], object]]:
    """Every way in, by the name in its refusal; further words tell apart what has the same name."""
    one = np.zeros(1, np.float32)
    readout = np.zeros(learner._shape("readout") or 0)
    return {
        "predict a scalar": lambda: learner.predict(0.0),
        "predict an array": lambda: learner.predict(one),
        "predict into an array": lambda: learner.predict(one, out=one.copy()),
        "predict from the buffer": lambda: learner.predict(learner.x),
        "predict in the buffers": lambda: learner.predict(learner.x, out=learner.y),
        "peek": lambda: learner.peek(0.0),
        "peek with intervals": lambda: learner.peek(one, one.copy(), intervals=True),
        "learn a scalar": lambda: learner.learn(0.0),
        "learn an array": lambda: learner.learn(one),
        "learn the buffer": lambda: learner.learn(learner.label),
        "run": lambda: learner.run([0.0], [0.0], horizon=1),
        "to_bytes": learner.to_bytes,
        "to_bytes in save": lambda: learner.save(io.BytesIO()),
        "to_bytes in pickle": lambda: pickle.dumps(learner),
        "to_bytes in copy": lambda: copy.copy(learner),
        "pending": lambda: learner.pending,
        "counters": lambda: learner.counters,
        "hash": learner.hash,
        "replay": lambda: learner.replay(["label,x,hash"]),
        "variance": learner.variance,
        "interval": learner.interval,
        "student": learner.student,
        "anomaly": lambda: learner.anomaly,
        "array": lambda: learner.array("theta"),
        "set_array": lambda: learner.set_array("readout", readout),
        "reseed": lambda: learner.reseed(1),
        "reset_state": learner.reset_state,
    }


def elsewhere(call: Callable[[], T]) -> T:
    """What a call gives in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def test_a_call_gives_the_learner_back() -> None:
    learner = Learner(1, 1, hidden=2, max_delay=1000)
    for call in calls(learner).values():
        learner.predict(0.0)
        call()
        assert elsewhere(lambda: learner.pending) == learner.pending
        learner.reset_state()


class Unreadable:
    """An input that fails when it is looked at."""

    def __array__(self, *_: Any, **__: Any) -> NDArray[np.float32]:
        raise OSError("the sensor is gone")


FAILURES: list[tuple[str, Callable[[Learner], object]]] = [
    ("sensor is gone", lambda one: one.predict(Unreadable())),
    ("sensor is gone", lambda one: one.learn(Unreadable())),
    ("sensor is gone", lambda one: one.run(Unreadable(), [0.0], horizon=0)),
    ("inf", lambda one: one.predict(math.inf)),
    ("shape", lambda one: one.predict([0.0, 0.0])),
    ("dtype", lambda one: one.predict("a")),
    ("out is", lambda one: one.predict(0.0, out=np.zeros(2, np.float32))),
    ("read-only", lambda one: one.predict(0.0, out=frozen())),
    ("inf", lambda one: one.learn(math.inf)),
    ("shape", lambda one: one.learn([0.0, 0.0])),
    ("predict first", lambda one: again_and_again(lambda: one.learn(0.0))),
    ("predict first", lambda one: again_and_again(lambda: one.learn(one.label))),
    ("max_delay", lambda one: again_and_again(lambda: one.predict(0.0))),
    ("max_delay", lambda one: again_and_again(lambda: one.predict(one.x, out=one.y))),
    ("row 0", lambda one: one.run([3e38], [0.0], horizon=0)),
    ("horizon", lambda one: one.run([0.0], [0.0], horizon=7)),
    ("sensor is gone", lambda one: one.peek(Unreadable())),
    ("inf", lambda one: one.peek(math.inf)),
    ("expected one of", lambda one: one.array("nothing")),
    ("expected one of", lambda one: one.set_array("nothing", 0.0)),
    ("sensor is gone", lambda one: one.set_array("theta", Unreadable())),
    ("seed", lambda one: one.reseed(-1)),
    ("line 2", lambda one: one.replay(["label,x,hash", "a,0,"])),
    ("closed", lambda one: one.save(closed())),
]


def again_and_again(call: Callable[[], object]) -> None:
    for _ in range(3):
        call()


def frozen() -> NDArray[np.float32]:
    out = np.zeros(1, np.float32)
    out.flags.writeable = False
    return out


def closed() -> io.BytesIO:
    file = io.BytesIO()
    file.close()
    return file


@pytest.mark.parametrize(("message", "call"), FAILURES)
def test_a_call_that_fails_gives_the_learner_back(
    message: str, call: Callable[[Learner], object]
) -> None:
    learner = Learner(1, 1, hidden=2, max_delay=1)
    learner.predict(0.0)
    if "row 0" in message:
        learner.reset_state()
    with pytest.raises(Exception, match=message):
        call(learner)
    before = learner.hash()
    assert elsewhere(learner.hash) == before
    # And nothing of the refused sample is left: the next calls give what they give elsewhere.
    twin = copy.copy(learner)
    learner.reset_state()
    twin.reset_state()
    for x in (0.5, np.array([0.25], np.float32)):
        np.testing.assert_array_equal(elsewhere(partial(learner.predict, x)), twin.predict(x))
    assert learner.hash() == twin.hash()


def test_every_call_of_two_threads_is_done_or_refused_as_a_whole() -> None:
    """Until each has been refused at least once, or some seconds are over."""
    learner = Learner(4, 2, hidden=48, max_delay=10**6, seed=2)
    end = time.monotonic() + 20
    refused = [0, 0]

    def work(me: int) -> tuple[int, int]:
        x, label = np.full(4, me, np.float32), np.full(2, me, np.float32)
        done = [0, 0]
        while min(refused) < 20 and time.monotonic() < end:
            for which in range(2):
                try:
                    learner.predict(x) if which == 0 else learner.learn(label)
                    done[which] += 1
                except SequenceError as error:
                    refused[me] += "another thread" in str(error)
        return done[0], done[1]

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(work, range(2)))
    counters = learner.counters
    assert counters.predictions == done[0][0] + done[1][0]
    learnt = counters.labels + counters.missing
    assert learnt == done[0][1] + done[1][1]
    assert learner.pending == counters.predictions - learnt
    assert all(np.isfinite(learner.array(name)).all() for name in learner.arrays)
    Learner.from_bytes(learner.to_bytes())


class Meddling:
    """An input that uses the learner while it is being looked at."""

    def __init__(self, value: float, meddle: Callable[[], object]) -> None:
        self.value, self.meddle = value, meddle

    def __array__(self, *_: Any, **__: Any) -> NDArray[np.float32]:
        value = np.array([self.value], np.float32)
        self.meddle()
        return value


@pytest.mark.parametrize("where", [lambda call: call(), elsewhere], ids=["within", "elsewhere"])
def test_a_call_in_between_changes_neither_inputs_nor_forecast(
    where: Callable[[Callable[[], object]], object],
) -> None:
    meddled, twin = (Learner(1, 1, hidden=4, max_delay=3) for _ in range(2))
    inner: list[Any] = []

    def predict() -> None:
        inner.append(meddled.predict(np.array([0.75], np.float32)))

    def learn() -> None:
        meddled.learn(0.5)

    for _ in range(20):
        outer = meddled.predict(Meddling(-0.5, lambda: where(predict)))
        np.testing.assert_array_equal(inner.pop(), twin.predict(0.75))
        np.testing.assert_array_equal(outer, twin.predict(-0.5))
        meddled.learn(Meddling(-1.0, lambda: where(learn)))
        twin.learn(0.5)
        twin.learn(-1.0)
    assert meddled.hash() == twin.hash()


def meddled_at(line: int, call: Callable[[], T], meddle: Callable[[], object]) -> T | None:
    """What a call gives when others come before its n-th line; None if it has no such line."""
    own = {method.__code__ for method in (Learner.predict, Learner.learn)}
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code not in own:
            return None
        if event == "line":
            lines += 1
            if lines == line:
                meddle()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = call()
    finally:
        sys.settrace(before)
    return result if lines >= line else None


@pytest.mark.parametrize("kind", ["predict", "predict into", "learn"])
@pytest.mark.parametrize("where", [lambda call: call(), elsewhere], ids=["within", "elsewhere"])
def test_a_call_in_between_may_come_at_any_line(
    kind: str, where: Callable[[Callable[[], object]], object]
) -> None:
    outer, inner = np.array([0.75], np.float32), np.array([-0.5], np.float32)

    def learner() -> Learner:
        one = Learner(1, 1, hidden=4, max_delay=1)
        if kind == "learn":
            one.predict(0.1)
            one.predict(0.2)
        return one

    def call(one: Learner, value: NDArray[np.float32]) -> tuple[float, ...]:
        if kind == "learn":
            one.learn(value)
            return ()
        return tuple(one.predict(value, out=np.zeros(1, np.float32) if "into" in kind else None))

    def outcome(one: Learner, of_outer: object, of_inner: object) -> tuple[object, ...]:
        return of_outer, of_inner, one.hash()

    first, last = learner(), learner()
    possible = [outcome(first, call(first, outer), call(first, inner))]
    of_inner = call(last, inner)
    possible.append(outcome(last, call(last, outer), of_inner))
    assert possible[0] != possible[1]
    found = []
    for line in itertools.count(1):
        one, seen = learner(), list[tuple[float, ...]]()
        meddle = partial(lambda one, seen: seen.append(call(one, inner)), one, seen)
        of_outer = meddled_at(line, partial(call, one, outer), partial(where, meddle))
        if of_outer is None:
            break
        found.append(possible.index(outcome(one, of_outer, seen[0])))
    assert found == sorted(found, reverse=True)
    assert set(found) == {0, 1}


def test_what_a_replay_reads_from_may_use_the_learner() -> None:
    learner = Learner(1, 1, hidden=2)
    seen = []

    def log() -> Iterator[str]:
        yield "label,x,hash"
        for _ in range(3):
            seen.append(learner.pending)
            learner.hash()
            with pytest.raises(SequenceError, match="another thread"):
                elsewhere(lambda: learner.pending)
            yield "0.5,0.25,"

    assert learner.replay(log()).steps == 3
    assert seen == [0, 1, 1]
    assert elsewhere(lambda: learner.pending) == 1


def test_what_shows_a_warning_may_use_the_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = Learner(1, 1, hidden=2, filter="sgd", sgd_rate=100.0, gate=0.0, scale_steps=0)
    shown = []

    def show(message: Warning | str, _: Any, file: str, *__: Any) -> None:
        assert isinstance(message, DivergenceWarning)
        assert file == __file__
        shown.append((learner.counters.skipped, elsewhere(lambda: learner.counters.skipped)))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", show)
        learner.predict(1e4)
        learner.learn(1e5)
    assert shown == [(1, 1)]


def test_a_hold_is_over_when_the_last_one_has_ended() -> None:
    learner = Learner(1, 1, hidden=2)
    shared = learner._shared
    outer, inner = ffi.new("nbt_hold *"), ffi.new("nbt_hold *")
    assert lib.nbt_hold_begin(shared, outer) == lib.nbt_hold_begin(shared, inner) == lib.NBT_OK
    assert elsewhere(lambda: lib.nbt_hold_begin(shared, outer)) == lib.NBT_CALL_BUSY
    for hold, others in ((inner, False), (inner, False), (outer, True)):
        lib.nbt_hold_end(shared, hold)
        assert learner.pending == 0
        assert (elsewhere(lambda: lib.nbt_shared_pending(shared)) == 0) == others
    assert shared.owner == shared.holds == 0


LEARNER = Learner.run.__code__.co_filename


class Interrupted(KeyboardInterrupt):
    """Ctrl-C at a known moment."""


def interrupted_at(opcode: int, call: Callable[[], object], *own: str) -> bool:
    """Make a call, with Ctrl-C before its n-th bytecode; False if it has not so many.

    Those of these files; without, of the learner's module: what it calls is either compiled or
    gives nothing back.
    """
    own, seen = own or (LEARNER,), 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if frame.f_code.co_filename not in own:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            seen += 1
            if seen == opcode:
                raise Interrupted
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(Interrupted):
            call()
    finally:
        sys.settrace(before)
    return seen >= opcode


@pytest.mark.parametrize("name", list(calls(Learner(1, 1))))
def test_an_interrupt_at_any_moment_leaves_the_learner_to_others(name: str) -> None:
    learner = Learner(1, 1, hidden=2, max_delay=3)
    with ThreadPoolExecutor(1) as pool:  # one other thread for all of them
        for opcode in itertools.count(1):
            learner.reset_state()
            learner.predict(0.0)
            if not interrupted_at(opcode, calls(learner)[name]):
                break
            pool.submit(learner.hash).result()
    assert opcode > 10


def in_a_child(check: Callable[[], object]) -> str:
    """What a check gives, or raises, in a child that is forked here."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            text = str(check())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        text = file.read()
    os.waitpid(child, 0)
    return text


def test_a_fork_leaves_an_idle_learner_as_it_is() -> None:
    learner = Learner(1, 1, hidden=2)
    learner.predict(0.5)
    assert in_a_child(learner.hash) == str(learner.hash())
    assert in_a_child(lambda: elsewhere(learner.hash)) == str(learner.hash())


def forked_in_a_run(learner: Learner, check: Callable[[], object]) -> str:
    """What a check gives in a child that was forked while another thread was inside of a run."""
    values = stream(200_000)
    while True:  # a run that was over too early, on a machine with other work, is made again
        worker = threading.Thread(target=partial(learner.run, values, values, horizon=0))
        worker.start()
        while not is_busy(learner) and worker.is_alive():
            pass
        text = in_a_child(check)
        in_time = is_busy(learner)
        worker.join()
        if in_time:
            return text


@pytest.mark.slow
def test_a_fork_while_another_thread_runs_says_what_to_do() -> None:
    learner = Learner(1, 1, hidden=8)
    saved = learner.to_bytes()
    for name, call in calls(learner).items():
        text = forked_in_a_run(learner, call)
        expected = f"SequenceError: {name.split()[0]}: this process was forked while another thread"
        assert text.startswith(expected), text
        assert "load a checkpoint" in text
    assert forked_in_a_run(learner, lambda: Learner.from_bytes(saved).to_bytes() == saved) == "True"
    assert in_a_child(learner.hash) == str(learner.hash())


def test_a_fork_while_another_thread_replays_heals() -> None:
    """Between two calls of a replay the learner is whole; the thread that held it is not there."""
    learner = Learner(1, 1, hidden=2)
    found: list[str] = []

    def log() -> Iterator[str]:
        yield "label,x,hash"
        found.append(elsewhere(lambda: in_a_child(learner.hash)))
        found.append(elsewhere(lambda: in_a_child(lambda: (learner.hash(), learner.pending))))
        found.append(in_a_child(lambda: refused_elsewhere(learner)))

    learner.replay(log())
    assert found == [str(learner.hash()), str((learner.hash(), 0)), "True"]


def refused_elsewhere(learner: Learner) -> bool:
    """Whether the thread that was forked, and replays, still keeps others out."""
    with pytest.raises(SequenceError, match="another thread"):
        elsewhere(learner.hash)
    return learner.pending == 0


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=pytest.mark.slow)])
def test_turns_keep_threads_apart(compiler: str, build: Build) -> None:
    """ThreadSanitizer ends the program at the first race."""
    flags = ("-std=c99", "-g", "-O1", "-ffp-contract=off", "-fsanitize=thread")
    run(str(build(compiler, *flags, source=ROOT / "tests" / "turns.c", lanes=1)))


def test_copies_have_turns_of_their_own() -> None:
    learner = Learner(1, 1, hidden=2)

    def log() -> Iterator[str]:
        for other in (
            copy.copy(learner),
            copy.deepcopy(learner),
            pickle.loads(pickle.dumps(learner)),
        ):
            assert elsewhere(other.hash) == learner.hash()
            assert not np.shares_memory(other.x, learner.x)
        yield "label,x,hash"

    learner.replay(log())
