"""What comes out of files: channels, their roles, segments and notes; and what is refused."""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("polars", reason="reading files needs the extra [app]")

from nbt_embed.anchor import find_anchor
from nbt_embed.app.reading import ReadOptions, Recording, read
from nbt_embed.errors import StreamError

PLAIN = "a,b\n1,10\n2,20\n4,40\n"


def write(directory: Path, text: str | bytes, name: str = "log.csv") -> Path:
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def recording(directory: Path, text: str | bytes, **options: Any) -> Recording:
    return read([write(directory, text)], ReadOptions(**options))


def values(directory: Path, text: str | bytes, **options: Any) -> list[list[float]]:
    with recording(directory, text, **options) as found:
        return [[float(value) for value in row] for row in found.stream().inputs]


def refusal(directory: Path, text: str | bytes, **options: Any) -> str:
    path = write(directory, text)
    with pytest.raises(StreamError) as error:
        read([path], ReadOptions(**options))
    return str(error.value).replace(f"{path}", "log.csv")


def test_numbers_become_inputs_and_targets(tmp_path: Path) -> None:
    with recording(tmp_path, PLAIN) as found:
        assert (found.rows, found.segments, found.notes, found.time) == (3, 1, (), None)
        assert found.input_names == found.target_names == ("a", "b")
        assert (found.classes, found.has_missing_inputs, found.anchor) == (None, False, (0, 1))
        stream = found.stream()
        np.testing.assert_array_equal(stream.inputs, [[1, 10], [2, 20], [4, 40]])
        np.testing.assert_array_equal(stream.targets, stream.inputs)
        assert stream.inputs.dtype == np.float32


