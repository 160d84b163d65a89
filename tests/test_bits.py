"""The same bits from every compiler, optimisation level and lane count; the same bytes too.

The size of a learner is checked at compile time, at run time and in Python.
"""

import platform
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HOST, KERNEL, ROOT, Build, Tool, run
from numpy.typing import NDArray
from settings import is_accepted, kinds, still

from nbt_embed import Config, Learner, memory_of
from nbt_embed.config import CHOICES, Cell, Estimator, Link
from nbt_embed.export import kernel_options

STEPS = "120"  # past the 100 samples of the grid's scaler
STRICT = ("-std=c99", "-ffp-contract=off")
SECTIONS = ("-ffunction-sections", "-Wl,--gc-sections")

# Compiler, flags, lanes. All of them take minutes to compile: the short run has the first one.
BUILDS = [("gcc", ("-O0",), 1)]
MORE_BUILDS = [
    ("clang", ("-O2",), 4),
    ("gcc", ("-O2",), 8),
    ("gcc", ("-O2", "-ftree-vectorize", "-march=native"), 16),
    ("clang", ("-O3", "-march=native"), 1),
    *[(compiler, (level,), 16) for compiler in ("gcc", "clang") for level in ("-O0", "-O1", "-O3")],
    *[(compiler, ("-O3",), lanes) for compiler in ("gcc", "clang") for lanes in (1, 8)],
    ("gcc", ("-O2",), 4),
    *[(compiler, ("-O3", "-march=native"), 16) for compiler in ("gcc", "clang")],
]
ALL_BUILDS = [*BUILDS, *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE_BUILDS)]


@pytest.fixture(scope="module")
def expected(build: Build) -> list[str]:
    """Return the hashes of the grid as the host build of the package computes them."""
    return run(str(build("gcc", *HOST)), "grid", STEPS).splitlines()


@pytest.mark.parametrize(("compiler", "flags", "lanes"), ALL_BUILDS)
def test_every_build_gives_the_same_bits(
    compiler: str, flags: tuple[str, ...], lanes: int, build: Build, expected: list[str]
) -> None:
    program = build(compiler, *STRICT, *flags, lanes=lanes)
    assert run(str(program), "grid", STEPS).splitlines() == expected


def test_a_build_without_rtrl_has_nothing_of_it(
    build: Build, tool: Tool, expected: list[str]
) -> None:
    program = build("gcc", *STRICT, "-O1", "-DNBT_RTRL_FLOATS_MAX=0", lanes=1)
    rtrl = f" estimator={CHOICES['estimator'].index('rtrl')} "
    assert run(str(program), "grid", STEPS).splitlines() == [x for x in expected if rtrl not in x]
    run(str(program), "refuse")
    assert "nbt_rtrl" not in run(tool("nm"), str(program))


# Switches, and the names that they make disappear: those of the short run, then the others.
SWITCHES = [
    ("-DNBT_CELLS=4u", ("nbt_columns",)),
    ("-DNBT_LINKS=1u", ("softmax", "innovate_bernoulli", "innovate_categorical")),
]
MORE_SWITCHES = [
    ("-DNBT_CELLS=16u", ()),
    ("-DNBT_ESTIMATORS=2u", ("nbt_rtrl", "nbt_unitwise", "nbt_residual", "nbt_sweep_jacobian")),
    ("-DNBT_FILTERS=1u", ("nbt_quasi", "nbt_ud_measure", "nbt_innovation")),
    ("-DNBT_HEAD=0u", ("nbt_head",)),
    ("-DNBT_RESONATORS=0u", ("nbt_resonator",)),
    ("-DNBT_CELLS=0xbu", ()),
    ("-DNBT_ESTIMATORS=0x9u", ("nbt_rtrl", "nbt_unitwise", "nbt_sweep_jacobian")),
    ("-DNBT_FILTERS=2u", ("nbt_quasi",)),
    ("-DNBT_FILTERS=5u", ()),
    ("-DNBT_LINKS=6u", ("innovate_gaussian",)),
]


@pytest.mark.parametrize(
    ("switches", "gone"),
    [*SWITCHES, *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE_SWITCHES)],
)
@pytest.mark.slow
def test_a_build_without_some_choices_has_the_bits_of_the_others_and_no_code_of_these(
    switches: str, gone: tuple[str, ...], build: Build, tool: Tool, expected: list[str]
) -> None:
    program = build("gcc", *STRICT, "-O1", *SECTIONS, switches, lanes=1)
    field, mask = switches.removeprefix("-DNBT_").removesuffix("u").split("=")
    if field in ("HEAD", "RESONATORS"):
        built = {f" {field.lower()}=0 "}
    else:
        built = {f" {field.lower()[:-1]}={i} " for i in range(8) if int(mask, 0) >> i & 1}
    wanted = [line for line in expected if any(choice in line for choice in built)]
    assert run(str(program), "grid", STEPS).splitlines() == wanted
    symbols = run(tool("nm"), str(program))
    assert [name for name in gone if name in symbols] == []


