"""Find steps whose repetition takes more and more memory."""

from __future__ import annotations

import gc
import inspect
import linecache
import math
import time
import tracemalloc
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from statistics import fmean, variance

from nbt_embed.arrays import integer
from nbt_embed.errors import InputError, InputTypeError, SequenceError, shown
from nbt_embed.testing import measures
from nbt_embed.testing.measures import FLOORS, MEANINGS, Levels, levels

STEPS = 20_000
LIMIT = 16.0  # bytes per step that pass
_QUARTERS = 4
_REPEATS = 5 * _QUARTERS  # if the result is uncertain
_CLEAR, _LIKELY = 8.0, 5.0  # standard errors: after any round, and after the last
_CALLS = 5_000  # short rounds before a leak is reported, since a cache may fill
_PAUSE = (0.01, 0.1)  # seconds without steps
_LINES = 3  # lines of code in a message


@dataclass(frozen=True)
class Growth:
    """Growth of memory in the first round of ``assert_flat``.

    Attributes: steps; resident, heap, traced: bytes per step, below zero if memory was released;
    heap is NaN where the C library does not count.
    """

    steps: int
    resident: float
    heap: float
    traced: float


def assert_flat(
    step: Callable[..., object],
    *,
    steps: int = STEPS,
    warmup: int | None = None,
    limit: float = LIMIT,
) -> Growth:
    """Call a step many times and fail if the calls keep memory.

    Measures, read after a garbage collection, before and after a round of ``steps`` calls:

    * resident memory, by memory-profiler: the private pages of this process, on Linux those that it
      has written. It contains every leak, in units of pages. malloc first returns its free pages to
      the system.
    * traced memory, by tracemalloc: Python objects and NumPy arrays in bytes, with the lines of
      code that allocated them.
    * with glibc, the bytes that malloc has allocated. They show a leak in C before it has filled
      the free space between other blocks.

    Method: a measure becomes a suspect if it grew over the round by more than ``limit`` bytes per
    step and by more than its noise: 64 KiB resident, 32 KiB of the heap, 2 KiB traced. Then
    quarters of a round are repeated, each after a pause without steps, which measures other
    threads. Four quarters without such growth clear a suspect, so a single growth passes, such as a
    cache that fills. A suspect fails if every repeated quarter grew by its part and by twice as
    much as any pause. It also fails if quarters grew by more than pauses, by eight standard errors
    of the difference, or by five after five more rounds, and pauses did not release that memory: a
    consumer in another thread would release it.

    Detection limit: a leak of b bytes per step with b > limit and b * steps above the noise. The
    default settings find 16 bytes per step; 1,000 steps find 64 bytes of Python or of malloc. With
    busy threads a leak must exceed their noise. Not found are reserved memory that is never
    written, and leaks that pause for a whole round, such as an array that doubles. A cache that
    fills for more than two rounds looks like a leak: pass a longer ``warmup``.

    Examples:
        >>> from nbt_embed import Learner
        >>> learner = Learner(1, 1, hidden=4)
        >>> def step(i: int) -> None:
        ...     learner.predict(i % 7)
        ...     learner.learn(i % 5)
        >>> assert_flat(step, steps=2000).traced < 2
        True

    Args:
        step: called as step(i), i from 0, or as step() if it takes no argument. In a repeated round
            i starts from ``warmup`` again.
        steps: calls of a round, at least 4.
        warmup: calls before memory is read for the first time; None: a tenth of ``steps``.
        limit: largest growth that passes, in bytes per step.

    Returns: the measures of the first round.
    Errors: AssertionError, with bytes per step, the measures that grew, and the lines that
    allocated the memory; MissingExtraError without memory-profiler; InputError, InputTypeError (an
    argument); SequenceError (the step stops tracemalloc); what the step raises.
    Cost: the steps, two to four times slower by tracing, and milliseconds per round.
    """
    __tracebackhide__ = True
    steps, warmup, limit = _settings(steps, warmup, limit)
    call = _with_index(step)
    with _traced():
        for i in range(warmup):
            call(i)
        watch = _Watch(call, steps, warmup, limit)
        before = tracemalloc.take_snapshot()
        suspects = watch.first_round()
        convicted: set[str] = set()
        while suspects and not convicted and watch.repeats < _REPEATS:
            watch.repeat()
            convicted = {name for name in suspects if watch.convicts(name)}
            suspects = {name for name in suspects if not watch.clears(name)}
        if convicted:
            after = tracemalloc.take_snapshot()
            lines = _lines(before, after, watch.calls - warmup, limit / 4)
            name = getattr(step, "__name__", None) or shown(step)
            raise AssertionError("\n".join(_message(name, watch, convicted, lines)))
    rates = {name: watch.first.get(name, math.nan) / steps for name in FLOORS}
    return Growth(steps, **rates)


