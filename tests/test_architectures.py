"""The same bits on other processors, one of them big-endian, in user-mode emulation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import DRIVER, HOST, ROOT, Build, Tool, run

# Compilers of other processors, and minutes of emulation.
pytestmark = pytest.mark.slow

STEPS = "40"
RELAY = ROOT / "tests" / "relay.c"
# Compiler and emulator; the first is big-endian.
MACHINES = {
    "powerpc": ("powerpc-linux-gnu-gcc", "qemu-ppc"),
    "aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64"),
    "armhf": ("arm-linux-gnueabihf-gcc", "qemu-arm"),
}
Program = Callable[..., str]


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest, build: Build, tool: Tool) -> Callable[..., Program]:
    """Return ``machine(source, lanes)``: a function that runs the program with its arguments."""
    compiler, emulator = MACHINES[request.param]

    def compiled(source: Path, lanes: int) -> Program:
        program = build(compiler, *HOST, "-static", source=source, lanes=lanes)
        return lambda *arguments: run(tool(emulator), str(program), *arguments)

    return compiled


def test_contraction_would_be_noticed(build: Build, tool: Tool) -> None:
    """A multiplication and an addition in one instruction round once: other bits."""
    host = run(str(build("gcc", *HOST, source=DRIVER)), "hash", "100")
    flags = ("-std=gnu99", "-O2", "-ffp-contract=fast", "-static")
    program = build(MACHINES["aarch64"][0], *flags, source=DRIVER, lanes=1)
    assert run(tool(MACHINES["aarch64"][1]), str(program), "hash", "100") != host


def test_a_run_is_handed_from_machine_to_machine(
    machine: Callable[..., Program], build: Build, tmp_path: Path
) -> None:
    """Every kind of learner, two halves, each on either machine: always the same bytes."""
    host = str(build("gcc", *HOST, source=RELAY))
    there = machine(RELAY, 4)
    files = [tmp_path / name for name in ("half", "half there", "end", "end there", "end back")]
    half, half_there, end, end_there, end_back = map(str, files)
    run(host, "start", STEPS, half)
    there("start", STEPS, half_there)
    run(host, "on", STEPS, half, end)
    there("on", STEPS, half, end_there)
    run(host, "on", STEPS, half_there, end_back)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[2].read_bytes() == files[3].read_bytes() == files[4].read_bytes()
    assert files[2].read_bytes().count(b"\x89NBT") > 300


def test_a_run_that_was_not_interrupted_is_the_same(build: Build, tmp_path: Path) -> None:
    host = str(build("gcc", *HOST, source=RELAY))
    whole, half, end = (tmp_path / name for name in ("whole", "half", "end"))
    run(host, "start", "80", str(whole))
    run(host, "start", "40", str(half))
    run(host, "on", "40", str(half), str(end))
    assert whole.read_bytes() == end.read_bytes()
