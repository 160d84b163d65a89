"""Samples in time order, as read from a file or an array.

A stream is read once, in order. NaN means missing, both in inputs and in targets. Files are read by
``nbt_embed.app.reading``; ``nbt_embed.simulation`` makes a stream that needs no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from nbt_embed._html import html_table
from nbt_embed.arrays import Float32Array, float32
from nbt_embed.errors import InputError


@dataclass(frozen=True, eq=False)
class Stream:
    """Samples in time order.

    Attributes:
        inputs: (T, n_in) float32, the source's own units, NaN where missing.
        targets: (T, n_out) float32, the same rows; forecasts of row t with horizon h are compared
            with row t + h.
        input_names: n_in names.
        target_names: n_out names.
    """

    inputs: Float32Array = field(repr=False)
    targets: Float32Array = field(repr=False)
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("inputs", "targets"):  # whoever has masked arrays means missing values
            object.__setattr__(self, name, float32(name, getattr(self, name)))

    def __len__(self) -> int:
        """Rows, T."""
        return len(self.inputs)

    @property
    def n_in(self) -> int:
        """Input channels."""
        return int(self.inputs.shape[1])

    @property
    def n_out(self) -> int:
        """Target channels."""
        return int(self.targets.shape[1])

    @property
    def has_missing_inputs(self) -> bool:
        """Whether a learner needs ``hold_missing=True`` for this stream."""
        return bool(np.isnan(self.inputs).any())

    def _repr_html_(self) -> str:
        rows = {}
        for role in ("input", "target"):
            values, names = getattr(self, f"{role}s"), getattr(self, f"{role}_names")
            for name, column in zip(names, values.T, strict=True):
                known = column[~np.isnan(column)]
                reach = f"{known.min():.4g} to {known.max():.4g}" if len(known) else "nothing"
                rows[f"{role} {name}"] = f"{reach}, {1 - len(known) / len(column):.1%} missing"
        return html_table(f"Stream, {len(self):,} rows", rows)


def from_arrays(
    inputs: ArrayLike,
    targets: ArrayLike | None = None,
    input_names: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
) -> Stream:
    """Stream from arrays.

    Args:
        inputs: (T, n_in), or (T,) for one channel; NaN or masked (``numpy.ma``) means missing.
        targets: (T, n_out) or (T,); None: the inputs themselves.
        input_names: one name per column; None: x1, x2, ...
        target_names: the same; None: y1, y2, ..., or the inputs' names where they are the targets.

    Errors: InputError (shape, rows, infinite values), InputTypeError (not real numbers).
    Cost: O(T (n_in + n_out)), one copy.

    Examples:
        >>> from_arrays([[1, 2], [3, 4]], [5, 6]).target_names
        ('y1',)
    """
    x = _columns("inputs", inputs)
    x_names = _names("input_names", input_names, x.shape[1], "x")
    if targets is None:
        y, y_names = x, x_names
        if target_names is not None:
            y_names = _names("target_names", target_names, y.shape[1], "y")
    else:
        y = _columns("targets", targets)
        y_names = _names("target_names", target_names, y.shape[1], "y")
    if len(x) != len(y):
        raise InputError(
            f"targets has {len(y)} rows and inputs has {len(x)}: pass one target row for each"
        )
    return Stream(x, y, x_names, y_names)


def _columns(name: str, values: ArrayLike) -> Float32Array:
    """A checked float32 copy with one row per sample."""
    table = np.array(float32(name, values), order="C")
    if table.ndim == 1:
        table = table[:, np.newaxis]
    if table.ndim != 2 or 0 in table.shape:
        raise InputError(
            f"{name} has shape {table.shape}: expected (T, channels) with at least one of each"
        )
    bad = np.argwhere(np.isinf(table))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise InputError(
            f"{name}[{row}, {column}] is infinite in float32: expected a finite number, or NaN "
            "for missing"
        )
    return table


def _names(role: str, names: Sequence[str] | None, count: int, letter: str) -> tuple[str, ...]:
    if names is None:
        return tuple([f"{letter}{i + 1}" for i in range(count)])
    if len(names) != count:
        raise InputError(f"{role} has {len(names)} names: expected {count}, one per column")
    return tuple(names)
