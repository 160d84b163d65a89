"""What ``make accuracy`` reads from the command line's document, and when it says "above"."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Tool

from tools import accuracy


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a run on two noisy waves of different sizes, at the horizons of the markers."""
    path = tmp_path_factory.mktemp("waves") / "waves.csv"
    np.savetxt(path, waves(), delimiter=",", header="a,b", comments="", fmt="%.9g")
    horizons = ",".join(map(str, accuracy.EARLIER))
    return accuracy.run(str(path), "--horizon", horizons, "--score-from", "300", "--hidden", "4")


def waves() -> np.ndarray[Any, np.dtype[np.float64]]:
    noise = np.random.default_rng(0).normal(size=(700, 2))
    time = np.arange(700)[:, np.newaxis]
    return np.asarray((np.sin(time / [9, 7]) + 0.1 * noise) * [1, 20])


def changed(document: dict[str, Any], model: str, factor: float | None) -> dict[str, Any]:
    """The same with other errors of a model."""
    other = copy.deepcopy(document)
    for horizon in other["horizons"]:
        for target in horizon["targets"]:
            scores = target["scores"][model]
            for name in ("rmse", "nrmse"):
                scores[name] = None if factor is None else factor * scores[name]
    return other


def test_the_error_is_taken_over_all_targets_together(document: dict[str, Any]) -> None:
    truth = waves()
    for horizon in document["horizons"]:
        ahead = horizon["horizon"]
        labels = truth[300:]
        last = truth[300 - ahead : -ahead]
        spread = ((labels - labels.mean(axis=0)) ** 2).sum()
        by_hand = math.sqrt(((labels - last) ** 2).sum() / spread)
        assert accuracy.nrmse(horizon, "last") == pytest.approx(by_hand, rel=1e-5)


def test_every_model_of_the_table_is_in_the_document(document: dict[str, Any]) -> None:
    for horizon in document["horizons"]:
        errors = [accuracy.nrmse(horizon, model) for model in accuracy.MODELS]
        assert all(0 < error < 3 for error in errors)
        assert len(set(errors)) == len(errors)


def test_forecasts_that_are_not_finite_are_above_every_target(document: dict[str, Any]) -> None:
    broken = changed(document, "learner", None)
    assert accuracy.nrmse(broken["horizons"][0], "learner") == math.inf
    assert len(accuracy.markers([broken]).above) == 3 * len(accuracy.EARLIER) + 1


@pytest.mark.parametrize(
    ("model", "name"), [("rls", "of rls"), ("last", "of last")], ids=["RLS", "last"]
)
def test_a_worse_ratio_is_told(document: dict[str, Any], model: str, name: str) -> None:
    good = changed(changed(document, "rls", 1e3), "last", 1e3)
    assert not [one for one in accuracy.markers([good, good]).above if "earlier" not in one]
    worse = accuracy.markers([good, changed(good, model, 1e-6)])
    assert not [one for one in worse.above if name in one]  # the mean of the two is what counts
    worse = accuracy.markers([changed(good, model, 1e-6)])
    assert len([one for one in worse.above if name in one]) == len(accuracy.EARLIER)


def test_the_table_has_a_row_for_each_horizon(document: dict[str, Any]) -> None:
    rows = accuracy.markers([document]).text.splitlines()[2:-2]
    assert [int(row.split()[0]) for row in rows] == list(accuracy.EARLIER)
    for row in rows:
        _, learner, _, rls, last, by_rls, by_last, _ = map(float, row.split())
        assert by_rls == pytest.approx(learner / rls, abs=2e-3)
        assert by_last == pytest.approx(learner / last, abs=2e-3)


def test_gas_sensors_have_one_horizon(document: dict[str, Any]) -> None:
    one = document | {"horizons": document["horizons"][:1]}
    report = accuracy.gas_sensors(changed(one, "last", 1e-3))
    assert any("of last" in sentence for sentence in report.above)
    with pytest.raises(ValueError, match="unpack"):
        accuracy.gas_sensors(document)


def test_bytes_in_python_and_c_are_equal_and_at_most_the_target(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool("cc")
    assert accuracy.sizes().above == ()
    config, macro, _ = accuracy.SIZES["the defaults"]
    monkeypatch.setattr(accuracy, "SIZES", {"the defaults": (config, macro, 20_000)})
    assert accuracy.sizes().above == ("the defaults: 20280 bytes, in C 20280, target 20000",)


def test_without_recordings_bytes_alone_are_reported(tool: Tool, tmp_path: Path) -> None:
    tool("cc")
    assert len(accuracy.reports(tmp_path)) == 1
