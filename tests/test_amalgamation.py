"""The kernel in two files: warnings, C++, the same bits as from its separate files."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import DRIVER, HOST, KERNEL, Build, Tool, run

from nbt_embed.amalgamation import amalgamate
from tools import amalgamate as command

STRICT_C = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wdouble-promotion")
STRICT_CPP = ("-x", "c++", "-std=c++17", "-Wall", "-Wextra", "-Wpedantic")
COMPILERS = {"gcc": STRICT_C, "clang": STRICT_C, "g++": STRICT_CPP, "clang++": STRICT_CPP}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the two files and nothing of the kernel else."""
    out = tmp_path_factory.mktemp("amalgamation")
    command.write(out)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("compiler", COMPILERS)
def test_two_files_have_no_warnings_and_the_bits_of_all_files(
    compiler: str, folder: Path, build: Build, tool: Tool, tmp_path: Path
) -> None:
    kernel, program = tmp_path / "nbt.o", tmp_path / "driver"
    strict = (*COMPILERS[compiler], "-Werror", "-O2", "-ffp-contract=off")
    run(tool(compiler), *strict, "-c", str(folder / "nbt.c"), "-o", str(kernel))
    run(tool("gcc"), *HOST, f"-I{folder}", str(DRIVER), str(kernel), "-lm", "-o", str(program))
    separate = run(str(build("gcc", *HOST)), "grid", "60")
    assert separate.count("\n") > 300
    assert run(str(program), "grid", "60") == separate


@pytest.mark.slow
def test_a_build_that_may_contract_has_the_bits_nevertheless(
    folder: Path, build: Build, tool: Tool, tmp_path: Path
) -> None:
    """A processor that can fuse, gcc without the flag; without the pragma the bits differ."""
    compiler, emulator = tool("aarch64-linux-gnu-gcc"), tool("qemu-aarch64")
    driver = tmp_path / "driver.o"
    include = f"-I{folder}"
    run(compiler, "-O2", "-ffp-contract=off", include, "-c", str(DRIVER), "-o", str(driver))

    def printed(source: Path) -> str:
        program = tmp_path / source.stem
        options = ("-std=gnu99", "-O2", "-static", include)
        run(compiler, *options, str(source), str(driver), "-lm", "-o", str(program))
        return run(emulator, str(program), "hash", "100")

    expected = run(str(build("gcc", *HOST)), "hash", "100")
    assert printed(folder / "nbt.c") == expected
    text = (folder / "nbt.c").read_text()
    bare = tmp_path / "bare.c"
    bare.write_text(text.replace('#pragma GCC optimize("fp-contract=off")\n', ""))
    assert bare.read_text() != text
    assert printed(bare) != expected


def test_nothing_but_the_public_header_and_the_standard_library_is_included(folder: Path) -> None:
    lines = (folder / "nbt.c").read_text().splitlines()
    included = {line.split()[1] for line in lines if line.startswith("#include")}
    assert {name for name in included if not name.startswith("<")} == {'"nbt.h"'}
    header = (folder / "nbt.h").read_text()
    assert '#include "' not in header
    assert header.startswith((KERNEL / "nbt.h").read_text().split('#include "')[0])
    assert (KERNEL / "nbt_tables.h").read_text() in header
    assert (folder / "LICENSE").exists()


def kernel(folder: Path, **files: str) -> str:
    """Write files of a kernel and return the amalgamated source."""
    (folder / "nbt.h").write_text("/* public */\n")
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return amalgamate("title", folder=folder).source


def test_a_header_comes_once_before_its_first_user(tmp_path: Path) -> None:
    text = kernel(
        tmp_path,
        a__c='#include "h.h"\nfirst\n',
        b__c='#include "h.h"\n#include "nbt.h"\nsecond\n',
        h__h="#ifndef H\n#define H\nheader\n#endif\n",
    )
    assert [text.count(word) for word in ("header", "first", "second", "public")] == [1, 1, 1, 0]
    assert text.index("header") < text.index("first") < text.index("second")


def test_a_header_behind_a_condition_comes_again_where_it_is_needed(tmp_path: Path) -> None:
    text = kernel(
        tmp_path,
        a__c='#ifdef SOME\n#include "h.h"\n#endif\n',
        b__c='#include "h.h"\nuser\n',
        h__h="#ifndef H\n#define H\nheader\n#endif\n",
    )
    assert text.count("header") == 2


def test_a_header_without_a_guard_comes_wherever_it_is_included(tmp_path: Path) -> None:
    text = kernel(tmp_path, a__c='#include "t.h"\n#include "t.h"\n', t__h="template\n")
    assert text.count("template") == 2


def test_what_only_the_dispatch_of_hosts_compiles_is_left_out(tmp_path: Path) -> None:
    text = kernel(tmp_path, nbt_avx2__c="vectors\n", nbt_avx512__c="vectors\n", nbt_a__c="rest\n")
    assert "vectors" not in text
    assert "rest" in text


def test_options_come_before_everything_else(tmp_path: Path) -> None:
    (tmp_path / "nbt.h").write_text("")
    source = amalgamate("title", options="#define OPTION 1\n", folder=tmp_path).source
    assert source.startswith("/* title */\n#define OPTION 1\n")
    assert source.index("OPTION") < source.index("#include")


def test_the_command_says_where_the_files_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--out", str(tmp_path / "new" / "place")]) == 0
    assert "nbt.c" in capsys.readouterr().out
    assert (tmp_path / "new" / "place" / "nbt.c").exists()
