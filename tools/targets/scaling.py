"""What a step costs against the number of units, part by part: ``make scaling``.

A columnar learner of three inputs and one output with a head of half as many units, the network
alone, on a Cortex-M4F under QEMU at -O2. A plugin (parts.c) counts the instructions of every
function over some steps; small ones that several parts call (scalar products, exponentials) count
for whoever called them. The parts are

    columns      R D weights, D = 5: cell, traces, their change
    head         K (H + I + 1) weights: layer, slopes, their change
    covariance   F (F + 1) / 2 numbers of the readout's factor, F = H + K + I + 1
    rest         all else

and behind each stands what one weight or number of it costs: where that stays the same, the part
grows as they do. `without` is the whole step without the readout's covariance: less than that no
cheaper covariance can save.
"""

from __future__ import annotations

import argparse
import bisect
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nbt_embed import Config, memory_of
from nbt_embed._kernel_config import shape_of
from tools.document import put
from tools.targets import program
from tools.targets.machines import HERE, MACHINES, Machine, run
from tools.targets.size import Model, build

PROCESSOR = "M4F"
UNITS = (8, 16, 32, 64, 128, 256)
STEPS = 20
PARTS = {
    "columns": ("nbt_columns_", "nbt_cell_", "nbt_resonator_", "nbt_traces_", "gated_of"),
    "head": ("nbt_head_", "head_"),
    "covariance": ("nbt_ud_",),
}
SHARED = ("nbt_dot", "nbt_exp", "nbt_tanh", "nbt_sigmoid", "nbt_copy", "memcpy", "memset")
OUTSIDE = ("main", "step_begin", "step_end", "reset")  # of a step


@dataclass(frozen=True)
class Cost:
    """Instructions of a step of one learner by part, and how many numbers each part has."""

    hidden: int
    memory: int
    instructions: dict[str, int]
    numbers: dict[str, int]

    @property
    def total(self) -> int:
        """Of the whole step."""
        return sum(self.instructions.values())


def numbers_of(config: Config) -> dict[str, int]:
    """Weights of the columns and of the head, entries of the readout's covariance."""
    states, rows, cols = shape_of(config)
    seen = states + config.n_in * (config.lags or 1) + 1
    head = config.head or 0
    features = seen + head
    return {
        "columns": rows * cols,
        "head": head * seen,
        "covariance": features * (features + 1) // 2,
    }


def functions_of(machine: Machine, elf: Path) -> list[tuple[int, str]]:
    """Start and name of every function, in order."""
    rows = (
        line.split()
        for line in run(machine.compiler.replace("-gcc", "-nm"), "-n", str(elf)).splitlines()
    )
    return [(int(row[0], 16) & ~1, row[2]) for row in rows if row[1] in "tT" and row[2][0] != "$"]


def part_of(function: str) -> str | None:
    """The part that a function belongs to; None outside a step."""
    if function in OUTSIDE or function.startswith("read_sample"):
        return None
    return next((part for part, begins in PARTS.items() if function.startswith(begins)), "rest")


def measure(machine: Machine, hidden: int, folder: Path, plugin: Path) -> Cost:
    """Link the firmware, run it, add up."""
    config = Model("columnar", "snap1", hidden, head=hidden // 2, follow=False).config
    elf = build(machine, config, folder, folder / str(hidden), "-O2", STEPS)
    functions = functions_of(machine, elf)
    starts = [start for start, _ in functions]
    begin = next(start for start, name in functions if name == "step_begin")
    shared = "".join(
        f",shared={start:#x}-{starts[i + 1] - 1:#x}"
        for i, (start, name) in enumerate(functions)
        if name.split(".")[0] in SHARED
    )
    printed = machine.emulate(elf, "-plugin", f"{plugin},begin={begin:#x}{shared}")
    cost = dict.fromkeys((*PARTS, "rest"), 0)
    for line in printed.splitlines():
        if line.startswith("at "):
            _, address, executed = line.split()
            part = part_of(functions[bisect.bisect_right(starts, int(address, 16)) - 1][1])
            if part is not None:
                cost[part] += int(executed)
    per_step = {part: round(executed / STEPS) for part, executed in cost.items()}
    return Cost(hidden, memory_of(config).total, per_step, numbers_of(config))


def table(costs: list[Cost]) -> str:
    """One line for each number of units."""
    heads = "".join(f"{part:>12}{'each':>7}" for part in PARTS)
    lines = [f"{'H':>4}{'K':>5}{'bytes':>11}{heads}{'rest':>9}{'step':>11}{'without':>11}"]
    for cost in costs:
        parts = "".join(
            f"{cost.instructions[part]:12,}{cost.instructions[part] / cost.numbers[part]:7.1f}"
            for part in PARTS
        )
        without = cost.total - cost.instructions["covariance"]
        lines.append(
            f"{cost.hidden:4}{cost.hidden // 2:5}{cost.memory:11,}{parts}"
            f"{cost.instructions['rest']:9,}{cost.total:11,}{without:11,}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, put into a document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--document", type=Path, help="Markdown file to put the table into")
    options = parser.parse_args(arguments)
    machine = next(machine for machine in MACHINES if machine.name == PROCESSOR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program.write_header(folder, hold=True)
        plugin = folder / "parts.so"
        run("cc", "-shared", "-fPIC", "-O2", str(HERE / "parts.c"), "-o", str(plugin))
        text = table([measure(machine, hidden, folder, plugin) for hidden in UNITS])
    print(text)
    if options.document is not None:
        put(options.document, "scaling", text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
