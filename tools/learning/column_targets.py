"""Targets of layers of columns with a head: a loss in a number of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tools.learning.plan import (
    ANBN,
    FAR,
    FARTHER,
    LENGTH,
    MILLION,
    NEAR,
    ROBUST,
    ROBUST_SEEDS,
    SHORT,
)
from tools.learning.record import Outcome, Record

KIB = 1024


@dataclass(frozen=True)
class Target:
    """The median loss at the end of a run, and the bytes of the learner (None: any)."""

    task: str
    method: str
    hidden: int
    samples: int
    loss: float
    bytes: int | None


HEAD, NO_NOISE = "columnar + head", "columnar + head, no noise"
TARGETS = (
    Target(ANBN, HEAD, 16, LENGTH[ANBN], 0.148, 7 * KIB),
    Target(ANBN, HEAD, 32, LENGTH[ANBN], 0.1445, None),
    Target(NEAR, HEAD, 16, LENGTH[NEAR], 1.675, 16 * KIB),
    Target(NEAR, HEAD, 32, LENGTH[NEAR], 1.667, None),
    Target(FAR, HEAD, 24, LENGTH[FAR], 2.31, 24 * KIB),
    Target(FAR, HEAD, 32, LENGTH[FAR], 2.281, 34 * KIB),
    Target(FARTHER, "columnar + head, long", 32, LENGTH[FARTHER], 2.60, 56 * KIB),
    Target("Lorenz", NO_NOISE, 14, SHORT, 1e-4, 8 * KIB),
    Target("Mackey-Glass", NO_NOISE, 14, SHORT, 2e-5, 8 * KIB),
    Target("Henon", NO_NOISE, 14, SHORT, 5e-4, 8 * KIB),
)


def of_columns(record: Record) -> Iterator[Outcome]:
    """Every target whose figures are there."""
    for one in TARGETS:
        found = record.figure(one.task, one.method, one.hidden, one.samples)
        if found is None or found.bytes is None:
            continue
        size = "" if one.bytes is None else f" in {one.bytes:,} bytes"
        yield Outcome(
            f"{one.task}, {one.method}, {one.hidden} units",
            f"<= {one.loss:g}{size}",
            f"{found.loss}; {found.bytes:,} bytes; seeds: {found.loss.runs}",
        )
    yield from _robust(record)


def _robust(record: Record) -> Iterator[Outcome]:
    tasks = [(task, method) for method, tasks in ROBUST.items() for task in tasks]
    found = [record.figure(*one, 16, MILLION) for one in tasks]
    figures = [one for one in found if one is not None]
    runs, failed = (sum(getattr(one.loss, name) for one in figures) for name in ("runs", "failed"))
    if failed or runs >= len(tasks) * len(ROBUST_SEEDS):  # fewer say nothing as long as all is well
        skipped = sum(one.skipped for one in figures)
        yield Outcome(
            "robustness, 16 units",
            f"{len(ROBUST_SEEDS)} seeds, {len(tasks)} tasks, 1e6 steps: 0 diverge",
            f"{runs} runs: {failed} diverged, {skipped} steps skipped",
        )
    long = record.figure(ANBN, HEAD, 16, 10 * MILLION)
    if long is not None:
        yield Outcome(
            f"{ANBN}, 1e7 steps",
            "0 diverge",
            f"{long.loss}; {long.loss.runs} runs: {long.loss.failed} diverged, "
            f"{long.skipped} steps skipped",
        )