def test_chosen_columns_keep_their_order_and_names_with_commas(tmp_path: Path) -> None:
    text = 'a,"temp, °C","flow, l/min"\n1,2,3\n5,6,7\n'
    with recording(tmp_path, text, inputs=("flow, l/min", "a"), targets=("temp, °C", "a")) as found:
        assert found.input_names == ("flow, l/min", "a")
        assert found.anchor == (None, 1)
        np.testing.assert_array_equal(found.stream().inputs, [[3, 1], [7, 5]])
        np.testing.assert_array_equal(found.stream().targets, [[2, 1], [6, 5]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": ("z",)}, "no column 'z': it has a, b"),
        ({"targets": ("aa",)}, "no column 'aa': did you mean 'a'? it has a, b"),
        ({"inputs": ("a", "a")}, "inputs a, a: name at least one column, each once"),
        ({"targets": ()}, "targets are none: name at least one column"),
        ({"time": "z"}, "no column 'z'"),
        ({"link": "log"}, "link 'log': name one of gaussian, bernoulli, categorical"),
        ({"gap": 0.0}, "gap 0.0: name a number of seconds above 0"),
        ({"gap": 5.0}, "gap needs a time column, and none is recognised"),
        ({"skip": -1}, "skip -1: name a number of lines"),
        ({"decimal": ";"}, "decimal mark ';': name . or ,"),
        ({"delimiter": "ab"}, "delimiter 'ab': name one character, tab or space"),
        ({"delimiter": ""}, "delimiter '': name one character, tab or space"),
        ({"encoding": "klingon"}, "encoding 'klingon' is unknown"),
        ({"encoding": "base64"}, "encoding 'base64' is unknown"),
        ({"encoding": "rot13"}, "encoding 'rot13' is unknown"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    assert message in refusal(tmp_path, PLAIN, **options)


def test_targets_may_be_kept_out_of_the_inputs(tmp_path: Path) -> None:
    text = "a,b,s\n1,5,on\n2,6,off\n4,7,on\n"
    with recording(tmp_path, text, targets=("b",), targets_as_inputs=False) as found:
        assert (found.input_names, found.target_names, found.anchor) == (("a",), ("b",), (None,))
    with recording(tmp_path, text, targets=("b",)) as found:
        assert found.input_names == ("a", "b")
    with recording(
        tmp_path, text, inputs=("b", "a"), targets=("b",), targets_as_inputs=False
    ) as found:  # named is named
        assert found.input_names == ("b", "a")
    with recording(tmp_path, text, targets=("s",), targets_as_inputs=False) as found:
        assert (found.input_names, found.classes) == (("a", "b"), ("off", "on"))
    told = refusal(tmp_path, text, targets_as_inputs=False)
    assert "log.csv: name the targets (--targets): " in told
    assert told.endswith("it has a, b, s")
    told = refusal(tmp_path, text, targets=("a", "b"), targets_as_inputs=False)
    assert (
        "no input is left apart from the targets a, b: name fewer targets (--targets), or" in told
    )


def test_blocks_are_the_stream_in_pieces_and_may_be_read_twice(tmp_path: Path) -> None:
    text = "t_s,a\n" + "".join(f"{i},{i * i}\n" for i in range(100))
    with recording(tmp_path, text) as found:
        for _ in range(2):
            blocks = list(found.blocks(7))
            assert [block.start for block in blocks] == list(range(0, 100, 7))
            assert not any(block.reset for block in blocks)
            joined = np.concatenate([block.inputs for block in blocks])
            np.testing.assert_array_equal(joined, found.stream().inputs)
            times = np.concatenate([block.time for block in blocks if block.time is not None])
            np.testing.assert_array_equal(times, np.arange(100.0))


def test_temporary_files_go_with_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spools = tmp_path / "spools"
    spools.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spools))
    with recording(tmp_path, PLAIN):
        assert list(spools.iterdir())
    assert not list(spools.iterdir())
    refusal(tmp_path, "a,b\n1,2\n3\n")
    assert not list(spools.iterdir())


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    told = refusal(tmp_path, PLAIN)
    assert "cannot write rows to this temporary file (No space left on device): free" in told


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        (",a\n0,5\n1,7\n2,5\n", ["column 'column 1' is left out: it numbers the rows"]),
        (",a\n40,5\n41,7\n42,5\n", ["column 'column 1' is left out: it numbers the rows"]),
        ("x,a\n40,5\n41,7\n42,5\n", []),
        ("nr,a\n1,5\n2,7\n3,5\n", ["column 'nr' is left out: it numbers the rows"]),
        ("a,z\n5,3\n7,3\n5,3\n", ["column 'z' is constant (3) and kept"]),
        ("a,z\n5,\n7,\n5,\n", ["column 'z' is left out: no row holds a value"]),
        (
            "a,s\n5,on\n7,off\n5,on\n",
            [
                "column 's' is left out: it holds 2 different texts (line 2 holds 'on'); name it "
                "with --inputs to have an input for each, or with --targets to learn it as classes"
            ],
        ),
        (
            "a,b\n5,1\n7,2\n5,err\n3,7\n" + 3 * "5,8\n6,err\n",
            [
                "column 'b' is left out: line 4 holds 'err', which is not a number; correct it or "
                "declare it as missing (--missing 'err')"
            ],
        ),
        (
            "a,p\n5,101325.020\n7,101325.022\n8,101325.024\n",
            [
                "column 'p': steps of 0.002 are below what a float32 holds at 101325.024 (0.0078): "
                "subtract a reference value"
            ],
        ),
        (
            "a,n\n5,16777217\n7,16777221\n8,16777230\n",
            [
                "column 'n': whole numbers such as 16777230 are above 16777216 and are rounded in "
                "float32: subtract a reference value"
            ],
        ),
        ("a\n1\n2\n3\n", ["column 'a' only counts rows, and it is the only one"]),
        ("a,b\n5,1\n7,2\n,\n,\n", ["2 empty rows at the end are left out"]),
        ("a,b\n5,1\n7,2\n,\n", ["1 empty row at the end is left out"]),
    ],
)
def test_notes_say_what_is_left_out_and_why(tmp_path: Path, text: str, notes: list[str]) -> None:
    with recording(tmp_path, text) as found:
        assert list(found.notes) == notes


def test_a_counter_that_is_named_is_an_input(tmp_path: Path) -> None:
    text = "nr,a\n1,5\n2,7\n3,5\n"
    assert values(tmp_path, text, inputs=("nr",)) == [[1], [2], [3]]


