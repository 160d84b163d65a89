"""Instructions by function of the source: they add up, and belong to functions that run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from conftest import Tool

from nbt_embed import Config
from tools.targets.counter import build_counter, count_steps
from tools.targets.counting import STEPS, Parts, build_profiler, measure
from tools.targets.functions import defined_in
from tools.targets.machines import MACHINES, ROOT
from tools.targets.scaling import PARTS, by_part, cost_of, numbers_of, table

M4F = next(machine for machine in MACHINES if machine.name == "M4F")


@pytest.fixture(scope="module")
def measured(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Parts]:
    """Return a folder with what was compiled of a small learner, and its instructions."""
    for name in ("cc", *M4F.tools):
        tool(name)
    folder = tmp_path_factory.mktemp("counted")
    config = Config(2, 1, hidden=4, head=4, resonators=2)
    steps = measure(M4F, config, folder / "learner", build_profiler(folder), levels=()).steps
    return folder, steps[config.arguments()]


def test_the_functions_add_up_to_the_step(measured: tuple[Path, Parts]) -> None:
    folder, parts = measured
    elf = folder / "learner" / "step.elf"
    steps = count_steps(M4F, elf, build_counter(folder))
    assert steps.times == STEPS[M4F.fma]
    # The other counter also has the program's own instructions around the two calls.
    assert 0 <= steps.mean - sum(parts.values()) < 60


def test_only_what_a_step_runs_is_counted(measured: tuple[Path, Parts]) -> None:
    _, parts = measured
    assert not parts.keys() & defined_in(
        "nbt_store.c", "nbt_walk.c", "nbt_checkpoint.c", "nbt_sweep.c", "nbt_unitwise.c"
    )
    for source in ("nbt_columns.c", "nbt_resonator.c", "nbt_head.c", "nbt_ud.c", "nbt_follow.c"):
        assert parts.keys() & defined_in(source), source


def test_loops_over_rows_count_where_they_are_called(measured: tuple[Path, Parts]) -> None:
    _, parts = measured
    assert not parts.keys() & defined_in("nbt_rows.c", "nbt_math.c")


def test_functions_of_the_sources_are_those_that_the_compiler_knows(
    tool: Tool, tmp_path: Path
) -> None:
    """But for those that macros write, and so do not stand in the source."""
    compiler, declared = tool("gcc"), tmp_path / "declared"
    named = 0
    for source in (ROOT / "csrc").glob("*.c"):
        subprocess.run([compiler, "-fsyntax-only", "-aux-info", declared, source], check=True)
        definition = rf"/\* {re.escape(str(source))}:\d+:\wF \*/[^(]*?(\w+) \("
        known = set(re.findall(definition, declared.read_text(encoding="utf-8")))
        text = source.read_text(encoding="utf-8")
        for name in known - defined_in(source.name):
            assert not re.search(rf"\b{name}\(", text), (source.name, name)
        named += len(known & defined_in(source.name))
    assert named > 300


def test_every_part_has_functions_of_its_own() -> None:
    found = [defined_in(*files) for files in PARTS.values()]
    assert all(found)
    assert len(frozenset.union(*found)) == sum(map(len, found))


def test_functions_are_added_up_by_part() -> None:
    parts = {"nbt_ud_turn": 100.0, "nbt_head_step": 20.4, "nbt_head_forward": 0.3, "take": 3.0}
    assert by_part(parts) == {"columns": 0, "head": 21, "covariance": 100, "rest": 3}


def test_the_numbers_of_a_part_are_those_of_the_learner() -> None:
    config = Config(3, 1, hidden=8, head=4, resonators=0, lags=1, follow=False)
    assert numbers_of(config) == {"columns": 80, "head": 48, "covariance": 136}


def test_the_table_of_parts(tool: Tool, tmp_path: Path) -> None:
    """Each is positive, and what stands in a row adds up."""
    for name in ("cc", *M4F.tools):
        tool(name)
    cost = cost_of(M4F, 4, tmp_path, build_profiler(tmp_path))
    assert all(instructions > 0 for instructions in cost.instructions.values())
    words = table([cost]).splitlines()[1].replace(",", "").split()
    columns, head, covariance, rest, whole, without = (int(words[i]) for i in (3, 5, 7, 9, 10, 11))
    assert whole == columns + head + covariance + rest
    assert without == columns + head + rest
