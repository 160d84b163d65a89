"""Time: rounds in which each variant has a turn, medians, ranges.

The clock is the processor time of the process. With one thread at work it runs as a clock on the
wall does, but stands while another process has the core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Work = Callable[[], object]


@dataclass(frozen=True)
class Spread:
    """Median and range of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(float(np.median(values)), float(min(values)), float(max(values)))

    def __str__(self) -> str:
        return f"{short(self.median)} ({short(self.low)} to {short(self.high)})"


def short(x: float) -> str:
    """Three digits, or all before the point."""
    return f"{x:,.0f}" if abs(x) >= 99.95 else f"{x:.3g}"


def seconds(work: Work) -> float:
    """Processor time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def alternate(works: Sequence[Work], rounds: int) -> list[list[float]]:
    """Seconds of every round of each: a, b, c, a, b, c, ..., so that all meet the same machine."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, times in zip(works, taken, strict=True):
            times.append(seconds(work))
    return taken


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """How many times longer they take, round by round."""
    return Spread.of([b / a for a, b in zip(ours, theirs, strict=True)])


def times_for(work: Callable[[int], object], least: float, most: int) -> int:
    """How often work(n) has to be done to take `least` seconds; at most `most` times. Warms up."""
    work(1)
    n = 1
    while n < most:
        taken = seconds(lambda n=n: work(n))  # type: ignore[misc]
        if taken >= least:
            break
        n = min(most, max(2 * n, int(n * least / max(taken, 1e-9))))
    return n
