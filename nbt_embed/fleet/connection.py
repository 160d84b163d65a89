"""Connect to a Dask cluster, check it before the first row, and watch its workers."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import dask
from distributed import Client, Security, get_worker, rejoin, secede
from distributed.comm.addressing import get_address_host_port

from nbt_embed import _interrupt
from nbt_embed.errors import ClusterError, ConfigError, shown
from nbt_embed.fleet import remote
from nbt_embed.fleet.local_cluster import Processes
from nbt_embed.fleet.store import SEEN
from nbt_embed.parallel import threads

_ADDRESSES = ("tcp://", "tls://", "ws://", "wss://")  # clients may have others
_ENCRYPTED = ("tls://", "wss://")
_EXPECTED = (
    'expected "processes", the address of a running Dask scheduler such as "tcp://host:8786", a '
    "distributed.Client, or None for threads"
)
_STARTING = ("newly-created", "connecting")  # of a Client, also from ``get_client``
_CONNECT = 10.0  # seconds until a scheduler that does not answer is an error
_WORKERS = 60.0  # seconds until a cluster without workers is an error
_ANSWER = 60.0  # seconds until a connected scheduler that does not answer is an error
_EVENTS = 20.0  # progress events per second that the scheduler forwards, at most
LOOK = 0.5
"""Seconds between two checks of the workers."""

GONE = (
    "{name}: the connection to the scheduler is lost; start a scheduler and make the same call "
    "with the same out to resume from the checkpoints"
)
_MISSING = (
    "worker {where}: cannot run nbt_embed ({reason}); install the packages of this process "
    "there, for example with pip install 'nbt-embed[fleet]'"
)

Scheduler: TypeAlias = str | Client


@dataclass(frozen=True)
class Cluster:
    """A connected client.

    Attributes: name, for messages; most, maximum of jobs at once; tend, replaces dead workers;
    fate, describes how the worker of a name ended.
    """

    client: Client
    name: str
    most: int | None
    tend: Callable[[], None] = lambda: None  # a running cluster replaces its own workers
    fate: Callable[[object], str] = lambda _name: "see its log"


@contextmanager
def connected(scheduler: Scheduler, workers: int | None, jobs: int) -> Iterator[Cluster]:
    """Connect for the duration of the block; an own cluster has at most one process per job.

    Arguments and errors are those of ``run_on``.
    """
    if isinstance(scheduler, Client):
        if scheduler.asynchronous:
            raise ConfigError("scheduler: an asynchronous Client; give its address instead")
        deadline = time.monotonic() + _CONNECT
        while scheduler.status in _STARTING and time.monotonic() < deadline:
            time.sleep(0.01)
        if scheduler.status != "running":
            raise ConfigError(f"scheduler: the Client is {scheduler.status}; connect another one")
        with _out_of_the_way():
            yield Cluster(scheduler, "the Client's scheduler", _at_most(workers))
    elif isinstance(scheduler, str) and scheduler == "processes":
        local = Processes()
        try:
            local.start(min(threads(workers), jobs))
            with _client(local.address) as client:
                yield Cluster(client, "processes", None, local.tend, local.fate)
        finally:
            with _interrupt.put_off():
                local.close()
    elif isinstance(scheduler, str) and scheduler.startswith(_ADDRESSES):
        with _client(scheduler) as client, _out_of_the_way():
            yield Cluster(client, scheduler, _at_most(workers))
    else:
        raise ConfigError(f"scheduler = {shown(scheduler)}: {_EXPECTED}")


@contextmanager
def _out_of_the_way() -> Iterator[None]:
    """Release the thread of the Dask task that called, so that jobs can use it."""
    try:
        get_worker()
    except ValueError:  # not in a task
        yield
        return
    secede()
    try:
        yield
    finally:
        rejoin()


def _at_most(workers: int | None) -> int | None:
    return None if workers is None else threads(workers)


@contextmanager
def _client(address: str) -> Iterator[Client]:
    try:
        get_address_host_port(address)
    except ValueError as error:
        raise ConfigError(f"scheduler = {shown(address)}: {error}; {_EXPECTED}") from None
    certified = Security().get_connection_args("client").get("ssl_context") is not None
    if address.startswith(_ENCRYPTED) and not certified:
        raise ConfigError(
            f"scheduler = {shown(address)}: Dask has no certificates for it; name them in Dask's "
            "settings distributed.comm.tls, or pass a Client that has them"
        )
    try:
        client = Client(address, timeout=_CONNECT, set_as_default=False, name="nbt_embed")
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


class _Quiet:
    """The state of ``quiet``, shared by all calls that run at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._ends = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._calls:
                self._ends.enter_context(_quiet())
            self._calls += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._calls -= 1
            if not self._calls:
                self._ends.close()


