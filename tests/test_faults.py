"""Faults of sensors do what they say, and `make faults` counts what is found and what is false."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbt_embed.errors import ConfigError, InputError
from nbt_embed.faults import KINDS, Fault, drawn_faults, with_faults
from nbt_embed.simulation import SWING
from tools.faults import __main__ as command
from tools.faults import detectors
from tools.faults.machines import AFTER, NOISE, STRETCH, WARM_UP, Machine, machine
from tools.faults.measures import Scored, allowed, look, measure, reached, scored, together

READINGS = np.arange(20.0).reshape(10, 2)  # channel 0: 0, 2, 4 ...; channel 1: 1, 3, 5 ...


def changed(*faults: Fault, readings: Any = READINGS, seed: int = 0) -> NDArray[np.float64]:
    """What the faults add, at deviations of 0.5 and 2."""
    found: NDArray[np.float64] = with_faults(readings, faults, [0.5, 2.0], seed) - readings
    return found


def test_a_spike_is_one_reading() -> None:
    found = changed(Fault("spike", 3, 1, size=-6))
    assert found[3, 1] == -12
    assert np.count_nonzero(found) == 1


def test_a_stuck_channel_repeats_the_reading_before() -> None:
    found = with_faults(READINGS, [Fault("stuck", 3, 0, rows=4)], [1, 1])
    np.testing.assert_array_equal(found[:, 0], [0, 2, 4, 4, 4, 4, 4, 14, 16, 18])
    np.testing.assert_array_equal(found[:, 1], READINGS[:, 1])
    # The last reading that there is; what is missing stays missing.
    gap = READINGS.copy()
    gap[[2, 4], 0] = math.nan
    found = with_faults(gap, [Fault("stuck", 3, 0, rows=4)], [1, 1])
    np.testing.assert_array_equal(found[:, 0], [0, 2, math.nan, 2, math.nan, 2, 2, 14, 16, 18])


def test_a_drift_grows_by_the_row_and_goes() -> None:
    found = changed(Fault("drift", 2, 1, rows=3, size=1.5))
    np.testing.assert_array_equal(found[:, 1], [0, 0, 3, 6, 9, 0, 0, 0, 0, 0])


def test_a_burst_multiplies_the_noise() -> None:
    rng = np.random.default_rng(0)
    noise = 0.5 * rng.normal(size=(20_000, 2))
    fault = Fault("burst", 100, 0, rows=19_000, size=5.0)
    found = with_faults(noise, [fault], [0.5, 0.5], seed=1)
    assert found[100:19_100, 0].std() == pytest.approx(2.5, rel=0.02)
    np.testing.assert_array_equal(found[:100], noise[:100])
    np.testing.assert_array_equal(found[19_100:], noise[19_100:])
    np.testing.assert_array_equal(with_faults(noise, [fault], [0.5, 0.5], seed=1), found)
    assert (with_faults(noise, [fault], [0.5, 0.5], seed=2) != found).any()
    none = Fault("burst", 100, 0, rows=50, size=1.0)
    np.testing.assert_array_equal(with_faults(noise, [none], [0.5, 0.5]), noise)


def test_a_swap_stays_and_takes_the_noise_along() -> None:
    swap, spike = Fault("swap", 4, 0, other=1), Fault("spike", 6, 0, size=10)
    found = with_faults(READINGS, [spike, swap], [0.5, 2.0])  # in the order of their rows
    np.testing.assert_array_equal(found[:4], READINGS[:4])
    np.testing.assert_array_equal(found[4:6], READINGS[4:6, ::-1])
    np.testing.assert_array_equal(found[6], READINGS[6, ::-1] + [20, 0])
    twice = with_faults(READINGS, [swap, Fault("swap", 7, 1, other=0)], [1, 1])
    np.testing.assert_array_equal(twice[7:], READINGS[7:])
    assert (swap.end, Fault("stuck", 4, 0, rows=3).end) == (5, 7)


def test_readings_are_copied() -> None:
    before = READINGS.copy()
    changed(Fault("spike", 3, 1, size=6), Fault("swap", 5, 0, other=1))
    np.testing.assert_array_equal(READINGS, before)
    masked = np.ma.masked_array(READINGS, mask=READINGS == 6)
    assert np.isnan(with_faults(masked, [], [1, 1])[3, 0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "spikes"}, "kind = 'spikes': expected one of 'spike', 'stuck'"),
        ({"row": 0}, "row = 0: expected at least 1"),
        ({"channel": -1}, "channel = -1"),
        ({"rows": 0}, "rows = 0"),
        ({"other": -1}, "other = -1"),
        ({"size": math.nan}, "size = nan: expected a finite number"),
        ({"kind": "burst", "size": 0.5}, "size = 0.5: expected a number from 1"),
        ({"kind": "swap"}, "other = 0: expected another channel"),
    ],
)
def test_faults_that_are_none_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Fault(**{"kind": "spike", "row": 3, "channel": 0, **settings})


@pytest.mark.parametrize(
    ("readings", "fault", "deviations", "message"),
    [
        (np.zeros(9), Fault("spike", 3, 0), [1], r"readings has shape \(9,\)"),
        (READINGS, Fault("spike", 10, 0), [1, 1], r"not within the readings \(10, 2\)"),
        (READINGS, Fault("stuck", 8, 0, rows=3), [1, 1], "expected rows up to 10"),
        (READINGS, Fault("spike", 3, 2), [1, 1], "channels below 2"),
        (READINGS, Fault("swap", 3, 0, other=2), [1, 1], "channels below 2"),
        (READINGS, Fault("spike", 3, 0), [1, 0], r"deviations = \[1\.0, 0\.0\]: expected finite"),
        (READINGS, Fault("spike", 3, 0), [1], r"deviations has shape \(1,\): expected \(2,\)"),
    ],
)
def test_faults_elsewhere_are_refused(
    readings: Any, fault: Fault, deviations: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        with_faults(readings, [fault], deviations)


def test_drawn_faults_are_of_all_kinds_and_apart() -> None:
    faults = drawn_faults(40, 3, 1000, 500, seed=3)
    assert faults == drawn_faults(40, 3, 1000, 500, seed=3) != drawn_faults(40, 3, 1000, 500)
    assert {kind: sum(one.kind == kind for one in faults) for kind in KINDS} == dict.fromkeys(
        KINDS, 40
    )
    for place, one in enumerate(faults):
        assert 0 <= one.row - 1000 - 500 * place < 250
    by_kind = {kind: [one for one in faults if one.kind == kind] for kind in KINDS}
    spikes = np.array([one.size for one in by_kind["spike"]])
    assert 6 <= np.abs(spikes).min() < 7 < 11 < np.abs(spikes).max() <= 12
    assert (spikes > 0).any()
    assert (spikes < 0).any()
    stuck = [one.rows for one in by_kind["stuck"]]
    assert 50 <= min(stuck) < 60 < 140 < max(stuck) <= 150
    assert {abs(one.size) * 10 for one in by_kind["drift"]} == {8.0}
    assert {(one.size, one.rows) for one in by_kind["burst"]} == {(5.0, 15)}
    assert {frozenset((one.channel, one.other)) for one in by_kind["swap"]} == {
        frozenset(pair) for pair in ((0, 1), (0, 2), (1, 2))
    }
    for settings in ((0, 3, 1, 200, 0), (1, 1, 1, 200, 0), (1, 3, 0, 200, 0), (1, 3, 1, 199, 0)):
        with pytest.raises(ConfigError, match="expected at least"):
            drawn_faults(*settings)
    with pytest.raises(ConfigError, match="seed = -1"):
        drawn_faults(1, 2, 1, 200, -1)


def test_a_machine_is_as_simulated_but_for_its_faults() -> None:
    one = machine(5, 0.02, each=1)
    assert one.readings.shape == (WARM_UP + 5 * STRETCH, 3)
    assert len(one.faults) == 5
    for fault in one.faults:
        assert np.isfinite(one.readings[fault.row]).all()
    assert not one.healthy[:WARM_UP].any()
    # Where it is healthy before the first fault, the noise has the size that was asked for.
    assert one.healthy[WARM_UP : one.faults[0].row].all()
    step = np.diff(machine(5, 0.0, each=1).readings[: one.faults[0].row, 2])
    assert step.std() / math.sqrt(2) == pytest.approx(NOISE * SWING[2], rel=0.1)
    clean = machine(5, 0.0, each=1)
    for fault in clean.faults:
        assert not clean.healthy[fault.row : fault.end + AFTER].any()
        assert clean.healthy[fault.row - 1]
        assert clean.healthy[fault.end + AFTER]


def tiny() -> Machine:
    return Machine(
        np.zeros((3000, 2)), (Fault("spike", 1500, 0, size=6), Fault("swap", 2000, 0, other=1))
    )


def test_a_fault_is_found_within_twenty_rows_in_any_channel() -> None:
    for row, found in ((1499, 0.0), (1500, 1.0), (1519, 1.0), (1520, 0.0)):
        for channel in (0, 1):
            scores = np.zeros((3000, 2))
            scores[row, channel] = 1
            got = reached(scored(tiny(), scores), 1.0)
            assert got.found["spike"] == found
            assert got.found["swap"] == 0
            assert math.isnan(got.found["drift"])
            assert got.false == (row == 1499) * 5000 / (2000 - 2 * (AFTER + 1))


def test_alarms_close_to_each_other_are_one_call() -> None:
    scores = np.zeros((3000, 2))
    # Two in a row, one twenty rows later, one twenty-one rows later, one in the next stretch.
    scores[[1100, 1101, 1121, 1142, 1499, 1601]] = 1
    got = reached(scored(tiny(), scores), 1.0)
    per = 5000 / (2000 - 2 * (AFTER + 1))
    assert got.false == pytest.approx(6 * per)
    assert got.calls == pytest.approx(4 * per)


def test_the_threshold_allows_one_false_row_in_5000() -> None:
    healthy = np.random.default_rng(0).random(25_000)
    peaks = {kind: np.array([0.5, 1.0]) for kind in KINDS}
    found = Scored(peaks, healthy, np.zeros(25_000, bool))
    threshold = allowed(found)
    assert (healthy >= threshold).sum() == 5
    assert reached(found, threshold).false == 1
    assert reached(found, threshold).everything == 0.5
    # Equal scores are in alarm together: none of seven is allowed where five are.
    tied = np.where(healthy >= np.sort(healthy)[-7], 1.0, healthy)
    same = Scored(peaks, tied, found.apart)
    assert reached(same, allowed(same)).false == 0
    assert allowed(Scored(peaks, healthy[:0], found.apart[:0])) == -math.inf


def test_machines_are_put_together() -> None:
    detector = detectors.Detector("last value", detectors.last_value, 0.8)
    parts = [look((detector, seed, 0.0, 1)) for seed in range(2)]
    found = measure([detector], 2, 0.0, 1, processes=1)["last value"]
    both = together(parts)
    np.testing.assert_array_equal(found.healthy, both.healthy)
    assert found.healthy.size == sum(one.healthy.size for one in parts)
    assert {kind: peaks.size for kind, peaks in found.peaks.items()} == dict.fromkeys(KINDS, 2)
    assert found.apart.sum() == sum(one.apart.sum() for one in parts)


def test_every_detector_scores_rows_and_channels() -> None:
    one = machine(1, 0.02, each=1)
    for detector in detectors.DETECTORS:
        scores = detector.scores(one.readings, 1)
        assert scores.shape == one.readings.shape
        assert np.isfinite(scores).all()
        assert (scores >= 0).all()
        assert (scores <= 1).all()
        if detector.name != "random":
            assert not scores[np.isnan(one.readings)].any()


def test_the_learner_finds_what_the_last_value_does_not() -> None:
    found = measure(detectors.DETECTORS[1:3], 3, 0.0, 2, processes=1)
    learner, last = (reached(one, allowed(one)) for one in found.values())
    assert learner.found["spike"] > last.found["spike"]
    assert learner.everything > 0.7 > 0.5 > last.everything


def test_the_command_reports_draws_and_rewrites_a_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra 'report'")
    monkeypatch.setattr(command, "DETECTORS", detectors.DETECTORS[2:3])
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- faults -->\nold\n<!-- /faults -->\nafter\n")
    options = ["--out", str(tmp_path), "--processes", "1", "--machines", "1"]
    assert command.main(options) == 0
    assert "old" in document.read_text()
    first = (tmp_path / "faults.svg").read_bytes()
    assert command.main([*options, "--document", str(document)]) == 0
    assert (tmp_path / "faults.svg").read_bytes() == first
    assert document.read_text().startswith("before\n<!-- faults -->\nnbt_embed ")
    assert document.read_text().endswith("\n<!-- /faults -->\nafter\n")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary) == {"version", "0 lost", "0.02 lost"}
    assert set(summary["0 lost"]["last value"]) == {"fixed beforehand", "allowed"}
    capsys.readouterr()
    own = ["--learner", '{"hidden": 2}', "--only", "innovation"]
    assert command.main([*options, *own]) == 0
    printed = capsys.readouterr().out
    assert '| innovation, {"hidden": 2}, fixed beforehand |' in printed
    assert "last value" not in printed
    for wrong, message in (
        (["--machines", "0"], "--machines 0: expected at least 1"),
        (["--only", "x"], "--only 'x': no detector has it in its name"),
        (["--learner", '{"lag": 1}'], "lag"),
        (["--learner", "{"], "Expecting property name"),
    ):
        with pytest.raises(SystemExit):
            command.main([*options, *wrong])
        assert message in capsys.readouterr().err
