"""Measure how well the learner learns: ``make learning``, ``make learning-quick``.

Every run leaves its learning curve in curves.jsonl of the output folder. A run that is there is not
repeated while the sources that decide about it stay as they are, so the command can be interrupted
and called again. At the end it writes end figures and pictures of each half; with --document, the
tables of docs/learning.md and the figures beside it. What was not measured keeps the figure that
the record beside the document has, and the version that made it.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from tools.learning import bars, influence, page
from tools.learning.curves import Curve
from tools.learning.plan import HALVES, METHODS, full, half_of, quick
from tools.learning.record import Bar, Record, figures_of, this_version
from tools.learning.runner import measure, valid
from tools.sources import ROOT


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing, then write tables and pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("halves", nargs="*", metavar="HALF", help=f"{' or '.join(HALVES)}: both")
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    parser.add_argument("--own", action="store_true", help="leave the PyTorch competitors out")
    parser.add_argument("--out", type=Path, help="folder (default: build/learning[-quick])")
    parser.add_argument("--document", type=Path, help="put tables between its markers")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    unknown = [half for half in options.halves if half not in HALVES]
    if unknown:
        parser.error(f"{unknown[0]!r}: expected {' or '.join(HALVES)}")
    if options.quick and options.document:
        parser.error("--quick measures too little for a document: leave --document out")
    out = options.out or ROOT / "build" / ("learning-quick" if options.quick else "learning")
    for half in options.halves or HALVES:
        _half(half, options, out)


def _half(half: str, options: argparse.Namespace, out: Path) -> None:
    jobs = quick(half) if options.quick else full(half)
    wanted = [job for job in jobs if not (options.own and METHODS[job.method].competitor)]
    measure(wanted, out / "curves.jsonl", options.processes)
    curves = [one for one in valid(out / "curves.jsonl") if half_of(one.task) == half]

    folder = (options.document or ROOT / "docs" / "learning.md").with_suffix("")
    record = Record() if options.quick else Record.load(folder / f"{half}.json")
    runs: dict[str, influence.Run] = {}
    found: list[Bar] = []
    if half == "symbols":
        runs = influence.measured(out / "influence.json", 10_000 if options.quick else 100_000)
        found = [replace(bar, made_by=this_version()) for bar in bars.of_symbols(curves, runs)]
    record = record.updated(figures_of(curves), found)
    kept = folder if options.document else out
    record.save(kept / f"{half}.json")
    page.write(half, record, options.document)
    complete = not any(job.missing(curves).seeds for job in jobs)
    _draw(half, record, curves if complete else [], runs, kept)


def _draw(
    half: str, record: Record, curves: list[Curve], runs: dict[str, influence.Run], folder: Path
) -> None:
    """Draw a half; the symbols' pictures need all of their curves."""
    from tools.learning import pictures  # the tests do without matplotlib

    if half == "series":
        pictures.draw_series(record, folder)
    elif curves:
        pictures.draw_symbols(curves, runs, folder)


if __name__ == "__main__":
    main()
