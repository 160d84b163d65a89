"""Measure how well the learner learns: ``make learning``, ``make learning-quick``.

Every run leaves its learning curve in curves.jsonl of the output folder, and a run that is there is
not repeated: the command can be interrupted and called again. At the end it writes summary.json,
the pictures, and with --document the tables of docs/learning.md.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tools.learning import page, pictures
from tools.learning.curves import append, load
from tools.learning.plan import Job, full, quick


def measure(jobs: list[Job], path: Path, processes: int) -> None:
    """Run the jobs that have no curves in the file yet; each appears there when it is done."""
    curves = load(path)
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


def main() -> None:
    """Measure what is missing, then write tables and pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    parser.add_argument("--out", type=Path, help="folder (default: build/learning[-quick])")
    parser.add_argument("--document", type=Path, help="put tables between its markers")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    out = args.out or Path("build/learning-quick" if args.quick else "build/learning")
    measure(quick() if args.quick else full(), out / "curves.jsonl", args.processes)
    balancing = page.influence(out / "influence.json", 10_000 if args.quick else 100_000)
    curves = load(out / "curves.jsonl")
    page.write(curves, balancing, out / "summary.json", args.document)
    pictures.draw(curves, balancing, args.document.with_suffix("") if args.document else out)


if __name__ == "__main__":
    main()
