"""Differences between the devices of a fleet: gain, offset, noise, faults and clock of a sensor.

A perturbed series wraps another one. Row t of a device with the drawn values below is

    x(t)        = clean at row start + (1 + clock_skew 1e-6) t, linear between two rows
    reading(t)  = gain x(t) + offset + noise n(t),   n white and normal with standard deviation 1
    in a stuck spell the last reading before it is repeated; in a dropout the reading is NaN

Every drawn value is a function of (seed, device, kind, channel), and every random sample also of
the row. So the bits do not depend on the pieces in which rows are read, on the order of devices, or
on other kinds of perturbation. The generators are NumPy's (PCG64 and SeedSequence).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import Float32Array, Float64Array
from nbt_embed.errors import ConfigError, shown, similar
from nbt_embed.fleet.series import Piece, Series

Kind = Literal["gain", "offset", "noise", "dropouts", "stuck", "clock_skew", "start"]
Shape = Literal["fixed", "uniform", "log_uniform", "normal", "lognormal", "choice"]
Targets = Literal["perturbed", "clean", "classes"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SHAPES: tuple[Shape, ...] = get_args(Shape)

# Smallest and largest value of each kind.
_LARGE = 1e12
RANGES: dict[Kind, tuple[float, float]] = {
    "gain": (-_LARGE, _LARGE),
    "offset": (-_LARGE, _LARGE),
    "noise": (0.0, _LARGE),
    "dropouts": (0.0, 1.0),
    "stuck": (0.0, 1.0),
    "clock_skew": (-500_000.0, 1_000_000.0),
    "start": (0.0, float(1 << 40)),
}
OF_DEVICE: tuple[Kind, ...] = ("clock_skew", "start")
"""Kinds with one value per device instead of one per channel."""
OF_SPELLS: tuple[Kind, ...] = ("dropouts", "stuck")
"""Kinds that occur in spells, with a share of the rows and a mean length."""

_TAIL = 4.0  # standard deviations at which normal draws are cut off
_BLOCK = 4096  # rows of noise per generator
_SPELLS = 256  # spells that are drawn at once
_LONGEST = 1 << 40  # rows of a spell, or between two
_RAREST = 1 / _LONGEST  # NumPy's geometric numbers overflow for much rarer events
_UNIT_ROWS = 1000  # rows whose standard deviation is the unit "sd"


@dataclass(frozen=True)
class Distribution:
    """The distribution from which a device's value is drawn.

    Attributes:
        shape: "fixed" (v); "uniform" (low, high); "log_uniform" (low, high), both above 0; "normal"
            (mean, standard deviation); "lognormal" (median, standard deviation of the logarithm);
            "choice" (two or more equally likely values). Normal draws are cut off at 4 standard
            deviations.
        values: its numbers.
    """

    shape: Shape
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        values = self.values
        if self.shape not in SHAPES:
            raise ConfigError(
                f"shape = {shown(self.shape)}: {similar(self.shape, SHAPES)}expected one of "
                f"{', '.join(SHAPES)}"
            )
        if not all(math.isfinite(value) for value in values):
            raise ConfigError(f"{self.shape} = {shown(list(values))}: expected finite numbers")
        wanted, good = _WANTED[self.shape]
        if not good(values):
            raise ConfigError(f"{self.shape} = {shown(list(values))}: expected {wanted}")

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value that can be drawn."""
        values = self.values
        if self.shape == "normal":
            return values[0] - _TAIL * values[1], values[0] + _TAIL * values[1]
        if self.shape == "lognormal":
            factor = math.exp(_TAIL * values[1])
            return values[0] / factor, values[0] * factor
        return min(values), max(values)

    def draw(self, rng: np.random.Generator, count: int) -> Float64Array:
        """Draw the given number of values."""
        values = self.values
        if self.shape == "fixed":
            return np.full(count, values[0])
        if self.shape == "choice":
            return np.array(values)[rng.integers(len(values), size=count)]
        if self.shape in ("uniform", "log_uniform"):
            share = rng.random(count)
            if self.shape == "uniform":
                return values[0] + share * (values[1] - values[0])
            return values[0] * np.power(values[1] / values[0], share)
        z = np.clip(rng.standard_normal(count), -_TAIL, _TAIL)
        return (
            values[0] + values[1] * z
            if self.shape == "normal"
            else values[0] * np.exp(values[1] * z)
        )


