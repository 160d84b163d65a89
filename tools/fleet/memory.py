"""Memory of a fleet, measured in a separate process that prints it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbt_embed import memory_of
from nbt_embed.arrays import Float32Array
from nbt_embed.fleet import simulate
from tools.fleet.waves import CONFIG, wave

BLOCK_ROWS = 1000


@dataclass(frozen=True)
class Taken:
    """Bytes: of the learners by NBT_BYTES, of the chunks' arrays, and the growth of the process."""

    learners: int
    chunks: int
    grown: int

    @property
    def ratio(self) -> float:
        """Growth without the chunks' arrays, divided by the learners' bytes."""
        return (self.grown - self.chunks) / self.learners

    def __str__(self) -> str:
        parts = [f"{one / 1e6:.1f} MB" for one in (self.grown, self.chunks, self.learners)]
        return f"{parts[0]} = {parts[1]} of samples + {self.ratio:.3f} x {parts[2]} of learners"


def measured(how: str, devices: int, rows: int, workers: int) -> Taken:
    """Measure all learners at once ("resident"), or jobs ("jobs")."""
    command = [sys.executable, "-m", "tools.fleet.memory", how, *map(str, (devices, rows, workers))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Taken(**json.loads(done.stdout))


def _resident() -> int:
    """Return the resident bytes of this process, without pages of mapped files."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return sum([int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")])


class _Peak(threading.Thread):
    """Samples the memory every 20 ms until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._done = threading.Event()
        self.most = 0

    def run(self) -> None:
        while not self._done.wait(0.02):
            self.most = max(self.most, _resident())

    def stop(self) -> int:
        self._done.set()
        self.join()
        return self.most


def _blocks(devices: int, rows: int) -> Iterator[Float32Array]:
    """Yield blocks of time in one array, since the fleet requests one after the other."""
    block = np.empty((devices, BLOCK_ROWS), np.float32)
    for start in range(0, rows, BLOCK_ROWS):
        steps = min(BLOCK_ROWS, rows - start)
        for device in range(devices):
            block[device, :steps] = wave(device, steps, start)
        yield block[:, :steps]


def main(how: str, devices: int, rows: int, workers: int) -> None:
    """Print the memory of a run as JSON."""
    simulate(CONFIG, np.ones((workers, 2 * BLOCK_ROWS)), jobs=workers)  # needed by every run
    before, peak = _resident(), _Peak()
    peak.start()
    if how == "resident":
        simulate(CONFIG, _blocks(devices, rows), jobs=workers)
        chunks = devices * min(BLOCK_ROWS, rows) * 4
    else:
        simulate(CONFIG, lambda device: wave(device, rows), devices=devices, jobs=workers)
        chunks = workers * rows * 4
    learners = (devices if how == "resident" else workers) * memory_of(CONFIG).total
    print(json.dumps({"learners": learners, "chunks": chunks, "grown": peak.stop() - before}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