# Of models whose kernels are exported: cell, estimator, head, follow.
MODELS = [("gated", "nobacktrack", 0, False), ("columnar", "snap1", 0, True)]
ALL_MODELS = [
    *(("gated", one, 0, follows) for one in CHOICES["estimator"] for follows in (False, True)),
    ("gated", "unitwise", 2, True),
    *(("columnar", "snap1", head, head == 0) for head in (0, 2)),
    ("resonator", "snap1", 2, True),
]
MORE_MODELS = [one for one in ALL_MODELS if one not in MODELS]


@pytest.mark.parametrize(
    ("cell", "estimator", "head", "follows"),
    [*MODELS, *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE_MODELS)],
)
def test_an_exported_kernel_has_the_bits_of_its_model_and_refuses_others(
    cell: Cell,
    estimator: Estimator,
    head: int,
    follows: bool,
    build: Build,
    tool: Tool,
    expected: list[str],
    tmp_path: Path,
) -> None:
    switches = tmp_path / "switches.h"
    settings: dict[str, Any] = {"cell": cell, "estimator": estimator, "head": head}
    config = Config(3, 1, hidden=4, **(settings if follows else still(**settings)))
    switches.write_text(kernel_options(config))
    program = build("gcc", *STRICT, "-O1", *SECTIONS, "-include", str(switches), lanes=1)
    kind = {f"{name}={CHOICES[name].index(getattr(config, name))}" for name in CHOICES}
    kind -= {f"norm={CHOICES['norm'].index(config.norm)}"}  # both are always built
    off = ("follow", "head", "resonators")  # what is off is not built
    kind |= {f"{name}=0" for name in off if not getattr(config, name)}
    lines = run(str(program), "grid", STEPS).splitlines()
    own = [line for line in expected if kind <= set(line.split())]
    assert lines == own
    assert lines
    # A layer of columns leaves out the passes of dense layers, and the other way round.
    symbols = run(tool("nm"), str(program))
    assert ("nbt_sweep" in symbols) != config.traces_are_exact
    assert ("nbt_columns" in symbols) == config.traces_are_exact


def test_a_build_without_rollback_refuses_it(build: Build, tmp_path: Path) -> None:
    source = tmp_path / "rollback.c"
    source.write_text(
        """
#include <stdio.h>
#include "nbt.h"
int main(void)
{
    nbt_config config = nbt_config_default(1, 1, 4, NBT_LINK_GAUSSIAN);
    uint32_t field;
    double low, high;
    config.follow = 0;
    config.drift_steps = 300;
    config.rollback_steps = 100;
    int status = nbt_config_check(&config, &field, &low, &high);
    printf("%d %u %g %g\\n", status, field, low, high);
    return 0;
}
""",
        encoding="utf-8",
    )
    without = build("gcc", *STRICT, "-O1", "-DNBT_ROLLBACK=0", source=source, lanes=1)
    assert run(str(without)).split() == ["-2", "30", "0", "0"]


def test_the_grid_tells_configurations_apart(expected: list[str]) -> None:
    """The hash follows the learner: it differs between steps and between kinds of learners."""
    lines = [line.split() for line in expected]
    choices = [dict(word.split("=") for word in line if "=" in word) for line in lines]
    for name in CHOICES:
        found = {choice[name] for choice in choices if name in choice}
        assert found == {str(i) for i in range(len(CHOICES[name]))}
    assert {choice["head"] for choice in choices} == {"0", "3"}
    assert {choice["resonators"] for choice in choices} == {"0", "2", "4", "5", "16", "21"}
    hashes = [[word for word in line if "=" not in word] for line in lines]
    for line, choice in zip(hashes, choices, strict=True):
        one = "streams" in choice or "columns" in choice  # the hash at the end alone
        assert len(set(line)) == len(line) == (1 if one else 4)
    assert len({line[-1] for line in hashes}) == len(lines)


@pytest.mark.slow
def test_fused_multiply_add_would_change_the_bits(build: Build, expected: list[str]) -> None:
    """The control: without -ffp-contract=off the grid is able to tell."""
    flags = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not flags.exists() or " fma " not in flags.read_text():
        pytest.skip("the control needs an x86-64 processor with fused multiply-add")
    program = build("gcc", "-std=c99", "-O2", "-mfma", "-ffp-contract=fast", lanes=1)
    lines = run(str(program), "grid", STEPS).splitlines()
    assert all(line != other for line, other in zip(lines, expected, strict=True))


