"""What compilers make of the kernel: nothing that can be written, and no call into a library.

A kernel without ``.data`` and ``.bss`` needs no start-up code of its own, and can be linked into
position-independent modules, whose loaders refuse both.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from conftest import Tool, run

from nbt_embed.amalgamation import amalgamate

FLAGS = ("-std=c99", "-ffp-contract=off", "-fno-math-errno")
TARGETS = {
    "gcc": "gcc",
    "clang": "clang",
    "M0": "arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb",
    "M3": "arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb",
    "M4F": "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard",
    "RV32IMAC": "riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 --specs=picolibc.specs",
    "RV32IMAFC": "riscv64-unknown-elf-gcc -march=rv32imafc -mabi=ilp32f --specs=picolibc.specs",
    "AVR": "avr-gcc -mmcu=atmega2560",
}
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
# The C library's part that freestanding compilers ask for, too.
MEMORY = {"memcmp", "memcpy", "memmove", "memset"}
MEMORY_OF_HOSTS = MEMORY | {"bcmp"}  # clang's name for a memcmp that only asks whether
# Of AVR, whose arithmetic of floats is in avr-libc.
AVR_NAMES = "add cmp div eq fixuns float floatun ge gt le lt mul ne sub"
AVR_ARITHMETIC = {
    f"__{name}{kind}"
    for name in AVR_NAMES.split()
    for kind in ("sf2", "sf3", "sfsi", "sisf", "ssisf")
}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the kernel as one file, with every choice."""
    folder = tmp_path_factory.mktemp("kernel")
    both = amalgamate("The kernel.")
    (folder / "nbt.h").write_text(both.header)
    (folder / "nbt.c").write_text(both.source)
    return folder / "nbt.c"


def check(target: str, flags: tuple[str, ...], kernel: Path, tool: Tool, place: Path) -> None:
    """Compile and look into the object."""
    compiler, *machine = shlex.split(TARGETS[target])
    made = place / "nbt.o"
    run(tool(compiler), *machine, *FLAGS, *flags, "-c", str(kernel), "-o", str(made))
    assert writable(made, tool) == []
    memory = MEMORY if machine else MEMORY_OF_HOSTS
    assert undefined(made, tool) <= memory | arithmetic(compiler, machine, tool)


def writable(path: Path, tool: Tool) -> list[str]:
    """Return sections of an object that can be written and are not empty, and common symbols."""
    found = []
    for line in run(tool("readelf"), "-SW", str(path)).splitlines():
        cells = line.partition("]")[2].split()
        if len(cells) > 7 and "W" in cells[6] and int(cells[4], 16) > 0:
            found.append(cells[0])
    symbols = run(tool("readelf"), "-sW", str(path)).split("\n")
    return found + [line for line in symbols if " COM " in line]


def undefined(path: Path, tool: Tool) -> set[str]:
    """Return the symbols that an object asks for."""
    lines = run(tool("readelf"), "-sW", str(path)).splitlines()
    return {line.split()[7] for line in lines if " UND " in line and len(line.split()) > 7}


def arithmetic(compiler: str, machine: list[str], tool: Tool) -> set[str]:
    """Return what the compiler's own run-time library defines."""
    if compiler == "clang":
        return set()
    library = run(tool(compiler), *machine, "-print-libgcc-file-name").strip()
    lines = run(tool("readelf"), "-sW", library).splitlines()
    defined = {row[7] for row in map(str.split, lines) if len(row) == 8 and row[6] != "UND"}
    return defined | (AVR_ARITHMETIC if compiler == "avr-gcc" else set())


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_the_kernel_has_no_data_and_calls_no_library(
    target: str, kernel: Path, tool: Tool, tmp_path: Path
) -> None:
    """Position-independent, where the address of a function is data, and as most firmware is."""
    if target != "AVR":  # has no position-independent code
        check(target, ("-Os", "-fPIC"), kernel, tool, tmp_path)
    check(target, ("-O2",), kernel, tool, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("target", ["gcc", "clang", "M4F"])  # each compiler's passes are its own
def test_the_same_at_every_level(
    target: str, level: str, kernel: Path, tool: Tool, tmp_path: Path
) -> None:
    check(target, (level,), kernel, tool, tmp_path)
    if target != "AVR":
        check(target, (level, "-fPIC"), kernel, tool, tmp_path)


@pytest.mark.parametrize(
    ("code", "section"),
    [
        ("int counter;", ".bss"),
        ("int counter = 1;", ".data"),
        ("int f(void); int (*const table[])(void) = {f};", ".data.rel.ro"),
    ],
)
def test_what_must_not_be_there_is_found(
    code: str, section: str, tool: Tool, tmp_path: Path
) -> None:
    library = "float sqrtf(float);\nfloat g(float x) { return sqrtf(x); }\n"
    (tmp_path / "bad.c").write_text(f"{code}\n{library}")
    made = tmp_path / "bad.o"
    run(tool("gcc"), "-fPIC", "-c", str(tmp_path / "bad.c"), "-o", str(made))
    assert section in writable(made, tool)
    assert "sqrtf" in undefined(made, tool)
