"""Streams: what a file holds comes out, and what cannot be used is refused by name."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbt_embed import NbtError
from nbt_embed.csvfile import from_csv
from nbt_embed.errors import InputError, InputTypeError, StreamError
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream, from_arrays

PLAIN = "t,a,b\n0,1,10\n1,2,20\n2,3,30\n"
EUROPEAN = "Date;Time;CO(GT);T;;\n1/3/04;18.00;2,6;-200;;\n1/3/04;19.00;;13,5;;\n;;;;;\n;;;;;\n"


def write(directory: Path, text: str, name: str = "stream.csv") -> Path:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_numeric_column_but_the_time_is_input_and_target(tmp_path: Path) -> None:
    stream = from_csv(write(tmp_path, PLAIN), time="t")
    assert stream.input_names == stream.target_names == ("a", "b")
    np.testing.assert_array_equal(stream.inputs, [[1, 10], [2, 20], [3, 30]])
    np.testing.assert_array_equal(stream.targets, stream.inputs)
    assert stream.inputs.dtype == np.float32
    assert (len(stream), stream.n_in, stream.n_out, stream.unused) == (3, 2, 2, ())


def test_without_a_time_all_columns_count_and_chosen_ones_keep_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, PLAIN)
    assert from_csv(path).input_names == ("t", "a", "b")
    stream = from_csv(path, inputs=["b", "a"], targets=["t"])
    np.testing.assert_array_equal(stream.inputs[0], [10, 1])
    np.testing.assert_array_equal(stream.targets[:, 0], [0, 1, 2])


@pytest.mark.parametrize("delimiter", ["\t", ";", "|", ","])
def test_delimiters_are_recognised(delimiter: str, tmp_path: Path) -> None:
    stream = from_csv(write(tmp_path, PLAIN.replace(",", delimiter)), time="t")
    assert stream.input_names == ("a", "b")


def test_gzip_byte_order_mark_windows_lines_quotes_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "stream.csv.gz"
    path.write_bytes(gzip.compress(b'\xef\xbb\xbf\r\n"a, b",c\r\n1,2\r\n\r\n"3", 4 \r\n\r\n'))
    stream = from_csv(path)
    assert stream.input_names == ("a, b", "c")
    np.testing.assert_array_equal(stream.inputs, [[1, 2], [3, 4]])


def test_decimal_commas_empty_columns_and_empty_rows_at_the_end(tmp_path: Path) -> None:
    stream = from_csv(write(tmp_path, EUROPEAN), missing=-200)
    assert stream.input_names == ("Time", "CO(GT)", "T")
    np.testing.assert_array_equal(stream.inputs[:, 1:], [[np.float32(2.6), np.nan], [np.nan, 13.5]])
    assert stream.unused == (("Date", "line 2 holds '1/3/04', not a number"),)


def test_an_empty_row_in_the_middle_is_a_sample_with_everything_missing(tmp_path: Path) -> None:
    stream = from_csv(write(tmp_path, "a,b\n1,2\n,\n3,4\n,\n"))
    np.testing.assert_array_equal(stream.inputs, [[1, 2], [np.nan, np.nan], [3, 4]])
    assert stream.has_missing_inputs


@pytest.mark.parametrize("missing", [-200, -200.0, "-200", "-200.0"])
def test_the_missing_value_is_compared_as_a_number(missing: Any, tmp_path: Path) -> None:
    stream = from_csv(write(tmp_path, "a\n1\n-200\n-200.00\n\nnan\n"), missing=missing)
    np.testing.assert_array_equal(stream.inputs[:, 0], [1, np.nan, np.nan, np.nan])


def test_the_missing_value_may_be_a_text(tmp_path: Path) -> None:
    stream = from_csv(write(tmp_path, "a,b\n1,?\n?,2\n"), missing="?")
    np.testing.assert_array_equal(stream.inputs, [[1, np.nan], [np.nan, 2]])


def test_a_column_without_values_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,-1\n2,-1\n")
    stream = from_csv(path, missing=-1)
    assert stream.input_names == ("a",)
    assert stream.unused == (("b", "no value in any row"),)
    with pytest.raises(StreamError, match=r"column 'b': no value in any row; leave the column out"):
        from_csv(path, targets=["b"], missing=-1)


def test_one_row_is_a_stream(tmp_path: Path) -> None:
    assert len(from_csv(write(tmp_path, "a\n1"))) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("a,b\n", "no row below the header holds a value"),
        ("a,b\n,\n,\n", "no row below the header holds a value"),
        ("1,2\n3,4\n", "the first line holds no names (1, 2): add a header line"),
        ("a,a\n1,2\n", "two columns are named 'a': rename one"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells and the header has 2"),
        ("a,b\n1,2,3\n", "line 2 has 3 cells and the header has 2"),
        ("a b\n1 2\n", "no numeric column (a b: line 2 holds '1 2', not a number)"),
        ("a\n1\ninf\n", "column 'a', data row 2: inf is not a finite float32"),
        ("a\n1\n1e300\n", "column 'a', data row 2: 1e+300 is not a finite float32"),
    ],
)
def test_files_that_cannot_be_used_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(StreamError) as error:
        from_csv(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"time": "z"}, "no column 'z'; it has t, a, b"),
        ({"inputs": ["a", "z"]}, "no column 'z'"),
        ({"targets": ["z"]}, "no column 'z'"),
        ({"inputs": ["a", "a"]}, "name at least one column, each once"),
        ({"targets": []}, "name at least one column, each once"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(
    choice: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(StreamError, match=message):
        from_csv(write(tmp_path, PLAIN), **choice)


def test_a_chosen_column_with_a_text_names_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,2\n3,four\n")
    with pytest.raises(StreamError, match="column 'b': line 3 holds 'four', not a number"):
        from_csv(path, inputs=["b"])
    assert from_csv(path).input_names == ("a",)


def test_only_a_time_is_no_stream(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="no numeric column \\(only the time\\)"):
        from_csv(write(tmp_path, "t\n1\n2\n"), time="t")


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    def refused(path: Path, message: str) -> None:
        with pytest.raises(StreamError, match=message):
            from_csv(path)

    refused(tmp_path / "none.csv", "no such file")
    refused(tmp_path, "cannot be read")
    packed = gzip.compress(PLAIN.encode())
    for name, content, message in (
        ("latin.csv", "a\n1é\n".encode("latin-1"), "not UTF-8 text"),
        ("plain.csv.gz", PLAIN.encode(), "cannot be read"),
        ("cut.csv.gz", packed[:-12], "cut off"),
        ("damaged.csv.gz", packed[:10] + b"\xff" * 20, "damaged"),
        ("zero.csv", b"a\n1\n\x00\n", "not a"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, message)


def test_arrays_become_a_stream() -> None:
    values = np.arange(6.0).reshape(3, 2)
    stream = from_arrays(values)
    assert stream.input_names == stream.target_names == ("x1", "x2")
    values[:] = -1
    np.testing.assert_array_equal(stream.inputs, [[0, 1], [2, 3], [4, 5]])
    stream = from_arrays([1, 2, np.nan], [[1, 2]] * 3, input_names=["p"], target_names=["q", "r"])
    assert (stream.n_in, stream.n_out, stream.target_names) == (1, 2, ("q", "r"))
    assert from_arrays([1.0], target_names=["next"]).target_names == ("next",)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), InputError, r"inputs has shape \(0, 1\)"),
        (([[[1.0]]],), InputError, "inputs has shape"),
        (([1.0, np.inf],), InputError, r"inputs\[1, 0\] is infinite"),
        (([1.0, 1e300],), InputError, r"inputs\[1, 0\] is infinite in float32"),
        (([1.0], [1.0, 2.0]), InputError, "targets has 2 rows and inputs has 1"),
        ((["a"],), InputTypeError, "inputs has dtype <U1"),
        (([1.0], None, ["a", "b"]), InputError, "input_names has 2 names: expected 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    arguments: tuple[Any, ...], error: type[NbtError], message: str
) -> None:
    with pytest.raises(error, match=message):
        from_arrays(*arguments)


def test_the_simulated_sensor_repeats_itself_and_changes_half_way() -> None:
    stream = simulated_sensor(4000, seed=1, missing=0.05)
    again = simulated_sensor(4000, seed=1, missing=0.05)
    np.testing.assert_array_equal(stream.inputs, again.inputs)
    assert not np.array_equal(stream.inputs, simulated_sensor(4000, seed=2).inputs, equal_nan=True)
    assert np.isnan(stream.inputs).mean() == pytest.approx(0.05, abs=0.005)
    clean = simulated_sensor(4000, seed=1, missing=0, noise=0).inputs.astype(float)
    assert np.isfinite(clean).all()
    position, temperature = clean[:, 0], clean[:, 2]
    before, after = position[500:2000].std(), position[2500:].std()
    assert after > 1.1 * before
    assert np.ptp(temperature) > 2
    # White noise of the size that was asked for, once lost samples are left out.
    noisy = simulated_sensor(4000, seed=1, missing=0, noise=0.02).inputs[:, 0].astype(float)
    assert (noisy - position).std() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"steps": 0}, "steps"),
        ({"missing": 1.5}, "missing"),
        ({"missing": float("nan")}, "missing"),
        ({"noise": -1.0}, "noise"),
        ({"seed": -1}, "seed"),
    ],
)
def test_the_simulated_sensor_refuses_settings_by_name(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(InputError, match=f"{name} = "):
        simulated_sensor(**settings)


def test_one_simulated_step_and_only_missing_ones() -> None:
    assert len(simulated_sensor(1)) == 1
    stream: Stream = simulated_sensor(10, missing=1)
    assert np.isnan(stream.inputs).all()
