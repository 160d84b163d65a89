"""Every example runs, and so does the Python of the README; the C one compiles without warnings."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Build, run

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_python_examples_run(example: Path) -> None:
    assert run(sys.executable, str(example))


def test_the_readme_program_runs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert len(blocks) == 1
    promised = re.search(r"# (\d+ bytes)", blocks[0])
    assert promised is not None
    assert run(sys.executable, "-c", blocks[0]).strip() == promised[1]


def test_the_c_example_compiles_without_warnings_and_learns(build: Build) -> None:
    source = ROOT / "examples" / "minimal.c"
    program = build("gcc", *STRICT, "-O2", "-ffp-contract=off", source=source, lanes=1)
    errors = [float(line.split()[-1]) for line in run(str(program)).splitlines()[:-1]]
    assert errors[-1] < 0.5 * errors[0]
