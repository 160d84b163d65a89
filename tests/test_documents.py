"""What README and docs show is run: programs, commands, and what is said about them."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import HOST, ROOT, Build, Tool, missing, run

import nbt_embed
from nbt_embed import Config, Learner, memory_of
from nbt_embed.errors import MissingExtraError
from nbt_embed.simulation import simulated_sensor


class Snippet(NamedTuple):
    """A fenced block, and where it stands."""

    document: str
    line: int
    language: str
    text: str
    marked: bool  # written by a tool: `<!-- name -->` stands above


DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("csrc/*.md")])


FENCE = re.compile(r"\s*(```|~~~)")  # also within a list


def snippets() -> list[Snippet]:
    """Every fenced block of every document."""
    found = []
    for path in DOCUMENTS:
        lines = path.read_text(encoding="utf-8").splitlines()
        fences = [number for number, line in enumerate(lines) if FENCE.match(line)]
        assert len(fences) % 2 == 0, f"{path}: a block has no end"
        for first, last in zip(fences[::2], fences[1::2], strict=True):
            name = path.relative_to(ROOT).as_posix()
            text = dedent("\n".join(lines[first + 1 : last]) + "\n")
            marked = first > 0 and lines[first - 1].startswith("<!-- ")
            language = FENCE.sub("", lines[first]).strip()
            found.append(Snippet(name, first + 1, language, text, marked))
    return found


def of(language: str) -> list[Any]:
    """The blocks in a language, named by their place."""
    return [
        pytest.param(one, id=f"{one.document}:{one.line}")
        for one in snippets()
        if one.language == language
    ]


COMMAND = re.compile(r"^\s*(\$ |git |make |cd |pip |python|nbt-embed |gcc |cc |#include|import )")


def test_every_block_says_what_it_is() -> None:
    """Blocks without a language are equations, figures and what tools print."""
    assert {one.language for one in snippets()} <= {"", "c", "csv", "python", "sh", "yaml"}
    for one in snippets():
        if not one.language and not one.marked:
            wrong = [line for line in one.text.splitlines() if COMMAND.match(line)]
            assert not wrong, f"{one.document}:{one.line}: name the language of {wrong[0]!r}"


def python_of(document: str) -> list[str]:
    return [one.text for one in snippets() if (one.document, one.language) == (document, "python")]


@pytest.mark.parametrize("snippet", of("python"))
def test_python_runs(snippet: Snippet, tmp_path: Path) -> None:
    """As a program in a folder, behind those that stand before it in the same document."""
    (tmp_path / "board.csv").write_text("a,b,c\n" + "0.5,0.25,\n0.25,0.5,20\n" * 10)
    before = [
        one.text
        for one in snippets()
        if (one.document, one.language) == (snippet.document, "python") and one.line < snippet.line
    ]
    run(sys.executable, "-c", "".join([*before, snippet.text]), cwd=tmp_path)


def test_the_first_program_of_the_readme_does_what_it_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = python_of("README.md")[0]
    names: dict[str, Any] = {}
    exec(text, names)
    promised = re.search(r"# (\d+ bytes), as many after a million samples", text)
    assert promised is not None
    assert capsys.readouterr().out.strip() == promised[1]
    assert "# one step ahead" in text
    assert abs(names["forecast"][0] - np.sin(0.2 * 2000)) < 0.02


def test_a_guide_shows_what_its_alarm_prints(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = [one for one in snippets() if one.document == "docs/guide/sensor-faults.md"]
    place = next(i for i, one in enumerate(blocks) if "Alarm(" in one.text)
    names: dict[str, Any] = {}
    exec("".join(one.text for one in blocks[:place] if one.language == "python"), names)
    capsys.readouterr()
    exec(blocks[place].text, names)
    assert capsys.readouterr().out == blocks[place + 1].text


def test_the_loop_of_the_quick_start_forecasts_h_steps_ahead() -> None:
    names: dict[str, Any] = {}
    exec(python_of("docs/guide/quick-start.md")[0], names)
    h, learner = names["h"], names["learner"]
    assert h > 1
    assert abs(names["forecast"][0] - np.sin(0.2 * (1999 + h))) < 0.05
    assert learner.pending == h
    # And `run` does that, with the same bits.
    wave = np.sin(0.2 * np.arange(2000))
    twin = Learner(learner.config)
    forecasts = twin.run(wave, wave, horizon=h)
    assert twin.hash() == learner.hash()
    late = slice(1500, 2000 - h)
    errors = [np.abs(forecasts[late, 0] - np.roll(wave, -ahead)[late]).mean() for ahead in (1, h)]
    assert errors[1] < 0.1 * errors[0]


NETWORKS: tuple[dict[str, Any], ...] = (
    {},
    {"head": 8},
    {"head": 0},
    {"resonators": 0},
    {"cell": "resonator"},
    {"cell": "resonator", "hidden": 4},
    {"cell": "gated"},
    {"estimator": "nobacktrack"},
    {"follow": False, "lags": 1},
)


@pytest.mark.parametrize("settings", NETWORKS, ids=str)
def test_the_bytes_of_networks_are_those_of_the_kernel(settings: dict[str, Any]) -> None:
    pages = ("docs/guide/settings.md", "docs/reference/memory.md")
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in pages)
    words = {word.strip("|,.:;()") for word in text.split()}
    assert f"{memory_of(Config(3, 1, **settings)).total:,}" in words


# What a piece of C needs around it to be a program. Sensors end the program.
AROUND: dict[str, str] = {
    "README.md": """
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "nbt.h"
static float read_sensor(void)
{
    static int n;
    if (n == 3000) { exit(0); }
    return sinf(0.2f * (float)n++);
}
int main(void) { @ }
""",
    "docs/guide/first-steps-c.md": """
