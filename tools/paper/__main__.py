"""Measure what the paper claims: ``make paper``.

Ollivier, Tallec and Charpiat 2015, Training recurrent networks online without backtracking, arXiv
1507.07680. Prints a table for every claim, and writes its numbers and its picture into the output
folder; with --document, the tables and the origin of the numbers into docs/evidence/paper.md too.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tools.paper import approximation, cost, derivative, filters, page, successors, truncation
from tools.paper.claim import Claim
from tools.paper.record import Record, origin
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
    parser.add_argument(
        "--recorded", action="store_true", help="measure nothing, write what the folder holds"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.claims if name not in CLAIMS]
    if unknown:
        parser.error(f"{unknown[0]!r}: expected some of {', '.join(CLAIMS)}")
    from tools.paper import pictures  # the tests do without matplotlib

    folder = options.document.with_suffix("") if options.document else options.out
    made_by = origin()  # before a record changes the tree
    with runs(options.processes) as made:
        for name in options.claims or CLAIMS:
            claim, path = CLAIMS[name], folder / f"{name}.json"
            if options.recorded:
                record = Record.load(path)
            else:
                record = Record.measured(claim, made, made_by)
            print(f"## {name}, {record.seconds:.0f} s\n\n{claim.text(record.data)}\n")
            print(f"The page's figures are {_standing(claim)}.\n", flush=True)
            record.save(path)
            pictures.draw(name, record.data, folder)
    if options.document:
        page.write(options.document, CLAIMS.values())


def _standing(claim: Claim) -> str:
    """Whether what the page shows until now is of the sources as they are."""
    path = ROOT / "docs/evidence/paper" / f"{claim.name}.json"
    if not path.exists():
        return "not there yet"
    same = Record.load(path).fingerprint == claim.fingerprint
    return "of the same sources" if same else "of other sources"


if __name__ == "__main__":
    main()
