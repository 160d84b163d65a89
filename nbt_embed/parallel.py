"""Many passes over a stream at once: every one a thread, since the kernel runs without the lock.

What comes out does not depend on the number of threads. Ctrl-C ends the passes at their next piece.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from nbt_embed.arrays import integer
from nbt_embed.errors import ConfigError, DivergenceWarning, shown

T = TypeVar("T")
Advance = Callable[[int], None]
"""What a pass calls with the number of rows it has fed since its last call."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during the passes, with a text that says how far they came."""

    def __init__(self, done: int, total: int, what: str = "passes") -> None:
        super().__init__(f"{done} of {total} {what} were done")


class _StoppedError(Exception):
    """Another thread has ended the run."""


def run_all(
    passes: Sequence[Callable[[Advance], T]],
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
    what: str = "passes",
) -> list[T]:
    """What every pass returns, in their order.

    Args:
        passes: each is given a function to call after every piece of rows; those that take longest
            should stand first.
        jobs: passes at once; None: as many as this process may use processors.
        progress: called with the number of rows fed since the last call, one call at a time.
        what: how ``Interrupted`` calls them.

    Errors: Interrupted, ConfigError and InputTypeError (jobs), the first that a pass raises.
    """
    stop, lock = threading.Event(), threading.Lock()

    def advance(rows: int) -> None:
        if stop.is_set():
            raise _StoppedError
        if progress is not None:
            with lock:
                progress(rows)

    results: dict[int, T] = {}
    with warnings.catch_warnings():  # a model that diverges has losses that say so
        warnings.simplefilter("ignore", DivergenceWarning)
        pool = ThreadPoolExecutor(threads(jobs))
        try:
            places = {pool.submit(one, advance): place for place, one in enumerate(passes)}
            for future in as_completed(places):
                results[places[future]] = future.result()
        except KeyboardInterrupt:
            stop.set()
            raise Interrupted(len(results), len(passes), what) from None
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return [results[place] for place in range(len(passes))]


def threads(jobs: int | None) -> int:
    """Passes at once; None: as many as this process may use processors. Errors: ConfigError."""
    if jobs is None:
        return (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
    jobs = integer("jobs", jobs)
    if jobs < 1:
        raise ConfigError(f"jobs = {shown(jobs)}: expected passes at once, from 1")
    return jobs
