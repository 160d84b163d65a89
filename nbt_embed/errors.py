"""Everything this package raises. Each error also is the natural builtin one."""

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
    """Bytes are no checkpoint, or a damaged one."""


class StreamError(NbtError, ValueError):
    """A file or a column of a stream cannot be used."""


class FleetError(NbtError, RuntimeError):
    """A folder holds another run of a fleet, or another process works in it."""


class ExportError(NbtError, ValueError):
    """A firmware cannot be written to this folder, or not of this learner."""


class ClusterError(NbtError, RuntimeError):
    """A cluster cannot be used or is lost, or a job loses one worker after another."""


class MissingExtraError(NbtError, ImportError):
    """A library that only some of the package needs is not installed."""


class DivergenceWarning(RuntimeWarning):
    """A number is not finite: an update was dropped (the weights are intact), or a forecast is not.

    Forecasts get there from weights that no stream taught, as a checkpoint from strangers may hold.
    """


class FloatWarning(RuntimeWarning):
    """This thread's float arithmetic is not IEEE's default: the bits are not those of others."""


class CapacityWarning(RuntimeWarning):
    """A feature or a class is not used: as many as the learner may have came before it."""


class OwnerWarning(RuntimeWarning):
    """A file was replaced whose owner or group the new one could not be given."""


def shown(value: object) -> str:
    """A value as messages print it: its repr, cut where it is long."""
    try:
        text = repr(value)
    except Exception:  # an integer of more digits than Python prints, or a broken __repr__
        text = f"<{type(value).__name__} that cannot be printed>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def similar(name: object, names: Collection[str]) -> str:
    """A question for whoever mistyped a name, to stand before the list of all; or nothing."""
    if not isinstance(name, str):
        return ""
    found = get_close_matches(name.lower(), names, n=1)
    found += [one for one in names if one in name.lower().split("_")]  # n_hidden, hidden_size
    return f"did you mean {found[0]!r}? " if found else ""
