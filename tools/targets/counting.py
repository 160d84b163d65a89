"""Instructions of a usual learning step of any configuration on a processor, counted in QEMU."""

from __future__ import annotations

from pathlib import Path

from nbt_embed import Config, memory_of
from nbt_embed._defaults import KERNEL_FIELDS, number_of
from nbt_embed.export import kernel_of
from tools.targets.machines import HERE, Machine
from tools.targets.size import addresses

# A usual step is one without a move of units: the stream is stationary, and after so many rows
# they have settled. Without an FPU the count depends on the operands, so several are averaged.
WARM = {True: 400, False: 100}
STEPS = {True: 8, False: 16}


def usual_step(machine: Machine, config: Config, place: Path, counter: Path) -> int:
    """Instructions of one nbt_learn and nbt_predict at -O2, in an empty folder of its own.

    The kernel is the one that ``nbt-embed export`` writes for this configuration.
    Errors: ToolError.
    """
    place.mkdir()
    kernel = kernel_of(config)
    (place / "nbt.h").write_text(kernel.header, encoding="utf-8")
    (place / "nbt.c").write_text(kernel.source, encoding="utf-8")
    (place / "model.h").write_text(_header(config), encoding="utf-8")
    elf = machine.link(
        "-O2",
        "-ffp-contract=off",
        "-fno-math-errno",
        f"-I{place}",
        f"-DWARM={WARM[machine.fma]}",
        f"-DSTEPS={STEPS[machine.fma]}",
        sources=[HERE / "step.c", place / "nbt.c"],
        target=place / "step.elf",
    )
    where = addresses(machine, elf)
    plugin = f"{counter},begin={where['step_begin'] & ~1:#x},end={where['step_end'] & ~1:#x}"
    counted = machine.emulate(elf, "-plugin", plugin)
    times, _, _, total = map(int, counted.split("counted")[1].split())
    if times != STEPS[machine.fma]:
        raise RuntimeError(f"{config!r} on {machine.name}: {times} steps counted; it did not run")
    return round(total / times)


def _header(config: Config) -> str:
    """The configuration as a constant of C, and what step.c asks for."""
    fields = []
    for kernel_name, name, ctype in KERNEL_FIELDS:
        value = number_of(name, ctype, getattr(config, name))
        text = f"{float(value).hex()}f" if ctype == "float" else f"{int(value)}u"
        fields.append(f"    .{kernel_name} = {text},")
    body = "\n".join(fields)
    anchor = ", ".join(str(o % config.n_in) for o in range(config.n_out))
    return f"""\
#include "nbt.h"
#define MODEL_BYTES {memory_of(config).total}
#define MODEL_INPUTS {config.n_in}
#define MODEL_OUTPUTS {config.n_out}
#define MODEL_WAITS {max(config.max_delay + 1, 1)}
#define MODEL_REAL {config.link == "gaussian":d}
#define MODEL_ANCHORED {bool(config.anchored):d}
#define MODEL_ANCHOR {{{anchor}}}
static const nbt_config model_config = {{
{body}
}};
"""
