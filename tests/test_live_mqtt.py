"""MQTT against a real broker: what comes, comes again, is malformed, refused, or has to wait."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import missing

pytest.importorskip("polars", reason="live streams need the extra [app]")
pytest.importorskip("paho", reason="MQTT needs the extra [mqtt]")
if shutil.which("mosquitto") is None:
    missing("mosquitto is not installed")

from broker import Broker, Sender

from nbt_embed.errors import StreamError
from nbt_embed.live.arrivals import Arrivals, Source
from nbt_embed.live.names import ClientName
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.publish import Publisher, check_apart
from nbt_embed.live.sources import open_source

SECONDS = 20.0  # after which a test that waits has failed


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    one = Broker(tmp_path, "persistence true", f"persistence_location {tmp_path}/")
    yield one
    one.kill()


@pytest.fixture
def sender(broker: Broker) -> Iterator[Sender]:
    one = Sender(broker)
    yield one
    one.close()


class Reader:
    """Takes rows of a source one arrival after the other."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._arrivals = source.arrivals(0.05)

    def next(self) -> Arrivals:
        return next(self._arrivals)

    def until(self, done: Callable[[list[list[float]]], bool]) -> list[list[float]]:
        rows: list[list[float]] = []
        until = time.monotonic() + SECONDS
        while not done(rows):
            assert time.monotonic() < until, (rows, self.source.health)
            rows += self.next().inputs.tolist()
        return rows

    def take(self, count: int) -> list[list[float]]:
        return self.until(lambda rows: len(rows) >= count)


@contextmanager
def later(call: Callable[[], object]) -> Iterator[None]:
    """Calls in a moment, and waits for its end."""
    timer = threading.Timer(0.2, call)
    timer.start()
    yield
    timer.join()


def keep(broker: Broker, topics: str) -> str:
    """Have the broker keep what is sent from now on, for the next reader. Returns its address."""
    where = f"mqtt://{broker.address}/{topics}"
    with open_source(f"{where}?field=a"):
        return where


def test_each_message_is_a_row(broker: Broker, sender: Sender) -> None:
    with open_source(f"mqtt://{broker.address}/room/air?field=temp,hum.abs") as source:
        assert source.title == f"mqtt://{broker.address}/room/air"
        assert source.input_names == source.target_names == ("temp", "hum.abs")
        sender.send(
            "room/air",
            '{"ts":1704067200,"temp":20.5,"hum":{"abs":1}}',
            '{"hum":{"abs":2},"temp":21.5,"ts":1704067201,"new":1}',
            '{"temp":null}',
        )
        reader = Reader(source)
        rows = reader.take(3)
        assert rows[:2] == [[20.5, 1], [21.5, 2]]
        assert all(value != value for value in rows[2])
        sender.send("room/air", '{"ts":1704067202,"temp":"22,5","hum":{"abs":"3"}}')
        assert reader.next().time.tolist() in ([], [1704067202.0])


def test_the_first_message_tells_the_names(broker: Broker, sender: Sender) -> None:
    with (
        later(lambda: sender.send("a/b", "junk{", '{"t_s":1,"x":2,"state":"on"}')),
        open_source(f"mqtt://{broker.address}/a/b") as source,
    ):
        assert source.input_names == ("x",)
        some = next(source.arrivals(1))
        assert (some.time.tolist(), some.inputs.tolist()) == ([1.0], [[2.0]])
        assert source.health.counts == {"malformed messages": 1}


