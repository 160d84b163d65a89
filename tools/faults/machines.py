"""Simulated machines whose sensors fail now and then."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import Float64Array
from nbt_embed.faults import KINDS, Fault, drawn_faults, with_faults
from nbt_embed.simulation import SWING, simulated_sensor

WARM_UP = 1000  # rows without faults that are not looked at
STRETCH = 1000  # rows with one fault
EACH = 2  # faults of every kind in a machine
NOISE = 0.05  # of the usual swing of a channel (docs/evidence/uncertainty.md says why)
WITHIN = 20  # rows within which a fault has to be found, its first one counted
AFTER = 100  # rows after a fault that are neither right nor wrong


@dataclass(frozen=True, eq=False)
class Machine:
    """Readings and their faults.

    Attributes: readings (T, 3), NaN where one is lost; faults, in order.
    """

    readings: Float64Array = field(repr=False)
    faults: tuple[Fault, ...]

    @cached_property
    def healthy(self) -> NDArray[np.bool_]:
        """(T,) rows where an alarm is false."""
        rows = np.arange(len(self.readings)) >= WARM_UP
        for fault in self.faults:
            rows[fault.row : fault.end + AFTER] = False
        return rows


def machine(seed: int, missing: float, each: int = EACH) -> Machine:
    """One machine that stays as it is, with faults of every kind.

    ``simulated_sensor`` changes half way, so its first half is taken. A fault begins where every
    channel has a reading.
    """
    rows = WARM_UP + STRETCH * each * len(KINDS)
    stream = simulated_sensor(2 * rows, seed=seed, missing=missing, noise=NOISE)
    clean = stream.inputs[:rows].astype(np.float64)
    deviations = NOISE * np.array(SWING)
    faults = drawn_faults(each, clean.shape[1], WARM_UP, STRETCH, seed)
    lost: NDArray[np.bool_] = np.asarray(np.isnan(clean).any(axis=1))
    moved = tuple(_where_there_is_a_reading(one, lost) for one in faults)
    return Machine(with_faults(clean, moved, deviations, seed), moved)


def _where_there_is_a_reading(fault: Fault, lost: NDArray[np.bool_]) -> Fault:
    row = fault.row + int(np.argmin(lost[fault.row :]))
    return Fault(fault.kind, row, fault.channel, fault.rows, fault.size, fault.other)
