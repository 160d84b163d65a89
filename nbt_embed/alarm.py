"""Alarms from anomaly scores: one alarm per anomaly instead of one per sample."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed._kernel import ffi, lib
from nbt_embed.arrays import Float32Array, float32, integer, one_row
from nbt_embed.errors import ConfigError, InputError, shown

_MOST = 2**32 - 1  # what the kernel's hold_off can hold


class Alarm:
    """The kernel's ``nbt_alarm``: a score above the threshold is an event, with a hold-off time.

    The next event needs ``hold_off`` scores in a row that are not above the threshold first.

    Examples:
        >>> from nbt_embed import Learner
        >>> wave = [1.0, 2.0, 3.0, 2.0] * 500
        >>> wave[1500] = 9.0
        >>> learner, alarm = Learner(n_in=1, n_out=1), Alarm(threshold=0.995, hold_off=50)
        >>> for row, z in enumerate(wave):
        ...     if learner.pending:
        ...         learner.learn(z)
        ...         if alarm.count(learner.anomaly[0]):
        ...             print("anomaly at row", row)
        ...     forecast = learner.predict(z)
        anomaly at row 1500

    Args:
        threshold: from 0 to 1; docs/evidence/uncertainty.md has how often a stream without faults
            exceeds it.
        hold_off: scores, 0 .. 2**32 - 1.

    Errors: ConfigError, InputTypeError.
    """

    __slots__ = ("_alarm",)

    def __init__(self, threshold: float, hold_off: int) -> None:
        hold_off = integer("hold_off", hold_off)
        if not 0 <= hold_off <= _MOST:
            raise ConfigError(f"hold_off = {hold_off}: expected 0 .. {_MOST} scores")
        if not isinstance(threshold, Real) or not 0 <= threshold <= 1:
            raise ConfigError(
                f"threshold = {shown(threshold)}: expected a number from 0 to 1, such as 0.995"
            )
        self._alarm: Any = ffi.new("nbt_alarm *", {"threshold": threshold, "hold_off": hold_off})

    def __repr__(self) -> str:
        return f"Alarm({float(str(np.float32(self._alarm.threshold)))}, {self._alarm.hold_off})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy with its state."""
        alarm = self._alarm
        return _restored, (type(self), alarm.threshold, alarm.hold_off, alarm.left)

    def count(self, score: float | np.floating[Any]) -> bool:
        """Take the next score; NaN counts as a score that is not above the threshold.

        Returns: whether there is an event. Errors: InputError, InputTypeError.
        """
        (value,) = one_row("score", _checked("score", score), 1).tolist()
        return bool(lib.nbt_alarm_count(self._alarm, value))


def _restored(kind: type[Alarm], threshold: float, hold_off: int, left: int) -> Alarm:
    alarm = kind(threshold, hold_off)
    alarm._alarm.left = left
    return alarm


def events(scores: ArrayLike, threshold: float, hold_off: int) -> list[NDArray[np.intp]]:
    """The rows of the events of every output, by a fresh ``Alarm`` for each.

    Examples:
        >>> events([0.1, 0.999, 0.999, 0.2, 0.2, 0.999], threshold=0.99, hold_off=2)
        [array([1, 5])]

    Args:
        scores: (T,) or (T, n_out), NaN or masked where there is none (``Run.anomaly``).
        threshold: as for ``Alarm``.
        hold_off: as for ``Alarm``.

    Errors: ConfigError, InputError, InputTypeError. Cost: about 5 µs per score.
    """
    found = _checked("scores", scores)
    if found.ndim not in (1, 2):
        raise InputError(f"scores has shape {found.shape}: expected (T,) or (T, n_out)")
    told = []
    for column in (found[:, np.newaxis] if found.ndim == 1 else found).T:
        alarm = Alarm(threshold, hold_off)
        told.append(np.flatnonzero([alarm.count(score) for score in column.tolist()]))
    return told


def _checked(name: str, scores: ArrayLike) -> Float32Array:
    """Errors: InputError names the first number that is no score, InputTypeError."""
    found = float32(name, scores)
    for wrong in found[(found < 0) | (found > 1)][:1]:
        raise InputError(f"{name} holds {wrong:g}: expected numbers from 0 to 1, or NaN for none")
    return found
