"""Text of live streams: the same rows however bytes are cut, and whatever is wrong counted."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from conftest import missing

pytest.importorskip("polars", reason="live streams need the extra [app]")
try:
    from hypothesis import given, settings
    from hypothesis import strategies as st
except ImportError:
    missing("hypothesis is not installed: pip install '.[dev]'")

from nbt_embed.errors import StreamError
from nbt_embed.live.arrivals import Arrivals
from nbt_embed.live.lines import LONGEST, Lines
from nbt_embed.live.options import SourceOptions
from nbt_embed.live.text import TextRows

Said = list[tuple[int, str]]
Found = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], dict[str, int], TextRows]


def read(pieces: Iterable[bytes], **options: Any) -> Found:
    """Times, inputs, counts and the parser after these pieces, in the order they come."""
    counts: Counter[str] = Counter()
    rows = TextRows("log", SourceOptions(**options), counts)
    given_: list[Arrivals] = []
    for piece in pieces:
        found = rows.feed(piece)
        if found is not None:
            given_.append(found)
    last = rows.finish()
    if last is not None:
        given_.append(last)
    return (
        np.concatenate([one.time for one in given_]),
        np.concatenate([np.hstack([one.inputs, one.targets]) for one in given_]),
        dict(counts),
        rows,
    )


def values(text: str | bytes, **options: Any) -> list[list[float | None]]:
    """Inputs, None where missing."""
    data = text if isinstance(text, bytes) else text.encode()
    _, table, _, rows = read([data], **options)
    assert rows.layout is not None
    width = len(rows.layout.inputs)
    return [
        [None if np.isnan(one) else float(one) for one in row[:width]] for row in table.tolist()
    ]


def said(pieces: Iterable[bytes], **options: Any) -> Said:
    """Remarks, with the numbers of their rows since the first one."""
    rows, before, found = TextRows("log", SourceOptions(**options), Counter()), 0, []
    for piece in [*pieces, None]:
        some = rows.finish() if piece is None else rows.feed(piece)
        if some is not None:
            found += [(before + row, text) for row, text in some.remarks]
            before += len(some)
    return found


def same(one: Found, other: Found) -> None:
    for a, b in zip(one[:2], other[:2], strict=True):
        assert a.tobytes() == b.tobytes()
    assert one[2] == other[2]


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


NUMBER = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(-1000, 1000, places=4).map(str),
    st.from_regex(
        r"[+-]?([0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,5})([eE][+-]?[0-9]{1,3})?", fullmatch=True
    ),
)
ODD = st.sampled_from(
    ["", " ", "nan", "NA", "-", "inf", "-Infinity", "1e400", "1_0", "0x1", "abc", "\u00b5",
     "\u0661", "1,5", "\u22123", "1.2.3", "--1", " 7 ", '"8"', '"9', "#", "1e", "+", ".", "true",
     "1 234", "1'234.5", '"1,234"', '"1,234,567.8"', '"1.234,5"']
)  # fmt: skip
LINE = st.one_of(
    st.lists(NUMBER, min_size=3, max_size=3).map(",".join),
    st.lists(NUMBER, min_size=3, max_size=3).map(",".join),
    st.lists(st.one_of(NUMBER, ODD), min_size=1, max_size=4).map(",".join),
)
END = st.sampled_from(["\n", "\n", "\r\n", "\r"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(LINE, END), min_size=1, max_size=40),
    st.lists(st.integers(0, 5000), max_size=8),
    st.booleans(),
)
def test_a_table_is_the_same_however_it_is_cut(
    lines: list[tuple[str, str]], places: list[int], clean: bool
) -> None:
    """Many lines at once are parsed by another library than one alone."""
    if clean:
        lines = [(line, end) for line, end in lines if line.count(",") == 2 and '"' not in line]
    data = ("time,a,b\n0,1,2\n" + "".join(line + end for line, end in lines)).encode()
    whole = read([data])
    same(whole, read([data[i : i + 1] for i in range(len(data))]))
    same(whole, read(cut(data, places)))
    assert said([data]) == said(cut(data, places))


def test_the_first_remark_on_a_field_is_that_of_its_first_row() -> None:
    """Texts that are no numbers are noticed before values that are too large."""
    data = b"time,a,b\n0,1,2\n1,1,1.0000000000000001e18\n2,1,x\n"
    (remark,) = said([data])
    assert remark[0] == 1
    assert "field 'b' holds 1.0000000000000001e+18, which is beyond 1e+18" in remark[1]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.dictionaries(
                st.sampled_from(["a", "b", "m", "n"]),
                st.one_of(
                    st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5),
                    st.fixed_dictionaries({"x": st.one_of(st.integers(), st.text(max_size=3))}),
                    st.lists(st.floats(-9, 9), max_size=3),
                ),
            ).map(json.dumps),
            st.sampled_from(
                ["{", "", "[]", "7", '[{"a":1},{"b":2}]', '[{"a":1},7]', "[{}]",
                 '{"a":1},{"a":2}', '{"a":[1', "2]}", '{"a":1,"a":2}', "\u20ac"]
            ),
        ),
        min_size=1,
        max_size=30,
    ),
    st.lists(st.integers(0, 3000), max_size=8),
)  # fmt: skip
def test_json_lines_are_the_same_however_they_are_cut(lines: list[str], places: list[int]) -> None:
    data = ('{"t_s":0,"a":1,"b":2.5,"m":{"x":1},"l":[1,2]}\n' + "\n".join(lines) + "\n").encode()
    whole = read([data])
    same(whole, read([data[i : i + 1] for i in range(len(data))]))
    same(whole, read(cut(data, places)))


PLAIN = "".join(f"s{i},{i}.5,{i},{-i}e-3\n" for i in range(40))


@pytest.mark.parametrize(
    "odd",
    ["", " ", "1", "s,1,2", "s,1,2,3,4", "s,1_0,2,3", "s,x,2,3", "s,1,,", "# note,1,abc,5", "# no",
     's,"1",2,3', 's,"1,2,3', "s, 1,2,3", "s,1,2,inf", "s,NA,2,3", "s,nan,2,1e999", "s,+1,2,-.5",
     "s,1,5,2,3", "\u20ac,1,2,3", "text,a,n,b", "s,1.,2,1E5", "s,1,2,0x1", "s,1,2,\u22123"],
)  # fmt: skip
def test_one_odd_line_among_many_is_what_it_is_alone(odd: str) -> None:
    head, data = "text,a,n,b\n", f"{PLAIN}{odd}\n{PLAIN}"
    for more in ({}, {"missing": ("5",)}):
        at_once = read([(head + data).encode()], **more)
        alone = read([head.encode(), *(line.encode() for line in data.splitlines(True))], **more)
        same(at_once, alone)
        assert len(alone[0]) in (80, 81)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_a_single_column_and_its_blank_lines(end: str) -> None:
    data = ("x\n" + "".join(f"{i}\n" if i % 7 else "\n" for i in range(1, 40))).replace("\n", end)
    at_once = read([data.encode()])
    same(at_once, read([data[i : i + 1].encode() for i in range(len(data))]))
    if end in ("\n", "\r\n"):
        assert len(at_once[0]) == 39


def test_many_lines_at_once_are_the_numbers_of_python() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((500, 3)) * 10.0 ** rng.integers(-40, 18, (500, 3))
    text = "a,t_s,b,c\n" + "".join(
        f"{x!r},{i / 7!r},{y!r},{z!r}\n" for i, (x, y, z) in enumerate(numbers.tolist())
    )
    time, table, counts, _ = read([text.encode()])
    np.testing.assert_array_equal(time, np.arange(500) / 7)
    np.testing.assert_array_equal(table[:, :3], numbers.astype(np.float32))
    assert counts == {}


@pytest.mark.parametrize(
    ("text", "options", "names", "expected"),
    [
        ("a,b\n1,2\n", {}, ("a", "b"), [[1, 2]]),
        ("1,2\n3,4\n", {}, ("x1", "x2"), [[1, 2], [3, 4]]),
        ("1,2\n", {"names": ("p", "q")}, ("p", "q"), [[1, 2]]),
        ("p,q\n1,2\n", {"names": ("p", "q")}, ("p", "q"), [[1, 2]]),
        ("a;b\n1,5;2\n", {}, ("a", "b"), [[1.5, 2]]),
        ("a;b\n1;2\n1,5;2\n1.5;3\n", {}, ("a", "b"), [[1, 2], [1.5, 2], [None, 3]]),
        ("a b\n1 2\n 3   4\n", {}, ("a", "b"), [[1, 2], [3, 4]]),
        ("a\tb\n5\t\n\t\n1\t2\n", {}, ("a", "b"), [[5, None], [None, None], [1, 2]]),
        ("x\n1\n\n3\n", {}, ("x",), [[1], [None], [3]]),
        ("a,b\nV,degC\n1,2\n", {}, ("a", "b"), [[1, 2]]),
        ("# log of today\n# a,b\n1,2\n# pause\n3,4\n", {}, ("a", "b"), [[1, 2], [3, 4]]),
        ("sep=;\na;b\n1;2\n", {}, ("a", "b"), [[1, 2]]),
        ("a,s,b\n1,ok,2\n", {}, ("a", "b"), [[1, 2]]),
        ("seq,a\n1,2\n", {}, ("a",), [[2]]),
        ("seq,a\n1,2\n", {"inputs": ("seq",)}, ("seq",), [[1]]),
        ('"a, V",b\n"1",2\n"3,4\n5,6\n', {}, ("a, V", "b"), [[1, 2], [5, 6]]),
        ("\ufeffa,b\r\n1,2\r\n", {}, ("a", "b"), [[1, 2]]),
        ("a,b\n1,2\na,b\n3,4\n", {}, ("a", "b"), [[1, 2], [3, 4]]),
        ("a,b\n1,-200\n", {"missing": ("-200",)}, ("a", "b"), [[1, None]]),
        ("a,b\n1,2e18\n1e18,inf\n", {}, ("a", "b"), [[1, None], [np.float32(1e18), None]]),
        ("a,b\n1,2", {}, ("a", "b"), [[1, 2]]),
        ("a,b\n1,2\n1_0,3\n0x1,\u0661\n", {}, ("a", "b"), [[1, 2], [None, 3], [None, None]]),
        ('{"a":1,"b":{"c":[2,true]}}\n{"b":{"c":[3]}}\n', {}, ("a", "b.c.0", "b.c.1"),
         [[1, 2, 1], [None, 3, None]]),
        ('{"a":1,"acc":[1,2]}\n', {"inputs": ("acc",)}, ("acc.0", "acc.1"), [[1, 2]]),
        ('{"b":1,"a.x":2}\n{"a.x":"3,5","b":"4"}\n', {"decimal": ","}, ("b", "a.x"),
         [[1, 2], [4, 3.5]]),
        ('{"a":1}\n{"a":NaN}\n{"a":Infinity}\n{"a":1e400}\n{"a":null}\n{"a":[1]}\n', {}, ("a",),
         [[1], *[[None]] * 5]),
        ("[1,2]\n[3,4]\n[5]\n", {}, ("x1", "x2"), [[1, 2], [3, 4]]),
        ("[[1,2],[3]]\n", {}, ("x1.0", "x1.1", "x2.0"), [[1, 2, 3]]),
        ('[{"a":1,"b":2},{"b":3}]\n{"a":4}\n', {}, ("a", "b"), [[1, 2], [None, 3], [4, None]]),
        ('[]\n\ufeff [ {"a":1},{"c":2},{"a":"3"}]\r\n[{"a":4}]', {}, ("a",),
         [[1], [None], [3], [4]]),
        ('[{"a":{"b":1}},{"a":{"b":2}}]\n', {"names": ("p",)}, ("a.b",), [[1], [2]]),
        ('{"a":[{"b":1},{"b":2}]}\n', {}, ("a.0.b", "a.1.b"), [[1, 2]]),
    ],
)  # fmt: skip
def test_what_a_text_means(
    text: str, options: dict[str, Any], names: tuple[str, ...], expected: list[list[float | None]]
) -> None:
    assert values(text, **options) == expected
    layout = read([text.encode()], **options)[3].layout
    assert layout is not None
    assert layout.input_names == layout.target_names == names


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ('a,b\n"1,234.5",2\n"1,234",3\n', {}, [[1234.5, 2], [1234, 3]]),
        ('a,b\n1,2\n"1,234,567.25",3\n"12,34",4\n', {}, [[1, 2], [1234567.25, 3], [None, 4]]),
        ('a,b\n"1,5",2\n"2,25",3\n', {}, [[1.5, 2], [2.25, 3]]),
        ("a;b\n1 234;2\n1\u202f999,5;3\n1.234,5;4\n", {}, [[1234, 2], [1999.5, 3], [1234.5, 4]]),
        ("a;b\n1'234.5;2\n-12\u2019345;3\n", {}, [[1234.5, 2], [-12345, 3]]),
        ("a;b\n1,234;2\n1,5;3\n", {}, [[np.float32(1.234), 2], [1.5, 3]]),
        ("a;b\n1,234.0;2.5\n1.5;3\n", {}, [[1234, 2.5], [1.5, 3]]),
        ("a;b\n1,234;2\n", {"decimal": "."}, [[1234, 2]]),
        ("a\tb\n1.234\t2\n1.234.567,8\t3\n", {"decimal": ","}, [[1234, 2], [1234567.75, 3]]),
        ("t_s;a\n1,234.5;1\n1,235.5;2\n", {}, [[1], [2]]),
        ("21,5\n1.022,25\n", {"decimal": ","}, [[21.5], [1022.25]]),
        ("21,5\n22\n", {"decimal": ",", "names": ("x",)}, [[21.5], [22]]),
        ('{"a":"1,234.5"}\n{"a":"12,345"}\n{"a":"1 000"}\n', {}, [[1234.5], [12345], [1000]]),
        ('{"a":7}\n{"a":"1.234,5"}\n{"a":"2.000"}\n', {}, [[7], [1234.5], [2000]]),
    ],
)  # fmt: skip
def test_thousands_marks_are_read_as_in_files(
    text: str, options: dict[str, Any], expected: list[list[float | None]]
) -> None:
    found = values(text, **options)
    assert [[cell and np.float32(cell) for cell in row] for row in found] == [
        [cell and np.float32(cell) for cell in row] for row in expected
    ]


def test_a_time_with_thousands_marks() -> None:
    text = b't_ms,a\n"1,234",1\n"1,235.5",2\n' + b'"1,500",3\n' * 20
    assert read([text])[0].tolist() == [1.234, 1.2355, *[1.5] * 20]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('a,b\n"1,234",2\n', "field 'a' holds '1,234' in the first row, which may be a fraction"),
        ("a\tb\n1,234\t2\n", "--decimal , or --decimal ."),
        ("a;b\n1,5;2.5\n", "with a decimal comma, and field 'b' holds '2.5'"),
        ('{"a":"1,234"}\n', "field 'a' holds '1,234' in the first row"),
    ],
)
def test_a_first_row_with_two_readings_is_refused(text: str, told: str) -> None:
    with pytest.raises(StreamError, match=re.escape(told)):
        read([text.encode()])
    assert values(text, decimal=".")


def test_the_first_of_every_kind_is_told_with_its_row() -> None:
    text = (
        "time;a;b\n2024-01-01;1;2\n2024-01-02;x;2\n2024-01-03;1e20;y\nsoon;z;2\n1;2\n"
        '2024-01-04;"3;2\n2024-01-05;3,25;4\n2024-01-06;1,234.5;4\n2024-01-07;3;1,234.5\n'
    )
    expected = [
        (1, "field 'a' holds 'x', which is not a number: it counts as missing; correct the sender, "
            "or declare it with --missing"),
        (2, "field 'b' holds 'y', which is not a number: it counts as missing; correct the sender, "
            "or declare it with --missing"),
        (3, "field 'time' holds 'soon', which is not a time in the format of the first row: this "
            "row counts as one without a time"),
        (4, "line '1;2' has 2 cells, and there are 3 columns: it is dropped"),
    ]  # fmt: skip
    assert said([text.encode()]) == expected
    assert said([text[i : i + 1].encode() for i in range(len(text))]) == expected
    assert read([text.encode()])[2] == {"malformed values": 7, "malformed lines": 2}


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("a;b\n1;2\n1,234;2\n", {}, (1, "--decimal . reads them as thousands marks")),
        ("a;b\n1,5;2\n1.5;2\n", {}, (1, "the decimal mark of this stream is ',': it counts as ")),
        ("a,b\n1,2\n3,1e19\n", {}, (1, "field 'b' holds 1e+19, which is beyond 1e+18")),
        ('{"a":1}\n{"a":[1]}\n', {}, (1, "field 'a' holds '[1]', which is not a number")),
        ('{"a":1}\n\n{"a"\n', {}, (1, "line '{\"a\"' is not JSON like the first row")),
        ('a,b\n1,2\n1,2\n"3,4\n', {}, (2, "line '\"3,4' does not close a quote")),
        ("a,s\n1,on\n2,odd\n", {"targets": ("s",), "classes": ("on", "off")},
         (1, "field 's' holds 'odd', which is not one of its classes")),
        ("a\n1\n" + "7" * 90 + "x\n", {}, (1, "holds '" + "7" * 40 + "...', which")),
    ],
)  # fmt: skip
def test_remarks(text: str, options: dict[str, Any], told: tuple[int, str]) -> None:
    ((row, words),) = said([text.encode()], **options)
    assert row == told[0]
    assert told[1] in words


def test_remarks_are_no_flood() -> None:
    names = [f"c{i}" for i in range(100)]
    text = ",".join(names) + "\n" + ",".join("1" * 100) + "\n" + (",".join("x" * 100) + "\n") * 50
    found = said([text.encode()])
    assert len(found) == 9
    assert {row for row, _ in found} == {1}
    assert found[-1][1] == "more malformed data has arrived; from here on it is only counted"
    assert read([text.encode()])[2] == {"malformed values": 5000}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("time,a\n2024-01-01 00:00:10,1\n2024-01-01 00:00:20,2\n", [1704067210.0, 1704067220.0]),
        ("time,a\n2024-01-01T02:00:00+02:00,1\n", [1704067200.0]),
        ("t_ms,a\n100,1\n200,2\n", [0.1, 0.2]),
        ("timestamp,a\n1704067200,1\nsoon,2\n", [1704067200.0, np.nan]),
        ("time,a\n23:59:59,1\n00:00:01,2\n00:00:02,3\n", [86399.0, 86401.0, 86402.0]),
        ('{"ts":1704067200123,"a":1}\n', [1704067200.123]),
        ('{"ts":"2024-01-01T00:00:00Z","a":1}\n', [1704067200.0]),
        ("t,a\n1,2\n", [np.nan]),
        ("t_s;a\n0,5;1,5\n1;2\nx;3\n", [0.5, 1, np.nan]),
        ("t_s;a\n" + "0,5;1,5\n" * 20, [0.5] * 20),
    ],
)
def test_times(text: str, expected: list[float]) -> None:
    np.testing.assert_array_equal(read([text.encode()])[0], expected)


CLOCKS = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [17, 18, 19, 21, 22, 23, 24, 26, 27, 28],  # rows that were lost
    [123456, 124455, 125457, 126456, 127458, 128457, 130456, 131457, 132456, 133457],
    [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5],
    [0.333, 0.667, 1.0, 1.333, 1.667, 2.0, 2.333, 2.667, 3.0, 3.333],
    [12.1, 12.2, 12.3, 12.4, 12.6, 12.7, 12.8, 12.9, 13.0, 13.1],
]
SENSORS = [
    [20.1, 20.3, 20.2, 20.4, 20.6, 20.5, 20.7, 20.9, 20.8, 21.0],
    [20.0, 20.31, 20.62, 20.93, 21.24, 21.55, 21.85, 22.15, 22.45, 22.75],  # heating
    [20 + 5 * math.sin(i / 230) for i in range(10)],
    [21, 21, 22, 22, 23, 23, 24, 24, 25, 25],
    [512, 515, 519, 520, 524, 531, 533, 538, 540, 547],
    [30, 29, 28, 27, 26, 25, 24, 23, 22, 21],
    [7] * 10,
    [1, 2, 3, 4, 5, 6, 7, 6, 5, 4],
    [0, 1, 2, "", 4, 5, 6, 7, 8, 9],
    [0, 1, 2, "off", 4, 5, 6, 7, 8, 9],
]


@pytest.mark.parametrize("name", ["t", "clock", "t [s]", "stamp", "date"])
@pytest.mark.parametrize(("numbers", "is_time"), [
    *((numbers, True) for numbers in CLOCKS), *((numbers, False) for numbers in SENSORS)
])  # fmt: skip
@pytest.mark.parametrize("json_lines", [False, True])
def test_numbers_under_a_name_that_may_be_a_time(
    name: str, numbers: list[Any], is_time: bool, json_lines: bool
) -> None:
    """They are one if they go on like a clock's, and else a sensor; nothing is lost meanwhile."""
    if json_lines:
        objects = [{name: None if n == "" else n, "a": i} for i, n in enumerate(numbers)]
        text = "".join(f"{json.dumps(one)}\n" for one in objects)
    else:
        text = f"{name},a\n" + "".join(f"{n},{i}\n" for i, n in enumerate(numbers))
    found = read([text.encode()])
    layout = found[3].layout
    assert layout is not None
    if name == "t [s]":  # which says it, whatever comes
        is_time = True
    assert layout.input_names == (("a",) if is_time else (name, "a"))
    assert found[1][:, len(layout.inputs) - 1].tolist() == list(range(10))
    if is_time and numbers in CLOCKS:
        np.testing.assert_allclose(found[0], numbers)
    same(found, read([text[i : i + 1].encode() for i in range(len(text))]))
    assert values(text, inputs=(name,))[0] == [np.float32(numbers[0])]


