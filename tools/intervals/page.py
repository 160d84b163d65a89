"""The report: makers over all tasks, and the first of them task by task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from nbt_embed import __version__
from tools.document import publish
from tools.intervals.makers import GAUSSIAN, LEVELS, MAKERS
from tools.intervals.measures import MIDDLE
from tools.intervals.summary import BOUNDS, LONG, Summary, Table, ratio, summarise, worst
from tools.streams.page import table as markdown
from tools.streams.recordings import Task


def report(table: Table, rows: Mapping[Task, int], seeds: int) -> str:
    """The whole section."""
    found = {name: summarise(table, rows, name) for name in MAKERS}
    first = next(iter(MAKERS))
    return "\n\n".join(
        [
            f"nbt_embed {__version__}; {len(table)} tasks; medians of {seeds} seeds.",
            makers(table, found),
            *(missed(name, one) for name, one in found.items()),
            f"*{first}*, task by task.",
            by_task(table, first),
        ]
    )


def makers(table: Table, found: Mapping[str, Summary]) -> str:
    """Every maker in one row."""
    rows = []
    for name, one in found.items():
        task, at_worst = worst(table, name)
        rows.append(
            [
                name,
                *(f"{one.long - len(names)}/{one.long}" for names in one.outside.values()),
                f"{one.windowed - len(one.unsteady)}/{one.windowed}",
                *(f"{value:.3f}" for value in one.winkler),
                f"{at_worst:.2f} ({task})",
                f"{one.width[MIDDLE]:.3f}",
                _figure(one.log_loss, "+.3f"),
            ]
        )
    header = ["intervals"]
    header += [f"{level:.0%} within {low:.0%}–{high:.0%}" for level, (low, high) in BOUNDS.items()]
    header += ["windows steady", *(f"score at {level:.0%}" for level in LEVELS)]
    header += ["worst at 80%", "width at 80%", "log-loss, nats"]
    return markdown(header, rows)


def missed(name: str, one: Summary) -> str:
    """The tasks that a maker does not cover as promised."""
    lines = [f"*{name}*, tasks of more than {LONG:,} rows outside these limits:"]
    for level, names in one.outside.items():
        lines.append(f"* {level:.0%}: {'; '.join(names) or 'none'}")
    lines.append(f"* windows at 80%: {'; '.join(one.unsteady) or 'none'}")
    return lines[0] + "\n\n" + "\n".join(lines[1:])


def by_task(table: Table, name: str) -> str:
    """Every figure of one maker."""
    rows = []
    for task, makers in table.items():
        own, gaussian = makers[name], makers[GAUSSIAN]
        rows.append(
            [
                task.name,
                *(f"{value:.1%}" for value in own.coverage),
                _figure(own.windows, ".1%"),
                *(f"{value:.3f}" for value in own.width),
                f"{own.winkler[MIDDLE]:.4g}",
                f"{ratio(table, task, name, 'winkler', MIDDLE):.3f}",
                _figure(own.log_loss, ".3f"),
                _figure(own.log_loss - gaussian.log_loss, "+.3f"),
            ]
        )
    header = ["task", *(f"{level:.0%}" for level in LEVELS), "windows"]
    header += [*(f"width {level:.0%}" for level in LEVELS), "score 80%", "ratio"]
    header += ["log-loss", "difference"]
    return markdown(header, rows)


def _figure(value: float, form: str) -> str:
    return "" if value != value else format(value, form)


def write(
    table: Table, rows: Mapping[Task, int], seeds: int, summary: Path, document: Path | None
) -> None:
    """Print the report, write it as JSON, and put it into a document on request."""
    text = report(table, rows, seeds)
    content = {
        "version": __version__,
        "levels": LEVELS,
        "makers": {name: asdict(summarise(table, rows, name)) for name in MAKERS},
        "tasks": {
            task.name: {name: asdict(one) for name, one in makers.items()}
            for task, makers in table.items()
        },
    }
    publish(text, content, summary, document, "intervals")
