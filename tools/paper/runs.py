"""Runs on streams, each made once and shared by the claims, and rates that are chosen fairly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from tools.learning.curves import Curve
from tools.paper.methods import Method
from tools.paper.streams import STREAMS

S = TypeVar("S")
T = TypeVar("T")
Data = dict[str, Any]

SEEDS = (0, 1, 2, 3, 4)
# A rate is the best of its grid on streams and initial weights that no figure is of.
TUNING_SEEDS = (100, 101)
TUNING_PART = 3  # a third of the stream
POINTS = 50  # of a curve in the record


@dataclass(frozen=True)
class Setup:
    """What several methods meet: a stream, a width, and the last part that the figure is of."""

    task: str
    hidden: int
    samples: int
    tail: int

    @property
    def part(self) -> int:
        """Samples on which rates are tried, whole blocks."""
        block = STREAMS[self.task].block
        return self.samples // TUNING_PART // block * block


@dataclass(frozen=True)
class Trial:
    """One run of a method."""

    method: Method
    task: str
    hidden: int
    samples: int
    seed: int

    def run(self) -> Curve:
        """Make it."""
        return self.method.curve(STREAMS[self.task], self.hidden, self.samples, self.seed)


class Runs:
    """Makes trials on all processors; a trial that was made before is not made again."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool
        self._made: dict[Trial, Curve] = {}
        self._work = 0.0

    def map(self, function: Callable[[T], S], items: Sequence[T]) -> list[S]:
        """Apply a function to the items, in order, on all processors."""
        done = list(self._pool.map(partial(_timed, function), items))
        self._work += sum(seconds for _, seconds in done)
        return [result for result, _ in done]

    def processor_time(self) -> float:
        """Seconds of work so far, of this process and of what it had others do."""
        return self._work + time.process_time()

    def curves(self, trials: Sequence[Trial]) -> list[Curve]:
        """Their curves, in order."""
        new = list(dict.fromkeys(trial for trial in trials if trial not in self._made))
        self._made.update(zip(new, self.map(Trial.run, new), strict=True))
        return [self._made[trial] for trial in trials]

    def tuned(self, setup: Setup, grids: Mapping[str, Sequence[Method]]) -> dict[str, Data]:
        """Of each grid the method that loses least on TUNING_SEEDS, over SEEDS (``outcome``)."""
        tried = [method for grid in grids.values() if len(grid) > 1 for method in grid]
        lost = self._lost(setup, tried)
        chosen = {
            name: min(grid, key=lambda method: lost.get(method, 0.0))
            for name, grid in grids.items()
        }
        trials = {
            name: [Trial(method, setup.task, setup.hidden, setup.samples, seed) for seed in SEEDS]
            for name, method in chosen.items()
        }
        self.curves([trial for several in trials.values() for trial in several])
        return {
            name: outcome(chosen[name], self.curves(several), setup.tail)
            for name, several in trials.items()
        }

    def _lost(self, setup: Setup, methods: Sequence[Method]) -> dict[Method, float]:
        """Mean loss of each on the last fifth of what rates are tried on; inf where one fails."""
        trials = [
            Trial(method, setup.task, setup.hidden, setup.part, seed)
            for method in methods
            for seed in TUNING_SEEDS
        ]
        last = [curve.last(setup.part // 5) for curve in self.curves(trials)]
        means = np.reshape(last, (-1, len(TUNING_SEEDS))).mean(axis=1)
        means = np.where(np.isfinite(means), means, np.inf)
        return dict(zip(methods, means.tolist(), strict=True))


def chosen(grid: Sequence[Method], found: Data) -> list[Method]:
    """The method of the grid that an outcome is of, as a grid of one."""
    return [method for method in grid if str(method) == found["chosen"]]


def _timed(function: Callable[[T], S], item: T) -> tuple[S, float]:
    """What the function gives, and the processor time that it took."""
    start = time.process_time()
    return function(item), time.process_time() - start


def outcome(method: Method, curves: Sequence[Curve], tail: int) -> Data:
    """What a record keeps of runs over seeds.

    chosen: the method in words. losses: of the tail, a seed each, None where one left the finite
    numbers. bytes. seen, median, low, high: the curve.
    """
    width = max(curves[0].block, curves[0].samples // POINTS)
    blocks = np.array([curve.by(width) for curve in curves])
    return {
        "chosen": str(method),
        "losses": rounded([curve.last(tail) for curve in curves]),
        "bytes": curves[0].bytes,
        "seen": (width * np.arange(1, blocks.shape[1] + 1)).tolist(),
        "median": rounded(np.median(blocks, axis=0)),
        "low": rounded(blocks.min(axis=0)),
        "high": rounded(blocks.max(axis=0)),
    }


def rounded(values: Any) -> list[float | None]:
    """Five digits; None for what is not finite."""
    return [float(f"{x:.5g}") if np.isfinite(x) else None for x in np.asarray(values).tolist()]


@contextmanager
def runs(processes: int) -> Iterator[Runs]:
    """Runs on a number of processes."""
    with ProcessPoolExecutor(processes) as pool:
        yield Runs(pool)