def test_a_number_or_an_array_alone(broker: Broker, sender: Sender) -> None:
    with (
        later(lambda: sender.send("a/temp", "20.5", " 21,5 ", "nan", "[1]")),
        open_source(f"mqtt://{broker.address}/a/temp") as source,
    ):
        assert source.input_names == ("temp",)
        rows = Reader(source).take(4)
        assert rows[:2] == [[20.5], [float("nan")]] or rows[0] == [20.5]
    with open_source(f"mqtt://{broker.address}/a/acc?field=x,y") as source:
        sender.send("a/acc", "[1,2]", "[3,4]")
        assert Reader(source).take(2) == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("payloads", "options", "names", "rows"),
    [
        (["21.5,40", " 22 , 41.5\n", "23,nan"], {}, ("x1", "x2"), [[21.5, 40], [22, 41.5]]),
        (["21.5,40", "22,41"], {"names": ("temp", "hum")}, ("temp", "hum"), [[21.5, 40], [22, 41]]),
        (["21.5", "22", "1 234"], {}, ("air",), [[21.5], [22], [1234]]),
        (["21.5"], {"names": ("temp",)}, ("temp",), [[21.5]]),
        (["21,5", "22,25"], {"decimal": ","}, ("air",), [[21.5], [22.25]]),
        (["21,5", "22,4"], {}, ("x1", "x2"), [[21, 5], [22, 4]]),
        (["21,5;40", "22,5;1.234,5"], {}, ("x1", "x2"), [[21.5, 40], [22.5, 1234.5]]),
        (["21.5 40", "22\t41"], {}, ("x1", "x2"), [[21.5, 40], [22, 41]]),
        (["1,2\n3,4\n\n5,6", "7,8"], {}, ("x1", "x2"), [[1, 2], [3, 4], [5, 6], [7, 8]]),
        (["1\n2", "3"], {}, ("air",), [[1], [2], [3]]),
        (["[1,2]", "[3,4]"], {"names": ("p", "q")}, ("p", "q"), [[1, 2], [3, 4]]),
        (["2024-01-01 00:00:00,5", "2024-01-01 00:00:01,6"], {}, ("x2",), [[5], [6]]),
        (["5,on", "6,off"], {"classes": ("on", "off"), "targets": ("x2",)}, ("x1",), [[5], [6]]),
        (["off", "1,2", "3,4"], {}, ("x1", "x2"), [[1, 2], [3, 4]]),
        (["1,2", "3,4"], {"delimiter": "comma"}, ("x1", "x2"), [[1, 2], [3, 4]]),
    ],
)  # fmt: skip
def test_numbers_alone_and_with_delimiters(
    broker: Broker,
    sender: Sender,
    payloads: list[str],
    options: dict[str, Any],
    names: tuple[str, ...],
    rows: list[list[float]],
) -> None:
    where = keep(broker, "room/air")
    sender.send("room/air", *payloads)
    with open_source(where, SourceOptions(**options)) as source:
        assert source.input_names == names
        assert Reader(source).take(len(rows))[: len(rows)] == rows


def test_numbers_of_several_topics_and_of_named_fields(broker: Broker, sender: Sender) -> None:
    where = keep(broker, "s/temp,s/acc")
    sender.send("s/acc", "1,2")
    sender.send("s/temp", "20", "21")
    with open_source(where) as source:
        assert source.input_names == ("acc.x1", "acc.x2", "temp")
        assert Reader(source).take(2)[0] == [1, 2, 20]
    with open_source(f"mqtt://{broker.address}/t?field=a,b") as source:
        sender.send("t", "1,2,3", "off", "1,x", "21,5", "21,5;7", '{"b":9}')
        rows = Reader(source).until(lambda rows: rows[-1:] != [] and rows[-1][1] == 9)
        assert (rows[0][0], rows[1]) == (1, [21, 5])
        assert len(rows) == 4
        assert source.health.counts == {"malformed messages": 2, "malformed values": 2}


@pytest.mark.parametrize(
    ("payload", "options", "told"),
    [
        ("20,05", {}, "'20,05' may be a number with a decimal comma or two numbers"),
        (
            "1,2,3",
            {"names": ("a", "b")},
            "2 names are given (a, b), and the first payload ('1,2,3'",
        ),
        ('{"a":"1,234"}', {}, "field 'a' holds '1,234' in the first row, which may be a fraction"),
    ],
)
def test_a_first_payload_with_two_readings_is_refused(
    broker: Broker, sender: Sender, payload: str, options: dict[str, Any], told: str
) -> None:
    where = keep(broker, "t")
    sender.send("t", payload)
    with pytest.raises(StreamError, match=re.escape(told)):
        open_source(where, SourceOptions(**options))
    with pytest.raises(StreamError, match="cannot be assigned to several topics"):
        open_source(f"mqtt://{broker.address}/t,u", SourceOptions(names=("a",)))


