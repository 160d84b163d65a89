"""A job: some devices that one worker carries through all their time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nbt_embed.config import Config
from nbt_embed.errors import NbtError
from nbt_embed.fleet.batch import changed
from nbt_embed.fleet.columns import Columns, joined
from nbt_embed.fleet.devices import BLOCK_ROWS, Devices
from nbt_embed.fleet.series import Series, cut

if TYPE_CHECKING:
    from nbt_embed.fleet.store import Store


@dataclass(frozen=True)
class Setting:
    """One way to set up every device.

    Attributes:
        name: what results call it.
        configs: one Config, of which device i has the seed ``config.seed + i`` (modulo 2^64), or
            one for each device, taken as they are.
        first: device of the first of several configs.
    """

    name: str
    configs: Config | tuple[Config, ...]
    first: int = 0

    def config(self, device: int, horizon: int) -> Config:
        """Of a device's learner; max_delay is at least what the horizon needs."""
        if isinstance(self.configs, Config):
            config, seed = self.configs, (self.configs.seed + device) % 2**64
        else:
            config = self.configs[device - self.first]
            seed = config.seed
        return changed(config, seed=seed, max_delay=max(config.max_delay, horizon - 1))

    def only(self, devices: range) -> Setting:
        """The same for these devices alone."""
        if isinstance(self.configs, Config):
            return self
        part = self.configs[devices.start - self.first : devices.stop - self.first]
        return Setting(self.name, part, devices.start)


@dataclass(frozen=True)
class Job:
    """Devices, what they are to learn, and where the results go; picklable.

    The devices are fed one after the other, each through all its time, so that one device's
    learners are in memory at once. With a store, what has been done is written there every
    ``checkpoint_seconds``, and where the job is interrupted. Run again, after whatever happened,
    anywhere that sees the folder, it goes on from there and ends with the same bytes. Two
    processes that run the same job at once do the work twice and no harm.

    Attributes:
        number: of the job and of its part of the results.
        devices: their numbers, one range.
        settings, horizons: every device has a learner for each pair.
        series: where its samples come from, of these devices at least.
        store: the run directory, or None: results are returned only, a lost job begins again.
        rows: rows of its devices together, as far as that is known; for the order of jobs and for
            progress alone.
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
        """The results of the devices, one row a device, setting and horizon.

        Args:
            advance: called with the rows of devices that were fed since the last call (also those
                that an earlier run had fed), between any two learners with 0; what it raises
                ends the job after a checkpoint.

        Errors: OSError (the store), CheckpointError, what the series raises that is no NbtError.
        Where learners diverge they warn with DivergenceWarning: callers that want none filter it,
        once for all threads.
        Cost: that of ``Learner.run``, and of one read of the samples.
        """
        done = self.store.part(self) if self.store else None
        if done is not None:
            advance(self.rows)
            return done
        work = _Work(self)
        try:
            columns = work.finish(advance)
        except BaseException:
            work.save()
            raise
        if self.store:
            self.store.write_part(self, columns)
        return columns


class _Work:
    """What a job has done so far."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._begin()
        kept = job.store.checkpoint(job) if job.store else None
        if kept is not None:
            self._resume(kept)

    def _begin(self) -> None:
        self._finished: list[Columns] = []  # of the devices before the current one
        self._fed = 0  # rows of these
        self._device = self._job.devices.start  # the current one
        self._current: Devices | None = None
        self._whole = True  # whether the current device's learners are all at the same row
        self._rows = BLOCK_ROWS  # fed at once
        self._saved = time.monotonic()

    def _resume(self, kept: Checkpoint) -> None:
        self._finished, self._fed = [kept.finished], kept.fed
        self._device += kept.devices
        if kept.current:
            self._current = Devices.from_bytes(kept.current)

    def finish(self, advance: Callable[[int], None]) -> Columns:
        """Carry every device through all its time."""
        advance(self._fed + (self._current.row if self._current else 0))
        while self._device < self._job.devices.stop:
            self._carry(advance)
        return joined(self._finished)

    def _carry(self, advance: Callable[[int], None]) -> None:
        job, device = self._job, self._device
        try:
            if self._current is None:
                self._current = self._learners(device)
            current = self._current
            for inputs, labels in cut(job.series.pieces(device, current.row), BLOCK_ROWS):
                begin = 0
                while begin < len(inputs) and not current.all_refused:
                    piece = slice(begin, begin + self._rows)
                    self._feed(inputs[piece], labels[piece])
                    begin += self._rows
                    advance(len(inputs[piece]))
                    self._save_at_times()
        except NbtError as error:
            current = self._learners(device, refused=str(error))
        columns = current.columns(job.settings, job.horizons, job.series)
        self._finished.append(columns)
        self._fed += current.row
        self._device, self._current = device + 1, None
        self._save_at_times()
