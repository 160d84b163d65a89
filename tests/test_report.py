"""Reports: the measured figures in text and in JSON, and what other methods would need."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nbt_embed import Config, memory_of
from nbt_embed.alternatives import alternatives
from nbt_embed.config import Cell
from nbt_embed.report import (
    alternatives_table,
    memory_table,
    size_document,
)


def test_the_memory_table_sums_to_the_total() -> None:
    memory = memory_of(Config(3, 3, hidden=4, max_delay=3))
    lines = memory_table(memory).splitlines()[1:]
    values = [int(line.split()[1].replace(",", "")) for line in lines]
    assert sum(values[:-1]) == values[-1] == memory.total


@pytest.mark.parametrize("cell", ["tanh", "leaky", "gated", "lstm"])
def test_alternatives_follow_their_formulas(cell: Cell) -> None:
    config = Config(3, 2, hidden=8, lags=2, cell=cell)
    by_key = {one.key: one.memory_bytes for one in alternatives(config)}
    gates = {"tanh": 1, "leaky": 1, "gated": 2, "lstm": 4}[cell]
    S, R, D = (16 if cell == "lstm" else 8), 8 * gates, 8 + 3 * 2 + 1
    memory = memory_of(replace(config, estimator="nobacktrack"))
    assert memory.estimate == 4 * (S + R * D)
    rest = memory.total - memory.estimate
    assert by_key["rtrl"] == rest + 4 * S * R * D
    assert by_key["bptt_100"] == rest + 4 * (R * D + 100 * (S + R + 3))
    assert by_key["echo_state"] == memory_of(replace(config, estimator="frozen")).total
    wide = replace(config, estimator="frozen", hidden=32)
    assert by_key["echo_state_4x"] == memory_of(wide).total


def test_exact_traces_have_no_dearer_exact_alternative() -> None:
    config = Config(3, 2, hidden=8, cell="columnar", resonators=0, head=4)
    by_key = {one.key: one.memory_bytes for one in alternatives(config)}
    assert list(by_key) == ["bptt_100", "echo_state", "echo_state_4x"]
    R, D, memory = 16, 3 * 2 + 2, memory_of(config)
    assert memory.estimate == 4 * R * D
    assert by_key["bptt_100"] == memory.total + 4 * 100 * (8 + R + 3)
    assert alternatives(config) == alternatives(replace(config, estimator="frozen"))


def test_alternatives_do_not_depend_on_the_estimator_and_leave_out_the_impossible() -> None:
    config = Config(3, 2, cell="gated")
    assert alternatives(config) == alternatives(replace(config, estimator="frozen"))
    wide = [one.key for one in alternatives(Config(1, 1, hidden=4096, cell="gated"))]
    assert wide == ["rtrl", "bptt_100", "echo_state"]


def test_the_size_report_shows_bytes_factors_and_formulas() -> None:
    config = Config(3, 1, cell="gated")
    memory, others = memory_of(config), alternatives(config)
    lines = alternatives_table(memory, others).splitlines()
    assert f"{memory.total:,}" in lines[1]
    for line, other in zip(lines[2:], others, strict=False):
        assert f"{other.memory_bytes:,}" in line
        assert f"{other.memory_bytes / memory.total:.1f} x" in line
        assert other.formula in line
    document = json.loads(json.dumps(size_document(config, memory, others, "1.2")))
    assert document["memory_bytes"] == memory.total == sum(document["memory"].values())
    assert document["alternatives"]["rtrl"]["memory_bytes"] == others[0].memory_bytes
    assert document["config"]["cell"] == "gated"
    assert document["version"] == "1.2"
