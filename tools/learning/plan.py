"""What is measured: every method, and which of them meets which task for how long.

There are three parts, which are measured and documented alone: symbol streams and chaotic series,
on which layers of gated units meet their competitors, and columns, where layers with a head meet
both kinds of task at several sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tools.learning import ours
from tools.learning.curves import Curve
from tools.learning.tasks import TASKS, SeriesTask, SymbolTask, Task
from tools.sources import fingerprint

HALVES = ("symbols", "series")
COLUMNS = "columns"
PARTS = (*HALVES, COLUMNS)
Run = Callable[[str, Task, int, int, Sequence[int]], list[Curve]]
# Whether the task is of symbols, units: what differs from the defaults of the link.
SettingsOf = Callable[[bool, int], dict[str, Any]]
_OURS = "tools/learning/ours.py"
_LEARNER = ("csrc/*.[ch]", "csrc/*.inc", "nbt_embed/config.py", "nbt_embed/learner.py", _OURS)


@dataclass(frozen=True)
class Method:
    """How a method is run, and the files that decide about its figures, besides the tasks.

    competitor: whether it is another package's, whose figures do not depend on this one.
    settings: of a method that is one learner.
    """

    run: Run
    sources: tuple[str, ...] = _LEARNER
    competitor: bool = False
    settings: SettingsOf | None = None

    @property
    def fingerprint(self) -> str:
        """Hash of the sources: a curve of other sources is not a curve of this method."""
        return fingerprint((*self.sources, "tools/learning/tasks.py"))

    def would_give(self, curve: Curve) -> bool:
        """Whether a run would leave this curve, by sources and settings."""
        symbols = isinstance(TASKS[curve.task], SymbolTask)
        same = self.settings is None or self.settings(symbols, curve.hidden) == curve.settings
        return same and curve.source == self.fingerprint


def _learner(settings: SettingsOf) -> Method:
    def run(
        method: str, task: Task, hidden: int, samples: int, seeds: Sequence[int]
    ) -> list[Curve]:
        chosen = settings(isinstance(task, SymbolTask), hidden)
        return ours.learn(chosen, method, task, hidden, samples, seeds)

    return Method(run, settings=settings)


def _gated(**settings: Any) -> Method:
    """The cell is named: it is not the default."""
    return _learner(lambda _symbols, _hidden: {"cell": "gated"} | settings)


def _peer(cell: str, head: bool = True, share: float | None = None, **settings: Any) -> Method:
    """A layer with a head, of half as many units for symbols and of as many for series.

    share: of the units, how many are resonators. One-hot inputs are taken as they are without
    ``follow`` too, in fewer bytes.
    """

    def chosen(symbols: bool, hidden: int) -> dict[str, Any]:
        units = ((hidden + 1) // 2 if symbols else hidden) if head else 0
        still = {"follow": False, "scale_steps": 0} if symbols else {}
        kinds = {} if share is None else {"resonators": int(share * hidden)}
        return {"cell": cell, "head": units} | kinds | still | settings

    return _learner(chosen)


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

# A series without noise, one step ahead, in 8 KiB: nothing is mixed, and steps are long.
NO_NOISE: dict[str, Any] = {
    "lags": 4,
    "rate": 1.6,
    "anneal_steps": 0,
    "tau_max": 32.0,
    "input_gain": 1.0,
    "head_gain": 1.0,
    "prior_hidden": 0.2,
    "mix_forget": 0.0,
}
# Dependencies of twenty symbols and more: the layer sees two of them, and its slowest unit is slow.
LONG: dict[str, Any] = {"lags": 2, "tau_max": 64.0}
PEERS: dict[str, Method] = {
    "columnar + head": _peer("columnar", share=0),
    "columnar": _peer("columnar", head=False, share=0),
    "columnar + head, frozen": _peer("columnar", share=0, estimator="frozen"),
    "resonator + head": _peer("resonator"),
    "both kinds + head": _peer("columnar", share=0.5),
    "unitwise + head": _peer("gated", estimator="unitwise"),
    "nobacktrack + head": _peer("gated", estimator="nobacktrack"),
    "columnar + head, no noise": _peer("columnar", share=0, **NO_NOISE),
    "columnar + head, long": _peer("columnar", share=0, **LONG),
}
METHODS: dict[str, Method] = {
    "unitwise": _gated(estimator="unitwise"),
    **{name: _gated(estimator=name) for name in (*ESTIMATORS, "rtrl")},
    "unitwise, quasi-diagonal": _gated(estimator="unitwise", filter="kalman_quasi"),
    "unitwise, constant rate": _gated(estimator="unitwise", anneal_steps=0),
    "unitwise, decay 1": _gated(estimator="unitwise", decay=1.0),
    "unitwise, sgd": Method(ours.tuned_sgd),
    "unitwise, network alone": _gated(**ALONE, estimator="unitwise"),
    "frozen, network alone": _gated(**ALONE, estimator="frozen"),
    WITHOUT: _gated(),  # with 0 units
    "RLS-10": Method(ours.rls, ("nbt_embed/baselines.py", _OURS)),
    **{
        f"{cell.upper()}, span {span}": _competitor("truncated", "bptt", cell, span)
        for cell in ("lstm", "gru")
        for span in (*SPANS, SHORT_SPAN)
    },
    "LSTM, UORO": _competitor("rank_one", "uoro", "lstm"),
    **PEERS,
}


def half_of(task: str) -> str:
    """The half that a task belongs to."""
    return "series" if isinstance(TASKS[task], SeriesTask) else "symbols"


def part_of(task: str, method: str) -> str:
    """The part that a run belongs to."""
    return COLUMNS if method in PEERS else half_of(task)


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


# Peers with settings for one kind of stream.
SPECIAL = ("columnar + head, no noise", "columnar + head, long")
# Of the columns: units, seeds of what is drawn, and of the robustness runs.
SIZES = (16, 32, 8, 24, 48)
FEW = (0, 1, 2)
ROBUST = {"columnar + head": SYMBOLS, "both kinds + head": SERIES}


def full(part: str) -> list[Job]:
    """Everything of a part, the most important first."""
    return {"symbols": _symbols, "series": _series, COLUMNS: _columns}[part]()


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
    jobs += [
        Job(task, name, LENGTH[task], hidden, FEW)
        for hidden in (16, 8)
        for task in SYMBOLS
        for name in ("unitwise", *ESTIMATORS)
    ]
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


def goals() -> list[Job]:
    """Of the columns, the runs that tools/learning/column_targets.py needs."""
    jobs = [
        Job(task, "columnar + head", LENGTH[task], hidden)
        for task, sizes in {ANBN: (16, 32), NEAR: (16, 32), FAR: (24, 32)}.items()
        for hidden in sizes
    ]
    jobs += [Job(task, "columnar + head, no noise", SHORT, 14) for task in SERIES]
    jobs += [Job(FARTHER, "columnar + head, long", LENGTH[FARTHER], 32)]
    for method, tasks in ROBUST.items():
        jobs += _robust(tasks, method, 16)
    return [*jobs, Job(ANBN, "columnar + head", 10 * MILLION, 16, FEW)]


def _columns() -> list[Job]:
    drawn = [name for name in PEERS if name not in SPECIAL]
    jobs = [
        Job(task, name, SHORT, hidden, FEW)
        for hidden in SIZES
        for task in (*SERIES, *AHEAD)
        for name in drawn
    ]
    jobs += [
        Job(task, name, LENGTH[task], hidden, FEW)
        for hidden in SIZES
        for task in (*SYMBOLS, FARTHER)
        for name in drawn
    ]
    return goals() + jobs


def _robust(tasks: Sequence[str], method: str = "unitwise", hidden: int = 32) -> list[Job]:
    return [
        Job(task, method, MILLION, hidden, ROBUST_SEEDS[half : half + 10])
        for half in (0, 10)
        for task in tasks
    ]


def quick(part: str) -> list[Job]:
    """The same questions in minutes: three seeds, short streams, without the costly methods."""
    if part == COLUMNS:
        return [
            Job(task, name, 100_000 if task in SYMBOLS else 5_000, 16, FEW)
            for task in (*SYMBOLS, *SERIES)
            for name in PEERS
        ]
    if part == "symbols":
        jobs = [
            Job(task, name, 100_000, seeds=FEW)
            for task in SYMBOLS
            for name in ("unitwise", *ESTIMATORS)
        ]
        spans = [Job(task, f"LSTM, span {WHOLE_SPAN[task]}", 50_000, seeds=FEW) for task in SYMBOLS]
        return jobs + spans
    jobs = [
        Job(task, name, 5_000, hidden, FEW)
        for task in SERIES
        for hidden in (8, 32)
        for name in ("unitwise", *ESTIMATORS, *ALONE_METHODS)
    ]
    return jobs + [Job(task, name, 5_000, 0, FEW) for task in SERIES for name in PLAIN]
