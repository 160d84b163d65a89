"""Run the learner on every task, and score each maker of intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median

import numpy as np

from nbt_embed import Learner
from nbt_embed.arrays import Float64Array
from nbt_embed.errors import InputError
from nbt_embed.streams import Stream
from tools.answers import Answers, ask
from tools.intervals.makers import MAKERS
from tools.intervals.measures import Measures, measure
from tools.streams.recordings import Task

Found = Mapping[str, Measures]


def answers(task: Task, stream: Stream, seed: int, settings: str = "{}") -> Answers:
    """The outputs of a fresh learner on a task; its settings as JSON."""
    learner = Learner(
        stream.n_in,
        stream.n_out,
        max_delay=task.horizon - 1,
        hold_missing=stream.has_missing_inputs,
        seed=seed,
        **json.loads(settings),
    )
    return ask(learner, stream, task.horizon)


def labels(stream: Stream) -> Float64Array:
    """(T,) of the one target."""
    return stream.targets[:, 0].astype(np.float64)


def run(job: tuple[Task, int, str]) -> dict[str, Measures]:
    """One pass over one task; the measures by maker. Errors: InputError names task and maker."""
    task, seed, settings = job
    stream = task.stream()
    said, truths = answers(task, stream, seed, settings), labels(stream)
    found = {}
    for name, make in MAKERS.items():
        spread = make(said, truths, task.horizon)
        try:
            found[name] = measure(spread, said, truths, task.horizon, task.start)
        except InputError as error:
            raise InputError(f"{task.name}, {name}: {error}") from error
    return found


def middle(runs: Sequence[Measures]) -> Measures:
    """The median of every figure over the seeds."""

    def by_level(name: str) -> tuple[float, ...]:
        return tuple(
            median(level) for level in zip(*(getattr(run, name) for run in runs), strict=True)
        )

    return Measures(
        by_level("coverage"),
        median(run.windows for run in runs),
        by_level("width"),
        by_level("winkler"),
        median(run.log_loss for run in runs),
    )


def measure_all(
    tasks: Sequence[Task], seeds: int, processes: int, settings: str = "{}"
) -> dict[Task, dict[str, Measures]]:
    """Medians over the seeds, by task and maker."""
    jobs = [(task, seed, settings) for task in tasks for seed in range(seeds)]
    # Forked, a process would wait for threads of polars that it does not have.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        runs = iter(list(pool.map(run, jobs)))
    found = {}
    for task in tasks:
        passes = [next(runs) for _ in range(seeds)]
        found[task] = {name: middle([one[name] for one in passes]) for name in MAKERS}
    return found
