"""Claim of this project: where the successors of the method improve on it, and at what size."""

from __future__ import annotations

from typing import Any

from tools.paper.claim import KERNEL, Claim, Data, spread, table
from tools.paper.methods import Ours, rates
from tools.paper.runs import Runs, Setup
from tools.paper.streams import ANBN, BRACKETS, SENSOR, STREAMS

WIDTHS = (8, 16)
LENGTHS = {ANBN: (300_000, 100_000), BRACKETS: (150_000, 50_000), SENSOR: (20_000, 10_000)}
FROZEN = "frozen"
METHODS: dict[str, dict[str, Any]] = {
    "nobacktrack": {"estimator": "nobacktrack"},
    "residual": {"estimator": "residual"},
    "unitwise": {"estimator": "unitwise"},
    "columnar, head": {"cell": "columnar", "resonators": 0, "estimator": "snap1"},
}


def measure(runs: Runs) -> Data:
    """Every method on every stream at every width."""
    found: Data = {}
    for name, (samples, tail) in LENGTHS.items():
        found[name] = {}
        for hidden in WIDTHS:
            grids = {FROZEN: [Ours.of(estimator="frozen")]}
            for method, settings in METHODS.items():
                own = {"head": hidden // 2} if "head" in method else {}
                grids[method] = rates(STREAMS[name], **settings, **own)
            found[name][str(hidden)] = runs.tuned(Setup(name, hidden, samples, tail), grids)
    return found


def text(data: Data) -> str:
    """A row for every method and width."""
    header = ["method, units"]
    for name in LENGTHS:
        header += [name, "bytes"]
    rows = []
    for hidden in WIDTHS:
        for method in (FROZEN, *METHODS):
            found = [data[name][str(hidden)][method] for name in LENGTHS]
            cells = [cell for one in found for cell in (spread(one["losses"]), f"{one['bytes']:,}")]
            rows.append((f"{method}, {hidden}", *cells))
    return table(header, rows)


CLAIM = Claim("successors", measure, text, KERNEL)
