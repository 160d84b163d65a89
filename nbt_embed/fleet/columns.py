"""Results as columns: one row per device, setting and horizon (docs/guide/fleet.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed._kernel_config import GUARDS

Columns = dict[str, NDArray[Any]]
"""Name of a column -> its values, (rows,), or (rows, n_target) if there is one per target."""

SCHEMA: dict[str, type[np.generic]] = {
    "device": np.int64,
    "name": np.object_,
    "setting": np.object_,
    "seed": np.uint64,
    "horizon": np.int64,
    "rows": np.int64,
    "rows_scored": np.int64,
    "rmse": np.float64,
    "nrmse": np.float64,
    "rmse_per_target": np.float64,
    "last_rmse": np.float64,
    "last_rmse_per_target": np.float64,
    "relative_error": np.float64,
    "bits": np.float64,
    "memory_bytes": np.int64,
    **dict.fromkeys(GUARDS, np.int64),
    "diverged": np.bool_,
    "error": np.object_,
    "hash": np.uint64,
}
"""Type of every column, in order (meanings: docs/guide/fleet.md)."""

TEXT = tuple([name for name, kind in SCHEMA.items() if kind is np.object_])
"""Columns of text, with values of type ``str``."""

PER_TARGET = ("rmse_per_target", "last_rmse_per_target")
"""Columns with one value per target."""


def readable(name: str) -> str:
    """Return the name as text for a file: bytes of a file name that are not UTF-8 become "?"."""
    return name.encode(errors="replace").decode()


def columns_of(values: dict[str, Any]) -> Columns:
    """Return the values as columns, in the schema's order and types."""
    return {name: np.asarray(values[name], kind) for name, kind in SCHEMA.items()}


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the rows of all parts, in order."""
    return {name: np.concatenate([part[name] for part in parts]) for name in SCHEMA}
