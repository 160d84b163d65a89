"""What each reduction of ``nbt_embed.smaller`` costs in accuracy: ``make losses``.

The default learner, and the same with units that see each other, forecast the middle horizon of
every recording (tools/streams), as they are and after each reduction. Printed is the geometric mean
over the recordings of the nRMSE over that of the learner as it was, the median of the seeds, and
the bytes of both. The order of ``REDUCTIONS`` is judged by it.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from nbt_embed import Config, Learner, memory_of
from nbt_embed.errors import DivergenceWarning
from nbt_embed.evaluate import evaluate
from nbt_embed.smaller import REDUCTIONS
from tools.document import put
from tools.streams.recordings import Task, tasks
from tools.targets.machines import ROOT

SEEDS = 1
STARTS: dict[str, dict[str, Any]] = {
    "default": {},
    "gated": {"cell": "gated", "filter": "kalman_quasi"},
}
UNCHANGED = "as it is"


def config_of(task: Task, start: str, step: str, seed: int = 0) -> Config | None:
    """The learner of a task after a reduction; None where that changes nothing."""
    stream = task.stream()
    config = Config(
        stream.n_in, stream.n_out, max_delay=task.horizon - 1, seed=seed,
        hold_missing=stream.has_missing_inputs, **STARTS[start],
    )  # fmt: skip
    reductions = {one.name: one.reduce for one in REDUCTIONS}
    return config if step == UNCHANGED else reductions[step](config)


def error(job: tuple[Task, str, str]) -> float:
    """The median nRMSE over the seeds; NaN where the step changes nothing."""
    task, start, step = job
    stream = task.stream()
    found = []
    for seed in range(SEEDS):
        config = config_of(task, start, step, seed)
        if config is None:
            return float("nan")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DivergenceWarning)
            found.append(evaluate(Learner(config), stream, task.horizon, task.start).nrmse)
    return median(found)


def table(chosen: list[Task], errors: dict[tuple[Task, str, str], float]) -> str:
    """One line per reduction, one column per learner."""
    lines = [f"{'reduction':<30}" + "".join(f"{start:>12}{'bytes':>8}" for start in STARTS)]
    for step in (one.name for one in REDUCTIONS):
        line = f"{step:<30}"
        for start in STARTS:
            ratios = [errors[task, start, step] / errors[task, start, UNCHANGED] for task in chosen]
            ratios = [ratio for ratio in ratios if ratio == ratio]
            line += (
                f"{geometric_mean(ratios):12.3f}{_bytes(chosen, start, step):8.2f}"
                if ratios
                else f"{'-':>12}{'-':>8}"
            )
        lines.append(line)
    return "\n".join(lines)


def _bytes(chosen: list[Task], start: str, step: str) -> float:
    """Bytes over those before, the geometric mean."""
    pairs = ((config_of(task, start, UNCHANGED), config_of(task, start, step)) for task in chosen)
    return geometric_mean(
        [
            memory_of(b).total / memory_of(a).total
            for a, b in pairs
            if a is not None and b is not None
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "streams")
    parser.add_argument("--document", type=Path, help="Markdown file to put the table into")
    options = parser.parse_args(arguments)
    by_recording: dict[str, list[Task]] = {}
    for task in tasks(options.data):
        by_recording.setdefault(task.recording, []).append(task)
    chosen = [found[len(found) // 2] for found in by_recording.values()]
    steps = (UNCHANGED, *(one.name for one in REDUCTIONS))
    jobs = [(task, start, step) for task in chosen for start in STARTS for step in steps]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        errors = dict(zip(jobs, pool.map(error, jobs), strict=True))
    print(table(chosen, errors))
    if options.document is not None:
        put(options.document, "losses", table(chosen, errors))
    return 0


if __name__ == "__main__":
    sys.exit(main())
