"""Claim: truncated backpropagation is beaten where dependencies outlast its span."""

from __future__ import annotations

from tools.learning.tasks import SymbolTask
from tools.paper.claim import KERNEL, Claim, Data, median, spread, table
from tools.paper.methods import Method, rates, truncated
from tools.paper.runs import Runs, Setup
from tools.paper.streams import ANBN, BRACKETS, STREAMS

SETUPS = (Setup(ANBN, 16, 300_000, 100_000), Setup(BRACKETS, 16, 150_000, 50_000))
SPANS = {ANBN: (4, 16, 32, 64), BRACKETS: (2, 4, 16)}
OURS = {
    "nobacktrack, sgd": {"filter": "sgd"},
    "nobacktrack, kalman": {"filter": "kalman"},
    "nobacktrack, kalman_quasi": {"filter": "kalman_quasi"},
}


def _name(span: int, adam: bool) -> str:
    return f"backpropagation, span {span}, {'Adam' if adam else 'SGD'}"


def measure(runs: Runs) -> Data:
    """Both on both streams."""
    found: Data = {}
    for setup in SETUPS:
        task = STREAMS[setup.task]
        grids: dict[str, list[Method]] = {
            name: [*rates(task, estimator="nobacktrack", **settings)]
            for name, settings in OURS.items()
        }
        for span in SPANS[setup.task]:
            for adam in (False, True):
                grids[_name(span, adam)] = [*truncated(span, adam)]
        found[setup.task] = runs.tuned(setup, grids)
    return found


def best(data: Data, task: str, span: int) -> str:
    """The name of the optimiser's run that ends lower."""
    names = [_name(span, adam) for adam in (False, True)]
    return min(names, key=lambda name: median(data[task][name]["losses"]))


def text(data: Data) -> str:
    """A table for each stream, and what beats what."""
    parts = []
    for setup in SETUPS:
        task, found = STREAMS[setup.task], data[setup.task]
        assert isinstance(task, SymbolTask)
        rows = [
            (name, f"{row['bytes']:,}", row["chosen"], spread(row["losses"]))
            for name, row in found.items()
        ]
        blind = "" if task.blind is None else f", without memory {task.blind:.3f}"
        floor = f"entropy rate {task.floor:.3f}{blind}"
        header = (
            f"{setup.task}, {setup.hidden} units, a dependency over {task.dependency} symbols",
            "bytes",
            "chosen",
            f"bits per symbol, last {setup.tail:,} of {setup.samples:,} ({floor})",
        )
        parts += [table(header, rows), _verdict(data, setup.task)]
    return "\n\n".join(parts)


def _verdict(data: Data, task: str) -> str:
    """Which spans the best of ours beats."""
    ours = min(OURS, key=lambda name: median(data[task][name]["losses"]))
    level = median(data[task][ours]["losses"])
    theirs = {span: median(data[task][best(data, task, span)]["losses"]) for span in SPANS[task]}
    beaten = [str(span) for span, loss in theirs.items() if level < loss]
    ahead = [str(span) for span, loss in theirs.items() if level >= loss]
    said = f"`{ours}` ({level:.4g} bits) "
    said += f"is ahead of spans {', '.join(beaten)}" if beaten else "is ahead of no span"
    return said + (f", and behind spans {', '.join(ahead)}." if ahead else ".")


BASELINE = ("tools/paper/backpropagation.py", "tools/paper/bptt.[ch]")
CLAIM = Claim("truncation", measure, text, (*KERNEL, *BASELINE))
