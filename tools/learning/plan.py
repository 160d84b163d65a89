"""What is measured: every method, and which of them meets which task for how long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tools.learning import ours
from tools.learning.curves import Curve
from tools.learning.tasks import TASKS, Task

Method = Callable[[str, Task, int, int, Sequence[int]], list[Curve]]


def _competitor(name: str, *arguments: str | int) -> Method:
    """A method of competitors.py, which needs PyTorch and is imported when it is run."""

    def run(
        method: str, task: Task, hidden: int, samples: int, seeds: Sequence[int]
    ) -> list[Curve]:
        from tools.learning import competitors

        learn = getattr(competitors, name)
        curves: list[Curve] = learn(*arguments, method, task, hidden, samples, seeds)
        return curves

    return run


ANBN, NEAR, FAR, FARTHER = (
    "anbn(1,32)",
    "brackets(1,5,10)",
    "brackets(1,12,10)",
    "brackets(1,20,10)",
)
SYMBOLS = (ANBN, NEAR, FAR)
SERIES = ("Lorenz", "Mackey-Glass", "Henon")
AHEAD = ("Lorenz, 10 ahead", "Mackey-Glass, 10 ahead")
SPANS = (1, 4, 16, 64)
# Spans that reach over the whole dependency, and one that does not reach over that of FAR.
WHOLE_SPAN = {ANBN: 64, NEAR: 16, FAR: 16}
SHORT_SPAN = 8
ESTIMATORS = ("frozen", "nobacktrack", "snap1", "residual")

METHODS: dict[str, Method] = {
    "unitwise": partial(ours.learn, {}),
    **{name: partial(ours.learn, {"estimator": name}) for name in (*ESTIMATORS, "rtrl")},
    "unitwise, quasi-diagonal": partial(ours.learn, {"filter": "kalman_quasi"}),
    "unitwise, constant rate": partial(ours.learn, {"anneal_steps": 0}),
    "unitwise, decay 1": partial(ours.learn, {"decay": 1.0}),
    "unitwise, sgd": ours.tuned_sgd,
    "RLS-10": ours.rls,
    **{
        f"{cell.upper()}, span {span}": _competitor("truncated", cell, span)
        for cell in ("lstm", "gru")
        for span in (*SPANS, SHORT_SPAN)
    },
    "LSTM, UORO": _competitor("rank_one", "lstm"),
}


@dataclass(frozen=True)
class Job:
    """One method on one task with a number of seeds."""

    task: str
    method: str
    samples: int
    hidden: int = 32
    seeds: tuple[int, ...] = tuple(range(10))

    def missing(self, curves: Sequence[Curve]) -> Job:
        """The same without the seeds that are measured already."""
        same = (self.task, self.method, self.hidden)
        done = {
            curve.seed
            for curve in curves
            if (curve.task, curve.method, curve.hidden) == same and curve.samples >= self.samples
        }
        return replace(self, seeds=tuple(seed for seed in self.seeds if seed not in done))

    def run(self) -> list[Curve]:
        """Measure."""
        return METHODS[self.method](
            self.method, TASKS[self.task], self.hidden, self.samples, self.seeds
        )


MILLION = 1_000_000
LENGTH = {ANBN: MILLION, NEAR: MILLION, FAR: 2 * MILLION, FARTHER: 2 * MILLION}
ROBUST_SEEDS = tuple(range(20))


def full() -> list[Job]:
    """Everything, the most important first."""
    jobs = [Job(task, "unitwise", LENGTH[task]) for task in SYMBOLS]
    jobs += [Job(ANBN, "unitwise", 10 * MILLION, seeds=(seed,)) for seed in range(3)]
    jobs += [
        Job(task, f"{cell}, span {span}", LENGTH[task])
        for task, span in WHOLE_SPAN.items()
        for cell in ("LSTM", "GRU")
    ]
    jobs += [Job(FAR, f"LSTM, span {SHORT_SPAN}", LENGTH[FAR])]
    jobs += [Job(task, name, LENGTH[task]) for task in SYMBOLS for name in ESTIMATORS]
    jobs += [Job(ANBN, "unitwise, sgd", 3 * MILLION)]
    jobs += [
        Job(task, method, 20_000, hidden)
        for task in SERIES
        for hidden in (64, 32, 8)
        for method in ("unitwise", *ESTIMATORS)
    ]
    jobs += [Job(task, "RLS-10", 20_000, hidden=0) for task in (*SERIES, *AHEAD)]
    jobs += [Job(task, name, 20_000) for task in AHEAD for name in ("unitwise", *ESTIMATORS)]
    jobs += [
        Job(task, f"{cell}, span {span}", 20_000, 64)
        for task in SERIES
        for cell in ("LSTM", "GRU")
        for span in SPANS
    ]
    jobs += [
        Job(task, "unitwise", MILLION, seeds=ROBUST_SEEDS[half : half + 10])
        for half in (0, 10)
        for task in (*SYMBOLS, *SERIES)
    ]
    jobs += [
        Job(task, method, LENGTH[task])
        for task in (ANBN, NEAR)
        for method in ("unitwise, constant rate", "unitwise, decay 1", "unitwise, quasi-diagonal")
    ]
    jobs += [Job(NEAR, "unitwise", LENGTH[NEAR], hidden) for hidden in (8, 16)]
    jobs += [Job(FARTHER, name, LENGTH[FARTHER]) for name in ("unitwise", "residual", "frozen")]
    jobs += [
        Job(task, f"{cell}, span {span}", 200_000)
        for task in SYMBOLS
        for cell in ("LSTM", "GRU")
        for span in SPANS
    ]
    jobs += [Job(task, "LSTM, UORO", 20_000, 64) for task in SERIES]
    jobs += [Job(task, "LSTM, UORO", 100_000) for task in (ANBN, NEAR)]
    jobs += [
        Job(task, "rtrl", 200_000, seeds=(seed,)) for seed in range(3) for task in (NEAR, ANBN)
    ]
    return jobs


def quick() -> list[Job]:
    """The same questions in minutes: three seeds, short streams, without the costly methods."""
    few = (0, 1, 2)
    jobs = [
        Job(task, name, 100_000, seeds=few)
        for task in SYMBOLS
        for name in ("unitwise", *ESTIMATORS)
    ]
    jobs += [Job(task, f"LSTM, span {WHOLE_SPAN[task]}", 50_000, seeds=few) for task in SYMBOLS]
    jobs += [
        Job(task, name, 5_000, hidden, few)
        for task in SERIES
        for hidden in (8, 32)
        for name in ("unitwise", *ESTIMATORS)
    ]
    return jobs + [Job(task, "RLS-10", 5_000, 0, few) for task in SERIES]
