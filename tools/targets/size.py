"""Flash, memory, stack and instructions of a learner on every microcontroller: ``make size``.

A minimal firmware (tools/targets/firmware.c) with the kernel as ``nbt-embed export`` writes it,
for this model alone, is linked for each processor, once for size (-Os) and once for speed (-O2).
Flash is all of it but the recorded stream and the start-up code; memory is NBT_BYTES; stack is the
deepest chain of calls from nbt_learn, nbt_predict or nbt_init by the compiler's own call graph
(leaf routines of the libraries not counted); instructions are those of one learn and predict,
the mean and the most of all steps, counted in QEMU at -O2. Most take the steps in which the units
of several inputs move. On AVR the simulator counts cycles instead, memory is NBT_BYTES and the
constants, which lie in memory there, and stack is the deepest that the run saw, the libraries
included: the compiler writes no call graph. More than 1 % above or below the stored baseline is an
error until ``--accept``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from nbt_embed import Config, memory_of
from nbt_embed._kernel_config import shape_of
from nbt_embed.config import CHOICES, Cell, Estimator
from nbt_embed.export import kernel_of
from tools.document import put
from tools.targets import program
from tools.targets.avr import AVR, Avr
from tools.targets.counter import Steps, build_counter, count_steps
from tools.targets.machines import HERE, MACHINES, Machine, run

LEVELS = ("-Os", "-O2")
ENTRIES = ("nbt_init", "nbt_learn", "nbt_predict")
FLASH_SECTIONS = (".text", ".data", ".ARM.exidx")
STEPS = 2_000  # on a processor with an FPU; a tenth without, a fortieth on AVR
BASELINE = HERE / "size.json"
TOLERANCE = 0.01
README_PROCESSOR = "M4F"
PROCESSORS: tuple[Machine | Avr, ...] = (AVR, *MACHINES)  # what takes longest begins first


@dataclass(frozen=True)
class Model:
    """A learner of three inputs and one output: the defaults, but for what stands here.

    follow: without it the network is alone: units are fixed, one lag, no mixture.
    """

    cell: Cell
    estimator: Estimator
    hidden: int
    resonators: int = 0
    head: int = 0
    follow: bool = True

    @property
    def config(self) -> Config:
        """Its settings."""
        if self.follow:
            return Config(3, 1, **vars(self))
        return Config(3, 1, lags=1, prior_units=False, **vars(self))

    @property
    def name(self) -> str:
        """In one word, for folders."""
        return "-".join(map(str, vars(self).values()))

    @property
    def weights(self) -> int:
        """R D, and those of the head."""
        states, rows, cols = shape_of(self.config)
        inputs = self.config.n_in * (self.config.lags or 0)
        return rows * cols + self.head * (states + inputs + 1)


MODELS = (
    Model("gated", "nobacktrack", 8),
    Model("gated", "nobacktrack", 16),
    Model("gated", "unitwise", 16),
    Model("gated", "nobacktrack", 32),
    Model("gated", "residual", 32),
    Model("columnar", "snap1", 16, resonators=8, head=16),
    Model("columnar", "snap1", 16, head=8),
    Model("columnar", "snap1", 16, head=8, follow=False),
)


@dataclass(frozen=True)
class Size:
    """One model on one processor; bytes, and instructions of a learn with its predict at -O2."""

    processor: str
    model: Model
    memory: int
    flash_small: int
    stack_small: int
    flash: int
    stack: int
    instructions_mean: int
    instructions_most: int

    @property
    def key(self) -> tuple[str | int, ...]:
        """What was measured."""
        return (self.processor, *vars(self.model).values())

    @property
    def measured(self) -> dict[str, int]:
        """All figures."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}


