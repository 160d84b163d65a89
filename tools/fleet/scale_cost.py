"""Cost of a device: processor time per sample, and bytes of memory and of files."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nbt_embed import Config, Learner
from nbt_embed.fleet import Batch, simulate
from tools.fleet.waves import wave

ROUNDS = 2  # the fastest counts, since other load only adds time


@dataclass(frozen=True)
class Cost:
    """Cost of one size of the network.

    Attributes: hidden, units; seconds, of processor time per sample of one device; alone, the same
    for ``Learner.run``; resident, bytes per device with all learners in memory; checkpoint, of one
    learner in a file, in bytes.
    """

    hidden: int
    seconds: float
    alone: float
    resident: float
    checkpoint: int


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds of this process, the smallest of some rounds."""
    found = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def cost(hidden: int, devices: int, rows: int) -> Cost:
    """Measure one size with devices of ``rows`` rows each, one job after the other."""
    config = Config(1, 1, hidden=hidden)
    waves = np.stack([wave(device, rows) for device in range(devices)])

    def one_by_one() -> None:
        for device, z in enumerate(waves):
            Learner(replace(config, seed=device)).run(z, z, horizon=1)

    fleet = processor_seconds(lambda: simulate(config, waves, jobs=1))
    alone = processor_seconds(one_by_one)
    batch = Batch([replace(config, seed=seed) for seed in range(1000)])
    learner = Learner(config)
    learner.run(waves[0], waves[0], horizon=1)
    samples = devices * rows
    return Cost(
        hidden, fleet / samples, alone / samples, batch.nbytes / 1000, len(learner.to_bytes())
    )


def growth(devices: int, rows: int) -> float:
    """Measure seconds of processor time of a fleet of 8 units."""
    config = Config(1, 1, hidden=8)
    return processor_seconds(
        lambda: simulate(config, lambda device: wave(device, rows), devices=devices, jobs=1)
    )


def fitted(points: dict[tuple[int, int], float]) -> tuple[float, float]:
    """Fit seconds per device and per sample by relative least squares."""
    seconds = np.array(list(points.values()))
    terms = np.array([(n, n * rows) for n, rows in points], np.float64)
    a, b = np.linalg.lstsq(terms / seconds[:, np.newaxis], np.ones(len(seconds)), rcond=None)[0]
    return float(a), float(b)


def result_bytes(devices: int) -> float:
    """Return the bytes of a device in the run directory, with its share of each file."""
    folder = Path(tempfile.mkdtemp())
    try:
        simulate(
            Config(1, 1, hidden=2), lambda device: wave(device, 100), devices=devices, out=folder
        )
        return sum(path.stat().st_size for path in folder.rglob("*.parquet")) / devices
    finally:
        shutil.rmtree(folder)
