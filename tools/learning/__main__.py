"""Measure how well the learner learns: ``make learning``, ``make learning-quick``.

Every run leaves its learning curve in curves.jsonl of the output folder. A run that is there is not
repeated while the sources that decide about it stay as they are, so the command can be interrupted
and called again. At the end it writes end figures and pictures of each part; with --document, the
tables and figures of docs/evidence/learning.md. What was not measured keeps the figure of
the record next to the document, and the version that made it.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from tools.learning import influence, instructions, page, recordings, targets
from tools.learning.curves import Curve
from tools.learning.peers import RECORDED, to_count
from tools.learning.plan import COLUMNS, HALVES, METHODS, PARTS, full, goals, part_of, quick
from tools.learning.record import Outcome, Record, figures_of, this_version
from tools.learning.runner import measure, valid
from tools.sources import ROOT


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing, then write tables and pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    said = ", ".join(PARTS)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {said}: all of them")
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    parser.add_argument("--own", action="store_true", help="leave the PyTorch competitors out")
    parser.add_argument(
        "--goals", action="store_true", help="of columns only the runs that have a target"
    )
    parser.add_argument(
        "--report", action="store_true", help="measure nothing, write what is there"
    )
    parser.add_argument("--out", type=Path, help="folder (default: build/learning[-quick])")
    parser.add_argument("--document", type=Path, help="put tables between its markers")
    parser.add_argument(
        "--data",
        type=Path,
        default=ROOT.parent / "shared" / "data" / "streams",
        help="folder of recordings (docs/evidence/streams.md)",
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"{unknown[0]!r}: expected one of {said}")
    if options.quick and options.document:
        parser.error("--quick measures too little for a document: leave --document out")
    out = options.out or ROOT / "build" / ("learning-quick" if options.quick else "learning")
    for part in options.parts or PARTS:
        _part(part, options, out)


def _part(part: str, options: argparse.Namespace, out: Path) -> None:
    folder = (options.document or ROOT / "docs/evidence/learning.md").with_suffix("")
    kept = folder if options.document else out
    record = Record() if options.quick else Record.load(folder / f"{part}.json")
    least = options.quick or options.report or options.goals
    if part == COLUMNS and not least:
        figures = recordings.measured(RECORDED, options.data, out, options.processes)
        record = record.updated(figures, [])
        record.save(kept / f"{part}.json")
    jobs = quick(part) if options.quick else full(part)
    if part == COLUMNS and options.goals and not options.quick:
        jobs = goals()
    if not options.report:
        wanted = [job for job in jobs if not (options.own and METHODS[job.method].competitor)]
        measure(wanted, out / "curves.jsonl", options.processes)
    curves = [one for one in valid(out / "curves.jsonl") if part_of(one.task, one.method) == part]

    runs: dict[str, influence.Run] = {}
    found: list[Outcome] = []
    if part == "symbols" and not options.report:
        runs = influence.measured(out / "influence.json", 10_000 if options.quick else 100_000)
        found = [replace(one, made_by=this_version()) for one in targets.of_symbols(curves, runs)]
    record = record.updated(figures_of(curves), found)
    record.save(kept / f"{part}.json")
    if part == COLUMNS:
        _columns(record, options, folder, kept)
        return
    page.write(part, record, options.document)
    complete = not any(job.missing(curves).seeds for job in jobs)
    _draw(part, record, curves if complete else [], runs, kept)


def _columns(record: Record, options: argparse.Namespace, folder: Path, kept: Path) -> None:
    """Write the page, count instructions, and draw every method that has a figure."""
    page.write(COLUMNS, record, options.document)
    if options.quick:
        return
    records = [record, *(Record.load(folder / f"{half}.json") for half in HALVES)]
    counts = instructions.load(folder / "instructions.json")
    if not options.report:
        figures = [one for some in records for one in some.figures]
        counts = instructions.counted(to_count(figures), counts, options.processes)
        instructions.save(counts, kept / "instructions.json")
    from tools.learning import drawn  # the tests do without matplotlib

    drawn.draw(records, counts, kept)


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
