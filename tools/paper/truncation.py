"""Claim: truncated backpropagation is beaten where dependencies outlast its span."""

from __future__ import annotations

from tools.learning.tasks import SymbolTask
from tools.paper.claim import KERNEL, Claim, Data, median, spread, table
from tools.paper.methods import Method, rates, truncated
from tools.paper.runs import Runs, Setup, chosen
from tools.paper.streams import ANBN, BRACKETS, STREAMS

SETUPS = (Setup(ANBN, 16, 300_000, 100_000), Setup(BRACKETS, 16, 150_000, 50_000))
# The best of ours and of each span once more, with the rates of SETUPS, on a longer stream.
LONGER = Setup(ANBN, 16, 1_000_000, 100_000)
BEST = "nobacktrack, kalman_quasi"
SPANS = {ANBN: (16, 32, 64), BRACKETS: (2, 4, 16)}
OURS = {
    "nobacktrack, sgd": {"filter": "sgd"},
    "nobacktrack, kalman": {"filter": "kalman"},
    BEST: {"filter": "kalman_quasi"},
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
        if setup.task == LONGER.task:
            names = (BEST, *(best(found, ANBN, span) for span in SPANS[ANBN]))
            same = {name: chosen(grids[name], found[ANBN][name]) for name in names}
            found["longer"] = runs.tuned(LONGER, same)
    return found


def best(data: Data, task: str, span: int) -> str:
    """The name of the optimiser's run that ends lower."""
    names = [_name(span, adam) for adam in (False, True)]
    return min(names, key=lambda name: median(data[task][name]["losses"]))


def text(data: Data) -> str:
    """A table for each stream, and which spans have a higher loss."""
    parts = []
    for setup in SETUPS:
        task, found = STREAMS[setup.task], data[setup.task]
        assert isinstance(task, SymbolTask)
        longer = data["longer"] if setup.task == LONGER.task else {}
        rows = [
            (
                name,
                f"{row['bytes']:,}",
                row["chosen"],
                spread(row["losses"]),
                *([spread(longer[name]["losses"]) if name in longer else ""] if longer else []),
            )
            for name, row in found.items()
        ]
        blind = "" if task.blind is None else f", without memory {task.blind:.3f}"
        floor = f"entropy rate {task.floor:.3f}{blind}"
        header = [
            f"{setup.task}, {setup.hidden} units, a dependency over {task.dependency} symbols",
            "bytes",
            "chosen rate",
            f"bits per symbol, last {setup.tail:,} of {setup.samples:,} ({floor})",
        ]
        header += [f"of {LONGER.samples:,}"] if longer else []
        parts += [table(header, rows), *_verdicts(data, setup.task)]
    return "\n\n".join(parts)


def _verdicts(data: Data, task: str) -> list[str]:
    """Which spans end at a higher loss than ours, also on the longer stream."""
    names = {span: best(data, task, span) for span in SPANS[task]}
    said = [_verdict(data[task], names, "")]
    if task == LONGER.task:
        said.append(_verdict(data["longer"], names, f"After {LONGER.samples:,} symbols "))
    return said


def _verdict(found: Data, names: dict[int, str], when: str) -> str:
    level = median(found[BEST]["losses"])
    theirs = {span: median(found[name]["losses"]) for span, name in names.items()}
    beaten = [str(span) for span, loss in theirs.items() if level < loss]
    others = [str(span) for span, loss in theirs.items() if level > loss]
    parts = [f"a lower loss than span {', '.join(beaten)}"] if beaten else []
    parts += [f"a higher loss than span {', '.join(others)}"] if others else []
    return f"{when}`{BEST}` ({level:.4g} bits) has {' and '.join(parts)}."


BASELINE = ("tools/paper/backpropagation.py", "tools/paper/bptt.[ch]")
CLAIM = Claim("truncation", measure, text, (*KERNEL, *BASELINE))
