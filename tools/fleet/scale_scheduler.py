"""Overhead of a job: a scheduler, two workers, and empty jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import psutil
from distributed import Client, get_worker

from nbt_embed.fleet import cluster
from nbt_embed.fleet.job import Job
from nbt_embed.fleet.remote import Event

WORKERS = 2


@dataclass(frozen=True)
class EmptyJob:
    """A job of one row without work."""

    number: int
    series: None = None
    store: None = None

    @property
    def devices(self) -> range:
        """One device."""
        return range(self.number, self.number + 1)

    def run(self, advance: Callable[[int], None]) -> dict[str, int]:
        """Report progress, and return a small result."""
        advance(1)
        return {"number": self.number}


@dataclass(frozen=True)
class Overhead:
    """Overhead of jobs: seconds per job, wall and processor time, and the scheduler's memory.

    Attributes: jobs; wall; scheduler, caller, worker: processor seconds per job of each process (of
    all workers together); grown, increase of the scheduler's peak memory in bytes.
    """

    jobs: int
    wall: float
    scheduler: float
    caller: float
    worker: float
    grown: int


class Cluster:
    """A scheduler and workers in separate processes, from ``started``."""

    def __init__(self, address: str, processes: Sequence[psutil.Process]) -> None:
        self.address = address
        self._scheduler, *self._workers = processes

    def measure(self, jobs: int, work: Callable[[], object]) -> Overhead:
        """Measure the overhead of some jobs."""
        before, memory = self._used(), _peak(self._scheduler)
        begun = time.perf_counter()
        work()
        wall = time.perf_counter() - begun
        used = zip(self._used(), before, strict=True)
        scheduler, caller, worker = [(after - first) / jobs for after, first in used]
        grown = _peak(self._scheduler) - memory
        return Overhead(jobs, wall / jobs, scheduler, caller, worker, grown)

    def worker_bytes(self) -> int:
        """Return the private memory of a worker."""
        return int(max(worker.memory_full_info().uss for worker in self._workers))

    def _used(self) -> tuple[float, float, float]:
        workers = sum(sum(worker.cpu_times()[:2]) for worker in self._workers)
        return sum(self._scheduler.cpu_times()[:2]), time.process_time(), workers


def _peak(process: psutil.Process) -> int:
    """Return the peak memory of a process in bytes."""
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@contextmanager
def started() -> Iterator[Cluster]:
    """Start a scheduler and two workers, which end after the block."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *arguments]
        path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path}
        processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment))

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "scheduler.json")
        try:
            own = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
            start("dask_scheduler", *own)
            while not (file.exists() and file.read_text().endswith("}")):
                time.sleep(0.05)
            address = json.loads(file.read_text())["address"]
            local = ("--no-nanny", "--nthreads", "1", "--local-directory", folder)
            for _ in range(WORKERS):
                start("dask_worker", address, *local)
            with Client(address, set_as_default=False) as client:
                client.wait_for_workers(WORKERS, timeout=60)
            yield Cluster(address, [psutil.Process(process.pid) for process in processes])
        finally:
            for process in processes:
                process.kill()
                process.wait()


def run_jobs(address: str, count: int) -> None:
    """Run empty jobs in windows, like ``simulate``."""
    jobs = [EmptyJob(number) for number in range(count)]
    cluster.run_on(address, cast("list[Job]", jobs))


def all_at_once(address: str, count: int) -> None:
    """Submit empty tasks at once, without windows."""
    with Client(address, set_as_default=False) as client:
        futures = client.map(_nothing, range(count), pure=False)
        client.gather(futures)


def _nothing(number: int) -> dict[str, Any]:
    return {"number": number}


@dataclass(frozen=True)
class Overheads:
    """Overheads of a scheduler.

    Attributes: windows, for each number of jobs as ``simulate`` runs them; at_once, for the largest
    number without windows; report, seconds of scheduler and caller per progress report;
    worker_bytes, of a worker that has run empty jobs.
    """

    windows: tuple[Overhead, ...]
    at_once: Overhead
    report: float
    worker_bytes: int


def overheads(counts: Sequence[int]) -> Overheads:
    """Measure each number of jobs on its own cluster, for which its memory peaks."""
    found = []
    for count in counts:
        with started() as own:
            run_jobs(own.address, 20)  # first-time costs of any job
            found.append(own.measure(count, partial(run_jobs, own.address, count)))
    with started() as own:
        run_jobs(own.address, 20)
        worker = own.worker_bytes()
        at_once = own.measure(counts[-1], partial(all_at_once, own.address, counts[-1]))
        return Overheads(tuple(found), at_once, _report_seconds(own), worker)


def _report_seconds(own: Cluster, reports: int = 5000) -> float:
    """Return seconds of scheduler and caller per progress report that reaches the caller."""
    heard: list[object] = []

    def send_and_wait() -> None:
        with Client(own.address, set_as_default=False) as client:
            client.subscribe_topic("reports", heard.append)
            client.submit(_report, reports, pure=False).result()
            while len(heard) < reports:
                time.sleep(0.01)

    found = own.measure(reports, send_and_wait)
    return found.scheduler + found.caller


def _report(count: int) -> None:
    worker = get_worker()
    for number in range(count):
        event: Event = {"job": 0, "worker": worker.address, "rows": number, "state": "on"}
        worker.log_event("reports", event)
        time.sleep(0.001)  # separate messages, as from many workers
