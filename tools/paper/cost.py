"""Claim: cost and memory are linear in the parameters and do not grow along the stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nbt_embed import Learner
from tools.bench.clock import Spread, seconds, times_for
from tools.paper.claim import KERNEL, Claim, Data, table
from tools.paper.runs import Runs
from tools.paper.statistics import power

CELLS = ("gated", "lstm")
# Exact differentiation is refused above 16 MiB, and takes milliseconds per step before.
WIDTHS = {"nobacktrack": (4, 8, 16, 32, 64, 128, 256), "rtrl": (4, 8, 16, 32, 64)}
FITTED = 32  # units from which on the exponents are taken
INPUTS, OUTPUTS = 4, 1
ROUNDS, LEAST = 5, 0.02  # of each timing; seconds
LONG, PIECES, LONG_WIDTH = 2_000_000, 20, 16


@dataclass(frozen=True)
class Size:
    """A learner's size and what a step of it takes.

    parameters (of network and readout), bytes (all that is held), nanoseconds (a predict and learn:
    median and range over ROUNDS).
    """

    cell: str
    estimator: str
    hidden: int
    parameters: int
    bytes: int
    nanoseconds: tuple[float, float, float]


def _stream(steps: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).standard_normal((steps, INPUTS)).astype(np.float32)
    return x, x[:, :OUTPUTS].copy()


def size(cell: str, estimator: str, hidden: int) -> Size:
    """Measure one learner: one lag, the network alone, so that nothing else takes its share."""
    given: dict[str, Any] = {
        "cell": cell,
        "estimator": estimator,
        "head": 0,
        "lags": 1,
        "follow": False,
    }
    learner = Learner(INPUTS, OUTPUTS, hidden=hidden, **given)
    held = {name: learner.array(name).size for name in ("theta", "readout")}
    most = 20_000
    x, y = _stream(most)
    steps = times_for(lambda n: learner.run(x[:n], y[:n], horizon=0), LEAST, most)
    taken = [
        1e9 * seconds(lambda: learner.run(x[:steps], y[:steps], horizon=0)) / steps
        for _ in range(ROUNDS)
    ]
    found = Spread.of(taken)
    return Size(
        cell,
        estimator,
        hidden,
        sum(held.values()),
        learner.memory.total,
        (found.median, found.low, found.high),
    )


def along_the_stream() -> Data:
    """Nanoseconds per step in every piece of a long stream, and the bytes at its ends."""
    learner = Learner(INPUTS, OUTPUTS, hidden=LONG_WIDTH, estimator="nobacktrack")
    before = learner.memory.total
    x, y = _stream(LONG // PIECES)
    learner.run(x[:1000], y[:1000], horizon=0)  # the caches are warm
    piece = LONG // PIECES
    taken = [1e9 * seconds(lambda: learner.run(x, y, horizon=0)) / piece for _ in range(PIECES)]
    return {"piece": piece, "nanoseconds": taken, "bytes": [before, learner.memory.total]}


def measure(_runs: Runs) -> Data:
    """All sizes, on this process alone."""
    sizes = [
        size(cell, estimator, hidden)
        for cell in CELLS
        for estimator, widths in WIDTHS.items()
        for hidden in widths
    ]
    return {"sizes": [asdict(one) for one in sizes], "long": along_the_stream()}


def exponents(sizes: Sequence[Data]) -> dict[str, float]:
    """Exponents in the number of parameters of time and bytes, from FITTED units on."""
    large = [one for one in sizes if one["hidden"] >= FITTED]
    x = [one["parameters"] for one in large]
    return {
        "time": power(x, [one["nanoseconds"][0] for one in large]),
        "bytes": power(x, [one["bytes"] for one in large]),
    }


def series(data: Data) -> dict[str, list[Data]]:
    """The sizes of each cell and estimator."""
    return {
        f"{cell}, {estimator}": [
            one for one in data["sizes"] if (one["cell"], one["estimator"]) == (cell, estimator)
        ]
        for cell in CELLS
        for estimator in WIDTHS
    }


def text(data: Data) -> str:
    """Tables of sizes and exponents, and a sentence about length."""
    rows = []
    for name, sizes in series(data).items():
        found = exponents(sizes)
        first, last = sizes[0], sizes[-1]
        rows.append(
            (
                name,
                f"{first['hidden']} to {last['hidden']}",
                f"{first['parameters']:,} to {last['parameters']:,}",
                f"{first['nanoseconds'][0]:,.0f} to {last['nanoseconds'][0]:,.0f}",
                f"{first['bytes']:,} to {last['bytes']:,}",
                f"{found['time']:.2f}",
                f"{found['bytes']:.2f}",
            )
        )
    header = (
        "cell, estimator",
        "units",
        "parameters",
        "ns per step",
        "bytes",
        "exponent of time",
        "exponent of bytes",
    )
    long = data["long"]
    taken = long["nanoseconds"]
    half = len(taken) // 2
    early, late = float(np.median(taken[:half])), float(np.median(taken[half:]))
    before, after = long["bytes"]
    return "\n\n".join(
        [
            table(header, rows),
            f"Over {long['piece'] * len(taken):,} steps of {LONG_WIDTH} gated units: "
            f"{early:,.0f} ns per step in the first half, {late:,.0f} in the second "
            f"({late / early:.3f} times; medians of pieces of {long['piece']:,}); {before:,} bytes "
            f"before the first step, {after:,} after the last.",
        ]
    )


CLAIM = Claim("cost", measure, text, (*KERNEL, "tools/paper/statistics.py"))