@pytest.mark.parametrize(
    ("numbers", "names"), [(range(9), ("x",)), ((20, 20.5, 20.25, 20), ("t", "x"))]
)
def test_a_field_that_may_be_a_time_is_told_by_the_first_messages(
    broker: Broker, sender: Sender, numbers: Sequence[float], names: tuple[str, ...]
) -> None:
    where = keep(broker, "t")
    sender.send("t", *(json.dumps({"t": t, "x": i}) for i, t in enumerate(numbers)))
    with open_source(where) as source:
        assert source.input_names == names
        rows = Reader(source).take(len(numbers))
        assert [row[-1] for row in rows] == list(range(len(numbers)))


def test_what_is_malformed_is_told_with_its_row(broker: Broker, sender: Sender) -> None:
    with open_source(f"mqtt://{broker.address}/t?field=a") as source:
        sender.send("t", '{"a":1}', "oops", "oops", '{"a":"hot"}', '{"b":1}', '{"a":2}')
        before, found = 0, []
        arrivals = source.arrivals(0.05)
        while before < 3:
            some = next(arrivals)
            found += [(before + row, text) for row, text in some.remarks]
            before += len(some)
    assert [row for row, _ in found] == [1, 1]
    assert sorted(text[:20] for _, text in found) == [
        "field 'a' holds 'hot",
        "message 'oops' is ne",
    ]


def test_an_array_of_objects_is_several_rows(broker: Broker, sender: Sender) -> None:
    with (
        later(lambda: sender.send("a/b", "[]", '[{"t_s":1,"x":2,"s":"on"},{"t_s":2,"x":3}]')),
        open_source(f"mqtt://{broker.address}/a/b") as source,
    ):
        assert source.input_names == ("x",)
        reader = Reader(source)
        assert reader.take(2) == [[2], [3]]
        many = [{"t_s": i, "x": i} for i in range(10_000)]
        sender.send(
            "a/b", json.dumps(many), '[{"x":1},7]', '[{"x":7},{"y":1},{"x":"hot"}]', "[1]",
            '{"x":[{"y":1}]}', '{"x":-1}',
        )  # fmt: skip
        rows = reader.until(lambda rows: rows[-1:] == [[-1]])
        assert rows[:10_001] == [*([one["x"]] for one in many), [7]]
        assert len(rows) == 10_004
        assert source.health.counts == {
            "empty arrays": 1, "malformed messages": 3, "malformed values": 2
        }  # fmt: skip


def test_an_array_of_objects_in_one_of_several_topics(broker: Broker, sender: Sender) -> None:
    def send() -> None:
        sender.send("s/hum", '[{"p":40},{"p":41}]')
        sender.send("s/temp", '[{"c":20},{"c":21}]')
        sender.send("s/hum", "[]", '[{"p":50},{"p":51}]', "[]")
        sender.send("s/temp", "[]", '{"c":22}')

    with later(send), open_source(f"mqtt://{broker.address}/s/temp,s/hum") as source:
        assert source.input_names == ("hum.p", "temp.c")
        rows = Reader(source).take(3)
        assert (rows[0], rows[1][1], rows[2]) == ([41, 20], 21, [51, 22])
        assert rows[1][0] != rows[1][0]  # nothing since the row before
        assert source.health.counts == {"empty arrays": 3}


def test_large_messages_are_taken_a_few_at_once(broker: Broker, sender: Sender) -> None:
    """What waits may be 16 MiB, and its objects many times as many."""
    text = json.dumps([{"a": i} for i in range(60_000)])
    with open_source(f"mqtt://{broker.address}/t?field=a") as source:
        sender.send("t", *[text] * 6)
        until = time.monotonic() + SECONDS
        while len(source._inbox._waiting) < 6 and time.monotonic() < until:  # type: ignore[attr-defined]
            time.sleep(0.01)
        reader = Reader(source)
        sizes: list[int] = []
        while sum(sizes) < 360_000 and time.monotonic() < until:
            sizes.append(len(reader.next()))
        assert sum(sizes) == 360_000
        assert max(sizes) == 120_000


