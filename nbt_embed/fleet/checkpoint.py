"""The checkpoint of a job."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbt_embed.errors import CheckpointError
from nbt_embed.fleet.columns import SCHEMA, TEXT, Columns, columns_of
from nbt_embed.fleet.devices import Devices

_DIGEST = 16  # bytes of the checksum of everything after them


@dataclass(frozen=True)
class Checkpoint:
    """The progress of a job.

    Attributes: finished, results of its first devices, None without any; devices, the number of
    these; fed, their rows; learners, those of the next device, None before its first row.
    """

    finished: Columns | None
    devices: int
    fed: int
    learners: Devices | None

    def to_bytes(self, whose: str) -> bytes:
        """Return the checkpoint as bytes with a checksum.

        Args: whose, the job to which they belong.
        Errors: CheckpointError (a learner with a number that is not finite).
        """
        learners = self.learners.to_bytes() if self.learners else b""
        arrays: dict[str, Any] = {
            "whose": np.array(whose),
            "counts": np.array([self.devices, self.fed], np.int64),
            "learners": np.frombuffer(learners, np.uint8),
        }
        for name, values in (self.finished or {}).items():
            arrays[f"column_{name}"] = values.astype(np.str_) if name in TEXT else values
        file = io.BytesIO()
        np.savez(file, **arrays)
        data = file.getvalue()
        return _digest(data) + data

    @classmethod
    def from_bytes(cls, data: bytes, whose: str) -> Checkpoint:
        """Read a checkpoint. Errors: CheckpointError (damaged, or of another job)."""
        digest, data = data[:_DIGEST], data[_DIGEST:]
        if digest != _digest(data):
            raise CheckpointError(f"{len(data)} bytes of a job: damaged")
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            if str(kept["whose"]) != whose:
                raise CheckpointError(f"it is of {kept['whose']}")
            devices, fed = kept["counts"].tolist()
            learners = kept["learners"].tobytes()
            columns = {name: kept[f"column_{name}"] for name in SCHEMA} if devices else None
        finished = columns_of(columns) if columns else None
        return cls(finished, devices, fed, Devices.from_bytes(learners) if learners else None)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()
