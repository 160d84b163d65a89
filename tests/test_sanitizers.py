"""The driver under AddressSanitizer, UndefinedBehaviorSanitizer and valgrind.

Each learner lives in a heap block of exactly ``nbt_bytes``, so one byte too far is seen. The
``abuse`` mode makes random calls with NaN, infinities, denormals and huge values, and checks after
each that a refused call changed nothing and that every stored number is finite.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import DRIVER, HOST, ROOT, Build, Tool, missing, run
from settings import kinds

from nbt_embed.config import CHOICES

NAMES = ("cell", "estimator", "filter")


def resonators(cell: str, hidden: int) -> int:
    """Return how many of the units are resonators."""
    return {"columnar": hidden // 2, "resonator": hidden}.get(cell, 0)


def configurations() -> list[list[str]]:
    """Return driver arguments for every cell, estimator and filter, the rest varied."""
    return [
        [
            *(
                f"{name}={CHOICES[name].index(choice)}"
                for name, choice in zip(NAMES, kind, strict=True)
            ),
            f"link={(i + i // 3) % 3}",  # the filters alternate with i, the links out of step
            f"n_hidden={(1, 5, 16)[i % 3]}",
            f"resonators={resonators(kind[0], (1, 5, 16)[i % 3])}",
            f"n_out={(2, 3, 5)[i % 3]}",
            f"n_in={(1, 3)[i % 2]}",
            f"lags={1 + i % 4}",
            f"max_delay={i % 5}",
            f"norm={i % 2}",
            f"hold_missing={i // 2 % 2}",
            f"scale_steps={(0, 20, 300)[i // 3 % 3]}",
            f"anneal_steps={(0, 50)[i // 5 % 2]}",
            f"stuck_steps={(0, 0, 2)[i // 2 % 3]}",
            f"drift_steps={(0, 3, 300)[i // 4 % 3]}",
            f"rollback_steps={(0, 7)[i // 3 % 2] if i // 4 % 3 else 0}",
            f"gate={(0, 3, 20)[i // 7 % 3]}",
            f"input_limit={(0, 10)[i // 11 % 2]}",
            f"head={(0, 3)[i // 2 % 2]}",
            f"head_gain={(0, 1)[i // 2 % 2]}",
            f"seed={i + 1}",
        ]
        for i, kind in enumerate(kinds(*NAMES))
    ]


# Compiler and lanes. Blocks of rows take up to a minute to compile with every access checked.
SANITIZED = [
    pytest.param(one, marks=pytest.mark.slow)
    for one in (("clang", 1), ("gcc", 4), ("clang", 4), ("gcc", 16))
]


@pytest.fixture(scope="module", params=SANITIZED, ids=str)
def sanitized_build(
    request: pytest.FixtureRequest,
    build: Build,
    tool: Tool,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Path], Path]:
    """Return what builds a source with both sanitizers, each report of which ends the program."""
    # Lines are enough for a report: to follow the variables as well takes gcc a third of its time.
    flags = ["-std=c99", "-g1", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    compiler, lanes = request.param
    if compiler == "clang":
        flags.append("-fsanitize=float-cast-overflow")
    probe = tmp_path_factory.mktemp("probe")
    (probe / "probe.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    command = [tool(compiler), *flags, str(probe / "probe.c"), "-o", str(probe / "probe")]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        missing(f"the sanitizer libraries of {compiler} are not installed")
    return lambda source: build(compiler, *flags, "-ffp-contract=off", source=source, lanes=lanes)


@pytest.fixture(scope="module")
def sanitized(sanitized_build: Callable[[Path], Path]) -> Path:
    """Return the driver built with both sanitizers."""
    return sanitized_build(DRIVER)


def test_refused_calls(sanitized: Path) -> None:
    run(str(sanitized), "refuse")


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_learners_in_threads_share_nothing(compiler: str, build: Build) -> None:
    """ThreadSanitizer ends the program at the first race."""
    flags = ("-std=c99", "-g", "-O1", "-ffp-contract=off", "-fsanitize=thread")
    run(str(build(compiler, *flags, source=ROOT / "tests" / "threads.c", lanes=1)))


def test_the_store(sanitized_build: Callable[[Path], Path]) -> None:
    program = str(sanitized_build(ROOT / "tests" / "flash.c"))
    for mode in ("wear", "flips", "faults"):
        run(program, mode)
    run(str(sanitized_build(ROOT / "tests" / "flash_dead.c")))
    run(str(sanitized_build(ROOT / "tests" / "flash_storm.c")), "5", "400")


def test_ordinary_streams(sanitized: Path, build: Build) -> None:
    """Equal hashes also say that a learner does not depend on what its memory held before.

    AddressSanitizer fills new memory with 0xbe.
    """
    plain = build("gcc", *HOST)
    assert run(str(sanitized), "grid", "30") == run(str(plain), "grid", "30")


def test_hostile_calls(sanitized: Path) -> None:
    for configuration in configurations():
        run(str(sanitized), "abuse", "400", *configuration)


@pytest.mark.slow
def test_many_hostile_calls(sanitized: Path) -> None:
    for configuration in configurations():
        run(str(sanitized), "abuse", "5000", *configuration)


@pytest.mark.slow
def test_hostile_calls_optimised(build: Build) -> None:
    """The same at full speed, where a compiler may use what undefined behaviour allows."""
    program = build("gcc", *HOST)
    for configuration in configurations():
        run(str(program), "abuse", "4000", *configuration)


@pytest.mark.slow
def test_streams_that_once_did_harm(build: Build) -> None:
    program = build("gcc", *HOST)
    # A stream on which the readout's step is the one to overflow.
    readout = "cell=1 estimator=1 filter=2 n_hidden=16 n_out=5 n_in=3 lags=4 max_delay=3 norm=1"
    rest = "hold_missing=1 scale_steps=20 anneal_steps=0 seed=24"
    run(str(program), "abuse", "20000", *readout.split(), *rest.split())
    # Streams on which the covariance is driven towards zero and the estimate towards overflow.
    for seed in (23, 30, 53):
        run(str(program), "abuse", "30000", f"seed={seed}")


@pytest.mark.slow
def test_valgrind_finds_no_leak_and_no_uninitialised_value(tool: Tool, build: Build) -> None:
    program = build("gcc", "-std=c99", "-g", "-O1", "-ffp-contract=off", lanes=4)
    check = [tool("valgrind"), "--quiet", "--leak-check=full", "--show-leak-kinds=all"]
    check += ["--errors-for-leak-kinds=all", "--error-exitcode=99"]
    run(*check, str(program), "refuse")
    run(*check, str(program), "grid", "3")
    for configuration in configurations()[::5]:
        run(*check, str(program), "abuse", "60", *configuration)


@pytest.mark.parametrize("kind", range(8))
def test_abuse_of_intervals_and_scores(sanitized: Path, kind: int) -> None:
    settings = {
        "follow": 1,
        "intervals": kind + 1,
        "anomaly": 1,
        "mix_forget": kind % 2,
        "anchored": kind // 2 % 2,
        "max_delay": kind % 4,
        "input_limit": 3 * kind,
        "seed": kind,
    }
    run(str(sanitized), "abuse", "2000", *(f"{name}={value}" for name, value in settings.items()))


def test_the_abuse_mode_notices_an_overrun(
    sanitized_build: Callable[[Path], Path], tmp_path: Path
) -> None:
    """The check itself works: a block one float too small must be reported."""
    source = (ROOT / "tests" / "driver.c").read_text(encoding="utf-8")
    honest = "need(malloc(made.bytes + 8))"
    assert source.count(honest) == 1
    broken = tmp_path / "broken.c"
    broken.write_text(source.replace(honest, "need(malloc(made.bytes + 4))"), encoding="utf-8")
    program = sanitized_build(broken)
    result = subprocess.run(
        [str(program), "grid", "2"], capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "heap-buffer-overflow" in result.stderr