@pytest.mark.parametrize("name", ["t", "ts", "clock", "epoch", "date", "time"])
@pytest.mark.parametrize("cell", ["1704067200", "1704067200123", "2024-01-01T00:00:00Z"])
def test_a_date_under_a_name_of_a_time_needs_one_row(name: str, cell: str) -> None:
    counts: Counter[str] = Counter()
    rows = TextRows("log", SourceOptions(), counts)
    some = rows.feed(f"{name},a\n{cell},1\n".encode())
    assert some is not None
    assert some.time.tolist() == [pytest.approx(1704067200, abs=1)]
    assert some.inputs.tolist() == [[1]]


def test_as_few_rows_are_waited_for_as_can_be() -> None:
    def needed(text: str, **options: Any) -> int:
        rows = TextRows("log", SourceOptions(**options), Counter())
        lines = text.splitlines(keepends=True)
        return next(i for i, line in enumerate(lines) if rows.feed(line.encode()) is not None)

    clock = "t,a\n" + "".join(f"{i},1\n" for i in range(20))
    assert needed(clock) == 8
    assert needed("t,a\n20.5,1\n20.4,1\n") == 2
    assert needed("t,time,a\n20.5,0,1\n") == 1
    for options in ({"time": "t"}, {"time": "none"}, {"inputs": ("t",)}, {"targets": ("t",)}):
        assert needed(clock, **options) == 1
    assert needed('{"a":1}\n') == 0
    short = read([b"t,a\n0,1\n1,2\n2,3\n"])
    assert short[0].tolist() == [0, 1, 2]
    assert short[3].notes == [
        "field 't' is the time, since its numbers increase like those of a clock: use --time "
        "none if it is a sensor"
    ]
    junk = "t,a\n0,1\n" + "1,2,3\n" * 200
    assert needed(junk) < 120