_WANTED: dict[Shape, tuple[str, Any]] = {
    "fixed": ("one number", lambda v: len(v) == 1),
    "uniform": ("[low, high]", lambda v: len(v) == 2 and v[0] <= v[1]),
    "log_uniform": ("[low, high], both above 0", lambda v: len(v) == 2 and 0 < v[0] <= v[1]),
    "normal": ("[mean, standard deviation]", lambda v: len(v) == 2 and v[1] >= 0),
    "lognormal": (
        "[median, standard deviation of the logarithm], the median above 0, the other from 0 to 10",
        lambda v: len(v) == 2 and v[0] > 0 and 0 <= v[1] <= 10,
    ),
    "choice": ("two numbers or more", lambda v: len(v) >= 2),
}


@dataclass(frozen=True)
class Perturbation:
    """One kind of difference between devices.

    Attributes:
        kind: "gain" (factor), "offset" (added), "noise" (standard deviation of white noise),
            "dropouts" and "stuck" (share of the rows, 0..1), "clock_skew" (parts per million; above
            0 the device samples too late), "start" (clean rows before the first one).
        value: distribution of each device's value.
        channels: names; None: all inputs and targets. None for clock_skew and start.
        together: whether all these channels share one value and the same spells; else each draws
            its own.
        length: mean rows of a spell (dropouts, stuck), from 1; lengths are geometric.
        unit: of offset and noise: "channel", that of the channel; "sd", standard deviations of the
            clean channel over the device's first 1,000 rows (0 if it is constant).
    """

    kind: Kind
    value: Distribution
    channels: tuple[str, ...] | None = None
    together: bool = False
    length: float = 10.0
    unit: Literal["channel", "sd"] = "channel"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(
                f"kind = {shown(self.kind)}: {similar(self.kind, KINDS)}expected one of "
                f"{', '.join(KINDS)}"
            )
        (low, high), (least, most) = RANGES[self.kind], self.value.bounds
        if not low <= least <= most <= high:
            raise ConfigError(
                f"{self.kind}: {self.value.shape} = {shown(list(self.value.values))} draws from "
                f"{least:g} to {most:g}: expected values from {low:g} to {high:g}"
            )
        if self.channels is not None and (self.kind in OF_DEVICE or not self.channels):
            why = "is the same for all channels" if self.channels else "names no channel"
            raise ConfigError(
                f"{self.kind}: channels = {shown(list(self.channels))}: {why}; leave channels out"
            )
        if not 1 <= self.length <= _LONGEST:
            raise ConfigError(
                f"{self.kind}: length = {shown(self.length)}: expected mean rows of a spell, from 1"
            )
        if self.unit not in ("channel", "sd"):
            raise ConfigError(f"{self.kind}: unit = {shown(self.unit)}: expected 'channel' or 'sd'")
        if self.unit == "sd" and self.kind not in ("offset", "noise"):
            raise ConfigError(f"{self.kind}: unit = 'sd': only offset and noise have a unit")


