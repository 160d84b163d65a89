"""Whatever compiler and options a user has: the same bits, or a build that is refused."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import KERNEL, ROOT, Build, Tool, run

from nbt_embed._build import CALLS, REQUIRED, flags_for
from nbt_embed._selfcheck import KNOWN_HASH

GOOD = [*[f"{KNOWN_HASH:016x}"] * 3, "0"]
SELFCHECK = ROOT / "tests" / "selfcheck.c"
IS_X86 = platform.machine() == "x86_64"
CPU = Path("/proc/cpuinfo")
HAS_FMA = IS_X86 and CPU.exists() and " fma " in CPU.read_text(encoding="utf-8")
NO_FMA = "needs an x86-64 processor with fused multiply-add"

# What users put into CFLAGS, LDFLAGS and CC. Those for one compiler or processor are marked.
HOSTILE = {
    "fast": ("-ffast-math",),
    "Ofast": ("-Ofast",),
    "model": ("-ffp-model=fast", "-ffp-contract=fast"),  # clang
    "unsafe": ("-O3", "-funsafe-math-optimizations", "-mfma", "-ffp-contract=fast"),  # x86
    "finite": ("-ffinite-math-only", "-fno-trapping-math"),
    "order": ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math"),
    "reciprocal": ("-freciprocal-math",),
    "contract": ("-march=native", "-ffp-contract=fast"),
    "language": ("-std=gnu89", "-O0"),
    "small": ("-Os", "-fno-signed-zeros"),
    "rounding": ("-frounding-math", "-fwrapv"),
    "single": ("-fsingle-precision-constant", "-fexcess-precision=fast", "-mrecip"),  # x86 gcc
    "x87": ("-mfpmath=387",),  # x86 gcc
    "denormals": ("-fdenormal-fp-math=preserve-sign", "-fno-honor-nans"),  # clang
    "everything": ("-Ofast", "-ffast-math", "-funsafe-math-optimizations", "-ffp-contract=fast"),
}
GCC_ONLY = ("single", "x87")
CLANG_ONLY = ("model", "denormals")


def cases() -> list[tuple[str, str]]:
    """Return pairs of compiler and kind."""
    other = {"gcc": CLANG_ONLY, "clang": GCC_ONLY}
    return [(c, kind) for c in ("gcc", "clang") for kind in HOSTILE if kind not in other[c]]


@pytest.mark.slow  # each compiles the whole kernel
@pytest.mark.parametrize(("compiler", "kind"), cases())
def test_the_recipe_undoes_what_users_say(
    compiler: str, kind: str, build: Build, tool: Tool
) -> None:
    hostile = HOSTILE[kind]
    if any(flag.startswith("-m") for flag in hostile) and not HAS_FMA:
        pytest.skip(NO_FMA)
    flags = flags_for([tool(compiler), *hostile])
    program = build(compiler, *hostile, *flags, source=SELFCHECK, lanes=1)
    assert run(str(program)).split() == GOOD


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("said", [(), ("-fmath-errno",), ("-ffast-math",)], ids=" ".join)
def test_a_root_is_an_instruction(
    compiler: str, said: tuple[str, ...], tool: Tool, tmp_path: Path
) -> None:
    """-fno-fast-math switches math-errno on: roots were calls, and no loop of them vectorised."""
    source, listing = tmp_path / "root.c", tmp_path / "root.s"
    source.write_text("#include <math.h>\nfloat root(float x) { return sqrtf(x); }\n", "utf-8")
    command = [tool(compiler), *said]
    run(*command, *flags_for(command), "-S", str(source), "-o", str(listing))
    assert "sqrtf" not in listing.read_text(encoding="utf-8")


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=pytest.mark.slow)])
def test_the_selfcheck_sees_what_the_preprocessor_cannot(compiler: str, build: Build) -> None:
    """The control of the test above: without the recipe's options the hash is another one."""
    if not HAS_FMA:
        pytest.skip(NO_FMA)
    fused = ("-std=c99", "-O2", "-mfma", "-ffp-contract=fast")
    assert run(str(build(compiler, *fused, source=SELFCHECK, lanes=1))).split()[0] != GOOD[0]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("flag", ["-ffast-math", "-Ofast", "-ffinite-math-only"])
