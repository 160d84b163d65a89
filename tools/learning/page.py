"""Tables of the end figures, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tools.document import put
from tools.learning import targets
from tools.learning.column_targets import of_columns
from tools.learning.peers import PANELS, Panel
from tools.learning.plan import LENGTH, MILLION, SHORT, SYMBOLS, WITHOUT
from tools.learning.record import COMMON, TAIL, Figure, Outcome, Record
from tools.learning.tasks import TASKS, SeriesTask, SymbolTask


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def origin(record: Record) -> str:
    """Which versions made how many of the runs, and which of the outcomes."""
    runs: dict[str, dict[tuple[str, str, int], int]] = {}
    for one in record.figures:
        # The stretches of a text are of the same runs, the lengths of a series are not.
        same, key = runs.setdefault(one.made_by, {}), (one.task, one.method, one.hidden)
        more = isinstance(TASKS.get(one.task), SeriesTask)
        same[key] = (
            same.get(key, 0) + one.loss.runs if more else max(same.get(key, 0), one.loss.runs)
        )
    said = [f"{name}: {sum(counts.values()):,} runs" for name, counts in runs.items()]
    made = dict.fromkeys(one.made_by for one in record.outcomes if one.made_by)
    said += [f"targets: {name}" for name in made if name not in runs or len(made) > 1]
    return "; ".join(said) + "."


def target_table(found: Iterable[Outcome]) -> str:
    """Every measurement with its target."""
    rows = [[one.task, one.measured, one.target] for one in found]
    return markdown(["task", "measured: median (range over seeds)", "target"], rows)


def _loss(figure: Figure | None) -> str:
    return str(figure.loss) if figure else ""


def symbol_table(record: Record) -> str:
    """Loss after the common length, and after the whole run where there is one."""
    header = ["method, units", "bytes (1,5,10)"]
    for name in SYMBOLS:
        header += [f"{name}, 1e5 to 2e5", f"last 1e5 of {LENGTH[name] // MILLION}e6"]
    rows = []
    for method, hidden in dict.fromkeys((one.method, one.hidden) for one in record.figures):
        row, size = [f"{method}, {hidden}"], ""
        for name in SYMBOLS:
            early, late, short = (
                record.figure(name, method, hidden, samples)
                for samples in (COMMON, LENGTH[name], TAIL)
            )
            row += [_loss(early), _loss(late)]
            if short:
                row[-2] = f"5e4 to 1e5: {short.loss}"
            if name == "brackets(1,5,10)" and early and early.bytes:
                size = f"{early.bytes:,}"
        if any(row[1:]):
            rows.append([row[0], size, *row[1:]])
    floors = []
    for task in TASKS.values():
        if isinstance(task, SymbolTask) and task.name in SYMBOLS:
            blind = f"; without memory {task.blind:.3f}" if task.blind else ""
            floors += [f"{task.floor:.3f}{blind}", ""]
    return markdown(header, [["floor", "", *floors], *rows])


SERIES_TASKS = tuple(task.name for task in TASKS.values() if isinstance(task, SeriesTask))


def series_table(record: Record, samples: int) -> str:
    """Squared error over the variance, last half of each run."""
    shown = [one for one in record.figures if one.samples == samples]
    rows = []
    for width in sorted({one.hidden for one in shown}, reverse=True):
        for method in dict.fromkeys(one.method for one in shown if one.hidden == width):
            found = [record.figure(name, method, width, samples) for name in SERIES_TASKS]
            size = next((f"{one.bytes:,}" for one in found if one and one.bytes), "")
            rows.append([method, str(width or ""), size, *(_loss(one) for one in found)])
    return markdown(["method", "units", "bytes", *SERIES_TASKS], rows)


def learning_table(record: Record, samples: int) -> str:
    """Loss over that of a twin that lacks one thing, seed by seed."""
    rows = []
    for name in SERIES_TASKS:
        for width in sorted({one.hidden for one in record.figures} - {0}, reverse=True):
            got = [
                record.ratio(name, (ours, width, samples), (theirs, width, samples))
                for ours, theirs in targets.PAIRS.values()
            ]
            # The linear learner has no chance in it: equal seeds are equal streams.
            got.append(record.ratio(name, ("unitwise", width, samples), (WITHOUT, 0, samples)))
            if any(got):
                rows.append([name, str(width), *(str(one) if one else "" for one in got)])
    header = [f"learnt / frozen, {what}" for what in targets.PAIRS]
    return markdown(["task", "units", *header, "learnt / no network"], rows)


def symbols(record: Record) -> str:
    """What docs/evidence/learning.md shows of the symbol streams."""
    parts = [
        origin(record),
        "### Symbol streams and influence balancing: targets",
        target_table(record.outcomes),
        "### Symbol streams: bits per symbol",
        symbol_table(record),
    ]
    return "\n\n".join(parts)


def series(record: Record) -> str:
    """What docs/evidence/learning.md shows of the chaotic series."""
    samples = min((one.samples for one in record.figures), default=SHORT)
    parts = [
        origin(record),
        "### Chaotic series: targets",
        target_table(targets.of_series(record)),
        f"### Chaotic series: squared error over variance, last half of {samples:,} samples",
        series_table(record, samples),
        "### Chaotic series: gain from learning the recurrent weights",
        "Ratio of squared errors per seed; below 1, learning them reduces the error.",
        learning_table(record, samples),
    ]
    return "\n\n".join(parts)


def peer_table(record: Record, panels: Sequence[Panel]) -> str:
    """Every method and size on some tasks; bytes on the last of them that has a figure."""
    rows = []
    for method, hidden in dict.fromkeys((one.method, one.hidden) for one in record.figures):
        found = [record.figure(panel.task, method, hidden, panel.samples) for panel in panels]
        if any(found):
            size = next(f"{one.bytes:,}" for one in reversed(found) if one and one.bytes)
            rows.append([method, str(hidden), size, *(_short(one) for one in found)])
    return markdown(["method", "units", "bytes", *(panel.task for panel in panels)], rows)


def _short(figure: Figure | None) -> str:
    return f"{figure.loss}, {figure.loss.runs}" if figure else ""


def columns(record: Record) -> str:
    """What docs/evidence/learning.md shows of columns with a head."""
    parts = [
        origin(record),
        "### Columns with a head: targets",
        target_table(of_columns(record)),
        "### Columns and heads on symbols",
        "Bits per symbol, last 1e5: median (range over seeds), number of seeds.",
        peer_table(record, [panel for panel in PANELS if "symbols" in panel.shape]),
        "### Columns and heads on series",
        "Squared error over variance: median (range over seeds), number of seeds.\n"
        "*recordings*: error over that of the best recursive least squares, geometric mean.",
        peer_table(record, [panel for panel in PANELS if "symbols" not in panel.shape]),
    ]
    return "\n\n".join(parts)


PAGES = {"symbols": symbols, "series": series, "columns": columns}


def write(half: str, record: Record, document: Path | None) -> None:
    """Print the tables of a half, and put them into a document."""
    text = PAGES[half](record)
    print(text)
    if document is not None:
        put(document, half, text, fenced=False)
