"""Rows of a learner from dictionaries whose keys come and go."""

from __future__ import annotations

import datetime as dt
import math
import warnings
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import VALUE_LIMIT, Float32Array
from nbt_embed.errors import CapacityWarning, InputError, InputTypeError, shown


class Features:
    """Which feature stands in which input channel.

    A number has a channel. A string has one for each of its values, which is 1 while the feature
    has that value, else 0. Channels are given out when a feature is learnt first, in the order of
    the names within a row, and stay: a row's order does not matter, and a new feature moves no
    other.

    A feature whose value is None or NaN is missing: its channel is NaN, and the learner repeats the
    last value (``hold_missing``). A date or a time of day is left out: it says when the row was,
    and rows come in the order of time. A number whose key is not there is missing too if the key
    was there in more than half of the rows since it came first, this one included: a sensor that
    fails. Else it is 0, as in every sparse representation: a word that the text does not hold.

    Args:
        limit: channels at most. Features that come later are not used (CapacityWarning, once).

    Cost: three words a channel, and one row counter.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._numbers: dict[Hashable, int] = {}
        self._strings: dict[Hashable, dict[str, int]] = {}
        self._channels = 0
        self._rows = 0  # learnt
        # Of every channel: rows learnt before it came, rows with its key. Those of strings are
        # never present, so that without their key they are 0.
        self._since = np.zeros(0, np.int64)
        self._present = np.zeros(0, np.int64)
        self._full = False

    def __len__(self) -> int:
        """Channels."""
        return self._channels

    def row(self, x: Mapping[Any, Any]) -> Float32Array:
        """The values of the channels, (len,); features without a channel are left out.

        Errors: InputError, InputTypeError.
        """
        return self._fill(*parsed(x))

    def learn(self, x: Mapping[Any, Any]) -> Float32Array:
        """The same, after new features have got their channels, if there is room. Counts the row.

        Errors: InputError, InputTypeError, CapacityWarning where warnings are errors; no row and no
        feature has been added then.
        """
        numbers, strings = parsed(x)
        self._admit(numbers, strings)
        row = self._fill(numbers, strings)
        self._present[[self._numbers[name] for name in numbers if name in self._numbers]] += 1
        self._rows += 1
        return row

    def _fill(self, numbers: dict[Hashable, float], strings: dict[Hashable, str]) -> Float32Array:
        row = np.where(self._held(), np.float32(math.nan), np.float32(0))
        for name, value in numbers.items():
            if name in self._numbers:
                row[self._numbers[name]] = value
        for name, text in strings.items():
            channel = self._strings.get(name, {}).get(text)
            if channel is not None:
                row[channel] = 1
        return row

    def _held(self) -> NDArray[np.bool_]:
        """Whether a channel is missing where its key is not there, (len,); else it is 0."""
        held: NDArray[np.bool_] = 2 * self._present > self._rows + 1 - self._since
        return held

    def _admit(self, numbers: dict[Hashable, float], strings: dict[Hashable, str]) -> None:
        """Give channels to what has none."""
        new: list[tuple[Hashable, str | None]] = [
            (name, None)
            for name, value in numbers.items()
            if name not in self._numbers and not math.isnan(value)
        ]
        new += [
            (name, text)
            for name, text in strings.items()
            if text not in self._strings.get(name, {})
        ]
        if not new:
            return
        new.sort(key=repr)
        room = self._limit - self._channels
        if len(new) > room and not self._full:
            self._full = True  # before anything else has changed: a warning may be raised
            warnings.warn(
                f"feature {shown(new[max(room, 0)][0])} is ignored, and so are all later new "
                f"ones: all max_features = {self._limit} places are taken. Leave out "
                "uninformative features, or raise max_features; bytes and time grow with its "
                "square",
                CapacityWarning,
                stacklevel=4,
            )
        for name, text in new[:room]:
            places: dict[Any, int] = self._numbers
            if text is not None:
                places = self._strings.setdefault(name, {})
            places[name if text is None else text] = self._channels
            self._channels += 1
        more = self._channels - len(self._since)
        self._since = np.append(self._since, np.full(more, self._rows))
        self._present = np.append(self._present, np.zeros(more, np.int64))


def parsed(x: Mapping[Any, Any]) -> tuple[dict[Hashable, float], dict[Hashable, str]]:
    """The features that are numbers, NaN where missing, and those that are strings.

    Errors: InputTypeError (no mapping, or a value of another type), InputError (a value that is
    infinite or beyond what a learner takes).
    """
    if not isinstance(x, Mapping):
        raise InputTypeError(f"x is {type(x).__name__}: expected a dict of features")
    numbers: dict[Hashable, float] = {}
    strings: dict[Hashable, str] = {}
    for name, value in x.items():
        if isinstance(value, str):
            strings[name] = str(value)
        elif not isinstance(value, _TIMES):
            numbers[name] = number(f"feature {shown(name)}", value, _FEATURE)
    return numbers, strings


_TIMES = (dt.date, dt.time, np.datetime64)
_FEATURE = (
    "a number, a string, True, False or None; convert it in a transformer before this estimator, "
    "or leave the feature out (river.compose.Discard)"
)


def number(name: str, value: Any, expected: str) -> float:
    """A real number as a float; NaN where it is missing: None, NaN, pandas.NA.

    Errors: InputTypeError (another type), InputError (infinite, or too large).
    """
    if is_missing(value):
        return math.nan
    try:
        if not _is_real(value):
            raise TypeError
        found = float(value)
    except OverflowError:  # an int of hundreds of digits
        found = math.inf
    except Exception:  # whatever a foreign type raises, as a tensor of two elements does
        raise InputTypeError(f"{name} is {shown(value)}: expected {expected}") from None
    if abs(found) > VALUE_LIMIT:
        raise InputError(
            f"{name} is {shown(value)}: expected a value from {-VALUE_LIMIT:g} to {VALUE_LIMIT:g}; "
            "pass None for a missing reading"
        )
    return found


def _is_real(value: Any) -> bool:
    """Whether it is a real number: ``float`` also takes text, buffers and complex numbers."""
    kind = getattr(getattr(value, "dtype", None), "type", type(value))
    if isinstance(kind, type) and issubclass(kind, (np.complexfloating, np.flexible)):
        return False
    return hasattr(value, "__float__") or hasattr(value, "__index__")


def is_missing(value: Any) -> bool:
    """Whether it says that there is no value: None, NaN of any type, masked, pandas.NA, NaT."""
    if value is None or (isinstance(value, np.ma.MaskedArray) and value.ndim == 0 and value.mask):
        return True
    try:
        return bool(value != value)
    except Exception:  # pandas.NA, an array, Decimal("sNaN"), a foreign type
        return type(value).__name__ == "NAType"
