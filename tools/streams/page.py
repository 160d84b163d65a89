"""The report: comparisons and errors task by task, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from nbt_embed import __version__
from tools.document import publish
from tools.streams.models import SEEDS
from tools.streams.recordings import Task
from tools.streams.summary import TOLERANCE, Errors, compare

# How far a figure that was measured here may lie from the one that came with the data.
DIGITS = 1.01e-4
SHORT = {
    "last value": "last value",
    "best RLS of lags 1, 3, 10": "RLS, the best of 1, 3 and 10 lags per task",
    "100 echo state units": "100 echo state units read out by RLS",
    "frozen twin of default": "the same learner with frozen recurrent weights",
}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], "|---" + "|--:" * (len(header) - 1) + "|", *lines[1:]])


def comparisons(learners: Mapping[str, Errors], references: Mapping[str, Errors]) -> str:
    """Every learner against every reference."""
    rows = []
    for learner, own in learners.items():
        for reference, other in references.items():
            found = compare(own, other)
            if found is not None:
                rows.append(
                    [
                        learner,
                        reference,
                        str(found.tasks),
                        str(found.better),
                        str(found.worse),
                        f"{found.mean:.3f}",
                        f"{found.worst:.2f}",
                        found.worst_task,
                    ]
                )
    header = ["learner", "reference", "tasks", "better", "worse", "mean ratio", "worst", "where"]
    return table(header, rows)


def short(own: Errors, references: Mapping[str, Errors]) -> str:
    """One learner against some references, under the names that README.md has for them."""
    rows = []
    for reference, name in SHORT.items():
        found = compare(own, references[reference])
        if found is not None:
            better = f"{found.better} of {found.tasks}"
            ratios = f"{found.mean:.3f}", f"{found.worst:.2f}"
            rows.append([name, better, str(found.worse), *ratios])
    header = ["compared with", "better on", "worse on", "mean ratio", "worst ratio"]
    return table(header, rows)


def by_task(tasks: Sequence[Task], columns: Mapping[str, Errors]) -> str:
    """NRMSE on every task."""
    rows = [
        [
            task.name,
            *(f"{errors[task]:.4f}" if task in errors else "" for errors in columns.values()),
        ]
        for task in tasks
    ]
    return table(["recording", *columns], rows)


def disagreements(measured: Errors, recorded: Errors) -> list[str]:
    """Tasks where a figure differs from the one that came with the data by more than its digits."""
    return [
        f"{task.name}: {measured[task]:.4f}, recorded {figure:.4f}"
        for task, figure in recorded.items()
        if not abs(measured[task] - figure) <= DIGITS
    ]


def report(
    tasks: Sequence[Task], learners: Mapping[str, Errors], references: Mapping[str, Errors]
) -> str:
    """The whole section."""
    return "\n\n".join(
        [
            f"nbt_embed {__version__}; {len(tasks)} tasks; nRMSE, for random models medians "
            f"of {SEEDS} seeds. Better and worse: by more than {TOLERANCE:.0%}. Mean: geometric.",
            comparisons(learners, references),
            by_task(tasks, {**learners, **references}),
        ]
    )


def write(
    tasks: Sequence[Task],
    learners: Mapping[str, Errors],
    references: Mapping[str, Errors],
    summary: Path,
    document: Path | None,
) -> None:
    """Print the report, write the figures as JSON, and put it into a document on request."""
    text = report(tasks, learners, references)
    found = {
        learner: {
            reference: asdict(result)
            for reference, other in references.items()
            if (result := compare(own, other)) is not None
        }
        for learner, own in learners.items()
    }
    errors = {
        name: {task.name: figures[task] for task in tasks if task in figures}
        for name, figures in {**learners, **references}.items()
    }
    content = {"version": __version__, "comparisons": found, "nrmse": errors}
    publish(text, content, summary, document, "streams")