def test_time_of_two_columns_and_of_none() -> None:
    text = b"day,clock,a\n2024-01-01,00:00:10,1\n"
    assert read([text], time="day+clock")[0].tolist() == [1704067210.0]
    assert np.isnan(read([text], time="none")[0]).all()
    assert read([b"k,a\n5,1\n"], time="k", time_format="min")[0].tolist() == [300.0]


def test_classes_and_their_spellings() -> None:
    text = b"a,state\n1,run\n2,stop\n3,\n4,odd\n5, run\n"
    _, table, counts, rows = read([text], targets=("state",), classes=("stop", "run"))
    assert rows.layout is not None
    assert (rows.layout.input_names, rows.layout.target_names) == (("a",), ("state",))
    assert (rows.layout.classes, rows.layout.anchor) == (("stop", "run"), (None,))
    np.testing.assert_array_equal(table[:, 1], [1, 0, np.nan, np.nan, 1])
    assert counts == {"malformed values": 1}
    _, table, _, _ = read([b"a,s\n1,0\n2,2.0\n3,1\n"], targets=("s",), classes=("0", "2"))
    np.testing.assert_array_equal(table[:, -1], [0, 1, np.nan])


def test_what_is_wrong_is_counted() -> None:
    many = "".join(f"{i},{i}\n" for i in range(100))
    text = f"time,a\n0,1\n1\n2,3,4\n3,x\n4,1e400\n5,\n#\n# why\ntime,a\n\n{many}"
    _, table, counts, _ = read([text.encode()])
    assert len(table) == 104
    assert counts == {
        "malformed lines": 2, "malformed values": 2, "comment lines": 2, "repeated headers": 1
    }  # fmt: skip
    text = '{"a":1}\n{"a":1,"b":2}\n{"b":1,"c":2}\n{"a":"x"}\nno\n{"a":{}}\n'
    _, _, counts, _ = read([text.encode()])
    assert counts == {"new fields": 2, "malformed values": 2, "malformed lines": 1}


