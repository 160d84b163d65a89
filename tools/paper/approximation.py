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
    ANBN: (Setup(ANBN, 8, 200_000, 50_000), FILTERS),
    BRACKETS: (Setup(BRACKETS, 8, 150_000, 50_000), ("kalman_quasi",)),
    SENSOR: (Setup(SENSOR, 8, 20_000, 10_000), FILTERS),
}
FROZEN = "frozen"


def measure(runs: Runs) -> Data:
    """Both estimators with each filter, and a learner whose recurrent weights stand still."""
    found: Data = {}
    for name, (setup, filters) in SETUPS.items():
        grids = {
            f"{estimator}, {kind}": rates(STREAMS[name], estimator=estimator, filter=kind)
            for kind in filters
            for estimator in ESTIMATORS
        }
        grids[FROZEN] = [Ours.of(estimator="frozen")]
        found[name] = runs.tuned(setup, grids)
    return found


def kept(data: Data, task: str, kind: str) -> float:
    """What nobacktrack reaches of the way that rtrl goes from the frozen learner's loss."""
    exact, random = (median(data[task][f"{one}, {kind}"]["losses"]) for one in ESTIMATORS)
    frozen = median(data[task][FROZEN]["losses"])
    return (frozen - random) / (frozen - exact)


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
    return table(header, rows)


CLAIM = Claim("approximation", measure, text, KERNEL)
