"""End figures of one part, stored with the document: symbols.json, series.json, columns.json.

The tables are written from them. So a row can be measured again alone, while the others stay with
the version that made them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from nbt_embed import __version__
from tools.learning.curves import Curve
from tools.learning.plan import LENGTH, METHODS, MILLION, half_of
from tools.learning.summary import Spread, pick
from tools.sources import ROOT

TAIL, COMMON = 100_000, 200_000  # symbols
Key = tuple[str, int, int]  # method, hidden, samples


@dataclass(frozen=True)
class Figure:
    """Losses of one method on one task over the last ``tail`` of ``samples``.

    Attributes: task, method, hidden, samples, tail; loss (median and range); by_seed (in the order
    of the seeds, None where the run diverged; empty where only the range was kept); bytes (None
    where it was not kept); skipped (steps refused, all runs); made_by (name and version).
    """

    task: str
    method: str
    hidden: int
    samples: int
    tail: int
    loss: Spread
    by_seed: tuple[float | None, ...]
    bytes: int | None
    skipped: int
    made_by: str

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What is measured once."""
        return self.task, self.method, self.hidden, self.samples


@dataclass(frozen=True)
class Outcome:
    """A target and the measurement that belongs to it."""

    task: str
    target: str
    measured: str
    made_by: str = ""


@dataclass(frozen=True)
class Record:
    """Figures of one part; and of the symbols the outcomes, which need more than end figures."""

    figures: tuple[Figure, ...] = ()
    outcomes: tuple[Outcome, ...] = ()

    def figure(self, task: str, method: str, hidden: int, samples: int) -> Figure | None:
        """The figure with this key."""
        key = (task, method, hidden, samples)
        return next((one for one in self.figures if one.key == key), None)

    def ratio(self, task: str, one: Key, other: Key) -> Spread | None:
        """Loss of a method over that of another, seed by seed; None if a seed is not there."""
        found = [self.figure(task, *key) for key in (one, other)]
        ours, theirs = (figure.by_seed if figure else () for figure in found)
        if not ours or len(ours) != len(theirs):
            return None
        pairs = zip(ours, theirs, strict=True)
        return Spread.of([a / b if a is not None and b is not None else np.nan for a, b in pairs])

    def updated(self, figures: Iterable[Figure], outcomes: Iterable[Outcome]) -> Record:
        """The record with new measurements in place of earlier ones."""
        by_key = {one.key: one for one in (*self.figures, *figures) if one.method in METHODS}
        by_task = {one.task: one for one in (*self.outcomes, *outcomes)}
        order = {method: place for place, method in enumerate(METHODS)}
        ordered = sorted(by_key.values(), key=lambda one: order[one.method])
        return Record(tuple(ordered), tuple(by_task.values()))

    def save(self, path: Path) -> None:
        """One figure or outcome per line."""
        parts: dict[str, Sequence[Figure | Outcome]] = {
            "figures": self.figures,
            "outcomes": self.outcomes,
        }
        text = ",\n".join(
            f'"{name}": [\n' + ",\n".join(json.dumps(asdict(row)) for row in rows) + "\n]"
            for name, rows in parts.items()
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{" + text + "}\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Record:
        """What a file keeps; nothing if it is missing."""
        if not path.exists():
            return cls()
        rows = json.loads(path.read_text(encoding="utf-8"))
        figures = (
            Figure(**{**row, "loss": Spread(**row["loss"]), "by_seed": tuple(row["by_seed"])})
            for row in rows["figures"]
        )
        return cls(tuple(figures), tuple(Outcome(**row) for row in rows["outcomes"]))


def figures_of(curves: Sequence[Curve]) -> list[Figure]:
    """One for every task, method, width and stretch of samples that has runs."""
    groups = dict.fromkeys((curve.task, curve.method, curve.hidden) for curve in curves)
    found = []
    for task, method, hidden in groups:
        same = [
            one for one in curves if (one.task, one.method, one.hidden) == (task, method, hidden)
        ]
        for samples, tail in _stretches(task, {curve.samples for curve in same}):
            runs = pick(same, task, method, hidden, samples)
            finite = [bool(np.isfinite(run.loss).all()) for run in runs]
            losses = [
                run.last(tail) if good else np.nan for run, good in zip(runs, finite, strict=True)
            ]
            found.append(
                Figure(
                    task,
                    method,
                    hidden,
                    samples,
                    tail,
                    Spread.of(losses),
                    tuple(loss if np.isfinite(loss) else None for loss in losses),
                    runs[0].bytes,
                    sum(run.skipped for run in runs),
                    made_by(runs[0]),
                )
            )
    return found


def _stretches(task: str, lengths: set[int]) -> list[tuple[int, int]]:
    """Samples, and the last of them that count: a half of a series, TAIL symbols of a text.

    A text is also looked at after COMMON symbols, after a million and after those of its task,
    where methods can be compared.
    """
    if half_of(task) == "series":
        return [(length, length // 2) for length in sorted(lengths)]
    most = max(lengths)
    shown = {length for length in (COMMON, MILLION, LENGTH[task], most) if length <= most}
    return [(length, min(TAIL, length // 2)) for length in sorted(shown)]


def made_by(curve: Curve) -> str:
    """Name and version of the learner."""
    torch = curve.settings.get("torch")
    return f"PyTorch {torch}" if torch else this_version()


@cache
def this_version() -> str:
    """This package, with the commit where there is one."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"nbt_embed {__version__}"
    return f"nbt_embed {__version__} ({said})"
