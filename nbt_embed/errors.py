"""Everything this package raises. Each error also is the natural builtin one."""

from __future__ import annotations


class NbtError(Exception):
    """Base of all errors of this package."""


class ConfigError(NbtError, ValueError):
    """A setting is unknown or out of range."""


class InputError(NbtError, ValueError):
    """An array has the wrong shape or holds values that are not accepted."""


class InputTypeError(NbtError, TypeError):
    """An array has a dtype that is not a real number."""


class SequenceError(NbtError, RuntimeError):
    """predict and learn were called out of turn."""


class CheckpointError(NbtError, ValueError):
    """Bytes are no checkpoint, or a damaged one."""


class StreamError(NbtError, ValueError):
    """A file or a column of a stream cannot be used."""


class ExportError(NbtError, ValueError):
    """A firmware cannot be written to this folder, or not of this learner."""


class DivergenceWarning(RuntimeWarning):
    """A number is not finite: an update was dropped (the weights are intact), or a forecast is not.

    Forecasts get there from weights that no stream taught, as a checkpoint from strangers may hold.
    """
