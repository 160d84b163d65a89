"""The streams of docs/evidence/streams.md as one figure: the mean ratio to linear regression."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import geometric_mean, median

from nbt_embed import Learner
from nbt_embed.errors import StreamError
from tools.learning.plan import METHODS
from tools.learning.record import Figure, this_version
from tools.learning.summary import Spread
from tools.streams.models import RLS, Entrant
from tools.streams.recordings import Task, tasks
from tools.streams.runner import measure
from tools.streams.summary import errors

NAME = "recordings"
Pair = tuple[str, int]  # method, units


def measured(pairs: Iterable[Pair], data: Path, out: Path, processes: int) -> list[Figure]:
    """One figure a pair; none where the recordings are missing.

    The loss of a seed is the geometric mean over the tasks of its error over that of the best
    recursive least squares, chosen afterwards; the bytes are the median over the tasks.
    """
    try:
        found = tasks(data)
    except StreamError as error:
        print(f"recordings are left as they are: {error}")
        return []
    entrants = {pair: _entrant(*pair) for pair in pairs}
    results = measure(found, (*entrants.values(), *RLS), out / "recordings.jsonl", processes)
    best = errors(results, found, *RLS)
    figures = []
    for (method, hidden), entrant in entrants.items():
        runs = [results[task, entrant] for task in found]
        losses = tuple(
            geometric_mean([run.nrmse / best[task] for task, run in zip(found, seed, strict=True)])
            if all(math.isfinite(run.nrmse) for run in seed)
            else math.nan
            for seed in zip(*runs, strict=True)
        )
        figures.append(
            Figure(
                NAME, method, hidden, 0, 0, Spread.of(losses),
                tuple(loss if math.isfinite(loss) else None for loss in losses),
                round(median(_sizes(found, entrant))), 0, this_version(),
            )
        )  # fmt: skip
    return figures


def _entrant(method: str, hidden: int) -> Entrant:
    settings = METHODS[method].settings
    assert settings is not None
    return Entrant.of("learner", hidden=hidden, **settings(False, hidden))


def _sizes(found: Iterable[Task], entrant: Entrant) -> Iterator[int]:
    for task in found:
        model = entrant.build(task.stream(), task.horizon, 0)
        assert isinstance(model, Learner)
        yield model.memory.total
