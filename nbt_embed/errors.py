"""The errors and warnings of this package. Each error is also the matching builtin one."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

_SHOWN = 80  # characters of a value in a message


class NbtError(Exception):
    """Base of all errors of this package."""


class ConfigError(NbtError, ValueError):
    """A setting is unknown or out of range."""


class InputError(NbtError, ValueError):
    """An array has the wrong shape or holds values that are not accepted; a file is closed."""


class InputTypeError(NbtError, TypeError):
    """An array holds no real numbers, a count is no integer, a file is not binary."""


class SequenceError(NbtError, RuntimeError):
    """predict and learn were called out of turn, or by two threads at once."""


class CheckpointError(NbtError, ValueError):
    """Bytes are not a checkpoint, or a damaged one."""


class StreamError(NbtError, ValueError):
    """A file or a column of a stream cannot be used."""


class FleetError(NbtError, RuntimeError):
    """A folder holds another run of a fleet, or another process works in it."""


class ExportError(NbtError, ValueError):
    """A firmware cannot be written to this folder, or not of this learner."""


class ClusterError(NbtError, RuntimeError):
    """A cluster cannot be used or is lost, or a job loses one worker after another."""


class MissingExtraError(NbtError, ImportError):
    """An optional library is not installed."""


class DivergenceWarning(RuntimeWarning):
    """A number is not finite: an update was dropped (the weights are intact), or a forecast is not.

    A forecast can only be so with weights that were not learnt, as in a foreign checkpoint.
    """


class FloatWarning(RuntimeWarning):
    """The float arithmetic of this thread is not IEEE's default: its bits differ."""


class CapacityWarning(RuntimeWarning):
    """A feature or a class is ignored: the learner already has its maximum number."""


class OwnerWarning(RuntimeWarning):
    """The owner or group of a replaced file could not be kept."""


def shown(value: object) -> str:
    """A value as messages print it: its repr, cut where it is long."""
    try:
        text = repr(value)
    except Exception:  # an integer of more digits than Python prints, or a broken __repr__
        text = f"<{type(value).__name__} that cannot be printed>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def similar(name: object, names: Collection[str]) -> str:
    """The question "did you mean ...?" for a mistyped name, or an empty text."""
    if not isinstance(name, str):
        return ""
    found = get_close_matches(name.lower(), names, n=1)
    found += [one for one in names if one in name.lower().split("_")]  # n_hidden, hidden_size
    return f"did you mean {found[0]!r}? " if found else ""
