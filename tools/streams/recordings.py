"""Recorded streams and the tasks made of them: one target, some horizons, a first scored row."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbt_embed.app.reading import ReadOptions, read
from nbt_embed.errors import StreamError
from nbt_embed.streams import Stream

INDEX = "streams.json"


@dataclass(frozen=True)
class Task:
    """Forecast one column of a recording some rows ahead, from all of its columns.

    Attributes:
        path: the recording, a CSV file, plain or gzipped.
        target: the column that is forecast.
        horizon: rows between a forecast and its target, from 1.
        start: first target row that is scored.
        reference: nRMSE of other learners as the index file gives them, by name.
    """

    path: Path
    target: str
    horizon: int
    start: int
    reference: tuple[tuple[str, float], ...] = ()

    @property
    def recording(self) -> str:
        """The file's name without its endings."""
        return self.path.name.split(".")[0]

    @property
    def name(self) -> str:
        """Recording and horizon."""
        return f"{self.recording}, {self.horizon} ahead"

    @cached_property
    def fingerprint(self) -> str:
        """What the result depends on: the file's contents, the target and the first scored row."""
        digest = hashlib.sha256(self.path.read_bytes())
        digest.update(f"{self.target} {self.horizon} {self.start}".encode())
        return digest.hexdigest()[:16]

    def stream(self) -> Stream:
        """The recording with every column as input and the target alone as target."""
        with read([self.path], ReadOptions(targets=(self.target,))) as recording:
            return recording.stream()


def tasks(folder: Path) -> list[Task]:
    """The tasks that a folder's ``streams.json`` describes, in its order.

    The file is an object. Under the name of every recording (NAME.csv.gz or NAME.csv) it holds
    ``target`` (a column), ``horizons`` (rows) and ``start`` (a row). Optionally it also holds
    ``reference``: for every horizon the nRMSE of other learners by name.

    Errors: StreamError if the index or a recording is missing, or a key is.
    """
    index = folder / INDEX
    if not index.is_file():
        raise StreamError(f"{index} does not exist: name a folder of recordings with --data")
    found = []
    for name, entry in json.loads(index.read_text(encoding="utf-8")).items():
        paths = [
            path for ending in (".csv.gz", ".csv") if (path := folder / f"{name}{ending}").is_file()
        ]
        if not paths:
            raise StreamError(f"{index} describes {name}, but {name}.csv.gz is not in its folder")
        for key in ("target", "horizons", "start"):
            if key not in entry:
                raise StreamError(f"{index}: {name} has no {key!r}")
        for horizon in entry["horizons"]:
            reference = entry.get("reference", {}).get(str(horizon), {})
            found.append(
                Task(paths[0], entry["target"], horizon, entry["start"], tuple(reference.items()))
            )
    return found
