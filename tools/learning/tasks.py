"""The tasks: symbol streams and chaotic series, each defined here and nowhere else.

Sources: a^n b^n and distant brackets as in Ollivier, Tallec and Charpiat 2015 (arXiv 1507.07680),
section on experiments; Mackey and Glass 1977; Lorenz 1963; Henon 1976.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class SymbolTask:
    """Predict the next symbol: make(length, seed) gives the text.

    floor is its entropy rate, blind the best that a reader can reach who does not remember letters
    (None where that has no simple value), both in bits per symbol. dependency is how many symbols
    lie between a cause and its last effect.
    """

    name: str
    n_symbols: int
    floor: float
    blind: float | None
    dependency: int
    make: Callable[[int, int], IntArray]
    block = 10_000


@dataclass(frozen=True)
class SeriesTask:
    """Forecast a series `horizon` steps ahead: make(length, seed) gives it, shape (length, 1)."""

    name: str
    horizon: int
    make: Callable[[int, int], Float64Array]
    block = 1_000


Task = SymbolTask | SeriesTask


def anbn(length: int, seed: int, most: int = 32) -> IntArray:
    """Lines of n times a (0), newline (2), n times b (1), newline; n uniform in 1..most."""
    rng = np.random.default_rng(seed)
    text: list[int] = []
    while len(text) < length:
        n = int(rng.integers(1, most + 1))
        text += [0] * n + [2] + [1] * n + [2]
    return np.array(text[:length])


def brackets(length: int, seed: int, s: int = 1, k: int = 5, alphabet: int = 10) -> IntArray:
    """Lines of [ s letters ] k letters [ the same s letters ] newline."""
    rng = np.random.default_rng(seed)
    opening, closing, newline = alphabet, alphabet + 1, alphabet + 2
    text: list[int] = []
    while len(text) < length:
        inside, between = (rng.integers(0, alphabet, n).tolist() for n in (s, k))
        text += [opening, *inside, closing, *between, opening, *inside, closing, newline]
    return np.array(text[:length])


def lorenz(length: int, seed: int) -> Float64Array:
    """The x coordinate (sigma 10, rho 28, beta 8/3), 0.05 time units per sample, Runge-Kutta 4.

    In plain floats: an array of three numbers is ten times slower to work with than they are.
    """

    def slope(x: float, y: float, z: float) -> tuple[float, float, float]:
        return 10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z

    start = np.array([1.0, 1.0, 25.0]) + np.random.default_rng(seed).normal(size=3)
    x, y, z = start.tolist()
    skip, dt, out = 200, 0.0125, []
    for _ in range(skip + length):
        for _ in range(4):
            ax, ay, az = slope(x, y, z)
            bx, by, bz = slope(x + dt / 2 * ax, y + dt / 2 * ay, z + dt / 2 * az)
            cx, cy, cz = slope(x + dt / 2 * bx, y + dt / 2 * by, z + dt / 2 * bz)
            ex, ey, ez = slope(x + dt * cx, y + dt * cy, z + dt * cz)
            x += dt / 6 * (ax + 2 * bx + 2 * cx + ex)
            y += dt / 6 * (ay + 2 * by + 2 * cy + ey)
            z += dt / 6 * (az + 2 * bz + 2 * cz + ez)
        out.append(x)
    return np.array(out[skip:])[:, np.newaxis]


def mackey_glass(length: int, seed: int) -> Float64Array:
    """Delay 17, beta 0.2, gamma 0.1, exponent 10; Euler steps of 0.1, one sample a time unit."""
    delay, skip = 170, 3000
    x = (1.2 + 0.1 * np.random.default_rng(seed).normal(size=delay + 1)).tolist()
    for _ in range(skip + 10 * length):
        late = x[-1 - delay]
        x.append(x[-1] + 0.1 * (0.2 * late / (1 + late**10) - 0.1 * x[-1]))
    return np.array(x[delay + 1 + skip :: 10][:length])[:, np.newaxis]


def henon(length: int, seed: int) -> Float64Array:
    """The x coordinate, a = 1.4, b = 0.3."""
    x, y = (0.1 * np.random.default_rng(seed).random(2)).tolist()
    out = []
    for _ in range(100 + length):
        x, y = 1 - 1.4 * x * x + y, 0.3 * x
        out.append(x)
    return np.array(out[100:])[:, np.newaxis]


def standardised(z: Float64Array, steps: int = 300) -> Float64Array:
    """Standardise causally, as the learner does: by mean and deviation so far, kept after steps."""
    count = np.arange(1, len(z) + 1)[:, np.newaxis]
    mean = np.cumsum(z, axis=0) / count
    deviation = np.sqrt(np.maximum(np.cumsum(z**2, axis=0) / count - mean**2, 0))
    mean[steps:], deviation[steps:] = mean[steps - 1], deviation[steps - 1]
    return np.asarray((z - mean) / np.where(deviation > 0, deviation, 1))


def _brackets_task(s: int, k: int, alphabet: int) -> SymbolTask:
    """Of 2 s + k + 5 symbols, s + k letters are news to who remembers, 2 s + k to who does not."""
    per_symbol = math.log2(alphabet) / (2 * s + k + 5)
    return SymbolTask(
        f"brackets({s},{k},{alphabet})",
        alphabet + 3,
        (s + k) * per_symbol,
        (2 * s + k) * per_symbol,
        s + k + 2,
        lambda length, seed: brackets(length, seed, s, k, alphabet),
    )


_ALL: tuple[Task, ...] = (
    SymbolTask("anbn(1,32)", 3, 5 / 35, None, 33, anbn),
    _brackets_task(1, 5, 10),
    _brackets_task(1, 12, 10),
    _brackets_task(1, 20, 10),
    SeriesTask("Lorenz", 1, lorenz),
    SeriesTask("Mackey-Glass", 1, mackey_glass),
    SeriesTask("Henon", 1, henon),
    SeriesTask("Lorenz, 10 ahead", 10, lorenz),
    SeriesTask("Mackey-Glass, 10 ahead", 10, mackey_glass),
)
TASKS = {task.name: task for task in _ALL}
