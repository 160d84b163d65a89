"""The measurements of tools/learning: tasks, curves, plan and tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tools.learning import influence, ours
from tools.learning.curves import Curve, append, load
from tools.learning.page import BEGIN, END, write
from tools.learning.plan import METHODS, Job, full, quick
from tools.learning.runner import measure
from tools.learning.summary import Spread, bars, medians, pick, reaches
from tools.learning.tasks import TASKS, SeriesTask, SymbolTask, standardised

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
    assert Spread.of([np.nan]).failed == 1


def test_every_job_names_a_task_and_a_method() -> None:
    for job in (*full(), *quick()):
        assert job.task in TASKS
        assert job.method in METHODS
        assert job.samples % TASKS[job.task].block == 0


def test_seeds_that_are_measured_are_not_missing() -> None:
    job = Job(CURVE.task, CURVE.method, 40, 32, (2, 3, 4))
    assert job.missing([CURVE]).seeds == (2, 4)
    assert replace(job, samples=50).missing([CURVE]).seeds == (2, 3, 4)
    assert replace(job, hidden=8).missing([CURVE]).seeds == (2, 3, 4)


def test_jobs_run_once_and_the_tables_show_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "curves.jsonl"
    jobs = [
        Job("anbn(1,32)", "unitwise", 10_000, 4, (0, 1)),
        Job("Henon", "frozen", 1_000, 4, (0,)),
        Job("Lorenz, 10 ahead", "RLS-10", 1_000, 0, (0,)),
    ]
    measure(jobs, path, processes=2)
    curves = load(path)
    assert len(curves) == 4
    assert "3/3" in capsys.readouterr().out
    measure(jobs, path, processes=2)
    assert load(path) == curves
    assert [curve.skipped for curve in curves] == [0, 0, 0, 0]
    document = tmp_path / "page.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(curves, {}, tmp_path / "summary.json", document)
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "frozen | 4 |" in text
    rows = json.loads((tmp_path / "summary.json").read_text())["runs"]
    assert {row["method"] for row in rows} == {"unitwise", "frozen", "RLS-10"}


def test_bars_are_met_and_missed() -> None:
    def runs(loss: float) -> list[Curve]:
        flat = (loss,) * 100
        return [replace(CURVE, seed=s, block=10_000, loss=flat) for s in range(3)]

    good, bad = (list(bars(runs(loss), {})) for loss in (0.149, 0.151))
    assert [bar.met for bar in good] == [True, False]  # the other is robustness: too few runs
    assert [bar.met for bar in bad] == [False, False]
    assert len(pick(runs(0.1), CURVE.task, "unitwise", 32, 1_000_000)) == 3


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
