"""What a step costs against the number of units, part by part: ``make scaling``.

A columnar learner of three inputs and one output with a head of half as many units, the network
alone, on a Cortex-M4F under QEMU at -O2. The instructions of a usual step are counted by function
of the source (counting.py); a part has the functions of some files of the kernel, and the loops
over rows that these call. The parts are

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
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nbt_embed import Config, memory_of
from nbt_embed._kernel_config import shape_of
from tools.document import put
from tools.targets.counting import Parts, build_profiler, measure
from tools.targets.functions import defined_in
from tools.targets.machines import MACHINES, Machine
from tools.targets.size import Model

PROCESSOR = "M4F"
UNITS = (8, 16, 32, 64, 128, 256)
# Part -> the files of the kernel that define its functions.
PARTS = {
    "columns": ("nbt_columns.c", "nbt_cell.c", "nbt_traces.c"),
    "head": ("nbt_head.c",),
    "covariance": ("nbt_ud.c",),
}


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


def by_part(functions: Parts) -> dict[str, int]:
    """Add up the instructions of functions."""
    costs = dict.fromkeys((*PARTS, "rest"), 0.0)
    for name, instructions in functions.items():
        part = next((part for part, files in PARTS.items() if name in defined_in(*files)), "rest")
        costs[part] += instructions
    return {part: round(instructions) for part, instructions in costs.items()}


def cost_of(machine: Machine, hidden: int, folder: Path, plugin: Path) -> Cost:
    """Count the instructions of one learner. Errors: ToolError."""
    config = Model("columnar", "snap1", hidden, head=hidden // 2, follow=False).config
    steps = measure(machine, config, folder / str(hidden), plugin, levels=()).steps
    functions = steps[config.arguments()]
    return Cost(hidden, memory_of(config).total, by_part(functions), numbers_of(config))


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
        plugin = build_profiler(folder)
        text = table([cost_of(machine, hidden, folder, plugin) for hidden in UNITS])
    print(text)
    if options.document is not None:
        put(options.document, "scaling", text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
