"""Learners compared with references over all tasks: better, worse, mean ratio, worst ratio."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from tools.streams.models import Entrant
from tools.streams.recordings import Task
from tools.streams.runner import Run

# Errors that differ by less are called equal.
TOLERANCE = 0.01
Errors = Mapping[Task, float]


@dataclass(frozen=True)
class Comparison:
    """The ratio of a learner's nRMSE to a reference's, over tasks.

    Attributes: tasks (how many have both), better, worse (by more than ``TOLERANCE``), mean
    (geometric), worst (ratio), worst_task (its name). A run that diverged counts as infinite.
    """

    tasks: int
    better: int
    worse: int
    mean: float
    worst: float
    worst_task: str


def middle(runs: Iterable[Run]) -> float:
    """Median nRMSE over the seeds; a run that is not finite counts as infinite."""
    return median(found.nrmse if math.isfinite(found.nrmse) else math.inf for found in runs)


def errors(
    results: Mapping[tuple[Task, Entrant], list[Run]], tasks: Iterable[Task], *group: Entrant
) -> dict[Task, float]:
    """Median nRMSE on every task, of the best of a group."""
    return {task: min(middle(results[task, entrant]) for entrant in group) for task in tasks}


def recorded(tasks: Iterable[Task], name: str) -> dict[Task, float]:
    """The figure of this name that the tasks come with, where there is one."""
    return {task: dict(task.reference)[name] for task in tasks if name in dict(task.reference)}


def compare(learner: Errors, reference: Errors) -> Comparison | None:
    """A learner compared with a reference, over the tasks that have both; None if there is none."""
    ratios = {task: _ratio(learner[task], reference[task]) for task in learner if task in reference}
    if not ratios:
        return None
    worst = max(ratios, key=ratios.__getitem__)
    logs = [math.log(ratio) if ratio > 0 else -math.inf for ratio in ratios.values()]
    return Comparison(
        len(ratios),
        sum(ratio < 1 - TOLERANCE for ratio in ratios.values()),
        sum(ratio > 1 + TOLERANCE for ratio in ratios.values()),
        math.exp(sum(logs) / len(logs)),
        ratios[worst],
        worst.name,
    )


def _ratio(error: float, reference: float) -> float:
    """Two references that cannot forecast at all are equal; so are two that make no error."""
    if error == reference:
        return 1.0
    return error / reference if reference > 0 else math.inf
