"""Which faults are found, and the rate of false alarms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import Float64Array
from nbt_embed.faults import KINDS, Kind
from tools.faults.detectors import Detector
from tools.faults.machines import WITHIN, Machine, machine

PER = 5000  # rows without fault on which one false alarm is allowed


@dataclass(frozen=True, eq=False)
class Scored:
    """The highest score of a row's channels, where it matters, of all machines together.

    Attributes:
        peaks: of every kind, the highest score within ``WITHIN`` rows of each fault's first one.
        healthy: (N,) scores of the rows where an alarm is false, in the order of time; machines one
            behind the other.
        apart: (N,) whether a row does not follow the one before it: stretches of rows.
    """

    peaks: Mapping[Kind, Float64Array]
    healthy: Float64Array
    apart: NDArray[np.bool_]


@dataclass(frozen=True)
class Reached:
    """What a threshold gives.

    Attributes: threshold; found (share of the faults, by kind); false (rows in alarm, each ``PER``
    healthy rows); calls (alarms with ``WITHIN`` quiet rows before them, each ``PER`` healthy rows).
    """

    threshold: float
    found: Mapping[Kind, float]
    false: float
    calls: float

    @property
    def everything(self) -> float:
        """Share of the faults found, kinds weighing the same."""
        return sum(self.found.values()) / len(self.found)


def scored(one: Machine, scores: Float64Array) -> Scored:
    """What matters of a machine's (T, channels) scores."""
    highest = scores.max(axis=1)
    peaks: dict[Kind, Float64Array] = {
        kind: np.array(
            [
                highest[fault.row : fault.row + WITHIN].max()
                for fault in one.faults
                if fault.kind == kind
            ]
        )
        for kind in KINDS
    }
    rows = np.flatnonzero(one.healthy)
    apart: NDArray[np.bool_] = np.diff(rows, prepend=-2) > 1
    return Scored(peaks, highest[rows], apart)


def together(parts: Sequence[Scored]) -> Scored:
    """Several machines."""
    return Scored(
        {kind: np.concatenate([one.peaks[kind] for one in parts]) for kind in KINDS},
        np.concatenate([one.healthy for one in parts]),
        np.concatenate([one.apart for one in parts]),
    )


def reached(found: Scored, threshold: float) -> Reached:
    """What this threshold gives; a score is an alarm if it reaches it."""
    alarms = found.healthy >= threshold
    share = PER / max(alarms.size, 1)
    return Reached(
        threshold,
        {
            kind: float((peaks >= threshold).mean()) if peaks.size else math.nan
            for kind, peaks in found.peaks.items()
        },
        float(alarms.sum()) * share,
        _calls(alarms, found.apart) * share,
    )


def _calls(alarms: Iterable[bool], apart: Iterable[bool]) -> int:
    """Alarms with ``WITHIN`` rows without one before them, in their stretch."""
    calls, quiet = 0, WITHIN
    for alarm, first in zip(alarms, apart, strict=True):
        quiet = WITHIN if first else quiet
        if alarm:
            calls += quiet >= WITHIN
            quiet = 0
        else:
            quiet += 1
    return calls


def allowed(found: Scored) -> float:
    """The lowest threshold with at most one row in alarm on every ``PER`` healthy rows.

    It is just above the first score that is one too many: equal scores are in alarm together.
    """
    budget = found.healthy.size // PER
    if not found.healthy.size:
        return -math.inf
    excess = np.partition(found.healthy, -budget - 1)[-budget - 1]
    return float(np.nextafter(excess, math.inf))


def look(job: tuple[Detector, int, float, int]) -> Scored:
    """One machine, looked at by one detector."""
    detector, seed, missing, each = job
    one = machine(seed, missing, each)
    return scored(one, detector.scores(one.readings, seed))


def measure(
    detectors: Sequence[Detector], machines: int, missing: float, each: int, processes: int
) -> dict[str, Scored]:
    """All machines, by the detector's name."""
    jobs = [(one, seed, missing, each) for one in detectors for seed in range(machines)]
    with ProcessPoolExecutor(processes) as pool:
        parts = iter(list(pool.map(look, jobs, chunksize=4)))
    return {one.name: together([next(parts) for _ in range(machines)]) for one in detectors}
