"""Every example runs; those in C compile without warnings."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest
from conftest import HOST, ROOT, Build, run

EXAMPLES = sorted(
    path
    for path in (ROOT / "examples").glob("*.py")
    if path.stem != "federated"  # tests/test_federated.py
)
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")


@cache
def printed(example: Path) -> str:
    return run(sys.executable, str(example))


def words(name: str) -> list[list[str]]:
    """Those of every line that an example prints."""
    text = printed(ROOT / "examples" / name)
    return [line.replace(",", "").split() for line in text.splitlines()]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_python_examples_run(example: Path) -> None:
    if example.stem.startswith("with_"):  # another library
        pytest.importorskip(example.stem.removeprefix("with_"))
    assert printed(example)


def test_a_resonator_follows_a_tone() -> None:
    lines = words("vibration.py")
    reports = [
        [float(word) for word in line] for line in lines if len(line) == 4 and line[0][0].isdigit()
    ]
    _, tone, learnt, _ = reports[-1]
    assert abs(learnt - tone) < 0.03 * tone < abs(reports[0][1] - tone)
    last_value, resonator, columns, default = (
        next(float(word) for word in line if word.startswith("1.")) for line in lines[-4:]
    )
    assert 1 < resonator < default < columns < last_value


def test_symbols_are_counted_in_5_kb() -> None:
    lines = words("symbols_5kb.py")
    assert int(lines[0][lines[0].index("learner") + 1]) <= 5120
    learner, *fixed = (float(word) for word in lines[-2][-4:])
    floor = float(lines[-1][-1])
    assert floor < learner < 1.15 * floor < min(fixed) / 1.5


def test_who_asks_before_heating_is_nearer_to_the_target() -> None:
    thermostat, asking = (float(line[1]) for line in words("what_if.py"))
    assert asking < 0.2 * thermostat


def test_results_in_any_order_are_learnt() -> None:
    error, counts, waiting = words("out_of_order_labels.py")
    assert float(error[1]) < 0.05 * float(error[-1])
    assert int(counts[0]) > 0.9 * 4000
    assert int(waiting[7]) > 5


def test_chance_comes_from_weights_and_from_directions() -> None:
    table = {line[0]: [float(word) for word in line[1:]] for line in words("seeds.py")[1:]}
    assert {name for name, row in table.items() if row[2] == 0} == {"frozen", "snap1", "rtrl"}
    assert table["rtrl"][0] < table["unitwise"][0] < table["residual"][0] < table["frozen"][0]
    assert table["unitwise"][2] < table["nobacktrack"][2]


def example(name: str, build: Build) -> str:
    """Compile an example as its first lines say, without warnings, and return what it prints."""
    source = ROOT / "examples" / name
    return run(str(build("gcc", *HOST, source=source, lanes=1, own=STRICT)))


def test_the_learner_of_the_c_example_is_kept_in_flash(build: Build) -> None:
    lines = example("flash_store.c", build).splitlines()
    assert "no slot of the flash" in lines[0]
    assert [line.split()[-2] for line in lines if "saved" in line] == ["500", "1000", "1500"]


def test_the_c_example_learns(build: Build) -> None:
    printed = example("minimal.c", build)
    errors = [float(line.split()[-1]) for line in printed.splitlines()[:-1]]
    assert errors[-1] < errors[0] < 0.05  # the last value is 0.1 off


def test_every_fault_of_a_machine_is_told_and_nothing_else() -> None:
    lines = words("machine_faults.py")
    faults = lines[1:6]
    assert [line[1] for line in faults] == ["spike", "stuck", "drift", "burst", "swap"]
    for row, _, channel, told, by, *_ in faults:
        assert int(row) <= int(told) < int(row) + 20
        assert channel == by
    assert lines[6][-1] == "none"
    assert all(78 < float(share.rstrip("%")) < 82 for share in lines[7][-3:])


def test_a_new_cell_learns_beside_the_shipped_ones() -> None:
    errors = {line[0]: float(line[-1]) for line in words("new_cell.py")[2:]}
    assert errors["inner_leak"] < 0.7 * min(errors["tanh"], errors["leaky"], errors["gated"])


def test_the_learner_in_river_remembers_what_one_row_does_not_show() -> None:
    pytest.importorskip("river")
    shares = [float(line[-1].rstrip("%")) for line in words("with_river.py")[:4]]
    learner, late, regression, late_regression = shares
    assert learner > 97
    assert late > 85
    assert max(regression, late_regression) < 75


def test_the_learner_in_scikit_learn_remembers_the_walls() -> None:
    pytest.importorskip("sklearn")
    best, ridge, _ = words("with_sklearn.py")
    assert float(best[-1]) > 0.9 > 0.4 > float(ridge[-1])
