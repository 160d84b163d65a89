"""Cost of `Learner.run` over cells, estimators, filters, sizes; 8 inputs, 8 outputs, gaussian."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from nbt_embed import Config, Learner, memory_of
from nbt_embed._kernel_config import shape_of
from nbt_embed.config import CHOICES
from nbt_embed.errors import ConfigError, DivergenceWarning
from tools.bench.clock import Spread, alternate, times_for
from tools.bench.headline import ALONE, INPUTS, OUTPUTS, stream, usual

HIDDEN = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
HIDDEN_QUICK = (8, 32, 128)
FLAT = (32, 64, 128, 256, 512)
# Operations per step beyond which a case is left out: about a tenth of a second.
OPERATIONS = 3e8
OPERATIONS_QUICK = 2e7
STEPS_MOST = 20_000


@dataclass(frozen=True)
class Case:
    """One kind of learner."""

    cell: str
    estimator: str
    filter: str
    hidden: int

    @property
    def name(self) -> str:
        """In the table of limits."""
        return f"{self.cell} {self.estimator}"

    @property
    def config(self) -> Config:
        """The network and its readout alone."""
        kind = {"cell": self.cell, "estimator": self.estimator, "filter": self.filter}
        return Config(INPUTS, OUTPUTS, hidden=self.hidden, **(ALONE | kind))

    @property
    def rows(self) -> int:
        """R."""
        return shape_of(self.config)[1]

    @property
    def cols(self) -> int:
        """D."""
        return shape_of(self.config)[2]

    @property
    def resonators(self) -> int:
        """Units that are resonators."""
        return self.hidden if self.cell == "resonator" else self.config.resonators or 0

    @property
    def head(self) -> int:
        """Units of the layer between the network and its readout."""
        return self.config.head or 0

    @property
    def operations(self) -> float:
        """Of a step, to leading order (csrc/nbt.h): what decides whether it is measured."""
        states = shape_of(self.config)[0]
        parameters = self.rows * self.cols
        if self.estimator == "rtrl":
            return 2.0 * (states**2 + OUTPUTS * self.hidden + OUTPUTS**2) * parameters
        cubic = 2 * self.hidden**3 if self.estimator == "unitwise" else 0
        return 20.0 * parameters + 3 * (states + INPUTS + 1) ** 2 + cubic

    @property
    def is_accepted(self) -> bool:
        """Whether the kernel takes it."""
        try:
            memory_of(self.config)
        except ConfigError:
            return False
        return True


@dataclass(frozen=True)
class Usual(Case):
    """The learner without settings; 3 inputs, 1 output."""

    cell: str = "columnar"
    estimator: str = "snap1"
    filter: str = "kalman"
    hidden: int = 16

    @property
    def name(self) -> str:
        """In the table of limits."""
        return "default learner"

    @property
    def config(self) -> Config:
        """The default learner."""
        return usual(self.hidden)


def cases(sizes: tuple[int, ...], operations: float) -> Iterator[Case]:
    """Every kind that the kernel takes and that is not too slow; frozen has one kalman filter."""
    kinds = product(CHOICES["cell"], CHOICES["estimator"], CHOICES["filter"])
    for cell, estimator, filter_ in kinds:
        if estimator == "frozen" and filter_ == "kalman_quasi":
            continue
        for hidden in sizes:
            case = Case(cell, estimator, filter_, hidden)
            if case.is_accepted and case.operations <= operations:
                yield case


def flatness(sizes: tuple[int, ...], rounds: int, least: float = 0.01) -> dict[str, Any]:
    """The headline's kind at several sizes in turns: ns per parameter, and largest / smallest."""
    chosen = [Case("lstm", "nobacktrack", "kalman", hidden) for hidden in sizes]
    works = [learner_work(case) for case in chosen]
    counts = [times_for(work, least, STEPS_MOST) for work in works]
    calls = [lambda work=work, n=n: work(n) for work, n in zip(works, counts, strict=True)]
    taken = [
        [1e9 * one / (n * case.rows * case.cols) for one in times]
        for times, n, case in zip(alternate(calls, rounds), counts, chosen, strict=True)
    ]
    return {
        "hidden": list(sizes),
        "ns_per_parameter": [asdict(Spread.of(times)) for times in taken],
        "ratio": asdict(Spread.of([max(turn) / min(turn) for turn in zip(*taken, strict=True)])),
    }


def learner_work(case: Case) -> Callable[[int], None]:
    """work(n): n steps of a fresh learner in one `run`."""
    learner = Learner(case.config)
    samples = stream(
        min(STEPS_MOST, max(300, int(2e8 / case.operations))), case.config, signs=False
    )

    def work(steps: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DivergenceWarning)
            while steps > 0:
                some = min(steps, len(samples))
                learner.run(samples.x[:some], samples.y[:some], horizon=0)
                steps -= some

    return work


def times(case: Case, rounds: int, least: float) -> list[float]:
    """Nanoseconds per step of a fresh learner."""
    work = learner_work(case)
    steps = times_for(work, least, STEPS_MOST)
    (taken,) = alternate([lambda: work(steps)], rounds)
    return [1e9 * one / steps for one in taken]


def measure(chosen: Sequence[Case], rounds: int, least: float = 0.004) -> list[dict[str, Any]]:
    """Nanoseconds per step; a parameter, by the round that was disturbed least.

    The whole grid twice: what disturbs one case in all its rounds is seldom there a minute later.
    """
    taken: dict[Case, list[float]] = {case: [] for case in chosen}
    for _ in range(2):
        for case, found in taken.items():
            found += times(case, rounds, least)
    return [
        {
            **asdict(case),
            "parameters": case.rows * case.cols,
            "ns": asdict(Spread.of(found)),
            "ns_per_parameter": min(found) / (case.rows * case.cols),
        }
        for case, found in taken.items()
    ]
