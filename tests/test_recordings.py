"""`make streams`: the protocol, the cache, the comparisons and the report, on tiny recordings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import shared
from numpy.typing import NDArray

from nbt_embed.baselines import LastValue, Rls
from nbt_embed.errors import StreamError
from nbt_embed.evaluate import evaluate
from tools.document import put
from tools.streams import __main__ as command
from tools.streams import models, page, runner
from tools.streams.echo_state import EchoState
from tools.streams.models import ECHO, FROZEN, LAST, RLS, Entrant
from tools.streams.recordings import Task, tasks
from tools.streams.summary import compare, errors, middle, recorded


def wave(rows: int) -> NDArray[np.float64]:
    """Two channels, the second a delayed and noisy copy of the first."""
    rng = np.random.default_rng(0)
    first = np.sin(0.3 * np.arange(rows)) + 0.05 * rng.normal(size=rows)
    return np.column_stack([first, np.roll(first, 2) + 0.05 * rng.normal(size=rows)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two recordings with their index."""
    index = {}
    for name, rows in (("long", 300), ("short", 200)):
        lines = ["a,b", *(f"{a:.5f},{b:.5f}" for a, b in wave(rows))]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
        index[name] = {"target": "b", "horizons": [1, 3], "start": 50}
    index["long"]["reference"] = {"1": {"river": 0.5}}
    (tmp_path / "streams.json").write_text(json.dumps(index))
    return tmp_path


def run_of(task: Task, nrmse: float, seed: int = 0) -> runner.Run:
    return runner.Run(task.name, "last", "{}", seed, "data", "sources", nrmse, 1.0)


def test_an_index_describes_tasks(folder: Path) -> None:
    found = tasks(folder)
    assert [task.name for task in found] == [
        f"{name}, {horizon} ahead" for name in ("long", "short") for horizon in (1, 3)
    ]
    stream = found[0].stream()
    assert (stream.input_names, stream.target_names) == (("a", "b"), ("b",))
    assert recorded(found, "river") == {found[0]: 0.5}
    assert len({task.fingerprint for task in found}) == 4
    before = found[0].fingerprint
    found[0].path.write_text(found[0].path.read_text().replace("a,b\n", "a,b\n0,0\n"))
    assert tasks(folder)[0].fingerprint != before


def test_what_an_index_lacks_is_named(folder: Path) -> None:
    with pytest.raises(StreamError, match=r"streams\.json does not exist.*--data"):
        tasks(folder / "elsewhere")
    index = folder / "streams.json"
    index.write_text(json.dumps({"long": {"target": "b", "horizons": [1]}}))
    with pytest.raises(StreamError, match="long has no 'start'"):
        tasks(folder)
    index.write_text(json.dumps({"lost": {}}))
    with pytest.raises(StreamError, match=r"lost\.csv\.gz is not in its folder"):
        tasks(folder)


def test_a_forecast_is_scored_against_the_row_it_was_made_for(folder: Path) -> None:
    for task in tasks(folder):
        (found,) = runner.run(task, LAST, (0,))
        y = wave(300 if task.recording == "long" else 200)[:, 1].round(5)
        late = y[task.start :]
        error = late - y[task.start - task.horizon : -task.horizon]
        expected = np.sqrt((error**2).sum() / ((late - late.mean()) ** 2).sum())
        assert found.nrmse == pytest.approx(expected, rel=1e-5)


def test_what_is_measured_is_not_measured_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, path = tasks(folder), tmp_path / "out" / "results.jsonl"
    entrants = (Entrant.of("learner", hidden=2), LAST)
    first = runner.measure(found, entrants, path, processes=2)
    assert len(runner.load(path)) == 4 * (models.SEEDS + 1)
    path.write_text(path.read_text() + '{"task": "cut off')
    assert runner.measure(found, entrants, path, processes=2) == first
    assert len(runner.load(path)) == 4 * (models.SEEDS + 1)
    # Other sources of a kind are another measurement.
    monkeypatch.setattr(
        models, "fingerprint", lambda patterns: "new" if "csrc/*.[ch]" in patterns else ""
    )
    assert Entrant.of("learner", hidden=2).fingerprint == "new"
    again = runner.measure(found[:1], entrants[:1], path, processes=1)
    assert [run.nrmse for run in again[found[0], entrants[0]]] == [
        run.nrmse for run in first[found[0], entrants[0]]
    ]
    assert len(runner.load(path)) == 4 * (models.SEEDS + 1) + models.SEEDS


