"""NBT_ARENA: memory aligned to 8 bytes wherever it is declared, on every target."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import KERNEL, ROOT, Build, Tool, run
from simulated_avr import on_avr

from nbt_embed import Config
from nbt_embed.amalgamation import amalgamate
from nbt_embed.export import kernel_options
from tools.targets.machines import HERE as TARGETS
from tools.targets.machines import MACHINES

Objects = Callable[..., list[Path]]

HEADER = KERNEL / "nbt.h"
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
# Every place where an arena may stand, each after something that would move it off a multiple of 8.
PLACES = """\
#include "nbt.h"
#define BYTES                                                                    \\
    NBT_BYTES(1, 1, 2, 0, 0, 1, 0, NBT_CELL_GATED, NBT_EST_FROZEN, NBT_FILTER_SGD, \\
              NBT_LINK_BERNOULLI)
static char before = 'a';
static NBT_ARENA(file, BYTES);
char between = 'b';
extern NBT_ARENA(shared, BYTES);
NBT_ARENA(shared, BYTES);
struct device {
    char id;
    NBT_ARENA(memory, BYTES);
    char end;
};
static struct device devices[2];
static int works(void *memory, size_t bytes)
{
    nbt_config config = nbt_config_for(1, 1, 2, NBT_CELL_GATED, NBT_LINK_BERNOULLI);
    nbt_learner *learner;
    config.follow = 0;
    config.estimator = NBT_EST_FROZEN;
    config.filter = NBT_FILTER_SGD;
    return nbt_init(memory, bytes, &config, &learner) == NBT_OK && bytes == BYTES;
}
static int places(void)
{
    static char odd = 'c';
    static NBT_ARENA(hidden, BYTES);
    char first = odd;
    NBT_ARENA(local, BYTES);
    return works(file, sizeof file) && works(shared, sizeof shared) &&
           works(hidden, sizeof hidden) && works(local, sizeof local) &&
           works(devices[0].memory, sizeof devices[0].memory) &&
           works(devices[1].memory, sizeof devices[1].memory) && first == odd && before == 'a';
}
"""
HOST_MAIN = "int main(void) { return !places(); }\n"
# What the example in the header leaves to the board: a wave of 300 samples.
BOARD = """\
#include <string.h>
static int read_sensor(float *x, float *label)
{
    static unsigned t;
    x[0] = (float)(t % 10u);
    x[1] = x[0] * x[0];
    x[2] = 1.0f;
    *label = x[0];
    return t++ < STEPS;
}
"""


def example() -> str:
    """Return the program in the header's first comment."""
    comment = HEADER.read_text().split("*/")[0]
    lines = re.findall(r"^ \*     (.*)\n", comment, flags=re.MULTILINE)
    assert "NBT_ARENA" in lines[0]
    return "".join(f"    {line}\n" for line in lines)


def program(write_text: str, main: str, steps: int) -> str:
    """Return the header's example as a whole program."""
    return (
        f'#include "nbt.h"\n#define STEPS {steps}u\n{write_text}static float gain;\n'
        f"float *look(void);\nfloat *look(void)\n{{\n    return &gain;\n}}\n"
        f"{BOARD}static void example(void)\n{{\n{example()}}}\n{main}"
    )


CONSOLE = "#include <stdio.h>\n#define write_text(text) puts(text)\n"
RUN = "int main(void)\n{\n    example();\n    return 0;\n}\n"


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=pytest.mark.slow)])
def test_the_example_of_the_header_runs(compiler: str, build: Build, tmp_path: Path) -> None:
    source = tmp_path / "example.c"
    source.write_text(program(CONSOLE, RUN, 300))
    built = build(compiler, "-std=c99", "-ffp-contract=off", "-O2", source=source, own=STRICT)
    assert run(str(built)) == "ok\n"


@pytest.mark.slow
def test_the_example_of_the_header_runs_on_a_microcontroller(tool: Tool, tmp_path: Path) -> None:
    (m3,) = (machine for machine in MACHINES if machine.name == "M3")
    tool(m3.compiler)
    tool("qemu-system-arm")
    semihosting = '#include "semihosting.h"\n#define write_text print\n'
    (tmp_path / "example.c").write_text(program(semihosting, RUN, 30))
    elf = m3.link(
        "-ffp-contract=off", "-fno-math-errno", f"-I{KERNEL}", f"-I{TARGETS}", *STRICT,
        sources=[tmp_path / "example.c", *sorted(KERNEL.glob("*.c"))], target=tmp_path / "m3.elf",
    )  # fmt: skip
    assert m3.emulate(elf) == "ok"


