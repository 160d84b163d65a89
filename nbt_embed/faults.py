"""Simulated sensor faults in readings without faults, to test detectors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from nbt_embed.arrays import Float64Array, float64, one_row
from nbt_embed.errors import ConfigError, InputError, shown

Kind = Literal["spike", "stuck", "drift", "burst", "swap"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Fault:
    """One fault of one channel. Sizes are in standard deviations of the channel's noise.

    | kind | what happens from ``row`` on |
    |---|---|
    | spike | readings are off by ``size`` |
    | stuck | the channel repeats the reading before |
    | drift | an offset grows by ``size`` per row |
    | burst | the noise is ``size`` times as large |
    | swap | the channel and ``other`` are exchanged |

    Attributes:
        kind: one of ``KINDS``.
        row: the first row that is wrong, from 1.
        channel: of the readings, from 0.
        rows: number of wrong rows, at least 1; a swap is permanent and counts as one row.
        size: as above; from 1 for a burst. Stuck channels and swaps have none.
        other: the other channel of a swap.

    Errors: ConfigError.
    """

    kind: Kind
    row: int
    channel: int
    rows: int = 1
    size: float = 0.0
    other: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            expected = ", ".join(repr(one) for one in KINDS)
            raise ConfigError(f"kind = {shown(self.kind)}: expected one of {expected}")
        for name, low in (("row", 1), ("channel", 0), ("rows", 1), ("other", 0)):
            if getattr(self, name) < low:
                raise ConfigError(f"{name} = {getattr(self, name)}: expected at least {low}")
        if not math.isfinite(self.size) or (self.kind == "burst" and self.size < 1):
            expected = "a number from 1" if self.kind == "burst" else "a finite number"
            raise ConfigError(f"size = {self.size}: expected {expected}")
        if self.kind == "swap" and self.channel == self.other:
            raise ConfigError(f"other = {self.other}: expected another channel than the first one")

    @property
    def end(self) -> int:
        """The first row after it."""
        return self.row + (1 if self.kind == "swap" else self.rows)


def with_faults(
    readings: ArrayLike, faults: Iterable[Fault], deviations: ArrayLike, seed: int = 0
) -> Float64Array:
    """The same readings with faults, in the order of their rows.

    Missing readings stay missing. After a swap each channel has the readings of the other.

    Examples:
        >>> with_faults([[0.0], [1.0], [2.0], [3.0]], [Fault("stuck", 1, 0, rows=2)], [1.0])[:, 0]
        array([0., 0., 0., 3.])

    Args:
        readings: (T, channels), NaN or masked where missing; a copy is returned.
        faults: within the readings.
        deviations: (channels,) of the noise, above 0.
        seed: of the noise in bursts, from 0.

    Errors: InputError. Cost: O(T channels) per swap, else O(rows of the fault).
    """
    found = float64("readings", readings).copy()
    if found.ndim != 2:
        raise InputError(f"readings has shape {found.shape}: expected (T, channels)")
    noise = one_row("deviations", float64("deviations", deviations), found.shape[1]).copy()
    if not (np.isfinite(noise) & (noise > 0)).all():
        raise InputError(f"deviations = {noise.tolist()}: expected finite numbers above 0")
    rng = np.random.default_rng(seed)
    for fault in sorted(faults, key=lambda one: one.row):
        if fault.end > len(found) or max(fault.channel, fault.other) >= found.shape[1]:
            raise InputError(
                f"{fault} is not within the readings {found.shape}: expected rows up to "
                f"{len(found)} and channels below {found.shape[1]}"
            )
        if fault.kind == "swap":
            pair = [fault.channel, fault.other]
            found[fault.row :, pair] = found[fault.row :, pair[::-1]]
            noise[pair] = noise[pair[::-1]]
        else:
            rows = slice(fault.row, fault.end)
            found[rows, fault.channel] = _wrong(found[:, fault.channel], fault, noise, rng)
    return found


def _wrong(
    channel: Float64Array, fault: Fault, noise: Float64Array, rng: np.random.Generator
) -> Float64Array:
    """Readings of the channel during the fault."""
    right: Float64Array = channel[fault.row : fault.end]
    unit = float(noise[fault.channel])
    if fault.kind == "spike":
        return right + fault.size * unit
    if fault.kind == "drift":
        return right + fault.size * unit * np.arange(1, fault.rows + 1)
    if fault.kind == "burst":
        extra = math.sqrt(fault.size**2 - 1)
        return right + extra * unit * rng.standard_normal(fault.rows)
    before = channel[: fault.row]
    known = before[~np.isnan(before)]
    return np.where(np.isnan(right), np.nan, known[-1] if known.size else np.nan)


def drawn_faults(
    each: int, channels: int, first: int, every: int, seed: int = 0
) -> tuple[Fault, ...]:
    """Faults of all kinds at random places, channels and signs, in random order.

    The sizes:

    | kind | size |
    |---|---|
    | spike | one reading, off by 6 to 12 deviations of the noise |
    | stuck | 50 to 150 rows |
    | drift | 0.8 deviations per row for 40 rows: 8 after ten rows, 16 after twenty |
    | burst | five times the noise for 15 rows |
    | swap | any two channels |

    Args:
        each: faults of every kind, at least 1.
        channels: at least 2.
        first: row of the first stretch, from 1.
        every: rows of a stretch, at least 200; a fault begins in the first half of each.
        seed: from 0; the same seed draws the same faults.

    Errors: ConfigError.
    """
    lowest = {"each": 1, "channels": 2, "first": 1, "every": 200, "seed": 0}
    given = (each, channels, first, every, seed)
    for (name, low), value in zip(lowest.items(), given, strict=True):
        if value < low:
            raise ConfigError(f"{name} = {value}: expected at least {low}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.repeat(np.arange(len(KINDS)), each))
    return tuple(
        _drawn(KINDS[kind], first + place * every + int(rng.integers(every // 2)), channels, rng)
        for place, kind in enumerate(order)
    )


def _drawn(kind: Kind, row: int, channels: int, rng: np.random.Generator) -> Fault:
    channel, other = (int(one) for one in rng.choice(channels, 2, replace=False))
    sign = float(rng.choice([-1.0, 1.0]))
    if kind == "spike":
        return Fault(kind, row, channel, size=sign * float(rng.uniform(6, 12)))
    if kind == "stuck":
        return Fault(kind, row, channel, rows=int(rng.integers(50, 151)))
    if kind == "drift":
        return Fault(kind, row, channel, rows=40, size=0.8 * sign)
    if kind == "burst":
        return Fault(kind, row, channel, rows=15, size=5.0)
    return Fault(kind, row, channel, other=other)
