"""Run jobs in parallel; what is measured already, by the same sources, is not measured again."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tools.learning.curves import Curve, append, load
from tools.learning.plan import METHODS, Job


def valid(path: Path) -> list[Curve]:
    """The curves of a file that sources and settings as they are now would give again."""
    return [
        curve
        for curve in load(path)
        if curve.method in METHODS and METHODS[curve.method].would_give(curve)
    ]


def measure(jobs: list[Job], path: Path, processes: int) -> None:
    """Run the jobs that have no curves in the file yet; each appears there when it is done."""
    curves = valid(path)
    left = [job for job in (job.missing(curves) for job in jobs) if job.seeds]
    began = time.monotonic()
    with ProcessPoolExecutor(processes) as pool:
        running = {pool.submit(job.run): job for job in left}
        for done, future in enumerate(as_completed(running), start=1):
            job = running[future]
            append(path, future.result())
            minutes = (time.monotonic() - began) / 60
            name = f"{job.task}, {job.method}, {job.hidden} units, seeds {job.seeds}"
            print(f"{minutes:6.1f} min, {done}/{len(left)}: {name}", flush=True)
