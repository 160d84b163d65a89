"""Files of JSON lines are read as tables, and refused by line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("polars", reason="files need the extra 'app'")

from nbt_embed import cli
from nbt_embed.app import json_lines
from nbt_embed.app.objects import decoded
from nbt_embed.app.options import ReadOptions
from nbt_embed.app.reading import read
from nbt_embed.errors import StreamError

ROWS = 300


def objects(rows: int = ROWS) -> list[dict[str, Any]]:
    return [
        {
            "at": f"2026-03-01T08:{row // 60:02}:{row % 60:02}Z",
            "machine": {"temp": 20 + np.sin(row / 5), "on": row % 7 == 0},
            "load": [row % 3, row % 5],
            "mode": "ab"[row % 2],
        }
        for row in range(rows)
    ]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("piece", [7, 1 << 14])
def test_json_lines_are_the_table_of_their_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(json_lines, "PIECE", piece)
    rows = objects()
    del rows[3]["machine"]["temp"]
    rows[4]["machine"]["temp"] = None
    rows[5] = dict(reversed(rows[5].items()))
    rows[6]["new"] = 6.5
    path = written(tmp_path / "log.jsonl", rows)
    with read([path], ReadOptions(targets=("machine.temp",))) as recording:
        assert recording.rows == ROWS
        names = ("machine.temp", "machine.on", "load.0", "load.1", "new")
        assert recording.input_names == names
        assert recording.time is not None
        assert (recording.time.column, recording.time.interval) == ("at", 1.0)
        found = recording.stream().inputs
    wanted = np.array(
        [[20 + np.sin(row / 5), row % 7 == 0, row % 3, row % 5, np.nan] for row in range(ROWS)],
        np.float32,
    )
    wanted[3:5, 0], wanted[6, 4] = np.nan, 6.5
    np.testing.assert_array_equal(found, wanted)


def test_standard_input_that_begins_with_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"\xef\xbb\xbf" + b"".join(json.dumps(row).encode() + b"\r\n" for row in objects())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    out = tmp_path / "run.json"
    words = ["--target", "machine.temp", "--hidden", "2", "--json", str(out)]
    assert cli.main(["run", "-", *words]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["source"]["rows"] == ROWS


def test_json_lines_and_csv_of_the_same_values_are_the_same_stream(tmp_path: Path) -> None:
    rows = [{"a": row["machine"]["temp"], "b": row["load"][1]} for row in objects()]
    table = "a,b\n" + "".join(f"{float(row['a'])!r},{row['b']}\n" for row in rows)
    (tmp_path / "log.csv").write_text(table, encoding="utf-8")
    streams = []
    for path in (written(tmp_path / "log.ndjson", rows), tmp_path / "log.csv"):
        with read([path], ReadOptions()) as recording:
            streams.append(recording.stream().inputs)
    np.testing.assert_array_equal(streams[0], streams[1])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"a": 1,', "line 7 is not a complete JSON object (Expecting property name"),
        (
            b'{"a": 1} {"a": 2}',
            "line 7 is not a complete JSON object (not JSON: text follows the value)",
        ),
        (b"[1, 2]", "line 7 holds an array and no JSON object"),
        (
            b'[{"a": 1}, 2]',
            "line 7 is not a complete JSON object (an array mixes objects and other",
        ),
        (b"{", "write each object on one line, for example with jq -c ."),
        (b'[{"load": [1]}, {"load": ["hot"]}]', "line 7: column 'load.0' holds 'hot'"),
        (b"17", "line 7 holds 17 and no JSON object"),
        (b"a,b", "line 7 is not a complete JSON object"),
        (b'{"a": "\xff"}', "line 7 is not a complete JSON object (not UTF-8)"),
        (b"[" * 100_000, "line 7 is not a complete JSON object (not JSON: nested too deeply)"),
        (b'{"load": ["hot", 1]}', "line 7: column 'load.0' holds 'hot', which is not a number"),
    ],
)
def test_lines_that_are_no_row_are_refused(tmp_path: Path, line: bytes, told: str) -> None:
    path = written(tmp_path / "log.jsonl", objects())
    lines = path.read_bytes().splitlines(keepends=True)
    lines[5:6] = [b"\n", line + b"\n"]  # a blank line counts
    path.write_bytes(b"".join(lines))
    with pytest.raises(StreamError) as error:
        read([path], ReadOptions(inputs=("load.0",), targets=("machine.temp",))).close()
    assert told in str(error.value)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("begin", ["", "[]\n", "\ufeff[ ]\r\n"])
@pytest.mark.parametrize("size", [1, 7, ROWS])
def test_an_array_of_objects_is_as_many_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: str, size: int
) -> None:
    monkeypatch.setattr(json_lines, "PIECE", 16)
    rows = objects()
    some = [json.dumps(rows[i : i + size]) + "\n" for i in range(0, ROWS, size)]
    (tmp_path / "arrays.json").write_text(begin + "[]\n".join(some), encoding="utf-8")
    streams = []
    for path in (tmp_path / "arrays.json", written(tmp_path / "log.jsonl", rows)):
        with read([path], ReadOptions(targets=("machine.temp",))) as recording:
            streams.append(recording.stream().inputs)
    np.testing.assert_array_equal(streams[0], streams[1])


@pytest.mark.parametrize("value", [objects(1)[0], objects(3)])
def test_json_over_several_lines_is_refused_with_the_way(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
    with pytest.raises(
        StreamError,
        match=r"line 1 is not a complete JSON object.*each object on "
        "one",
    ):
        read([path], ReadOptions())


def test_a_live_stream_is_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    for where in ("mqtt://localhost/room", "MQTTS://u@h:1/x", "serial:///dev/tty0", "simulated:"):
        assert cli.main(["run", where]) == 2
        assert f"learn it with nbt-embed watch {where}" in capsys.readouterr().err


def test_halves_of_pairs_become_the_sign_for_no_text() -> None:
    found = {
        r'{"\ud800": 1}': {"\ufffd": 1},
        r'["\ud83d\ude00", "\uDE00\uD83D"]': ["\U0001f600", "\ufffd\ufffd"],
        r'"\\ud800 \ud800\ud800\udc00"': "\\ud800 \ufffd\U00010000",
    }
    for text, value in found.items():
        assert decoded(text) == value


def test_objects_with_halves_of_pairs_are_learnt(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = [rf'{{"\ud800": {row % 7}, "a": {row % 5}}}' for row in range(ROWS)]
    path.write_text("\n".join(lines))
    with read([str(path)], ReadOptions()) as recording:
        assert recording.input_names == ("\ufffd", "a")