def test_the_kernel_decides_about_learners_alone() -> None:
    assert Entrant.of("learner").fingerprint == FROZEN.fingerprint != LAST.fingerprint
    assert RLS[0].fingerprint == LAST.fingerprint != ECHO[0].fingerprint
    assert Entrant.of("learner", lags=2, hidden=4) == Entrant.of("learner", hidden=4, lags=2)


def test_the_median_counts_what_diverged_as_infinite() -> None:
    task = Task(Path("a.csv"), "x", 1, 0)
    assert middle(run_of(task, nrmse) for nrmse in (3.0, np.nan, 1.0)) == 3.0
    assert middle(run_of(task, nrmse) for nrmse in (np.nan, np.inf, 1.0)) == np.inf


def test_a_comparison_counts_what_differs_by_a_percent() -> None:
    found = [Task(Path(f"{name}.csv"), "x", 1, 0) for name in "abcd"]
    ours = dict(zip(found, (0.5, 0.995, 1.005, 2.0), strict=True))
    result = compare(ours, dict.fromkeys(found, 1.0))
    assert result is not None
    assert (result.tasks, result.better, result.worse) == (4, 1, 1)
    assert result.mean == pytest.approx((0.5 * 0.995 * 1.005 * 2.0) ** 0.25)
    assert (result.worst, result.worst_task) == (2.0, "d, 1 ahead")
    assert compare(ours, {}) is None
    # Equal errors are equal even where a ratio is none.
    same = compare({found[0]: 0.0, found[1]: np.inf}, {found[0]: 0.0, found[1]: np.inf})
    assert same is not None
    assert (same.better, same.worse, same.worst) == (0, 0, 1.0)


def test_the_best_of_a_group_is_chosen_task_by_task(folder: Path) -> None:
    task, other = tasks(folder)[:2]
    table = {(task, RLS[0]): 1.0, (task, RLS[1]): 2.0, (other, RLS[0]): 4.0, (other, RLS[1]): 3.0}
    runs = {key: [run_of(key[0], nrmse)] for key, nrmse in table.items()}
    assert errors(runs, (task, other), *RLS[:2]) == {task: 1.0, other: 3.0}


def test_an_echo_state_network_remembers_what_a_linear_readout_cannot() -> None:
    rng = np.random.default_rng(1)
    x = rng.choice([-1.0, 1.0], (3000, 1))
    y = np.roll(x, 2) * np.roll(x, 1)  # a product of inputs that are gone
    network = EchoState(1, 1, units=60, input_gain=1.0, seed=3)
    forecasts = network.run(x, y, horizon=0)
    linear = Rls(1, 1, lags=3).run(x, y, horizon=0)
    error, blind = (((one[2000:] - y[2000:]) ** 2).mean() for one in (forecasts, linear))
    assert error < 0.5 < 0.9 < blind
    same = EchoState(1, 1, units=60, input_gain=1.0, seed=3).run(x, y, horizon=0)
    np.testing.assert_array_equal(forecasts, same)
    # A label that comes three rows later is learnt for the state of the forecast it belongs to.
    later = EchoState(1, 1, units=60, input_gain=1.0, seed=3, max_delay=2).run(
        x, np.roll(y, 3), horizon=3
    )
    assert ((later[2000:-3] - np.roll(y, 3)[2003:]) ** 2).mean() < 0.6
    # Labels that come later change the forecasts after them only.
    late = EchoState(1, 1, units=60, input_gain=1.0, seed=3, max_delay=4)
    flipped = np.concatenate([y[:100], -y[100:]])
    one = EchoState(1, 1, units=60, input_gain=1.0, seed=3, max_delay=4).run(
        x[:300], y[:300], horizon=5
    )
    two = late.run(x[:300], flipped[:300], horizon=5)
    np.testing.assert_array_equal(one[:100], two[:100])
    assert (one[100:] != two[100:]).any()


