"""Sources of bytes: standard input, named pipes, files that grow, and the simulated device."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("polars", reason="live streams need the extra [app]")

from nbt_embed.errors import StreamError
from nbt_embed.live.arrivals import Arrivals, Source
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.sources import open_source
from nbt_embed.live.where import parse

SECONDS = 20.0  # after which a test that waits has failed


class Reader:
    """Takes rows of a source one arrival after the other."""

    def __init__(self, source: Source) -> None:
        self.source, self.position = source, None
        self._arrivals = source.arrivals(0.05)

    def until(self, done: Callable[[list[float]], bool]) -> list[float]:
        """First inputs of the rows that come until they are enough."""
        rows: list[float] = []
        until = time.monotonic() + SECONDS
        while not done(rows):
            assert time.monotonic() < until, (rows, self.source.health)
            some = next(self._arrivals)
            self.position = some.position
            rows += some.inputs[:, 0].tolist()
        return rows

    def take(self, count: int) -> list[float]:
        return self.until(lambda rows: len(rows) >= count)

    def quiet(self) -> None:
        """Nothing comes when it is looked for twice."""
        for _ in range(2):
            assert len(next(self._arrivals)) == 0


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.csv"


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_a_file_is_followed_line_by_line(log: Path) -> None:
    append(log, "a,b\n1,2\n3,")
    with open_source(str(log)) as source:
        reader = Reader(source)
        assert (source.title, source.input_names, source.anchor) == (str(log), ("a", "b"), (0, 1))
        assert reader.take(1) == [1]
        reader.quiet()
        append(log, "4\r\n5,6\n")
        assert reader.take(2) == [3, 5]
        assert source.health.counts == {}


def test_a_file_read_once_ends_with_its_last_line(log: Path) -> None:
    append(log, "a,b\n1,2\n3,4")
    with open_source(str(log), SourceOptions(once=True)) as source:
        assert [x.tolist() for _, x, _ in source] == [[1, 2], [3, 4]]
        assert source.health.state == "ended"


def test_an_array_of_objects_is_several_rows_of_one_position(log: Path) -> None:
    append(log, '[{"a":1},{"a":2}]\n[{"a":3},{"a"')
    with open_source(str(log)) as source:
        reader = Reader(source)
        assert reader.take(2) == [1, 2]
        position = reader.position
        append(log, ':4}]\n[]\n{"a":5}\n')
        assert reader.take(3) == [3, 4, 5]
        assert source.health.counts == {"empty arrays": 1}
    with open_source(str(log)) as source:
        source.seek(position)
        assert Reader(source).take(3) == [3, 4, 5]


def test_a_file_is_waited_for(log: Path) -> None:
    threading.Timer(0.1, lambda: append(log, "a\n1\n")).start()
    with open_source(str(log)) as source:
        assert Reader(source).take(1) == [1]


@pytest.mark.parametrize("header", ["", "a,b\n", "b,a\n"])
def test_a_file_that_is_replaced_is_read_to_its_end_first(log: Path, header: str) -> None:
    append(log, "a,b\n1,2\n")
    with open_source(str(log)) as source:
        reader = Reader(source)
        assert reader.take(1) == [1]
        old = log.rename(log.with_suffix(".1"))
        append(old, "3,4\n5,6")
        append(log, header + ("8,7\n" if header == "b,a\n" else "7,8\n"))
        assert reader.take(2) == [3, 7]
        assert source.health.counts["files that took the place of another"] == 1
        assert source.health.counts["lines cut off"] == 1
        append(log, "10,9\n" if header == "b,a\n" else "9,10\n")
        assert reader.take(1) == [9]


def test_a_file_that_is_cut_off_is_read_from_its_start(log: Path) -> None:
    append(log, "a\n1\n2\n3\n")
    with open_source(str(log)) as source:
        reader = Reader(source)
        assert reader.take(3) == [1, 2, 3]
        log.write_text("a\n4\n", encoding="utf-8")
        assert reader.take(1) == [4]
        log.write_text("a\n5\n6\n7\n8\n", encoding="utf-8")  # longer than what was there
        assert reader.take(4) == [5, 6, 7, 8]
        assert source.health.counts["files cut off or written again"] == 2


def test_nothing_that_takes_the_name_of_a_file_ends_the_stream(log: Path) -> None:
    append(log, "a\n1\n")
    with open_source(str(log)) as source:
        reader = Reader(source)
        assert reader.take(1) == [1]
        log.unlink()
        log.mkdir()
        reader.until(lambda _: "is not a file" in source.health.state)
        log.rmdir()
        os.mkfifo(log)
        reader.quiet()
        log.unlink()
        log.write_bytes(gzip.compress(b"a\n2\n"))
        reader.until(lambda _: "is compressed" in source.health.state)
        log.unlink()
        append(log, "a\n3\n")
        assert reader.take(1) == [3]


def test_a_file_goes_on_where_it_was_left(log: Path) -> None:
    append(log, "time,a\n0,1\n1,2\n2,3\n3,")
    with open_source(str(log)) as source:
        reader = Reader(source)
        assert reader.take(3) == [1, 2, 3]
        position = json.loads(json.dumps(reader.position))
    append(log, "4\n4,5\n")
    with open_source(str(log)) as source:
        source.seek(position)
        assert Reader(source).take(2) == [4, 5]
    old = log.rename(log.with_suffix(".1"))
    append(old, "5,6\n")
    append(log, "time,a\n6,7\n")
    with open_source(str(log)) as source:
        source.seek(position)
        assert Reader(source).take(4) == [4, 5, 6, 7]
    old.unlink()
    for text in ("", "7,8\n" * 20):  # shorter than what was read, and longer
        append(log, text)
        with open_source(str(log)) as source, pytest.raises(StreamError, match="no longer holds"):
            source.seek(position)
    with open_source(str(log)) as source, pytest.raises(StreamError, match="is not a position"):
        source.seek({"offset": 1})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        # The name of a test holds its bytes: without the time, every process finds the same tests.
        (gzip.compress(b"a\n1\n", mtime=0), "is compressed"),
        ("a\n1\n".encode("utf-16"), "not text"),
        (b"", "ended before the first row"),
        (b"a,b\n", "ended before the first row"),
        (b'{\n  "a": 1\n}\n', "JSON over several lines"),
    ],
)
def test_what_is_no_table_is_refused(log: Path, content: bytes, words: str) -> None:
    log.write_bytes(content)
    with pytest.raises(StreamError, match=words):
        open_source(str(log), SourceOptions(once=True))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for where, words in (
        (str(tmp_path), "is not a file"),
        (str(tmp_path / "none"), "no such file"),
        ("/dev/null", "ended before the first row"),
        ("/dev/zero", "longer than 1 MiB"),
        ("http://x/y", "unknown kind of source"),
    ):
        with pytest.raises(StreamError, match=words):
            open_source(where, SourceOptions(once=True))
    for where, words in (("/dev/null", "ended before"), ("/dev/zero", "longer than 1 MiB")):
        with pytest.raises(StreamError, match=words):
            open_source(where)
    ends = os.openpty()
    with pytest.raises(StreamError, match="serial://"):
        open_source(os.ttyname(ends[1]))
    for end in ends:
        os.close(end)


def test_a_named_pipe_waits_for_its_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write(text: str) -> None:
        with path.open("w", encoding="utf-8") as pipe:
            pipe.write(text)

    threading.Thread(target=write, args=("a,b\n1,2\n3,4",), daemon=True).start()
    with open_source(str(path)) as source:
        reader = Reader(source)
        assert reader.take(1) == [1]
        reader.until(lambda _: source.health.counts.get("lines cut off") == 1)
        threading.Thread(target=write, args=("5,6\n",), daemon=True).start()
        assert reader.take(1) == [5]


PROGRAM = """
import sys
from nbt_embed.live.sources import open_source
with open_source("-") as source:
    for some in source.arrivals(0.05):
        for value in some.inputs[:, 0].tolist():
            print(value, flush=True)
