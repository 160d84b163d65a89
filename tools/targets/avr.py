"""AVR: an 8-bit ATmega2560 in simavr, which counts cycles; 256 KB of flash and 8 KB of memory.

Every type is aligned to 1 there, size_t has 16 bits, double is float, arithmetic of floats is
software, and constants lie in memory but for those that the program puts elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.targets.counter import Steps
from tools.targets.machines import HERE, ToolError, run

# Bytes of constants and variables of the program of `make targets`, and a kilobyte of stack.
_OUTSIDE_ARENA = 1740
OVERFLOW = "the stack has reached the variables"  # what start_avr.c says then


@dataclass(frozen=True)
class Counted(Steps):
    """Cycles instead of instructions, and bytes of the deepest stack from their caller on."""

    stack: int


@dataclass(frozen=True)
class Avr:
    """A processor for ``make targets`` and ``make size``, as ``Machine`` is one.

    most_steps: a step of software arithmetic takes a simulator long.
    """

    name: str = "AVR"
    compiler: str = "avr-gcc"
    fma: bool = False
    ram: tuple[int, int] = (0x800200, 8 << 10)
    most_steps: int = 10
    lanes: int = 1
    tools: tuple[str, ...] = ("avr-gcc", "simavr")

    @property
    def arena_bytes(self) -> int:
        """As of ``Machine``."""
        return self.ram[1] - _OUTSIDE_ARENA

    def tool(self, name: str) -> str:
        """A program of the compiler's binutils, as "nm"."""
        return f"{self.compiler.removesuffix('gcc')}{name}"

    def link(self, *options: str, sources: Sequence[Path], target: Path) -> Path:
        """As ``Machine.link``, for size unless told otherwise: flash is what is scarce.

        In C99 with extensions: __flash is one.
        """
        run(
            self.compiler,
            "-mmcu=atmega2560",
            "-std=gnu99",
            "-Os",
            "-ffunction-sections",
            "-fdata-sections",
            "-Wl,--gc-sections",
            f"-I{HERE}",
            *options,
            str(HERE / "start_avr.c"),
            *map(str, sources),
            "-lm",
            "-o",
            str(target),
        )
        return target

    def emulate(self, program: Path) -> str:
        """What the program prints on its serial port. Errors: ToolError."""
        printed = run("simavr", "-m", "atmega2560", "-f", "16000000", str(program))
        # simavr shows every line in green, with a full stop for its end.
        return "".join(f"{line}\n" for line in re.findall(r"\x1b\[32m(.*)\.\n", printed))

    def counted(self, program: Path) -> Counted:
        """What a program with step_begin and step_end counts of itself. Errors: ToolError."""
        printed = self.emulate(program)
        if OVERFLOW in printed:
            raise ToolError(f"{program}: {OVERFLOW}; a smaller learner leaves it more memory")
        found = re.search(r"^counted (.*)$", printed, re.MULTILINE)
        if found is None:
            raise ToolError(f"{program}: no step was counted; it printed {printed[-200:]!r}")
        return Counted(*map(int, found[1].split()))


AVR = Avr()
