"""Comparisons: the same whatever runs at once, honest about what is cheap, and what they refuse."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbt_embed import Config, Learner, memory_of
from nbt_embed.config import Cell
from nbt_embed.cost import processor_of
from nbt_embed.errors import ConfigError, InputError
from nbt_embed.evaluate import evaluate
from nbt_embed.options import options_of
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream, from_arrays

for library in ("polars", "rich", "bokeh", "jinja2", "matplotlib"):
    pytest.importorskip(library)

from nbt_embed.app import compared, compared_page, compared_plot, compared_table, comparing
from nbt_embed.app.comparing import Compared, Grid, combinations, compare, rows_of
from nbt_embed.app.models import LAST, LEARNER, RLS
from nbt_embed.app.page import bokeh_script
from nbt_embed.app.passes import learner_pass, relative_error, run_passes
from nbt_embed.parallel import Interrupted

M4F = processor_of("m4f")
GRID = Grid(hidden=(2, 6), cells=("columnar", "gated"), seeds=(0, 1, 2))


@pytest.fixture(scope="module")
def stream() -> Stream:
    whole = simulated_sensor(1500, seed=3)
    return replace(whole, targets=whole.targets[:, :1].copy(), target_names=whole.target_names[:1])


@pytest.fixture(scope="module")
def rows(stream: Stream) -> list[Compared]:
    return compare(stream, GRID, M4F)[0]


def document(stream: Stream, rows: list[Compared], grid: Grid = GRID) -> dict[str, Any]:
    command = "nbt-embed compare sensor.csv"
    return compared.document_of("sensor", stream, rows, grid, M4F, 64.0, None, [], command)


def test_the_result_does_not_depend_on_the_number_of_jobs(
    stream: Stream, rows: list[Compared]
) -> None:
    for jobs in (1, 3):
        assert compare(stream, GRID, M4F, jobs=jobs)[0] == rows


def test_rows_are_the_references_and_the_grid_in_its_order(rows: list[Compared]) -> None:
    named = [(one.key, one.config and (one.config.hidden, one.config.cell)) for one in rows]
    learners = [(h, c) for h in (2, 6) for c in ("columnar", "gated")]
    assert named[0] == (LAST, None)
    assert named[1][0] == RLS
    assert [name for key, name in named if key == LEARNER] == learners
    assert all(len(one.errors) == 3 for one in rows if one.key == LEARNER)


def test_losses_are_those_of_evaluate(stream: Stream, rows: list[Compared]) -> None:
    for one in rows[2:4]:
        assert one.config is not None
        for seed, losses in enumerate(one.losses):
            made = evaluate(Learner(replace(one.config, seed=seed)), stream)
            assert losses[0] == pytest.approx(made.rmse, rel=1e-9)


def test_errors_are_ratios_to_the_last_value(rows: list[Compared]) -> None:
    last = rows[0].losses[0][0]
    for one in rows:
        assert one.errors == pytest.approx([losses[0] / last for losses in one.losses])
    assert rows[0].error == 1.0


def test_several_targets_are_never_pooled() -> None:
    # In other units of one target every error stays what it is.
    assert relative_error((1.0, 8.0), (2.0, 4.0)) == pytest.approx(1.0)
    assert relative_error((1e3, 8.0), (2e3, 4.0)) == pytest.approx(1.0)
    assert relative_error((1.0, 8.0), (0.0, 4.0)) == pytest.approx(2.0)  # one is constant
    assert relative_error((math.nan, 8.0), (1.0, 4.0)) == math.inf


def test_best_cheapest_and_lines(rows: list[Compared]) -> None:
    sized = [one for one in rows if one.memory_bytes is not None]
    (best,) = [one for one in rows if one.best]
    (cheapest,) = [one for one in rows if one.cheapest]
    assert best.error == min(one.error for one in sized)
    near = [one for one in sized if one.error <= 1.01 * best.error]
    assert cheapest.memory_bytes == min(one.memory_bytes or 0 for one in near)
    for one in sized:
        beaten = any(
            other is not one
            and (other.memory_bytes or 0) <= (one.memory_bytes or 0)
            and other.error <= one.error
            for other in sized
        )
        assert one.on_bytes_line is not beaten


def test_one_percent_is_near_and_ties_are_not_on_the_line(rows: list[Compared]) -> None:
    plain = replace(rows[2], best=False, cheapest=False, on_bytes_line=False, on_time_line=False)
    prices = ((100, 1.0), (200, 0.898), (300, 0.905), (400, 0.89), (500, 0.89))
    made = [replace(plain, memory_bytes=size, errors=(error,)) for size, error in prices]
    judged = comparing.judged(made)
    assert [one.memory_bytes for one in judged if one.best] == [400]
    assert [one.memory_bytes for one in judged if one.cheapest] == [200]
    assert [one.memory_bytes for one in judged if one.on_bytes_line] == [100, 200, 400]


def test_a_near_tie_goes_to_the_cheaper_one() -> None:
    # The target is an input of the row before: recursive least squares is exact.
    noise = np.random.default_rng(0).normal(size=(800, 1)).astype(np.float32)
    stream = from_arrays(noise, np.roll(noise, 1, axis=0))
    rows, _ = compare(stream, Grid(hidden=(2, 8), seeds=(0,)), M4F)
    (cheapest,) = [one for one in rows if one.cheapest]
    assert cheapest.key == RLS
    verdict = document(stream, rows)["horizons"][0]["verdict"]
    assert any("Use recursive least squares here" in sentence for sentence in verdict)


def test_impossible_combinations_are_left_out_with_a_note(stream: Stream) -> None:
    grid = Grid(hidden=(2,), cells=("columnar", "gated"), estimators=("unitwise",), seeds=(0,))
    rows, notes = compare(stream, grid, M4F)
    assert [one.config.cell for one in rows if one.key == LEARNER and one.config] == ["gated"]
    assert len(notes) == 1
    assert "left out hidden 2, cell columnar, estimator unitwise: estimator = " in notes[0]
    assert "expected one of" in notes[0]


def test_a_grid_without_a_learner_is_refused(stream: Stream) -> None:
    grid = Grid(hidden=(2,), cells=("columnar",), estimators=("unitwise",))
    with pytest.raises(ConfigError, match="no combination of the grid is valid; the first: "):
        compare(stream, grid, M4F)


def test_learners_that_turn_out_the_same_stand_once() -> None:
    found, _ = combinations(Grid(hidden=(8,), cells=(None, "columnar")), 3, 1)
    assert len(found) == 1


def test_no_units_are_the_recursive_least_squares_that_is_there_anyway() -> None:
    cells: tuple[Cell, ...] = ("columnar", "gated")
    found, _ = combinations(Grid(hidden=(0, 2), cells=cells), 3, 1)
    assert [one.config.hidden for one in found] == [2, 2]
    forgets = {"forget": 0.9}
    found, _ = combinations(Grid(hidden=(0, 2), settings=forgets), 3, 1)
    assert [one.config.hidden for one in found] == [0, 2]
    found, _ = combinations(Grid(hidden=(0,)), 3, 1)
    assert [one.config.hidden for one in found] == [0]


def test_grids_name_values_once() -> None:
    with pytest.raises(ConfigError, match=r"hidden = \(2, 2\): a value is repeated"):
        Grid(hidden=(2, 2))
    with pytest.raises(ConfigError, match=r"lags = \(\): expected at least one value"):
        Grid(lags=())


def test_several_horizons_and_lags(stream: Stream) -> None:
    grid = Grid(hidden=(2,), lags=(1, 4), horizons=(0, 3), seeds=(0,))
    rows, _ = compare(stream, grid, M4F)
    for horizon in (0, 3):
        here = [one for one in rows if one.horizon == horizon]
        assert [one.key for one in here] == [LAST, RLS, LEARNER, LEARNER]
        assert sum(one.best for one in here) == 1
        names = [row["name"] for row in _horizon(document(stream, rows, grid), horizon)["rows"]]
        assert names[2:] == ["2 columnar, lags 1", "2 columnar, lags 4"]


def _horizon(document: dict[str, Any], horizon: int) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["horizons"] if one["horizon"] == horizon)
    return found


def test_too_short_a_stream_is_refused(stream: Stream) -> None:
    short = replace(stream, inputs=stream.inputs[:40], targets=stream.targets[:40])
    with pytest.raises(InputError, match="horizon = 20: nothing is scored before row 40, and"):
        compare(short, Grid(horizons=(20,)), M4F)


def test_a_constant_target_is_refused() -> None:
    noise = np.random.default_rng(0).normal(size=(300, 1)).astype(np.float32)
    stream = from_arrays(noise, np.ones_like(noise))
    with pytest.raises(InputError, match="nothing to compare: the last value forecasts every"):
        compare(stream, Grid(hidden=(2,), seeds=(0,)), M4F)


def test_jobs_from_one(stream: Stream) -> None:
    with pytest.raises(ConfigError, match="jobs = 0: expected passes at once, from 1"):
        compare(stream, GRID, M4F, jobs=0)


def test_classes_are_compared_in_bits() -> None:
    draw = np.random.default_rng(1)
    signal = draw.normal(size=(1200, 1)).astype(np.float32)
    stream = from_arrays(signal, (signal > 0).astype(np.float32) + (signal > 1))
    grid = Grid(hidden=(4,), horizons=(0,), seeds=(0, 1))
    rows, _ = compare(stream, grid, M4F, classes=3)
    assert [one.key for one in rows] == [LAST, RLS, LEARNER]
    assert rows[2].config is not None
    assert rows[2].config.link == "categorical"
    assert rows[2].loss_per_target[0] < rows[0].loss_per_target[0]


def test_missing_inputs_are_held() -> None:
    stream = simulated_sensor(600, seed=1, missing=0.05)
    rows, _ = compare(stream, Grid(hidden=(2,), seeds=(0,)), M4F)
    assert all(math.isfinite(one.error) for one in rows)


def test_progress_counts_every_row(stream: Stream) -> None:
    fed: list[int] = []
    compare(stream, GRID, M4F, progress=fed.append)
    assert sum(fed) == rows_of(stream, GRID, None)


def test_an_interrupt_ends_soon_and_says_how_far_it_came(stream: Stream) -> None:
    calls: list[int] = []

    def stop(rows: int) -> None:
        calls.append(rows)
        if len(calls) == 15:
            raise KeyboardInterrupt

    inputs, targets = (np.tile(one, (30, 1)) for one in (stream.inputs, stream.targets))
    long = replace(stream, inputs=inputs, targets=targets)  # eleven pieces a pass
    many = Grid(hidden=tuple(range(2, 30)), settings={"linear_lags": 0})
    with pytest.raises(Interrupted, match=r"^\d of 86 passes were done$"):
        compare(long, many, M4F, jobs=1, progress=stop)
    assert len(calls) < 20  # of the 22 pieces of two passes


@pytest.mark.parametrize(("channels", "hidden"), [(1, 4), (30, 16), (200, 64)])
def test_large_learners_run_in_short_pieces(channels: int, hidden: int) -> None:
    """An interrupt waits for the end of a piece. However rows are cut, the losses are the same."""
    config = Config(channels, channels, hidden=hidden)
    values = np.random.default_rng(0).normal(size=(60, channels)).astype(np.float32)
    one = learner_pass(config, from_arrays(values), 1)
    learner = one.make()
    assert isinstance(learner, Learner)
    made = learner.run(values, values, horizon=1)[1:-1].astype(np.float64)  # scored from row 2 on
    fed: list[int] = []
    (losses,) = run_passes(from_arrays(values), [one], progress=fed.append)
    np.testing.assert_allclose(
        losses[0], np.sqrt(np.square(made - values[2:]).mean(axis=0)), rtol=1e-6
    )
    assert sum(fed) == 60
    assert max(fed) * memory_of(config).total <= 1 << 27


def test_the_document_is_json_and_has_what_was_found(stream: Stream, rows: list[Compared]) -> None:
    made = document(stream, rows)
    again = json.loads(json.dumps(made, allow_nan=False))
    (horizon,) = again["horizons"]
    for one, row in zip(rows, horizon["rows"], strict=True):
        assert row["error"] == one.error
        assert row["memory_bytes"] == one.memory_bytes
        assert (row["instructions"] is None) == (one.config is None)
    assert len(horizon["verdict"]) >= 3


@pytest.mark.parametrize("keys", [(LEARNER,), (LEARNER, RLS)])
def test_divergence_has_no_figures(
    stream: Stream, rows: list[Compared], keys: tuple[str, ...]
) -> None:
    marks: dict[str, Any] = {
        "best": False,
        "cheapest": False,
        "on_bytes_line": False,
        "on_time_line": False,
    }
    wild = [
        replace(one, errors=(math.inf,), losses=((math.nan,),), **marks) if one.key in keys else one
        for one in rows
    ]
    made = document(stream, wild)
    json.dumps(made, allow_nan=False)
    assert made["horizons"][0]["rows"][2]["error"] is None
    assert compared_table.table(made, made["horizons"][0]).rows[2][3] == "-"
    assert "diverged" in made["horizons"][0]["verdict"][0]
    compared_plot.picture(made, "x.svg")
    compared_page.page(made)


def test_tables_fit_80_columns(stream: Stream, rows: list[Compared]) -> None:
    from nbt_embed.commands.compare import text_of

    made = document(stream, rows)
    table = compared_table.table(made, made["horizons"][0])
    text = text_of(made["source"], [(made["horizons"][0]["verdict"], table)])
    assert max(map(len, text.splitlines())) <= 80
    for one in made["horizons"][0]["rows"]:
        assert one["name"] in text


@pytest.mark.parametrize("name", ["a.png", "b.SVG"])
def test_pictures_are_the_same_every_time(stream: Stream, rows: list[Compared], name: str) -> None:
    made = document(stream, rows)
    first = compared_plot.picture(made, name)
    assert first == compared_plot.picture(made, name)
    assert first[:4] == b"\x89PNG" if name.endswith("png") else b"6 columnar" in first


def test_pictures_of_other_kinds_are_refused(stream: Stream, rows: list[Compared]) -> None:
    with pytest.raises(InputError, match=r"c.gif: expected a name that ends in .png or .svg"):
        compared_plot.picture(document(stream, rows), "c.gif")


def test_the_page_needs_no_network_and_has_the_numbers(
    stream: Stream, rows: list[Compared]
) -> None:
    wild = replace(stream, target_names=("</script><b>&",))
    made = document(wild, rows)
    page = compared_page.page(made)
    assert "<b>&" not in page
    bokeh = str(bokeh_script())  # which by itself loads nothing
    assert bokeh in page
    assert "http" not in page.replace(bokeh, "").replace("http://www.w3.org", "")
    for one in made["horizons"][0]["rows"]:
        assert f"{one['error']:.3f}" in page


def test_files_have_a_row_for_every_model(stream: Stream, rows: list[Compared]) -> None:
    import io

    import polars

    made = document(stream, rows)
    for name, read in (("x.csv", polars.read_csv), ("x.parquet", polars.read_parquet)):
        frame = read(io.BytesIO(compared_table.rows_file(made, name)))
        assert frame["error"].to_list() == pytest.approx([one.error for one in rows])
        assert frame["name"].to_list() == [one["name"] for one in made["horizons"][0]["rows"]]


@pytest.mark.parametrize(
    "config",
    [
        Config(3, 1),
        Config(3, 1, hidden=0),
        Config(3, 1, hidden=0, intervals=0, anomaly=False),
        Config(3, 1, hidden=12, cell="gated", lags=5, forget=0.999, rate=0.2),
        Config(3, 2, hidden=7, head=3, resonators=2, mix_forget=0.0, tau_max=100),
        Config(3, 1, follow=False, filter="sgd", max_delay=4),
        Config(3, 3, link="categorical", hidden=9),
    ],
)
def test_the_options_of_run_make_the_same_learner(config: Config) -> None:
    from nbt_embed.options import Parser, add_learner, config_of

    parser = Parser()
    add_learner(parser)
    args = parser.parse_args(options_of(config).split())
    decided = {name: getattr(config, name) for name in ("link", "max_delay")}
    made = config_of(args, config.n_in, config.n_out, **decided)
    assert made == config


def test_states_are_reset_between_recordings(stream: Stream) -> None:
    from nbt_embed.app.passes import learner_pass, run_passes

    config, horizon, cut = Config(3, 1, hidden=4, max_delay=2, hold_missing=True), 3, 700
    learner = Learner(config)
    learner.find_anchor(stream.inputs, stream.targets, horizon=horizon)
    errors = []
    for first, part in ((2 * horizon, slice(0, cut)), (horizon, slice(cut, None))):
        made = learner.run(stream.inputs[part], stream.targets[part], horizon=horizon)
        truth = stream.targets[part]
        errors.append((made[first - horizon : -horizon] - truth[first:]).astype(np.float64))
        learner.reset_state()
    rmse = math.sqrt(np.nanmean(np.square(np.concatenate(errors))))
    one = learner_pass(config, stream, horizon)
    assert run_passes(stream, [one], resets=[cut])[0][0][0] == pytest.approx(rmse, rel=1e-6)
    assert run_passes(stream, [one])[0][0][0] != pytest.approx(rmse, rel=1e-6)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command says that ends with the code for bad input."""
    from nbt_embed.cli import main

    assert main(arguments) == 2
    return capsys.readouterr().err