def test_an_array_of_objects_is_the_rows_of_its_objects() -> None:
    rows = [json.dumps({"t_s": i, "a": i % 7, "s": "no" if i % 5 else "yes"}) for i in range(10000)]
    options = {"targets": ("s",), "classes": ("no", "yes")}
    lines = read(["\n".join(rows).encode()], **options)
    assert len(lines[0]) == len(rows)
    same(lines, read([f"[{','.join(rows)}]\n".encode()], **options))
    some = [f"[{','.join(rows[i : i + 99])}]\n" for i in range(0, len(rows), 99)]
    same(lines, read(["".join(some).encode()], **options))


def test_arrays_that_are_no_rows_are_counted() -> None:
    text = """[]
[{"a":1,"b":2},{"a":"x","b":{}},{"a":3,"b":4}]
[{"a":1},null]
[7,{"a":1}]
[{"a":1},{"a":
[ ]
[{"a":5,"b":6}]
"""
    _, table, counts, _ = read([text.encode()])
    np.testing.assert_array_equal(table[:, :2], [[1, 2], [np.nan, np.nan], [3, 4], [5, 6]])
    assert counts == {"malformed lines": 3, "malformed values": 2, "empty arrays": 2}


@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
@pytest.mark.parametrize(
    "value", [{"t": 1, "a": 2}, [{"t": 1, "a": 2}] * 2, {"t": {"b": 1}, "a": 2}]
)
@pytest.mark.parametrize("begin", ["", "\ufeff", "\n\n"])
def test_json_over_several_lines_is_refused(indent: Any, value: Any, begin: str) -> None:
    text = json.dumps(value, indent=indent)
    if indent is None:
        text = text.replace(", ", ",\n")
    data = f"{begin}{text}\n{text}\n".encode()
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        with pytest.raises(StreamError, match="JSON over several lines: send each object on one"):
            read(pieces)