#include <math.h>
#include <stdio.h>
#include "nbt.h"
int read_sensors(float *x)
{
    static int n;
    for (int i = 0; i < 3; i++) { x[i] = sinf(0.2f * (float)n + (float)i); }
    return n++ < 3000;
}
int main(void)
{
    float x[3], forecast = 0.0f;
    (void)x;
    (void)forecast;
    @
    return status < 0;
}
""",
    "docs/guide/uncertainty.md": """
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "nbt.h"
static NBT_ARENA(arena, NBT_DEFAULT_BYTES(1, 1, 16, 0, NBT_LINK_GAUSSIAN));
static int alarms, n;
#define puts(text) (alarms += n == 2501)
static float read_sensor(void)
{
    if (n == 3000) { exit(alarms == 1 ? 0 : 2); }
    n++;
    return sinf(0.2f * (float)n) + (n == 2501 ? 5.0f : 0.0f);
}
int main(void)
{
    nbt_config config = nbt_config_default(1, 1, 16, NBT_LINK_GAUSSIAN);
    nbt_learner *learner;
    nbt_status status = nbt_init(arena, sizeof arena, &config, &learner);
    @
    return 1;
}
""",
    "docs/guide/research.md": """
#include <math.h>
#include "nbt.h"
static NBT_ARENA(arena, NBT_DEFAULT_BYTES(2, 1, 16, 0, NBT_LINK_GAUSSIAN));
static float next_temperature(float temperature, float power)
{
    return 0.9f * temperature + 4.0f * power;
}
int main(void)
{
    float temperature = 15.0f, y, wanted;
    nbt_config config = nbt_config_default(2, 1, 16, NBT_LINK_GAUSSIAN);
    nbt_learner *learner;
    if (nbt_init(arena, sizeof arena, &config, &learner) != NBT_OK) { return 1; }
    for (int n = 0; n < 3000; n++) {
        float x[2] = {temperature, 0.1f * (float)(n * n % 11)};
        temperature = next_temperature(temperature, x[1]);
        if (nbt_predict(learner, &y, x) < 0 || nbt_learn(learner, &temperature) < 0) { return 1; }
    }
    @
    wanted = (21.0f - 0.9f * temperature) / 4.0f;
    wanted = wanted < 0.0f ? 0.0f : wanted > 1.0f ? 1.0f : wanted;
    return fabsf(power - wanted) < 0.11f ? 0 : 2;
}
""",
    "docs/guide/export.md": """