_QUIET = _Quiet()


def quiet() -> _Quiet:
    """Suppress Dask's log of lost workers and connections, since errors report them.

    Dask's warning about large jobs is suppressed too. Calls in several threads may overlap.
    """
    return _QUIET


@contextmanager
def _quiet() -> Iterator[None]:
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


def check_workers(cluster: Cluster, directory: Path | None) -> None:
    """Check before the first row that workers exist, agree in software, and see the directory.

    Workers that join later check their software themselves. Errors: ClusterError.
    """
    watch = Watch(cluster)
    watch.look()
    while not watch.workers:
        time.sleep(0.05)
        watch.look()
    content = f"{SEEN}{uuid.uuid4().hex}"
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
                continue  # it has been lost since
            raise ClusterError(_MISSING.format(where=address, reason=answer))
        software, wrong = answer
        check_software(address, software)
        if wrong:
            raise ClusterError(
                f"out: the run directory {where}: worker {address} {wrong}; name a directory that "
                "all machines of the cluster share by this path"
            )


def check_software(address: str, found: tuple[str, str]) -> None:
    """Refuse a worker whose results would differ. Errors: ClusterError."""
    version, bits = remote.software()
    if found != (version, bits):
        other = "" if found[1] == bits else ", and its kernel computes other bits"
        raise ClusterError(
            f"worker {address}: has nbt_embed {found[0]}, this process {version}{other}; "
            "install the same version on both"
        )


class Watch:
    """Periodic checks of the workers.

    Attributes: workers, all addresses; window, jobs that the scheduler should hold; every, seconds
    between two progress reports of one job.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._looked, self._seen = -math.inf, time.monotonic()
        self.workers: set[str] = set()
        self.window, self.every = 1, 1.0

    def look(self) -> None:
        """Check the cluster. Errors: ClusterError without workers or scheduler."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        cluster = self._cluster
        if cluster.client.status != "running":
            raise ClusterError(GONE.format(name=cluster.name))
        cluster.tend()
        threads = self.ask()
        at_once = sum(threads.values())
        if cluster.most is not None:
            self.window = cluster.most
        else:
            self.window = at_once + at_once // 4 + 1  # the next job is ready when one ends
        self.every = max(LOOK, at_once / _EVENTS)
        self._looked = now
        if threads:
            self._seen = now
        elif now - self._seen > _WORKERS:
            raise ClusterError(
                f"{cluster.name}: the scheduler has no workers; start some with "
                "`dask worker ADDRESS`, and make the same call again"
            )

    def ask(self) -> dict[str, int]:
        """Return the threads of each worker. Errors: ClusterError if the scheduler is silent."""
        client = self._cluster.client
        assert client.scheduler is not None  # it is connected
        try:
            threads = client.sync(client.scheduler.ncores, callback_timeout=_ANSWER)
        except (TimeoutError, asyncio.TimeoutError, OSError) as error:
            raise ClusterError(GONE.format(name=self._cluster.name)) from error
        self.workers = set(threads)
        return dict(threads)
