"""A job: a range of devices that one worker feeds from the first to the last row."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from nbt_embed.arrays import Float32Array
from nbt_embed.errors import CheckpointError, NbtError
from nbt_embed.fleet.checkpoint import Checkpoint
from nbt_embed.fleet.columns import Columns, joined, readable
from nbt_embed.fleet.devices import Devices
from nbt_embed.fleet.scores import BLOCK_ROWS
from nbt_embed.fleet.series import Series, checked, cut
from nbt_embed.fleet.settings import Configs, Setting
from nbt_embed.fleet.store import Store

_LONG = 0.25  # seconds per piece, about
_TOGETHER = 256  # devices whose results are joined at once: unjoined, their arrays take 3 kB each


@dataclass(frozen=True)
class Job:
    """Devices, their settings, and a place for the results; picklable.

    The devices are fed one after the other, so that only one device's learners are in memory. With
    a store, the job writes a checkpoint every ``checkpoint_seconds``, and when it is interrupted. A
    job that is run again, on any machine that sees the folder, resumes there and ends with the same
    bytes. Two processes may run the same job at once: they only duplicate the work.

    Attributes:
        number: of the job and of its part of the results.
        devices: their numbers, one range.
        settings, horizons: every device has a learner for each pair.
        series: the samples, at least of these devices.
        store: the run directory, or None: results are only returned, and a lost job starts again.
        rows: total rows of its devices, as far as known; used only for the order of jobs and for
            progress.
    """

    number: int
    devices: range
    settings: tuple[Setting, ...]
    horizons: tuple[int, ...]
    series: Series
    store: Store | None = None
    rows: int = 0
    checkpoint_seconds: float = 10.0

    def run(self, advance: Callable[[int], None]) -> Columns:
        """Return the results of the devices, one row per device, setting and horizon.

        Args:
            advance: called after every piece with the number of rows of devices since the last
                call, including rows that an earlier run had fed; an exception from it ends the job
                after a checkpoint.

        Errors: OSError (the store), CheckpointError, any error of the series other than NbtError.
        Diverging learners warn with DivergenceWarning: callers that do not want this filter it,
        once for all threads.
        Cost: that of ``Learner.run``, and one read of the samples.
        """
        done = self.store.part(self.number) if self.store else None
        if done is not None:
            learners = len(self.settings) * len(self.horizons)  # per device
            advance(self.rows or int(done["rows"][::learners].sum()))
            return done
        work = _Work(self)
        try:
            columns = work.finish(advance)
        except BaseException:
            with suppress(OSError):  # the first error has the cause
                work.save()
            raise
        if self.store:
            self.store.write_part(self.number, columns)
        return columns


class _Work:
    """The progress of a job: finished devices, and the current one."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._finished: list[Columns] = []
        self._fed = 0  # rows of these
        self._device = job.devices.start  # the current one
        self._learners: Devices | None = None
        self._torn = False  # within an update, since an interrupt may come at any time
        self._rows = BLOCK_ROWS  # per call
        self._saved = time.monotonic()
        kept = job.store.checkpoint(job.number) if job.store else None
        if kept is not None:
            self._finished = [kept.finished] if kept.finished else []
            self._fed = kept.fed
            self._device += kept.devices
            self._learners = kept.learners

    def finish(self, advance: Callable[[int], None]) -> Columns:
        """Feed every device all its rows."""
        advance(self._fed + (self._learners.rows(0) if self._learners else 0))
        while self._device < self._job.devices.stop:
            self._carry(advance)
        return joined(self._finished)

    def save(self) -> None:
        """Write a checkpoint, if there is a store.

        If a learner cannot be saved (a number is not finite), its device starts again after
        resuming.
        Errors: OSError.
        """
        store = self._job.store
        if store is None or self._torn:
            return
        kept = Checkpoint(
            joined(self._finished) if self._finished else None,
            self._device - self._job.devices.start,
            self._fed,
            self._learners,
        )
        try:
            store.write_checkpoint(self._job.number, kept)
        except CheckpointError:
            store.write_checkpoint(self._job.number, replace(kept, learners=None))
        self._saved = time.monotonic()

    def _carry(self, advance: Callable[[int], None]) -> None:
        job, device = self._job, self._device
        if self._learners is None:
            self._learners = self._made(device)
        learners, begun = self._learners, self._learners.rows(0)
        try:
            if not begun:
                learners.find_anchors(0, *job.series.head(device))
            pieces = cut(checked(job.series, job.series.pieces(device, begun)), BLOCK_ROWS)
            while not learners.refused(0) and (piece := next(pieces, None)):
                self._feed(learners, *piece, advance)
        except NbtError as error:
            learners = self._made(device)
            learners.refuse(0, str(error))
        self._torn = True
        names = [setting.name for setting in job.settings]
        self._finished.append(learners.columns(device, [readable(job.series.name(device))], names))
        if len(self._finished) >= _TOGETHER:
            self._finished = [joined(self._finished)]
        self._fed += learners.rows(0)
        self._device, self._learners = device + 1, None
        self._torn = False
        self._save_at_times()

    def _made(self, device: int) -> Devices:
        job = self._job
        configs = Configs(job.settings, job.horizons, range(device, device + 1))
        return Devices(configs, len(job.settings), job.horizons, job.series.n_out)

    def _feed(
        self,
        learners: Devices,
        inputs: Float32Array,
        labels: Float32Array,
        advance: Callable[[int], None],
    ) -> None:
        """Feed a piece, in smaller pieces if steps are slow: a stop waits for the current one."""
        begin = 0
        while begin < len(inputs):
            rows = slice(begin, begin + self._rows)
            began, self._torn = time.monotonic(), True
            learners.feed(0, inputs[rows], labels[rows])
            self._torn = False
            advance(len(inputs[rows]))
            begin += self._rows
            if time.monotonic() - began > _LONG and self._rows > 1:
                self._rows //= 2
            self._save_at_times()

    def _save_at_times(self) -> None:
        if time.monotonic() - self._saved >= self._job.checkpoint_seconds:
            self.save()
