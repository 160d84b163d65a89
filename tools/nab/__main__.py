"""Anomaly detectors on series with labelled windows: ``make nab``.

One pass over every series. Row t is scored before row t + 1 is seen. The rule is that of the
Numenta Anomaly Benchmark (tools/nab/scoring.py), with one threshold for all files.
"""

from __future__ import annotations

from pathlib import Path

from nbt_embed.errors import NbtError
from tools.nab import page
from tools.nab.detectors import DETECTORS, learners
from tools.nab.files import load
from tools.nab.runner import measure
from tools.nab.summary import extremes, summarise
from tools.options import add_detectors, add_pictures, chosen, measuring
from tools.sources import ROOT
from tools.style import draw_svg

DATA = ROOT.parent / "shared" / "data" / "nab"


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; 0."""
    parser = measuring(__doc__, "nab")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of series, windows.json")
    add_pictures(parser)
    add_detectors(parser)
    options = parser.parse_args(arguments)
    try:
        series = load(options.data)
        detectors = chosen(parser, options, DETECTORS, learners)
        found = measure(series, detectors, options.processes)
    except (NbtError, ValueError, TypeError) as error:
        parser.error(str(error))
    results = [summarise(one, found[one.name]) for one in detectors]
    page.write(series, results, options.out / "summary.json", options.document)

    from tools.nab.pictures import figure  # needs matplotlib

    ends = extremes(series, results[0].files)
    for name, index in zip(("best", "worst"), ends or (), strict=False):
        one, tally = series[index], results[0].files[index]
        scores = detectors[0].scores(one.values, results[0].seed)
        title = f"{one.category}/{one.name}: {tally.found} of {tally.windows} windows found"
        title += f", {tally.false} false alarms ({detectors[0].name})"
        draw_svg(
            figure(one, scores, tally.threshold, title),
            (options.pictures or options.out) / f"nab_{name}.svg",
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
