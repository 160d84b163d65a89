"""What ``nbt_embed.testing.assert_flat`` finds, and how often it is wrong: ``make flat``.

Leaks of 64 bytes a step, in Python and in C, alone and behind a learner's step: each has to be
found within 10 seconds. Then steps of many kinds that keep nothing, 200 runs in one process, of
which none may fail.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import functools
import itertools
import random
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from nbt_embed import Learner
from nbt_embed.testing import assert_flat

BYTES = 64
SECONDS = 10.0
RUNS = 200
Step = Callable[[int], object]


# ---- Leaks ---------------------------------------------------------------------------------------


def malloc() -> Callable[[int], object]:
    """The C library's malloc."""
    function = ctypes.CDLL(None).malloc
    function.argtypes, function.restype = (ctypes.c_size_t,), ctypes.c_void_p
    return function


def learning() -> Step:
    """A step of a learner, which keeps nothing."""
    learner = Learner(2, 2, hidden=8)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((100, 2)).astype(np.float32)

    def step(i: int) -> None:
        learner.predict(rows[i % 100])
        learner.learn(rows[(i + 1) % 100])

    return step


def leaks() -> dict[str, Step]:
    """A step of each kind that keeps 64 bytes."""
    kept: list[object] = []
    taken, learn, take = set(), learning(), malloc()
    grown = bytearray()

    def both(i: int) -> None:
        learn(i)
        take(BYTES)

    def ring(_: int) -> None:
        link: list[object] = []
        link.append(link)
        kept.append(link)

    return {
        "bytes in a list": lambda i: kept.append(i.to_bytes(BYTES, "big")),
        "an array of 16 floats": lambda _: kept.append(np.zeros(16, np.float32)),
        "keys of a set": lambda i: taken.add((len(taken), i)),
        "objects that hold themselves": ring,
        "a bytearray that grows": lambda _: grown.extend(bytes(BYTES)),
        "malloc": lambda _: take(BYTES),
        "malloc behind a learner's step": both,
    }


# ---- Steps that keep nothing ---------------------------------------------------------------------


def refused() -> Step:
    """An error that is caught, with its traceback."""

    def step(i: int) -> None:
        try:
            int(f"x{i}")
        except ValueError as error:
            str(error)

    return step


def cycles() -> Step:
    """Garbage that only the collector frees, with a weak reference to it."""

    def step(_: int) -> None:
        one: list[object] = [0] * 8
        one.append(one)
        weakref.ref(threading.Event())

    return step


def uneven(seed: int) -> Step:
    """Blocks of very different sizes, of which the last 50 live."""
    draw, alive = random.Random(seed), collections.deque[object](maxlen=50)
    return lambda _: alive.append(bytearray(int(2 ** draw.uniform(3, 17))))


def cached(seed: int) -> Step:
    """A cache of 512 results that is asked for others all the time."""
    draw = random.Random(seed)

    @functools.lru_cache(maxsize=512)
    def square(value: int) -> tuple[int, str]:
        return value, str(value**2)

    return lambda _: square(draw.randrange(10**6))


def queue() -> Step:
    """A queue that becomes full within the first round."""
    waiting = collections.deque[tuple[int, float]](maxlen=1500)
    return lambda i: waiting.append((i, float(i)))


def arrays(seed: int) -> Step:
    """NumPy arrays of up to 0.1 MB that live for a step."""
    rng = np.random.default_rng(seed)
    return lambda _: float(np.sort(rng.random(int(rng.integers(1, 12_000))))[0])


def frees() -> Step:
    """Memory of C that is given back."""
    take = malloc()
    free = ctypes.CDLL(None).free
    free.argtypes, free.restype = (ctypes.c_void_p,), None
    return lambda i: free(take(BYTES + i % 1000))


def texts() -> Step:
    """Strings and dictionaries of changing keys."""
    known: dict[str, int] = {}

    def step(i: int) -> None:
        known[f"key {i % 300}"] = i
        if i % 300 == 299:
            known.clear()

    return step


QUIET: dict[str, Callable[[int], Step]] = {
    "nothing": lambda _: lambda i: i,
    "learner": lambda _: learning(),
    "error caught": lambda _: refused(),
    "garbage cycles": lambda _: cycles(),
    "uneven blocks": uneven,
    "cache": cached,
    "queue": lambda _: queue(),
    "arrays": arrays,
    "malloc and free": lambda _: frees(),
    "texts": lambda _: texts(),
}


@contextmanager
def busy() -> Iterator[None]:
    """Another thread that takes and gives back memory meanwhile."""
    ended = threading.Event()

    def work() -> None:
        draw, alive = random.Random(0), collections.deque[object](maxlen=20)
        while not ended.is_set():
            alive.append([bytes(draw.randrange(1, 5000)) for _ in range(20)])
            time.sleep(1e-4)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def quiet_runs(runs: int, steps: int) -> Iterator[tuple[str, str]]:
    """Make the runs, every second round next to a busy thread. Yields a kind, and what failed."""
    kinds = itertools.islice(itertools.cycle(QUIET.items()), runs)
    for number, (kind, make) in enumerate(kinds):
        threaded = number // len(QUIET) % 2 == 1
        said = ""
        with busy() if threaded else threading.Lock():
            try:
                assert_flat(make(number), steps=steps)
            except AssertionError as error:
                said = str(error)
        yield f"{kind}{', busy thread' if threaded else ''}", said


def main(arguments: list[str] | None = None) -> int:
    """Exit 1 if a leak is missed or slow to be found, or a quiet step fails."""
    parser = argparse.ArgumentParser(prog="python -m tools.flat", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"quiet runs ({RUNS})")
    parser.add_argument("--steps", type=int, default=2000, help="steps of a quiet run (2000)")
    options = parser.parse_args(arguments)
    good = True
    for name, step in leaks().items():
        began, found = time.perf_counter(), "MISSED"
        try:
            assert_flat(step)
        except AssertionError as error:
            found = str(error).splitlines()[0].partition(" keeps ")[2]
        seconds = time.perf_counter() - began
        good &= found != "MISSED" and seconds <= SECONDS
        print(f"{name:32} {seconds:5.2f} s  {found}")
    wrong = [one for one in quiet_runs(options.runs, options.steps) if one[1]]
    for kind, said in wrong:
        print(f"{kind}: {said}")
    print(f"{len(wrong)} of {options.runs} quiet runs failed")
    return 0 if good and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
