"""What a caller may pass: real numbers of any kind, brought into float arrays of known shape.

NaN means missing, and so does a mask (``numpy.ma`` and what follows it): whatever lies under one is
never looked at.
"""

from __future__ import annotations

import operator
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed.errors import InputError, InputTypeError, shown

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

VALUE_LIMIT = 1e18  # NBT_VALUE_LIMIT: the kernel refuses what is larger
_REAL = "fiub"  # kinds of data types
_SEQUENCES = (list, tuple, deque)


def one_sample(name: str, value: ArrayLike, width: int) -> Float32Array:
    """A copy of a sample, (width,), whose values are not looked at; what is given may change.

    Args:
        name: what messages call it.
        value: (width,) real numbers; a scalar where width is 1. Masked is NaN.
        width: at least 1.

    Errors: InputError (the shape), InputTypeError (no real numbers).
    """
    return one_row(name, float32(name, value), width).copy()


def float32(name: str, value: ArrayLike) -> Float32Array:
    """The numbers as float32, NaN where they are masked; a copy only where one is needed.

    A number too large for float32 becomes infinite.
    Errors: InputError (no rectangular array), InputTypeError (no real numbers).
    """
    return _floats(name, value, np.float32)


def float64(name: str, value: ArrayLike) -> Float64Array:
    """The same as float64."""
    return _floats(name, value, np.float64)


def one_row(name: str, array: NDArray[Any], width: int) -> NDArray[Any]:
    """The array as (width,); a scalar is a row of one. Errors: InputError names another shape."""
    if array.shape != (width,) and not (array.ndim == 0 and width == 1):
        raise InputError(f"{name} has shape {array.shape}: expected ({width},)")
    return array.reshape(width)


def table(name: str, array: NDArray[Any], width: int) -> NDArray[Any]:
    """The array as (T, width); one dimension is one value a row. Errors: InputError."""
    if array.ndim == 1 and width == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or array.shape[1] != width:
        raise InputError(f"{name} has shape {array.shape}: expected (T, {width})")
    return array


def integer(name: str, value: object) -> int:
    """An integer of any type. Errors: InputTypeError."""
    try:
        return operator.index(value)  # type: ignore[arg-type]  # whatever was passed
    except TypeError:
        raise InputTypeError(f"{name} = {shown(value)}: expected an integer") from None


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


def check_reach(name: str, row: Float32Array, where: str = "") -> None:
    """Name the first value that is too large for the kernel. Errors: InputError."""
    for index in np.flatnonzero(np.abs(row) > VALUE_LIMIT)[:1]:
        raise InputError(
            f"{where}{name}[{index}] is {row[index]:g}: expected a value from {-VALUE_LIMIT:g} to "
            f"{VALUE_LIMIT:g}; pass NaN for a missing reading (inputs: with hold_missing=True)"
        )


def check_out(out: object, like: Float32Array) -> None:
    """Refuse what cannot take a forecast before anything has happened. Errors: InputError."""
    found = type(out).__name__
    if isinstance(out, np.ndarray) and not isinstance(out, np.ma.MaskedArray):
        if out.dtype == np.float32 and out.shape == like.shape and out.flags.writeable:
            return
        found = f"{'' if out.flags.writeable else 'read-only '}{out.dtype} {out.shape}"
    raise InputError(f"out is {found}: expected a writeable float32 array {like.shape}")


def _floats(name: str, value: Any, kind: type[np.floating[Any]]) -> NDArray[Any]:
    try:
        # asanyarray keeps the mask of an array, also of one that an object's __array__ makes.
        array = np.asanyarray(_without_masks(value) if _holds_mask(value) else value)
    except ValueError as error:  # rows of different lengths
        raise InputError(f"{name}: {error}") from None
    if array.dtype.kind not in _REAL:
        raise InputTypeError(
            f"{name} has dtype {array.dtype}: expected real numbers ({kind.__name__} is used)"
        )
    mask = getattr(array, "mask", None)
    with np.errstate(over="ignore"):
        floats = np.require(array, kind, ("C", "ALIGNED", "ENSUREARRAY"))
    if mask is not None and np.any(mask):
        floats = np.where(mask, kind(np.nan), floats)
    return floats


def _holds_mask(value: object) -> bool:
    """Whether a sequence holds arrays that may be masked, whose masks NumPy would drop."""
    return isinstance(value, _SEQUENCES) and any(
        _may_be_masked(one) or _holds_mask(one) for one in value
    )


def _may_be_masked(value: object) -> bool:
    """Whether it is an array with a mask, or an object that may make one (``__array__``)."""
    if isinstance(value, (np.ndarray, np.generic)):
        return hasattr(value, "mask")
    return hasattr(value, "__array__")


def _without_masks(value: Any) -> Any:
    """The same as lists with NaN for what is masked in them."""
    if _may_be_masked(value):
        value = np.asanyarray(value)
        mask = getattr(value, "mask", None)
        if mask is not None and value.dtype.kind in _REAL:
            return np.where(mask, np.nan, np.asarray(value, np.float64))
    return [_without_masks(one) for one in value] if isinstance(value, _SEQUENCES) else value
