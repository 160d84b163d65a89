"""What is promised about speed, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools.bench.clock import Spread

# Least ratio to ours in the headline case.
RATIOS = {
    "JAX jitted scan, same method": 6.0,
    "NumPy, same method": 50.0,
    "PyTorch LSTMCell, Adam, span 16": 100.0,
    "C, plain loops, same flags": 4.0,
}
FLAT = 1.5
HEADLINE = ("lstm", "nobacktrack")
SHARE = 0.6
SHARE_FROM = 256
SMALL_US, BESIDE_US = 0.6, 2.5
ADDED_US = 0.8


@dataclass(frozen=True)
class Bar:
    """One promise."""

    subject: str
    asked: str
    measured: str
    met: bool


def bars(data: dict[str, Any]) -> list[Bar]:
    """All that the data speaks of. A peer that is missing does not meet its bar."""
    return [*_peers(data["peers"]), *_sizes(data), *_small(data)]


def _peers(rows: list[dict[str, Any]]) -> Iterator[Bar]:
    for row in rows:
        least = RATIOS.get(row["peer"])
        if least is None:
            continue
        asked = f">= {least:g} times faster"
        if "missing" in row:
            yield Bar(row["peer"], asked, row["missing"], False)
            continue
        ratio = Spread(**row["ratio"])
        yield Bar(row["peer"], asked, f"{ratio} times", ratio.median >= least)


def _sizes(data: dict[str, Any]) -> Iterator[Bar]:
    flat = data["flat"]
    ratio, sizes = Spread(**flat["ratio"]), flat["hidden"]
    yield Bar(
        f"ns per parameter, LSTM, H = {sizes[0]} to {sizes[-1]}",
        f"within {FLAT:g} times of each other",
        f"{ratio} times",
        ratio.median <= FLAT,
    )
    for row in data["limits"]:
        if (row["cell"], row["estimator"]) == HEADLINE and row["hidden"] >= SHARE_FROM:
            share = Spread(**row["share"])
            subject = f"share of the machine's limit, LSTM, H = {row['hidden']}"
            yield Bar(subject, f">= {SHARE:g}", str(share), share.median >= SHARE)


def _small(data: dict[str, Any]) -> Iterator[Bar]:
    for row in data["small"]:
        ns, beside = Spread(**row["ns"]), Spread(**row["headline_ns"])
        met = ns.median < 1e3 * SMALL_US and beside.median < 1e3 * BESIDE_US
        measured = f"{ns} ns; {beside} ns"
        asked = f"< {SMALL_US:g} µs, beside an LSTM of 32 units at < {BESIDE_US:g} µs"
        yield Bar(f"8 gated units, 3 in, 1 out, {row['estimator']}", asked, measured, met)
    for row in data["pairs"]:
        for kind, times, above in (
            ("pinned buffers", "pinned_us", "pinned_added_us"),
            ("arrays of the caller's", "python_us", "added_us"),
        ):
            added = Spread(**row[above])
            measured = f"{added} µs ({row[times]['median']:.3g} - {row['c_us']['median']:.3g})"
            subject = f"Python pair above two C calls, {row['estimator']}, {kind}"
            yield Bar(subject, f"<= {ADDED_US:g} µs", measured, added.median <= ADDED_US)