def test_json_over_several_lines_in_a_stream_that_runs_is_counted() -> None:
    text = '{"a":1}\n{\n"a": 2\n}\n{"a":3}\n'
    _, table, counts, _ = read([text.encode()])
    assert table[:, 0].tolist() == [1, 3]
    assert counts == {"malformed lines": 3}
    rows = TextRows("log", SourceOptions(), Counter())
    rows.feed(b'{"a":1}\n')
    rows.begin_file()
    found = rows.feed(b'{\n"a": 2\n}\n{"a":\n"b": 2}\n[\n{"a":3}\n')
    assert found is not None
    assert found.inputs.tolist() == [[3]]


@pytest.mark.parametrize("first", ["[INFO] ready", '{"a":', '[{"a":1', "{a}"])
@pytest.mark.parametrize("more", ["a,b\n1,2\n", '{"a":1,"b":2}\n'])
def test_a_first_line_that_is_broken_does_not_end_a_stream(first: str, more: str) -> None:
    _, table, counts, _ = read([f"{first}\n{more}".encode()])
    assert (table[:, :2].tolist(), counts) == ([[1, 2]], {"malformed lines": 1})


def test_a_json_text_of_any_depth_and_any_digits_is_a_malformed_line_at_worst() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    text = f'{{"a":1}}\n{{"a":{deep}}}\n{{"a":{"9" * 5000}}}\n{{"a":1{"0" * 400}}}\n{{"a":2}}\n'
    _, table, counts, _ = read([text.encode()])
    assert [value for value in table[:, 0].tolist() if value == value] == [1, 2]
    assert counts["malformed lines"] + counts["malformed values"] == 3


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", {}, "ended before the first row"),
        ("a,b\n", {}, "ended before the first row"),
        ("\xff\xfea\x00".encode("latin-1").decode("latin-1"), {}, "not text"),
        ("a,b\n1,2\n", {"inputs": ("c",)}, "no field 'c'"),
        ("a,b\n1,2\n", {"targets": ("A",)}, "did you mean 'a'"),
        ("a,b\n1,2\n", {"inputs": ("a", "a")}, "each once"),
        ("a,s\n1,ok\n", {"targets": ("s",)}, "name its classes"),
        ("a,s\n1,ok\n", {"inputs": ("s",)}, "not a number"),
        ("a,s\n1,ok\n", {"classes": ("ok", "bad")}, "belong to one target"),
        ("a,s\n1,ok\n", {"targets": ("s",), "classes": ("ok",)}, "at least two"),
        ("s\nok\nok\nno\nok\nok\n", {}, "no field holds a number"),
        ("a,b\n1,2\n", {"targets_as_inputs": False}, "name the targets"),
        ("a,b\n1,2\n", {"targets": ("a", "b"), "targets_as_inputs": False}, "no input is left"),
        ("date,a\n01/02/2024,2\n", {}, "day and month"),
        ("a,b\n1,2\n", {"time": "c"}, "no column 'c' for the time"),
        ("1,2\n", {"names": ("a",)}, "1 names are given"),
        ("a,a\n1,2\n", {}, "both named 'a'"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(StreamError, match=words):
        read([text.encode("latin-1")], **options)


def test_at_horizon_0_targets_are_no_inputs() -> None:
    layout = read([b"a,b,c\n1,2,3\n"], targets=("b",), targets_as_inputs=False)[3].layout
    assert layout is not None
    assert (layout.input_names, layout.target_names, layout.anchor) == (("a", "c"), ("b",), (None,))


def test_a_line_without_an_end_takes_no_more_than_a_line() -> None:
    lines = Lines()
    for _ in range(100):
        assert lines.feed(b"9" * (LONGEST // 4)) == b""
        assert lines.held <= LONGEST
    assert lines.feed(b"9\n1,2\n") == b"1,2\n"
    assert lines.too_long == 1
    assert (
        lines.feed(b"7" * (LONGEST + 1) + b"\n" + b"8" * LONGEST + b"\n") == b"8" * LONGEST + b"\n"
    )
    assert lines.too_long == 2


def test_ten_thousand_columns() -> None:
    names = ",".join(f"c{i}" for i in range(10_000))
    row = ",".join(str(i) for i in range(10_000)) + "\n"
    _, table, counts, _ = read([names.encode() + b"\n", row.encode() * 20])
    assert table.shape == (20, 20_000)
    assert counts == {}


def test_a_state_goes_on_where_the_bytes_were_left() -> None:
    data = b"a;b\n1;2\r\n3;4\r\n1,5;6\r\n7.5;8\r\n"
    for place in range(9, len(data)):
        whole = read([data])
        counts: Counter[str] = Counter()
        first = TextRows("log", SourceOptions(), counts)
        before = first.feed(data[:place])
        assert before is not None
        state = json.loads(json.dumps(first.state))
        second = TextRows("log", SourceOptions(), counts)
        second.feed(data[:9])
        second.restore(state)
        after = second.feed(data[place - first.held :])
        assert after is not None
        both = np.concatenate([before.inputs, after.inputs])
        assert both.tobytes() == whole[1][:, :2].tobytes()


def test_names_and_times_with_halves_of_pairs_are_taken() -> None:
    lines = [rf'{{"time": {row}, "\ud800": {row}}}' for row in range(3)] + [
        r'{"time": "\ud800", "\ud800": 3}'
    ]
    time, table, _, rows = read(["\n".join(lines).encode()])
    assert rows.layout is not None
    assert rows.layout.columns == ("\ufffd",)
    assert table[:, 0].tolist() == [0, 1, 2, 3]
    assert np.isnan(time[3])


@pytest.mark.parametrize(
    ("header", "first", "inputs"),
    [
        (",a", "0,1.5", ("a",)),
        ("Unnamed: 0,a", "57,1.5", ("a",)),
        (",a", "0.5,1.5", ("column 1", "a")),
        ("a,", "1.5,0", ("a", "column 2")),
    ],
)
def test_an_index_without_a_name_is_no_input(
    header: str, first: str, inputs: tuple[str, ...]
) -> None:
    _, _, _, rows = read([f"{header}\n{first}\n".encode()])
    assert rows.layout is not None
    assert rows.layout.columns == inputs


@pytest.mark.parametrize("time", ["0000-00-00 00:00:00", "2024-02-30", "31.12.24 25:00"])
def test_a_first_time_that_cannot_be_is_a_text(time: str) -> None:
    seconds, table, _, rows = read([f"time;a\n{time};2\n2024-01-01;3\n".encode()])
    assert np.isnan(seconds).all()
    assert table[:, 0].tolist() == [2, 3]
    assert rows.notes[-1] == f"field 'time' is left out: it holds a text ('{time}')"


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("1_000,2,3\n", {"time": "x1"}, "column 'x1' is not a time in the first row"),
        ('#,%,NULL,on\nb,2,{,5\n%,a,"x, y",+\n', {"decimal": ","}, "different numbers of cells"),
        ("a,12:00,9,//\n0x1,1.2.3,7,b\n", {"decimal": ","}, "different numbers of cells"),
    ],
)
def test_first_lines_that_make_no_table_are_refused(
    text: str, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(StreamError, match=told):
        read([text.encode()], **options)