@pytest.mark.parametrize("source", sorted(KERNEL.glob("*.c")), ids=lambda path: path.stem)
@pytest.mark.slow
def test_every_source_refuses_what_the_preprocessor_can_see(
    compiler: str, flag: str, source: Path, tool: Tool
) -> None:
    command = [tool(compiler), "-std=c99", f"-I{KERNEL}", "-DNBT_DISPATCH=1", "-E", str(source)]
    run(*command)
    refused = subprocess.run([*command, flag], capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "-fno-fast-math" in refused.stderr or "-fno-finite-math-only" in refused.stderr


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("-fassociative-math", "-fno-unsafe-math-optimizations"),
        ("-freciprocal-math", "-fno-unsafe-math-optimizations"),
        ("-fno-signed-zeros", "-fno-unsafe-math-optimizations"),
        pytest.param(
            "-mfpmath=387", "-mfpmath=sse", marks=pytest.mark.skipif(not IS_X86, reason="x87")
        ),
    ],
)
def test_the_kernel_names_the_remedy_for_what_gcc_tells(flag: str, says: str, tool: Tool) -> None:
    extra = ["-fno-signed-zeros", "-fno-trapping-math"] if flag == "-fassociative-math" else []
    command = [tool("gcc"), f"-I{KERNEL}", "-fsyntax-only", str(KERNEL / "nbt_math.c")]
    if "__RECIPROCAL_MATH__" not in run(tool("gcc"), "-ffast-math", "-dM", "-E", "-xc", os.devnull):
        pytest.skip("this gcc does not tell")
    refused = subprocess.run([*command, flag, *extra], capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert says in refused.stderr


def script(folder: Path, name: str, text: str) -> str:
    """Return the path of a program for the shell."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_flags_follow_the_compiler_and_not_its_name(tool: Tool, tmp_path: Path) -> None:
    gcc, clang = tool("gcc"), tool("clang")
    dynamic = "-fvect-cost-model=dynamic"
    assert dynamic in flags_for([gcc])
    of_clang = flags_for([clang])
    assert dynamic not in of_clang
    for flags in (flags_for([gcc, "-ffast-math"]), of_clang):
        assert set(REQUIRED) <= set(flags)
        assert flags[-1] == "-ffp-contract=off"
    # What calls itself gcc behind a wrapper that is handed the compiler.
    renamed = script(tmp_path, "gcc", f'exec {clang} "$@"')
    assert flags_for([script(tmp_path, "ccache", 'exec "$@"'), renamed]) == of_clang


def test_a_compiler_that_cannot_switch_contraction_off_is_refused(
    tool: Tool, tmp_path: Path
) -> None:
    knows_nothing = script(
        tmp_path, "cc", f'case "$*" in *contract*) exit 1;; esac\nexec {tool("gcc")} "$@"'
    )
    with pytest.raises(RuntimeError, match=r"cc does not know -ffp-contract=off.*CC=gcc"):
        flags_for([knows_nothing])


@pytest.mark.parametrize("command", [["/nowhere/cc"], ["gcc", "-fno-such-option"]])
def test_a_compiler_that_does_not_work_is_named(command: list[str], tool: Tool) -> None:
    tool("gcc")
    with pytest.raises(RuntimeError, match=r"does not work: .*(cc|such-option)[\s\S]*Set CC"):
        flags_for(command)


@pytest.mark.parametrize(
    "target", ["drift", "soak", "targets", "misra", "size", "learning", "bench", "readme"]
)
def test_documents_change_on_request_only(target: str) -> None:
    def commands(*variables: str) -> list[str]:
        said = run("make", "--no-print-directory", "-n", target, *variables, cwd=ROOT)
        return [line for line in said.replace("\\\n", " ").splitlines() if "-m tools" in line]

    written = ("docs/", "README.md")
    for variables in ([], ["DOCUMENT=0"], ["TARGET_STEPS=200"]):
        assert commands(*variables)
        assert not any(name in line for line in commands(*variables) for name in written)
    assert any(name in line for line in commands("DOCUMENT=1") for name in written)


def test_make_help_tells_how_documents_change() -> None:
    assert "DOCUMENT=1" in run("make", "--no-print-directory", "help", cwd=ROOT)


@pytest.mark.parametrize("changed", [{"CC": "other"}, {"CFLAGS": "-O0"}, {"LDFLAGS": "-s"}])
def test_make_compiles_again_when_the_compiler_or_its_options_change(
    changed: dict[str, str], tmp_path: Path
) -> None:
    """With programs that only note that they were called in the place of Python and pip."""
    for name in ("Makefile", "pyproject.toml", "setup.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "csrc").mkdir()
    (tmp_path / "nbt_embed").mkdir()
    own = ("_build.py", "_step.c", *(f"{path.stem}.{kind}" for path in CALLS for kind in "ch"))
    for source in own:
        (tmp_path / "nbt_embed" / source).touch()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "python").touch()
    script(tmp_path / ".venv" / "bin", "python", 'case "$*" in *pip*) echo pip >> called;; esac')
    script(tmp_path / ".venv" / "bin", "nbt-embed", "exit 0")
    plain = {k: v for k, v in os.environ.items() if k not in ("CC", "CFLAGS", "LDFLAGS")}

    def installs(environment: dict[str, str]) -> int:
        (tmp_path / "called").write_text("", encoding="utf-8")
        command = ["make", "-C", str(tmp_path), "demo"]
        subprocess.run(command, check=True, capture_output=True, env={**plain, **environment})
        return (tmp_path / "called").read_text(encoding="utf-8").count("pip")

    assert [installs(e) for e in ({}, {}, changed, changed, {})] == [1, 0, 1, 0, 1]


def test_make_replaces_the_environment_of_another_interpreter(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "python").touch()
    other = script(tmp_path, "other", "echo another version")
    python = tmp_path / ".venv" / "bin" / "python"
    python.symlink_to(sys.executable)

    def replaces(*variables: str) -> bool:
        plain = {k: v for k, v in os.environ.items() if k != "PYTHON"}
        command = ["make", "-n", "-C", str(tmp_path), ".venv/python", *variables]
        done = subprocess.run(command, env=plain, capture_output=True, text=True, check=True)
        return "-m venv --clear" in done.stdout

    assert not replaces()
    assert not replaces(f"PYTHON={sys.executable}")
    assert replaces(f"PYTHON={other}")


def test_an_earlier_build_is_not_used_again(tmp_path: Path) -> None:
    """With a compiler that notes what it is asked for, and makes empty files."""
    pytest.importorskip("setuptools", minversion="77", reason="pyproject.toml needs it")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("csrc", "nbt_embed"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.so"))
    note = f'echo "$*" >> {tmp_path}/asked'
    compiler = script(tmp_path, "cc", f'{note}\nwhile [ "$1" != -o ]; do shift; done\ntouch "$2"')
    environment = {**os.environ, "CC": compiler}

    def compiled() -> int:
        (tmp_path / "asked").write_text("", encoding="utf-8")
        command = [sys.executable, "setup.py", "--quiet", "build"]
        subprocess.run(command, check=True, capture_output=True, env=environment, cwd=tmp_path)
        return (tmp_path / "asked").read_text(encoding="utf-8").count("csrc/nbt_learner.c")

    assert compiled() == 1
    (stale,) = (tmp_path / "build").glob("lib*/nbt_embed/csrc")
    (stale / "nbt_old.c").touch()
    assert compiled() == 1
    assert {path.name for path in stale.iterdir()} == {path.name for path in KERNEL.glob("nbt*")}
    compiled_modules = {path.name.partition(".")[0] for path in stale.parent.glob("*.so")}
    assert compiled_modules == {"_kernel", "_step"}
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    # The recipe's options are the last for the compiler and for the linker.
    assert [line.split()[-1] for line in asked[-2:]] == ["-ffp-contract=off"] * 2
    assert "-shared" in asked[-1]
