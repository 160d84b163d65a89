"""A Dask cluster of this machine: its scheduler in this process, its workers in others.

Dask's own LocalCluster starts workers with ``multiprocessing``, which runs the caller's script once
more in each of them: a script without ``if __name__ == "__main__"`` then starts clusters without
end. Here a worker is a command, ``dask worker``, so that any script, notebook or prompt will do. It
is in a session of its own: Ctrl-C reaches the caller alone, who ends the jobs in order.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from distributed import LocalCluster

from nbt_embed.errors import ClusterError

WORKER_TTL = "30s"  # a worker that is silent for this long is lost
_START = 60.0  # seconds that a worker may take to start
_TAIL = 400  # characters of what a worker wrote last, in an error


class Processes:
    """Worker processes of one thread each, and their scheduler.

    A worker that dies or hangs is replaced by another with ``tend``, which the owner calls now and
    then.
    """

    def __init__(self, processes: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="nbt_embed-"))
        self._started = 0
        self._alive: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
        self._seen: set[str] = set()
        self._cluster = LocalCluster(
            n_workers=0,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
            scheduler_kwargs={"worker_ttl": WORKER_TTL, "dashboard": False},
        )
        self.address: str = self._cluster.scheduler_address
        for _ in range(processes):
            self._start()

    def tend(self) -> None:
        """Replace workers that are dead, or that the scheduler has given up. Errors: ClusterError.

        A worker that ends before the scheduler has seen it is an error: the next would end, too.
        """
        known = {state.name for state in list(self._cluster.scheduler.workers.values())}
        self._seen |= known
        for name, (process, since) in list(self._alive.items()):
            late = time.monotonic() - since > _START
            if process.poll() is None and (name in known or not (late or name in self._seen)):
                continue
            if name not in self._seen:
                state = "did not start" if process.returncode is None else "ended at its start"
                raise ClusterError(f"processes: a worker {state}: {self._last_words(name)}")
            self._end(name)
            self._start()

    def close(self) -> None:
        """End every process. Whatever a job should keep must be written by now."""
        for name in list(self._alive):
            self._end(name)
        with suppress(TimeoutError):
            self._cluster.close(timeout=10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        self._started += 1
        name = f"process-{self._started}"
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.address]
        command += ["--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        command += ["--memory-limit", "0", "--local-directory", str(self._folder)]
        path = os.pathsep.join(str(Path(one).absolute()) for one in sys.path)  # "" is where we are
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "PYTHONFAULTHANDLER": "1",
            "DASK_LOGGING__DISTRIBUTED": "error",
        }
        with (self._folder / name).open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self._alive[name] = process, time.monotonic()

    def _end(self, name: str) -> None:
        process, _ = self._alive.pop(name)
        process.kill()
        process.wait()

    def _last_words(self, name: str) -> str:
        text = (self._folder / name).read_text(errors="replace").strip()
        return text[-_TAIL:] or "it wrote nothing"
