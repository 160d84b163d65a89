"""The jobs of a fleet on Dask: on processes of this machine, or on a running cluster.

One task feeds all rows of one job. The job's state is in memory of its worker, and the job writes
checkpoints into the run directory. If a worker is lost, the work since the last checkpoint is
repeated. The results do not depend on the assignment of jobs to workers, nor on losses.
"""

from __future__ import annotations

import asyncio
import queue
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nbt_embed import _interrupt
from nbt_embed._extras import needs
from nbt_embed.errors import ClusterError
from nbt_embed.parallel import Interrupted

with needs("a scheduler other than None"):
    from distributed import Future, KilledWorker

    from nbt_embed.fleet import remote
    from nbt_embed.fleet.connection import (
        GONE,
        LOOK,
        Cluster,
        Scheduler,
        Watch,
        check_software,
        check_workers,
        connected,
        quiet,
    )
    from nbt_embed.fleet.package import Packer

if TYPE_CHECKING:
    from nbt_embed.fleet.columns import Columns
    from nbt_embed.fleet.job import Job

_STOP = 60.0  # seconds that jobs have to write their last checkpoint
_GATHER = 5.0  # seconds to wait for a result before the workers are checked again
_ROUNDS = 2  # times that Dask may give up a job without progress before this module does
_UNPACK = (
    "worker {0}: cannot unpack what it was sent ({1}); install the modules of streams and "
    "configs there, or define them in the script that makes this call"
)

Progress: TypeAlias = Callable[[int], None]


def run_on(
    scheduler: Scheduler,
    jobs: Sequence[Job],
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Columns]:
    """Return the result of every job, in order.

    Args:
        scheduler: "processes", for processes of this machine; the address of a running Dask
            scheduler, such as "tcp://host:8786"; or a connected Client, which stays connected.
        jobs: each is run by one thread of one worker, from its last checkpoint.
        workers: jobs at once. None: the number of processors that this process may use, or of
            threads of the running cluster.
        progress: called with the number of rows fed since the last call, from this thread.

    Errors: ConfigError (scheduler, workers); ClusterError: the cluster cannot be used or is lost,
    or a job loses one worker after another; InputTypeError: a series cannot be sent to another
    process; Interrupted; and the first error of a job. In these cases the running jobs have written
    their checkpoints.
    """
    if not jobs:
        return []
    with quiet(), connected(scheduler, workers, len(jobs)) as cluster:
        store = jobs[0].store
        check_workers(cluster, None if store is None else Path(store.directory))
        return _Run(cluster, jobs, progress or (lambda _rows: None)).results()


@dataclass
class _State:
    """The state of a job.

    Attributes: rows, reported so far; begun, rows that were done when the current worker started;
    given_up, rows that were done when Dask last gave up; rounds, times that it gave up without
    progress.
    """

    rows: int = 0
    begun: int = 0
    given_up: int = 0
    rounds: int = 0