print(source.health.state)
"""


@contextlib.contextmanager
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_standard_input_is_answered_line_by_line() -> None:
    with child() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"a,b\n1,2\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"1.0\n"
        process.stdin.write(b'3,4\n"5')
        process.stdin.flush()
        assert process.stdout.readline() == b"3.0\n"
        process.stdin.write(b'",6\n7,8')
        process.stdin.close()
        assert process.stdout.read() == b"5.0\n7.0\nended\n"


def gathered(source: Source, rows: int) -> list[Arrivals]:
    found: list[Arrivals] = []
    for some in source.arrivals(0.01):
        found.append(some)
        if sum(map(len, found)) >= rows:
            break
    return found


def test_the_simulated_device() -> None:
    def rows(where: str, count: int, skip: int = 0) -> Any:
        with open_source(where) as source:
            if skip:
                source.seek(skip)
            some = gathered(source, count)
        return (
            np.concatenate([one.time for one in some])[:count],
            np.concatenate([one.inputs for one in some])[:count],
        )

    time_, table = rows("simulated:?rate=max&seed=1", 1000)
    assert table.shape == (1000, 3)
    assert 0 < np.isnan(table).mean() < 0.05
    np.testing.assert_allclose(np.diff(time_), 0.02)
    for other in (rows("simulated:?rate=10000&seed=1", 600), rows("simulated:?rate=max&seed=1", 7)):
        np.testing.assert_array_equal(other[1], table[: len(other[1])])
    np.testing.assert_array_equal(rows("simulated:?rate=max&seed=1", 100, 613)[1], table[613:713])
    assert not np.array_equal(rows("simulated:?rate=max&seed=2", 7)[1], table[:7], equal_nan=True)
    with open_source("simulated:?rate=max&rows=300") as source:
        assert len(list(source)) == 300


def test_the_simulated_device_keeps_its_rate() -> None:
    with open_source("simulated:?rate=5") as source:
        some = source.arrivals(0.001)
        assert [len(next(some)) for _ in range(20)] == [1] + [0] * 19


def test_addresses() -> None:
    found = parse("mqtt://us%40er@host:1884/a/b%2Cc?field=x%26y,z&qos=0", ("field", "qos"))
    assert (found.user, found.host, found.port, found.path) == ("us@er", "host", 1884, "a/b%2Cc")
    assert found.names("field") == ("x&y", "z")
    assert found.title == "mqtt://host:1884/a/b,c"
    assert parse("mqtt://[::1]:99/t", ()).title == "mqtt://[::1]:99/t"
    for text, words in (
        ("mqtt://u:secret@host/t", "a password in an address"),
        ("mqtt://host:0/t", "the port is not a number"),
        ("mqtt://u:secret/more@host/t", "the port is not a number"),
        ("mqtt://host/t?fields=a", "did you mean 'field'"),
        ("mqtt://host/t?field=a&field=b", "is given twice"),
        ("simulated:?rate=fast", "expected a number"),
        ("simulated:?rows=1.5", "whole number"),
        ("simulated:?rate=0", "expected a number"),
    ):
        refused = open_source if text.startswith("simulated") else _parsed
        with pytest.raises(StreamError, match=words) as error:
            refused(text)
        assert "secret" not in str(error.value)


def _parsed(text: str) -> object:
    return parse(text, ("field",))
