"""The measurements of tools/learning: tasks, curves, plan and tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT

from nbt_embed import Config
from nbt_embed.config import Link
from tools.learning import (
    column_targets,
    influence,
    instructions,
    ours,
    page,
    peers,
    recordings,
    targets,
)
from tools.learning.__main__ import main
from tools.learning.curves import Curve, append, load
from tools.learning.plan import METHODS, PARTS, PEERS, Job, full, part_of, quick
from tools.learning.record import Figure, Outcome, Record, figures_of
from tools.learning.runner import measure, valid
from tools.learning.summary import Spread, medians, pick, reaches
from tools.learning.tasks import TASKS, SeriesTask, SymbolTask, standardised
from tools.targets.machines import ToolError

CURVE = Curve("anbn(1,32)", "unitwise", 32, 3, 10, (4.0, 3.0, 2.0, 1.0), 100, {"a": 1}, 2)


def test_the_floors_are_the_entropy_rates() -> None:
    text = TASKS["anbn(1,32)"].make(200_000, 0)
    task = TASKS["anbn(1,32)"]
    assert isinstance(task, SymbolTask)
    lines = np.count_nonzero(text == 2) / 2
    assert 5 * lines / len(text) == pytest.approx(task.floor, rel=0.01)
    near = TASKS["brackets(1,5,10)"]
    assert isinstance(near, SymbolTask)
    assert near.floor == pytest.approx(6 * np.log2(10) / 12)
    assert near.blind == pytest.approx(7 * np.log2(10) / 12)
    assert near.dependency == 8


def test_a_bracket_line_repeats_its_letters() -> None:
    text = TASKS["brackets(1,12,10)"].make(19 * 50, 1)
    lines = text.reshape(50, 19)  # [ x ] 12 letters [ x ] newline
    assert (lines[:, [0, 2, 15, 17, 18]] == [10, 11, 10, 11, 12]).all()
    assert (lines[:, 1] == lines[:, 16]).all()
    assert lines[:, 3:15].max() < 10


@pytest.mark.parametrize("name", [n for n, t in TASKS.items() if isinstance(t, SeriesTask)])
def test_series_stay_on_their_attractor(name: str) -> None:
    z = TASKS[name].make(2000, 0)
    assert z.shape == (2000, 1)
    assert np.isfinite(z).all()
    assert (z != TASKS[name].make(2000, 1)).any()
    kind = name.split(",")[0]
    low, high = {"Lorenz": (-20, 20), "Mackey-Glass": (0.2, 1.5), "Henon": (-1.5, 1.5)}[kind]
    assert low < z.min() < z.max() < high


def test_standardisation_is_causal() -> None:
    z = np.random.default_rng(0).normal(3, 5, (400, 1))
    changed = np.concatenate([z[:200], -z[200:]])
    np.testing.assert_array_equal(standardised(z)[:200], standardised(changed)[:200])
    tail = (z[300:] - z[:300].mean()) / z[:300].std()
    np.testing.assert_allclose(standardised(z)[300:], tail)


def test_curves_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "curves.jsonl"
    assert load(path) == []
    append(path, [CURVE])
    append(path, [replace(CURVE, seed=4)])
    assert load(path) == [CURVE, replace(CURVE, seed=4)]


def test_curves_are_averaged_by_samples() -> None:
    assert CURVE.samples == 40
    assert CURVE.last(20) == 1.5
    assert CURVE.last(1) == 1.0
    assert CURVE.by(20).tolist() == [3.5, 1.5]
    assert CURVE.by(30).tolist() == [3.0]
    assert CURVE.first(20).loss == (4.0, 3.0)
    assert medians([CURVE, CURVE.first(40)], 20).tolist() == [3.5, 1.5]
    assert reaches(CURVE, 2.0) == 30
    assert reaches(CURVE, 0.5) == np.inf


def test_a_run_that_is_not_finite_counts_as_failed() -> None:
    got = Spread.of([1.0, np.nan, 3.0, np.inf])
    assert (got.median, got.low, got.high, got.runs, got.failed) == (2.0, 1.0, 3.0, 4, 2)
    assert str(got) == "2 (1 to 3, 2 failed)"
    none = Spread.of([np.nan])
    assert str(none) == "1 failed"


@pytest.mark.parametrize("part", PARTS)
def test_every_job_names_a_task_and_a_method(part: str) -> None:
    for job in (*full(part), *quick(part)):
        assert part_of(job.task, job.method) == part
        assert job.method in METHODS
        assert job.samples % TASKS[job.task].block == 0


def test_seeds_that_are_measured_are_not_missing() -> None:
    job = Job(CURVE.task, CURVE.method, 40, 32, (2, 3, 4))
    assert job.missing([CURVE]).seeds == (2, 4)
    assert replace(job, samples=50).missing([CURVE]).seeds == (2, 3, 4)
    assert replace(job, hidden=8).missing([CURVE]).seeds == (2, 3, 4)
    # A long text begins with a short one; a long series has another variance than a short one.
    assert replace(job, samples=20).missing([CURVE]).seeds == (2, 4)
    series = replace(CURVE, task="Henon")
    assert replace(job, task="Henon").missing([series]).seeds == (2, 4)
    assert replace(job, task="Henon", samples=20).missing([series]).seeds == (2, 3, 4)


def test_jobs_run_once_while_their_sources_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "curves.jsonl"
    jobs = [
        Job("anbn(1,32)", "unitwise", 10_000, 4, (0, 1)),
        Job("Henon", "frozen", 1_000, 4, (0,)),
        Job("Lorenz, 10 ahead", "RLS-10", 1_000, 0, (0,)),
        Job("Henon", "no network", 1_000, 0, (0,)),
    ]
    measure(jobs, path, processes=2)
    curves = load(path)
    assert len(curves) == 5
    assert "4/4" in capsys.readouterr().out
    measure(jobs, path, processes=2)
    assert load(path) == curves
    assert valid(path) == curves
    assert [curve.skipped for curve in curves] == [0] * 5

    path.unlink()
    append(path, [replace(curve, source="other") for curve in curves])
    assert valid(path) == []
    measure(jobs[1:2], path, processes=1)
    (frozen,) = valid(path)
    assert frozen.method == "frozen"
    append(path, [replace(frozen, settings={"rate": 9.0})])
    assert valid(path) == [frozen]


def figure(method: str, by_seed: tuple[float | None, ...], hidden: int = 64) -> Figure:
    losses = [np.nan if loss is None else loss for loss in by_seed]
    spread = Spread.of(losses)
    return Figure("Henon", method, hidden, 20_000, 10_000, spread, by_seed, 8, 0, "test 1")


def test_end_figures_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "series.json"
    assert Record.load(path) == Record()
    kept = Record(
        (figure("unitwise", (1.0, None)), figure("frozen", ())), (Outcome("a", "b", "c"),)
    )
    kept.save(path)
    assert Record.load(path) == kept


def test_what_is_measured_again_replaces_its_figure_alone() -> None:
    old = Record((figure("frozen", (3.0,)), figure("gone", (1.0,))), (Outcome("a", "b", "c"),))
    new = old.updated(
        [figure("unitwise", (1.0,)), figure("frozen", (2.0,))], [Outcome("a", "b", "d")]
    )
    assert [(one.method, one.by_seed) for one in new.figures] == [
        ("unitwise", (1.0,)),
        ("frozen", (2.0,)),
    ]
    assert new.outcomes == (Outcome("a", "b", "d"),)
    assert old.updated([], []).outcomes == old.outcomes


def test_ratios_are_of_equal_seeds() -> None:
    record = Record((figure("unitwise", (1.0, 2.0, None)), figure("frozen", (4.0, 2.0, 1.0))))
    keys = ("unitwise", 64, 20_000), ("frozen", 64, 20_000)
    assert record.ratio("Henon", *keys) == Spread(0.625, 0.25, 1.0, 3, 1)
    assert record.ratio("Lorenz", *keys) is None
    assert record.updated([figure("frozen", (4.0,))], []).ratio("Henon", *keys) is None


def test_end_figures_of_curves() -> None:
    text = replace(CURVE, block=10_000, loss=(9.0,) * 10 + (2.0,) * 10 + (1.0,) * 20)
    series = replace(CURVE, task="Henon", block=1_000, loss=(9.0, 1.0))
    failed = replace(series, seed=4, loss=(np.nan, 1.0))
    found = figures_of([text, series, failed])
    assert [(one.task, one.samples, one.tail, one.loss.median) for one in found] == [
        ("anbn(1,32)", 200_000, 100_000, 2.0),
        ("anbn(1,32)", 400_000, 100_000, 1.0),
        ("Henon", 2_000, 1_000, 1.0),
    ]
    assert found[2].by_seed == (1.0, None)
    assert found[2].loss.failed == 1
    assert found[2].skipped == 4
    assert found[2].made_by.startswith("nbt_embed ")
    torch = replace(series, method="GRU, span 4", settings={"torch": "2"})
    assert figures_of([torch])[0].made_by == "PyTorch 2"


def test_a_half_is_measured_and_documented_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [Job("Henon", name, 1_000, 4, (0, 1)) for name in ("unitwise", "frozen")]
    jobs += [Job("Henon", "GRU, span 4", 1_000, 4, (0, 1))]
    monkeypatch.setattr("tools.learning.__main__.full", lambda half: {"series": jobs}[half])
    drawn: list[list[Curve]] = []
    monkeypatch.setattr("tools.learning.__main__._draw", lambda *given: drawn.append(given[2]))
    document = tmp_path / "page.md"
    other = "<!-- symbols -->\nkept\n<!-- /symbols -->\n"
    document.write_text(f"before\n<!-- series -->\nold\n<!-- /series -->\n{other}")
    kept = replace(figure("GRU, span 4", (0.5, 0.7), 4), samples=1_000, made_by="PyTorch 1")
    Record((kept,)).save(tmp_path / "page" / "series.json")
    main(["series", "--own", "--out", str(tmp_path), "--document", str(document)])
    text = document.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith(other)
    assert "| GRU, span 4 | 4 | 8 |  |  | 0.6 (0.5 to 0.7) |" in text
    assert "PyTorch 1: 2 runs" in text
    assert "| frozen | 4 |" in text
    rows = Record.load(tmp_path / "page" / "series.json")
    assert [one.method for one in rows.figures] == ["unitwise", "frozen", "GRU, span 4"]
    assert page.series(rows) in text
    assert drawn == [[]]  # without the competitors' curves there is no picture of curves


def test_goals_of_columns_are_measured_and_documented_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [Job("Henon", "columnar + head", 1_000, 4, (0, 1))]
    monkeypatch.setattr("tools.learning.__main__.goals", lambda: jobs)
    wanted: list[instructions.Wanted] = []

    def counted(
        keys: Iterable[instructions.Wanted], kept: instructions.Counts, _: int
    ) -> instructions.Counts:
        wanted.extend(keys)
        return kept

    monkeypatch.setattr(instructions, "counted", counted)
    drawn: list[Sequence[Record]] = []
    pictures = SimpleNamespace(draw=lambda records, *_: drawn.append(records))
    monkeypatch.setitem(sys.modules, "tools.learning.drawn", pictures)  # needs matplotlib
    document = tmp_path / "page.md"
    document.write_text("<!-- columns -->\nold\n<!-- /columns -->\n")
    kept = replace(figure("unitwise", (0.25,), 16), task="recordings", samples=0)
    Record((kept,)).save(tmp_path / "page" / "columns.json")
    arguments = ["--out", str(tmp_path), "--document", str(document)]
    main(["columns", "--goals", *arguments])
    rows = Record.load(tmp_path / "page" / "columns.json")
    assert [one.method for one in rows.figures] == ["unitwise", "columnar + head"]
    assert wanted == [("recording", "unitwise", 16)]  # a short run has no place in the pictures
    assert drawn[0][0] == rows
    assert page.columns(rows) in document.read_text()

    monkeypatch.setattr("tools.learning.__main__.measure", None)  # is not called
    main(["columns", "--report", *arguments])
    assert Record.load(tmp_path / "page" / "columns.json") == rows
    assert len(wanted) == 1


def test_a_quick_run_is_for_no_document(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["--quick", "--document", "x.md"], "leave --document out"),
        (["serie"], "'serie': expected one of symbols, series, columns"),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("part", PARTS)
def test_the_document_shows_its_recorded_figures(part: str) -> None:
    record = Record.load(ROOT / "docs/evidence/learning" / f"{part}.json")
    text = (ROOT / "docs/evidence/learning.md").read_text(encoding="utf-8")
    shown = text.split(f"<!-- {part} -->\n")[1].split(f"\n<!-- /{part} -->")[0]
    assert shown == page.PAGES[part](record)


def config(method: str, symbols: bool, hidden: int = 16) -> Config:
    """What a method that is one learner is built with."""
    settings = METHODS[method].settings
    assert settings is not None
    link: Link = "categorical" if symbols else "gaussian"
    return Config(3, 3, hidden=hidden, link=link, **settings(symbols, hidden))


@pytest.mark.parametrize("symbols", [True, False])
def test_methods_without_a_head_stay_layers_of_gated_units(symbols: bool) -> None:
    for method, how in METHODS.items():
        if how.settings is not None and method not in PEERS:
            got = config(method, symbols, 0 if method == "no network" else 16)
            assert (got.cell, got.head, got.resonators, got.tau_max) == ("gated", 0, 0, 16.0)
            name = method.split(",")[0]
            assert got.estimator == ("frozen" if name == "no network" else name)


def test_the_defaults_of_both_links_are_among_the_peers() -> None:
    assert config("both kinds + head", symbols=False) == Config(3, 3)
    still = Config(3, 3, link="categorical", follow=False, scale_steps=0)
    assert config("columnar + head", symbols=True) == still


def test_recorded_losses_of_gated_units_are_measured_again() -> None:
    record = Record.load(ROOT / "docs/evidence/learning" / "series.json")
    for method in ("unitwise", "frozen"):
        kept = record.figure("Henon", method, 8, 20_000)
        assert kept is not None
        (curve,) = METHODS[method].run(method, TASKS["Henon"], 8, 20_000, (0,))
        assert curve.last(10_000) == pytest.approx(kept.by_seed[0], rel=1e-3)


def test_targets_of_symbols_stand_with_their_measurements() -> None:
    runs = [replace(CURVE, seed=s, block=10_000, loss=(0.149,) * 100) for s in range(3)]
    assert [(one.target, one.measured) for one in targets.of_symbols(runs, {})] == [
        ("median <= 0.15", "0.149 (0.149 to 0.149)"),
        (
            "20 seeds, 3 tasks, 1e6 steps: 0 diverge, 0 steps skipped",
            "3 runs: 0 diverged, 6 steps skipped",
        ),
    ]
    assert len(pick(runs, CURVE.task, "unitwise", 32, 1_000_000)) == 3


def test_targets_of_series_stand_with_their_measurements() -> None:
    record = Record((figure("unitwise", (0.001,)), figure("frozen", (0.002,))))
    assert [(one.target, one.measured) for one in targets.of_series(record)] == [
        ("<= 0.00173 (a third of the best published)", "0.001 (0.001 to 0.001)"),
        ("<= 1.01 of their medians", "1 medians: at most 1.800 (Henon, 64 units)"),
        ("<= 1 of frozen, same seeds", "0.5 (0.5 to 0.5)"),
    ]

    long = replace(figure("unitwise", (0.1,) * 20, 32), samples=1_000_000)
    tasks = [replace(long, task=task) for task in ("Henon", "Lorenz", "Mackey-Glass")]
    for changed, measured in (
        (tasks[0], "60 runs: 0 diverged, 0 steps skipped"),
        (replace(tasks[0], skipped=1), "60 runs: 0 diverged, 1 steps skipped"),
        (replace(tasks[0], loss=replace(long.loss, failed=1)), "60 runs: 1 diverged, 0 steps"),
        (replace(tasks[0], loss=replace(long.loss, runs=19)), "59 runs: 0 diverged, 0 steps"),
    ):
        (one,) = targets.of_series(Record((changed, *tasks[1:])))
        assert one.task == "robustness"
        assert one.measured.startswith(measured)


def test_sgd_takes_the_better_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "SGD_RATES", (0.0, 0.03))
    (curve,) = ours.tuned_sgd("x", TASKS["anbn(1,32)"], 4, 10_000, (0,))
    assert curve.settings["sgd_rate"] == 0.03


def test_influence_is_minus_six_and_the_exact_estimate_finds_it() -> None:
    exact = influence.Estimate("rtrl", 1)
    for _ in range(400):
        slope = exact.advance()
    assert slope[0] == pytest.approx(-6, rel=1e-6)


@pytest.mark.parametrize("estimator", ["nobacktrack", "residual", "unitwise"])
def test_the_mean_of_the_estimates_is_the_influence(estimator: str) -> None:
    seeds = 40 if estimator == "residual" else 400
    estimate, exact = influence.Estimate(estimator, seeds), influence.Estimate("rtrl", 1)
    for _ in range(12):
        slopes, slope = estimate.advance(), exact.advance()
    noise = slopes.std() / np.sqrt(seeds)
    assert abs(slopes.mean() - slope[0]) <= 4 * noise + 1e-9


def test_short_spans_go_the_wrong_way_and_long_ones_do_not() -> None:
    short, long = (influence.truncated(span, 5_000, 100) for span in (10, 500))
    assert short.theta[0, -1] > 0.6
    assert long.theta[0, -1] < 0.4


def test_settled_is_the_last_time_outside() -> None:
    near = influence.OPTIMUM
    run = influence.Run(10, np.array([[0.5, near, 0.5, near], [0.5, near, near, 0.5]]))
    assert run.settled().tolist() == [30.0, np.inf]


def test_an_influence_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(influence, "ESTIMATORS", ("nobacktrack",))
    path = tmp_path / "influence.json"
    first = influence.measured(path, 1_000)
    assert set(first) == {"nobacktrack", *(f"backpropagation, span {s}" for s in influence.SPANS)}
    again = influence.measured(path, 1_000)
    np.testing.assert_array_equal(first["nobacktrack"].theta, again["nobacktrack"].theta)


def test_targets_of_columns_show_loss_bytes_and_failures() -> None:
    one = column_targets.TARGETS[0]
    got = Spread.of([0.15, np.nan])
    kept = Figure(one.task, one.method, 16, one.samples, 1, got, (0.15, None), 7169, 0, "test")
    found, *_ = column_targets.of_columns(Record((kept,)))
    assert found.target == "<= 0.148 in 7,168 bytes"
    assert found.measured == "0.15 (0.15 to 0.15, 1 failed); 7,169 bytes; seeds: 2"
    robust, *others = column_targets.of_columns(Record((replace(kept, bytes=None),)))
    assert robust.task.startswith("robustness")
    assert not others


def test_robustness_of_columns_counts_every_run() -> None:
    pairs = [("columnar + head", name) for name in ("anbn(1,32)", "brackets(1,5,10)")]
    pairs += [("columnar + head", "brackets(1,12,10)")]
    pairs += [("both kinds + head", name) for name in ("Lorenz", "Mackey-Glass", "Henon")]
    good = Spread(0.1, 0.1, 0.1, 20, 0)
    one = Figure("", "", 16, 1_000_000, 1, good, (0.1,) * 20, None, 0, "test")
    kept = [replace(one, task=task, method=method) for method, task in pairs]

    def measured(figures: list[Figure]) -> str | None:
        found = column_targets.of_columns(Record(tuple(figures)))
        return next((one.measured for one in found if one.task.startswith("robustness")), None)

    failed = replace(kept[0], loss=replace(good, failed=1))
    assert measured(kept) == "120 runs: 0 diverged, 0 steps skipped"
    assert measured(kept[1:]) is None
    assert measured([replace(kept[0], loss=replace(good, runs=19)), *kept[1:]]) is None
    assert measured([failed, *kept[1:]]) == "120 runs: 1 diverged, 0 steps skipped"
    assert measured([failed]) == "20 runs: 1 diverged, 0 steps skipped"


def test_learners_of_the_pictures_are_counted_where_they_have_a_figure() -> None:
    assert list(peers.to_count([figure("unitwise", (1.0,)), figure("rtrl", (1.0,))])) == [
        ("series", "unitwise", 64)
    ]
    assert list(peers.to_count([replace(figure("unitwise", (1.0,)), samples=1_000)])) == []


def test_counts_survive_the_file_and_are_kept_without_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ("series", "unitwise", 8)
    kept = {key: instructions.Count(*key, 1000, "old", "test")}
    path = tmp_path / "new" / "instructions.json"
    assert instructions.load(path) == {}
    instructions.save(kept, path)
    assert instructions.load(path) == kept

    def missing(_: Path) -> Path:
        raise ToolError("cc is not installed")

    monkeypatch.setattr(instructions, "build_counter", missing)
    assert instructions.counted([key], kept, 1) == kept
    assert "cc is not installed" in capsys.readouterr().out
    monkeypatch.setattr(instructions, "build_counter", lambda folder: folder)
    fresh = instructions.Count(*key, 7, "new", "test")
    monkeypatch.setattr(instructions, "_count", lambda *_: fresh)
    assert instructions.counted([key], kept, 1)[key].instructions == 7


def test_recordings_are_one_figure_a_learner(tmp_path: Path) -> None:
    t = np.arange(600)
    rows = "\n".join(f"{a},{b}" for a, b in zip(np.sin(t / 5), np.sin(t / 9), strict=True))
    (tmp_path / "wave.csv").write_text(f"x0,x1\n{rows}\n")
    entry = '{"target": "x0", "horizons": [1, 2], "start": 100}'
    (tmp_path / "streams.json").write_text(f'{{"wave": {entry}}}')
    pairs = [("columnar + head", 2), ("unitwise", 2)]
    first, second = recordings.measured(pairs, tmp_path, tmp_path / "out", 1)
    assert (first.task, first.method, first.hidden) == ("recordings", *pairs[0])
    assert len(first.by_seed) == 5
    assert first.bytes != second.bytes
    assert recordings.measured(pairs, tmp_path / "nowhere", tmp_path / "out", 1) == []