def test_the_command_reports_and_rewrites_a_document_when_asked(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "LEARNERS", {"default": Entrant.of("learner", hidden=2)})
    monkeypatch.setattr(command, "FROZEN", Entrant.of("learner", hidden=2, estimator="frozen"))
    monkeypatch.setattr(command, "ECHO", (Entrant.of("echo", units=5),))
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- streams -->\nold\n<!-- /streams -->\nafter\n")
    options = ["--data", str(folder), "--out", str(tmp_path / "out"), "--processes", "2"]
    assert command.main(options) == 0
    assert "old" in document.read_text()
    assert command.main([*options, "--document", str(document), "--learner", '{"hidden": 3}']) == 0
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| short, 3 ahead |" in text
    assert '| {"hidden": 3} | last value | 4 |' in text
    printed = capsys.readouterr().out
    assert text.split("<!-- streams -->\n")[1].split("\n<!-- /streams -->")[0] in printed
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    river = summary["comparisons"]["default"]["best of five river models (recorded)"]
    assert river["tasks"] == 1
    assert set(summary["nrmse"]["last value"]) == {task.name for task in tasks(folder)}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--data", "nowhere"], "nowhere/streams.json does not exist: name a folder"),
        (["--learner", "lags=2"], "Expecting value"),
        (["--learner", "3"], "must be a mapping"),
    ],
)
def test_wrong_options_are_told_without_a_traceback(
    options: list[str], told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--data", str(folder), *options])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_figure_that_is_not_the_recorded_one_is_told(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "LEARNERS", {"default": LAST})
    monkeypatch.setattr(command, "FROZEN", LAST)
    monkeypatch.setattr(command, "ECHO", (LAST,))
    index = json.loads((folder / "streams.json").read_text())
    truth = runner.run(tasks(folder)[0], LAST, (0,))[0].nrmse
    options = ["--data", str(folder), "--out", str(tmp_path / "out"), "--processes", "1"]
    for error, code in ((0.00004, 0), (0.0002, 1)):
        index["long"]["reference"] = {"1": {"last": truth + error}}
        (folder / "streams.json").write_text(json.dumps(index))
        assert command.main(options) == code
        told = "differs from what the data come with: last value, long, 1 ahead"
        assert (told in capsys.readouterr().out) == bool(code)


def test_a_table_can_stand_unfenced_in_a_document(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("<!-- a -->x<!-- /a -->")
    put(document, "a", page.table(["name", "n"], [["y", "1"]]), fenced=False)
    assert document.read_text() == "<!-- a -->\n| name | n |\n|---|--:|\n| y | 1 |\n<!-- /a -->"


def test_simple_forecasters_have_the_recorded_errors() -> None:
    for task in tasks(shared("data", "streams")):
        if task.recording not in ("breath_1055_3_3Hz", "nab_speed_7578"):
            continue
        reference = dict(task.reference)
        (last,) = runner.run(task, LAST, (0,))
        assert last.nrmse == pytest.approx(reference["last"], abs=page.DIGITS)
        own = [runner.run(task, entrant, (0,))[0].nrmse for entrant in RLS]
        assert own[1] == pytest.approx(reference["rls3"], abs=page.DIGITS)
        assert min(own) == pytest.approx(reference["rlsBest"], abs=page.DIGITS)
        stream = task.stream()
        direct = evaluate(LastValue(stream.n_in, 1), stream, 1, task.start).nrmse
        assert task.horizon > 1 or direct == last.nrmse
