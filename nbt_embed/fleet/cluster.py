"""The jobs of a fleet on Dask: on processes of this machine, or on a cluster that is running.

One task carries one job through all its time. The job's state stays on the worker that has it, and
the job writes it into the run directory now and then; a worker that is lost costs what came after.
The results do not depend on which worker had which job, nor on how often one was lost.
"""

from __future__ import annotations

import asyncio
import logging
import math
import queue
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nbt_embed import _interrupt
from nbt_embed._extras import needs
from nbt_embed.errors import ClusterError, ConfigError, shown
from nbt_embed.parallel import Interrupted, threads

with needs("a scheduler other than None"):
    import dask
    from distributed import Client, Future, KilledWorker
    from distributed.comm.addressing import get_address_host_port

    from nbt_embed.fleet import remote
    from nbt_embed.fleet.local_cluster import Processes
    from nbt_embed.fleet.package import Packer

if TYPE_CHECKING:
    from nbt_embed.fleet.columns import Columns
    from nbt_embed.fleet.job import Job

_ADDRESSES = ("tcp://", "tls://", "ws://", "wss://")  # Clients may have others
_EXPECTED = (
    'expected "processes", the address of a running Dask scheduler as "tcp://host:8786", a '
    "distributed.Client, or None for threads"
)
_CONNECT = 10.0  # seconds until a scheduler that does not answer is an error
_WORKERS = 60.0  # seconds until a cluster without workers is an error
_ANSWER = 60.0  # seconds until a scheduler that is connected and says nothing is an error
_LOOK = 0.5  # seconds between two looks at the workers
_EVENTS = 20.0  # progress that the scheduler passes on, events a second at most
_STOP = 60.0  # seconds that jobs have for their last checkpoint
_GATHER = 5.0  # seconds for a result to come, until the workers are looked at again
_ROUNDS = 2  # times that Dask may give a job up before it is given up here, without any progress

Progress: TypeAlias = Callable[[int], None]
Scheduler: TypeAlias = str | Client


def run_on(
    scheduler: Scheduler,
    jobs: Sequence[Job],
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Columns]:
    """What every job returns, in their order.

    Args:
        scheduler: "processes", for processes of this machine; the address of a running Dask
            scheduler, as "tcp://host:8786"; or a Client that is connected to one, and stays so.
        jobs: each is run by one thread of one worker, from its last checkpoint on.
        workers: jobs at once. None: as many as this process may use processors, or as the running
            cluster has threads.
        progress: called with the number of rows fed since the last call, from this thread.

    Errors: ConfigError (scheduler, workers); ClusterError, where the cluster cannot be used or is
    lost, or a job loses one worker after another; InputTypeError, a series that cannot be sent to
    another process; Interrupted; and the first that a job raises. Jobs that were running then have
    written their checkpoints.
    """
    if not jobs:
        return []
    with _quiet(), _connected(scheduler, workers) as cluster:
        _check_workers(cluster, _directory(jobs))
        return _Run(cluster, jobs, progress or (lambda _rows: None)).results()


@dataclass(frozen=True)
class _Cluster:
    """A connected client.

    Attributes: name, for messages; most, jobs at once at most; tend, looks after the workers;
    fate, how the worker of a name ended.
    """

    client: Client
    name: str
    most: int | None
    tend: Callable[[], None] = lambda: None  # who started a running cluster looks after it
    fate: Callable[[object], str] = lambda _name: "look into its log"


@contextmanager
def _connected(scheduler: Scheduler, workers: int | None) -> Iterator[_Cluster]:
    if isinstance(scheduler, Client):
        if scheduler.asynchronous:
            raise ConfigError("scheduler: an asynchronous Client; give its address instead")
        if scheduler.status != "running":
            raise ConfigError(f"scheduler: the Client is {scheduler.status}; connect another one")
        yield _Cluster(scheduler, "the Client's scheduler", _at_most(workers))
    elif scheduler == "processes":
        local = Processes()
        try:
            local.start(threads(workers))
            with _client(local.address) as client:
                yield _Cluster(client, "processes", None, local.tend, local.fate)
        finally:
            with _interrupt.put_off():
                local.close()
    elif isinstance(scheduler, str) and scheduler.startswith(_ADDRESSES):
        with _client(scheduler) as client:
            yield _Cluster(client, scheduler, _at_most(workers))
    else:
        raise ConfigError(f"scheduler = {shown(scheduler)}: {_EXPECTED}")


def _at_most(workers: int | None) -> int | None:
    return None if workers is None else threads(workers)