class Perturbed(Series):
    """A series whose devices are perturbed, each with its own drawn values.

    Args:
        series: the clean one.
        perturbations: each kind names a channel at most once.
        seed: of all random draws, from 0.
        rows: most rows of a device; None: those of the clean series.
        targets: "perturbed", as the device reads them, so a target that is also an input has the
            same reading; "clean", without gain, offset, noise and faults; "classes", clean and not
            interpolated: the class number of the previous clean row.

    Attributes:
        channels: names of the perturbed channels: inputs, and perturbed targets that are not
            inputs.

    Errors: ConfigError (a channel that does not exist, or twice in a kind; seed, rows).
    Cost: about 0.1 µs per row and channel, plus the clean series; memory of some blocks.
    """

    def __init__(
        self,
        series: Series,
        perturbations: Sequence[Perturbation],
        seed: int = 0,
        rows: int | None = None,
        targets: Targets = "perturbed",
    ) -> None:
        if seed < 0:
            raise ConfigError(f"seed = {shown(seed)}: expected an integer from 0")
        if rows is not None and rows < 1:
            raise ConfigError(f"rows = {shown(rows)}: expected rows of a device, from 1")
        self.series, self.perturbations = series, tuple(perturbations)
        self.seed, self.rows, self.targets = seed, rows, targets
        self.devices = series.devices
        self.input_names, self.target_names = series.input_names, series.target_names
        self.channels = self.input_names
        if targets == "perturbed":
            more = [name for name in self.target_names if name not in self.input_names]
            self.channels = (*self.input_names, *more)
        for kind in KINDS:
            self._check_channels(kind)

    def _check_channels(self, kind: Kind) -> None:
        taken: set[str] = set()
        for one in self._of(kind):
            for name in one.channels or self.channels:
                if name not in self.channels:
                    raise ConfigError(
                        f"{kind}: channels = {shown(name)}: {similar(name, self.channels)}there "
                        f"are {', '.join(self.channels)}"
                    )
                if name in taken:
                    raise ConfigError(
                        f"{kind}: perturbs {shown(name)} twice: name each channel once per kind"
                    )
                taken.add(name)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the drawn values of a device: "start", or "gain[position_mm]" for a channel."""
        return tuple(name for kind in KINDS for one in self._of(kind) for name in self._names(one))

    def drawn(self, device: int) -> dict[str, float]:
        """Return a device's drawn values by the names of ``columns``. Cost: some 10 µs per kind."""
        found: dict[str, float] = {}
        for kind in KINDS:
            for one, values in self._draw(device, kind):
                names = self._names(one)
                found.update(zip(names, values[: len(names)].tolist(), strict=True))
        return found

    def fingerprint(self) -> str:
        """Return text that changes when the samples would."""
        own = [asdict(one) for one in self.perturbations]
        text = json.dumps([self.series.fingerprint(), own, self.seed, self.rows, self.targets])
        return hashlib.sha256(text.encode()).hexdigest()

    def name(self, device: int) -> str:
        """Return the clean series' name of the device."""
        return self.series.name(device)

    def only(self, devices: range) -> Perturbed:
        """As ``Series.only``, which also reduces the clean series."""
        series = self.series.only(devices)
        return Perturbed(series, self.perturbations, self.seed, self.rows, self.targets)

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        """Largest possible lengths; a start or a clock skew may shorten the end."""
        clean = self.series.lengths
        if clean is None or self.rows is None:
            return clean
        return np.minimum(clean, self.rows)

    def pieces(self, device: int, start: int = 0) -> Iterator[Piece]:
        """Yield the readings of a device from row ``start`` on, as ``Series.pieces``."""
        reader = _Reader(self, device)
        first = reader.first_needed(start)
        for row, inputs, targets in reader.blocks(first):
            skipped = max(start - row, 0)
            if skipped < len(inputs):
                yield inputs[skipped:], targets[skipped:]

    def _of(self, kind: Kind) -> Iterator[Perturbation]:
        return (one for one in self.perturbations if one.kind == kind)

    def _names(self, one: Perturbation) -> list[str]:
        """Return the columns of one perturbation."""
        if one.kind in OF_DEVICE or (one.together and one.channels is None):
            return [one.kind]
        named = one.channels or self.channels
        if one.together:
            return [f"{one.kind}[{', '.join(named)}]"]
        return [f"{one.kind}[{name}]" for name in named]

    def _places(self, one: Perturbation) -> list[int]:
        return [self.channels.index(name) for name in one.channels or self.channels]

    def _draw(self, device: int, kind: Kind) -> Iterator[tuple[Perturbation, Float64Array]]:
        """Draw for a kind: each perturbation with one value per channel."""
        for one in self._of(kind):
            if kind in OF_DEVICE:
                value = one.value.draw(self._rng(device, kind), 1)
                yield one, np.rint(value) if kind == "start" else value
                continue
            # Every channel of the series draws a value, named or not, so that naming another
            # channel does not change the rest.
            values = one.value.draw(self._rng(device, kind), len(self.channels))
            places = self._places(one)
            yield one, np.repeat(values[:1], len(places)) if one.together else values[places]

    def _rng(self, device: int, kind: Kind, *more: int) -> np.random.Generator:
        key = (device, KINDS.index(kind), *more)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


