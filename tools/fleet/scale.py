"""Cost of many devices, and the estimate for a million: ``make fleet-scale``.

Costs are processor time, which other load disturbs less than wall time.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import nbt_embed
from tools.document import put
from tools.fleet.scale_cost import Cost, cost, fitted, growth, result_bytes
from tools.fleet.scale_plan import Measured, plan, simulated_seconds
from tools.fleet.scale_scheduler import WORKERS, Overheads, overheads
from tools.streams.page import table

SIZES = (8, 16, 32)
LOST_AN_HOUR = 10.0  # per thousand workers, in the plan
MILLION, ROWS = 1_000_000, 10_000
CORES = (64, 256, 1024)


@dataclass(frozen=True)
class Effort:
    """Amount of measurement.

    Attributes: cost, devices and rows; grown, the same for each point; counts, of jobs; results,
    devices whose files are measured.
    """

    cost: tuple[int, int]
    grown: tuple[tuple[int, int], ...]
    counts: tuple[int, ...]
    results: int


FULL = Effort(
    (50, 10_000),
    ((10, 10_000), (100, 10_000), (400, 10_000), (100, 1000), (100, 40_000), (1000, 100)),
    (100, 1000, 10_000),
    2000,
)
QUICK = Effort((4, 500), ((2, 500), (8, 500), (4, 100)), (10, 20), 20)


def costs_section(costs: Sequence[Cost], devices: int, rows: int) -> str:
    """Measure cost and bytes by size."""
    lines = [
        [
            f"{one.hidden}", f"{one.seconds * 1e6:.2f}", f"{one.alone * 1e6:.2f}",
            f"{one.seconds / one.alone:.2f}", f"{one.resident:,.0f}", f"{1e9 / one.resident:,.0f}",
            f"{one.checkpoint:,}",
        ]
        for one in costs
    ]  # fmt: skip
    header = [
        "units", "µs per device-sample", "µs, `run` alone", "ratio", "resident bytes per device",
        "devices per GB", "bytes per checkpoint",
    ]  # fmt: skip
    return f"{devices} devices of {rows:,} samples, one thread:\n\n{table(header, lines)}"


def growth_section(points: dict[tuple[int, int], float]) -> str:
    """Measure cost against devices and samples, compared with a linear fit."""
    device, sample = fitted(points)
    lines = []
    for (devices, rows), seconds in points.items():
        expected = devices * (device + rows * sample)
        lines.append(
            [
                f"{devices:,}", f"{rows:,}", f"{seconds:.2f}",
                f"{seconds / devices / rows * 1e6:.2f}", f"{seconds / expected:.2f}",
            ]
        )  # fmt: skip
    header = ["devices n", "samples T", "s", "µs per device-sample", "measured / fitted"]
    return (
        f"8 units, one thread. Fitted: n ({device * 1e6:,.0f} µs + T x {sample * 1e6:.2f} µs).\n\n"
        + table(header, lines)
    )


def scheduler_section(found: Overheads) -> str:
    """Measure the cost of empty jobs."""
    named = [(f"{one.jobs:,}", one) for one in found.windows]
    named.append((f"{found.at_once.jobs:,}, all submitted at once", found.at_once))
    lines = []
    for name, one in named:
        times = [one.wall, one.scheduler, one.caller, one.worker]
        lines.append([name, *(f"{seconds * 1e3:.2f}" for seconds in times)])
        lines[-1] += [f"{one.grown / 1e6:.1f}", f"{one.grown / one.jobs / 1e3:.1f}"]
    header = ["empty jobs", "ms per job, wall", "scheduler", "caller", "workers"]
    header += ["scheduler's memory grows, MB", "kB per job"]
    return (
        f"A scheduler and {WORKERS} workers, each a process. The first time is wall time, the "
        "others are processor time. A progress report costs scheduler and caller "
        f"{found.report * 1e3:.2f} ms. A worker takes {found.worker_bytes / 1e6:.0f} MB before its "
        f"first job.\n\n{table(header, lines)}"
    )


def plan_section(costs: Sequence[Cost], found: Overheads, result: float) -> str:
    """Estimate a million devices, by size and cores. Args: result, bytes per device."""
    overhead, report = found.windows[-1], found.report
    job = overhead.scheduler + overhead.caller
    lines, jobs = [], 1
    for one in costs:
        measured = Measured(one.hidden, one.seconds, job, report)
        for cores in CORES:
            planned = plan(measured, MILLION, ROWS, cores, LOST_AN_HOUR)
            jobs = planned.jobs
            lines.append(
                [
                    f"{one.hidden}", f"{cores:,}", f"{planned.jobs:,}",
                    f"{planned.job_seconds:.1f}", f"{planned.core_hours:.1f}",
                    f"{planned.ideal * 3600:,.0f}", f"{planned.simulated * 3600:,.0f}",
                    f"{planned.efficiency:.2f}", f"{planned.busy:.2f}",
                ]
            )  # fmt: skip
    header = [
        "units", "cores", "jobs", "s per job", "core-hours", "s, work / cores", "s, simulated",
        "efficiency", "scheduler busy",
    ]  # fmt: skip
    cores, window = CORES[-1], CORES[-1] + CORES[-1] // 4 + 1
    held = window * found.at_once.grown / found.at_once.jobs
    checkpoint = costs[-1].checkpoint + MILLION / jobs * result
    empty = Measured(8, 0.0, job, report)
    simulated, _ = simulated_seconds(np.zeros(overhead.jobs), empty, WORKERS, 0.0)
    bytes_of = [
        f"The same simulation of the {overhead.jobs:,} empty jobs gives "
        f"{simulated / overhead.jobs * 1e3:.2f} ms per job; {overhead.wall * 1e3:.2f} ms of "
        "wall time were measured, other load included.",
        f"- Samples: {MILLION * ROWS * 4 / 1e9:,.0f} GB as float32, each read once.\n"
        f"- Results: {result:,.0f} bytes per device, {MILLION * result / 1e9:.2f} GB in {jobs:,} "
        "files.\n"
        f"- Checkpoints: one file for each running job, of one learner and the results of the "
        f"job's devices so far: {checkpoint / 1e3:,.0f} kB at most, and "
        f"{cores * checkpoint / 1e6:,.0f} MB for {cores:,} cores with {costs[-1].hidden} units, "
        "written every 10 s.\n"
        f"- Memory of the scheduler: {window:,} jobs at once for {cores:,} cores, "
        f"{held / 1e6:,.0f} MB, and their samples if the jobs carry them.",
    ]
    return "\n\n".join([table(header, lines), *bytes_of])


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="little of everything, in seconds")
    parser.add_argument("--document", type=Path, help="put the tables between its markers")
    options = parser.parse_args(arguments)
    effort = QUICK if options.quick else FULL

    costs = [cost(hidden, *effort.cost) for hidden in SIZES]
    points = {point: growth(*point) for point in effort.grown}
    found = overheads(effort.counts)
    result = result_bytes(effort.results)
    first = (
        f"nbt_embed {nbt_embed.__version__}, {os.cpu_count()} processors; load when this was "
        f"measured: {os.getloadavg()[1]:.1f}."
    )
    sections = {
        "scale-cost": f"{first} {costs_section(costs, *effort.cost)}",
        "scale-growth": growth_section(points),
        "scale-scheduler": scheduler_section(found),
        "scale-plan": plan_section(costs, found, result),
    }
    for name, text in sections.items():
        print(f"{text}\n")
        if options.document is not None:
            put(options.document, name, text, fenced=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
