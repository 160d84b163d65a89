"""Faults put into simulated machines, and who finds them: ``make faults``.

The machines are halves of ``simulated_sensor`` runs with a noise of 5 % of a channel's swing. After
1,000 rows every stretch of 1,000 rows has one fault (``nbt_embed.faults.drawn_faults``). A fault is
found if a score reaches the threshold within 20 rows, in any channel. From a fault until 100 rows
after it an alarm is neither right nor wrong; everywhere else it is false.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from nbt_embed.errors import NbtError
from tools.faults import page
from tools.faults.detectors import DETECTORS, learners
from tools.faults.machines import EACH, machine
from tools.faults.measures import allowed, measure
from tools.sources import ROOT
from tools.style import draw_svg

MISSING = (0.0, 0.02)


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "faults", help="folder")
    parser.add_argument("--pictures", type=Path, help="folder of the picture (default: --out)")
    parser.add_argument("--document", type=Path, help="put the report between its markers")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="detectors with it in their name"
    )
    parser.add_argument(
        "--learner",
        action="append",
        default=[],
        metavar="JSON",
        help="""another learner, by its settings: '{"lags": 1}'; may be repeated""",
    )
    parser.add_argument("--machines", type=int, default=100, help="two faults of each kind in each")
    options = parser.parse_args(arguments)
    if options.machines < 1:
        parser.error(f"--machines {options.machines}: expected at least 1")
    try:
        others = [one for text in options.learner for one in learners(text, json.loads(text))]
        detectors = [one for one in (*DETECTORS, *others) if options.only in one.name]
        if not detectors:
            parser.error(f"--only {options.only!r}: no detector has it in its name")
        found = {
            missing: measure(detectors, options.machines, missing, EACH, options.processes)
            for missing in MISSING
        }
    except (NbtError, ValueError, TypeError) as error:
        parser.error(str(error))
    page.write(found, detectors, options.out / "summary.json", options.document)

    shown = detectors[0]
    one = machine(0, MISSING[0])
    threshold = allowed(found[MISSING[0]][shown.name])
    title = f"{shown.name}, one false alarm in 5,000 rows"
    from tools.faults.pictures import figure  # needs matplotlib

    picture = figure(one, shown.scores(one.readings, 0), threshold, title)
    draw_svg(picture, (options.pictures or options.out) / "faults.svg")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
