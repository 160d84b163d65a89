"""What learners cost on a processor: instructions of a usual step by function, flash and stack.

The kernel is the one that ``nbt-embed export`` writes for a configuration. Instructions are counted
by function of the source, as the compiler's line table has it: what was put into another function
counts where it was written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbt_embed import Config, memory_of
from nbt_embed._defaults import KERNEL_FIELDS, number_of
from nbt_embed.amalgamation import Amalgamation, amalgamate
from nbt_embed.cost import LEVELS
from nbt_embed.export import kernel_of
from tools.targets.counter import build_plugin
from tools.targets.functions import defined_in
from tools.targets.machines import HERE, Machine, run
from tools.targets.size import FLASH_SECTIONS, deepest, flash_without_kernel, section_bytes

# A usual step is one without a move of units: the stream is stationary, and after so many rows
# they have settled. Without an FPU the count depends on the operands, so several are averaged.
WARM = {True: 400, False: 100}
STEPS = {True: 8, False: 16}
_FAST = "-O2"  # steps are counted at this level
_FLAGS = ("-ffp-contract=off", "-fno-math-errno")


# Small functions that many others share count where they are called: those of headers, the
# mathematics, and the loops over rows.
_SHARED = defined_in("*.h", "nbt_math.c", "nbt_rows.c")

Parts = dict[str, float]  # function of the kernel -> instructions of a step, or bytes of flash


@dataclass(frozen=True)
class Measured:
    """A kernel, and the steps of learners that it runs.

    Attributes: flash and stack, bytes at -O2 and at -Os (stack without leaf routines of the
    libraries); steps, by ``Config.arguments``: instructions of a step by function of the kernel,
    those of a library where it is called.
    """

    flash: dict[str, int]
    stack: dict[str, int]
    steps: dict[str, Parts]


def measure(
    machine: Machine, config: Config, place: Path, plugin: Path, levels: Sequence[str] = LEVELS
) -> Measured:
    """Compile the kernel of a configuration, run it and look, in an empty folder of its own.

    plugin: of build_profiler. levels: where flash and stack are looked at. Errors: ToolError.
    """
    place.mkdir()
    flash, stack = {}, {}
    for level in dict.fromkeys((_FAST, *levels)):
        kernel = _compiled(machine, kernel_of(config), place / level, level)
        if level in levels:
            elf = machine.link(
                f"-I{kernel.parent}", sources=[HERE / "calls.c", kernel], target=place / "calls.elf"
            )
            whole = section_bytes(machine, elf, FLASH_SECTIONS)
            flash[level] = whole - flash_without_kernel(machine, place)
            stack[level] = deepest(kernel.parent)
    steps = _steps(machine, [config], place / _FAST / "nbt.o", place, plugin)
    return Measured(flash, stack, steps)


def measure_whole(
    machine: Machine, configs: Sequence[Config], place: Path, plugin: Path
) -> Measured:
    """The steps of any configurations with the whole kernel, which has every choice, at -O2.

    It has the same loops as the one of a single configuration, and takes more instructions for
    what is a constant there; it is compiled once for all of them. Errors: ToolError.
    """
    place.mkdir()
    kernel = amalgamate("The kernel.", "#define NBT_RTRL_FLOATS_MAX 0\n")
    compiled = _compiled(machine, kernel, place / _FAST, _FAST)
    return Measured({}, {}, _steps(machine, configs, compiled, place, plugin))


def build_profiler(folder: Path) -> Path:
    """The plugin that counts by address. Errors: ToolError."""
    return build_plugin("profile", folder)


def _compiled(machine: Machine, kernel: Amalgamation, folder: Path, level: str) -> Path:
    """The kernel as an object file, in one folder with its header and call graph."""
    folder.mkdir()
    (folder / "nbt.h").write_text(kernel.header, encoding="utf-8")
    (folder / "nbt.c").write_text(kernel.source, encoding="utf-8")
    machine.compile_alone(
        level, "-g1", "-fcallgraph-info=su", *_FLAGS,
        source=folder / "nbt.c", target=folder / "nbt.o",
    )  # fmt: skip
    return folder / "nbt.o"


def _steps(
    machine: Machine, configs: Sequence[Config], kernel: Path, place: Path, plugin: Path
) -> dict[str, Parts]:
    (place / "model.h").write_text(_header(configs), encoding="utf-8")
    elf = machine.link(
        *_FLAGS,
        # The linker gives a function that it leaves out the address 0 in the line table, where the
        # first functions of the program are.
        "-Wl,--no-gc-sections",
        f"-I{place}",
        f"-I{kernel.parent}",
        f"-DWARM={WARM[machine.fma]}",
        f"-DSTEPS={STEPS[machine.fma]}",
        sources=[HERE / "step.c", kernel],
        target=place / "step.elf",
    )
    functions = dict(_functions(machine, elf, kernel))
    ranges = "".join(f"{low:x} {high:x}\n" for low, high in functions.values())
    (place / "own.txt").write_text(ranges, encoding="utf-8")
    where = _addresses(machine, elf)
    marks = ",".join(
        f"{mark}={where[f'step_{mark}'][0] & ~1:#x}" for mark in ("begin", "end", "next")
    )
    said = machine.emulate(elf, "-plugin", f"{plugin},{marks},own={place / 'own.txt'}")
    runs, blocks = _parsed(said)
    if len(runs) != len(configs):
        raise RuntimeError(f"{configs!r} on {machine.name}: {len(runs)} have run; {said[:500]}")
    names = _sources(
        machine, elf, sorted({at for addresses in blocks.values() for at in addresses})
    )
    return {
        config.arguments(): _parts(found, blocks, names, STEPS[machine.fma])
        for config, found in zip(configs, runs, strict=True)
    }


def _parts(
    found: list[tuple[int, int, int]],
    blocks: dict[int, list[int]],
    names: dict[int, str],
    steps: int,
) -> Parts:
    """Instructions of a step by function."""
    parts: Counter[str] = Counter()
    for number, times, others in found:
        for at in blocks[number]:
            parts[names[at]] += times
        parts[names[blocks[number][-1]]] += others
    return {name: count / steps for name, count in sorted(parts.items())}


def _parsed(said: str) -> tuple[list[list[tuple[int, int, int]]], dict[int, list[int]]]:
    """What profile.c printed: of every run (block, times, others), and addresses of blocks."""
    runs: list[list[tuple[int, int, int]]] = []
    blocks: dict[int, list[int]] = {}
    for line in said.splitlines():
        first, *rest = line.split()
        if first == "run":
            runs.append([])
        elif first == "at":
            blocks[int(rest[0])] = [int(word, 16) for word in rest[1:]]
        elif len(rest) == 2 and runs:
            runs[-1].append((int(first), int(rest[0]), int(rest[1])))
    return runs, blocks


def _addresses(machine: Machine, elf: Path) -> dict[str, tuple[int, int]]:
    """Symbol -> address and bytes, of code."""
    rows = (line.split() for line in run(machine.tool("nm"), "-S", str(elf)).splitlines())
    return {
        row[3]: (int(row[0], 16), int(row[1], 16))
        for row in rows
        if len(row) == 4 and row[2] in "tT"
    }


def _functions(machine: Machine, elf: Path, kernel: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Functions of the kernel, but for small ones that many others share, and their addresses."""
    where = _addresses(machine, elf)
    for name in _addresses(machine, kernel):
        if name in where and name.split(".")[0] not in _SHARED:
            low, size = where[name]
            yield name, (low & ~1, (low & ~1) + size)


