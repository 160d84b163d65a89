"""What runs at which rate on processors without an FPU: ``make rates``.

Two tables. The first has instructions of one operation on two floats, the call included: the mean
of a thousand pairs of usual size. The second has learners of three inputs and one output: memory,
flash and stack as ``make size`` has them, the mean of their first 200 steps at -O2 (one nbt_learn
and one nbt_predict), and how many such steps fit into a second of some clocks. Samples per second
are at the careful end of the range of cycles per instruction (nbt_embed.cost). "soft" is the
kernel's own arithmetic of floats (csrc/nbt_soft_float.c) instead of the compiler's.

QEMU counts instructions. simavr counts cycles, of the first 50 steps, so that nothing is assumed of
an AVR; one runs at 16 MHz.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from nbt_embed.cost import processor_of
from tools.document import put
from tools.targets import program
from tools.targets.avr import AVR, Avr
from tools.targets.counter import build_counter, count_steps
from tools.targets.machines import HERE, MACHINES, ROOT, SOFT_FLOAT, Machine
from tools.targets.size import Model, Size, fits, measure

MEGAHERTZ = (16, 48, 72)
AVR_MEGAHERTZ = 16
# Expressions of x and y. The first is no operation: what surrounds the others.
NOTHING = "((void)(y), (x))"
OPERATIONS = {
    "+": "((x) + (y))",
    "-": "((x) - (y))",
    "*": "((x) * (y))",
    "/": "((x) / (y))",
    "<": "((x) < (y) ? 1.0f : 0.0f)",
}
LEARNERS = {
    "least squares": Model("columnar", "frozen", 0),
    "4 units": Model("columnar", "snap1", 4),
    "8 units": Model("columnar", "snap1", 8),
    "8 units, alone": Model("columnar", "snap1", 8, follow=False),
    "16 units, head 8": Model("columnar", "snap1", 16, head=8),
    "default": Model("columnar", "snap1", 16, resonators=8, head=16),
}

_BY_NAME = {machine.name: machine for machine in (*MACHINES, *SOFT_FLOAT)}


def _with_room(machine: Machine) -> Machine:
    """A Cortex-M0's code on the board of a Cortex-M3, which has room for all learners."""
    board = _BY_NAME["M3"]
    return replace(machine, board=board.board, ram=board.ram, flash=board.flash)


PROCESSORS: tuple[Machine | Avr, ...] = (
    AVR,
    _with_room(_BY_NAME["M0"]),
    _with_room(_BY_NAME["M0 soft"]),
    _BY_NAME["M3"],
    _BY_NAME["RV32IMAC"],
    _BY_NAME["RV32IMAC soft"],
)


@dataclass(frozen=True)
class Operations:
    """Instructions (AVR: cycles) of each of OPERATIONS on one processor, the mean of the pairs."""

    processor: str
    counts: dict[str, float]


def operations(machine: Machine | Avr, folder: Path, counter: Path) -> Operations:
    """Count them. Errors: ToolError."""

    def mean(number: int, expression: str) -> float:
        elf = machine.link(
            "-O2", f"-DOPERATION(x, y)={expression}", sources=_sources(machine),
            target=folder / f"{machine.name}-{number}.elf",
        )  # fmt: skip
        if isinstance(machine, Avr):
            return machine.counted(elf).mean
        return count_steps(machine, elf, counter).mean

    around = mean(0, NOTHING)
    return Operations(
        machine.name,
        {name: mean(i, text) - around for i, (name, text) in enumerate(OPERATIONS.items(), 1)},
    )


def _sources(machine: Machine | Avr) -> list[Path]:
    """The program, and the arithmetic that the kernel brings where it does."""
    soft = machine.name in (one.name for one in SOFT_FLOAT)
    own = [ROOT / "csrc" / "nbt_soft_float.c"] if soft else []
    return [HERE / "operations.c", *own]


def samples_a_second(size: Size, megahertz: int) -> float | None:
    """Steps per second at a clock, at the careful end of what is assumed; None: no such clock."""
    if size.processor == AVR.name:
        return megahertz * 1e6 / size.instructions_mean if megahertz == AVR_MEGAHERTZ else None
    cycles = processor_of(size.processor.split()[0]).cycles_high
    return megahertz * 1e6 / (size.instructions_mean * cycles)


def table_of_operations(rows: list[Operations]) -> str:
    """One line a processor."""
    lines = [f"{'processor':>13}" + "".join(f"{name:>8}" for name in OPERATIONS)]
    lines += [
        f"{row.processor:>13}" + "".join(f"{row.counts[name]:8.1f}" for name in OPERATIONS)
        for row in rows
    ]
    return "\n".join(lines)


def table_of_rates(sizes: list[tuple[str, Size]]) -> str:
    """One line a processor and learner."""
    lines = [
        f"{'samples per second at':>96}",
        f"{'processor':>13}  {'learner':<17}{'memory':>7}{'flash':>8}{'stack':>7}{'per step':>12}"
        + "".join(f"{mhz:>6} MHz" for mhz in MEGAHERTZ),
    ]
    for learner, size in sizes:
        rates = (samples_a_second(size, mhz) for mhz in MEGAHERTZ)
        lines.append(
            f"{size.processor:>13}  {learner:<17}{size.memory:7,}{size.flash:8,}{size.stack:7,}"
            f"{size.instructions_mean:12,}"
            + "".join(f"{'-' if rate is None else f'{rate:.3g}':>10}" for rate in rates)
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Count, print, and put the tables into a document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--document", type=Path, help="Markdown file to put the tables into")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        program.write_header(folder, hold=True)
        counter = build_counter(folder)
        jobs = [
            (machine, learner)
            for machine, learner in product(PROCESSORS, LEARNERS)
            if fits(machine, LEARNERS[learner])
        ]
        sizes = pool.map(lambda job: measure(job[0], LEARNERS[job[1]], folder, counter), jobs)
        counted = pool.map(lambda machine: operations(machine, folder, counter), PROCESSORS)
        rates = table_of_rates([(job[1], size) for job, size in zip(jobs, sizes, strict=True)])
        of_operations = table_of_operations(list(counted))
    print(of_operations, rates, sep="\n\n")
    if options.document is not None:
        put(options.document, "operations", of_operations)
        put(options.document, "rates", rates)
    return 0


if __name__ == "__main__":
    sys.exit(main())