class _Reader:
    """The readings of one device, in blocks."""

    def __init__(self, perturbed: Perturbed, device: int) -> None:
        self._of, self._device = perturbed, device
        width = len(perturbed.channels)
        self._gain, self._offset, self._noise = np.ones(width), np.zeros(width), np.zeros(width)
        scale: Float64Array | None = None
        for kind, into in (("gain", self._gain), ("offset", self._offset), ("noise", self._noise)):
            for one, values in perturbed._draw(device, kind):  # type: ignore[arg-type]
                places = perturbed._places(one)
                if one.unit == "sd":
                    scale = self._scale() if scale is None else scale
                    values = values * scale[places]
                into[places] = values
        self._spells = {kind: self._spells_of(kind) for kind in OF_SPELLS}
        drawn = dict.fromkeys(OF_DEVICE, 0.0)
        for kind in OF_DEVICE:
            for _, values in perturbed._draw(device, kind):
                drawn[kind] = float(values[0])
        self._start, self._skew = int(drawn["start"]), drawn["clock_skew"] * 1e-6

    def first_needed(self, start: int) -> int:
        """Return the row before the earliest stuck spell around ``start``, else ``start``."""
        begins = [one.begin(start) for one in self._spells["stuck"] if one is not None]
        return max(min((b - 1 for b in begins if b is not None), default=start), 0)

    def blocks(self, row: int) -> Iterator[tuple[int, Float32Array, Float32Array]]:
        """Yield (first row, inputs, targets) from a row to the end."""
        perturbed = self._of
        window = _Window(perturbed, self._device, int(self._position(np.array([row]))[0][0]))
        last: Float64Array | None = None
        while perturbed.rows is None or row < perturbed.rows:
            stop = (row // _BLOCK + 1) * _BLOCK
            stop = stop if perturbed.rows is None else min(stop, perturbed.rows)
            before, share = self._position(np.arange(row, stop))
            clean, targets = window.at(before, share)
            if len(clean):
                readings = self._held(row, self._noisy(row, clean), last)
                last = readings[-1].copy()
                inputs, own = self._split(self._dropped(row, readings))
                yield row, inputs, own if targets is None else targets
            if len(clean) < stop - row:
                return
            row = stop

    def _position(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Float64Array]:
        """Return the clean row before each reading, and the reading's distance from it, 0..1."""
        late = rows * self._skew
        whole = np.floor(late)
        return self._start + rows + whole.astype(np.int64), late - whole

    def _noisy(self, row: int, clean: Float64Array) -> Float64Array:
        readings = self._gain * clean + self._offset
        first = row - row % _BLOCK
        for channel in np.flatnonzero(self._noise):
            rng = self._of._rng(self._device, "noise", int(channel) + 1, row // _BLOCK)
            noise = rng.standard_normal(_BLOCK)[row - first : row - first + len(clean)]
            readings[:, channel] += self._noise[channel] * noise
        return readings

    def _held(self, row: int, readings: Float64Array, last: Float64Array | None) -> Float64Array:
        """Repeat the last reading during stuck spells."""
        for channel, spells in enumerate(self._spells["stuck"]):
            if spells is None:
                continue
            stuck = spells.mask(row, row + len(readings))
            if last is None:
                stuck[0] = False  # there is no earlier reading
            if stuck.any():
                both = np.concatenate([[np.nan if last is None else last[channel]],
                                       readings[:, channel]])  # fmt: skip
                source = np.where(stuck, 0, np.arange(1, len(both)))
                readings[:, channel] = both[np.maximum.accumulate(source)]
        return readings

    def _dropped(self, row: int, readings: Float64Array) -> Float64Array:
        for channel, spells in enumerate(self._spells["dropouts"]):
            if spells is not None:
                lost = spells.mask(row, row + len(readings))
                readings[lost, channel] = np.nan
        return readings

    def _split(self, readings: Float64Array) -> tuple[Float32Array, Float32Array]:
        perturbed = self._of
        with np.errstate(over="ignore"):  # the learner reports the infinite value
            values = readings.astype(np.float32)
        inputs = np.ascontiguousarray(values[:, : perturbed.n_in])
        if perturbed.targets != "perturbed":
            return inputs, inputs
        places = [perturbed.channels.index(name) for name in perturbed.target_names]
        return inputs, np.ascontiguousarray(values[:, places])

    def _spells_of(self, kind: Kind) -> list[_Spells | None]:
        """Return the spells of each channel, None without."""
        perturbed = self._of
        found: list[_Spells | None] = [None] * len(perturbed.channels)
        for one, values in perturbed._draw(self._device, kind):
            places = perturbed._places(one)
            for place, share in zip(places, values.tolist(), strict=True):
                if share > 0:
                    # Channels that share their spells use equal generators.
                    number = 0 if one.together else place + 1
                    rng = perturbed._rng(self._device, kind, number, 0)
                    found[place] = _Spells(rng, share, one.length)
        return found

    def _scale(self) -> Float64Array:
        """Return the standard deviation of each clean channel over the first rows."""
        window = _Window(self._of, self._device, 0)
        rows = np.arange(_UNIT_ROWS)
        clean, _ = window.at(rows, np.zeros(_UNIT_ROWS))
        known = ~np.isnan(clean)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, clean, 0.0).sum(axis=0) / count
        square = np.where(known, (clean - mean) ** 2, 0.0).sum(axis=0) / count
        scale: Float64Array = np.sqrt(square)
        return scale


class _Window:
    """Clean rows of one device around the current position, which only increases."""

    def __init__(self, perturbed: Perturbed, device: int, row: int) -> None:
        names = perturbed.input_names
        self._more = [
            place for place, name in enumerate(perturbed.target_names)
            if perturbed.targets == "perturbed" and name not in names
        ]  # fmt: skip
        self._kind = perturbed.targets
        self._pieces = _cut(perturbed.series.pieces(device, row))
        self._row = row  # number of the first row that is kept
        self._channels = np.empty((0, len(perturbed.channels)))
        self._targets = np.empty((0, perturbed.n_out))

    def at(
        self, before: NDArray[np.int64], share: Float64Array
    ) -> tuple[Float64Array, Float32Array | None]:
        """Return channels and clean targets at the positions that exist.

        Args: before, rows, increasing; share, 0..1 of the distance to the next row.
        """
        between = share > 0
        self._fetch(int(before[0]), int(before[-1]) + int(between[-1]))
        there = before + between - self._row < len(self._channels)
        before, share = before[there] - self._row, share[there, np.newaxis]
        after = before + between[there]

        def mixed(values: Float64Array) -> Float64Array:
            low = values[before]
            with np.errstate(invalid="ignore"):  # infinity minus infinity
                found: Float64Array = low + share * (values[after] - low)
            return np.where(np.isinf(low), low, found)  # the learner reports the infinite value

        if self._kind == "perturbed":
            return mixed(self._channels), None
        targets = self._targets[before] if self._kind == "classes" else mixed(self._targets)
        return mixed(self._channels), targets.astype(np.float32)

    def _fetch(self, first: int, last: int) -> None:
        """Keep the rows from first to last, inclusive, as far as they exist."""
        while self._row + len(self._channels) <= last:
            piece = next(self._pieces, None)
            if piece is None:
                break
            x, y = (np.asarray(values, np.float64) for values in piece)
            x = np.hstack([x, y[:, self._more]]) if self._more else x
            self._drop_before(first)
            self._channels = np.concatenate([self._channels, x])
            self._targets = np.concatenate([self._targets, y])
        self._drop_before(first)

    def _drop_before(self, row: int) -> None:
        gone = min(row - self._row, len(self._channels))
        self._row += gone
        self._channels, self._targets = self._channels[gone:], self._targets[gone:]


def _cut(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Yield the same rows in pieces no longer than a block."""
    for inputs, targets in pieces:
        for start in range(0, len(inputs), _BLOCK):
            yield inputs[start : start + _BLOCK], targets[start : start + _BLOCK]


class _Spells:
    """Spells with geometric lengths and pauses, and a mean share of all rows.

    Args: rng, for these spells only; share, above 0; length, mean rows.
    """

    def __init__(self, rng: np.random.Generator, share: float, length: float) -> None:
        self._rng, self._always = rng, share >= 1
        self._length = length
        self._pause = length * (1 - share) / share
        self._begins = np.zeros(0, np.int64)
        self._ends = np.zeros(0, np.int64)
        self._drawn = 0  # end of the last drawn spell

    def mask(self, row: int, stop: int) -> NDArray[np.bool_]:
        """Return for each row whether it lies in a spell; earlier rows are forgotten."""
        if self._always:
            return np.ones(stop - row, bool)
        self._draw_to(stop)
        # +1 where a spell begins, -1 where it ends.
        steps = np.zeros(stop - row + 1, np.int64)
        gone = int(np.searchsorted(self._ends, row, "right"))
        self._begins, self._ends = self._begins[gone:], self._ends[gone:]
        near = slice(int(np.searchsorted(self._begins, stop, "left")))
        np.add.at(steps, np.maximum(self._begins[near] - row, 0), 1)
        np.add.at(steps, np.minimum(self._ends[near] - row, stop - row), -1)
        return np.cumsum(steps[:-1]) > 0

    def begin(self, row: int) -> int | None:
        """Return the first row of the spell around a row, or None; adjacent spells are one."""
        if self._always:
            return 0
        self._draw_to(row + 1)
        place = int(np.searchsorted(self._begins, row, "right")) - 1
        if place < 0 or self._ends[place] <= row:
            return None
        while place > 0 and self._begins[place] == self._ends[place - 1]:
            place -= 1
        return int(self._begins[place])

    def _draw_to(self, stop: int) -> None:
        """Draw until a spell begins at or after a row."""
        while not len(self._begins) or self._begins[-1] < stop:
            pauses = self._rng.geometric(max(1 / (1 + self._pause), _RAREST), _SPELLS) - 1
            lengths = self._rng.geometric(1 / self._length, _SPELLS)
            both = np.column_stack([pauses, lengths]).clip(0, _LONGEST).ravel()
            edges = np.cumsum(both) + self._drawn
            self._begins = np.append(self._begins, edges[::2])
            self._ends = np.append(self._ends, edges[1::2])
            self._drawn = int(edges[-1])