def test_several_topics_make_one_row(broker: Broker, sender: Sender) -> None:
    def send() -> None:
        sender.send("s/hum", "40")
        sender.send("s/temp", '{"c":20}')
        for i in range(3):
            sender.send("s/temp", json.dumps({"c": 21 + i}))
            sender.send("s/hum", str(50 + i))

    with later(send), open_source(f"mqtt://{broker.address}/s/temp,s/hum") as source:
        assert source.input_names == ("hum", "temp.c")
        rows = Reader(source).take(4)
        assert rows[0] == [40, 20]
        assert rows[1][1] == 21
        assert rows[1][0] != rows[1][0]  # nothing since the row before
        assert rows[2:] == [[50, 22], [51, 23]]


def test_malformed_payloads_are_counted(broker: Broker, sender: Sender) -> None:
    with open_source(f"mqtt://{broker.address}/t?field=a") as source:
        sender.send(
            "t", "", "{", "\x00\x01", b"\xff\xfe", "[" * 100_000, '{"b":1}', "[1,2]",
            "x" * 1_000_000, '{"a":1e400}', '{"a":Infinity}', '{"a":[]}', '{"a":1,"a":2}',
        )  # fmt: skip
        rows = Reader(source).until(lambda rows: any(row == [2.0] for row in rows))
        assert [row for row in rows if row[0] == row[0]] == [[2.0]]
        assert source.health.counts["malformed messages"] == 7
        assert source.health.counts["malformed values"] >= 3


def test_a_payload_that_no_device_sends_is_not_taken(broker: Broker, sender: Sender) -> None:
    """MQTT 5 has a client say how much it takes: the broker drops what is more."""
    with open_source(f"mqtt://{broker.address}/t?field=a") as source:
        sender.send("t", '{"a":"' + "9" * (3 << 20) + '"}', '{"a":1}')
        assert Reader(source).take(1) == [[1.0]]
        assert (source.health.state, source.health.counts) == ("connected", {})


def test_retained_messages_are_dropped_unless_they_are_wanted(
    broker: Broker, sender: Sender
) -> None:
    sender.send("t", '{"a":1}', retain=True)
    with open_source(f"mqtt://{broker.address}/t?field=a&client=x") as source:
        sender.send("t", '{"a":2}')
        assert Reader(source).take(1) == [[2.0]]
        assert source.health.counts == {"retained messages": 1}
    options = SourceOptions(retained=True)
    with open_source(f"mqtt://{broker.address}/t?field=a&client=y", options) as source:
        assert Reader(source).take(1) == [[1.0]]


def test_what_comes_while_nobody_listens_is_kept_by_the_broker(
    broker: Broker, sender: Sender
) -> None:
    where = f"mqtt://{broker.address}/t?field=a"
    with open_source(where):
        pass
    sender.send("t", *(json.dumps({"a": i}) for i in range(50)))
    with open_source(where) as source:
        assert Reader(source).take(50) == [[float(i)] for i in range(50)]


def test_a_message_that_was_not_learnt_comes_again(broker: Broker, sender: Sender) -> None:
    where = f"mqtt://{broker.address}/t?field=a"
    source = open_source(where)
    sender.send("t", *(json.dumps({"a": i}) for i in range(3)))
    reader = Reader(source)
    assert reader.take(3) == [[0.0], [1.0], [2.0]]  # and nothing more was asked for
    source.close()
    with open_source(where) as source:
        reader = Reader(source)
        assert reader.take(1)[0] in ([0.0], [1.0], [2.0])
        assert source.health.counts["messages sent again"] >= 1
        reader.until(lambda _: True)


