"""Exported firmware builds as it is, proves its bits, and goes on exactly where Python stopped."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Tool, run
from numpy.typing import NDArray
from settings import still
from simulated_avr import on_avr

from nbt_embed import Config, Learner, memory_of
from nbt_embed._defaults import KERNEL_FIELDS
from nbt_embed.cli import main
from nbt_embed.errors import CheckpointError, ExportError
from nbt_embed.export import (
    GOLDEN_STEPS,
    export_firmware,
    firmware_files,
    golden,
    kernel_of,
    kernel_options,
)
from nbt_embed.simulation import simulated_sensor
from tools.targets.machines import HERE, MACHINES

Samples = NDArray[np.float32]

BOARD = ROOT / "tests" / "firmware_board.c"
STRICT = "-std=c99 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wdouble-promotion -Werror"
# Every choice once, and what has bytes of its own: taps, waiting forecasts, the last good copy.
KINDS = {
    "default": Config(3, 1),
    "small": Config(
        1, 2, hidden=4, max_delay=3, **still(estimator="nobacktrack", rollback_steps=50)
    ),
    "lstm": Config(4, 4, hidden=5, cell="lstm", link="categorical", filter="kalman_quasi"),
    "leaky": Config(2, 2, hidden=3, cell="leaky", estimator="snap1", filter="sgd", lags=3),
    "tanh": Config(2, 3, hidden=4, cell="tanh", estimator="residual", link="bernoulli"),
    "frozen": Config(2, 1, hidden=6, estimator="frozen", hold_missing=True),
    "rtrl": Config(2, 1, hidden=3, estimator="rtrl", max_delay=1),
    "columns": Config(3, 1, hidden=5, cell="columnar", resonators=2, head=3, max_delay=1),
    "resonators": Config(2, 2, hidden=4, cell="resonator", link="bernoulli", filter="sgd"),
    "head": Config(1, 2, hidden=0, **still(head=4, rollback_steps=50)),
    "resonators without units": Config(2, 1, hidden=0, cell="resonator"),
}

HOSTILE = (np.nan, np.inf, -np.inf, 3e38, -1e38, 1.1e18, 1e18, 1e6, 1e-38, 1e-45, -1e-42, -0.0)


def samples(config: Config, steps: int, seed: int = 0) -> tuple[Samples, Samples]:
    """Inputs that wander, and labels that the link takes."""
    rng = np.random.default_rng(seed)
    x = np.asarray(rng.normal(size=(steps, config.n_in)).cumsum(axis=0) / 8, np.float32)
    if config.link == "categorical":
        return x, np.asarray(rng.integers(0, config.n_out, (steps, 1)), np.float32)
    if config.link == "bernoulli":
        return x, np.asarray(rng.random((steps, config.n_out)) < 0.5, np.float32)
    y = np.asarray(x[:, :1] + rng.normal(size=(steps, config.n_out)) / 10, np.float32)
    y[rng.random(y.shape) < 0.05] = np.nan
    return x, y


def trained(config: Config, steps: int = 400, horizon: int | None = None) -> Learner:
    """Return a learner that has seen some samples."""
    learner = Learner(config)
    learner.run(*samples(config, steps), horizon=horizon or config.max_delay + 1)
    return learner


def put_board(folder: Path, x: Samples, y: Samples) -> None:
    """Give the firmware a board that replays samples."""
    rows = ",\n".join(
        "{" + ", ".join(f"{word:#010x}u" for word in row) + "}"
        for row in np.hstack([x, y]).view(np.uint32)
    )
    (folder / "samples.h").write_text(
        f"#define SAMPLES {len(x)}u\n"
        f"static const uint32_t sample_bits[SAMPLES][NBT_MODEL_INPUTS + NBT_MODEL_LABELS] = "
        f"{{\n{rows}\n}};\n"
    )
    (folder / "board.c").write_bytes(BOARD.read_bytes())


def built(folder: Path, compiler: str, flags: str = STRICT) -> str:
    """Make the firmware without a warning, run it, and return what it prints."""
    run("make", "-C", str(folder), f"CC={compiler}", f"CFLAGS={flags}")
    return run(str(folder / "firmware"))


def last_hash(log: str) -> int:
    return int(log.splitlines()[-1].split(",")[-1], 16)


@pytest.mark.parametrize(
    "kind",
    [one if one == "default" else pytest.param(one, marks=pytest.mark.slow) for one in KINDS],
)
def test_a_firmware_builds_as_it_is_and_has_the_bits_of_python(
    kind: str, tool: Tool, tmp_path: Path
) -> None:
    learner = trained(KINDS[kind])
    before = learner.hash()
    export_firmware(learner, tmp_path / "firmware")
    assert learner.hash() == before
    printed = built(tmp_path / "firmware", tool("gcc"))
    assert printed.startswith("# self-test: the same bits as Python's\n")
    result = learner.replay(printed.splitlines())
    assert result.difference is None
    assert result.compared == GOLDEN_STEPS + 1
    assert result.hash == last_hash(printed) != before


def test_a_fresh_learner_can_be_exported(tool: Tool, tmp_path: Path) -> None:
    learner = Learner(2, 1, hidden=4, max_delay=2)
    export_firmware(learner, tmp_path / "firmware")
    printed = built(tmp_path / "firmware", tool("clang"))
    assert "#define NBT_MODEL_HORIZON 3u" in (tmp_path / "firmware" / "nbt_model.h").read_text()
    assert learner.replay(printed.splitlines()).difference is None
    counters = learner.counters
    assert counters.labels + counters.missing == GOLDEN_STEPS - 3


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_a_firmware_compiles_as_cpp(compiler: str, tool: Tool, tmp_path: Path) -> None:
    learner = trained(KINDS["small"])
    export_firmware(learner, tmp_path / "firmware")
    flags = "-x c++ -std=c++17 -O2 -Wall -Wextra -Wpedantic -Werror"
    printed = built(tmp_path / "firmware", tool(compiler), flags)
    assert learner.replay(printed.splitlines()).difference is None


def test_a_firmware_builds_with_cmake(tool: Tool, tmp_path: Path) -> None:
    learner = trained(KINDS["leaky"])
    folder, build = tmp_path / "firmware", tmp_path / "build"
    export_firmware(learner, folder)
    put_board(folder, *samples(learner.config, 20))
    run(tool("cmake"), "-S", str(folder), "-B", str(build), "-DCMAKE_C_FLAGS=-O1 -Wall -Werror")
    run(tool("cmake"), "--build", str(build))
    printed = run(str(build / "firmware"))
    result = learner.replay(printed.splitlines())
    assert (result.difference, result.steps) == (None, 21)  # with the row where it begins


def emulated(name: str, folder: Path, tool: Tool) -> str:
    """What the firmware prints on an emulated processor without an operating system."""
    (machine,) = (machine for machine in MACHINES if machine.name == name)
    tool(machine.compiler)
    tool("qemu-system-arm")
    elf = machine.link(
        "-ffp-contract=off", "-fno-math-errno", f"-I{folder}", f"-I{HERE}", "-DSEMIHOSTING",
        "-Wall", "-Wextra", "-Werror",
        sources=sorted(folder.glob("*.c")), target=folder.parent / f"{name}.elf",
    )  # fmt: skip
    return machine.emulate(elf)


@pytest.mark.slow
def test_the_device_goes_on_for_a_thousand_steps_as_python_does(tool: Tool, tmp_path: Path) -> None:
    """On this machine, and bare on an emulated Cortex-M4F."""
    config = Config(3, 1, estimator="nobacktrack", max_delay=4, hold_missing=True)
    x, y = samples(config, 3000, seed=5)
    x[2500, 1] = np.nan
    learner = Learner(config)
    learner.run(x[:2000], y[:2000], horizon=2)
    folder = tmp_path / "firmware"
    export_firmware(learner, folder)
    put_board(folder, x[2000:], y[2000:])
    start = copy.copy(learner)
    learner.run(x[2000:], y[2000:], horizon=2)

    host = built(folder, tool("gcc"))
    assert last_hash(host) == learner.hash()
    device = emulated("M4F", folder, tool)
    assert device == host
    assert start.replay(device.splitlines()).steps == 1001
    assert start.hash() == learner.hash()


@pytest.mark.slow
def test_a_small_learner_learns_the_simulated_sensor_on_a_cortex_m0(
    tool: Tool, tmp_path: Path
) -> None:
    """From nothing, in 16 KiB of memory and without an FPU, with the bits of Python."""
    horizon, steps = 5, 1000
    x = simulated_sensor(steps, seed=1).inputs
    y = np.ascontiguousarray(x[:, :1])
    config = Config(
        3, 1, hidden=8, estimator="nobacktrack", max_delay=horizon - 1, hold_missing=True
    )
    learner = Learner(config)
    learner.find_anchor(x, y, horizon=horizon)
    folder = tmp_path / "firmware"
    export_firmware(learner, folder, horizon=horizon)
    put_board(folder, x, y)
    device = learner.replay(emulated("M0", folder, tool).splitlines())
    assert (device.steps, device.difference) == (steps + 1, None)
    again = Learner(config)
    forecast = again.run(x, y, horizon=horizon)
    assert again.hash() == learner.hash()
    now, later = slice(steps // 2, steps - horizon), slice(steps // 2 + horizon, steps)
    error = np.nanmean((forecast[now] - y[later]) ** 2)
    assert error < 0.2 * np.nanmean((y[now] - y[later]) ** 2)


@pytest.mark.slow
def test_a_device_of_eight_bits_goes_on_as_python_does(tool: Tool, tmp_path: Path) -> None:
    """An ATmega2560, where no type is aligned, size_t has 16 bits, and constants lie in memory."""
    config = Config(1, 1, hidden=4, estimator="nobacktrack", max_delay=1)
    learner = trained(config)
    folder = tmp_path / "firmware"
    export_firmware(learner, folder)
    put_board(folder, *samples(config, 20, seed=3))
    (folder / "board.c").write_bytes((ROOT / "tests" / "avr_board.c").read_bytes())
    sources = [path for path in sorted(folder.glob("*.c")) if path.name != "nbt.c"]
    printed = on_avr(sources, tool, folder, "c")
    assert printed.startswith("# self-test: the same bits as Python's\n")
    result = learner.replay(printed.splitlines())
    assert (result.difference, result.steps) == (None, 21)


TWO_MODELS = """\
#include <stdio.h>
#include <string.h>
#include "fan_golden.h"
#include "pump_golden.h"
/* The self-tests of two learners, step by step in turn. */
#define MODEL(name, NAME) \\
    static NBT_ARENA(name##_arena, NAME##_MODEL_BYTES); \\
    static nbt_learner *name; \\
    static int name##_load(void) \\
    { \\
        return nbt_load(name##_arena, sizeof name##_arena, name##_model_state, \\
                        sizeof name##_model_state, &name) == NBT_OK; \\
    } \\
    static int name##_step(uint32_t step) \\
    { \\
        float x[NAME##_MODEL_INPUTS], label[NAME##_MODEL_LABELS], y[NAME##_MODEL_OUTPUTS]; \\
        memcpy(x, name##_golden_bits[step], sizeof x); \\
        memcpy(label, name##_golden_bits[step] + NAME##_MODEL_INPUTS, sizeof label); \\
        if (nbt_pending(name) > 0) { \\
            (void)nbt_learn(name, label); \\
        } \\
        (void)nbt_predict(name, y, x); \\
        return nbt_hash(name) == name##_golden_hash[step]; \\
    }
MODEL(pump, PUMP)
MODEL(fan, FAN)
int main(void)
{
    int same = pump_load() && fan_load() && PUMP_GOLDEN_STEPS == FAN_GOLDEN_STEPS;
    for (uint32_t step = 0; step < PUMP_GOLDEN_STEPS && same; step++) {
        same = pump_step(step) && fan_step(step);
    }
    puts(same ? "the same bits" : "other bits");
    return 0;
}
"""


@pytest.mark.parametrize(
    ("compiler", "language"), [("gcc", ("-std=c99",)), ("g++", ("-x", "c++", "-std=c++11"))]
)
def test_two_models_run_in_one_firmware(
    compiler: str, language: tuple[str, ...], tool: Tool, tmp_path: Path
) -> None:
    """With one kernel; of other cells, estimators, filters and links."""
    for name, kind in (("pump", "lstm"), ("fan", "small")):
        export_firmware(trained(KINDS[kind]), tmp_path / name, prefix=name)
    pump, fan = tmp_path / "pump", tmp_path / "fan"
    for name in ("nbt.c", "nbt.h"):
        assert (pump / name).read_bytes() == (fan / name).read_bytes()
    (tmp_path / "two.c").write_text(TWO_MODELS)
    sources = [tmp_path / "two.c", pump / "nbt.c", *pump.glob("pump_*.c"), *fan.glob("fan_*.c")]
    options = (*language, "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    program = str(tmp_path / "two")
    include = (f"-I{pump}", f"-I{fan}")
    run(tool(compiler), *options, *include, *map(str, sources), "-lm", "-o", program)
    assert run(program) == "the same bits\n"


@pytest.mark.slow
def test_a_firmware_with_a_prefix_builds_as_it_is(tool: Tool, tmp_path: Path) -> None:
    learner = trained(KINDS["leaky"])
    folder, build = tmp_path / "firmware", tmp_path / "build"
    export_firmware(learner, folder, prefix="oil_2")
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    assert {"oil_2_model.c", "oil_2_golden.h"} < set(texts)
    assert not any(name.startswith(("nbt_model", "golden")) for name in texts)
    for name in set(texts) - {"nbt.c", "nbt.h"}:
        assert not re.search(r"nbt_model|NBT_MODEL|\bgolden|\bGOLDEN", texts[name]), name
    printed = built(folder, tool("gcc"))
    assert learner.replay(printed.splitlines()).difference is None
    run(tool("cmake"), "-S", str(folder), "-B", str(build), "-DCMAKE_C_FLAGS=-O1 -Wall -Werror")
    run(tool("cmake"), "--build", str(build))
    assert run(str(build / "firmware")) == printed


def test_a_prefix_has_to_be_one(tmp_path: Path) -> None:
    for wrong in ("", "2nd", "Pump", "a-b", "a b", "_a", "a__b", "a_", "é", "a\n", "x" * 17):
        with pytest.raises(ExportError, match="expected the beginning of a C name") as error:
            export_firmware(Learner(1, 1, hidden=2), tmp_path / "firmware", prefix=wrong)
        assert f"prefix = {wrong!r}" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def machine_of(program: Path) -> int:
    """Return e_machine of an ELF file: 40 is ARM."""
    return int.from_bytes(program.read_bytes()[18:20], "little")


@pytest.mark.slow
def test_make_builds_again_for_another_compiler_other_flags_and_fewer_files(
    tool: Tool, tmp_path: Path
) -> None:
    folder = tmp_path / "firmware"
    learner = trained(KINDS["small"])
    export_firmware(learner, folder)
    program, make = folder / "firmware", ("make", "-C", str(folder))
    cross = (f"CC={tool('arm-none-eabi-gcc')}", "TARGET_FLAGS=-mcpu=cortex-m4 -mthumb")
    host = (f"CC={tool('gcc')}",)
    run(*make, *host)
    here = machine_of(program)
    board = (*make, *cross, "LDFLAGS=--specs=rdimon.specs")
    run(*board)
    assert machine_of(program) == 40 != here
    fast = program.read_bytes()
    assert b"nbt_load" in fast
    assert b"nbt_save_stream" not in fast  # it has no caller
    run(*board, f"{cross[1]} -Os")  # a target's flags override the defaults
    assert program.stat().st_size < len(fast)
    assert "-c" not in run(*make, *host)  # the objects of before are still there
    assert machine_of(program) == here
    first = run(str(program))
    run(*make, *host, "CFLAGS=-std=c99 -O1 -DLOG_HASH_EVERY=8u -DQUOTED='\"a b\"'")
    assert run(str(program)).count("\n") == first.count("\n")
    assert run(str(program)) != first
    put_board(folder, *samples(learner.config, 3))
    run(*make, *host)
    assert run(str(program)) != first
    (folder / "board.c").unlink()
    run(*make, *host)
    assert run(str(program)) == first


def test_a_checkpoint_that_does_not_load_is_named(tool: Tool, tmp_path: Path) -> None:
    folder = tmp_path / "firmware"
    export_firmware(trained(KINDS["small"]), folder)
    main = (folder / "main.c").read_text()
    moved = main.replace("nbt_load(arena, sizeof arena,", "nbt_load(arena + 1, sizeof arena - 1,")
    assert moved != main
    (folder / "main.c").write_text(moved)
    run("make", "-C", str(folder), f"CC={tool('gcc')}")
    printed = run("sh", "-c", f"{folder}/firmware; echo exit $?")
    assert printed == "# nbt_load: status -3, error: see nbt.h\nexit 1\n"


@pytest.mark.slow
def test_every_label_meets_its_forecast_whatever_is_refused(tool: Tool, tmp_path: Path) -> None:
    learner = trained(Config(2, 1, hidden=4, max_delay=2))
    folder = tmp_path / "firmware"
    export_firmware(learner, folder)
    x, y = samples(learner.config, 30)
    x[10, 0], y[20, 0] = np.nan, np.inf
    put_board(folder, x, y)
    printed = built(folder, tool("gcc"))
    assert "# nbt_predict: status -5, error: see nbt.h\n" in printed
    assert "# nbt_learn: status -6, error: see nbt.h\n" in printed
    result = learner.replay(printed.splitlines())
    assert result.difference is None
    other = trained(learner.config)
    x[10], y[20] = x[9], np.nan
    other.run(x, y, horizon=3)
    assert learner.hash() == other.hash()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_firmware_takes_any_sample_under_the_sanitizers(
    kind: str, tool: Tool, tmp_path: Path
) -> None:
    """The kernel for one model has a layout of its own, which no other build compiles."""
    learner = trained(KINDS[kind])
    folder = tmp_path / "firmware"
    export_firmware(learner, folder)
    rng, hostile = np.random.default_rng(1), np.array(HOSTILE, np.float32)
    for array in (board := samples(learner.config, 200)):
        odd = rng.random(array.shape) < 0.1
        array[odd] = rng.choice(hostile, int(odd.sum()))
    put_board(folder, *board)
    sanitized = f"{tool('clang')} -fsanitize=address,undefined -fno-sanitize-recover=all"
    printed = built(folder, sanitized, "-std=c99 -g1 -O1 -Werror")
    assert "# nbt_predict: status" in printed
    result = learner.replay(printed.splitlines())
    assert (result.difference, result.steps) == (None, 201)


@pytest.mark.slow
@pytest.mark.parametrize("hidden", range(4, 8))
def test_a_kernel_of_any_size_compiles_without_a_warning(
    hidden: int, tool: Tool, tmp_path: Path
) -> None:
    """Sizes are constants, so that gcc sees which loops over blocks of four leave no rest."""
    kernel = kernel_of(Config(1, 2, hidden=hidden, **still("bernoulli")))
    (tmp_path / "nbt.h").write_text(kernel.header)
    (tmp_path / "nbt.c").write_text(kernel.source)
    flags = ("-ffp-contract=off", "-fno-math-errno", "-c", "-o", "/dev/null")
    run(tool("gcc"), *STRICT.split(), *flags, str(tmp_path / "nbt.c"))


@pytest.mark.slow
def test_the_self_test_notices_other_bits(tool: Tool, tmp_path: Path) -> None:
    folder = tmp_path / "firmware"
    learner = trained(KINDS["small"])
    export_firmware(learner, folder)
    path, fourth = folder / "golden.c", f"{golden(learner).hashes[3]:016x}"
    text = path.read_text()
    assert text.count(fourth) == 1
    path.write_text(text.replace(fourth, f"{int(fourth, 16) ^ 1:016x}"))
    run("make", "-C", str(folder), f"CC={tool('gcc')}")
    printed = run("sh", "-c", f"{folder}/firmware; echo exit $?")
    assert "other bits than Python's from step 00000004" in printed
    assert printed.endswith("exit 1\n")


@pytest.mark.slow
def test_hashes_in_the_log_can_be_rarer(tool: Tool, tmp_path: Path) -> None:
    learner = trained(KINDS["small"])
    export_firmware(learner, tmp_path / "firmware")
    printed = built(tmp_path / "firmware", tool("gcc"), f"{STRICT} -DLOG_HASH_EVERY=8u")
    result = learner.replay(printed.splitlines())
    assert (result.difference, result.compared) == (None, 1 + GOLDEN_STEPS // 8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_golden_hashes_are_those_of_a_learner_that_is_fed_the_samples(kind: str) -> None:
    learner = trained(KINDS[kind])
    vectors = golden(learner)
    assert vectors.samples.shape == (GOLDEN_STEPS, learner.config.n_in + learner.config.n_label)
    assert np.isfinite(vectors.samples).all()
    labels = learner.counters.labels
    for row, expected in zip(vectors.samples, vectors.hashes, strict=True):
        if learner.pending:
            learner.learn(row[learner.config.n_in :])
        learner.predict(row[: learner.config.n_in])
        assert learner.hash() == expected
    assert learner.counters.labels >= labels + GOLDEN_STEPS - 1  # it does learn


def test_only_what_the_model_uses_is_switched_on() -> None:
    options = kernel_options(Config(1, 1, cell="leaky", estimator="snap1", link="bernoulli"))
    for line in (
        "#define NBT_CELLS 0x2u",
        "#define NBT_ESTIMATORS 0x4u",
        "#define NBT_FILTERS 0x2u",
        "#define NBT_LINKS 0x4u",
        "#define NBT_TEXTS 0",
        "#define NBT_RTRL_FLOATS_MAX 0",
    ):
        assert line in options.splitlines()
    assert "RTRL" not in kernel_options(Config(1, 1, estimator="rtrl"))


ONE_MODEL = r"""
#include "nbt.h"
#include <stdio.h>

static NBT_ARENA(arena, 65536);

int main(void)
{
    nbt_config config = nbt_config_for(2, 1, 3, NBT_CELL_GATED, NBT_LINK_GAUSSIAN);
    nbt_learner *learner = NULL;
    uint32_t field = 0;
    double low = 0.0, high = 0.0;
    config.seed = 7;
    printf("%d %zu\n", (int)nbt_init(arena, sizeof arena, &config, &learner), nbt_bytes(&config));
    config.gate = 6.0f;
    printf("%d ", (int)nbt_config_check(&config, &field, &low, &high));
    printf("%u %g %g\n", (unsigned)field, low, high);
    printf("%d\n", (int)nbt_init(arena, sizeof arena, &config, &learner));
    config = nbt_config_for(2, 1, 4, NBT_CELL_GATED, NBT_LINK_GAUSSIAN);
    printf("%d ", (int)nbt_config_check(&config, &field, &low, &high));
    printf("%u %g %g\n", (unsigned)field, low, high);
    return 0;
}
"""


def test_a_kernel_for_one_model_refuses_another_by_its_field(tool: Tool, tmp_path: Path) -> None:
    config = Config(2, 1, hidden=3, cell="gated", gate=5.0)
    kernel = kernel_of(config)
    (tmp_path / "nbt.h").write_text(kernel.header)
    (tmp_path / "nbt.c").write_text(kernel.source)
    (tmp_path / "main.c").write_text(ONE_MODEL)
    sources = [str(tmp_path / name) for name in ("main.c", "nbt.c")]
    options = ["-std=c99", "-O1", "-ffp-contract=off"]
    run(tool("gcc"), *options, *sources, "-lm", "-o", str(tmp_path / "main"))
    names = [name for name, _, _ in KERNEL_FIELDS]
    assert run(str(tmp_path / "main")).splitlines() == [
        f"0 {memory_of(config).total}",
        f"-2 {names.index('gate')} 5 5",
        "-2",
        f"-2 {names.index('n_hidden')} 3 3",
    ]


def test_a_kernel_for_one_model_reads_no_size_and_no_setting() -> None:
    source = kernel_of(Config(2, 1)).source
    compiled = source[source.index("---- nbt_estimate.c ----") :]
    code = re.sub(r"/\*.*?\*/", "", compiled, flags=re.S)
    assert "nbt_fixed_H(l)" in code
    assert set(re.findall(r"\bl->(\w+)", code)) == {"config", "floats", "m"}
    assert not re.findall(r"\bl->config->(?!seed)", code)


@pytest.mark.parametrize("value", [0.0, 1e-6, 0.1, 1 / 3, 99.99999])
def test_settings_are_written_to_the_last_bit(value: float) -> None:
    source = kernel_of(Config(2, 1, sgd_rate=value)).source
    text = re.search(r"#define NBT_FIXED_sgd_rate (\S+)f", source)
    assert text is not None
    assert np.float32(text[1]) == np.float32(value)


def test_the_same_learner_gives_the_same_files(tmp_path: Path) -> None:
    learner = trained(KINDS["small"])
    export_firmware(learner, tmp_path / "one")
    (tmp_path / "two").mkdir()  # an empty folder is filled
    export_firmware(Learner.from_bytes(learner.to_bytes()), tmp_path / "two")
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == set(firmware_files(learner))
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_license_goes_with_the_code(tmp_path: Path) -> None:
    export_firmware(Learner(1, 1, hidden=2), tmp_path / "firmware")
    assert (tmp_path / "firmware" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_horizon_is_that_of_the_waiting_forecasts_unless_it_is_given() -> None:
    def horizon(learner: Learner, given: int | None = None) -> str:
        header = firmware_files(learner, given)["nbt_model.h"]
        (line,) = (line for line in header.splitlines() if "NBT_MODEL_HORIZON" in line)
        return line.split()[2]

    config = Config(1, 1, hidden=2, max_delay=4)
    assert horizon(Learner(config)) == "5u"
    assert horizon(trained(config, horizon=2)) == "2u"
    assert horizon(trained(config, horizon=2), 3) == "3u"
    with pytest.raises(ExportError, match="horizon = 1, but 2 forecasts wait"):
        firmware_files(trained(config, horizon=2), 1)
    for wrong in (0, 6):
        with pytest.raises(ExportError, match=rf"horizon = {wrong}: max_delay = 4 allows 1..5"):
            firmware_files(Learner(config), wrong)


def test_a_folder_that_cannot_be_written_is_refused_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Learner(1, 1, hidden=2)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.c").write_text("mine")
    with pytest.raises(ExportError, match="full: is not empty; name a new folder"):
        export_firmware(learner, full)
    assert [path.name for path in full.iterdir()] == ["mine.c"]
    with pytest.raises(ExportError, match=r"mine\.c: is a file; name a folder"):
        export_firmware(learner, full / "mine.c")
    monkeypatch.chdir(full)
    with pytest.raises(ExportError, match="the folder you are in would be replaced"):
        export_firmware(learner, ".")
    with pytest.raises(ExportError, match="is not a folder; create it first"):
        export_firmware(learner, tmp_path / "none" / "firmware")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_a_disk_that_fills_up_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text
    written: list[Path] = []

    def write_some(path: Path, text: str, **rest: str) -> int:
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(path)
        return write(path, text, **rest)

    monkeypatch.setattr(Path, "write_text", write_some)
    with pytest.raises(ExportError, match=r"cannot be written \(No space left"):
        export_firmware(Learner(1, 1, hidden=2), tmp_path / "firmware")
    assert len(written) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_learner_that_cannot_be_saved_cannot_be_exported(tmp_path: Path) -> None:
    learner = Learner(1, 1, hidden=2)
    learner._block[learner.memory.header :][:4] = 255  # the first weight is no number
    with pytest.raises(CheckpointError, match="cannot be saved"):
        export_firmware(learner, tmp_path / "firmware")
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_the_same_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learner = trained(KINDS["small"])
    state, out = tmp_path / "learner.nbt", tmp_path / "out"
    learner.save(state)
    assert main(["export", str(state), "--out", str(out), "--horizon", "4"]) == 0
    assert f"hash {learner.hash():016x}" in capsys.readouterr().out
    for name, text in firmware_files(learner, 4).items():
        assert (out / name).read_text() == text


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state, out = tmp_path / "learner.nbt", tmp_path / "out"
    Learner(1, 1, hidden=2).save(state)
    (tmp_path / "text.nbt").write_text("text")
    for arguments, expected in (
        ([str(tmp_path / "none.nbt"), "--out", str(out)], "none.nbt: cannot be read (No such file"),
        ([str(tmp_path / "text.nbt"), "--out", str(out)], "text.nbt: 4 bytes: "),
        ([str(state), "--out", str(tmp_path)], "is not empty; name a new folder"),
        ([str(state), "--out", str(out), "--horizon", "2"], "allows 1..1"),
    ):
        assert main(["export", *arguments]) == 2
        message = capsys.readouterr().err
        assert expected in message
        assert message.count("\n") == 1
    assert not out.exists()
