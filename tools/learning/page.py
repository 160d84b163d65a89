"""Tables of the measurements, as Markdown and as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nbt_embed import __version__
from tools.learning.curves import Curve
from tools.learning.influence import Run
from tools.learning.plan import LENGTH, MILLION, SYMBOLS
from tools.learning.summary import TAIL, bars, pick, spread
from tools.learning.tasks import TASKS, SeriesTask, SymbolTask

BEGIN, END = "<!-- tables -->", "<!-- /tables -->"
COMMON = 200_000


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def groups(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """One row for every task, method, width and length that was run, with median and range."""
    keys = dict.fromkeys((c.task, c.method, c.hidden, c.samples) for c in curves)
    rows = []
    for task, method, hidden, samples in keys:
        found = [c for c in curves if (c.task, c.method, c.hidden) == (task, method, hidden)]
        found = [c for c in found if c.samples == samples]
        series = isinstance(TASKS[task], SeriesTask)
        loss = spread(found, samples // 2 if series else min(TAIL, samples // 2))
        rows.append(
            {"task": task, "method": method, "hidden": hidden, "samples": samples}
            | asdict(loss)
            | {"bytes": found[0].bytes, "skipped": sum(c.skipped for c in found)}
            | {"settings": found[0].settings, "curves": [c.loss for c in found]}
        )
    return rows


def symbol_table(curves: Sequence[Curve]) -> str:
    """Loss after the common length, and after the whole run where there is one."""
    methods = dict.fromkeys(
        (c.method, c.hidden) for c in curves if c.task in SYMBOLS and c.samples >= TAIL
    )
    header = ["method, units", "bytes (1,5,10)"]
    for name in SYMBOLS:
        header += [f"{name}, 1e5 to 2e5", f"last 1e5 of {LENGTH[name] // MILLION}e6"]
    rows = []
    for method, hidden in methods:
        row, size = [f"{method}, {hidden}"], ""
        for name in SYMBOLS:
            early = pick(curves, name, method, hidden, COMMON)
            late = pick(curves, name, method, hidden, LENGTH[name])
            row += [str(spread(found, TAIL)) if found else "" for found in (early, late)]
            short = pick(curves, name, method, hidden, TAIL)
            if short and not early:
                row[-2] = f"5e4 to 1e5: {spread(short, TAIL // 2)}"
            if name == "brackets(1,5,10)" and early:
                size = f"{early[0].bytes:,}"
        if any(row[1:]):
            rows.append([row[0], size, *row[1:]])
    floors = []
    for task in TASKS.values():
        if isinstance(task, SymbolTask) and task.name in SYMBOLS:
            blind = f"; without memory {task.blind:.3f}" if task.blind else ""
            floors += [f"{task.floor:.3f}{blind}", ""]
    return markdown(header, [["floor", "", *floors], *rows])


def series_table(curves: Sequence[Curve]) -> str:
    """Squared error over the variance, last half of each run."""
    tasks = [t.name for t in TASKS.values() if isinstance(t, SeriesTask)]
    keys = dict.fromkeys(
        (c.method, c.hidden) for c in curves if c.task in tasks and c.samples <= 20_000
    )
    rows = []
    for method, hidden in sorted(keys, key=lambda key: -key[1]):
        row = [method, str(hidden) if hidden else ""]
        for name in tasks:
            found = [
                c
                for c in curves
                if (c.task, c.method, c.hidden) == (name, method, hidden) and c.samples <= 20_000
            ]
            row.append(str(spread(found, found[0].samples // 2)) if found else "")
        rows.append(row)
    return markdown(["method", "units", *tasks], rows)


def tables(curves: Sequence[Curve], runs: dict[str, Run]) -> str:
    """Everything that docs/learning.md shows."""
    verdicts = [
        [bar.task, bar.asked, bar.measured, "met" if bar.met else "**missed**"]
        for bar in bars(curves, runs)
    ]
    torch = sorted({str(c.settings["torch"]) for c in curves if "torch" in c.settings})
    versions = [f"nbt_embed {__version__}", *(f"PyTorch {version}" for version in torch)]
    parts = [
        f"{', '.join(versions)}, {platform.machine()}; {len(curves)} runs.",
        "### Bars",
        markdown(["task", "asked for", "measured: median (range over seeds)", ""], verdicts),
        "### Symbol streams: bits per symbol",
        symbol_table(curves),
        "### Chaotic series: squared error over variance, last half of 20,000 samples",
        series_table(curves),
    ]
    return "\n\n".join(parts)


def write(
    curves: Sequence[Curve], runs: dict[str, Run], summary: Path, document: Path | None
) -> None:
    """Print the tables, write the JSON summary, and put the tables into a document."""
    text = tables(curves, runs)
    print(text)
    rows = {"bars": [asdict(bar) for bar in bars(curves, runs)], "runs": groups(curves)}
    summary.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if document is not None:
        before, rest = document.read_text(encoding="utf-8").split(BEGIN)
        _, after = rest.split(END)
        page = f"{before}{BEGIN}\n{text}\n{END}{after}"
        document.write_text(page, encoding="utf-8")