def test_a_message_of_several_rows_comes_again_as_a_whole(broker: Broker, sender: Sender) -> None:
    where = f"mqtt://{broker.address}/t?field=a"
    source = open_source(where)
    sender.send("t", '[{"a":1},{"a":2}]', '[{"a":3},{"a":4}]')
    arrivals = source.arrivals(0.05)
    some = next(one for one in arrivals if len(one))
    time.sleep(0.2)  # in which nothing may be acknowledged: no further row was asked for
    source.close()
    with open_source(where) as source:
        assert Reader(source).take(4) == [[1], [2], [3], [4]]
    assert len(some) in (2, 4)


@pytest.mark.parametrize("version", ["5", "3"])
def test_a_broker_that_is_killed_and_comes_back(
    broker: Broker, sender: Sender, version: str
) -> None:
    where = f"mqtt://{broker.address}/t?field=a&version={version}"
    with open_source(where) as source:
        reader = Reader(source)
        for i in range(3):
            sender.send("t", json.dumps({"a": i}))
            assert reader.take(1) == [[float(i)]]
            broker.kill()
            reader.until(lambda _: source.health.state.startswith("not connected"))
            broker.start()
            reader.until(lambda _: source.health.state == "connected")
            connections = source.health.counts["connections made again"]
            assert connections >= i + 1
            reader.until(lambda _: sender.client.is_connected())


def test_nothing_is_taken_twice_when_the_connection_is_lost(broker: Broker, sender: Sender) -> None:
    """Through a relay that is cut: the broker lives on, and sends what was not acknowledged."""
    relay = Relay(broker.port)
    try:
        with open_source(f"mqtt://127.0.0.1:{relay.port}/t?field=a") as source:
            reader = Reader(source)
            sender.send("t", *(json.dumps({"a": i}) for i in range(20)))
            some = reader.take(5)
            relay.cut()
            sender.send("t", *(json.dumps({"a": i}) for i in range(20, 40)))
            some += reader.take(40 - len(some))
            assert some == [[float(i)] for i in range(40)]
            for _ in range(3):
                assert len(reader.next()) == 0
    finally:
        relay.close()


