"""A Dask cluster of this machine: its scheduler in this process, its workers in others.

Dask's own LocalCluster starts workers with ``multiprocessing``, which runs the caller's script
again in each of them. A script without ``if __name__ == "__main__"`` then starts clusters without
end. Here a worker is a command, ``dask worker``, so any script, notebook or prompt works. Each
worker has its own session: Ctrl-C reaches only the caller, who ends the jobs in order.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from distributed import LocalCluster, Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin

from nbt_embed.errors import ClusterError

WORKER_TTL = "30s"  # a worker that is silent for longer is lost
_START = 60.0  # seconds for a worker to start
_END = 0.5  # seconds for a lost process to end
_TAIL = 400  # last characters of a worker's output that an error shows


class Processes:
    """Worker processes of one thread each, and their scheduler.

    ``tend``, which the owner calls periodically, replaces workers that died or hang.
    """

    def __init__(self) -> None:
        self._started = 0
        self._folder = tempfile.TemporaryDirectory(  # for the workers, which are killed at the end
            prefix="nbt_embed-fleet-", ignore_cleanup_errors=True
        )
        self._alive: dict[str, _Worker] = {}
        self._fates: dict[str, str] = {}  # of ended workers
        self._seen: set[str] = set()
        self._cluster = LocalCluster(
            n_workers=0,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # an HTTP server runs even without a dashboard
            silence_logs=logging.CRITICAL,
            scheduler_kwargs={"worker_ttl": WORKER_TTL, "dashboard": False},
        )
        assert self._cluster.scheduler is not None  # it is started
        self._scheduler: Scheduler = self._cluster.scheduler
        self._scheduler.add_plugin(_Names(self._seen))
        self.address: str = self._cluster.scheduler_address

    def start(self, processes: int) -> None:
        """Start the workers; they may take a second until they connect."""
        for _ in range(processes):
            self._start()

    def tend(self) -> None:
        """Replace workers that are dead or that the scheduler has given up. Errors: ClusterError.

        A worker that ends before the scheduler has seen it is an error, since the next would end
        too.
        """
        known = {state.name for state in list(self._scheduler.workers.values())}
        for name, worker in list(self._alive.items()):
            late = time.monotonic() - worker.since > _START
            expected = name in known or not (late or name in self._seen)
            if expected and worker.process.poll() is None:
                continue
            fate = self.fate(name)
            if name not in self._seen:
                raise ClusterError(f"processes: a worker did not start ({fate})")
            self._start()

    def close(self) -> None:
        """End every process; jobs must have written their checkpoints."""
        for name in list(self._alive):
            self._alive.pop(name).end()
        with suppress(TimeoutError):
            self._cluster.close(timeout=10)
        self._folder.cleanup()

    def fate(self, name: object) -> str:
        """End a worker if it still runs, and return how it ended and its last output."""
        worker = self._alive.pop(str(name), None)
        if worker is not None:
            self._fates[str(name)] = worker.end(_END)
        return self._fates.get(str(name), "its state is unknown")

    def _start(self) -> None:
        self._started += 1
        name = f"process-{self._started}"
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.address]
        command += ["--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        command += ["--memory-limit", "0", "--local-directory", self._folder.name]
        command += ["--death-timeout", f"{_START:.0f}"]
        path = os.pathsep.join(str(Path(one).absolute()) for one in sys.path)  # "": current
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "PYTHONFAULTHANDLER": "1",
            "DASK_LOGGING__DISTRIBUTED": "error",
            "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",  # unused
        }
        log = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the process
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=log, env=environment, start_new_session=True
        )
        self._alive[name] = _Worker(process, log, time.monotonic())


@dataclass(frozen=True)
class _Worker:
    """A process, its standard error, and its start time."""

    process: subprocess.Popen[bytes]
    log: IO[bytes]
    since: float

    def end(self, patience: float = 0.0) -> str:
        """End it; ``patience`` seconds let a process that is about to end report the reason."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        self.process.kill()
        code = self.process.wait()
        with self.log as log:
            log.seek(0)
            text = log.read().decode(errors="replace").strip()
        how = f"exit code {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"
        if code == -signal.SIGKILL:
            how += ", possibly because memory ran out"
        return f"{how}; last output: {text[-_TAIL:]}" if text else how


class _Names(SchedulerPlugin):
    """Records the names of all workers that ever connected, even briefly."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Record the name; called by the scheduler."""
        self._names.add(str(scheduler.workers[worker].name))