def test_an_empty_row_in_the_middle_is_a_sample_with_everything_missing(tmp_path: Path) -> None:
    with recording(tmp_path, "a,b\n1,2\n,\n3,5\n,\n") as found:
        assert found.has_missing_inputs
        np.testing.assert_array_equal(found.stream().inputs, [[1, 2], [np.nan] * 2, [3, 5]])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "a\n1\ninf\n",
            {},
            "line 3: column 'a' holds 'inf', which is beyond 1e+18, the limit "
            "of a learner's values",
        ),
        ("a,b\n1,2\n1,-1e300\n", {}, "line 3: column 'b' holds '-1e300', which is beyond 1e+18"),
        ("a,b\n,\n,\n", {}, "no row below the header holds a value"),
        ("a,b\nx,y\nz,y\n", {}, "no column of numbers is left (column 'a': it holds 2 different"),
        (
            "t_s\n1\n2\n",
            {},
            "no column of numbers is left (the time is an input only if it is named)",
        ),
        (
            "a,b\n1,2\n3,four\n5,6\n",
            {"inputs": ("b",)},
            "line 3: column 'b' holds 'four', which is not a number; correct it or declare it as "
            "missing (--missing 'four')",
        ),
        (
            "a,b\n1,2\n3,5\nTotal,7\n",
            {},
            "line 4: column 'a' holds 'Total', which is not a number, as 1 cell of 3 in this "
            "column: correct or remove the line, declare the cell as missing (--missing "
            "'Total'), or name the columns to use (--inputs)",
        ),
        ("a,b\n1,2\n3,5\n,Total\n,\n", {}, "line 4: column 'b' holds 'Total', which is not"),
        (
            "a,b\n1,2\n" + 3 * "3,err\n4,5\n",
            {"targets": ("a",)},
            "line 3: column 'b' holds 'err', which is not a number, as 3 cells of 7 in this column",
        ),
        ("a,b\n1,\n2,\n", {"inputs": ("b",)}, "column 'b': no row holds a value: leave the column"),
    ],
)
def test_columns_that_cannot_be_used_are_refused_with_their_line(
    tmp_path: Path, text: str, options: dict[str, Any], message: str
) -> None:
    assert message in refusal(tmp_path, text, **options)


def test_what_is_beyond_a_learner_does_not_matter_in_a_column_that_is_not_used(
    tmp_path: Path,
) -> None:
    text = "a,b\n1,2\n2,1e300\n"
    assert values(tmp_path, text, inputs=("a",), targets=("a",)) == [[1], [2]]
    assert values(tmp_path, text, missing=("1e300",))[1][0] == 2


CLASSES = "a,s\n1,ok\n2,fault\n4,\n5,ok\n"


def test_a_target_of_texts_is_one_of_sorted_classes(tmp_path: Path) -> None:
    with recording(tmp_path, CLASSES, targets=("s",)) as found:
        assert (found.classes, found.anchor) == (("fault", "ok"), None)
        assert (found.input_names, found.target_names) == (("a",), ("s",))
        np.testing.assert_array_equal(found.stream().targets[:, 0], [1, 0, np.nan, 1])


def test_an_input_of_texts_is_one_input_a_text(tmp_path: Path) -> None:
    with recording(tmp_path, CLASSES, inputs=("s", "a"), targets=("a",)) as found:
        assert found.input_names == ("s=fault", "s=ok", "a")
        assert found.has_missing_inputs
        nan = np.nan
        np.testing.assert_array_equal(
            found.stream().inputs, [[0, 1, 1], [1, 0, 2], [nan, nan, 4], [0, 1, 5]]
        )
        assert found.anchor == (2,)


