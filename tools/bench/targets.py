"""Targets of speed, each with its measurement."""

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
SMALL_US, SMALL_HEADLINE_US = 0.6, 2.5
ADDED_US, PINNED_ADDED_US = 1.0, 0.8


@dataclass(frozen=True)
class Outcome:
    """A target and the measurement that belongs to it."""

    subject: str
    target: str
    measured: str


def outcomes(data: dict[str, Any]) -> list[Outcome]:
    """Every target whose row is in the data; a missing peer is reported as missing."""
    return [
        *_peers(data["usual"], USUAL_RATIOS),
        *_peers(data["peers"], HEADLINE_RATIOS),
        *_sizes(data),
        *_small(data),
    ]


def _peers(rows: list[dict[str, Any]], least_of: dict[str, float]) -> Iterator[Outcome]:
    for row in rows:
        least = least_of.get(row["peer"])
        if least is None:
            continue
        target = f">= {least:g} times our time"
        if "missing" in row:
            yield Outcome(row["peer"], target, row["missing"])
            continue
        ratio = Spread(**row["ours"][0]["ratio"])
        yield Outcome(row["peer"], target, f"{ratio} times")


def _sizes(data: dict[str, Any]) -> Iterator[Outcome]:
    flat = data["flat"]
    ratio, sizes = Spread(**flat["ratio"]), flat["hidden"]
    yield Outcome(
        f"ns per parameter, LSTM, largest / smallest of H = {sizes[0]} to {sizes[-1]}",
        f"<= {FLAT:g} times",
        f"{ratio} times",
    )
    for row in data["limits"]:
        least = _least_share(row)
        if least is not None:
            share = Spread(**row["share"])
            subject = f"share of the machine's limit, {row['name']}, H = {row['hidden']}"
            yield Outcome(subject, f">= {least:g}", str(share))


def _least_share(row: dict[str, Any]) -> float | None:
    if row["name"] == HEADLINE and row["hidden"] >= SHARE_FROM:
        return SHARE
    return USUAL_SHARES.get(row["hidden"]) if row["name"] == USUAL else None


def _small(data: dict[str, Any]) -> Iterator[Outcome]:
    for row in data["small"]:
        ns, headline = Spread(**row["ns"]), Spread(**row["headline_ns"])
        target = f"< {1e3 * SMALL_US:g} ns; LSTM of 32 units: < {1e3 * SMALL_HEADLINE_US:,g} ns"
        measured = f"{ns} ns; {headline} ns"
        yield Outcome(f"8 gated units, 3 in, 1 out, {row['estimator']}", target, measured)
    for row in data["pairs"]:
        for kind, times, above, most in (
            ("pinned buffers", "pinned_us", "pinned_added_us", PINNED_ADDED_US),
            ("the caller's arrays", "python_us", "added_us", ADDED_US),
        ):
            added = Spread(**row[above])
            measured = f"{added} µs ({row[times]['median']:.3g} - {row['c_us']['median']:.3g})"
            subject = f"Python pair above two C calls, {row['name']}, {kind}"
            yield Outcome(subject, f"<= {most:g} µs", measured)
