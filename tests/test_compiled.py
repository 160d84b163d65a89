"""What is compiled once for all tests: never for longer than it is what a compiler would make."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import compiled
import pytest
from conftest import Tool, run

Compile = Callable[..., Path]


@pytest.fixture
def calls() -> list[tuple[str, ...]]:
    """The commands that were run."""
    return []


@pytest.fixture
def program(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[tuple[str, ...]]
) -> Compile:
    """Return ``program(*options)``, of a kernel of two files that prints two numbers."""
    kernel = tmp_path / "kernel"
    kernel.mkdir()
    (kernel / "number.h").write_text("enum { NUMBER = 1 };\nint number(void);\n")
    (kernel / "number.c").write_text('#include "number.h"\nint number(void) { return NUMBER; }\n')
    (kernel / "other.c").write_text("typedef int other;\n")
    (tmp_path / "use.c").write_text(
        "#ifndef MORE\n#define MORE 0\n#endif\n#include <stdio.h>\n#include <number.h>\n"
        'int main(void) { printf("%d %d\\n", number(), MORE); return 0; }\n'
    )
    monkeypatch.setattr(compiled, "KERNEL", kernel)
    monkeypatch.setattr(compiled, "FOLDER", tmp_path / "kept")

    def counted(*command: str) -> str:
        calls.append(command)
        return run(*command)

    def make(*options: str) -> Path:
        source = tmp_path / "use.c"
        return compiled.program(counted, tool("gcc"), [f"-I{kernel}", *options], source)

    return make


def printed(path: Path) -> str:
    return run(str(path)).strip()


def test_equal_calls_compile_once(program: Compile, calls: list[tuple[str, ...]]) -> None:
    first = program()
    assert printed(first) == "1 0"
    assert len(calls) == 3  # two files of the kernel, and the program
    assert program() == first
    assert len(calls) == 3
    assert printed(program("-DMORE=2")) == "1 2"
    assert len(calls) == 6


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("kernel/number.h", "= 1", "= 7"), ("kernel/number.c", "return NUMBER", "return 7")],
)
def test_a_change_is_compiled(
    name: str, old: str, new: str, program: Compile, tmp_path: Path
) -> None:
    assert printed(program()) == "1 0"
    path = tmp_path / name
    path.write_text(path.read_text().replace(old, new))
    assert printed(program()) == "7 0"


def test_a_file_that_an_option_names_counts_by_what_it_holds(
    program: Compile, tmp_path: Path
) -> None:
    switches = tmp_path / "switches.h"
    for number in ("3", "4", "3"):
        switches.write_text(f"#define MORE {number}\n")
        assert printed(program("-include", str(switches))) == f"1 {number}"


def test_what_is_a_day_old_is_made_again_and_later_deleted(
    program: Compile, calls: list[tuple[str, ...]]
) -> None:
    path = program()
    day_ago, days_ago = (time.time() - age * compiled.SERVES for age in (1.1, 2.1))
    os.utime(path, (day_ago, day_ago))
    compiled.forget_old()
    assert path.exists()
    assert program() == path
    assert len(calls) == 4
    os.utime(path, (days_ago, days_ago))
    compiled.forget_old()
    assert not path.exists()


def test_what_does_not_compile_is_not_kept(program: Compile) -> None:
    for _ in range(2):
        with pytest.raises(pytest.fail.Exception, match="MORE"):
            program("-DMORE=+")


@pytest.mark.usefixtures("program")
def test_a_source_that_changes_under_the_compiler_is_noticed() -> None:
    keys = iter(["before", "after"])
    with pytest.raises(RuntimeError, match="a source was changed"):
        compiled._kept(lambda: next(keys), ".o", Path.touch)
    assert not list(compiled.FOLDER.glob("*/fore.o"))


def test_those_who_ask_at_once_wait_for_the_first(
    program: Compile, calls: list[tuple[str, ...]]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: program(), range(4)))) == 1
    assert len(calls) == 3
