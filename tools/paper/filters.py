"""Claim: the estimate serves a plain gradient step, and better a light Kalman filter."""

from __future__ import annotations

from tools.paper.claim import KERNEL, Claim, Data, spread, table
from tools.paper.methods import Ours, rates
from tools.paper.runs import Runs, Setup
from tools.paper.streams import ANBN, SENSOR, STREAMS

SETUPS = (Setup(ANBN, 16, 300_000, 100_000), Setup(SENSOR, 16, 20_000, 10_000))
UNITS = {ANBN: "bits per symbol", SENSOR: "squared error / variance"}
VARIANTS = {
    "sgd (Euclidean)": {"filter": "sgd"},
    "kalman, norm euclidean": {"filter": "kalman", "norm": "euclidean"},
    "kalman, norm metric": {"filter": "kalman", "norm": "metric"},
    "kalman_quasi, norm euclidean": {"filter": "kalman_quasi", "norm": "euclidean"},
    "kalman_quasi, norm metric": {"filter": "kalman_quasi", "norm": "metric"},
}
FROZEN = "recurrent weights frozen"


def measure(runs: Runs) -> Data:
    """Every variant on both streams, and what their readouts do alone."""
    found: Data = {}
    for setup in SETUPS:
        task = STREAMS[setup.task]
        grids = {
            name: rates(task, estimator="nobacktrack", **settings)
            for name, settings in VARIANTS.items()
        }
        grids[f"sgd, {FROZEN}"] = rates(task, estimator="frozen", filter="sgd")
        grids[f"kalman, {FROZEN}"] = [Ours.of(estimator="frozen")]
        found[setup.task] = runs.tuned(setup, grids)
    return found


def text(data: Data) -> str:
    """A table, a column a stream."""
    names = list(data[ANBN])
    rows = [
        (
            name,
            *(
                cell
                for task in UNITS
                for cell in (spread(data[task][name]["losses"]), data[task][name]["chosen"])
            ),
        )
        for name in names
    ]
    header = ["nobacktrack, 16 units"]
    for task, unit in UNITS.items():
        header += [f"{task}: {unit}", "chosen rate"]
    return table(header, rows)


CLAIM = Claim("filters", measure, text, KERNEL)
