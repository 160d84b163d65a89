"""Float arithmetic by integers (``csrc/nbt_soft_float.c``): the bits of the processor's own.

``soft_float.c`` compares on this machine. Whole learners with it, on an emulated Cortex-M0 and
RV32IMAC, have Python's hashes here and in ``make targets``.
"""

import subprocess
from pathlib import Path

import pytest
from conftest import HOST, KERNEL, ROOT, Tool, run

from tools.targets import program
from tools.targets.__main__ import PROCESSORS, check
from tools.targets.machines import Machine

SOURCE = KERNEL / "nbt_soft_float.c"
SPECIAL, SIGNS, DRAWN, OPERATIONS = 352, 4, 6, 15  # numbers, and pairs of a draw, in soft_float.c
LONG_PRODUCTS = "-D__riscv_mul"  # what RISC-V's compilers define; nothing else of the file asks


def compare(compiler: str, folder: Path, *flags: str, count: int, seed: int) -> None:
    """Fail with the first operations of which the bits differ from those of the processor."""
    made = folder / "soft_float"
    sources = (str(ROOT / "tests" / "soft_float.c"), str(SOURCE), "-lm")
    own = ("-DNBT_SOFT_FLOAT=2", f"-I{KERNEL}", *flags)
    run(compiler, *HOST, *own, "-o", str(made), *sources)
    pairs = SIGNS * SPECIAL**2 + DRAWN * count
    assert run(str(made), str(count), str(seed)) == f"{OPERATIONS * pairs} compared, 0 different\n"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("flags", [(), (LONG_PRODUCTS,)], ids=["short", "long"])
def test_special_and_random_numbers_have_the_bits_of_the_processor(
    compiler: str, flags: tuple[str, ...], tool: Tool, tmp_path: Path
) -> None:
    compare(tool(compiler), tmp_path, *flags, count=100_000, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_ten_million_draws(seed: int, tool: Tool, tmp_path: Path) -> None:
    compare(tool("gcc"), tmp_path, count=10_000_000, seed=seed)


@pytest.mark.parametrize("flags", [(), (LONG_PRODUCTS,)], ids=["short", "long"])
def test_nothing_of_it_is_undefined(flags: tuple[str, ...], tool: Tool, tmp_path: Path) -> None:
    sanitizers = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
    compare(tool("gcc"), tmp_path, *flags, *sanitizers, count=20_000, seed=4)


@pytest.mark.parametrize(
    "command",
    [("gcc",), ("arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mfloat-abi=soft")],
    ids=["fpu", "M3"],
)
def test_a_processor_that_it_is_not_for_is_refused(command: tuple[str, ...], tool: Tool) -> None:
    own = ("-DNBT_SOFT_FLOAT=1", f"-I{KERNEL}", "-fsyntax-only", str(SOURCE))
    done = subprocess.run(
        [tool(command[0]), *command[1:], *own], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "NBT_SOFT_FLOAT=1 is for ARMv6-M" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["M0 soft", "RV32IMAC soft"])
def test_every_kind_of_learner_has_its_hashes(name: str, tool: Tool, tmp_path: Path) -> None:
    (machine,) = (one for one in PROCESSORS if one.name == name)
    assert isinstance(machine, Machine)
    for needed in machine.tools:
        tool(needed)
    program.write_header(tmp_path)
    kinds = program.configurations()
    expected = {kind: program.expected(config, 10) for kind, config in kinds.items()}
    result = check(machine, tmp_path, 10, expected)
    assert (result.different, result.good) == ((), True)