def _sources(machine: Machine, elf: Path, addresses: list[int]) -> dict[int, str]:
    """Function of the source for each address: also one that the compiler has put into another."""
    asked = elf.with_suffix(".addresses")
    asked.write_text("".join(f"{at:#x}\n" for at in addresses), encoding="utf-8")
    said = run(machine.tool("addr2line"), "-a", "-i", "-f", "-e", str(elf), f"@{asked}")
    found: dict[int, str] = {}
    at = 0
    lines = iter(said.splitlines())
    for line in lines:
        if line.startswith("0x"):
            at = int(line, 16)
            continue
        next(lines)  # file and line
        if at not in found or found[at] in _SHARED:
            found[at] = line
    return found


def _header(configs: Sequence[Config]) -> str:
    """The configurations as constants of C, and what step.c asks for."""
    rows = ",\n".join(f"    {{{_fields(config)}}}" for config in configs)
    return f"""\
#define MODEL_BYTES {max(memory_of(config).total for config in configs)}
#define MODEL_INPUTS {max(config.n_in for config in configs)}
#define MODEL_OUTPUTS {max(config.n_out for config in configs)}
static const nbt_config models[] = {{
{rows}
}};
"""


def _fields(config: Config) -> str:
    words = []
    for kernel_name, name, ctype in KERNEL_FIELDS:
        value = number_of(name, ctype, getattr(config, name))
        text = f"{float(value).hex()}f" if ctype == "float" else f"{int(value)}u"
        words.append(f".{kernel_name} = {text}")
    return ", ".join(words)