class Relay:
    """Hands bytes on to a port, and cuts the connection when told."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._open += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._hand_on, args=(a, b), daemon=True).start()

    @staticmethod
    def _hand_on(a: socket.socket, b: socket.socket) -> None:
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass

    def cut(self) -> None:
        for one in self._open:
            one.close()
            # closing alone does not wake who reads
        self._open.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()


def test_a_slow_reader_makes_the_broker_wait(broker: Broker, sender: Sender) -> None:
    with open_source(f"mqtt://{broker.address}/t?field=a") as source:
        sender.send("t", *(json.dumps({"a": i}) for i in range(1100)))
        time.sleep(0.2)
        waiting = source._inbox._waiting  # type: ignore[attr-defined]
        assert len(waiting) <= 1000
        assert Reader(source).take(1100) == [[float(i)] for i in range(1100)]


def test_a_wrong_password_is_refused_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: Callable[[str], str]
) -> None:
    words = tmp_path / "words"
    command = [tool("mosquitto_passwd"), "-b", "-c", str(words), "sam", "right"]
    subprocess.run(command, check=True, capture_output=True)
    words.chmod(0o644)
    broker = Broker(tmp_path, f"password_file {words}", "allow_anonymous false")
    try:
        where = f"mqtt://sam@{broker.address}/t?field=a"
        monkeypatch.setenv("NBT_MQTT_PASSWORD", "wrong-one")
        for refused in (where, f"mqtt://{broker.address}/t?field=a"):
            with pytest.raises(StreamError, match="refuses") as error:
                open_source(refused)
            assert "wrong-one" not in str(error.value)
            assert "sam" not in str(error.value)
        monkeypatch.setenv("NBT_MQTT_PASSWORD", "right")
        with open_source(where) as source:
            assert source.health.state == "connected"
        file = tmp_path / "secret"
        file.write_text("right\n", encoding="utf-8")
        monkeypatch.delenv("NBT_MQTT_PASSWORD")
        with open_source(f"{where}&passwordfile={file}") as source:
            assert "right" not in repr(source.health) + source.title
    finally:
        broker.kill()


def test_no_broker_and_one_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(StreamError, match=r"no broker within 0\.3 s"):
            open_source(f"mqtt://127.0.0.1:{port}/t?field=a&wait=0.3")
        monkeypatch.setattr("nbt_embed.live.link._ANSWER", 0.2)
        with pytest.raises(StreamError, match="is this an MQTT broker"):
            open_source(f"mqtt://127.0.0.1:{port}/t?field=a&wait=1.5")
    with pytest.raises(StreamError, match="Connection refused"):
        open_source(f"mqtt://127.0.0.1:{port}/t?field=a&wait=0.3")


def test_two_clients_of_one_name(broker: Broker) -> None:
    where = f"mqtt://{broker.address}/t?field=a&client=same"
    with open_source(where) as first, open_source(where) as second:
        until = time.monotonic() + SECONDS
        while (
            "same name" not in first.health.state + second.health.state and time.monotonic() < until
        ):
            time.sleep(0.01)
        assert "client=NAME" in first.health.state + second.health.state


@pytest.mark.parametrize("version", ["5", "3"])
def test_two_readers_of_one_topic(broker: Broker, sender: Sender, version: str) -> None:
    """Neither pushes the other out, and each has its own queue."""
    where = f"mqtt://{broker.address}/t?field=a&version={version}"
    with open_source(where) as first, open_source(where) as second:
        for i in range(3):
            sender.send("t", json.dumps({"a": i}))
        for one in (first, second):
            assert Reader(one).take(3) == [[0.0], [1.0], [2.0]]
            assert (one.health.state, one.health.counts) == ("connected", {})
    sender.send("t", '{"a":7}', '{"a":8}')  # while nobody listens
    with open_source(where) as first, open_source(where) as second:
        for one in (first, second):
            Reader(one).until(lambda rows: rows[-2:] == [[7.0], [8.0]])


def test_two_publishers_of_one_topic(broker: Broker) -> None:
    where = f"mqtt://{broker.address}/p"
    with (
        open_source(f"{where}?field=a") as source,
        Publisher(where) as first,
        Publisher(where) as second,
    ):
        for one in (first, second, first, second):
            one.send([{"a": 1.0}])
        assert Reader(source).take(4) == [[1.0]] * 4
        assert (first.health.state, second.health.state) == ("connected", "connected")


def test_names_of_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one, other = ClientName("t"), ClientName("t")
    assert one.text != other.text != ClientName("u").text
    told = one.text
    one.release()
    again = ClientName("t")
    assert again.text == told  # that is free again; as after a restart
    saved = [ClientName("t", "/a").text, ClientName("t", "/a").text, ClientName("t", "/b").text]
    assert saved[0] == saved[1] != saved[2]
    assert told not in saved
    for name in (again, other):
        name.release()
    words = "from nbt_embed.live.names import ClientName; import sys; n = ClientName('t');"
    words += "print(n.text, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().decode().strip() == told
        other = ClientName("t")
        assert other.text != told
        other.release()
        process.kill()  # which gives its name back
    assert ClientName("t").text == told


@pytest.mark.parametrize("broken", ["a file", "others may write"])
def test_a_name_where_nothing_can_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / f"nbt-embed-{os.getuid()}"
    if broken == "a file":
        folder.write_text("")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    one, other = ClientName("t").text, ClientName("t").text
    assert one != other
    assert len(one) <= 23
    assert folder.is_file() or not list(folder.iterdir())


@pytest.mark.parametrize("where", ["mqtt://h/+/t", "mqtt://h/t/#", "mqtt://h/t,t", "mqtt://h"])
def test_topics_that_are_refused(where: str) -> None:
    with pytest.raises(StreamError, match=r"topic"):
        open_source(where)


# paho-mqtt leaves a socket whose handshake fails to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls(tmp_path: Path, tool: Callable[[str], str]) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o644)
    tmp_path.chmod(0o755)
    broker = Broker(tmp_path, f"certfile {certificate}", f"keyfile {key}")
    try:
        where = f"mqtts://{broker.address}/t?field=a"
        with (
            open_source(f"{where}&cafile={certificate}") as source,
            Publisher(f"mqtts://{broker.address}/t?cafile={certificate}") as publisher,
        ):
            publisher.send([{"a": 1.5}])
            assert Reader(source).take(1) == [[1.5]]
        with pytest.raises(StreamError, match="certificate is not accepted"):
            open_source(where)
        with pytest.raises(StreamError, match="cannot be read"):
            open_source(f"{where}&cafile={tmp_path / 'none'}")
    finally:
        broker.kill()


def test_answers_are_published_in_order(broker: Broker) -> None:
    with (
        open_source(f"mqtt://{broker.address}/out?field=row,x,y") as source,
        Publisher(f"mqtt://{broker.address}/out") as publisher,
    ):
        rows = [{"row": i, "x": float("nan"), "y": float("inf"), "s": "ä"} for i in range(1000)]
        publisher.send(rows)
        found = Reader(source).take(1000)
        assert [row[0] for row in found] == list(range(1000))
        assert all(row[1] != row[1] and row[2] != row[2] for row in found)
        assert publisher.health.counts == {"messages sent": 1000}
        assert "malformed values" not in source.health.counts


def test_a_publisher_never_waits_and_counts_what_it_drops(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbt_embed.live.outbox.MOST", 50)
    with Publisher(f"mqtt://{broker.address}/out") as publisher:
        broker.kill()
        until = time.monotonic() + SECONDS
        while publisher.health.state == "connected" and time.monotonic() < until:
            time.sleep(0.01)
        publisher.send([{"row": i} for i in range(80)])
        assert publisher.health.counts["messages dropped"] == 30
        waiting = [json.loads(payload)["row"] for payload in publisher._outbox._waiting]
        assert waiting == list(range(30, 80))
        broker.start()
        until = time.monotonic() + SECONDS
        while publisher.health.counts.get("messages sent") != 50 and time.monotonic() < until:
            time.sleep(0.01)
        assert publisher.health.counts["messages sent"] == 50


def test_messages_that_the_broker_does_not_take_are_counted(tmp_path: Path) -> None:
    rights = tmp_path / "rights"
    rights.write_text("topic read #\n", encoding="utf-8")
    rights.chmod(0o644)
    broker = Broker(tmp_path, f"acl_file {rights}")
    try:
        with Publisher(f"mqtt://{broker.address}/out") as publisher:
            publisher.send([{"row": i} for i in range(30)])
            counts = {"messages refused (not authorized)": 30}
            until = time.monotonic() + SECONDS
            while publisher.health.counts != counts and time.monotonic() < until:
                time.sleep(0.01)
            assert publisher.health.counts == counts
    finally:
        broker.kill()


@pytest.mark.parametrize("source", ["mqtt://h/a/b", "mqtt://sam@H/x,a%2Fb?field=c"])
def test_what_is_read_is_not_published(source: str) -> None:
    with pytest.raises(StreamError, match="mqtt://h/a/b: is also the topic of the source"):
        check_apart(source, "mqtt://h/a/b?retain=1")
    check_apart(source, "mqtt://h/a")
    check_apart(source, "mqtt://h:1884/a/b")
    check_apart("-", "mqtt://h/a/b")


@pytest.mark.parametrize("where", ["mqtt://h/a/#", "http://h/t", "-", "mqtt://h"])
def test_where_nothing_can_be_published(where: str) -> None:
    with pytest.raises(StreamError):
        Publisher(where)


def test_without_the_library_the_command_that_installs_it_is_named() -> None:
    program = """
import sys
sys.modules["paho"] = None
from nbt_embed.errors import MissingExtraError
from nbt_embed.live.publish import Publisher
from nbt_embed.live.sources import open_source
for call in (open_source, Publisher):
    try:
        call("mqtt://u@host/t")
    except MissingExtraError as error:
        print(error)
"""
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.count("pip install 'nbt-embed[mqtt]'") == 2