@contextmanager
def _client(address: str) -> Iterator[Client]:
    try:
        get_address_host_port(address)
    except ValueError as error:
        raise ConfigError(f"scheduler = {shown(address)}: {error}; {_EXPECTED}") from None
    try:
        client = Client(address, timeout=_CONNECT, set_as_default=False, name="nbt_embed")
    except TypeError as error:  # how Dask says that it has no certificates
        raise ConfigError(f"scheduler = {shown(address)}: {error}") from error
    except OSError as error:
        raise ClusterError(
            f"{address}: no Dask scheduler answers there ({error}); start one with "
            "`dask scheduler`, and workers with `dask worker ADDRESS`"
        ) from error
    try:
        yield client
    finally:
        with suppress(TimeoutError, OSError):
            client.close(timeout=5)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's records of lost workers and connections off the terminal: errors say it all.

    A large job is no mistake here, either.
    """
    roots = ("distributed", "tornado")
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    loggers = [logger for logger in loggers if logger.name.startswith(roots)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 PB"}):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _directory(jobs: Sequence[Job]) -> Path | None:
    store = jobs[0].store
    return None if store is None else Path(store.directory)


def _check_workers(cluster: _Cluster, directory: Path | None) -> None:
    """Before anything is fed: that workers are there, of one software, and see the run directory.

    Workers that come later check their software themselves. Errors: ClusterError.
    """
    watch = _Watch(cluster)
    watch.look()
    while not watch.workers:
        time.sleep(0.05)
        watch.look()
    content = f".seen-{uuid.uuid4().hex}"
    where = None if directory is None else str(directory)
    try:
        if where is not None:
            Path(where, content).touch()
        found = cluster.client.run(remote.describe, where, content, on_error="return")
    finally:
        if where is not None:
            Path(where, content).unlink(missing_ok=True)
    for address, answer in found.items():
        if isinstance(answer, BaseException):
            if address not in watch.ask():
                continue  # it is lost since
            raise ClusterError(_MISSING.format(where=address, reason=answer))
        software, wrong = answer
        _check_software(address, software)
        if wrong:
            raise ClusterError(
                f"out: the run directory {where}: worker {address} {wrong}; name a directory that "
                "all machines of the cluster share by this path"
            )


_GONE = (
    "{name}: the scheduler has gone away; with the same out the same call goes on from the "
    "checkpoints, as soon as there is a scheduler"
)
_UNPACK = (
    "worker {0}: cannot unpack what it was sent ({1}); install there what streams and configs are "
    "made of, or define it in the script that makes this call"
)
_MISSING = (
    "worker {where}: cannot run nbt_embed ({reason}); install there what this process has, as with "
    "pip install 'nbt-embed[fleet]'"
)


def _check_software(address: str, found: tuple[str, str]) -> None:
    version, bits = remote.software()
    if found != (version, bits):
        other = "" if found[1] == bits else ", and its kernel computes other bits"
        raise ClusterError(
            f"worker {address}: has nbt_embed {found[0]}, this process {version}{other}; "
            "install the same version on both"
        )


@dataclass
class _State:
    """Of a job.

    Attributes: rows, told of; begun, rows that were done when a worker last took it up; given_up,
    the same when Dask last gave it up; rounds, times that it did so without any progress.
    """

    rows: int = 0
    begun: int = 0
    given_up: int = 0
    rounds: int = 0


class _Watch:
    """The workers, looked at now and then.

    Attributes: workers, the addresses of all; window, jobs that should be with the scheduler;
    every, seconds between two reports of progress of one job.
    """

    def __init__(self, cluster: _Cluster) -> None:
        self._cluster = cluster
        self._looked, self._seen = -math.inf, time.monotonic()
        self.workers: set[str] = set()
        self.window, self.every = 1, 1.0

    def look(self) -> None:
        """Errors: ClusterError where there are no workers any more, or no scheduler."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        cluster = self._cluster
        if cluster.client.status != "running":
            raise ClusterError(_GONE.format(name=cluster.name))
        cluster.tend()
        threads = self.ask()
        at_once = sum(threads.values())
        if cluster.most is not None:
            self.window = cluster.most
        else:
            self.window = at_once + at_once // 4 + 1  # the next one is there when one is done
        self.every = max(_LOOK, at_once / _EVENTS)
        self._looked = now
        if threads:
            self._seen = now
        elif now - self._seen > _WORKERS:
            raise ClusterError(
                f"{cluster.name}: the scheduler has no workers; start some with "
                "`dask worker ADDRESS`, and make the same call again"
            )

    def ask(self) -> dict[str, int]:
        """The threads of each worker. Errors: ClusterError where the scheduler does not answer."""
        client = self._cluster.client
        assert client.scheduler is not None  # it is connected
        try:
            threads = client.sync(client.scheduler.ncores, callback_timeout=_ANSWER)
        except (TimeoutError, asyncio.TimeoutError, OSError) as error:
            raise ClusterError(_GONE.format(name=self._cluster.name)) from error
        self.workers = set(threads)
        return dict(threads)


