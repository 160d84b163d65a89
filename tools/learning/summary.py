"""Figures of many runs: medians and ranges over seeds, and how each bar stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.learning.curves import Curve
from tools.learning.influence import OPTIMUM, START, Run
from tools.learning.plan import (
    ANBN,
    FAR,
    FARTHER,
    LENGTH,
    MILLION,
    NEAR,
    ROBUST_SEEDS,
    SERIES,
    SHORT_SPAN,
    SYMBOLS,
    WHOLE_SPAN,
)
from tools.learning.tasks import TASKS, SymbolTask

TAIL = 100_000
# Best figure of exact RTRL, SnAp-1, KF-RTRL, UORO and truncated backpropagation as published by
# SK-RTRL: 64 units, 20,000 samples, normalised squared error, whole-series scaling, 8 lanes.
PUBLISHED = {"Mackey-Glass": 0.0050, "Lorenz": 0.0024, "Henon": 0.0052}


@dataclass(frozen=True)
class Spread:
    """Losses of the same method over the seeds; failed counts those that are not finite."""

    median: float
    low: float
    high: float
    runs: int
    failed: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Median and range of the finite values."""
        array = np.asarray(values, dtype=np.float64)
        finite = array[np.isfinite(array)]
        if not finite.size:
            return cls(np.nan, np.nan, np.nan, array.size, array.size)
        middle, low, high = np.median(finite), finite.min(), finite.max()
        return cls(float(middle), float(low), float(high), array.size, array.size - finite.size)

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.median:.4g} ({self.low:.4g} to {self.high:.4g}{failed})"


@dataclass(frozen=True)
class Bar:
    """One promise: what was asked for, what was measured, whether it holds."""

    task: str
    asked: str
    measured: str
    met: bool


def pick(curves: Sequence[Curve], task: str, method: str, hidden: int, samples: int) -> list[Curve]:
    """The first ``samples`` of every run that is as long, one run a seed, by seed."""
    found = {
        curve.seed: curve.first(samples)
        for curve in curves
        if (curve.task, curve.method, curve.hidden) == (task, method, hidden)
        and curve.samples >= samples
    }
    return [found[seed] for seed in sorted(found)]


def spread(curves: Sequence[Curve], tail: int) -> Spread:
    """Losses over the last ``tail`` samples."""
    return Spread.of([curve.last(tail) for curve in curves])


def medians(curves: Sequence[Curve], width: int) -> NDArray[np.float64]:
    """Median over the runs of the mean loss of every stretch of ``width`` samples."""
    return np.asarray(np.median([curve.by(width) for curve in curves], axis=0))


def reaches(curve: Curve, loss: float) -> float:
    """Samples until the mean of a block is at or below the loss; inf if it never is."""
    below = np.flatnonzero(np.asarray(curve.loss) <= loss)
    return float((below[0] + 1) * curve.block) if below.size else np.inf


def bars(curves: Sequence[Curve], runs: dict[str, Run]) -> Iterator[Bar]:
    """Every bar whose runs are there."""
    yield from _symbols(curves)
    yield from _against_backpropagation(curves)
    yield from _influence(runs)
    yield from _against_sgd(curves)
    yield from _series(curves)
    yield from _robust(curves)
    yield from _against_frozen(curves)


def _symbols(curves: Sequence[Curve]) -> Iterator[Bar]:
    limits = ((ANBN, 0.150, np.inf), (NEAR, 1.69, 1.75), (FAR, 2.36, np.inf))
    for task, most, worst in limits:
        found = pick(curves, task, "unitwise", 32, LENGTH[task])
        if found:
            got = spread(found, TAIL)
            asked = f"median <= {most}" + (f", worst <= {worst}" if np.isfinite(worst) else "")
            met = got.median <= most and got.high <= worst and not got.failed
            yield Bar(f"{task}, last 1e5 of {LENGTH[task]:,}", asked, str(got), met)
    long = pick(curves, ANBN, "unitwise", 32, 10 * MILLION)
    if long:
        got = spread(long, TAIL)
        yield Bar(f"{ANBN}, last 1e5 of 1e7, 3 seeds", "<= 0.1465", str(got), got.median <= 0.1465)
    short = pick(curves, FAR, f"LSTM, span {SHORT_SPAN}", 32, LENGTH[FAR])
    if short:
        got = spread(short, TAIL)
        asked = "backpropagation of span 8 >= 2.448"
        yield Bar(f"{FAR}, the same", asked, str(got), got.median >= 2.448)

    far = TASKS[FARTHER]
    assert isinstance(far, SymbolTask)
    farther = pick(curves, FARTHER, "unitwise", 32, LENGTH[FARTHER])
    if farther and far.blind is not None:
        got = spread(farther, TAIL)
        others = "".join(
            f"; {name} {spread(found, TAIL).median:.4g}"
            for name in ("residual", "frozen")
            if (found := pick(curves, FARTHER, name, 32, LENGTH[FARTHER]))
        )
        asked = f"as far as it goes: floor {far.floor:.3f}, without memory {far.blind:.3f}"
        place = f"{FARTHER}, last 1e5 of {LENGTH[FARTHER]:,}"
        yield Bar(place, asked, f"{got}{others}", got.median < far.blind)


