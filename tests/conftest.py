"""Fixtures shared by the tests that compile the kernel themselves."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import compiled
import pytest

ROOT, KERNEL = compiled.ROOT, compiled.KERNEL
DRIVER = ROOT / "tests" / "driver.c"
# The plain build, which most tests compare with or run: in these words, so that it is made once.
HOST = ("-std=c99", "-ffp-contract=off", "-O2")

# Every run draws the same examples; `pytest --hypothesis-profile=default` draws others.
with suppress(ImportError):  # without it the tests that draw are skipped
    from hypothesis import settings

    settings.register_profile("fixed", derandomize=True)
    settings.load_profile("fixed")

Tool = Callable[[str], str]
Build = Callable[..., Path]


def pytest_configure() -> None:
    """Hear what a job in the background ignores: its processes would ignore it, too."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where every tool is expected (NBT_REQUIRE_TOOLS=1, as in CI)."""
    if os.environ.get("NBT_REQUIRE_TOOLS") == "1":
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


def shared(*parts: str) -> Path:
    """Return a path of the data that may lie next to the clone; without it the test skips."""
    path = ROOT.parent.joinpath("shared", *parts)
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


@pytest.fixture(scope="session")
def tool() -> Tool:
    """Return a function from a program's name to its path; without the program the test skips."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            missing(f"{name} is not installed")
        return str(path)

    return find


@pytest.fixture(scope="session")
def build(tool: Tool) -> Build:
    """Return ``build(compiler, *flags, source=DRIVER, lanes=16, own=())``: the path of a program.

    The program is made of ``source``, with flags of its own after the others, and the whole
    kernel. Equal calls compile once; programs with equal flags in equal order share the kernel.
    """
    compiled.forget_old()

    def compile_program(
        compiler: str,
        *flags: str,
        source: Path = DRIVER,
        lanes: int = 16,
        own: tuple[str, ...] = (),
    ) -> Path:
        # A copy of a source elsewhere finds the headers of the tests, too.
        own = (*own, f"-I{ROOT / 'tests'}")
        return compiled.program(run, tool(compiler), options(flags, lanes), source, own)

    return compile_program


@pytest.fixture(scope="session")
def build_objects(tool: Tool) -> Callable[..., list[Path]]:
    """Return ``build_objects(compiler, *flags, lanes=16)``, which gives the objects' paths."""

    def compile_objects(compiler: str, *flags: str, lanes: int = 16) -> list[Path]:
        return compiled.kernel_objects(run, tool(compiler), options(flags, lanes))

    return compile_objects


def options(flags: tuple[str, ...], lanes: int) -> list[str]:
    """Return the options that compile a part of the kernel or a user of it."""
    return [*flags, f"-DNBT_LANES={lanes}", f"-I{KERNEL}"]


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a command and return what it printed; fail the test with its messages if it failed."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    if result.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{result.stdout[-2000:]}{result.stderr[-4000:]}")
    return result.stdout
