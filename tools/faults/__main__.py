"""Detectors compared on faults of simulated machines: ``make faults``.

The machines are halves of ``simulated_sensor`` runs with a noise of 5 % of a channel's swing. After
1,000 rows every stretch of 1,000 rows has one fault (``nbt_embed.faults.drawn_faults``). A fault is
found if a score reaches the threshold within 20 rows, in any channel. From a fault until 100 rows
after it an alarm is neither right nor wrong; everywhere else it is false.
"""

from __future__ import annotations

from nbt_embed.errors import NbtError
from tools.faults import page
from tools.faults.detectors import DETECTORS, learners
from tools.faults.machines import EACH, machine
from tools.faults.measures import allowed, measure
from tools.options import add_detectors, add_pictures, chosen, measuring
from tools.style import draw_svg

MISSING = (0.0, 0.02)


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; 0."""
    parser = measuring(__doc__, "faults")
    add_pictures(parser)
    add_detectors(parser)
    parser.add_argument("--machines", type=int, default=100, help="two faults of each kind in each")
    options = parser.parse_args(arguments)
    if options.machines < 1:
        parser.error(f"--machines {options.machines}: expected at least 1")
    try:
        detectors = chosen(parser, options, DETECTORS, learners)
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
