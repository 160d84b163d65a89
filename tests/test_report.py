"""Reports: the measured figures in text and in JSON, and what other methods would need."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed import Config, memory_of
from nbt_embed.alternatives import alternatives
from nbt_embed.comparison import Comparison, compare
from nbt_embed.config import Cell
from nbt_embed.errors import InputError
from nbt_embed.report import (
    alternatives_table,
    memory_table,
    plot,
    run_document,
    size_document,
    table,
)
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream


@pytest.fixture(scope="module")
def stream() -> Stream:
    """Return a short stream with missing values."""
    return simulated_sensor(400)


@pytest.fixture(scope="module")
def comparisons(stream: Stream) -> list[Comparison]:
    """Return results of two horizons."""
    config = Config(3, 3, hidden=4, hold_missing=True)
    return [compare(config, stream, horizon, 100) for horizon in (1, 4)]


def figures(values: list[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def test_the_table_has_a_line_a_horizon_with_learner_and_baselines(
    comparisons: list[Comparison],
) -> None:
    nrmse, rmse = (block.splitlines() for block in table(comparisons).split("\n\n"))
    assert nrmse[1].split() == [
        "horizon",
        "scored",
        "rows",
        "learner",
        "last",
        "value",
        "NLMS",
        "RLS",
    ]
    for lines, name in ((nrmse, "nrmse"), (rmse, "rmse")):
        for line, one in zip(lines[2:], comparisons, strict=True):
            scores = [one.learner, *one.baselines.values()]
            expected = [f"{getattr(score, name):.4g}" for score in scores]
            assert line.split() == [str(one.learner.horizon), str(one.learner.rows), *expected]
    assert len({len(line) for line in nrmse[1:]}) == 1


def test_figures_that_do_not_exist_are_a_dash_and_null(
    stream: Stream, comparisons: list[Comparison]
) -> None:
    learner = replace(comparisons[0].learner, nrmse=math.nan, rmse=math.inf)
    one = replace(comparisons[0], learner=learner)
    assert table([one]).splitlines()[2].split()[2] == "-"
    document = run_document(stream, [one], 0, "1")
    assert document["nrmse"] is None
    assert document["rmse"] is None
    json.dumps(document, allow_nan=False)


def test_the_memory_table_sums_to_the_total(comparisons: list[Comparison]) -> None:
    memory = comparisons[0].memory
    lines = memory_table(memory).splitlines()[1:]
    values = [int(line.split()[1].replace(",", "")) for line in lines]
    assert sum(values[:-1]) == values[-1] == memory.total


def test_the_run_document_has_the_first_horizon_flat_and_all_in_a_list(
    stream: Stream, comparisons: list[Comparison]
) -> None:
    document: dict[str, Any] = json.loads(
        json.dumps(run_document(stream, comparisons, 100, "1.2"), allow_nan=False)
    )
    first = comparisons[0]
    assert (document["rows"], document["horizon"], document["version"]) == (400, 1, "1.2")
    assert document["score_from"] == 100
    assert document["nrmse"] == first.learner.nrmse
    assert document["rmse"] == first.learner.rmse
    assert list(document["nrmse_per_target"]) == list(stream.target_names)
    assert set(document["baselines"]) == {"persistence", "nlms", "rls"}
    assert document["baselines"]["rls"]["nrmse"] == first.baselines["rls"].nrmse
    assert document["memory_bytes"] == first.memory.total == sum(document["memory"].values())
    assert document["us_per_step"] > 0
    assert document["config"]["hidden"] == 4
    assert [one["horizon"] for one in document["horizons"]] == [1, 4]
    for key, value in document["horizons"][0].items():
        assert document[key] == value


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


def test_the_plot_puts_marks_where_the_values_are() -> None:
    picture = plot(figures([0, 1, 2, 1]), figures([2, 1, 9, math.nan]), "title", height=3)
    assert picture.splitlines() == [
        "title   (. truth   o forecast   @ both)",
        "  2 |o @",
        "    | @ .",
        "  0 |.",
    ]


def test_the_plot_shows_the_end_of_long_series_and_copes_with_gaps() -> None:
    wave = np.sin(np.arange(500, dtype=np.float32))
    lines = plot(wave, wave, "t", width=40, height=5).splitlines()
    assert max(len(line) for line in lines[1:]) <= 40 + len("  -0.9999 |")
    assert sum(line.count("@") for line in lines[1:]) == 40
    nothing = figures([math.nan, math.nan])
    assert "o" not in "".join(plot(nothing, nothing, "t").splitlines()[1:])
    assert plot(figures([3, 3]), figures([3, 3]), "t", height=3).splitlines()[2].endswith("@@")


def test_plots_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"truth \(2,\) and forecast \(1,\)"):
        plot(figures([1, 2]), figures([1]), "t")
    with pytest.raises(InputError, match="height = 1"):
        plot(figures([1]), figures([1]), "t", height=1)
    with pytest.raises(InputError, match="width = 0"):
        plot(figures([1]), figures([1]), "t", width=0)
