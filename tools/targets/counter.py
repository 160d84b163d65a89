"""Instructions between step_begin and step_end of a program, counted in QEMU by count.c."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.targets.machines import HERE, Machine, run


@dataclass(frozen=True)
class Steps:
    """How many steps a program made, and their instructions: the least, the most, and of all."""

    times: int
    least: int
    most: int
    total: int

    @property
    def mean(self) -> float:
        """Of a step."""
        return self.total / self.times


def build_plugin(name: str, folder: Path) -> Path:
    """A plugin of QEMU, for this computer. Args: name, of its source here. Errors: ToolError."""
    path = folder / f"{name}.so"
    run("cc", "-shared", "-fPIC", "-O2", str(HERE / f"{name}.c"), "-o", str(path))
    return path


def build_counter(folder: Path) -> Path:
    """The plugin that counts. Errors: ToolError."""
    return build_plugin("count", folder)


def count_steps(machine: Machine, program: Path, counter: Path) -> Steps:
    """Run a program that has both functions. counter: of build_counter. Errors: ToolError."""
    rows = (line.split() for line in run(machine.tool("nm"), str(program)).splitlines())
    where = {row[2]: int(row[0], 16) & ~1 for row in rows if len(row) == 3}
    marks = f"begin={where['step_begin']:#x},end={where['step_end']:#x}"
    printed = machine.emulate(program, "-plugin", f"{counter},{marks}")
    return Steps(*map(int, printed.split("counted")[1].split()))
