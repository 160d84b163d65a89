"""Fingerprints of samples: text that changes when the samples do."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import float32
from nbt_embed.streams import Stream

_EDGE = 1 << 20  # bytes hashed at each end of a large file


def file_print(path: str | Path) -> str:
    """Return a file's size, time, and a hash of its ends, which change when it is written."""
    state = Path(path).stat()
    digest = hashlib.blake2b(digest_size=8)
    with Path(path).open("rb") as file:
        digest.update(file.read(_EDGE))
        if state.st_size > _EDGE:
            file.seek(-_EDGE, 2)
            digest.update(file.read(_EDGE))
    return f"{state.st_size} {state.st_mtime_ns} {digest.hexdigest()}"


def array_print(array: NDArray[Any]) -> str:
    """Return a hash of all samples; takes about a second per gigabyte."""
    digest = hashlib.blake2b(f"{array.shape} {array.dtype}".encode(), digest_size=16)
    for device in range(len(array)):
        digest.update(float32("streams", array[device]).data)
    return digest.hexdigest()


def stream_print(stream: Stream) -> str:
    """Return a hash of all samples of a stream."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (stream.inputs, stream.targets):
        digest.update(f"{part.shape}".encode())
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
