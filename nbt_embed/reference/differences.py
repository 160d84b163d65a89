"""Derivatives of any function by its values, to check others against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nbt_embed.reference.arrays import Array


def complex_derivative(function: Callable[[Any], Array], at: Array) -> Array:
    """Derivative of an analytic function(at), shape at.shape + value.shape, to the last digit.

    Im f(x + i h) / h has no difference that rounding could spoil (Squire and Trapp 1998).
    """
    columns = []
    for index in np.ndindex(at.shape):
        shifted = at.astype(complex)
        shifted[index] += 1e-30j
        columns.append(np.imag(function(shifted)) / 1e-30)
    return np.array(columns).reshape(*at.shape, *columns[0].shape)


def numeric_derivative(function: Callable[[Array], Array], at: Array, width: float) -> Array:
    """Central differences of function(at), shape at.shape + value.shape; cost 2 calls a number."""
    columns = []
    for index in np.ndindex(at.shape):
        shift = np.zeros_like(at)
        shift[index] = width
        columns.append((function(at + shift) - function(at - shift)) / (2 * width))
    return np.array(columns).reshape(*at.shape, *columns[0].shape)
