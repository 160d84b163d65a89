"""What is measured: every method, and which of them meets which task for how long.

There are two halves, symbol streams and chaotic series, which are measured and documented alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tools.learning import ours
from tools.learning.curves import Curve
from tools.learning.tasks import TASKS, SeriesTask, Task
from tools.sources import fingerprint

HALVES = ("symbols", "series")
Run = Callable[[str, Task, int, int, Sequence[int]], list[Curve]]
_OURS = "tools/learning/ours.py"
_LEARNER = ("csrc/*.[ch]", "csrc/*.inc", "nbt_embed/config.py", "nbt_embed/learner.py", _OURS)


@dataclass(frozen=True)
class Method:
    """How a method is run, and the files that decide about its figures, beside the tasks.

    competitor: whether it is another package's, whose figures do not depend on this one.
    """

    run: Run
    sources: tuple[str, ...] = _LEARNER
    competitor: bool = False

    @property
    def fingerprint(self) -> str:
        """Hash of the sources: a curve of other sources is not a curve of this method."""
        return fingerprint((*self.sources, "tools/learning/tasks.py"))


def _ours(**settings: Any) -> Method:
    return Method(partial(ours.learn, settings))


def _competitor(name: str, source: str, *arguments: str | int) -> Method:
    """A method of competitors.py, which needs PyTorch and is imported when it is run."""

    def run(
        method: str, task: Task, hidden: int, samples: int, seeds: Sequence[int]
    ) -> list[Curve]:
        from tools.learning import competitors

        learn = getattr(competitors, name)
        curves: list[Curve] = learn(*arguments, method, task, hidden, samples, seeds)
        return curves

    files = (f"tools/learning/{one}.py" for one in ("competitors", "ensemble", source))
    return Method(run, tuple(files), competitor=True)


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

# The learner without its mixture: the network's own forecast.
ALONE = {"mix_forget": 0.0}
ALONE_METHODS = ("unitwise, network alone", "frozen, network alone")
WITHOUT = "no network"

METHODS: dict[str, Method] = {
    "unitwise": _ours(),
    **{name: _ours(estimator=name) for name in (*ESTIMATORS, "rtrl")},
    "unitwise, quasi-diagonal": _ours(filter="kalman_quasi"),
    "unitwise, constant rate": _ours(anneal_steps=0),
    "unitwise, decay 1": _ours(decay=1.0),
    "unitwise, sgd": Method(ours.tuned_sgd),
    "unitwise, network alone": _ours(**ALONE),
    "frozen, network alone": _ours(**ALONE, estimator="frozen"),
    WITHOUT: _ours(),  # with 0 units
    "RLS-10": Method(ours.rls, ("nbt_embed/baselines.py", _OURS)),
    **{
        f"{cell.upper()}, span {span}": _competitor("truncated", "bptt", cell, span)
        for cell in ("lstm", "gru")
        for span in (*SPANS, SHORT_SPAN)
    },
    "LSTM, UORO": _competitor("rank_one", "uoro", "lstm"),
}


def half_of(task: str) -> str:
    """The half that a task belongs to."""
    return "series" if isinstance(TASKS[task], SeriesTask) else "symbols"


def covers(curve: Curve, samples: int) -> bool:
    """Whether a run holds the run over fewer samples, which is so for symbols.

    The errors on a series are divided by the variance of all of it.
    """
    if half_of(curve.task) == "series":
        return curve.samples == samples
    return curve.samples >= samples


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
            if (curve.task, curve.method, curve.hidden) == same and covers(curve, self.samples)
        }
        return replace(self, seeds=tuple(seed for seed in self.seeds if seed not in done))

    def run(self) -> list[Curve]:
        """Measure."""
        method = METHODS[self.method]
        curves = method.run(self.method, TASKS[self.task], self.hidden, self.samples, self.seeds)
        return [replace(curve, source=method.fingerprint) for curve in curves]


MILLION = 1_000_000
LENGTH = {ANBN: MILLION, NEAR: MILLION, FAR: 2 * MILLION, FARTHER: 2 * MILLION}
ROBUST_SEEDS = tuple(range(20))
# Of the series: samples, widths, and the methods without units.
SHORT = 20_000
WIDTHS = (64, 32, 8)
PLAIN = (WITHOUT, "RLS-10")


def full(half: str) -> list[Job]:
    """Everything of a half, the most important first."""
    return _symbols() if half == "symbols" else _series()


def _symbols() -> list[Job]:
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
    jobs += _robust(SYMBOLS)
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
    jobs += [Job(task, "LSTM, UORO", 100_000) for task in (ANBN, NEAR)]
    jobs += [
        Job(task, "rtrl", 200_000, seeds=(seed,)) for seed in range(3) for task in (NEAR, ANBN)
    ]
    return jobs


def _series() -> list[Job]:
    own = ("unitwise", *ESTIMATORS, *ALONE_METHODS)
    jobs = [
        Job(task, method, SHORT, hidden) for task in SERIES for hidden in WIDTHS for method in own
    ]
    jobs += [Job(task, name, SHORT, hidden=0) for task in (*SERIES, *AHEAD) for name in PLAIN]
    jobs += [Job(task, name, SHORT) for task in AHEAD for name in own]
    jobs += [
        Job(task, f"{cell}, span {span}", SHORT, 64)
        for task in SERIES
        for cell in ("LSTM", "GRU")
        for span in SPANS
    ]
    jobs += [Job(task, "LSTM, UORO", SHORT, 64) for task in SERIES]
    return jobs + _robust(SERIES)


def _robust(tasks: Sequence[str]) -> list[Job]:
    return [
        Job(task, "unitwise", MILLION, seeds=ROBUST_SEEDS[half : half + 10])
        for half in (0, 10)
        for task in tasks
    ]


def quick(half: str) -> list[Job]:
    """The same questions in minutes: three seeds, short streams, without the costly methods."""
    few = (0, 1, 2)
    if half == "symbols":
        jobs = [
            Job(task, name, 100_000, seeds=few)
            for task in SYMBOLS
            for name in ("unitwise", *ESTIMATORS)
        ]
        spans = [Job(task, f"LSTM, span {WHOLE_SPAN[task]}", 50_000, seeds=few) for task in SYMBOLS]
        return jobs + spans
    jobs = [
        Job(task, name, 5_000, hidden, few)
        for task in SERIES
        for hidden in (8, 32)
        for name in ("unitwise", *ESTIMATORS, *ALONE_METHODS)
    ]
    return jobs + [Job(task, name, 5_000, 0, few) for task in SERIES for name in PLAIN]
