"""Rows laid on time: late, twice, missing, after a pause, and after a device has begun again."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import missing
from numpy.typing import ArrayLike

pytest.importorskip("polars", reason="live streams need the extra [app]")
try:
    from hypothesis import given, settings
    from hypothesis import strategies as st
except ImportError:
    missing("hypothesis is not installed: pip install '.[dev]'")

from nbt_embed.errors import StreamError
from nbt_embed.live.arrivals import Arrivals
from nbt_embed.live.clock import FILLED, REMEMBERED, RESTART, Clock

NAN = float("nan")
Row = tuple[int, bool, float, float]  # number, reset, time, input


def arrivals(times: ArrayLike, values: ArrayLike | None = None) -> Arrivals:
    """One input and one target alike; values count unless they are given."""
    time = np.array(times, np.float64)
    table = np.array(range(len(time)) if values is None else values, np.float32).reshape(-1, 1)
    return Arrivals(time, table, table.copy())


def laid(clock: Clock, *some: Arrivals) -> list[Row]:
    found: list[Row] = []
    for block in clock.blocks(some):
        assert block.time is not None
        assert len(block.inputs) == len(block.targets) == len(block.time) > 0
        assert block.start == (found[-1][0] + 1 if found else block.start)
        for i, (time, value) in enumerate(zip(block.time, block.inputs[:, 0], strict=True)):
            found.append((block.start + i, block.reset and i == 0, float(time), float(value)))
    return found


def counted(clock: Clock) -> dict[str, int]:
    return {name: count for name, count in clock.counts.items() if count}


def test_rows_that_follow_one_another_are_one_block() -> None:
    some = arrivals([0, 1, 2.5])
    (block,) = Clock().blocks([some])
    assert (block.start, block.reset) == (0, False)
    assert block.inputs is some.inputs


def test_late_and_twice_are_dropped() -> None:
    clock = Clock()
    rows = laid(clock, arrivals([0, 1, 1, 2, 0.5, 3], [0, 1, 1, 2, 9, 3]), arrivals([2], [2]))
    assert [value for *_, value in rows] == [0, 1, 2, 3]
    assert counted(clock) == {"twice": 2, "late": 1}


def test_rows_without_a_time_are_in_the_order_of_arrival() -> None:
    clock = Clock(1.0)
    rows = laid(clock, arrivals([NAN, NAN]), arrivals([0, NAN, 1, 0]), arrivals([NAN]))
    assert [number for number, *_ in rows] == list(range(6))
    assert counted(clock) == {"late": 1}


def test_samples_that_did_not_come_are_rows_of_nan() -> None:
    clock = Clock(10.0)
    rows = laid(clock, arrivals([0, 11, 39, 42, 48], [1, 2, 3, 4, 5]))
    np.testing.assert_allclose([row[2] for row in rows], [0, 11, 20.333333, 29.666667, 39, 48])
    np.testing.assert_array_equal([row[3] for row in rows], [1, 2, NAN, NAN, 3, 5])
    assert counted(clock) == {"filled": 2, "twice": 1}


def test_a_device_whose_interval_is_a_little_off_does_not_slip() -> None:
    clock = Clock(1.0)
    rows = laid(clock, arrivals((np.arange(5000) * 1.001).tolist()))
    assert len(rows) == 5000
    assert counted(clock) == {}


@pytest.mark.parametrize(("interval", "gap"), [(1.0, None), (1.0, 5.0), (None, 5.0)])
def test_a_pause_resets(interval: float | None, gap: float | None) -> None:
    clock = Clock(interval, gap)
    pause = FILLED + 2.0
    rows = laid(clock, arrivals([0, 1, 1 + pause]), arrivals([2 + pause]))
    assert [row[:2] for row in rows] == [(0, False), (1, False), (2, True), (3, False)]
    assert counted(clock) == {"resets": 1}


def test_a_pause_up_to_the_gap_is_filled() -> None:
    assert len(laid(Clock(1.0, 5.0), arrivals([0, 5]))) == 6
    assert len(laid(Clock(1.0), arrivals([0, FILLED]))) == FILLED + 1


@pytest.mark.parametrize("saved", [False, True])
def test_a_device_that_begins_again(saved: bool) -> None:
    clock = Clock()
    rng = np.random.default_rng(0)
    laid(clock, arrivals(np.arange(2000) * 0.5, rng.random(2000)))
    new = arrivals(np.arange(100) * 0.5, rng.random(100))
    rows: list[Row] = []
    for i in range(100) if saved else ():
        one = slice(i, i + 1)
        clock = Clock.restored(json.loads(json.dumps(clock.state)))
        rows += laid(clock, Arrivals(new.time[one], new.inputs[one], new.targets[one]))
    rows = rows or laid(clock, new)
    assert rows[0][:3] == (2000, True, (RESTART - 1) * 0.5)
    assert len(rows) == 100 - (RESTART - 1)
    assert counted(clock) == {"late": RESTART - 1, "resets": 1, "restarts": 1}


def test_a_time_that_was_wrong_once_does_not_stop_the_stream() -> None:
    clock = Clock(gap=60)
    rows = laid(clock, arrivals([0, 1, 1e9, *range(2, 40)]))
    assert len(rows) == 3 + 38 - (RESTART - 1)
    assert clock.counts["restarts"] == 1


def test_late_rows_in_no_order_are_no_beginning() -> None:
    clock = Clock()
    laid(clock, arrivals([100]))
    assert laid(clock, arrivals([50 - i for i in range(40)], [100 + i for i in range(40)])) == []
    assert counted(clock) == {"late": 40}


@pytest.mark.parametrize("count", [5, REMEMBERED, 5000])
@pytest.mark.parametrize("saved", [False, True])
def test_what_was_learnt_and_comes_again_is_no_beginning(count: int, saved: bool) -> None:
    rng = np.random.default_rng(0)
    times = np.arange(count) + np.where(np.arange(count) % 50 == 9, -3.5, 0)  # some are late
    whole = arrivals(times, rng.random(count))
    clock = Clock()
    learnt = laid(clock, whole)
    if saved:
        clock = Clock.restored(json.loads(json.dumps(clock.state)))
    rows = laid(clock, whole, arrivals([count], [7]))
    assert [(row[0], row[2]) for row in rows] == [(len(learnt), count)]
    assert clock.counts["restarts"] == 0


def test_the_last_rows_that_come_again_are_no_beginning() -> None:
    clock = Clock()
    values = np.random.default_rng(0).random(1000)
    laid(clock, arrivals(np.arange(1000), values))
    assert laid(clock, arrivals(np.arange(900, 1000), values[900:])) == []
    assert counted(clock) == {"twice": 100}


TIMES = st.lists(
    st.one_of(st.integers(0, 40).map(float), st.floats(0, 60), st.just(NAN), st.just(1e5)),
    max_size=80,
)


@settings(max_examples=200, deadline=None)
@given(
    TIMES,
    st.lists(st.integers(0, 80), max_size=6),
    st.sampled_from([None, 1.0, 2.5]),
    st.sampled_from([None, 3.0]),
)
def test_it_does_not_matter_how_arrivals_are_cut_or_where_it_goes_on(
    times: list[float], places: list[int], interval: float | None, gap: float | None
) -> None:
    whole = arrivals(times)
    once = Clock(interval, gap)
    expected = laid(once, whole)
    ends = sorted({min(place, len(times)) for place in places} | {0, len(times)})
    clock, rows = Clock(interval, gap), []
    for a, b in itertools.pairwise(ends):
        part = Arrivals(whole.time[a:b], whole.inputs[a:b], whole.targets[a:b])
        rows += laid(clock, part)
        clock = Clock.restored(json.loads(json.dumps(clock.state)), interval, gap)
    np.testing.assert_array_equal(np.array(rows), np.array(expected))
    assert clock.state == once.state


def test_blocks_stay_small_where_much_is_filled() -> None:
    clock = Clock(1.0)
    some = arrivals((np.arange(50) * FILLED).tolist())
    sizes = [len(block.inputs) for block in clock.blocks([some])]
    assert sum(sizes) == 49 * FILLED + 1
    assert max(sizes) < 6000


def test_arrivals_are_asked_for_when_all_blocks_were_taken() -> None:
    asked: list[int] = []

    def source() -> Iterator[Arrivals]:
        for i in range(3):
            asked.append(i)
            yield arrivals([10.0 * i, 10.0 * i + 5], [i, i])

    clock = Clock(gap=4)
    for block in clock.blocks(source()):
        assert len(asked) == block.start // 2 + 1


@pytest.mark.parametrize("state", [None, {}, {"rows": "x"}, {"rows": float("inf")}, [1]])
def test_what_is_no_state_is_refused(state: Any) -> None:
    with pytest.raises(StreamError, match="not the state of a clock"):
        Clock.restored(state)


@pytest.mark.parametrize("value", [0, -1, NAN, float("inf")])
def test_what_is_no_interval_is_refused(value: float) -> None:
    with pytest.raises(StreamError, match="interval"):
        Clock(value)
    with pytest.raises(StreamError, match="gap"):
        Clock(gap=value)
