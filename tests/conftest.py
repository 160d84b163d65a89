"""Fixtures shared by the tests that compile the kernel themselves."""

import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nbt_embed import Config, memory_of
from nbt_embed.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
KERNEL = ROOT / "csrc"
DRIVER = ROOT / "tests" / "driver.c"

Tool = Callable[[str], str]
Build = Callable[..., Path]


def missing(reason: str) -> None:
    """Skip the test, or fail it where every tool is expected (NBT_REQUIRE_TOOLS=1, as in CI)."""
    if os.environ.get("NBT_REQUIRE_TOOLS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


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
def build(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return ``build(compiler, *flags, source=DRIVER, lanes=16)``, which gives a program's path.

    The program is made of ``source`` and the whole kernel. Equal calls compile once a session, and
    programs with equal flags share the kernel's objects.
    """
    kernels: dict[tuple[str, ...], list[str]] = {}
    programs: dict[tuple[str, ...], Path] = {}

    def objects(compiler: str, options: list[str]) -> list[str]:
        key = (compiler, *options)
        if key not in kernels:
            folder, program = tmp_path_factory.mktemp("kernel"), tool(compiler)
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                compiled = [
                    pool.submit(run, program, *options, "-c", source, cwd=folder)
                    for source in kernel_sources()
                ]
            for one in compiled:
                one.result()
            kernels[key] = sorted(str(path) for path in folder.glob("*.o"))
        return kernels[key]

    def compile_program(compiler: str, *flags: str, source: Path = DRIVER, lanes: int = 16) -> Path:
        options = [*flags, f"-DNBT_LANES={lanes}", f"-I{KERNEL}"]
        key = (compiler, *options, str(source))
        if key not in programs:
            program = tmp_path_factory.mktemp("build") / source.stem
            kernel = objects(compiler, options)
            run(tool(compiler), *options, str(source), *kernel, "-o", str(program), "-lm")
            programs[key] = program
        return programs[key]

    return compile_program


def is_accepted(config: Config) -> bool:
    """Return whether the kernel takes this configuration: not every cell has every estimator."""
    try:
        memory_of(config)
    except ConfigError:
        return False
    return True


def kernel_sources() -> list[str]:
    """Return the paths of the kernel's C files."""
    return sorted(str(path) for path in KERNEL.glob("*.c"))


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a command and return what it printed; fail the test with its messages if it failed."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    if result.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{result.stdout[-2000:]}{result.stderr[-4000:]}")
    return result.stdout
