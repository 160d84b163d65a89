"""What a caller may pass: real numbers of any kind, brought into float32 arrays of known shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed.errors import InputError, InputTypeError

Float32Array = NDArray[np.float32]

_ndarray, _ALL = np.ndarray, slice(None)


class Place:
    """Where one sample's inputs or labels lie.

    Attributes: array, (width,) float32; name, what messages call it.
    """

    __slots__ = ("_single", "_view", "array", "name")

    def __init__(self, name: str, width: int) -> None:
        self.name = name
        self.array = np.zeros(width, np.float32)
        # One assignment to it checks type and shape and copies, in half the time of NumPy.
        self._view: Any = self.array.data
        self._single = width == 1

    def fill(self, value: ArrayLike) -> None:
        """Copy a sample in; its values are not looked at.

        Args:
            value: (width,) real numbers; a scalar where width is 1.

        Errors: InputError (the shape), InputTypeError (no real numbers); nothing is copied then.
        """
        if type(value) is _ndarray:
            try:
                self._view[_ALL] = value
                return
            except ValueError:  # no float32, or another shape
                pass
        elif self._single and isinstance(value, (float, np.float32)):
            self._view[0] = value
            return
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, then refused
            array = real(self.name, value).astype(np.float32)
        if array.shape != self.array.shape and not (array.ndim == 0 and self._single):
            raise InputError(f"{self.name} has shape {array.shape}: expected {self.array.shape}")
        self.array[...] = array


def rows(name: str, value: ArrayLike, width: int, allow_nan: bool) -> tuple[int, Float32Array]:
    """Check a stream; a one-dimensional array is one value a row. Returns its rows and itself.

    Errors: InputError, InputTypeError.
    """
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(real(name, value), np.float32)
    if array.ndim == 1 and width == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or array.shape[1] != width:
        raise InputError(f"{name} has shape {array.shape}: expected (T, {width})")
    check_finite(name, array, allow_nan)
    return array.shape[0], array


def real(name: str, value: ArrayLike) -> NDArray[Any]:
    """An array of real numbers, or InputTypeError."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise InputTypeError(
            f"{name} has dtype {array.dtype}: expected real numbers (float32 is used)"
        )
    return array


def check_finite(name: str, array: Float32Array, allow_nan: bool) -> None:
    """Name the first value that is infinite, or NaN where that means nothing.

    Errors: InputError.
    """
    bad = np.isinf(array) if allow_nan else ~np.isfinite(array)
    if bad.any():
        index = [int(i) for i in np.argwhere(bad)[0]]
        nan = "NaN is allowed" if allow_nan else "hold_missing=True would allow NaN inputs"
        raise InputError(
            f"{name}{index} is {array[tuple(index)]}: expected a finite float32 value ({nan})"
        )


def check_out(out: object, like: Float32Array) -> None:
    """Refuse what cannot take a forecast before anything has happened. Errors: InputError."""
    found = type(out).__name__
    if isinstance(out, np.ndarray):
        if out.dtype == np.float32 and out.shape == like.shape and out.flags.writeable:
            return
        found = f"{'' if out.flags.writeable else 'read-only '}{out.dtype} {out.shape}"
    raise InputError(f"out is {found}: expected a writeable float32 array {like.shape}")
