"""The learner compared with simple forecasters on recorded streams: ``make streams``.

Protocol: one pass over a recording, all columns inputs, one target. A forecast made at row t is
scored against row t + h before any label of it is learnt, and every model waits h rows for its
labels. nRMSE = sqrt(Σ e² / Σ (y − ȳ)²) over the target rows from the task's first scored one on.

Every run is kept in results.jsonl of the output folder under a fingerprint of its data and of the
sources that decide about it, so the command can be interrupted and called again.
"""

from __future__ import annotations

import json
from pathlib import Path

from nbt_embed.errors import StreamError
from tools.document import put
from tools.options import add_learners, measuring
from tools.sources import ROOT
from tools.streams import page
from tools.streams.models import ECHO, FROZEN, LAST, LEARNERS, RLS, Entrant
from tools.streams.recordings import tasks
from tools.streams.runner import measure
from tools.streams.summary import errors, recorded


def main(arguments: list[str] | None = None) -> int:
    """Measure what is missing and report; 0, or 1 if a figure is not the one of the data."""
    parser = measuring(__doc__, "streams")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "streams")
    parser.add_argument("--readme", type=Path, help="another, for the comparisons of the default")
    add_learners(parser)
    options = parser.parse_args(arguments)
    learners = dict(LEARNERS)
    try:
        found = tasks(options.data)
        for text in options.learner:
            learners[text] = Entrant.of("learner", **json.loads(text))
    except (StreamError, ValueError, TypeError) as error:
        parser.error(str(error))
    entrants = (*learners.values(), FROZEN, LAST, *RLS, *ECHO)
    results = measure(found, entrants, options.out / "results.jsonl", options.processes)

    own = {name: errors(results, found, entrant) for name, entrant in learners.items()}
    references = {
        "last value": errors(results, found, LAST),
        "best RLS of lags 1, 3, 10": errors(results, found, *RLS),
        "RLS, lags 3": errors(results, found, RLS[1]),
        "frozen twin of default": errors(results, found, FROZEN),
        "100 echo state units": errors(results, found, *ECHO),
        "100 echo state units (recorded)": recorded(found, "esn100"),
        "best of five river models (recorded)": recorded(found, "river"),
    }
    page.write(found, own, references, options.out / "summary.json", options.document)
    if options.readme is not None:
        put(options.readme, "streams", page.short(own["default"], references), fenced=False)

    checked = {"last value": "last", "best RLS of lags 1, 3, 10": "rlsBest", "RLS, lags 3": "rls3"}
    wrong = [
        f"{name}, {line}"
        for name, key in checked.items()
        for line in page.disagreements(references[name], recorded(found, key))
    ]
    for line in wrong:
        print(f"differs from what the data come with: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
