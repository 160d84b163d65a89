"""The machine's limit for a step, measured in the same rounds as the step itself.

Bytes: a step changes all that a learner holds but its inputs of before and every second variance:
it has to read and write that once, and the factors of least squares are read twice. The bandwidth
for them is that of a plain loop over as many arrays with as many bytes in all, so that it lies in
the same cache.
Arithmetic: what the equations ask for every parameter, every weight of the head, every entry of a
factor of least squares, and the squashing functions of the units, each in a plain loop over data in
L1 in which nothing has to wait (limit.c).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nbt_embed import Learner, memory_of
from tools.bench.clock import Spread, alternate, times_for
from tools.bench.grid import Case, learner_work
from tools.bench.headline import Float32Array
from tools.bench.native import library

TRACES = ("snap1", "residual", "unitwise")
COLS = 64  # of the arithmetic: 16 rows
SQUASHED = {"tanh": 1, "leaky": 1, "gated": 2, "lstm": 5, "columnar": 2}  # a unit, a step
RESONATOR = 4  # two exponentials, a sine and a cosine


@dataclass(frozen=True)
class Work:
    """What a step has to do: numbers of parameters, weights, entries, and function values."""

    directed: int
    traced: int
    head: int
    factor: int
    squash: int

    @classmethod
    def of(cls, case: Case) -> Work:
        """Of a learner with the filter kalman; a squashing function counts as a tanh."""
        config = case.config
        learner = Learner(config)
        squash = SQUASHED[case.cell] * (config.hidden - case.resonators)
        parameters = case.rows * case.cols
        columns = case.cell == "columnar"
        return cls(
            directed=0 if columns else parameters,
            traced=parameters if columns else 0,
            head=learner.array("head").size if case.head else 0,
            factor=sum(n * (n - 1) // 2 for n in _factors(learner)),
            squash=squash + RESONATOR * case.resonators + case.head,
        )


def _factors(learner: Learner) -> list[int]:
    """Widths of the factors of least squares: of the readout, and of the mixture's forecasts."""
    widths = [learner.array("readout").shape[1]]
    if learner.config.mix_forget:
        widths.append(learner.array("slow").shape[1])
        widths += [learner.array("linear").shape[1]] * learner.config.n_out
    return widths


def footprint(case: Case) -> int:
    """Bytes that a step reads and writes: all but the workspace, old inputs, and the header."""
    memory = memory_of(case.config)
    return memory.total - memory.workspace - memory.ring - memory.header


def moved_bytes(case: Case) -> int:
    """Bytes that a kalman step has to read and write."""
    learner = Learner(case.config)
    variances = learner.array("covariance").size
    variances += learner.array("head_covariance").size if case.head else 0
    triangles = sum(n * (n + 1) // 2 for n in _factors(learner))
    return 2 * footprint(case) + 4 * triangles - 4 * variances // 2


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


# Of every loop of limit.c: its matrices of 16 rows, its vectors.
LOOPS = {"directed": (3, 3), "traced": (3, 1), "head": (2, 1), "factor": (1, 3)}


def computer(part: str) -> tuple[Callable[[int], None], int]:
    """The arithmetic of one part of a step on data in L1, and how many of its units a pass has."""
    ffi, lib = library("limit")
    rng = np.random.default_rng(0)
    if part == "squash":
        values = aligned(rng.random(16 * COLS, np.float32))
        pointer = ffi.from_buffer("float[]", values)
        return lambda passes: lib.limit_squash(pointer, 16 * COLS, passes), 16 * COLS
    matrices, vectors = LOOPS[part]
    held = [
        aligned(rng.random(n, np.float32) + np.float32(0.5))
        for n in [16 * COLS] * matrices + [COLS] * vectors
    ]
    if part == "factor":  # of which the sums stay bounded
        held[2:] = [1e-9 * one for one in held[2:]]
    pointers = [ffi.from_buffer("float[]", array) for array in held]
    loop = getattr(lib, f"limit_{part}")
    return lambda passes: loop(*pointers, COLS, passes), 16 * COLS


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
    """Both limits, the sweep (of a cell that has one) and the step, in turns.

    Times in microseconds per step.
    """
    move, bytes_moved = mover(case)
    needed = {name: n for name, n in asdict(Work.of(case)).items() if n}
    loops = {name: computer(name) for name in needed}
    works = [learner_work(case), move, *(loop for loop, _ in loops.values())]
    if case.cell != "columnar":
        works.append(sweeper(case))
    counts = [times_for(one, least, 1_000_000) for one in works]
    calls = [lambda one=one, n=n: one(n) for one, n in zip(works, counts, strict=True)]
    step, passed, *rest = (
        [1e6 * one / n for one in times]
        for times, n in zip(alternate(calls, rounds), counts, strict=True)
    )
    by_bytes = [moved_bytes(case) / bytes_moved * one for one in passed]
    parts = {
        name: [needed[name] / loops[name][1] * one for one in times]
        for name, times in zip(needed, rest, strict=False)
    }
    by_arithmetic = [sum(times) for times in zip(*parts.values(), strict=True)]
    shares = [max(one) / taken for *one, taken in zip(by_bytes, by_arithmetic, step, strict=True)]
    found = {
        **asdict(case),
        "name": case.name,
        "parameters": case.rows * case.cols,
        "footprint_bytes": footprint(case),
        "moved_bytes": moved_bytes(case),
        "step_us": asdict(Spread.of(step)),
        "bytes_us": asdict(Spread.of(by_bytes)),
        "arithmetic_us": asdict(Spread.of(by_arithmetic)),
        "parts_us": {name: asdict(Spread.of(times)) for name, times in parts.items()},
        "gigabytes_per_second": bytes_moved / float(np.median(passed)) / 1e3,
        "share": asdict(Spread.of(shares)),
    }
    if case.cell != "columnar":
        swept = rest[-1]
        found["sweep_us"] = asdict(Spread.of(swept))
        found["rest"] = asdict(
            Spread.of([1 - one / taken for one, taken in zip(swept, step, strict=True)])
        )
    return found
