"""What the kernel's objects need from outside and what they keep: almost nothing, and nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import HOST, KERNEL, Tool, run

# sqrtf, and what compilers may call on their own for loops over memory (docs/reference/porting.md).
# bcmp: clang's memcmp where there is one and only equality is asked for.
ALLOWED = {"memcpy", "memset", "memmove", "memcmp", "bcmp", "sqrtf"}
# ELF linkers make this one; it is an address, not a function.
LINKER_MADE = {"_GLOBAL_OFFSET_TABLE_"}


# Compiler and lanes.
BUILDS = [("gcc", 16), pytest.param(("clang", 4), marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=BUILDS, ids=str)
def objects(
    request: pytest.FixtureRequest, build_objects: Callable[..., list[Path]], tool: Tool
) -> list[str]:
    """Return the symbol table of every kernel object, as printed by nm."""
    compiler, lanes = request.param
    made = build_objects(compiler, *HOST, lanes=lanes)
    assert made
    return [run(tool("nm"), "-P", str(path)) for path in made]


def symbols(tables: list[str]) -> list[tuple[str, str]]:
    """Return (name, type letter) of every symbol."""
    lines = [line.split() for table in tables for line in table.splitlines()]
    return [(fields[0], fields[1]) for fields in lines]


def test_objects_need_only_the_allowed_symbols(objects: list[str]) -> None:
    found = symbols(objects)
    needed = {name for name, kind in found if kind in "Uwv"}
    defined = {name for name, kind in found if kind in "TRW"}
    assert needed - defined <= ALLOWED | LINKER_MADE


def test_objects_define_only_the_kernels_own_names(objects: list[str]) -> None:
    exported = {name for name, kind in symbols(objects) if kind.isupper() and kind != "U"}
    assert exported
    assert {name for name in exported if not name.startswith("nbt_")} == set()


def test_objects_hold_no_writable_data(objects: list[str]) -> None:
    """No global, no static variable: D and B are initialised and zeroed data, C is common."""
    assert [name for name, kind in symbols(objects) if kind in "DdBbCSsGg"] == []


def test_the_kernel_includes_only_harmless_headers() -> None:
    allowed = {"<float.h>", "<math.h>", "<stddef.h>", "<stdint.h>", "<string.h>"}
    lines = [
        line.split()
        for path in KERNEL.glob("*.[ch]")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("#include")
    ]
    assert {fields[1] for fields in lines if fields[1].startswith("<")} <= allowed