def test_what_is_combined_is_not_set_too(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "compare", "none.csv", "--set", "hidden=4")
    assert "--set hidden: is part of the grid; use --hidden for it" in said
    said = refused(capsys, "compare", "none.csv", "--set", "seed=4")
    assert "--set seed: is part of the grid; use --seeds for it" in said


@pytest.mark.parametrize("command", ["compare", "tune"])
def test_independent_probabilities_are_refused(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    said = refused(capsys, command, "none.csv", "--link", "bernoulli")
    assert "--link bernoulli: compare and tune take numbers or one column of classes" in said


def test_names_of_pictures_are_looked_at_before_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "c.gif: expected a name that ends in" in refused(
        capsys, "compare", "none.csv", "--plot", "c.gif"
    )


def test_the_command_compares_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, stream: Stream
) -> None:
    from nbt_embed.cli import main

    path = tmp_path / "sensor.csv"
    cells = np.column_stack([stream.inputs[:600], np.arange(600) % 7]).tolist()
    lines = [",".join("" if cell != cell else f"{cell:.4f}" for cell in row) for row in cells]
    path.write_text("a,b,c,d\n" + "\n".join(lines) + "\n", encoding="utf-8")
    out = {name: tmp_path / f"result.{name}" for name in ("json", "csv", "svg", "html")}
    options = ["--hidden", "2,3", "--seeds", "2", "--target", "a", "--processor", "rv32imac"]
    options += ["--mhz", "160", "--json", str(out["json"]), "--out", str(out["csv"])]
    options += ["--plot", str(out["svg"]), "--report", str(out["html"])]
    assert main(["compare", str(path), *options]) == 0
    text = capsys.readouterr().out
    assert "RV32IMAC at 160 MHz" in text
    made = json.loads(out["json"].read_text(encoding="utf-8"))
    assert made["processor"]["name"] == "RV32IMAC"
    assert made["command"].startswith("nbt-embed compare ")
    assert [one["key"] for one in made["horizons"][0]["rows"]] == [LAST, RLS, LEARNER, LEARNER]
    for name in out.values():
        assert name.stat().st_size > 0


def test_a_library_that_is_missing_is_named_before_the_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbt_embed.commands import compare as command

    monkeypatch.setattr(command, "find_spec", lambda _: None)
    said = refused(capsys, "compare", "none.csv", "--report", "page.html")
    assert "bokeh is not installed: pip install 'nbt-embed[app]'" in said


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3088, 4096], [3000, 3500, 4000, 4500]),
        ([2728, 15080], [2000, 5000, 10000, 20000]),
        ([5336], [5336]),
        ([0.21, 0.23], [0.21, 0.22, 0.23]),
        ([], []),
    ],
    ids=["near", "far", "one", "small", "none"],
)
def test_every_logarithmic_axis_has_numbers(values: list[float], expected: list[float]) -> None:
    assert compared_page.ticks(values) == pytest.approx(expected)