def _against_backpropagation(curves: Sequence[Curve]) -> Iterator[Bar]:
    for task, span in WHOLE_SPAN.items():
        ours = pick(curves, task, "unitwise", 32, LENGTH[task])
        for cell in ("LSTM", "GRU"):
            theirs = pick(curves, task, f"{cell}, span {span}", 32, LENGTH[task])
            if ours and theirs:
                ratio = medians(ours, TAIL) / medians(theirs, TAIL)
                yield Bar(
                    f"{task} against {cell}, span {span}",
                    "ratio of medians <= 1.02 at every 1e5",
                    f"{ratio.min():.3f} to {ratio.max():.3f}, last {ratio[-1]:.3f}",
                    bool(ratio.max() <= 1.02),
                )


def _influence(runs: dict[str, Run]) -> Iterator[Bar]:
    for name, run in runs.items():
        steps = (run.theta.shape[1] - 1) * run.every
        last = run.theta[:, -1]
        if name.startswith("backpropagation"):
            measured = f"theta from 0.5 to {last[0]:.3g} in {steps:,} steps"
            if last[0] > OPTIMUM + 0.1:  # a span of 500 is long enough and arrives
                yield Bar(f"influence, {name}", "diverges", measured, bool(last[0] > START))
        elif steps >= 100_000:
            inside = int(np.isfinite(run.settled()).sum())
            most = np.abs(last - OPTIMUM).max()
            yield Bar(
                f"influence, {name}",
                "within 0.01 of -1/6 after 1e5 steps, 10 of 10",
                f"{inside} of {last.size}, at most {most:.4f} away at the end",
                inside == last.size,
            )


def _against_sgd(curves: Sequence[Curve]) -> Iterator[Bar]:
    task = TASKS[ANBN]
    assert isinstance(task, SymbolTask)
    kalman = pick(curves, ANBN, "unitwise", 32, MILLION)
    sgd = pick(curves, ANBN, "unitwise, sgd", 32, 3 * MILLION)
    if kalman and sgd:
        ours, theirs = (
            np.median([reaches(curve, 1.2 * task.floor) for curve in found])
            for found in (kalman, sgd)
        )
        measured = f"{ours:,.0f} against {theirs:,.0f} symbols: {theirs / ours:.1f} times"
        asked = ">= 10 times fewer to 1.2 floor"
        yield Bar("kalman against sgd, unitwise, anbn", asked, measured, bool(theirs >= 10 * ours))


def _series(curves: Sequence[Curve]) -> Iterator[Bar]:
    for task in SERIES:
        ours, twin = (pick(curves, task, name, 64, 20_000) for name in ("unitwise", "frozen"))
        if ours and twin:
            got, frozen = spread(ours, 10_000), spread(twin, 10_000)
            most = PUBLISHED[task] / 3
            yield Bar(
                f"{task}, 64 units, last half of 20,000",
                f"<= {most:.5f} (a third of the best published) and <= frozen",
                f"{got}; frozen {frozen.median:.4g}",
                got.median <= min(most, frozen.median),
            )
    for task in ("Lorenz", "Mackey-Glass"):
        ours, twin = (pick(curves, task, name, 8, 20_000) for name in ("unitwise", "frozen"))
        if ours and twin:
            ratio = [a.last(10_000) / b.last(10_000) for a, b in zip(ours, twin, strict=True)]
            got = Spread.of(ratio)
            yield Bar(
                f"{task}, 8 units", "<= 1/2 of frozen, same seeds", str(got), got.median <= 0.5
            )


def _robust(curves: Sequence[Curve]) -> Iterator[Bar]:
    found = [
        curve
        for task in (*SYMBOLS, *SERIES)
        for curve in pick(curves, task, "unitwise", 32, MILLION)
        if curve.seed in ROBUST_SEEDS
    ]
    if found:
        diverged = sum(not np.isfinite(curve.loss).all() for curve in found)
        skipped = sum(curve.skipped for curve in found)
        measured = f"{len(found)} runs: {diverged} diverged, {skipped} steps skipped"
        asked = "20 seeds, 6 tasks, 1e6 steps: none diverges, no repeated rollback"
        whole = len(found) == 6 * len(ROBUST_SEEDS)
        yield Bar("robustness", asked, measured, whole and not diverged and not skipped)


def _against_frozen(curves: Sequence[Curve]) -> Iterator[Bar]:
    """Same seed, stream and width, the last half of every run that has its twin."""
    twins = {
        (curve.task, curve.hidden, curve.seed): curve
        for curve in curves
        if curve.method == "frozen"
    }
    ratios = {}
    for curve in curves:
        twin = twins.get((curve.task, curve.hidden, curve.seed))
        if curve.method == "unitwise" and twin is not None:
            samples = min(curve.samples, twin.samples)
            tail = samples // 2
            loss = curve.first(samples).last(tail) / twin.first(samples).last(tail)
            ratios[curve.task, curve.hidden, curve.seed] = loss
    if ratios:
        (task, hidden, seed), most = max(ratios.items(), key=lambda item: item[1])
        measured = (
            f"{len(ratios)} pairs: at most {most:.3f} times its loss ({task}, {hidden} units, "
            f"seed {seed})"
        )
        yield Bar("frozen twins", "never worse by more than noise", measured, most <= 1.02)