def _settings(steps: int, warmup: int | None, limit: float) -> tuple[int, int, float]:
    """Return the checked settings. Errors: InputError, InputTypeError."""
    steps = integer("steps", steps)
    if steps < _QUARTERS:
        raise InputError(f"steps = {steps}: expected at least {_QUARTERS} calls")
    warmup = steps // 10 if warmup is None else integer("warmup", warmup)
    if warmup < 0:
        raise InputError(f"warmup = {warmup}: expected 0 calls or more")
    if not isinstance(limit, Real):
        raise InputTypeError(f"limit = {shown(limit)}: expected bytes per step, a number")
    if not limit >= 0:
        raise InputError(f"limit = {shown(limit)}: expected bytes per step, 0 or more")
    return steps, warmup, limit


def _with_index(step: Callable[..., object]) -> Callable[[int], object]:
    """Return the step as a function of the number of the call. Errors: InputTypeError."""
    if not callable(step):
        raise InputTypeError(f"step = {shown(step)}: expected a function")
    if inspect.iscoroutinefunction(step):
        raise InputTypeError(
            f"step = {shown(step)}: a coroutine runs only when it is awaited; pass a function "
            "that does so, "
            "such as lambda: asyncio.run(step())"
        )
    if inspect.isgeneratorfunction(step) or inspect.isasyncgenfunction(step):
        raise InputTypeError(
            f"step = {shown(step)}: a generator runs only when a value is requested; pass a "
            "function that does so, such as generator.__next__"
        )
    try:
        signature = inspect.signature(step)
    except (TypeError, ValueError):  # compiled code without a signature
        return lambda _: step()
    for arguments in ((), (0,)):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return step if arguments else lambda _: step()
    raise InputTypeError(
        f"step = {shown(step)} takes {signature}: expected no argument, or one, the number of the "
        "call"
    )


# ---- Measuring -----------------------------------------------------------------------------------


@contextmanager
def _traced() -> Iterator[None]:
    """Trace, and freeze existing objects, so that the garbage collector checks new objects only."""
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    gc.collect()
    freeze = gc.get_freeze_count() == 0  # else the caller has frozen objects on purpose
    if freeze:
        gc.freeze()
    try:
        yield
    finally:
        if freeze:
            gc.unfreeze()
        if not tracing:
            tracemalloc.stop()