class _Run:
    """The jobs of one call, some of which are with the scheduler at any time.

    Callbacks of Dask, which come in other threads, only put their news into a queue.
    """

    def __init__(self, cluster: _Cluster, jobs: Sequence[Job], progress: Progress) -> None:
        self._cluster, self._jobs, self._progress = cluster, jobs, progress
        self._name = f"nbt_embed-{uuid.uuid4().hex}"
        self._waiting = deque(range(len(jobs)))
        self._running: dict[str, tuple[int, Future[Any]]] = {}
        self._news: queue.SimpleQueue[Future[Any] | remote.Event] = queue.SimpleQueue()
        self._carriers: set[tuple[int, str]] = set()  # a job, and a worker that is at it
        self._states = [_State() for _ in jobs]
        self._columns: dict[int, Columns] = {}
        self._packer = Packer(jobs)
        self._series = self._large_series()
        self._tries = 0
        self._watch = _Watch(cluster)

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
        """As many jobs as workers can run, and a few: the scheduler's memory holds no more."""
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
        """A task whose result workers keep and pass on, and make again where all were lost."""
        content = self._packer.apart
        if content is None:
            return None
        key = f"{self._name}-series"
        return self._cluster.client.submit(remote.load, content, key=key, pure=False)

    def _take_news(self) -> None:
        try:
            news = self._news.get(timeout=_LOOK)
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
        """A job has come as far as ``rows``: what is done twice, after a loss, is told once."""
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
            raise ClusterError(_GONE.format(name=self._cluster.name))
        else:
            try:
                rows, columns = future.result(timeout=_GATHER)
            except (TimeoutError, asyncio.TimeoutError, OSError):  # its worker is lost since
                future.add_done_callback(self._news.put)  # it is run again
                return
            except CancelledError as error:
                raise ClusterError(_GONE.format(name=self._cluster.name)) from error
            self._columns[number] = columns
            self._tell(number, rows)
        del self._running[key]
        future.release()

    def _failed(self, number: int, error: BaseException) -> None:
        """Raise what ended the job, or submit it once more."""
        if isinstance(error, KilledWorker):
            self._lost(number, error)
            return
        if isinstance(error, remote.UnpackError):
            raise ClusterError(_UNPACK.format(*error.args)) from error
        if isinstance(error, remote.SoftwareError):
            _check_software(*error.args)
        raise error

    def _lost(self, number: int, error: KilledWorker) -> None:
        """Submit the job once more if there is hope. Errors: ClusterError."""
        job, state = self._jobs[number], self._states[number]
        state.rounds = 1 if state.begun > state.given_up else state.rounds + 1
        state.given_up = state.begun
        if state.rounds == _ROUNDS:
            devices = f"devices {job.devices.start} to {job.devices.stop - 1}"
            losses = _ROUNDS * (error.allowed_failures + 1)
            last = error.last_worker
            raise ClusterError(
                f"job {number} ({devices}): {losses} workers were lost one after another while "
                f"they had it, and it got no further. The last was {last.address} "
                f"({self._cluster.fate(last.name)}). Give its machine more memory or the job less "
                "to do; with the same out the same call goes on from the checkpoints"
            ) from error
        self._waiting.appendleft(number)

    def _stop(self) -> None:
        """Let go of what is running, and wait until it has written its checkpoints."""
        for _, future in self._running.values():
            future.release()  # needs no answer, which a scheduler that is gone would not give
        deadline = time.monotonic() + _STOP
        with suppress(ClusterError):
            while self._carriers and self._alive() and time.monotonic() < deadline:
                with suppress(queue.Empty):
                    news = self._news.get(timeout=_LOOK)
                    if not isinstance(news, Future):
                        self._note_carrier(news)
                        continue
                self._watch.ask()
                self._carriers = {one for one in self._carriers if one[1] in self._watch.workers}

    def _alive(self) -> bool:
        """Whether there is a scheduler; without one workers stop their jobs by themselves."""
        return bool(self._cluster.client.status == "running")
