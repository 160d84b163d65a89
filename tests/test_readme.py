"""README.md stays short, and its tables are those of the measurements."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import ROOT

from tools.streams.page import SHORT, short
from tools.streams.recordings import Task
from tools.targets.size import BASELINE, Model, Size, short_table

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def block(text: str, name: str) -> str:
    """What stands between the markers of a tool."""
    return text.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- /{name} -->")[0]


def cells(row: str) -> list[str]:
    """The cells of a row of a table."""
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_readme_is_short() -> None:
    assert len(TEXT.splitlines()) <= 150


def test_the_sizes_are_those_of_the_baseline() -> None:
    words = len(vars(Model("gated", "snap1", 1))) + 1
    rows = json.loads(BASELINE.read_text(encoding="utf-8"))
    sizes = [Size(row[0], Model(*row[1:words]), *row[words:]) for row in rows]
    assert block(TEXT, "size") == short_table(sizes)


def test_the_comparisons_are_those_of_the_page_of_streams() -> None:
    page = (ROOT / "docs/evidence/streams.md").read_text(encoding="utf-8")
    measured = {tuple(row[:2]): row[2:] for row in map(cells, block(page, "streams").splitlines())}
    shown = {row[0]: row[1:] for row in map(cells, block(TEXT, "streams").splitlines()[2:])}
    assert shown.keys() == set(SHORT.values())
    for reference, name in SHORT.items():
        tasks, better, *rest = measured["default", reference]
        assert shown[name] == [f"{better} of {tasks}", *rest[:3]]


def test_a_comparison_counts_tasks_and_ratios() -> None:
    first, second = (Task(Path(f"{name}.csv"), "y", 1, 0) for name in "ab")
    others = {reference: {first: 2.0, second: 1.0} for reference in SHORT}
    others["last value"] = {first: 4.0, second: 1.0}
    rows = [cells(row) for row in short({first: 1.0, second: 1.0}, others).splitlines()[2:]]
    assert rows[0] == ["last value", "1 of 2", "0", "0.500", "1.00"]
    assert [row[3] for row in rows[1:]] == ["0.707"] * (len(SHORT) - 1)