def test_numbers_are_classes_where_the_link_says_so(tmp_path: Path) -> None:
    text = "a,c\n1,7\n2,3\n5,\n6,12\n"
    with recording(tmp_path, text, targets=("c",), link="categorical") as found:
        assert found.classes == ("3", "7", "12")
        np.testing.assert_array_equal(found.stream().targets[:, 0], [1, 0, np.nan, 2])
    with recording(tmp_path, "a\n3\n7\n3\n", link="categorical") as found:
        assert (found.target_names, found.classes) == (("a",), ("3", "7"))
    with recording(tmp_path, CLASSES, targets=("s",), link="bernoulli") as found:
        assert (found.classes, found.anchor) == (None, (None,))
        assert found.notes == ("target 's' is 0 where it is 'fault', else 1",)
        np.testing.assert_array_equal(found.stream().targets[:, 0], [1, 0, np.nan, 1])
    with recording(tmp_path, "a,c\n1,0\n2,1\n", targets=("c",), link="bernoulli") as found:
        assert found.classes is None
        np.testing.assert_array_equal(found.stream().targets[:, 0], [0, 1])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            CLASSES,
            {"targets": ("s", "a")},
            "target 's' holds classes, and there are 2 targets ('s', 'a'): name one",
        ),
        (
            "a,c\n1,0\n2,1\n",
            {"link": "categorical"},
            "--link categorical learns one target of classes, and there are 2 targets (as no "
            "targets are named, the inputs are the targets: 'a', 'c'): name one",
        ),
        (
            "a,b,c\n1,1,0\n2,0,1\n",
            {"targets": ("b", "c"), "link": "categorical"},
            "--link categorical learns one target of classes, and there are 2 targets ('b', 'c')",
        ),
        ("a,c\n1,0\n2,1\n", {"link": "bernoulli"}, "line 3: column 'a' holds '2': the link"),
        (CLASSES, {"targets": ("s",), "link": "gaussian"}, "line 2: column 's' holds 'ok', which"),
        ("a,c\n1,7\n2,7\n", {"targets": ("c",), "link": "categorical"}, "has 1 class, and"),
        ("a,c\n1,0\n2,3\n", {"targets": ("c",), "link": "bernoulli"}, "line 3: column 'c' holds"),
        (
            "a,c\n" + "".join(f"{i % 7},{i / 8}\n" for i in range(400)),
            {"targets": ("c",), "link": "categorical"},
            "target 'c' has more than 256 different values: these are not classes",
        ),
        (
            "a,c\n" + "".join(f"{i % 7},x{i}y\n" for i in range(40)),
            {"inputs": ("c",)},
            "line 2: column 'c' holds 'x0y'; it has 40 different texts, and an input for each is "
            "made for 32 at most",
        ),
    ],
)
def test_classes_that_cannot_be_are_refused(
    tmp_path: Path, text: str, options: dict[str, Any], message: str
) -> None:
    assert message in refusal(tmp_path, text, **options)


def test_a_column_that_begins_empty_may_hold_texts(tmp_path: Path) -> None:
    text = "a,s\n" + "3,\n5,\n" * 1000 + "4,open\n5,shut\n"
    with recording(tmp_path, text, targets=("s",)) as found:
        assert found.classes == ("open", "shut")
        np.testing.assert_array_equal(found.stream().targets[-3:, 0], [np.nan, 0, 1])


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n1,5,7\n2,5,7\n4,5,7\n",  # two constants of different values
        "a,b,c\n1,5,5\n2,5,5\n4,5,5\n",
        "a,b,c\n1,0,5\n2,0,5\n4,0,5\n",
        "a,b,c\n1,,5\n2,3,5\n4,,5\n",
    ],
)
def test_the_anchor_is_the_one_that_is_found_in_the_rows(tmp_path: Path, text: str) -> None:
    with recording(tmp_path, text, time="") as found:
        stream = found.stream()
        assert found.anchor == find_anchor(stream.inputs, stream.targets, 1)


def test_several_files_are_one_stream_with_a_reset_between(tmp_path: Path) -> None:
    paths = [write(tmp_path, PLAIN, "2.csv"), write(tmp_path, PLAIN, "1.csv")]
    (tmp_path / "notes.md").write_text("words")
    with read(paths, ReadOptions()) as found:
        assert [(b.start, b.reset, len(b.inputs)) for b in found.blocks()] == [
            (0, False, 3), (3, True, 3),
        ]  # fmt: skip
        assert found.title == f"{paths[0]} and {paths[1]}"
    with read([tmp_path], ReadOptions()) as found:
        assert (found.rows, found.segments) == (6, 2)
        assert found.title == f"{paths[1]} and {paths[0]}"
        assert "notes.md left out" in found.notes[0]