def deepest(folder: Path) -> int:
    """Bytes of stack on the worst chain of calls, from the compiler's call graph (.ci files).

    Errors: ValueError where a frame is not static or a call is indirect.
    """
    frames: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for path in folder.glob("*.ci"):
        text = path.read_text(encoding="utf-8")
        for title, size, kind in re.findall(
            r'node: { title: "([^"]+)" label: "[^"]*\\n(\d+) bytes \(([a-z,]+)\)', text
        ):
            if kind != "static":
                raise ValueError(f"{title}: its stack frame is {kind}")
            frames[title] = int(size)
        for source, target in re.findall(r'sourcename: "([^"]+)" targetname: "([^"]+)"', text):
            calls.setdefault(source, set()).add(target)

    def depth(name: str, above: tuple[str, ...] = ()) -> int:
        if name == "__indirect_call" or name in above:
            raise ValueError(f"{' > '.join((*above, name))}: no bound")
        below = (depth(callee, (*above, name)) for callee in calls.get(name, ()))
        return frames.get(name, 0) + max(below, default=0)

    return max(map(depth, ENTRIES))


def section_bytes(machine: Machine | Avr, elf: Path, names: tuple[str, ...]) -> int:
    """Sum of the sections of an ELF file."""
    rows = (line.split() for line in run(machine.tool("size"), "-A", str(elf)).splitlines())
    return sum(int(row[1]) for row in rows if len(row) == 3 and row[0] in names)


def flash_without_kernel(machine: Machine | Avr, place: Path) -> int:
    """Bytes of the start-up code, in a program that does nothing."""
    empty = machine.link(sources=[HERE / "empty.c"], target=place / "empty.elf")
    return section_bytes(machine, empty, FLASH_SECTIONS)


def fits(machine: Machine | Avr, model: Model) -> bool:
    """Whether the learner and a kilobyte of stack fit into memory, and the step into patience."""
    if model.hidden > 16 and not machine.fma:
        return False  # millions of instructions per step without an FPU
    return memory_of(model.config).total + 1024 <= machine.ram[1]


def build(machine: Machine | Avr, config: Config, folder: Path, place: Path, level: str) -> Path:
    """Link the firmware of a model, with its call graph; for fewer steps without an FPU."""
    place.mkdir()
    fewer = 40 if isinstance(machine, Avr) else 1 if machine.fma else 10
    call_graph = (
        () if isinstance(machine, Avr) else ("-fcallgraph-info=su", "-dumpdir", f"{place}/")
    )
    kernel = kernel_of(config)
    (place / "nbt.h").write_text(kernel.header, encoding="utf-8")
    (place / "nbt.c").write_text(kernel.source, encoding="utf-8")
    return machine.link(
        level,
        "-ffp-contract=off",
        "-fno-math-errno",
        *call_graph,
        f"-I{place}",
        f"-I{folder}",
        f"-DSTEPS={STEPS // fewer}",
        f"-DMODEL_BYTES={memory_of(config).total}",
        f"-DMODEL_HIDDEN={config.hidden}",
        f"-DMODEL_FOLLOW={config.follow:d}",
        f"-DMODEL_CELL={CHOICES['cell'].index(config.cell)}",
        sources=[HERE / "firmware.c", place / "nbt.c"],
        target=place / "firmware.elf",
    )


def measure(machine: Machine | Avr, model: Model, folder: Path, counter: Path) -> Size:
    """Link, look, and count."""
    config = model.config
    place = folder / f"{machine.name}-{model.name}"
    place.mkdir()
    others = flash_without_kernel(machine, place) + program.samples().nbytes
    small, fast = (build(machine, config, folder, place / level, level) for level in LEVELS)
    flash = {elf: section_bytes(machine, elf, FLASH_SECTIONS) - others for elf in (small, fast)}
    memory = memory_of(config).total
    if isinstance(machine, Avr):
        runs = {elf: machine.counted(elf) for elf in (small, fast)}
        stack = {elf: one.stack for elf, one in runs.items()}
        steps: Steps = runs[fast]
        memory += section_bytes(machine, fast, (".data",))
    else:
        stack = {elf: deepest(elf.parent) for elf in (small, fast)}
        steps = count_steps(machine, fast, counter)
    return Size(
        machine.name, model, memory,
        flash[small], stack[small], flash[fast], stack[fast], round(steps.mean), steps.most,
    )  # fmt: skip


