"""Measure what the paper claims: ``make paper``.

Ollivier, Tallec and Charpiat 2015, Training recurrent networks online without backtracking, arXiv
1507.07680. Prints a table for every claim, and writes its numbers and its picture into the output
folder; with --document, the tables and the origin of the numbers into docs/paper.md too.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from tools.paper import approximation, cost, derivative, filters, page, successors, truncation
from tools.paper.record import Record
from tools.paper.runs import runs
from tools.sources import ROOT

CLAIMS = {
    claim.name: claim
    for claim in (
        derivative.CLAIM,  # one random direction whose mean is the exact derivative
        filters.CLAIM,  # it serves a gradient step, and better a light Kalman filter
        cost.CLAIM,  # linear in the parameters, constant along the stream
        approximation.CLAIM,  # the randomness is not detrimental
        truncation.CLAIM,  # ahead of truncated backpropagation beyond its span
        successors.CLAIM,  # what was made of it since
    )
}


def main(arguments: list[str] | None = None) -> None:
    """Measure the claims one by one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help=f"of {', '.join(CLAIMS)} (all)")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "paper", help="folder")
    parser.add_argument("--document", type=Path, help="page to put the tables into")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.claims if name not in CLAIMS]
    if unknown:
        parser.error(f"{unknown[0]!r}: expected some of {', '.join(CLAIMS)}")
    from tools.paper import pictures  # the tests do without matplotlib

    folder = options.document.with_suffix("") if options.document else options.out
    with runs(options.processes) as made:
        for name in options.claims or CLAIMS:
            clock, work = time.monotonic(), made.processor_time()
            data = CLAIMS[name].measure(made)
            taken = time.monotonic() - clock, made.processor_time() - work
            record = Record.of(CLAIMS[name], data, *taken)
            record.save(folder / f"{name}.json")
            pictures.draw(name, record.data, folder)
            print(f"## {name}, {record.seconds:.0f} s\n\n{CLAIMS[name].text(record.data)}\n")
    if options.document:
        page.write(options.document, CLAIMS.values())


if __name__ == "__main__":
    main()
