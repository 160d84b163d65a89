"""What is promised about speed, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools.bench.clock import Spread

# Least ratio to ours in the headline case.
HEADLINE_RATIOS = {
    "JAX jitted scan, same method": 6.0,
    "NumPy, same method": 50.0,
    "PyTorch LSTMCell, Adam, span 16": 100.0,
    "C, plain loops, same flags": 4.0,
}
# The same to the default learner, `Learner.run`.
USUAL_RATIOS = {
    "river LinearRegression": 50.0,
    "reservoirpy, RLS readout": 30.0,
    "PyTorch GRUCell, Adam, span 1": 150.0,
}
FLAT = 1.5
# Least share of the machine's limit, by the name of a row, from a size on or at that size.
HEADLINE, SHARE, SHARE_FROM = "lstm nobacktrack", 0.6, 256
USUAL, USUAL_SHARES = "default learner", {8: 0.25, 32: 0.55}
SMALL_US, BESIDE_US = 0.6, 2.5
ADDED_US, PINNED_ADDED_US = 1.0, 0.8


@dataclass(frozen=True)
class Bar:
    """One promise."""

    subject: str
    asked: str
    measured: str
    met: bool


def bars(data: dict[str, Any]) -> list[Bar]:
    """All that the data speaks of. A peer that is missing does not meet its bar."""
    return [
        *_peers(data["usual"], USUAL_RATIOS),
        *_peers(data["peers"], HEADLINE_RATIOS),
        *_sizes(data),
        *_small(data),
    ]


def _peers(rows: list[dict[str, Any]], least_of: dict[str, float]) -> Iterator[Bar]:
    for row in rows:
        least = least_of.get(row["peer"])
        if least is None:
            continue
        asked = f">= {least:g} times faster"
        if "missing" in row:
            yield Bar(row["peer"], asked, row["missing"], False)
            continue
        ratio = Spread(**row["ours"][0]["ratio"])
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
        least = _least_share(row)
        if least is not None:
            share = Spread(**row["share"])
            subject = f"share of the machine's limit, {row['name']}, H = {row['hidden']}"
            yield Bar(subject, f">= {least:g}", str(share), share.median >= least)


def _least_share(row: dict[str, Any]) -> float | None:
    if row["name"] == HEADLINE and row["hidden"] >= SHARE_FROM:
        return SHARE
    return USUAL_SHARES.get(row["hidden"]) if row["name"] == USUAL else None


def _small(data: dict[str, Any]) -> Iterator[Bar]:
    for row in data["small"]:
        ns, beside = Spread(**row["ns"]), Spread(**row["headline_ns"])
        met = ns.median < 1e3 * SMALL_US and beside.median < 1e3 * BESIDE_US
        measured = f"{ns} ns; {beside} ns"
        asked = f"< {SMALL_US:g} µs, beside an LSTM of 32 units at < {BESIDE_US:g} µs"
        yield Bar(f"8 gated units, 3 in, 1 out, {row['estimator']}", asked, measured, met)
    for row in data["pairs"]:
        for kind, times, above, most in (
            ("pinned buffers", "pinned_us", "pinned_added_us", PINNED_ADDED_US),
            ("arrays of the caller's", "python_us", "added_us", ADDED_US),
        ):
            added = Spread(**row[above])
            measured = f"{added} µs ({row[times]['median']:.3g} - {row['c_us']['median']:.3g})"
            subject = f"Python pair above two C calls, {row['name']}, {kind}"
            yield Bar(subject, f"<= {most:g} µs", measured, added.median <= most)