def test_files_of_a_folder_are_read_in_natural_order(tmp_path: Path) -> None:
    for name in ("log_10.csv", "log_9.csv", "log_1.csv", "Log_2.csv"):
        write(tmp_path, f"a\n{name[4:-4]}.5\n", name)
    with read([tmp_path], ReadOptions()) as found:
        np.testing.assert_array_equal(found.stream().inputs[:, 0], [1.5, 2.5, 9.5, 10.5])


@pytest.mark.parametrize(
    "text",
    ["Logger on the roof, 3 sensors\nsince 2024, in use\n", "a,b\n", "", "# a,b\n", "version 3\n"],
)
def test_what_is_no_table_in_a_folder_is_left_out(tmp_path: Path, text: str) -> None:
    write(tmp_path, PLAIN, "1.csv")
    other = write(tmp_path, text, "README.txt")
    with read([tmp_path], ReadOptions()) as found:
        assert found.rows == 3
        assert found.notes[0] == f"{other} is left out: it holds no row of numbers"
    with pytest.raises(StreamError):
        read([tmp_path / "1.csv", other], ReadOptions())  # named is named


def test_another_table_in_a_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, PLAIN, "1.csv")
    for text in ("x,y\n1,2\n3,5\n", "a,b,c\n1,2\n3,5\n"):
        write(tmp_path, text, "2.csv")
        with pytest.raises(StreamError, match=r"2\.csv: (.|\n)*the file from the folder"):
            read([tmp_path], ReadOptions())


def test_a_file_that_is_named_twice_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, PLAIN)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.csv").symlink_to(path)
    twice: list[list[str | Path]] = [
        [path, path],
        [path, "log.csv"],
        ["log.csv", "log.csv"],
        [path, tmp_path / "." / "log.csv"],
        [tmp_path, path],
    ]
    for paths in twice:
        with pytest.raises(StreamError, match=r"log\.csv is named twice: name it once|same file"):
            read(paths, ReadOptions())
    with pytest.raises(StreamError, match=r"other\.csv, which is the same file as .*log\.csv, is"):
        read([path, tmp_path / "other.csv"], ReadOptions())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("a,c\n1,2\n", "2.csv: column 2 is 'c', and in"),
        ("a\n1\n", "2.csv: column 2 is missing, and in"),
        ("a,b,c\n1,2,3\n", "2.csv: column 3 is 'c', and in"),
    ],
)
def test_files_with_other_columns_are_refused(tmp_path: Path, other: str, message: str) -> None:
    write(tmp_path, PLAIN, "1.csv")
    write(tmp_path, other, "2.csv")
    with pytest.raises(StreamError) as error:
        read([tmp_path], ReadOptions())
    assert message in str(error.value)


def test_an_error_in_the_second_file_names_it(tmp_path: Path) -> None:
    write(tmp_path, PLAIN, "1.csv")
    write(tmp_path, "a,b\n1,2\n2,inf\n", "2.csv")
    with pytest.raises(StreamError, match=r"2\.csv: line 3: column 'b' holds 'inf'"):
        read([tmp_path], ReadOptions())


def test_standard_input_and_pipes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PLAIN.encode())))
    with read(["-"], ReadOptions()) as found:
        assert (found.title, found.rows) == ("standard input", 3)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(PLAIN,))
    writer.start()
    with read([pipe], ReadOptions()) as found:
        assert found.rows == 3
    writer.join()


@pytest.mark.parametrize("paths", [[], ["-", "-"], ["none.csv"], ["\0"]])
def test_names_that_lead_nowhere_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: Sequence[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StreamError, match=r"name at least one|twice|no such file|cannot be read"):
        read(paths, ReadOptions())
    with pytest.raises(StreamError, match="the folder holds no file"):
        read([tmp_path], ReadOptions())


def test_the_progress_is_told_in_bytes_and_ends_at_the_whole(tmp_path: Path) -> None:
    text = "a,b\n" + "1.25,2.5\n" * 200_000
    path, told = write(tmp_path, text), []
    read([path], ReadOptions(), lambda done, total: told.append((done, total))).close()
    assert len(told) > 2
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (len(text), len(text))
