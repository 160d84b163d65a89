"""Run entrants on tasks in parallel; what is measured already is not measured again."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from nbt_embed.errors import DivergenceWarning
from nbt_embed.evaluate import evaluate
from tools.streams.models import Entrant
from tools.streams.recordings import Task


@dataclass(frozen=True)
class Run:
    """One pass of one entrant over one task.

    Attributes: task, kind, settings, seed, data and sources (fingerprints), nrmse (NaN or infinite
    if it diverged), us_per_step.
    """

    task: str
    kind: str
    settings: str
    seed: int
    data: str
    sources: str
    nrmse: float
    us_per_step: float

    @property
    def key(self) -> tuple[str, str, str, int, str, str]:
        """What makes a run the same run."""
        return (self.task, self.kind, self.settings, self.seed, self.data, self.sources)


def load(path: Path) -> list[Run]:
    """The runs of a file of JSON lines; none if it is missing. A line cut off is left out."""
    if not path.exists():
        return []
    runs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            runs.append(Run(**json.loads(line)))
        except ValueError:  # the process ended while it wrote
            continue
    return runs


def _end_last_line(path: Path) -> None:
    """Make the folder, and end a line that was cut off, so that the next run gets its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.write(b"\n")


def _key(task: Task, entrant: Entrant, seed: int) -> tuple[str, str, str, int, str, str]:
    sources = entrant.fingerprint
    return (task.name, entrant.kind, entrant.settings, seed, task.fingerprint, sources)


def run(task: Task, entrant: Entrant, seeds: Iterable[int]) -> list[Run]:
    """One pass for every seed: forecast, score, learn, row by row."""
    stream = task.stream()
    done = []
    for seed in seeds:
        with warnings.catch_warnings():
            # A model that diverges gets a bad score; that is the message.
            warnings.simplefilter("ignore", DivergenceWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            model = entrant.build(stream, task.horizon, seed)
            result = evaluate(model, stream, task.horizon, task.start)
        done.append(Run(*_key(task, entrant, seed), result.nrmse, result.us_per_step))
    return done


def measure(
    tasks: list[Task], entrants: Iterable[Entrant], path: Path, processes: int
) -> dict[tuple[Task, Entrant], list[Run]]:
    """The runs of every entrant on every task, those that the file lacks made and added to it."""
    entrants = list(dict.fromkeys(entrants))
    known = {found.key: found for found in load(path)}
    jobs = {}
    for entrant in entrants:
        for task in tasks:
            left = [seed for seed in entrant.seeds if _key(task, entrant, seed) not in known]
            if left:
                jobs[task, entrant] = left
    _end_last_line(path)
    began = time.monotonic()
    # Forked, a process would wait for threads of polars that it does not have.
    pool_of = ProcessPoolExecutor(processes, get_context("spawn"))
    with path.open("a", encoding="utf-8") as lines, pool_of as pool:
        running = {pool.submit(run, *job, seeds): job for job, seeds in jobs.items()}
        for count, future in enumerate(as_completed(running), start=1):
            task, entrant = running[future]
            for found in future.result():  # known by the sources that were asked for
                made = replace(found, sources=entrant.fingerprint)
                known[made.key] = made
                lines.write(json.dumps(asdict(made)) + "\n")
            lines.flush()
            minutes = (time.monotonic() - began) / 60
            name = f"{task.name}: {entrant.kind} {entrant.settings}"
            print(f"{minutes:6.1f} min, {count}/{len(running)}: {name}", flush=True)
    return {
        (task, entrant): [known[_key(task, entrant, seed)] for seed in entrant.seeds]
        for task in tasks
        for entrant in entrants
    }
