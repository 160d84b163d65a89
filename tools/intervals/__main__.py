"""How far the learner's intervals can be trusted on recorded streams: ``make intervals``.

The tasks and the protocol of ``make streams``: one pass, a forecast made at row t is scored against
row t + h, labels wait h rows, target rows from the task's first scored one on.
"""

from __future__ import annotations

import json
from pathlib import Path

from nbt_embed.errors import NbtError
from tools.intervals import page
from tools.intervals.makers import MAKERS
from tools.intervals.runner import answers, labels, measure_all
from tools.options import add_pictures, measuring
from tools.sources import ROOT
from tools.streams.recordings import tasks
from tools.style import draw_svg

DATA = ROOT.parent / "shared" / "data" / "streams"
FAN = "nab_nyc_taxi, 10 ahead"


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; 0."""
    parser = measuring(__doc__, "intervals")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of recordings")
    add_pictures(parser)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--fan", default=FAN, metavar="TASK", help="task of the fan chart")
    parser.add_argument("--learner", default="{}", metavar="JSON", help="settings of the learner")
    options = parser.parse_args(arguments)
    try:
        json.loads(options.learner)
        found = tasks(options.data)
        table = measure_all(found, options.seeds, options.processes, options.learner)
    except (NbtError, ValueError, TypeError) as error:
        parser.error(str(error))
    streams = {task: task.stream() for task in found}
    rows = {task: len(stream) for task, stream in streams.items()}
    page.write(table, rows, options.seeds, options.out / "summary.json", options.document)

    from tools.intervals.pictures import fan, reliability  # needs matplotlib

    folder = options.pictures or options.out
    draw_svg(reliability(table, rows), folder / "coverage.svg")
    task = next((one for one in found if one.name == options.fan), found[0])
    said, truths = answers(task, streams[task], 0, options.learner), labels(streams[task])
    spread = next(iter(MAKERS.values()))(said, truths, task.horizon)
    draw_svg(fan(task, spread, said, truths), folder / "fan.svg")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
