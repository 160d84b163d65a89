"""The machine's limit for a step, measured in the same rounds as the step itself.

Bytes: the method has to read and write theta, w and P once (24 bytes a parameter; 32 with traces),
and to read the readout's covariance twice and write it once. The bandwidth for them is that of a
plain loop over as many arrays with as many bytes in all, so that it lies in the same cache.
Arithmetic: 23 operations and one division a parameter, in a plain loop over 12 KiB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from tools.bench.clock import Spread, alternate, times_for
from tools.bench.grid import Case, learner_work
from tools.bench.headline import Float32Array
from tools.bench.native import library

TRACES = ("snap1", "residual", "unitwise")
COLS = 64  # of the arithmetic: 16 rows, three arrays


def moved_bytes(case: Case) -> int:
    """Bytes that a kalman step has to read and write."""
    arrays = 4 if case.estimator in TRACES else 3
    triangle = case.cols * (case.cols + 1) // 2
    return 8 * arrays * case.rows * case.cols + 12 * triangle


def footprint(case: Case) -> int:
    """Bytes that they lie in."""
    arrays = 4 if case.estimator in TRACES else 3
    triangle = case.cols * (case.cols + 1) // 2
    return 4 * (arrays * case.rows * case.cols + triangle)


def aligned(values: Float32Array) -> Float32Array:
    """The same values, from a cache line on."""
    raw = np.empty(values.nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    out = raw[start : start + values.nbytes].view(np.float32)
    out[:] = values
    return out


def mover(case: Case) -> tuple[Callable[[int], None], int]:
    """A loop over the footprint, and the bytes that it reads and writes in one pass."""
    ffi, lib = library("limit")
    arrays = 4 if case.estimator in TRACES else 3
    n = footprint(case) // (4 * arrays)
    held = [aligned(np.full(n, 0.5 + k, np.float32)) for k in range(arrays)]
    pointers = [ffi.from_buffer("float[]", array) for array in held]
    pointers += [pointers[0]] * (4 - len(pointers))
    return lambda passes: lib.limit_move(*pointers, arrays, n, passes), 8 * arrays * n


def computer() -> tuple[Callable[[int], None], int]:
    """The arithmetic of a step on data in L1, and the parameters of one pass."""
    ffi, lib = library("limit")
    rng = np.random.default_rng(0)
    sizes = (16 * COLS, 16 * COLS, 16 * COLS, COLS, COLS, COLS)
    held = [aligned(rng.random(n, np.float32) + np.float32(0.5)) for n in sizes]
    pointers = [ffi.from_buffer("float[]", array) for array in held]
    return lambda passes: lib.limit_compute(*pointers, COLS, passes), 16 * COLS


def sweeper(case: Case) -> Callable[[int], None]:
    """work(n): n passes of the kernel's sweep over matrices of this size, and nothing else."""
    ffi, lib = library("sweep")
    n = case.rows * case.cols
    matrices = [aligned(np.full(n, value, np.float32)) for value in (0.1, 0.1, 0.1, 1.0)]
    vector = np.full(case.rows + 2 * case.cols, 1e-3, np.float32)
    sums = np.zeros(9 * case.rows, np.float32)
    theta, w, g, cov, small, out = (
        ffi.from_buffer("float[]", array) for array in (*matrices, vector, sums)
    )
    g = g if case.estimator in TRACES else ffi.NULL
    sizes = case.rows, case.cols, case.hidden
    return lambda passes: lib.sweep_passes(theta, w, g, cov, small, out, *sizes, passes)


def measure(case: Case, rounds: int, least: float = 0.01) -> dict[str, Any]:
    """Both limits, the sweep and the step, in turns. Times in microseconds a step."""
    parameters = case.rows * case.cols
    move, bytes_moved = mover(case)
    compute, computed = computer()
    work = learner_work(case)
    works = (work, move, compute, sweeper(case))
    counts = [times_for(one, least, 1_000_000) for one in works]
    calls = [lambda one=one, n=n: one(n) for one, n in zip(works, counts, strict=True)]
    step, passed, done, swept = (
        [1e6 * one / n for one in times]
        for times, n in zip(alternate(calls, rounds), counts, strict=True)
    )
    by_bytes = [moved_bytes(case) / bytes_moved * one for one in passed]
    by_arithmetic = [parameters / computed * one for one in done]
    shares = [max(one) / taken for *one, taken in zip(by_bytes, by_arithmetic, step, strict=True)]
    rest = [1 - one / taken for one, taken in zip(swept, step, strict=True)]
    return {
        **asdict(case),
        "parameters": parameters,
        "footprint_bytes": footprint(case),
        "moved_bytes": moved_bytes(case),
        "step_us": asdict(Spread.of(step)),
        "bytes_us": asdict(Spread.of(by_bytes)),
        "arithmetic_us": asdict(Spread.of(by_arithmetic)),
        "gigabytes_per_second": bytes_moved / float(np.median(passed)) / 1e3,
        "share": asdict(Spread.of(shares)),
        "sweep_us": asdict(Spread.of(swept)),
        "rest": asdict(Spread.of(rest)),
    }
