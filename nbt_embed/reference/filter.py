"""The filter of readout and parameters: docs/design.md, section 3."""

from __future__ import annotations

import numpy as np

from nbt_embed.reference.arrays import Array


def shared_step(F: Array, M: Array, t: Array) -> Array:
    """Step in output space (O), x = F (I + F^T M F)^-1 t, common to both blocks."""
    return np.asarray(F @ np.linalg.solve(np.eye(t.size) + F.T @ M @ F, t))


def covariance_step(P: Array, information: Array, rate: float, floor: float) -> Array:
    """P <- P / ((1 - gamma) + gamma P (information + delta)), elementwise."""
    return P / ((1 - rate) + rate * P * (information + floor))


def turn(label: int) -> int:
    """Whose turn it is at a label, 0 or 1, by Thue and Morse: the parity of its number's bits."""
    return bin(label).count("1") % 2


def of_turn(shape: tuple[int, ...], label: int, n_units: int | None = None) -> Array:
    """1 where the variances of theta (R, D) have their turn at a label, else 0.

    A label moves those of the even columns or of the odd ones, with twice the rate; those of the
    even or odd gates where the gates of n_units units see their own unit only.
    """
    rows, cols = shape
    if n_units is None:
        place = np.broadcast_to(np.arange(cols), shape)
    else:
        place = np.broadcast_to(np.arange(rows)[:, None] // n_units, shape)
    return np.asarray(place % 2 == turn(label))


def of_head_turn(shape: tuple[int, ...], label: int) -> Array:
    """The same of the head (Q, Z): the first half of the columns, middle included, or the rest."""
    cols = shape[-1]
    return np.broadcast_to((np.arange(cols) < (cols + 1) // 2) == (turn(label) == 0), shape)


def prior_lift(noise: Array) -> float:
    """1 / mean noise, from 1 to 1e8: the prior in units of the target instead of the noise."""
    return float(1 / np.clip(noise.mean(), 1e-8, 1.0))


def noise_step(noise: Array, error: Array, c: float, count: Array, rate: float) -> Array:
    """r_o <- r_o + max(rate, 1 / (n + 1)) (e_o^2 / (1 + c) - r_o) for the n-th label, n counted."""
    k = np.maximum(rate, 1.0 / (count + 1.0))
    return np.asarray(np.maximum(noise + k * (error**2 / (1 + c) - noise), 1e-8))
