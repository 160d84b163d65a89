"""`make intervals`: what is scored against what, by hand; the report on tiny recordings."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import shared
from numpy.typing import NDArray

from nbt_embed.errors import InputError
from nbt_embed.evaluate import evaluate
from nbt_embed.learner import Learner
from tools.answers import Answers
from tools.intervals import __main__ as command
from tools.intervals.makers import GAUSSIAN, LEVELS, MAKERS, Spread, gaussian, last_errors, own
from tools.intervals.measures import Measures, measure, rolling_share
from tools.intervals.runner import answers, labels, middle, run
from tools.intervals.summary import geometric_mean, summarise, worst
from tools.streams.recordings import Task, tasks

ERRORS = "quantiles of the last 500 errors"


def said(forecasts: Any, variances: Any = 1.0) -> Answers:
    column = np.array(forecasts, np.float32)[:, np.newaxis]
    # Intervals of 1, 2 and 3 to either side.
    ends = np.array([-1, 1, -2, 2, -3, 3], np.float32)
    variance = np.broadcast_to(np.float32(variances), column.shape)
    zero = np.zeros_like(column)
    return Answers(column, variance, column[..., np.newaxis] + ends, zero, zero + 2, zero + 4)


def spread(low: Any, high: Any, rows: int) -> Spread:
    """The same ends at every level."""
    ends = np.stack([np.broadcast_to(low, rows), np.broadcast_to(high, rows)], axis=-1)
    return Spread(np.repeat(ends[:, np.newaxis], len(LEVELS), axis=1).astype(np.float64))


def measures(**changes: Any) -> Measures:
    values: dict[str, Any] = {
        "coverage": (0.5, 0.8, 0.95), "windows": 1.0, "width": (1.0, 2.0, 3.0),
        "winkler": (1.0, 2.0, 4.0), "log_loss": 1.0,
    }  # fmt: skip
    return Measures(**(values | changes))


def test_windows_roll_by_every_row() -> None:
    inside = np.array([True] * 6 + [False] * 4)
    # Windows of four: 4, 4, 4, 3, 2, 1, 0 of 4 covered.
    assert rolling_share(inside, 4, (0.5, 0.75)) == pytest.approx(2 / 7)
    assert rolling_share(inside, 10, (0.6, 0.6)) == 1
    assert math.isnan(rolling_share(inside, 11))
    assert math.isnan(rolling_share(inside[:0]))


def test_an_interval_is_scored_against_the_row_it_was_made_for() -> None:
    """Row t holds the label of row t + h alone."""
    truth = np.arange(40.0)
    for horizon in (0, 1, 3):
        low, high = truth + horizon - 0.25, truth + horizon + 0.25
        found = measure(spread(low, high, 40), said(truth), truth, horizon, 10)
        assert found.coverage == (1, 1, 1)
        # 30 rows of deviation sqrt((30^2 - 1) / 12), or fewer where they come too late.
        assert found.width[0] == pytest.approx(0.5 / math.sqrt((30**2 - 1) / 12))
        assert found.winkler == pytest.approx((0.5, 0.5, 0.5))
        late = measure(spread(low + 1, high + 1, 40), said(truth), truth, horizon, 10)
        assert late.coverage == (0, 0, 0)
        assert late.winkler == pytest.approx([0.5 + 0.75 * f for f in (4, 10, 40)])
    # Target rows that no forecast could be made for are not scored.
    early = measure(spread(truth + 3, truth + 3, 40), said(truth), truth, 3, 0)
    assert early.coverage == (1, 1, 1)
    # The first scored row counts; what was said before it does not.
    ends = np.where(np.arange(40) >= 9, 0.25, 100.0)
    first = measure(spread(truth + 1 - ends, truth + 1 + ends, 40), said(truth), truth, 1, 10)
    assert first.width[0] == pytest.approx(0.5 / math.sqrt((30**2 - 1) / 12))


def test_a_missing_label_is_not_scored() -> None:
    truth = np.arange(40.0)
    truth[20:] = math.nan
    low = np.where(np.isnan(truth), math.nan, truth - 1)
    found = measure(spread(np.roll(low, -1), 50.0, 40), said(truth), truth, 1, 10)
    assert found.coverage == (1, 1, 1)
    with pytest.raises(InputError, match=r"start = 25: there is no target from row 25 on"):
        measure(spread(0.0, 1.0, 40), said(truth), truth, 1, 25)
    with pytest.raises(InputError, match="lower = 50 is above upper = 0"):
        measure(spread(50.0, 0.0, 40), said(truth), truth, 1, 10)


def test_the_log_loss_is_that_of_the_distribution() -> None:
    truth = np.zeros(5)
    one = spread(-1, 1, 5)
    assert math.isnan(measure(one, said(truth), truth + np.arange(5), 1, 1).log_loss)
    heavy = Spread(one.intervals, np.full(5, 2.0), 1.0)
    found = measure(heavy, said(truth + 2), truth, 1, 1)
    assert found.width == (math.inf,) * 3  # nothing varies
    assert found.log_loss == pytest.approx(math.log(math.pi * 2 * 2))


def test_gaussian_intervals_are_quantiles_of_the_variance() -> None:
    made = gaussian(said([10.0, 20.0], 4.0), np.zeros(2), 1)
    z = np.array([0.6744898, 1.2815516, 1.9599640])
    np.testing.assert_allclose(made.intervals[1], np.stack([20 - 2 * z, 20 + 2 * z], axis=-1))
    assert made.scale is not None
    np.testing.assert_array_equal(made.scale, [2, 2])
    assert made.freedom == math.inf
    certain = gaussian(said([1.0], 0.0), np.zeros(1), 1)
    assert certain.scale is not None
    assert certain.scale[0] > 0


def test_the_learners_own_intervals_are_pairs_by_level() -> None:
    made = own(said([10.0, 20.0]), np.zeros(2), 1)
    np.testing.assert_array_equal(made.intervals[1], [[19, 21], [18, 22], [17, 23]])
    assert made.scale is not None
    np.testing.assert_array_equal([made.scale, made.freedom], [[2, 2], [4, 4]])


@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_quantiles_are_those_of_the_errors_that_are_known(horizon: int) -> None:
    rng = np.random.default_rng(0)
    forecasts, truth = rng.normal(size=(2, 60)).astype(np.float32).astype(np.float64)
    truth[30:33] = math.nan
    made = last_errors(said(forecasts), truth, horizon, window=20)
    for t in range(60):
        errors = [truth[row] - forecasts[row - horizon] for row in range(horizon, t + 1)]
        known = [error for error in errors if not math.isnan(error)][-20:]
        if not known:
            np.testing.assert_array_equal(made.intervals[t], [[-math.inf, math.inf]] * 3)
            continue
        shares = [(1 - level) / 2 for level in LEVELS]
        low = forecasts[t] + np.quantile(known, shares)
        high = forecasts[t] + np.quantile(known, 1 - np.array(shares))
        np.testing.assert_allclose(made.intervals[t], np.stack([low, high], axis=-1))


def test_the_median_is_taken_figure_by_figure() -> None:
    runs = [
        measures(coverage=(0.4, 0.9, 1.0), log_loss=3.0),
        measures(coverage=(0.6, 0.7, 0.9), log_loss=2.0),
        measures(coverage=(0.5, 0.8, 0.8), log_loss=7.0),
    ]
    found = middle(runs)
    assert (found.coverage, found.log_loss) == ((0.5, 0.8, 0.9), 3.0)


def table(**own: Any) -> tuple[dict[Task, dict[str, Measures]], dict[Task, int]]:
    """Three tasks: long, long and short; the second maker differs by what is given."""
    found = [Task(Path(f"{name}.csv"), "x", 1, 0) for name in "abc"]
    rows = dict(zip(found, (5000, 3001, 3000), strict=True))
    return {task: {GAUSSIAN: measures(), ERRORS: measures(**own)} for task in found}, rows


def test_tasks_that_are_not_covered_are_named() -> None:
    figures, rows = table(coverage=(0.5, 0.83, 0.94), windows=0.949)
    found = summarise(figures, rows, ERRORS)
    assert found.long == 2
    assert found.outside == {0.8: ("a, 1 ahead", "b, 1 ahead"), 0.95: ()}
    assert found.unsteady == ("a, 1 ahead", "b, 1 ahead", "c, 1 ahead")
    assert summarise(*table(windows=0.95), ERRORS).unsteady == ()
    fine, rows = table(coverage=(0.1, 0.82, 0.96), windows=math.nan)
    found = summarise(fine, rows, ERRORS)
    assert (found.outside, found.unsteady, found.windowed) == ({0.8: (), 0.95: ()}, (), 0)
    assert summarise(fine, rows, GAUSSIAN).windowed == 3


def test_ratios_are_to_the_gaussian_intervals() -> None:
    figures, rows = table(winkler=(1.0, 1.0, 8.0), width=(2.0, 2.0, 3.0), log_loss=0.5)
    first = next(iter(figures))
    figures[first] = {GAUSSIAN: measures(), ERRORS: measures(winkler=(1.0, 4.0, 8.0))}
    found = summarise(figures, rows, ERRORS)
    assert found.winkler == pytest.approx((1, (2 * 0.5 * 0.5) ** (1 / 3), 2))
    assert found.width == pytest.approx((2 ** (2 / 3), 1, 1))
    assert found.log_loss == pytest.approx(-1 / 3)
    assert worst(figures, ERRORS) == ("a, 1 ahead", 2.0)
    assert math.isnan(geometric_mean([]))


def wave(rows: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    return np.asarray(np.sin(0.3 * np.arange(rows)) + 0.2 * rng.normal(size=rows))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One recording with its index; every tenth label is missing."""
    data = tmp_path / "data"
    data.mkdir()
    cells = [f"{z:.5f}" if t % 10 != 9 else "" for t, z in enumerate(wave(1400))]
    (data / "wave.csv").write_text("\n".join(["a", *cells]) + "\n")
    index = {"wave": {"target": "a", "horizons": [1, 3], "start": 200}}
    (data / "streams.json").write_text(json.dumps(index))
    return data