class _Watch:
    """Bytes by which quarters and pauses grew, by measure.

    The tables have their full size from the start, because a table that grows would be measured
    too.

    Attributes: steps of a round; warmup, limit; calls and repeats so far; first: bytes of the first
    round; grown, idle (repeats): bytes of the repeated quarters and of the pauses before them.
    Their sum is the memory that is kept.
    """

    def __init__(
        self, call: Callable[[int], object], steps: int, warmup: int, limit: float
    ) -> None:
        self.steps, self.warmup, self.limit = steps, warmup, limit
        self.calls, self.repeats = warmup, 0
        self.first: Levels = {}
        self._level: Levels = {}  # after the last calls
        self.grown, self.idle = (
            {name: array("q", bytes(8 * _REPEATS)) for name in levels()} for _ in range(2)
        )
        self._call, self._seconds = call, 0.0

    def first_round(self) -> set[str]:
        """Make all steps once, and return the measures that grew. Errors: SequenceError."""
        __tracebackhide__ = True
        before = levels()
        after = self._level = self._made(0, self.steps)
        self.first = {name: after[name] - before[name] for name in before}
        return {name for name, grown in self.first.items() if grown > self._least(name)}

    def repeat(self) -> None:
        """Pause, then repeat a quarter. Errors: SequenceError."""
        __tracebackhide__ = True
        quarter, before = self.repeats % _QUARTERS, self._level
        time.sleep(min(max(self._seconds, _PAUSE[0]), _PAUSE[1]))
        paused = levels()
        bounds = (one * self.steps // _QUARTERS for one in (quarter, quarter + 1))
        after = self._level = self._made(*bounds)
        for name in before:
            self.idle[name][self.repeats] = paused[name] - before[name]
            self.grown[name][self.repeats] = after[name] - paused[name]
        self.repeats += 1

    def _made(self, begin: int, end: int) -> Levels:
        """Make some calls of a round, and return the levels after them. Errors: SequenceError."""
        __tracebackhide__ = True
        call, began = self._call, time.perf_counter()
        for i in range(self.warmup + begin, self.warmup + end):
            call(i)
        self.calls += end - begin
        self._seconds = time.perf_counter() - began
        if not tracemalloc.is_tracing():
            raise SequenceError("step stopped tracemalloc: its memory cannot be measured")
        return levels()

    def _least(self, name: str) -> float:
        """Return the bytes of a round above which growth exceeds the limit and the noise."""
        return max(self.limit * self.steps, FLOORS[name])

    def clears(self, name: str) -> bool:
        """Return whether the last round grew by no more than its pauses."""
        if self.repeats % _QUARTERS:
            return False
        last = slice(self.repeats - _QUARTERS, self.repeats)
        return sum(self.grown[name][last]) - sum(self.idle[name][last]) <= self._least(name)

    def convicts(self, name: str) -> bool:
        """Return whether quarters grow significantly more than pauses."""
        n, last = self.repeats, self.repeats == _REPEATS
        if n < _QUARTERS or (self.calls < _CALLS and not last):
            return False
        grown, idle = self.grown[name][:n], self.idle[name][:n]
        enough = self._least(name) / _QUARTERS
        if min(grown) > max(enough, 2 * max(abs(one) for one in idle)):
            return True
        times = _LIKELY if last else _CLEAR
        more = fmean(grown) - fmean(idle)
        error = math.sqrt((variance(grown) + variance(idle)) / n)
        kept = [one + other for one, other in zip(grown, idle, strict=True)]
        error_kept = math.sqrt(variance(kept) / n)
        return more > max(enough, times * error) and fmean(kept) > max(enough, times * error_kept)

    def rate(self, name: str) -> float:
        """Return the bytes per step of the repeated quarters."""
        return fmean(self.grown[name][: self.repeats]) * _QUARTERS / self.steps


# ---- Messages ------------------------------------------------------------------------------------


def _lines(
    before: tracemalloc.Snapshot, after: tracemalloc.Snapshot, steps: int, least: float
) -> list[str]:
    """Return the lines of code that keep at least this many bytes per step, the largest first."""
    own = (__file__, measures.__file__, tracemalloc.__file__, "memory_profiler", "psutil")
    found: list[str] = []
    for one in sorted(after.compare_to(before, "lineno"), key=lambda one: -one.size_diff):
        rate, frame = one.size_diff / steps, one.traceback[0]
        if rate < max(least, 1.0) or len(found) == _LINES:
            break
        if not any(name in frame.filename for name in own):
            text = linecache.getline(frame.filename, frame.lineno).strip()
            found.append(f"  {rate:,.1f} bytes per step  {frame.filename}:{frame.lineno}: {text}")
    return found


def _message(name: str, watch: _Watch, convicted: set[str], lines: list[str]) -> Iterator[str]:
    """Return the message of a failure: measures, growth and lines of code."""
    # A leak also enlarges the tables of tracemalloc, which the other measures contain.
    measure = min(convicted, key=("traced", "heap", "resident").index)
    yield f"{name} keeps {watch.rate(measure):,.1f} bytes per step (limit {watch.limit:g})"
    for one in watch.grown:
        verdict = "grows" if one in convicted else "does not clearly grow"
        yield f"  {MEANINGS[one]} {verdict}: {watch.rate(one):+,.1f} bytes per step"
    yield f"over {watch.calls:,} calls, {watch.warmup:,} of them to warm up"
    if lines:
        yield "allocated here:"
        yield from lines
    else:
        yield (
            "no Python object is kept: look for memory that compiled code allocates and does not "
            "free"
        )
