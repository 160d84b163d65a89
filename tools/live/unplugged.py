"""A serial device on a pseudo-terminal that is repeatedly unplugged."""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
import tty
from pathlib import Path

from nbt_embed import Config, Learner
from nbt_embed.live.clock import Clock
from nbt_embed.live.sources import open_source

ROWS = 5000
UNPLUGGED = 10
_AGAIN = 30  # rows that the device repeats after its return
_AWAY = 0.3  # seconds


def measure(_: argparse.Namespace) -> tuple[list[str], bool]:
    """Measure rows learnt, twice or never, and the delay of the first row after a return."""
    with tempfile.TemporaryDirectory(prefix="nbt-live-") as name:
        device = _Device(Path(name) / "tty")
        thread = threading.Thread(target=device.run, daemon=True)
        thread.start()
        learner, clock = Learner(Config(1, 1, 8, hold_missing=True)), Clock()
        learnt: list[int] = []
        with open_source(f"serial://{device.path}") as source:
            last = time.monotonic()
            for some in source.arrivals(0.05):
                for block in clock.blocks([some]):
                    learner.run(block.inputs, block.targets, horizon=1)
                    learnt += block.inputs[:, 0].astype(int).tolist()
                if len(some):
                    last = time.monotonic()
                elif not thread.is_alive() and time.monotonic() - last > 1:
                    break
            counts = source.health.counts
    twice = len(learnt) - len(set(learnt))
    missed = ROWS - len(set(learnt))
    kept = not twice and not missed and counts["times unplugged"] == UNPLUGGED
    return [
        f"serial, {ROWS:,} rows, unplugged {counts['times unplugged']} times within a line, the "
        f"last {_AGAIN} rows sent again: {len(set(learnt)):,} learnt, {twice} learnt twice, "
        f"{missed} lost; {clock.counts['twice']} duplicates dropped"
    ], kept


class _Device:
    """Sends numbered rows, and stops within one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._plug()

    def _plug(self) -> None:
        self._end, other = os.openpty()
        tty.setraw(other)
        self.path.symlink_to(os.ttyname(other))
        self._other = other

    def _unplug(self) -> None:
        self.path.unlink()
        os.close(self._end)
        os.close(self._other)

    def run(self) -> None:
        """Send all rows."""
        time.sleep(0.3)
        os.write(self._end, b"t_ms,a\r\n")
        every, first = ROWS // UNPLUGGED, 0
        for begin in range(0, ROWS, every):
            for row in range(first, begin + every):
                os.write(self._end, f"{10 * row},{row}\r\n".encode())
                if row % 20 == 0:
                    time.sleep(0.002)
            time.sleep(0.1)  # transmission time of a line
            os.write(self._end, f"{10 * (begin + every)},{begin}".encode())
            time.sleep(0.1)
            self._unplug()
            time.sleep(_AWAY)
            self._plug()
            time.sleep(0.3)
            os.write(self._end, b"0\r\nt_ms,a\r\n")
            first = begin + every - _AGAIN
