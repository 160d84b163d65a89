"""Measure how well the learner learns: ``make learning``, ``make learning-quick``.

Every run leaves its learning curve in curves.jsonl of the output folder, and a run that is there is
not repeated: the command can be interrupted and called again. At the end it writes summary.json,
the pictures, and with --document the tables of docs/learning.md.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tools.learning import influence, page, pictures
from tools.learning.curves import load
from tools.learning.plan import full, quick
from tools.learning.runner import measure


def main() -> None:
    """Measure what is missing, then write tables and pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    parser.add_argument("--out", type=Path, help="folder (default: build/learning[-quick])")
    parser.add_argument("--document", type=Path, help="put tables between its markers")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    out = args.out or Path("build/learning-quick" if args.quick else "build/learning")
    measure(quick() if args.quick else full(), out / "curves.jsonl", args.processes)
    balancing = influence.measured(out / "influence.json", 10_000 if args.quick else 100_000)
    curves = load(out / "curves.jsonl")
    page.write(curves, balancing, out / "summary.json", args.document)
    pictures.draw(curves, balancing, args.document.with_suffix("") if args.document else out)


if __name__ == "__main__":
    main()