def stream(
    steps: int, n_in: int, n_out: int, link: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the stream of driver.c: inputs (T, n_in), labels (T, n_out) or, categorical, (T,).

    Small integers from one generator, divided by powers of two.
    """
    lcg, memory = 12345, 0
    n_labels = 1 if link == "categorical" else n_out
    inputs = np.empty((steps, n_in), np.float32)
    labels = np.empty((steps, n_labels), np.float32)
    for t in range(steps):
        for i in range(n_in):
            lcg = (lcg * 1664525 + 1013904223) % 2**32
            k = (lcg >> 8) & 1023
            if i == 0:
                memory = memory // 2 + k
            inputs[t, i] = (k - 512) / 256
        for o in range(n_labels):
            if link == "gaussian":
                labels[t, o] = (memory + o - 1024) / 256
            elif link == "categorical":
                labels[t, o] = (memory >> 6) % n_out
            else:
                labels[t, o] = ((memory >> 6) + o) % 5 / 4
            if (t + o) % 13 == 12:
                labels[t, o] = np.nan
    return inputs, labels[:, 0] if link == "categorical" else labels


CELLS, ESTIMATORS = CHOICES["cell"], CHOICES["estimator"]
LINKS = CHOICES["link"]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("cell", CELLS)
def test_python_gives_the_bits_of_the_driver(cell: Cell, link: Link, build: Build) -> None:
    delay, n_out = 3, 3
    estimator = Config(3, n_out, cell=cell).estimator
    assert estimator is not None
    resonators = {"columnar": 2, "resonator": 5}.get(cell, 0)
    arguments = [
        f"cell={CELLS.index(cell)}",
        f"estimator={ESTIMATORS.index(estimator)}",
        f"link={LINKS.index(link)}",
        f"resonators={resonators}",
        "head=2",
        "head_gain=1",
        f"n_out={n_out}",
        f"max_delay={delay}",
        "lags=2",
        "seed=7",
    ]
    program = build("gcc", *STRICT, "-O0", lanes=1)
    hashes = run(str(program), "hash", STEPS, *arguments).split()
    # The driver starts from the defaults of the gaussian link, whatever the link.
    settings = still(estimator=estimator, max_delay=delay, lags=2, seed=7, head=2, head_gain=1)
    config = replace(Config(3, n_out, hidden=5, **settings), cell=cell, resonators=resonators)
    learner = Learner(replace(config, link=link))
    inputs, labels = stream(int(STEPS), 3, n_out, link)
    learner.run(inputs, labels, horizon=delay)
    assert f"{learner.hash():016x}" == hashes[-1]


SIZED = ("n_in", "n_out", "n_hidden", "head", "lags", "max_delay")
KIND = ("cell", "estimator", "filter", "link")


def size_grid() -> list[dict[str, int]]:
    """Return small, odd and a few large sizes with every kind of learner, in numbers of nbt.h."""
    sizes = [(1, 2, 1, 0, 1, 0), (3, 2, 5, 3, 2, 3), (3, 5, 16, 8, 1, 0), (2, 3, 17, 1, 7, 100)]
    sizes += [(65535, 2, 1, 2, 1, 0), (1, 4096, 2, 0, 3, 1), (5, 2, 1000, 9, 1, 1048576)]
    rows = [
        {**dict(zip(SIZED, size, strict=True)), "resonators": share * size[2] // 2}
        | {name: CHOICES[name].index(one) for name, one in zip(KIND, kind, strict=True)}
        for kind in kinds(*KIND)
        for size in sizes
        for share in range(3)
    ]
    return [row for row in rows if is_accepted(config_of(row))]


def call(macro: str, row: dict[str, int]) -> str:
    """Return the call of a macro of nbt.h for a row, by the names of the macro's parameters."""
    text = (KERNEL / "nbt.h").read_text(encoding="utf-8")
    (names,) = re.findall(rf"#define {macro}\(([^)]*)\)", text)
    return f"{macro}({', '.join(str(row[name]) for name in re.findall(r'[a-z_]+', names))})"


@pytest.mark.slow
def test_bytes_at_compile_time_at_run_time_and_in_python(build: Build, tmp_path: Path) -> None:
    rows = size_grid()
    found = {tuple(row[name] for name in KIND) for row in rows}
    assert len(found) == len(kinds(*KIND))
    assert {bool(row["head"]) for row in rows} == {False, True}
    fields = list(rows[0])
    setting = "\n".join(f"        config.{name} = key[{i}];" for i, name in enumerate(fields))
    # Static initialisers: NBT_BYTES has to be a constant expression to compile here.
    table = ",\n".join(
        f"{{{{{', '.join(str(row[name]) for name in fields)}}}, {call('NBT_BYTES', row)}, "
        f"{call('NBT_ROLLBACK_BYTES', row)}}}"
        for row in rows
    )
    source = tmp_path / "sizes.c"
    source.write_text(
        f"""
#include <stdio.h>
#include "{ROOT}/tests/still.h"
static const struct {{ uint32_t key[{len(fields)}]; size_t bytes, copy; }} rows[] = {{
{table}
}};
int main(void)
{{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {{
        const uint32_t *key = rows[i].key;
        nbt_config config = still_config(1, 1, 1, NBT_LINK_GAUSSIAN);
{setting}
        nbt_breakdown b;
        if (nbt_bytes_breakdown(&config, &b) != NBT_OK) {{
            return 1;
        }}
        size_t sum = b.header + b.parameters + b.estimate + b.covariance + b.state + b.ring +
                     b.scaler + b.guard + b.workspace;
        printf("%zu %zu %zu ", rows[i].bytes, nbt_bytes(&config), sum);
        config.rollback_steps = 1;
        printf("%zu %zu\\n", rows[i].bytes + rows[i].copy, nbt_bytes(&config));
    }}
    return 0;
}}
""",
        encoding="utf-8",
    )
    for lanes in (1, 16):
        strict = ("-Wall", "-Wextra", "-Werror")
        program = build("gcc", *HOST, source=source, lanes=lanes, own=strict)
        printed = [tuple(map(int, line.split())) for line in run(str(program)).splitlines()]
        for row, (*plain, constant, at_run_time) in zip(rows, printed, strict=True):
            assert set(plain) == {memory_of(config_of(row)).total}, row
            with_copy = replace(config_of(row), rollback_steps=1)
            assert constant == at_run_time == memory_of(with_copy).total, row


def config_of(row: dict[str, int]) -> Config:
    """Return the Python configuration of a row of the size grid."""
    settings: dict[str, Any] = {"hidden" if name == "n_hidden" else name: row[name] for name in row}
    settings |= {name: CHOICES[name][row[name]] for name in KIND}
    return Config(**(still(settings["link"]) | settings))


@pytest.mark.parametrize("switch", [None, "-DNBT_FOLLOW=0", "-DNBT_MIXTURE=0"])
@pytest.mark.slow
def test_the_default_has_the_bytes_of_its_macro_and_only_what_the_build_has(
    switch: str | None, build: Build, tmp_path: Path
) -> None:
    source = tmp_path / "default.c"
    source.write_text(
        """
#include <stdio.h>
#include "nbt.h"
#define SIZE(n_in, n_out, n_hidden, max_delay, link) \\
    {n_in, n_out, n_hidden, max_delay, link, \\
     NBT_DEFAULT_BYTES(n_in, n_out, n_hidden, max_delay, link)},
#define LINKS(n_in, n_out, n_hidden, max_delay) \\
    SIZE(n_in, n_out, n_hidden, max_delay, NBT_LINK_GAUSSIAN) \\
    SIZE(n_in, n_out, n_hidden, max_delay, NBT_LINK_CATEGORICAL) \\
    SIZE(n_in, n_out, n_hidden, max_delay, NBT_LINK_BERNOULLI)
static const size_t rows[][6] = {LINKS(1, 2, 16, 0) LINKS(3, 4, 5, 7) LINKS(2, 3, 0, 1)};
int main(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nbt_config config = nbt_config_default((uint32_t)rows[i][0], (uint32_t)rows[i][1],
                                               (uint32_t)rows[i][2], (uint32_t)rows[i][4]);
        config.max_delay = (uint32_t)rows[i][3];
        printf("%zu %zu %u %d %d\\n", rows[i][5], nbt_bytes(&config), (unsigned)config.follow,
               config.mix_forget > 0.0f, config.scale_rate > 0.0f);
    }
    return 0;
}
""",
        encoding="utf-8",
    )
    options = (switch,) if switch else ()
    lines = run(str(build("gcc", *STRICT, "-O1", *options, source=source, lanes=1))).splitlines()
    follows, mixes = switch != "-DNBT_FOLLOW=0", switch is None
    assert len(lines) == 9
    for number, line in enumerate(lines):
        macro, bytes_, *on = map(int, line.split())
        assert bytes_ == macro if switch is None else 0 < bytes_ <= macro
        assert on == [follows, mixes and number % 3 == 0, follows]
