"""WebAssembly: how to compile for it with clang and lld alone, and node, which runs the result.

A module has no C library, imports nothing and has all of its memory from the start: a linear memory
whose largest size is its first one. WebAssembly rounds every operation as IEEE 754 has it and fuses
none; only its relaxed vector instructions may, which are never asked for here. The bits of a NaN
that an operation makes are left open there: a learner keeps none of them, unless it has answered
NBT_NOT_FINITE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.targets.machines import HERE, ROOT, run

SUPPORT = HERE / "wasm"
PAGE = 65536  # bytes; memory is counted in these
STACK = 16384  # bytes; it lies lowest, so that an overflow traps instead of writing over data


def link(*options: str, sources: Sequence[Path], target: Path, pages: int) -> Path:
    """A module that imports nothing, with so many pages of memory for ever. Errors: ToolError."""
    run(
        "clang",
        "--target=wasm32",
        "-std=c99",
        "-ffp-contract=off",
        "-fno-math-errno",
        "-ffunction-sections",
        "-nostdlib",
        f"-I{SUPPORT}",
        f"-I{ROOT / 'csrc'}",
        *options,
        *map(str, sources),
        str(SUPPORT / "string.c"),
        "-Wl,--no-entry,--gc-sections,--strip-all,--stack-first",
        f"-Wl,-z,stack-size={STACK}",
        f"-Wl,--initial-memory={pages * PAGE},--max-memory={pages * PAGE}",
        "-o",
        str(target),
    )
    return target


@dataclass(frozen=True)
class WebAssembly:
    """A processor for ``make targets``, as ``Machine`` is one; flags and lanes of its build."""

    name: str
    flags: tuple[str, ...] = ()
    lanes: int = 1
    fma: bool = False
    most_steps: int | None = None
    arena_bytes: int = 65536
    tools: tuple[str, ...] = ("clang", "wasm-ld", "node")

    def link(self, *options: str, sources: Sequence[Path], target: Path) -> Path:
        """As ``Machine.link``."""
        return link(
            "-O2",
            *self.flags,
            f"-I{HERE}",
            *options,
            sources=[SUPPORT / "start.c", *sources],
            target=target,
            pages=8,
        )

    def emulate(self, program: Path) -> str:
        """As ``Machine.emulate``."""
        return run("node", str(SUPPORT / "host.mjs"), str(program))


WEBASSEMBLY = (
    WebAssembly("wasm32"),
    WebAssembly("wasm32x4", ("-msimd128",), lanes=4),
)
