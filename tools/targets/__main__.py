"""The same bits on every microcontroller: ``make targets``.

Builds the kernel and a program without an operating system for each processor, runs it under QEMU
on a recorded stream through every kind of learner that fits, and compares the state hashes after 1,
10, 100, ... steps with those of the Python package on this machine. Where the processor fuses
multiplications and additions, a build that permits it has to differ. WebAssembly, under node, and
an 8-bit AVR, in simavr and for fewer steps, are among the processors. With "soft" the kernel's own
arithmetic of floats by integers (csrc/nbt_soft_float.c) takes the place of the compiler's.

A processor whose tools are not installed is left out with a note; it is an error where it was asked
for by name, where no other one ran, and with NBT_REQUIRE_TOOLS=1 (the CI sets it).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.document import put
from tools.targets import program
from tools.targets.avr import AVR, Avr
from tools.targets.machines import HERE, MACHINES, ROOT, SOFT_FLOAT, Machine, ToolError
from tools.targets.webassembly import WEBASSEMBLY, WebAssembly

Processor = Machine | WebAssembly | Avr
# AVR takes longest.
PROCESSORS: tuple[Processor, ...] = (AVR, *MACHINES, *SOFT_FLOAT, *WEBASSEMBLY)


@dataclass(frozen=True)
class Result:
    """Kinds of learners that ran on one processor, that did not fit, and that differed."""

    name: str
    steps: int
    ran: int
    too_big: int
    different: tuple[str, ...]
    contracted_differ: int | None

    @property
    def good(self) -> bool:
        """Everything equal, and the control build seen to differ where it can."""
        return self.ran > 0 and not self.different and self.contracted_differ != 0


def hashes_of(printed: str) -> dict[str, list[str]]:
    """Kind of learner -> hashes; empty where it did not fit. Errors: ValueError."""
    lines = printed.splitlines()
    if not lines or lines[-1] != "done":
        raise ValueError(f"the program did not end: {printed[-200:]!r}")
    found = {}
    for line in lines[:-1]:
        kind, rest = line.split(": ", 1)
        found[kind] = [] if rest == "too big" else rest.split()
    return found


def steps_on(machine: Processor, steps: int) -> int:
    """How many of the steps that were asked for it makes."""
    return steps if machine.most_steps is None else min(steps, machine.most_steps)


def build(machine: Processor, folder: Path, steps: int, contract: str) -> Path:
    """The program with the whole kernel, and with folder / stream.h. Errors: ToolError."""
    return machine.link(
        f"-ffp-contract={contract}",
        "-fno-math-errno",
        f"-DARENA_BYTES={machine.arena_bytes}",
        f"-DNBT_LANES={machine.lanes}",
        f"-DSTEPS={steps}",
        f"-I{ROOT / 'csrc'}",
        f"-I{folder}",
        sources=[HERE / "program.c", *sorted((ROOT / "csrc").glob("*.c"))],
        target=folder / f"{machine.name}-{contract}.elf",
    )


def check(machine: Processor, folder: Path, steps: int, expected: dict[str, list[str]]) -> Result:
    """Build, run, compare."""

    def printed(contract: str) -> dict[str, list[str]]:
        return hashes_of(machine.emulate(build(machine, folder, steps, contract)))

    got = printed("off")
    if got.keys() != expected.keys():
        raise ValueError(f"{machine.name}: other kinds of learners than the package has")
    ran = [kind for kind, hashes in got.items() if hashes]
    contracted = None
    if machine.fma:
        control = printed("fast")
        contracted = sum(control[kind] != expected[kind] for kind in ran)
    different = tuple(kind for kind in ran if got[kind] != expected[kind])
    return Result(machine.name, steps, len(ran), len(got) - len(ran), different, contracted)


def line_of(result: Result) -> str:
    """One row of the table."""
    control = result.contracted_differ
    return (
        f"{result.name:>13}{result.steps:8}{result.ran:9}{result.too_big:9}{len(result.different):11}"
        f"{'-' if control is None else control:>12}  {'equal' if result.good else 'NOT EQUAL'}"
    )


def installed(chosen: list[Processor], asked_for: bool) -> list[Processor]:
    """Those whose tools are here; a note for each other one. Errors: ToolError (see above)."""
    found = []
    for machine in chosen:
        absent = next((tool for tool in machine.tools if shutil.which(tool) is None), None)
        if absent is None:
            found.append(machine)
            continue
        said = f"{machine.name}: {absent} is not installed (packages: docs/reference/porting.md)"
        if asked_for or os.environ.get("NBT_REQUIRE_TOOLS") == "1":
            raise ToolError(said)
        print(f"left out: {said}", file=sys.stderr)
    if not found:
        raise ToolError(
            "no processor has its tools here (docs/reference/porting.md has the packages)"
        )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Check the processors, print and keep the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="processors (all)")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--json", type=Path, default=Path("build/targets.json"))
    parser.add_argument("--document", type=Path, help="Markdown file to put the table into")
    options = parser.parse_args(arguments)
    known = [machine.name for machine in PROCESSORS]
    for name in options.names:
        if name not in known:
            parser.error(f"{name}: expected one of {', '.join(known)}")
    chosen = installed(
        [one for one in PROCESSORS if not options.names or one.name in options.names],
        asked_for=bool(options.names),
    )
    kinds = program.configurations()
    steps = {machine.name: steps_on(machine, options.steps) for machine in chosen}
    expected = {
        count: {kind: program.expected(config, count) for kind, config in kinds.items()}
        for count in set(steps.values())
    }

    def checked(machine: Processor) -> Result:
        count = steps[machine.name]
        return check(machine, folder, count, expected[count])

    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        program.write_header(folder)
        results = list(pool.map(checked, chosen))
    lines = [
        f"{len(kinds)} kinds of learners, hashes against Python's",
        "    processor   steps      ran  too big  different  contracted",
        *map(line_of, results),
    ]
    print("\n".join(lines))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(result) for result in results], indent=1)
    options.json.write_text(text + "\n", encoding="utf-8")
    if options.document is not None:
        put(options.document, "targets", "\n".join(lines))
    return 0 if all(result.good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
