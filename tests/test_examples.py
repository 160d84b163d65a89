"""Every example runs; those in C compile without warnings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import HOST, ROOT, Build, run

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_python_examples_run(example: Path) -> None:
    assert run(sys.executable, str(example))


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
