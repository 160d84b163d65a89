"""Claim: replacing the exact derivative by the random one is not detrimental."""

from __future__ import annotations

from tools.paper.claim import KERNEL, Claim, Data, median, spread, table
from tools.paper.methods import Ours, rates
from tools.paper.runs import Runs, Setup
from tools.paper.streams import ANBN, BRACKETS, SENSOR, STREAMS

ESTIMATORS = ("rtrl", "nobacktrack")
FILTERS = ("sgd", "kalman", "kalman_quasi")
# Exact differentiation is what limits the width.
SETUPS = {
    ANBN: (Setup(ANBN, 8, 100_000, 30_000), FILTERS),
    BRACKETS: (Setup(BRACKETS, 8, 60_000, 20_000), ("kalman_quasi",)),
    SENSOR: (Setup(SENSOR, 8, 20_000, 10_000), FILTERS),
}
FROZEN = "frozen"
# How much later the randomness arrives.
LATER = Setup(ANBN, 8, 1_000_000, 100_000)
LATER_NAME = "nobacktrack, kalman_quasi, ten times the symbols"


def measure(runs: Runs) -> Data:
    """Both estimators with each filter, and a learner whose recurrent weights are fixed."""
    found: Data = {}
    for name, (setup, filters) in SETUPS.items():
        grids = {
            f"{estimator}, {kind}": rates(STREAMS[name], estimator=estimator, filter=kind)
            for kind in filters
            for estimator in ESTIMATORS
        }
        grids[FROZEN] = [Ours.of(estimator="frozen")]
        found[name] = runs.tuned(setup, grids)
    grid = rates(STREAMS[ANBN], estimator="nobacktrack", filter="kalman_quasi")
    found[ANBN] |= runs.tuned(LATER, {LATER_NAME: grid})
    return found


def text(data: Data) -> str:
    """A row for every stream and filter."""
    rows = []
    for name, (_, filters) in SETUPS.items():
        for kind in filters:
            exact, random = (data[name][f"{one}, {kind}"] for one in ESTIMATORS)
            ratio = median(random["losses"]) / median(exact["losses"])
            rows.append(
                (
                    f"{name}, {kind}",
                    spread(exact["losses"]),
                    spread(random["losses"]),
                    f"{ratio:.3f}",
                    spread(data[name][FROZEN]["losses"]),
                )
            )
    header = ("stream, filter; 8 units", "rtrl", "nobacktrack", "ratio of medians", FROZEN)
    exact, later = (data[ANBN][name]["losses"] for name in ("rtrl, kalman_quasi", LATER_NAME))
    return "\n\n".join(
        [
            table(header, rows),
            f"`nobacktrack` with `kalman_quasi` on {LATER.samples:,} symbols of {ANBN} ends at "
            f"{spread(later)} bits per symbol, and `rtrl` on a tenth of them at {spread(exact)}.",
        ]
    )


CLAIM = Claim("approximation", measure, text, KERNEL)
