"""Alarms: one event for what is one, by the kernel's rule; the score that they are made of."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbt_embed import Learner
from nbt_embed.alarm import Alarm, events
from nbt_embed.errors import ConfigError, InputError, InputTypeError
from tools import false_alarms

NAN = math.nan


def rows(scores: Sequence[float], threshold: float = 0.5, hold_off: int = 2) -> list[int]:
    (found,) = events(scores, threshold, hold_off)
    return [int(row) for row in found]


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ([0.4, 0.5, 0.5], []),  # the threshold itself is not above it
        ([0, 0.6, 0, 0, 0.6], [1, 4]),  # two quiet scores, and then the next one
        ([0, 0.6, 0, 0.6, 0, 0.6, 0, 0, 1], [1, 8]),  # each one above begins the hold-off again
        ([0.6, NAN, NAN, 0.6], [0, 3]),  # NaN is a quiet score
        ([NAN] * 4, []),
        ([], []),
    ],
)
def test_what_is_one_event_is_told_once(scores: list[float], told: list[int]) -> None:
    assert rows(scores) == told


def test_without_hold_off_every_score_above_is_told() -> None:
    assert rows([0.6, 0.6, 0, 1], hold_off=0) == [0, 1, 3]
    assert rows([0.6, *[0] * 1000, 0.6], hold_off=2**32 - 1) == [0]
    assert rows([0, 1e-9], threshold=0) == [1]
    assert rows([1, 1], threshold=1) == []


def test_every_output_has_an_alarm_of_its_own() -> None:
    scores = np.ma.masked_greater([[0.6, 0.0], [0.6, 0.6], [0.0, 0.9]], 0.8)
    assert [found.tolist() for found in events(scores, 0.5, 2)] == [[0], [1]]
    assert [found.size for found in events(np.empty((0, 3)), 0.5, 2)] == [0, 0, 0]


def test_an_alarm_goes_on_where_it_was() -> None:
    alarm = Alarm(threshold=0.5, hold_off=2)
    assert [alarm.count(score) for score in (0.6, 0, 0, 0.6)] == [True, False, False, True]
    assert [alarm.count(score) for score in np.zeros(3, np.float32)] == [False] * 3
    assert alarm.count(1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 1.5}, r"threshold = 1.5: expected a number from 0 to 1, such as"),
        ({"threshold": NAN}, r"threshold = nan: expected a number from 0 to 1"),
        ({"threshold": "high"}, r"threshold = 'high': expected a number"),
        ({"hold_off": -1}, r"hold_off = -1: expected 0 .. 4294967295 scores"),
        ({"hold_off": 2**32}, r"hold_off = 4294967296: expected"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Alarm(**{"threshold": 0.5, "hold_off": 1, **settings})
    with pytest.raises(ConfigError, match=message):
        events([0.1], **{"threshold": 0.5, "hold_off": 1, **settings})


def test_what_is_no_score_is_named() -> None:
    alarm = Alarm(0.5, 3)
    assert alarm.count(0.6)
    for wrong, message in (
        (1.5, r"score holds 1.5: expected numbers from 0 to 1, or NaN for none"),
        (-math.inf, r"score holds -inf: expected"),
        ([0.1, 0.2], r"score has shape \(2,\): expected \(1,\)"),
    ):
        with pytest.raises(InputError, match=message):
            alarm.count(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match="score has dtype"):
        alarm.count("high")  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match=r"hold_off = 1.5: expected an integer"):
        Alarm(0.5, 1.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"scores has shape \(1, 1, 1\): expected \(T,\) or"):
        events([[[0.1]]], 0.5, 1)
    # What was refused was not counted.
    assert [alarm.count(score) for score in (0, 0, 0, 0.6)] == [False, False, False, True]


def test_one_strange_sample_is_one_event() -> None:
    """Of a run as of a loop; a change that stays is told once."""
    rng = np.random.default_rng(0)
    wave = np.sin(0.3 * np.arange(4000)) + 0.05 * rng.standard_normal(4000)
    wave[2000] += 3
    wave[3000:] += 3
    learner = Learner(1, 1, hidden=4)
    found = learner.run(wave, wave, horizon=1, anomaly=True).anomaly
    assert found is not None
    twin, alarm, told = Learner(1, 1, hidden=4, anchor=(0,)), Alarm(0.999, 100), []
    for row, z in enumerate(wave):
        if twin.pending:
            twin.learn(z)
            if alarm.count(twin.anomaly[0]):
                told.append(row)
        twin.predict(z)
    assert [one.tolist() for one in events(found, 0.999, 100)] == [told]
    assert {2000, 3000} <= set(told)
    assert len(told) <= 4


@pytest.mark.parametrize("name", false_alarms.STREAMS)
def test_scores_are_seldom_high_where_nothing_is_wrong(name: str) -> None:
    """A share of about 1 - t above t, or fewer; never none."""
    above = false_alarms.counted(name, seeds=2, rows=5000)
    assert 10 < above[0] < 120  # of 100 in 10,000
    assert above[2] < 30  # of 10; with two seeds a burst counts much
    scores, told = above[: len(above) // 2], above[len(above) // 2 :]
    assert all(one >= event for one, event in zip(scores, told, strict=True))


def test_the_command_puts_its_table_into_a_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- false-alarms -->\nold\n<!-- /false-alarms -->\nafter\n")
    options = ["--seeds", "1", "--rows", "300"]
    assert false_alarms.main(options) == 0
    assert "old" in document.read_text()
    printed = capsys.readouterr().out
    assert all(f"| {name} |" in printed for name in false_alarms.STREAMS)
    assert false_alarms.main([*options, "--document", str(document)]) == 0
    assert printed.strip() in document.read_text()
    with pytest.raises(SystemExit):
        false_alarms.main(["--rows", "0"])
    assert "--rows 0: expected at least 1" in capsys.readouterr().err


def pickled(alarm: Alarm) -> Alarm:
    """The same through a pickle."""
    other: Alarm = pickle.loads(pickle.dumps(alarm))
    return other


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_copies_go_on_by_themselves(duplicate: Callable[[Alarm], Alarm]) -> None:
    alarm = Alarm(0.5, 2)
    assert alarm.count(0.9)
    other = duplicate(alarm)
    assert repr(other) == repr(alarm) == "Alarm(0.5, 2)"
    assert [other.count(score) for score in (0.1, 0.1, 0.9)] == [False, False, True]
    assert not alarm.count(0.9)
