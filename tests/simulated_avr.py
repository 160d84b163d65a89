"""Programs on an 8-bit AVR (ATmega2560: 256 KB of flash, 8 KB of memory) in simavr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from conftest import run

from tools.targets.avr import AVR
from tools.targets.machines import HERE

MACHINE = ("-mmcu=atmega2560", "-Os", "-ffunction-sections", "-fdata-sections")


def on_avr(
    sources: Sequence[Path], tool: Callable[[str], str], place: Path, language: str, *own: str
) -> str:
    """Return what a program prints; its nbt.h and nbt.c lie in ``place``.

    The kernel is compiled as Arduino compiles a library, the rest in ``language`` ("c", "c++").
    """
    compiler, _ = tool("avr-gcc"), tool("simavr")
    kernel, program = place / "avr_nbt.o", place / "avr.elf"
    fixed = ("-ffp-contract=off", "-std=gnu11", "-c", str(place / "nbt.c"), "-o", str(kernel))
    run(compiler, *MACHINE, *fixed)
    standard = {"c": "-std=gnu99", "c++": "-std=gnu++11"}[language]
    objects = []
    for source in sources:
        objects.append(str(place / f"avr_{source.stem}.o"))
        include = ("-Wall", "-Wextra", "-Werror", f"-I{place}", f"-I{HERE}", *own)
        chosen = ("-x", language, standard, "-c", str(source), "-o", objects[-1])
        run(compiler, *MACHINE, *include, *chosen)
    run(compiler, *MACHINE, "-Wl,--gc-sections", *objects, str(kernel), "-lm", "-o", str(program))
    return AVR.emulate(program)
