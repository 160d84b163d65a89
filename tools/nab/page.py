"""The report: scores of all detectors, category by category and file by file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nbt_embed import __version__
from tools.document import publish
from tools.nab.files import Series
from tools.nab.scoring import PROFILES, STANDARD, Tally
from tools.nab.summary import Result, by_category, extremes, together
from tools.streams.page import table


def report(series: Sequence[Series], results: Sequence[Result]) -> str:
    """The whole section; the first detector is shown file by file."""
    windows = sum(len(one.windows) for one in series)
    return "\n\n".join(
        [
            f"nbt_embed {__version__}; {len(series)} files, {windows} windows; medians of the "
            "seeds for random detectors.",
            scores(results, len(series)),
            "Standard score by category, with the same threshold for all files (where there is no "
            "window: the points lost).",
            categories(series, results),
            f"*{results[0].name}*, file by file, with the same threshold.",
            files(series, results[0]),
        ]
    )


def scores(results: Sequence[Result], count: int) -> str:
    """Every detector in the three profiles."""
    rows = []
    for one in results:
        own = together(one.own)
        rows.append(
            [
                one.name,
                *(f"{one.optimised[profile.name]:.1f}" for profile in PROFILES),
                f"{one.total.found}",
                f"{one.total.false / count:.1f}",
                f"{one.others[STANDARD.name]:.1f}",
                f"{one.beforehand[STANDARD.name]:.1f}",
                f"{own.found}",
                f"{own.false / count:.1f}",
            ]
        )
    header = ["detector", *(profile.name for profile in PROFILES), "found", "false alarms per file"]
    header += ["standard, threshold of the other files", "standard, fixed beforehand"]
    header += ["found, fixed", "false alarms per file, fixed"]
    return table(header, rows)


def categories(series: Sequence[Series], results: Sequence[Result]) -> str:
    """Standard score of every detector, by category."""
    found = [by_category(series, one.files) for one in results]
    rows = [[name, *(_score(one[name]) for one in found)] for name in found[0]]
    return table(["category", *(one.name for one in results)], rows)


def files(series: Sequence[Series], result: Result) -> str:
    """What one detector does in every file."""
    rows = [
        [
            f"{one.category}/{one.name}",
            f"{one.values.size:,}",
            str(tally.windows),
            str(tally.found),
            str(tally.false),
            _score(tally),
        ]
        for one, tally in zip(series, result.files, strict=True)
    ]
    return table(["file", "rows", "windows", "found", "false alarms", "standard"], rows)


def _score(tally: Tally) -> str:
    if tally.windows:
        return f"{tally.score(STANDARD):.1f}"
    return f"{tally.points(STANDARD):.2f} points"


def write(
    series: Sequence[Series], results: Sequence[Result], summary: Path, document: Path | None
) -> None:
    """Print the report, write it as JSON, and put it into a document on request."""
    text = report(series, results)
    names = [f"{one.category}/{one.name}" for one in series]
    detectors = {
        one.name: {
            "optimised": one.optimised,
            "others": one.others,
            "beforehand": one.beforehand,
            "threshold": one.total.threshold,
            "files": dict(zip(names, map(asdict, one.files), strict=True)),
            "files, threshold fixed beforehand": dict(
                zip(names, map(asdict, one.own), strict=True)
            ),
        }
        for one in results
    }
    ends = extremes(series, results[0].files)
    shown = {} if ends is None else {"best": names[ends[0]], "worst": names[ends[1]]}
    content = {"version": __version__, **shown, "detectors": detectors}
    publish(text, content, summary, document, "nab")