@pytest.mark.parametrize(
    ("compiler", "options"),
    [
        ("gcc", ("-std=c99",)),
        ("clang", ("-std=c99",)),
        ("g++", ("-x", "c++", "-std=c++11")),
        ("clang++", ("-x", "c++", "-std=c++11")),
        # As other compilers see the header: C11, C++11, and C99, which cannot ask for it.
        ("gcc", ("-std=c11", "-U__GNUC__")),
        ("g++", ("-x", "c++", "-std=c++11", "-U__GNUC__")),
        ("clang++", ("-x", "c++", "-std=c++11", "-U__GNUC__")),
        ("gcc", ("-std=c99", "-U__GNUC__")),
    ],
)
def test_an_arena_is_aligned_wherever_it_stands(
    compiler: str, options: tuple[str, ...], tool: Tool, build_objects: Objects, tmp_path: Path
) -> None:
    source, built = tmp_path / "places.c", tmp_path / "places.o"
    source.write_text(PLACES + HOST_MAIN)
    run(tool(compiler), *options, *STRICT, f"-I{KERNEL}", "-c", str(source), "-o", str(built))
    objects = build_objects("gcc", "-std=c99", "-ffp-contract=off", "-O2")
    place = str(tmp_path / "places")
    run(tool("gcc"), str(built), *map(str, objects), "-lm", "-o", place)
    run(place)


AVR_PLACES = """\
int main(void)
{
    avr_begin();
    avr_text(places() ? "aligned\\n" : "not aligned\\n");
    avr_end();
    return 0;
}
"""
AVR_RUN = RUN.replace("{\n", "{\n    avr_begin();\n", 1).replace(
    "    return", "    avr_end();\n    return"
)


def avr_kernel(folder: Path, options: str) -> None:
    """Write the kernel."""
    kernel = amalgamate("The kernel.", options)
    (folder / "nbt.h").write_text(kernel.header)
    (folder / "nbt.c").write_text(kernel.source)


@pytest.mark.parametrize("language", ["c", "c++"])
@pytest.mark.slow
def test_an_arena_is_aligned_on_avr(language: str, tool: Tool, tmp_path: Path) -> None:
    """There every type is aligned to 1."""
    config = Config(
        1,
        1,
        hidden=2,
        cell="gated",
        estimator="frozen",
        filter="sgd",
        link="bernoulli",
        follow=False,
    )
    avr_kernel(tmp_path, kernel_options(config))
    source = tmp_path / "places.c"
    source.write_text(f'#include "avr_console.h"\n{PLACES}{AVR_PLACES}')
    assert on_avr([source], tool, tmp_path, language) == "aligned\n"


@pytest.mark.slow
def test_the_example_of_the_header_runs_on_avr(tool: Tool, tmp_path: Path) -> None:
    """With four units, as 8 KB have to do."""
    avr_kernel(tmp_path, kernel_options(Config(3, 1)).replace("NBT_TEXTS 0", "NBT_TEXTS 1"))
    console = '#include "avr_console.h"\n#define write_text(text) avr_text(text), avr_text("\\n")\n'
    text = program(console, AVR_RUN, 6)
    assert text.count("(3, 1, 16,") == 2
    source = tmp_path / "example.c"
    source.write_text(text.replace("(3, 1, 16,", "(3, 1, 4,"))
    assert on_avr([source], tool, tmp_path, "c") == "ok\n"


def test_no_text_of_the_project_shows_another_arena() -> None:
    """Code, examples, sketches, templates and documents."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("no git checkout")
    endings = (".c", ".h", ".ino", ".md", ".in", ".py")
    wrong = re.compile(
        r"(?<!typedef )\b\w+ \w+\[\s*(NBT_BYTES|NBT_MODEL_BYTES|ARENA_BYTES)|\w+ arena\["
    )
    found = [
        f"{name}: {match.group()}"
        for name in listed.stdout.splitlines()
        if name.endswith(endings) and (ROOT / name).exists()
        for match in wrong.finditer((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert found == []