class _Run:
    """The jobs of one call, of which the scheduler holds only some at a time.

    Dask's callbacks run in other threads; they only put events into a queue.
    """

    def __init__(self, cluster: Cluster, jobs: Sequence[Job], progress: Progress) -> None:
        self._cluster, self._jobs, self._progress = cluster, jobs, progress
        self._name = f"nbt_embed-{uuid.uuid4().hex}"
        self._waiting = deque(range(len(jobs)))
        self._running: dict[str, tuple[int, Future[Any]]] = {}
        self._news: queue.SimpleQueue[Future[Any] | remote.Event] = queue.SimpleQueue()
        self._carriers: set[tuple[int, str]] = set()  # a job, and the worker that runs it
        self._states = [_State() for _ in jobs]
        self._columns: dict[int, Columns] = {}
        self._packer = Packer(jobs)
        self._series = self._large_series()
        self._tries = 0
        self._watch = Watch(cluster)

    def results(self) -> list[Columns]:
        client = self._cluster.client
        client.subscribe_topic(self._name, lambda event: self._news.put(event[1]))
        try:
            while len(self._columns) < len(self._jobs):
                self._watch.look()
                self._submit()
                self._take_news()
        except KeyboardInterrupt:
            raise Interrupted(len(self._columns), len(self._jobs), "jobs") from None
        finally:
            with _interrupt.put_off():
                self._stop()
        return [self._columns[number] for number in range(len(self._jobs))]

    def _submit(self) -> None:
        """Submit only what workers can run and a few more jobs, to limit the scheduler's memory."""
        while self._waiting and len(self._running) < self._watch.window:
            number = self._waiting.popleft()
            content = self._packer.pack(self._jobs[number])
            ticket = remote.Ticket(self._name, number, remote.software(), self._watch.every)
            self._tries += 1
            key = f"{self._name}-{self._tries}"
            future = self._cluster.client.submit(
                remote.carry, content, self._series, ticket, key=key, pure=False
            )
            self._running[key] = number, future
            future.add_done_callback(self._news.put)

    def _large_series(self) -> Future[Any] | None:
        """Return a task whose result workers keep, pass on, and recompute if it is lost."""
        content = self._packer.apart
        if content is None:
            return None
        key = f"{self._name}-series"
        return self._cluster.client.submit(remote.load, content, key=key, pure=False)

    def _take_news(self) -> None:
        try:
            news = self._news.get(timeout=LOOK)
        except queue.Empty:
            return
        if isinstance(news, Future):
            self._take_future(news)
        else:
            self._take_event(news)

    def _take_event(self, event: remote.Event) -> None:
        self._note_carrier(event)
        if event["state"] == "begun":
            self._states[event["job"]].begun = event["rows"]
        self._tell(event["job"], event["rows"])

    def _note_carrier(self, event: remote.Event) -> None:
        place = event["job"], event["worker"]
        if event["state"] == "ended":
            self._carriers.discard(place)
        else:
            self._carriers.add(place)

    def _tell(self, number: int, rows: int) -> None:
        """Report progress of a job; rows that are repeated after a loss are reported once."""
        state = self._states[number]
        if rows > state.rows:
            self._progress(rows - state.rows)
            state.rows = rows

    def _take_future(self, future: Future[Any]) -> None:
        key = str(future.key)
        number, _ = self._running[key]
        if future.status == "error":
            self._failed(number, future.exception())
        elif future.status == "cancelled":
            raise ClusterError(GONE.format(name=self._cluster.name))
        else:
            try:
                rows, columns = future.result(timeout=_GATHER)
            except (TimeoutError, asyncio.TimeoutError, OSError):  # its worker has been lost since
                future.add_done_callback(self._news.put)  # it runs again
                return
            except CancelledError as error:
                raise ClusterError(GONE.format(name=self._cluster.name)) from error
            self._columns[number] = columns
            self._tell(number, rows)
        del self._running[key]
        future.release()

    def _failed(self, number: int, error: BaseException) -> None:
        """Raise the error that ended the job, or submit it again."""
        if isinstance(error, KilledWorker):
            self._lost(number, error)
            return
        if isinstance(error, remote.UnpackError):
            raise ClusterError(_UNPACK.format(*error.args)) from error
        if isinstance(error, remote.SoftwareError):
            check_software(*error.args)
        raise error

    def _lost(self, number: int, error: KilledWorker) -> None:
        """Submit the job again. Errors: ClusterError after ``_ROUNDS`` times without progress."""
        job, state = self._jobs[number], self._states[number]
        state.rounds = 1 if state.begun > state.given_up else state.rounds + 1
        state.given_up = state.begun
        if state.rounds == _ROUNDS:
            devices = f"devices {job.devices.start} to {job.devices.stop - 1}"
            losses = _ROUNDS * (error.allowed_failures + 1)
            last = error.last_worker
            raise ClusterError(
                f"job {number} ({devices}): {losses} workers were lost one after another while "
                f"they ran it, without progress. The last was {last.address} "
                f"({self._cluster.fate(last.name)}). Give its machine more memory or the job "
                "fewer devices; the same call with the same out resumes from the checkpoints"
            ) from error
        self._waiting.appendleft(number)

    def _stop(self) -> None:
        """Cancel the running jobs, and wait until they have written their checkpoints."""
        for _, future in self._running.values():
            future.release()  # needs no answer, so it works without a scheduler
        deadline = time.monotonic() + _STOP
        with suppress(ClusterError):
            while self._carriers and self._alive() and time.monotonic() < deadline:
                with suppress(queue.Empty):
                    news = self._news.get(timeout=LOOK)
                    if not isinstance(news, Future):
                        self._note_carrier(news)
                        continue
                self._watch.ask()
                self._carriers = {one for one in self._carriers if one[1] in self._watch.workers}

    def _alive(self) -> bool:
        """Return whether there is a scheduler; without one, workers stop their jobs themselves."""
        return bool(self._cluster.client.status == "running")
