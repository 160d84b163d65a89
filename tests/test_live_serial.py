"""Serial ports on pseudo-terminals: lines and frames, noise, and a device that comes and goes."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
import tty
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import missing

pytest.importorskip("polars", reason="live streams need the extra [app]")
pytest.importorskip("serial", reason="serial ports need the extra [serial]")
try:
    from hypothesis import given, settings
    from hypothesis import strategies as st
except ImportError:
    missing("hypothesis is not installed: pip install '.[dev]'")

from nbt_embed.errors import StreamError
from nbt_embed.live.arrivals import Arrivals, Source
from nbt_embed.live.clock import Clock
from nbt_embed.live.framed_rows import FramedRows
from nbt_embed.live.frames import (
    LONGEST,
    FrameForm,
    Frames,
    Unwrapped,
    framed,
    stuffed,
    unstuffed,
)
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.sources import open_source

SECONDS = 20.0  # after which a test that waits has failed
FORM = FrameForm.parse("port", "u8:seq,f32:a,i16:b", big=False)


class Device:
    """One end of a pseudo-terminal; the other stands at a path, as a device's name does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ends: tuple[int, int] | None = None
        self.plug()

    def plug(self) -> None:
        self._ends = os.openpty()
        tty.setraw(self._ends[1])
        self.path.symlink_to(os.ttyname(self._ends[1]))

    def unplug(self) -> None:
        if self._ends is not None:
            self.path.unlink()
            for end in self._ends:
                os.close(end)
        self._ends = None

    def send(self, data: str | bytes) -> None:
        assert self._ends is not None
        os.write(self._ends[0], data.encode() if isinstance(data, str) else data)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    one = Device(tmp_path / "tty")
    yield one
    one.unplug()


class Reader:
    """Takes rows of a source, laid on time, one arrival after the other."""

    def __init__(self, source: Source, clock: Clock | None = None) -> None:
        self.source, self.clock = source, clock or Clock()
        self._arrivals = source.arrivals(0.05)

    def until(self, done: Callable[[list[float]], bool]) -> list[float]:
        """First inputs of the rows that come until they are enough."""
        rows: list[float] = []
        until = time.monotonic() + SECONDS
        while not done(rows):
            assert time.monotonic() < until, (rows, self.source.health)
            some: Arrivals = next(self._arrivals)
            for block in self.clock.blocks([some]):
                rows += block.inputs[:, 0].tolist()
        return rows

    def take(self, count: int) -> list[float]:
        return self.until(lambda rows: len(rows) >= count)


@contextlib.contextmanager
def opened(
    device: Device, first: str | bytes, more: str = "", names: tuple[str, ...] | None = None
) -> Iterator[Source]:
    """A source whose device sends something before it is opened."""
    device.send(first)
    options = SourceOptions(names=names)
    with open_source(f"serial://{device.path}?baud=9600{more}", options) as source:
        yield source


def test_lines_are_rows(device: Device) -> None:
    with opened(device, "t_ms,a,b\r\n0,1,2\r\n100,3,") as source:
        assert source.title == f"serial://{device.path}"
        assert source.input_names == ("a", "b")
        reader = Reader(source)
        assert reader.take(1) == [1]
        device.send("4\r\n\r\n200,5,6\r\n")
        assert reader.take(2) == [3, 5]
        assert source.health.counts == {}


@pytest.mark.parametrize(
    "first",
    [
        "0,1\n1,2\n",
        '":7}\n{"time":1,"a":2}\n',
        '{"x":1}}\n{"time":1,"a":2}\n',
        '{"a":1}]\n[{"time":1,"a":2}]\n',
    ],
)
def test_a_line_that_may_have_lost_its_beginning_is_dropped(device: Device, first: str) -> None:
    names = ("time", "a") if first.startswith("0") else None
    with opened(device, first, names=names) as source:
        assert source.input_names == ("a",)
        assert Reader(source).take(1) == [2]
        assert source.health.counts == {"lines cut off": 1}


def test_an_array_of_objects_is_several_rows(device: Device) -> None:
    with opened(device, '[{"time":1,"a":2},{"time":2,"a":3}]\r\n[{"ti') as source:
        reader = Reader(source)
        assert reader.take(2) == [2, 3]
        device.send('me":3,"a":4}]\r\n')
        assert reader.take(1) == [4]
        assert source.health.counts == {}


def test_a_device_that_is_unplugged_and_comes_back(device: Device) -> None:
    """Half a line, a header and rows that were sent before: nothing is learnt twice."""
    with opened(device, "t_s,a\n0,0\n1,10\n2,20\n3,3") as source:
        reader = Reader(source)
        assert reader.take(3) == [0, 10, 20]
        for again in range(2):
            device.unplug()
            reader.until(lambda _: source.health.state.startswith("unplugged"))
            device.plug()
            last = 3 + 2 * again
            if again:  # a device that says nothing for a while begins with a whole line
                reader.until(lambda _: source.health.state == "connected")
                time.sleep(0.15)
            else:
                device.send("999\n")
            device.send(f"t_s,a\n{last - 2},{10 * last - 20}\n{last - 1},{10 * last - 10}\n")
            device.send(f"{last},{10 * last}\n{last + 1},{10 * last + 10}\n5")
            assert reader.take(2) == [10 * last, 10 * last + 10]
            assert source.health.state == "connected"
        counts = source.health.counts
        assert counts["times unplugged"] == 2
        assert counts["repeated headers"] == 2
        assert reader.clock.counts["twice"] == 4