def changes(sizes: list[Size]) -> list[str]:
    """What is more than TOLERANCE away from the baseline."""
    if not BASELINE.exists():
        return [f"{BASELINE} is missing"]
    words = len(sizes[0].key)
    rows = json.loads(BASELINE.read_text(encoding="utf-8"))
    old = {tuple(row[:words]): row[words:] for row in rows}
    found = []
    for size in sizes:
        key = size.key
        before = old.get(key)
        if before is None:
            found.append(f"{key}: not in the baseline")
            continue
        for (name, value), was in zip(size.measured.items(), before, strict=True):
            if abs(value - was) > TOLERANCE * was:
                found.append(f"{' '.join(map(str, key))}: {name} {was} -> {value}")
    return found


def table(sizes: list[Size]) -> str:
    """One line a processor and model."""
    lines = [
        f"{'flash':>78}{'stack':>7}{'flash':>9}{'stack':>7}   instructions per step, -O2",
        " processor  cell      estimator     H  resonators  head  follow  memory    -Os    -Os"
        "      -O2    -O2"
        "        mean        most  / weight",
    ]
    lines += [
        f"{s.processor:>10}  {s.model.cell:<10}{s.model.estimator:<11}{s.model.hidden:4}"
        f"{s.model.resonators:12}{s.model.head:6}{s.model.follow:8d}"
        f"{s.memory:8,}{s.flash_small:7,}{s.stack_small:7,}{s.flash:9,}{s.stack:7,}"
        f"{s.instructions_mean:12,}{s.instructions_most:12,}"
        f"{s.instructions_mean / s.model.weights:10.1f}"
        for s in sizes
    ]
    if any(s.processor == AVR.name for s in sizes):
        lines.append(f"{AVR.name}: cycles for instructions; memory with the constants")
    return "\n".join(lines)


def short_table(sizes: list[Size]) -> str:
    """The columnar learners on one processor, as a table of Markdown."""
    shown = [s for s in sizes if s.processor == README_PROCESSOR and s.model.cell == "columnar"]
    lines = [
        f"| {shown[0].model.hidden} units | learner, bytes | stack, bytes | flash at -Os, bytes "
        "| instructions per step at -O2, mean (most) |",
        "|---|--:|--:|--:|--:|",
    ]
    for s in shown:
        resonators = f"{s.model.resonators or 'no'} resonators"
        alone = "" if s.model.follow else ", `follow` off, one lag"
        lines.append(
            f"| {resonators}, head of {s.model.head}{alone} | {s.memory:,} | {s.stack_small:,} "
            f"| {s.flash_small:,} | {s.instructions_mean:,} ({s.instructions_most:,}) |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, compare with the baseline or replace it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accept", action="store_true", help="make this the baseline")
    parser.add_argument("--document", type=Path, help="Markdown file to put the table into")
    parser.add_argument("--readme", type=Path, help=f"another, for columns on {README_PROCESSOR}")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        program.write_header(folder, hold=True)
        counter = build_counter(folder)
        jobs = [job for job in product(PROCESSORS, MODELS) if fits(*job)]
        sizes = list(pool.map(lambda job: measure(job[0], job[1], folder, counter), jobs))
    print(table(sizes))
    if options.document is not None:
        put(options.document, "size", table(sizes))
    if options.readme is not None:
        put(options.readme, "size", short_table(sizes), fenced=False)
    if options.accept:
        rows = ",\n".join(json.dumps([*size.key, *size.measured.values()]) for size in sizes)
        BASELINE.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
        return 0
    found = changes(sizes)
    print("\n".join(found) or "as the baseline")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
