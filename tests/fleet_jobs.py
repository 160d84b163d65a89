"""Jobs and streams for tests of clusters: they count, and meet with the mishaps they are told."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nbt_embed.arrays import Float32Array


@dataclass(frozen=True)
class Folder:
    """Where jobs leave how far they have come. Attribute: directory."""

    directory: str

    def path(self, number: int) -> Path:
        return Path(self.directory, f"job-{number}")

    def rows(self, number: int) -> int:
        path = self.path(number)
        return int(path.read_text()) if path.exists() else 0


@dataclass(frozen=True)
class CountingJob:
    """A job that counts its rows up to ``rows``, one each ``seconds``.

    Attributes: mishap, what happens at row ``at``, or at every one if that is -1: "kill", "kill
    once" (a row; needs a store), "raise" (an ``error``).
    """

    number: int
    rows: int = 20
    seconds: float = 0.0
    store: Folder | None = None
    mishap: str = ""
    at: int = 0
    error: type[Exception] = KeyError
    series: Any = None

    @property
    def devices(self) -> range:
        return range(10 * self.number, 10 * self.number + 10)

    def run(self, advance: Any) -> dict[str, Any]:
        row = self.store.rows(self.number) if self.store else 0
        advance(row)
        try:
            while row < self.rows:
                if self.at in (row, -1):
                    self._meet(row)
                time.sleep(self.seconds)
                row += 1
                advance(1)
        finally:
            self._keep(row)
        size = None if self.series is None else len(self.series)
        return {"number": self.number, "series": size}

    def _meet(self, row: int) -> None:
        if self.mishap == "raise":
            raise self.error("quark")
        once = self.mishap == "kill once" and self.store and self.store.rows(self.number) < row
        if once:
            self._keep(row)
        if self.mishap == "kill" or once:
            os.kill(os.getpid(), signal.SIGKILL)

    def _keep(self, row: int) -> None:
        if self.store is not None:
            self.store.path(self.number).write_text(str(row))


@dataclass(frozen=True)
class Deadly:
    """Waves, the first reading of each of some devices of which kills the process that reads.

    Attributes: folder, where it is noted that a device has killed; devices; rows of each device.
    """

    folder: Path
    devices: tuple[int, ...] = ()
    rows: int = 2000

    def __call__(self, device: int) -> Float32Array:
        note = self.folder / f"killed-{device}"
        if device in self.devices and not note.exists():
            note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return np.sin(np.arange(self.rows, dtype=np.float32) / (5 + device))[:, np.newaxis]