#include <math.h>
#include "nbt.h"
#define NBT_MODEL_HORIZON 3u
static int n;
static float last;
static int read_sensor(float *x, float *label)
{
    *x = *label = sinf(0.2f * (float)n);
    return n++ < 3000;
}
#define use_forecast(...) (last = forecast[0])
static NBT_ARENA(arena, NBT_DEFAULT_BYTES(1, 1, 16, 2, NBT_LINK_GAUSSIAN));
int main(void)
{
    float x[1], label[1], forecast[1];
    nbt_config config = nbt_config_default(1, 1, 16, NBT_LINK_GAUSSIAN);
    nbt_learner *learner;
    config.max_delay = 2;
    if (nbt_init(arena, sizeof arena, &config, &learner) != NBT_OK) { return 1; }
    @
    return fabsf(last - sinf(0.2f * (float)(n - 2 + 3))) < 0.05f ? 0 : 2;
}
""",
}


@pytest.mark.parametrize("snippet", of("c"))
def test_c_runs(snippet: Snippet, build: Build, tmp_path: Path) -> None:
    """Compiled without warnings, in its surroundings and behind earlier blocks of its document."""
    source = tmp_path / "snippet.c"
    text = "".join(
        one.text
        for one in snippets()
        if (one.document, one.language) == (snippet.document, "c") and one.line <= snippet.line
    )
    source.write_text(AROUND[snippet.document].replace("@", text))
    run(str(build("gcc", *HOST, source=source, lanes=1, own=("-Wall", "-Wextra", "-Werror"))))


Put = Callable[[Path], None]


def commands(text: str) -> list[str]:
    """The commands of a block, without remarks."""
    lines = [re.sub(r"\s+# .*", "", line) for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("snippet", of("sh"))
def test_commands_run(snippet: Snippet, tool: Tool, tmp_path: Path) -> None:
    """In a folder with a learner, a stream, and the log that its firmware prints."""
    tool("make")
    learner = Learner(3, 1, hidden=4)
    stream = simulated_sensor(600, missing=0)
    learner.run(stream.inputs, stream.targets[:, 0], horizon=1)
    for name in ("learner.nbt", "pump.nbt", "fan.nbt"):
        learner.save(tmp_path / name)
    rows = [f"{t},{a:.6f},{b:.6f}" for t, (a, b, _) in enumerate(stream.inputs)]
    (tmp_path / "sensor.csv").write_text("\n".join(["t_s,a,b", *rows]) + "\n")
    shell = f'nbt-embed() {{ "{sys.executable}" -m nbt_embed "$@"; }}\n'
    log = "nbt-embed export learner.nbt --out logging && make -C logging && logging/firmware"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    environment = {**os.environ, "MAKEFLAGS": "", "CC": "gcc"}

    def execute(command: str) -> str:
        result = subprocess.run(
            ["bash", "-ec", shell + command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert result.returncode == 0, command + result.stdout[-1000:] + result.stderr[-2000:]
        return result.stdout

    if "log.csv" in snippet.text:
        printed = execute(log)
        (tmp_path / "log.csv").write_text(printed[printed.index("# self-test") :])
    todo = []
    for line in commands(snippet.text):
        target = re.fullmatch(r"make ([a-z-]+)", line)
        if target:  # of the project itself, which sets up an environment
            assert re.search(rf"^{target[1]}:", makefile, re.MULTILINE), line
        elif not line.startswith("git clone"):
            todo.append(line)
    printed = execute("\n".join(todo))
    for said in re.findall(r"# (\d+ steps, \d+ hashes compared: .*)", snippet.text):
        assert said in printed


def modules(path: Iterable[str], prefix: str = "") -> Iterator[str]:
    """The modules of the package and of its packages, by their names within it."""
    for info in pkgutil.iter_modules(path):
        if info.name not in ("_kernel", "__main__"):
            yield prefix + info.name
        if info.ispkg:
            yield from modules([f"{next(iter(path))}/{info.name}"], f"{prefix}{info.name}.")


@pytest.mark.parametrize("name", [*modules(nbt_embed.__path__)])
@pytest.mark.filterwarnings("ignore:The default of config ``remember_data``")  # sktime's own
def test_examples_in_docstrings_hold(name: str) -> None:
    try:
        module = importlib.import_module(f"nbt_embed.{name}")
    except MissingExtraError as error:
        missing(str(error))
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("snippet", of("csv"))
def test_a_log_is_read(snippet: Snippet) -> None:
    columns = snippet.text.splitlines()[0].split(",")
    learner = Learner(columns.count("x"), columns.count("label"), hidden=4)
    steps = len(snippet.text.splitlines()) - 1
    hashless = [re.sub(r"[0-9a-f]{16}$", "", line) for line in snippet.text.splitlines()]
    assert learner.replay(hashless).steps == steps
    result = Learner(learner.config).replay(snippet.text.splitlines())
    assert result.difference is not None
    assert result.difference.line == 2