def test_the_learner_is_asked_as_make_streams_does(folder: Path) -> None:
    for task in tasks(folder):
        stream = task.stream()
        settings: dict[str, Any] = {"max_delay": task.horizon - 1, "hold_missing": True}
        twin = evaluate(Learner(1, 1, seed=3, hidden=4, **settings), stream, task.horizon)
        found = answers(task, stream, 3, '{"hidden": 4}')
        np.testing.assert_array_equal(found.forecasts, twin.predictions)
        np.testing.assert_array_equal(labels(stream), stream.targets[:, 0])


def test_gaussian_noise_is_covered_as_promised(folder: Path) -> None:
    for task in tasks(folder):
        for name, found in run((task, 0, '{"hidden": 4}')).items():
            assert found.coverage == pytest.approx(LEVELS, abs=0.06), name
            assert found.windows == 1.0
            assert np.isnan(found.log_loss) == (name == ERRORS)


def test_a_task_that_cannot_be_scored_is_named(folder: Path) -> None:
    task = tasks(folder)[0]
    late = Task(task.path, task.target, task.horizon, 1400)
    with pytest.raises(InputError, match=r"wave, 1 ahead, .*: start = 1400: there is no"):
        run((late, 0, "{}"))


def test_the_command_reports_draws_and_rewrites_a_document(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra 'report'")
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- intervals -->\nold\n<!-- /intervals -->\nafter\n")
    options = ["--data", str(folder), "--out", str(tmp_path / "out"), "--processes", "1"]
    options += ["--seeds", "1", "--learner", '{"hidden": 2}', "--pictures", str(tmp_path)]
    assert command.main(options) == 0
    assert "old" in document.read_text()
    pictures = {path.name: path.read_bytes() for path in tmp_path.glob("*.svg")}
    assert set(pictures) == {"fan.svg", "coverage.svg"}
    assert command.main([*options, "--document", str(document)]) == 0
    assert pictures == {path.name: path.read_bytes() for path in tmp_path.glob("*.svg")}
    text = document.read_text()
    assert text.startswith("before\n<!-- intervals -->\nnbt_embed ")
    assert text.endswith("\n<!-- /intervals -->\nafter\n")
    assert "| wave, 3 ahead |" in text
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert set(summary["tasks"]) == {"wave, 1 ahead", "wave, 3 ahead"}
    assert list(summary["makers"]) == list(MAKERS)
    capsys.readouterr()
    for wrong, message in (
        (["--learner", "{"], "Expecting property name"),
        (["--learner", '{"lag": 1}'], "lag"),
        (["--data", str(tmp_path)], "does not exist"),
    ):
        with pytest.raises(SystemExit):
            command.main([*options, *wrong])
        assert message in capsys.readouterr().err


def test_a_recording_is_covered_as_it_was_measured() -> None:
    """Daily cycles with heavy tails: the Gaussian covers too much, the last errors do not."""
    found = tasks(shared("data", "streams"))
    task = next(one for one in found if one.name == "nab_ec2_cpu_utilization_5f, 1 ahead")
    covered = run((task, 0, "{}"))
    assert covered[GAUSSIAN].coverage[1] > 0.84
    assert covered[ERRORS].coverage[1] == pytest.approx(0.8, abs=0.03)
    assert covered[ERRORS].winkler[1] < covered[GAUSSIAN].winkler[1]
