"""Code that runs on a cluster's worker: one job at a time in each thread."""

from __future__ import annotations

import os
import threading
import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from distributed import Reschedule, Worker, get_worker

import nbt_embed
from nbt_embed.errors import DivergenceWarning
from nbt_embed.fleet.package import unpack
from nbt_embed.learner import Learner

if TYPE_CHECKING:
    from nbt_embed.fleet.columns import Columns
    from nbt_embed.fleet.job import Job
    from nbt_embed.fleet.series import Series

_RUNNING = ("executing", "long-running")  # states of a task whose result is needed
_ENDING = ("closing_gracefully", "closing", "closed", "failed")  # states of a worker


class Event(TypedDict):
    """A message of a worker about a job, sent through the scheduler.

    Keys: job, its number; worker, an address; rows, of the job that are done; state, "begun" (at
    these rows), "on", or "ended" (this worker no longer runs the job).
    """

    job: int
    worker: str
    rows: int
    state: str


@dataclass(frozen=True)
class Ticket:
    """Data that a worker receives in addition to the job.

    Attributes: run, the topic of its events; number of the job; software, ``software`` of the
    process that started the run; every, minimum seconds between two events.
    """

    run: str
    number: int
    software: tuple[str, str]
    every: float


@cache
def software() -> tuple[str, str]:
    """Return the package's version, and hashes that change with any bit of the kernel's results."""
    x = np.sin(np.arange(64, dtype=np.float32))[:, np.newaxis]
    learners = [Learner(1, 1, hidden=hidden, seed=hidden) for hidden in (3, 8, 17)]
    for learner in learners:
        learner.run(x, x, horizon=1)
    return nbt_embed.__version__, " ".join(f"{learner.hash():016x}" for learner in learners)


def describe(directory: str | None, content: str) -> tuple[tuple[str, str], str]:
    """Describe this worker: its software, and a fault of the run directory, or "".

    Args: directory, with the file ``content`` that only this run has written.
    """
    return software(), "" if directory is None else _wrong(Path(directory), content)


def _wrong(directory: Path, content: str) -> str:
    try:
        if not (directory / content).is_file():
            return "does not see it"
        own = directory / f"{content}-{os.getpid()}-{threading.get_ident()}"
        own.touch(exist_ok=False)
        own.unlink()
    except OSError as error:
        return f"cannot write there ({error.strerror})"
    return ""


def load(series: bytes) -> Series:
    """Unpack a series that many jobs read, once per worker. Errors: UnpackError."""
    loaded: Series = _unpacked(series)
    return loaded


def carry(content: bytes, series: Series | None, ticket: Ticket) -> tuple[int, Columns]:
    """Run a job to its end, and return its number of rows and its columns.

    Args: content, the packed job; series, if it is not in the package.
    Errors: those of the job; SoftwareError; UnpackError; Reschedule if the job was cancelled or
    another worker should run it.
    """
    if (own := software()) != ticket.software:
        raise SoftwareError(get_worker().address, own)
    job: Job = _unpacked(content, series)
    report = _Report(ticket)
    warnings.filterwarnings("ignore", category=DivergenceWarning)  # the results report it
    try:
        columns = job.run(report)
    finally:
        report.tell("ended")
    return report.rows, columns


def _unpacked(content: bytes, series: Series | None = None) -> Any:
    try:
        return unpack(content, series)
    except Exception as error:  # a class may raise anything here
        last = "".join(traceback.format_exception_only(type(error), error)).strip()
        raise UnpackError(get_worker().address, last) from error


class SoftwareError(Exception):
    """A worker's software differs from that of the run: its address, its software."""


class UnpackError(Exception):
    """A worker cannot unpack its data: its address, the reason."""


class _Report:
    """Counts the rows of a job, reports them periodically, and stops a cancelled job.

    Attributes: rows, that are done.
    """

    def __init__(self, ticket: Ticket) -> None:
        self.rows = 0
        self._ticket = ticket
        self._worker: Worker = get_worker()
        self._key = self._worker.get_current_task()
        self._told: float | None = None

    def __call__(self, rows: int) -> None:
        self.rows += rows
        self._stop_if_nobody_waits()
        now = time.monotonic()
        if self._told is None:
            self.tell("begun")
            self._told = now
        elif now - self._told >= self._ticket.every:
            self.tell("on")
            self._told = now

    def tell(self, state: str) -> None:
        """Send an event."""
        event: Event = {
            "job": self._ticket.number,
            "worker": self._worker.address,
            "rows": self.rows,
            "state": state,
        }
        with suppress(RuntimeError):  # the worker is about to end
            self._worker.log_event(self._ticket.run, event)

    def _stop_if_nobody_waits(self) -> None:
        """Stop if cancelled or if the worker closes: a scheduler cannot interrupt a thread."""
        task = self._worker.state.tasks.get(self._key)
        if task is None or task.state not in _RUNNING or self._worker.status.name in _ENDING:
            raise Reschedule
