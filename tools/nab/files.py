"""Series with labelled anomaly windows: a folder of CSV files and its ``windows.json``."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from nbt_embed.arrays import Float64Array
from nbt_embed.errors import StreamError

INDEX = "windows.json"
Window = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Series:
    """One sensor over time, with its labelled windows.

    Attributes:
        name: the file's name without category and endings.
        category: what stands before ``__`` or the slash in the index; empty if neither does.
        values: (T,) float64, NaN where a value is missing.
        windows: first and last row of every window, in order and apart from each other.
    """

    name: str
    category: str
    values: Float64Array = field(repr=False)
    windows: tuple[Window, ...]


def load(folder: Path) -> list[Series]:
    """The series that a folder's ``windows.json`` names, in its order.

    The index is an object: CATEGORY__NAME.csv (or CATEGORY/NAME.csv) -> list of [first, last]
    times, both within the window. A file has a header line and the columns ``timestamp`` and
    ``value``; it is plain, or gzipped under the same name with ``.gz``.

    Errors: StreamError names the file and what is wrong with it.
    """
    index = folder / INDEX
    if not index.is_file():
        raise StreamError(f"{index} does not exist: name a folder of series with --data")
    found = []
    for name, windows in json.loads(index.read_text(encoding="utf-8")).items():
        path = next((one for one in (folder / f"{name}.gz", folder / name) if one.is_file()), None)
        if path is None:
            raise StreamError(f"{index} describes {name}, but neither it nor {name}.gz is there")
        times, values = _read(path)
        category, _, short = name.replace("/", "__").rpartition("__")
        rows = tuple(_rows(path, times, window) for window in windows)
        if any(later[0] <= earlier[1] for earlier, later in pairwise(rows)):
            raise StreamError(f"{index}: windows of {name} overlap or are out of order")
        found.append(Series(short.removesuffix(".csv"), category, values, rows))
    return found


def _read(path: Path) -> tuple[np.ndarray, Float64Array]:
    opened = gzip.open if path.suffix == ".gz" else open
    times, values = [], []
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if not {"timestamp", "value"} <= set(reader.fieldnames or ()):
            raise StreamError(f"{path}: expected the columns timestamp and value in its first line")
        for row in reader:
            try:
                times.append(np.datetime64(row["timestamp"], "us"))
                values.append(float(row["value"] or "nan"))
            except (TypeError, ValueError) as error:
                raise StreamError(f"{path}, line {reader.line_num}: {error}") from None
    return np.array(times, "datetime64[us]"), np.array(values, np.float64)


def _rows(path: Path, times: np.ndarray, window: list[str]) -> Window:
    first, last = (np.datetime64(time, "us") for time in window)
    inside = np.flatnonzero((times >= first) & (times <= last))
    if not inside.size:
        raise StreamError(f"{path}: no row lies in the window {first} to {last}; mend {INDEX}")
    return int(inside[0]), int(inside[-1])
