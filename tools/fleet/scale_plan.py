"""The plan for many devices on a cluster: arithmetic, and a simulation of the scheduler."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from nbt_embed import Config
from nbt_embed.fleet.plan import cuts
from nbt_embed.fleet.settings import Setting

CHECKPOINT_SECONDS = 10.0  # the default of ``simulate``
RESTART_SECONDS = 5.0  # until a worker is replaced
MACHINE_NOISE = 0.1  # standard deviation of the logarithm of a job's time, since machines differ


@dataclass(frozen=True)
class Measured:
    """Measurements on which a plan is based.

    Attributes: hidden, units; sample, seconds per device and sample; job, seconds of a scheduler
    and its caller per job; report, the same per progress report.
    """

    hidden: int
    sample: float
    job: float
    report: float


@dataclass(frozen=True)
class Plan:
    """A fleet on a number of cores.

    Attributes: jobs; job_seconds, of one; core_hours, of all; ideal and simulated, hours from the
    first job to the last; busy, share of the simulated time in which the scheduler works.
    """

    jobs: int
    job_seconds: float
    core_hours: float
    ideal: float
    simulated: float
    busy: float

    @property
    def efficiency(self) -> float:
        """Share of the cores' time that is work."""
        return self.ideal / self.simulated


def plan(measured: Measured, devices: int, rows: int, cores: int, lost_an_hour: float) -> Plan:
    """Divide into jobs like ``simulate``. Args: lost_an_hour, lost workers per thousand."""
    setting = Setting("default", Config(1, 1, hidden=measured.hidden))
    parts = cuts(np.broadcast_to(np.int64(rows), devices), devices, (setting,), (1,))
    seconds = np.array([len(part) for part in parts]) * rows * measured.sample
    ideal = float(seconds.sum()) / cores
    simulated, busy = simulated_seconds(seconds, measured, cores, lost_an_hour / 1000)
    hours = 3600
    return Plan(
        len(seconds), float(seconds.mean()), seconds.sum() / hours, ideal / hours,
        simulated / hours, busy / simulated,
    )  # fmt: skip


def simulated_seconds(
    work: np.ndarray[tuple[int], np.dtype[np.float64]],
    measured: Measured,
    cores: int,
    lost_an_hour: float,
) -> tuple[float, float]:
    """Return the seconds until the last job is done, and those in which the scheduler works.

    The scheduler is one server: handing out a job and receiving its result takes ``measured.job``
    seconds, and progress reports take their share of its time. It holds a quarter more jobs than
    there are cores. A worker is lost after exponentially distributed times; its job then restarts
    at the last checkpoint. Args: work, seconds of every job; lost_an_hour, of one worker.
    """
    rng = np.random.default_rng(0)
    work = work * np.exp(MACHINE_NOISE * rng.standard_normal(len(work)))
    reports = min(2.0 * cores, 20.0)  # per second, limited as in cluster.py
    service = measured.job / max(1e-9, 1 - reports * measured.report)
    window = cores + cores // 4 + 1
    idle = [0.0] * cores  # time at which each core finishes its jobs
    held: list[float] = []  # times at which the jobs that the scheduler holds are done
    free = 0.0  # time at which the scheduler is free
    for seconds in work.tolist():
        if len(held) == window:
            free = max(free, heapq.heappop(held))
        free += service
        heapq.heappush(held, _finish(idle, free, seconds, rng, lost_an_hour))
    return max(held), service * len(work)


def _finish(
    idle: list[float], ready: float, seconds: float, rng: np.random.Generator, lost: float
) -> float:
    """Give the job to the core that is free first; return its end."""
    begin = max(heapq.heappop(idle), ready)
    losses = rng.poisson(lost * seconds / 3600)
    seconds += losses * (RESTART_SECONDS + min(CHECKPOINT_SECONDS, seconds) * rng.random())
    heapq.heappush(idle, begin + seconds)
    return begin + seconds
