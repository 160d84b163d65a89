"""The measured devices: waves with noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nbt_embed import Config
from nbt_embed.arrays import Float32Array

CONFIG = Config(1, 1, hidden=8)


def wave(device: int, rows: int, start: int = 0) -> Float32Array:
    """Return rows (rows,) of a device, from ``start`` on; every call restarts the noise."""
    noise = np.random.default_rng([device, start]).standard_normal(rows, np.float32)
    angle = np.arange(start, start + rows) / (5 + device % 7) + device
    return np.sin(angle).astype(np.float32) + np.float32(0.1) * noise


def make_waves(path: Path, devices: int, rows: int) -> None:
    """Write (devices, rows) to a .npy file."""
    out = np.lib.format.open_memmap(path, "w+", np.float32, (devices, rows))
    for device in range(devices):
        out[device] = wave(device, rows)
    out.flush()
