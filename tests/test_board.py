"""The virtual board: its module has Python's bits in memory that never grows; its page is built."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Tool, run
from numpy.typing import NDArray

for library in ("bokeh", "jinja2"):
    pytest.importorskip(library, reason="pages need the extra 'app'")

from nbt_embed import Learner
from nbt_embed.app.models import without_units
from nbt_embed.simulation import simulated_sensor
from tools.board.build import PAGE, Module, compiled, config_of, module_in, page
from tools.targets import __main__ as targets
from tools.targets.machines import ToolError

HOST = Path(__file__).with_name("board.mjs")
Hosted = Callable[..., dict[str, Any]]


def stream(steps: int) -> NDArray[np.float32]:
    """The simulated sensor with lost, wild, stuck, displaced and swapped readings, (steps, 3)."""
    rng = np.random.default_rng(7)
    x = simulated_sensor(steps, seed=3).inputs
    wild = rng.random(x.shape) < 0.01
    x[wild] += np.float32(8)
    part = steps // 8
    x[3 * part : 4 * part, 0] = x[3 * part, 0]
    x[4 * part : 5 * part, 1] += np.float32(3)
    x[5 * part : 5 * part + 40] = np.nan
    x[6 * part :, :2] = x[6 * part :, 1::-1]
    # A NaN is a NaN, whatever its sign and the bits behind it.
    lost = np.flatnonzero(np.isnan(x))
    x.view(np.uint32).flat[lost] = rng.choice([0x7FC00000, 0xFFC00000, 0x7FC0BEEF], len(lost))
    return x


def bits(values: NDArray[np.float32]) -> list[list[int]]:
    rows = np.ascontiguousarray(values, np.float32).view(np.uint32)
    found: list[list[int]] = rows.reshape(len(values), -1).tolist()
    return found


@pytest.fixture
def hosted(tool: Tool, tmp_path: Path) -> Hosted:
    """Return what a module says of a stream under node."""

    def host(module: Module, units: int, ahead: int, x: NDArray[np.float32]) -> dict[str, Any]:
        (tmp_path / "board.wasm").write_bytes(module.code)
        x.tofile(tmp_path / "stream")
        words = (tmp_path / "board.wasm", units, ahead, tmp_path / "stream")
        said: dict[str, Any] = json.loads(run(tool("node"), str(HOST), *map(str, words)))
        return said

    return host


@pytest.fixture(scope="module")
def committed() -> Module:
    return module_in(PAGE.read_text(encoding="utf-8"))


def check_bits(said: dict[str, Any], units: int, ahead: int, x: NDArray[np.float32]) -> None:
    """What the module said is what Python computes."""
    config = config_of(units, ahead)
    learner = Learner(config)
    told = learner.run(x, x, horizon=ahead, intervals=True, anomaly=True)
    assert told.intervals is not None
    assert told.anomaly is not None
    assert said["forecasts"] == bits(told.y)
    assert said["bounds"] == bits(told.intervals)
    scored = [row for row in said["scores"] if row]
    assert len(scored) == len(x) - ahead
    assert scored == bits(told.anomaly[ahead:])
    assert said["hashes"][-1] == f"{learner.hash():016x}"
    assert said["counters"] == list(vars(learner.counters).values())
    quiet = replace(without_units(config), seed=config.seed, intervals=0, levels=(), anomaly=False)
    linear = Learner(quiet)
    linear.run(x, x, horizon=ahead)
    assert said["linear"] == f"{linear.hash():016x}"
    assert said["bytes"] == [learner.memory.total, linear.memory.total]


@pytest.mark.parametrize(
    ("units", "ahead"),
    [(4, 1), (16, 5), *(pytest.param(*one, marks=pytest.mark.slow) for one in [(8, 2), (32, 20)])],
)
def test_the_committed_module_has_the_bits_of_python(
    units: int, ahead: int, committed: Module, hosted: Hosted
) -> None:
    x = stream(1600)
    said = hosted(committed, units, ahead, x)
    assert said["started"] == [0, 0]
    assert min(said["statuses"]) >= 0
    assert {2, 3} <= set(said["statuses"])  # limited, stuck: the stream tries the guards
    check_bits(said, units, ahead, x)
    assert len(set(said["hashes"])) == len(x)


def test_the_module_asks_for_nothing_and_its_memory_never_grows(
    committed: Module, hosted: Hosted
) -> None:
    said = hosted(committed, 32, 20, stream(800))
    assert said["imports"] == []
    before, after, same = said["pages"]
    assert (before, same) == (after, True)
    assert said["grew"] is False
    assert said["copied"] == [True] * 5


def test_what_cannot_be_is_refused(committed: Module, hosted: Hosted) -> None:
    refused = hosted(committed, 4, 1, stream(8))["refused"]
    nothing = "0" * 16
    assert refused["unstarted"] == [-1, -1, 0, nothing]
    assert refused["nobody"] == [-1, -1, -1, nothing]
    assert refused["units"] == [-3, -1]  # more than the block holds; nothing is started
    assert refused["ahead"] == [-2, -3]


def test_the_page_is_what_its_sources_give(committed: Module) -> None:
    assert page(committed) == PAGE.read_text(encoding="utf-8"), "run `make board`"
    assert PAGE.stat().st_size < 300_000


@pytest.mark.slow
def test_the_module_is_what_the_kernel_gives(
    committed: Module, hosted: Hosted, tool: Tool, tmp_path: Path
) -> None:
    for name in ("clang", "wasm-ld"):
        tool(name)
    module = compiled(tmp_path)
    if module.compiler == committed.compiler:
        assert module.code == committed.code, "run `make board`"
    x = stream(800)
    check_bits(hosted(module, 8, 2, x), 8, 2, x)


def test_processors_without_tools_are_left_out_unless_they_are_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every = list(targets.PROCESSORS)
    monkeypatch.delenv("NBT_REQUIRE_TOOLS", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None if name == "node" else name)
    kept = targets.installed(every, asked_for=False)
    assert [one.name for one in every if one not in kept] == ["wasm32", "wasm32x4"]
    assert capsys.readouterr().err.count("node is not installed") == 2
    with pytest.raises(ToolError, match="wasm32: node is not installed"):
        targets.installed(every[-2:], asked_for=True)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ToolError, match="no processor has its tools"):
        targets.installed(every, asked_for=False)
    monkeypatch.setenv("NBT_REQUIRE_TOOLS", "1")
    with pytest.raises(ToolError, match="AVR: avr-gcc is not installed"):
        targets.installed(every, asked_for=False)
