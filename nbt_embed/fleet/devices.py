"""Devices, their learners, and sums of the learners' errors so far."""

from __future__ import annotations

import io
import math
import operator
import re
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed._kernel_config import GUARDS
from nbt_embed.arrays import Float32Array, Float64Array
from nbt_embed.config import Config
from nbt_embed.errors import InputError
from nbt_embed.fleet.batch import Batch
from nbt_embed.fleet.columns import Columns, columns_of
from nbt_embed.fleet.scores import BLOCK_ROWS, SUMS, add_spread, carried, close_spread
from nbt_embed.learner import Learner

_STOPPED = re.compile(r"row (\d+): (.*)", re.DOTALL)


class Devices:
    """n devices, each with a learner for every pair of a setting and a horizon.

    Scoring is that of ``evaluate``: every forecast is scored before its label is learnt, and none
    before the learner has seen a label of the target. All numbers are in arrays, so a device needs
    no Python object. Threads may feed different devices at the same time.

    Args:
        configs: of the learners, ordered by device, then setting, then horizon.
        settings: number of settings.
        horizons: h, steps between a forecast and its target.
        n_label: O, values in a label.

    Errors: ConfigError. Cost: memory O(n (NBT_BYTES + horizons O)).
    """

    def __init__(
        self, configs: Sequence[Config], settings: int, horizons: Sequence[int], n_label: int
    ) -> None:
        self._batch = Batch(configs)
        self._horizons = tuple(horizons)
        learners, pairs = len(configs), len(configs) // settings  # pairs of device and horizon
        devices = pairs // len(horizons)
        most = max(1, *horizons)
        width = max(self._batch.widths)
        self._arrays: dict[str, NDArray[Any]] = {
            "rows": np.zeros(devices, np.int64),  # rows fed
            "known": np.full((devices, most, n_label), np.nan, np.float32),  # last values, by rows
            "first": np.full((pairs, n_label), -1, np.int64),  # scored row, -1: none yet
            "scored": np.zeros(pairs, np.int64),  # rows
            "spread": np.zeros((pairs, n_label, SUMS)),
            "last_squared": np.zeros((pairs, n_label)),  # Σ e² of the last value
            "waiting": np.zeros((learners, max(horizons), width), np.float32),  # forecasts
            "squared": np.zeros((learners, n_label)),  # Σ e²
            "bits": np.zeros(learners),  # Σ −log₂ p
            "diverged": np.zeros(learners, np.bool_),  # whether a forecast was not finite
            "stopped": np.full(learners, -1, np.int64),  # row that was refused, -1: none
        }
        self._refused: dict[int, str] = {}  # number of a learner -> why it was stopped

    @property
    def _learners(self) -> int:
        """Return the numbers of the learners of a device."""
        return len(self._batch) // len(self._arrays["rows"])

    def rows(self, device: int) -> int:
        """Return the number of rows that were fed to a device."""
        return int(self._arrays["rows"][device])

    def refused(self, device: int) -> bool:
        """Return whether all learners of a device have refused its stream."""
        return all(one in self._refused for one in self._numbers(device))

    def refuse(self, device: int, reason: str) -> None:
        """Exclude a device whose stream cannot be read."""
        for number in self._numbers(device):
            self._stop(number, 0, reason)

    def _stop(self, number: int, row: int, reason: str) -> None:
        self._arrays["stopped"][number] = row
        self._refused[number] = reason

    def find_anchors(self, device: int, inputs: Float32Array, labels: Float32Array) -> None:
        """Search the anchors of a device's learners, before its first row (``Series.head``)."""
        for number in self._numbers(device):
            horizon = self._horizons[number % len(self._horizons)]
            self._batch.find_anchor(number, inputs, labels, horizon=horizon)

    def feed(self, device: int, inputs: Float32Array, labels: Float32Array) -> None:
        """Feed the next rows of a device: inputs (t, n_in), labels (t, O), NaN where missing.

        A learner that refuses a row is stopped, and the reason is stored. Splitting the rows over
        several calls does not change the result.
        """
        begin = 0
        while begin < len(inputs):
            room = BLOCK_ROWS - self.rows(device) % BLOCK_ROWS
            rows = slice(begin, begin + room)
            with np.errstate(over="ignore", invalid="ignore"):  # the stream may be refused
                self._feed(device, inputs[rows], labels[rows])
            begin += room

    def _feed(self, device: int, inputs: Float32Array, labels: Float32Array) -> None:
        """Feed rows within a block."""
        arrays, steps = self._arrays, len(inputs)
        row, most = self.rows(device), len(arrays["known"][device])
        values = filled(np.concatenate([arrays["known"][device], labels]))
        for place, horizon in enumerate(self._horizons):
            pair = device * len(self._horizons) + place
            truths = _scored(arrays["first"][pair], row, labels, horizon).T.astype(np.float64)
            known = ~np.isnan(truths)
            arrays["scored"][pair] += known.any(axis=0).sum()
            add_spread(arrays["spread"][pair], truths, known)
            if (row + steps) % BLOCK_ROWS == 0:
                close_spread(arrays["spread"][pair])
            begin = most - max(horizon, 1)
            _add_squares(arrays["last_squared"][pair], values[begin : begin + steps], truths, known)
            for number in self._numbers(device)[place :: len(self._horizons)]:
                if number not in self._refused:
                    forecasts = self._run(number, inputs, labels, horizon, row)
                    if forecasts is not None:
                        self._score(number, horizon, forecasts, truths, known)
        arrays["known"][device] = values[steps:]
        arrays["rows"][device] += steps

    def _numbers(self, device: int) -> range:
        """Return the numbers of the learners of a device."""
        return range(device * self._learners, (device + 1) * self._learners)

    def _run(
        self, number: int, inputs: Float32Array, labels: Float32Array, horizon: int, row: int
    ) -> Float32Array | None:
        """Return the forecasts; None if the learner refuses a row, after the rows before it."""
        learner = self._batch[number]
        try:
            return learner.run(inputs, labels, horizon=horizon)
        except InputError as error:
            bad, reason = _first_refused(learner, inputs, labels, horizon, error)
            self._stop(number, row + bad, f"row {row + bad}: {reason}")
            return None

    def _score(
        self,
        number: int,
        horizon: int,
        forecasts: Float32Array,
        truths: Float64Array,
        known: NDArray[np.bool_],
    ) -> None:
        """Add the errors of a learner's forecasts; forecasts of later rows wait."""
        arrays, steps = self._arrays, len(forecasts)
        if not np.isfinite(forecasts).all():
            arrays["diverged"][number] = True
        if horizon:
            waiting = arrays["waiting"][number, -horizon:, : forecasts.shape[1]]
            forecasts = np.concatenate([waiting, forecasts])
            waiting[...] = forecasts[steps:]
        link = self._batch.link(number)
        if link == "gaussian":
            _add_squares(arrays["squared"][number], forecasts[:steps], truths, known)
        else:
            bits = arrays["bits"]
            bits[number] = _with_bits(float(bits[number]), link, forecasts[:steps], truths, known)

    def columns(self, first: int, names: Sequence[str], settings: Sequence[str]) -> Columns:
        """Return the results so far, one row per learner.

        Args: first, number of the first device; names, of all devices; settings, their names.
        """
        arrays, count = self._arrays, len(self._batch)
        spread = arrays["spread"].copy()
        with np.errstate(over="ignore", invalid="ignore"):
            close_spread(spread.reshape(-1, SUMS))
        pair = self._pairs()
        known, varied = spread[pair, :, 0], spread[pair, :, 2]
        gaussian = np.array([self._batch.link(i) == "gaussian" for i in range(count)], np.bool_)
        errors = [self._error(i, bool(known[i].any())) for i in range(count)]
        good = np.array([not error for error in errors], np.bool_)
        real = (good & gaussian)[:, np.newaxis]
        squared = np.where(real, arrays["squared"], np.nan)
        last = np.where(real, arrays["last_squared"][pair], np.nan)
        device = np.arange(count) // self._learners
        guards, stopped = self._guards(), arrays["stopped"]
        return columns_of(
            {
                "device": first + device,
                "name": np.array(names)[device],
                "setting": np.tile(np.repeat(settings, len(self._horizons)), len(names)),
                "seed": self._batch.seeds,
                "horizon": np.tile(self._horizons, count // len(self._horizons)),
                "rows": np.where(stopped < 0, arrays["rows"][device], stopped),
                "rows_scored": np.where(good, arrays["scored"][pair], 0),
                "rmse": np.sqrt(_ratio(squared.sum(axis=1), known.sum(axis=1))),
                "nrmse": np.sqrt(_ratio(squared.sum(axis=1), varied.sum(axis=1))),
                "rmse_per_target": np.sqrt(_ratio(squared, known)),
                "last_rmse": np.sqrt(_ratio(last.sum(axis=1), known.sum(axis=1))),
                "last_rmse_per_target": np.sqrt(_ratio(last, known)),
                "relative_error": _relative(squared, last),
                "bits": np.where(
                    good & ~gaussian, _ratio(arrays["bits"], known.sum(axis=1)), np.nan
                ),
                "memory_bytes": [self._batch.bytes_of(i) for i in range(count)],
                **guards,
                "diverged": good & arrays["diverged"],
                "error": errors,
                "hash": [self._batch[i].hash() for i in range(count)],
            }
        )

    def _pairs(self) -> NDArray[np.intp]:
        """Return for every learner the number of its pair of device and horizon."""
        number, horizons = np.arange(len(self._batch)), len(self._horizons)
        return number // self._learners * horizons + number % horizons

    def _error(self, number: int, scored: bool) -> str:
        horizon = self._horizons[number % len(self._horizons)]
        nothing = (
            f"nothing to score: no target from row {max(2 * horizon, 1)} on that follows a "
            "learnt label"
        )
        return self._refused.get(number, "" if scored else nothing)

    def _guards(self) -> dict[str, NDArray[np.int64]]:
        counts = np.zeros((len(GUARDS), len(self._batch)), np.int64)
        for number in range(len(self._batch)):
            counters = self._batch[number].counters
            counts[:, number] = [getattr(counters, name) for name in GUARDS]
        return dict(zip(GUARDS, counts, strict=True))

    def to_bytes(self) -> bytes:
        """Return everything that resuming needs to give the results of an uninterrupted run.

        Errors: CheckpointError (a learner with a number that is not finite).
        """
        refused = sorted(self._refused.items())
        arrays: dict[str, Any] = {
            "batch": np.frombuffer(self._batch.to_bytes(), np.uint8),
            "horizons": np.array(self._horizons, np.int64),
            "refused": np.array([number for number, _ in refused], np.int64),
            "reasons": np.array([reason for _, reason in refused], np.str_),
            **self._arrays,
        }
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Devices:
        """Restore the devices; the caller has checked the bytes (``Checkpoint``)."""
        self = cls.__new__(cls)
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        self._batch = Batch.from_bytes(arrays.pop("batch").tobytes())
        self._horizons = tuple(arrays.pop("horizons").tolist())
        numbers, reasons = arrays.pop("refused").tolist(), arrays.pop("reasons").tolist()
        self._refused = dict(zip(numbers, reasons, strict=True))
        self._arrays = arrays
        return self


def filled(values: Float32Array) -> Float32Array:
    """Fill missing values (t, O) with the last known one, NaN before the first."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    rows = np.where(missing, 0, np.arange(len(values))[:, np.newaxis])
    np.maximum.accumulate(rows, axis=0, out=rows)
    return values[rows, np.arange(values.shape[1])]


def _scored(first: NDArray[np.int64], row: int, labels: Float32Array, horizon: int) -> Float32Array:
    """Return labels (t, O) from ``row`` on, NaN where unscored by the rule of ``evaluate.Scored``.

    Args: first, (O,) first row that is scored, -1 before the first label; updated.
    """
    for target in np.flatnonzero(first < 0):
        known = np.flatnonzero(~np.isnan(labels[:, target])) + row
        known = known[known >= horizon]
        if len(known):
            first[target] = known[0] + max(horizon, 1)
    late = np.where(first < 0, len(labels), np.maximum(first - row, 0))
    if not late.any():
        return labels
    return np.where(np.arange(len(labels))[:, np.newaxis] < late, np.float32(np.nan), labels)


def _add_squares(
    total: Float64Array, forecasts: Float32Array, truths: Float64Array, known: NDArray[np.bool_]
) -> None:
    """Add squared errors to totals (O,): forecasts (t, O), truths (O, t)."""
    errors = np.where(known, forecasts.T - truths, 0.0)
    total[:] = carried(total, errors * errors)


def _with_bits(
    total: float,
    link: str,
    forecasts: Float32Array,
    truths: Float64Array,
    known: NDArray[np.bool_],
) -> float:
    """Add −log₂ of the probabilities that forecasts (t, n_out) gave to the labels (O, t).

    Rows are added one at a time, so that splitting them changes nothing (``sum`` of a piece would).
    Logarithms are computed one at a time, because NumPy's own differ between processors in the last
    bit.
    """
    surprises: Iterable[float]
    if link == "categorical":
        rows = np.flatnonzero(known[0])
        surprises = map(_surprise, forecasts[rows, truths[0, rows].astype(np.intp)].tolist())
    else:
        given, came = forecasts[known.T].tolist(), truths.T[known.T].tolist()
        surprises = map(_surprise_of_two, given, came)
    return reduce(operator.add, surprises, total)


def _surprise_of_two(p: float, y: float) -> float:
    """Return −log₂ of the probability of y, 0 to 1, if the output is 1 with probability p."""
    return (y and y * _surprise(p)) + (y < 1 and (1 - y) * _surprise(1 - p))


def _surprise(chance: float) -> float:
    return -math.log2(chance) if chance > 0 else math.inf if chance == 0 else math.nan


def _ratio(numerator: Float64Array, denominator: Float64Array) -> Float64Array:
    """Divide; NaN where nothing was counted."""
    return np.divide(
        numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0
    )


def _relative(squared: Float64Array, last: Float64Array) -> Float64Array:
    """Return the geometric mean over the targets of RMSE over the last value's RMSE (n,).

    Targets that the last value forecasts without an error are left out. The mean is NaN if no
    target is left, and infinite if an error is.
    """
    ratio = _ratio(squared, last)
    counts = ~np.isnan(last) & (last > 0)
    ratio = np.where(counts & ~np.isfinite(ratio), np.inf, ratio)
    out = np.full(len(ratio), np.nan)
    for row in np.flatnonzero(counts.any(axis=1)):
        ratios = ratio[row, counts[row]].tolist()
        if not all(map(math.isfinite, ratios)):
            out[row] = math.inf
        elif min(ratios) == 0:
            out[row] = 0.0
        else:
            out[row] = math.exp(math.fsum(map(math.log, ratios)) / (2 * len(ratios)))
    return out


def _first_refused(
    learner: Learner,
    inputs: Float32Array,
    labels: Float32Array,
    horizon: int,
    error: InputError,
) -> tuple[int, str]:
    """Return the first row of a piece that a learner refuses, and why; feed the rows before it.

    ``run`` checks a whole piece before its first step. Without this function, the number of rows
    fed before the refused one would depend on the pieces.
    Args: error, the message of ``run`` about the piece.
    """
    low, high = 0, len(inputs)
    while True:
        stopped = _STOPPED.match(str(error))  # has the row; other errors come before the first
        if stopped:
            return low + int(stopped[1]), stopped[2]
        if high - low == 1:
            return low, str(error).replace("[0, ", "[")
        middle = (low + high) // 2
        for rows in (slice(low, middle), slice(middle, high)):
            low, high = rows.start, rows.stop
            try:
                learner.run(inputs[rows], labels[rows], horizon=horizon)
            except InputError as other:
                error = other
                break