def test_frames_are_rows(device: Device) -> None:
    frames = [framed(FORM, (i % 256, i / 2, -i)) for i in range(250, 600)]
    frames[100] = frames[100][:3] + b"\x55" + frames[100][4:]
    frames[200:203] = [b"\x00\x00noise"]
    more = "&frame=u8:seq,f32:a,i16:b"
    with opened(device, b"\x11\x22\x00" + frames[0], more) as source:
        assert source.input_names == ("a", "b")
        reader = Reader(source, Clock(1.0))
        assert reader.take(1) == [125]
        device.send(b"".join(frames[1:]))
        found = reader.take(349)
        expected = [i / 2 for i in range(251, 600)]
        gone = [99, *range(199, 203)]
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(found)), gone)
        np.testing.assert_array_equal(np.delete(found, gone), np.delete(expected, gone))
        assert reader.clock.counts["filled"] == 5
        assert source.health.counts == {"malformed frames": 3, "lost frames": 5}


def test_frames_of_a_device_that_comes_back(device: Device) -> None:
    frames = [framed(FORM, (i % 256, i, 0)) for i in range(400)]
    with opened(device, b"\x00" + b"".join(frames[:300]), "&frame=u8:seq,f32:a,i16:b") as source:
        reader = Reader(source)
        found = reader.take(300)
        device.unplug()
        reader.until(lambda _: source.health.state.startswith("unplugged"))
        device.plug()
        device.send(frames[290][5:] + b"".join(frames[291:]))
        assert found + reader.take(100) == list(range(400))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600) | st.integers(0, 600).map(lambda n: b"x" * n))
def test_stuffing(data: bytes) -> None:
    """Frames of zeros and frames longer than one code, too."""
    there = stuffed(data)
    assert there.endswith(b"\x00")
    assert b"\x00" not in there[:-1]
    assert unstuffed(there[:-1]) == data
    assert len(there) <= len(data) + 2 + len(data) // 254


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=5))
def test_noise_costs_frames_beside_it_alone(noise: bytes, places: list[int]) -> None:
    before, after = framed(FORM, (1, 2.5, 3)), framed(FORM, (2, 3.5, 4))
    data = b"\x00" + before + noise + b"\x00" + after
    counts: Counter[str] = Counter()
    frames = Frames(FORM, counts)
    ends = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    found = [one for a, b in itertools.pairwise(ends) for one in frames.feed(data[a:b])]
    assert (found[0], found[-1]) == ((1, 2.5, 3), (2, 3.5, 4))
    assert len(found) == 2


def test_no_bit_that_is_wrong_goes_unseen() -> None:
    good = framed(FORM, (2, 3.5, 4))
    for place in range(8 * (len(good) - 1)):
        bad = bytearray(good)
        bad[place // 8] ^= 1 << place % 8
        assert Frames(FORM, Counter()).feed(bytes(bad) + good) == [(2, 3.5, 4)]


def test_noise_without_an_end_takes_no_memory() -> None:
    counts: Counter[str] = Counter()
    frames = Frames(FORM, counts)
    for _ in range(100):
        assert frames.feed(b"\x01" * LONGEST) == []
        assert len(frames._rest) <= LONGEST
    assert frames.feed(b"\x00" + framed(FORM, (1, 2, 3))) == [(1, 2.0, 3)]
    assert counts == {"malformed frames": 1}


def test_counters_that_begin_again() -> None:
    whole = Unwrapped(8)
    assert [whole.next(n) for n in (250, 255, 0, 10, 9, 136)] == [250, 255, 256, 266, 265, 392]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("serial:///dev/none", "No such file"),
        ("serial:///dev/null", "cannot be opened"),
        ("serial:///dev/null?baud=1", "baud=1"),
        ("serial:///dev/null?parity=some", "name one of none, even, odd"),
        ("serial:///dev/null?speed=9600", "unknown option"),
        ("serial:///dev/null?frame=u9:a", "write each field once"),
        ("serial:///dev/null?frame=u8:a,u8:a", "write each field once"),
        ("serial://", "name a device"),
    ],
)
def test_what_is_refused(where: str, words: str) -> None:
    with pytest.raises(StreamError, match=words):
        open_source(where)


def test_a_port_is_for_one_program(device: Device) -> None:
    with (
        opened(device, "a,b\n1,2\n"),
        pytest.raises(StreamError, match="no other program has it open"),
    ):
        open_source(f"serial://{device.path}")


@pytest.mark.parametrize(
    ("steps", "is_time"), [([10] * 12, True), ([999, 1002, 1000] * 4, True), ([3, 5, 4] * 4, False)]
)
def test_a_field_that_may_be_a_time_is_told_by_its_first_frames(
    steps: list[int], is_time: bool
) -> None:
    form = FrameForm.parse("port", "u32:t,f32:a", big=False)
    rows = FramedRows("port", form, SourceOptions(), Counter())
    times = np.cumsum([200, *steps])
    some = [rows.feed(framed(form, (int(t), i))) for i, t in enumerate(times)]
    found = [one for one in some if one is not None]
    assert rows.layout is not None
    assert rows.layout.input_names == (("a",) if is_time else ("t", "a"))
    assert np.concatenate([one.inputs[:, -1] for one in found]).tolist() == list(range(13))
    if is_time:
        assert np.concatenate([one.time for one in found]).tolist() == times.tolist()
