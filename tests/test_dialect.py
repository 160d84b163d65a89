"""How text files write tables: each way is read right, or refused with its line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("polars", reason="reading files needs the extra [app]")

from nbt_embed.app import lines
from nbt_embed.app.reading import ReadOptions, read
from nbt_embed.errors import StreamError

NAN = math.nan
ROWS = [[1.5, -2.25], [2.5, 0.5], [3.75, 1000]]
TEXT = "a,b\n1.5,-2.25\n2.5,0.5\n3.75,1000\n"


def table(directory: Path, text: str | bytes, **options: Any) -> tuple[Any, list[str]]:
    """Names with rows, and the notes."""
    path = directory / "log.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with read([path], ReadOptions(**options)) as found:
        rows = [[float(value) for value in row] for row in found.stream().inputs]
        return {"names": list(found.input_names), "rows": rows}, list(found.notes)


def refusal(directory: Path, text: str | bytes, **options: Any) -> str:
    with pytest.raises(StreamError) as error:
        table(directory, text, **options)
    return str(error.value).replace(f"{directory}/", "")


def same(found: Any, rows: list[list[float]], names: str = "a,b") -> bool:
    assert found["names"] == names.split(",")
    np.testing.assert_array_equal(np.float32(found["rows"]), np.array(rows, np.float32))
    return True


@pytest.mark.parametrize(
    ("delimiter", "note"),
    [("\t", "tab"), (";", "';'"), ("|", "'|'"), (" ", "space"), ("   ", "space")],
)
def test_delimiters_are_recognised(tmp_path: Path, delimiter: str, note: str) -> None:
    found, notes = table(tmp_path, TEXT.replace(",", delimiter))
    assert same(found, ROWS)
    assert notes == [f"cells are separated by {note}"]


@pytest.mark.parametrize("said", ["*", "tab", "\t"])
def test_a_delimiter_may_be_named(tmp_path: Path, said: str) -> None:
    mark = "\t" if said == "tab" else said
    assert same(table(tmp_path, TEXT.replace(",", mark), delimiter=said)[0], ROWS)


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\r\r\n", "\n\n", "\n  \n"])
def test_line_ends_and_blank_lines(tmp_path: Path, ending: str) -> None:
    assert same(table(tmp_path, TEXT.replace("\n", ending))[0], ROWS)
    assert same(table(tmp_path, TEXT.rstrip("\n"))[0], ROWS)


def test_a_line_end_that_two_pieces_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = TEXT.replace("\n", "\r\n")
    for block in range(1, len(text) + 1):
        monkeypatch.setattr(lines, "BLOCK", block)
        assert same(table(tmp_path, text)[0], ROWS)
        assert same(table(tmp_path, "a\r\n1\r\n3\r\n7\r\n")[0], [[1], [3], [7]], "a")


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", None), ("utf-8-sig", None), ("utf-16", "UTF-16-LE"), ("utf-16-le", "UTF-16-LE"),
        ("utf-16-be", "UTF-16-BE"), ("utf-32", "UTF-32-LE"), ("cp1252", "Windows-1252"),
    ],
)  # fmt: skip
def test_encodings_are_recognised(tmp_path: Path, encoding: str, note: str | None) -> None:
    text = TEXT.replace("a,", "temp °C,")
    found, notes = table(tmp_path, text.encode(encoding))
    assert same(found, ROWS, "temp °C,b")
    assert notes == ([f"the encoding {note} is recognised; --encoding changes it"] if note else [])


def test_an_encoding_that_shows_late_or_is_named(tmp_path: Path) -> None:
    late = ("a,b\n" + "1,2\n" * 100_000).encode() + b"3,4\n5,\xb0\n"
    assert "line 100003: column 'b' holds '°', which is not a number" in refusal(tmp_path, late)
    both = "a,b\n1,µ\n".encode() + b"2,3\n" * 200_000 + b"5,\xb0\n"
    assert "line 200003 is not UTF-8, unlike the lines before" in refusal(tmp_path, both)
    assert same(table(tmp_path, "ä,b\n1,2\n".encode("cp437"), encoding="cp437")[0], [[1, 2]], "ä,b")
    for bad in ("ä,b\n1,2\n", "a,b\n1,ä\n", "a,b\n" + "1,2\n" * 100_000 + "1,ä\n"):
        line = 1 if bad.startswith("ä") else bad.count("\n")
        told = refusal(tmp_path, bad.encode("latin-1"), encoding="utf-8")
        assert f"line {line} is not UTF-8, which --encoding names: correct it, or name" in told
        first = bad[0]
        good = table(tmp_path, bad.encode(), encoding="utf-8", inputs=(first,), missing=("ä",))[0]
        assert good["names"] == [first]
    late = "\ufeffa;b\n1.234;x\n2.345;".encode() + b"\xe9\n3.456;y\n"  # while its marks are weighed
    assert same(table(tmp_path, late, inputs=("a",))[0], [[1.234], [2.345], [3.456]], "a")
    assert "are not ascii" in refusal(tmp_path, "ä,b\n1,2\n", encoding="ascii")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a;b\n1,5;2,25\n-3,75;1000\n", [[1.5, 2.25], [-3.75, 1000]]),
        ("a;b\n1.234,5;2\n999,25;3\n", [[1234.5, 2], [999.25, 3]]),
        ("a;b\n990;20,13\n1.004;20,5\n", [[990, 20.13], [1004, 20.5]]),
        ("a;b\n1.234.567;1\n12;3\n", [[1234567, 1], [12, 3]]),
        ("a\tb\n1,5\t2\n,25\t3\n", [[1.5, 2], [0.25, 3]]),
        ('a,b\n"1,5",2\n"2,25",3\n', [[1.5, 2], [2.25, 3]]),
        ('a,b\n"1,234.5",2\n"999.5",3\n', [[1234.5, 2], [999.5, 3]]),
        ('a,b\n"1,234",2.5\n999,3\n', [[1234, 2.5], [999, 3]]),
        ("a;b\n1'234.5;2\n999.5;3\n", [[1234.5, 2], [999.5, 3]]),
        ("a;b\n1 234,5;2\n1\u202f999,5;3\n", [[1234.5, 2], [1999.5, 3]]),
        ("a;b\n1.129;6,94\n2.295;6,8\n", [[1129, 6.94], [2295, 6.8]]),
        ("a;b\n900;6.94\n1,295;6.8\n", [[900, 6.94], [1295, 6.8]]),
        ('a,b\n"1,129",6.94\n"2,295",6.8\n', [[1129, 6.94], [2295, 6.8]]),
        ("a;b\n20,129;6,948\n20,295;6,809\n", [[20.129, 6.948], [20.295, 6.809]]),
        ("a,b\n20.129,6.948\n20.295,7\n", [[20.129, 6.948], [20.295, 7]]),
        ("a;b\n1,5e3;2\n1e-2;3\n", [[1500, 2], [0.01, 3]]),
        ("a;b\n\u221220,35;2\n\u22121;\u22123e\u22121\n", [[-20.35, 2], [-1, -0.3]]),
        ("a,b\n\u221220.35,2\n\u22121,\u22123\n", [[-20.35, 2], [-1, -3]]),
        ("a,b\n" + "1.5,2\n" * 9 + "\u22121,3\n", [[1.5, 2]] * 9 + [[-1, 3]]),
    ],
)
def test_marks_of_numbers_are_recognised(
    tmp_path: Path, text: str, rows: list[list[float]]
) -> None:
    assert same(table(tmp_path, text)[0], rows)


def test_one_column_with_decimal_commas(tmp_path: Path) -> None:
    found, notes = table(tmp_path, "temp\n20,13\n20,5\n")
    assert same(found, [[20.13], [20.5]], "temp")
    assert notes == ["numbers have a decimal comma"]


@pytest.mark.parametrize("rows", [5, 100_000])
def test_marks_are_decided_by_the_whole_file(tmp_path: Path, rows: int) -> None:
    many = "".join(f"{i % 900};{i % 7}\n" for i in range(rows))
    found, notes = table(tmp_path, f"a;b\n{many}1;3,5\n1.000;4\n")
    assert found["rows"][-2:] == [[1, 3.5], [1000, 4]]
    assert notes[-1] == "numbers have a decimal comma"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a;b\n1,5;2\n1.234;3\n2,5;4\n",
            "log.csv: line 2, column 'a', holds '1,5' and line 3, column 'a', holds '1.234': these "
            "marks contradict one another: name the decimal mark, --decimal , or",
        ),
        (
            "a;b\n1,5;2\n1.5;3\n",
            "line 2, column 'a', holds '1,5', with a decimal comma, and line 3",
        ),
        ("a;b\n1;2,5\n3;4.75\n", "line 2, column 'b', holds '2,5', with a decimal comma, and line"),
        (
            "a\n990\n999\n1.000\n1.001\n",
            "line 4, column 'a', holds '1.000', which may be a fraction",
        ),
        (
            "a\n" + "990\n995\n" * 1000 + "1.004\n",
            "line 2002, column 'a', holds '1.004', which may",
        ),
        ("a;b\n990;1\n1,004;2\n", "line 3, column 'a', holds '1,004', which may be a fraction or"),
        ("a;b\n1.004;1,004\n2.004;3,004\n", "which may each be a fraction or thousands"),
        ("a;b\n20,129;6.95\n20,295;6.8\n", "holds '20,129', which may be a fraction or thousands"),
        ("a;b\n1004;1,5\n1.005;2,5\n", "holds '1004' and line 3, column 'a', holds '1.005': these"),
        (
            "a;b\n" + "1,5;2\n" * 100_000 + "1.234;3\n",
            "line 2, column 'a', holds '1,5' and line 100002, column 'a', holds '1.234'",
        ),
        ("a;b\n" + "1,5;2\n" * 200_000 + "1.5;3\n", "and line 200002, column 'a', holds '1.5'"),
        (
            "a;b\n" + "0.5;2\n" * 100_000 + "1,5;3\n",
            "line 100002, column 'a', holds '1,5', with a decimal comma, and line 2, column 'a'",
        ),
    ],
)
def test_marks_of_two_readings_are_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text)


def test_a_decimal_mark_may_be_named(tmp_path: Path) -> None:
    text = "a;b\n1,5;2\n1.234;3\n"
    assert same(table(tmp_path, text, decimal=",")[0], [[1.5, 2], [1234, 3]])
    assert "line 2: column 'a' holds '1,5', which is not a number" in refusal(
        tmp_path, text, decimal=".", inputs=("a",)
    )
    assert "line 3: column 'a' holds '1.5', which is not a number" in refusal(
        tmp_path, "a;b\n1,5;2\n1.5;3\n", decimal=",", inputs=("a",)
    )


@pytest.mark.parametrize(
    "cell",
    ["", "nan", "NaN", "NAN", "NA", "N/A", "n/a", "#N/A", "null", "NULL", "None", "-", "--", "?",
     " NA ", '""', "-nan", "<NA>"],
)  # fmt: skip
def test_spellings_of_a_missing_value(tmp_path: Path, cell: str) -> None:
    text = f"a,b\n1,2\n{cell},3.5\n2,{cell}\n5,4\n"
    assert same(table(tmp_path, text)[0], [[1, 2], [NAN, 3.5], [2, NAN], [5, 4]])


def test_missing_values_that_are_named(tmp_path: Path) -> None:
    text = "a,b\n-200,2\n-200.00,err\n1,off\n2,7\n"
    found, notes = table(tmp_path, text, missing=("-200", "err", "off"))
    assert same(found, [[NAN, 2], [NAN, NAN], [1, NAN], [2, 7]])
    assert notes == []
    assert same(table(tmp_path, "a,b\n1,inf\n2,3\n", missing=("inf",))[0], [[1, NAN], [2, 3]])


@pytest.mark.parametrize("cell", ["1_000", "0x10", "١٢", "1e", "--5", "5%", "1.2.3", "1,2,3"])
def test_what_is_no_number_is_none(tmp_path: Path, cell: str) -> None:
    text = f'a,b\n1,2\n"{cell}",3\n4,5\n'
    assert f"line 3: column 'a' holds {cell!r}, which is not a number" in refusal(
        tmp_path, text, inputs=("a",)
    )
    assert same(table(tmp_path, text, inputs=("b",))[0], [[2], [3], [5]], "b")


@pytest.mark.parametrize(
    ("text", "names", "note"),
    [
        ("# made by x\n" + TEXT, "a,b", None),
        (TEXT.replace("\n2.5", "\n# paused\n% here\n//there\n2.5"), "a,b", None),
        ("Logger SN 1\nRoof, north, side\n\n" + TEXT, "a,b", "the first 2 lines are left out as a"),
        ('"TOA5","x","y"\n' + TEXT, "a,b", "the first line is left out as a preamble"),
        ("a,b\ndegC,l/min\n" + TEXT[4:], "a,b", "line 2 is left out as a row of units"),
        ("a,b\nmm,-\nAvg,\n" + TEXT[4:], "a,b", "line 3 is left out"),
        (
            TEXT[4:],
            "x1,x2",
            "line 1 is the first row, there is no header: the columns are named x1",
        ),
        ("sep=;\n" + TEXT.replace(",", ";"), "a,b", "cells are separated by ';'"),
        ("%a,b\n" + TEXT[4:], "a,b", "the last comment line before the rows holds the names"),
        ("# a,b\n" + TEXT[4:], "a,b", "the last comment line before the rows holds the names"),
        ("0,1\n" + TEXT[4:], "0,1", None),
        (TEXT.replace("\n", ",\n"), "a,b", None),
        ("a,b\n" + TEXT[4:].replace("\n", ",\n"), "a,b", None),
        ("a,b,\n" + TEXT[4:], "a,b", None),
        ('"a","b"\n"1.5","-2.25"\n"2.5","0.5"\n"3.75","1000"\n', "a,b", None),
        (TEXT.replace(",", " , "), "a,b", None),
        (TEXT.replace("a,b", ' "a" , "b" '), "a,b", None),
    ],
)
def test_what_stands_above_between_and_around_the_rows(
    tmp_path: Path, text: str, names: str, note: str | None
) -> None:
    found, notes = table(tmp_path, text)
    assert same(found, ROWS, names)
    assert any(note in one for one in notes) if note else True


@pytest.mark.parametrize(
    "error",
    ["#NV", "#N/A", "#DIV/0!", "#REF!", "#VALUE!", "#WERT!", "#NULL!", "#NUM!", "#ZAHL!", "#NAME?",
     "#BEZUG!", "#nv", '"#NV"'],
)  # fmt: skip
@pytest.mark.parametrize("column", [0, 1])
def test_errors_of_a_spreadsheet_are_missing_values_and_are_counted(
    tmp_path: Path, error: str, column: int
) -> None:
    rows: list[list[object]] = [[i / 8, i * i] for i in range(100)]
    for row in rows[::10]:
        row[column] = error
    text = "temp;n\n" + "".join(f"{a};{b}\n" for a, b in rows)
    found, notes = table(tmp_path, text)
    assert len(found["rows"]) == 100
    assert np.isnan([row[column] for row in found["rows"]]).sum() == 10
    bare, told = error.strip('"'), "10 cells hold errors of a spreadsheet and count as missing"
    assert f"{told} (the first is {bare} in line 2)" in notes


def test_an_error_of_a_spreadsheet_in_a_single_column_is_a_missing_sample(tmp_path: Path) -> None:
    found, notes = table(tmp_path, "a\n1.5\n#NV\n# pause\n2.5\n")
    assert same(found, [[1.5], [NAN], [2.5]], "a")
    assert notes == [
        "1 comment line below the header is left out (the first is line 4: '# pause')",
        "1 cell holds an error of a spreadsheet and counts as missing (the first is #NV in line 3)",
    ]


@pytest.mark.parametrize("text", ["#5", "%", "//x"])
@pytest.mark.parametrize("line", [2, 4, 100_002])
def test_a_line_with_all_cells_is_a_row_whatever_it_begins_with(
    tmp_path: Path, text: str, line: int
) -> None:
    rows = [f"{i / 8};{i}" for i in range(100_010)]
    rows[line - 2] = f"{text};3"
    content = "a;b\n" + "\n".join(rows) + "\n"
    told = refusal(tmp_path, content, inputs=("a",))
    assert f"line {line}: column 'a' holds {text!r}, which is not a number" in told


def test_a_first_column_of_texts_may_begin_as_comments_do(tmp_path: Path) -> None:
    for text in ("id,a\n#1,5\n#2,6\n#3,8\n", "id,a\nx,5\n#2,6\ny,8\n"):
        assert same(table(tmp_path, text)[0], [[5], [6], [8]], "a")


def test_comment_lines_below_the_header_are_noted(tmp_path: Path) -> None:
    text = "# made by x, 2\na,b\n# degC, %\n1,2\n# paused, then resumed\n3,4\n5,7\n// end\n"
    found, notes = table(tmp_path, text)
    assert same(found, [[1, 2], [3, 4], [5, 7]])
    assert notes == [
        "3 comment lines below the header are left out (the first is line 3: '# degC, %')"
    ]
    assert table(tmp_path, "# x\n" + TEXT)[1] == []
    for above in ("", "Logger on the roof\n", "# x\n"):
        notes = table(tmp_path, f"{above}# a,b\n" + TEXT[4:])[1]
        assert not any("below the header" in note for note in notes)


ONE: list[list[float]] = [[20.13], [20.29], [-3.5], [NAN], [21]]


@pytest.mark.parametrize(
    ("above", "options"),
    [
        ("temp\n", {}),
        ("temp\ndegC\n", {}),
        ("temp\ndegC\nAvg\n", {}),
        ("# a log, of x\ntemp\n", {}),
        ("temp\n", {"decimal": ","}),
        ("temp\ndegC\n", {"decimal": ","}),
        ("temp\n", {"delimiter": ";"}),
    ],
)
def test_one_column_of_numbers_with_a_decimal_comma(
    tmp_path: Path, above: str, options: dict[str, Any]
) -> None:
    text = above + "20,13\n20,29\n-3,5\nNaN\n21\n"
    assert same(table(tmp_path, text, **options)[0], ONE, "temp")
    begun = text.replace("20,13", "21\n20,13")  # the first row has no comma
    assert same(table(tmp_path, begun, **options)[0], [[21], *ONE], "temp")


def test_two_columns_or_one_with_a_decimal_comma(tmp_path: Path) -> None:
    text = "20,19\n19,67\n21,40\n"
    found, notes = table(tmp_path, text)
    assert same(found, [[20, 19], [19, 67], [21, 40]], "x1,x2")
    assert "rows such as '20,19' are read as two columns: --decimal , reads it as one" in notes[0]
    assert same(table(tmp_path, text, decimal=",")[0], [[20.19], [19.67], [21.4]], "x1")
    assert not any("two columns" in n for n in table(tmp_path, text, delimiter=",")[1])
    told = refusal(tmp_path, text + "20,05\n")
    assert "line 4: '20,05' may be a number with a decimal comma or two numbers: use" in told
    assert same(table(tmp_path, "a,b\n" + text)[0], [[20, 19], [19, 67], [21, 40]])


def test_a_decimal_comma_that_is_said_leaves_commas_between_quoted_cells(tmp_path: Path) -> None:
    text = '"a","b"\n"1,5","2,5"\n"3,5","4,25"\n'
    assert same(table(tmp_path, text, decimal=",")[0], [[1.5, 2.5], [3.5, 4.25]])


def test_row_names_without_a_name_for_their_column(tmp_path: Path) -> None:
    text = 'a,b\n"1",1.5,-2.25\n"2",2.5,0.5\n"3",3.75,1000\n'
    found, notes = table(tmp_path, text)
    assert same(found, ROWS)
    assert notes == [
        "line 1 names all columns except the first",
        "column 'column 1' is left out: it numbers the rows",
    ]


def test_a_name_too_few_is_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, "a,b\n1.5,2.5,3.5\n2.5,1.5,7\n")
    assert "line 1 has 2 cells and line 2 has 3, separated by ',': name every column" in told


def test_a_first_row_with_a_missing_value_is_no_header(tmp_path: Path) -> None:
    found, _ = table(tmp_path, ",ok,3\n1,ok,4\n2,bad,5\n4,ok,7\n")
    assert same(found, [[NAN, 3], [1, 4], [2, 5], [4, 7]], "x1,x3")
    found, _ = table(tmp_path, ",ok\n,ok\n1,ok\n2,bad\n4,ok\n")
    assert same(found, [[NAN], [NAN], [1], [2], [4]], "x1")


def test_skip_and_header_may_be_said(tmp_path: Path) -> None:
    found, notes = table(tmp_path, "x,y\n" + TEXT, skip=1)
    assert same(found, ROWS)
    assert notes == ["the first line is skipped, as requested"]
    assert same(table(tmp_path, TEXT, skip=1, header=False)[0], ROWS, "x1,x2")
    assert same(table(tmp_path, "1,2\n3,4\n3,5\n", header=True)[0], [[3, 4], [3, 5]], "1,2")
    assert same(table(tmp_path, "1,2\n3,4\n3,5\n")[0], [[1, 2], [3, 4], [3, 5]], "x1,x2")


def test_a_blank_line_of_a_single_column_is_a_missing_sample(tmp_path: Path) -> None:
    text = "a\n1.5\n\n2.5\n\n\n"
    for ending in ("\n", "\r\n", "\r\r\n"):
        assert same(table(tmp_path, text.replace("\n", ending))[0], [[1.5], [NAN], [2.5]], "a")


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ('"a\n[C]",b\n1,2\n3,5\n', ["a\n[C]", "b"], [[1, 2], [3, 5]]),
        ('a,"b ""x"""\n1,2\n3,5\n', ["a", 'b "x"'], [[1, 2], [3, 5]]),
        ('a,n\n1,"open, shut"\n3,"two\nlines; 5"\n4,"say ""no"""\n', ["a"], [[1], [3], [4]]),
        ('a,n,b\n1,"two\nlines",5\n3,,6\n', ["a", "b"], [[1, 5], [3, 6]]),
    ],
)
def test_quoted_cells_may_hold_anything(
    tmp_path: Path, text: str, names: list[str], rows: list[list[float]]
) -> None:
    found, _ = table(tmp_path, text)
    assert found == {"names": names, "rows": rows}


@pytest.mark.parametrize("lines_below", [3, 300, 100_000])
@pytest.mark.parametrize(
    ("bad", "closing", "column"),
    [
        ('17.5,6.5,"valve 3 open', "", "note"),
        ('17.5,6.5,"valve 3 open', '1.5,2.5,shut"', "note"),
        ('17.5,6.5,"valve 3 open', '1.5,2.5,"shut"', "note"),
        ('17.5,"6.5,ok', "", "b"),
        ('17.5,"6.5,ok', '1.5,2.5",ok', "b"),
        ('"17.5,6.5,ok', "", "a"),
    ],
)
def test_a_quote_that_swallows_lines_is_named(
    tmp_path: Path, bad: str, closing: str, column: str, lines_below: int
) -> None:
    row = "1.5,2.5,ok\n"
    text = (
        "a,b,note\n" + 40 * row + bad + "\n" + lines_below * row + (closing + "\n") * bool(closing)
    )
    told = refusal(tmp_path, text + row)
    assert f"log.csv: line 42, column {column!r}: a quote (" in told
    assert "is not closed and includes the lines below: close or remove it, or use" in told
    if '"' in text and not closing and column == "note":
        assert len(table(tmp_path, text, quote="")[0]["rows"]) == 41 + lines_below


def test_a_quote_that_swallows_the_next_line_alone(tmp_path: Path) -> None:
    text = 'v,w\n1.5,2.5\n3.5,"4.5\n5.5,6.5"\n7.5,8.5\n'
    assert "line 3, column 'w': a quote (" in refusal(tmp_path, text)


def test_quotes_within_cells_are_refused_or_text(tmp_path: Path) -> None:
    text = 'a,pipe\n1,5" steel\n2,6" steel\n4,7"\n5,8"\n'
    told = refusal(tmp_path, text)
    assert "line 2: a quote is inside the cell '5\" steel': put quotes around" in told
    assert same(table(tmp_path, text, quote="")[0], [[1], [2], [4], [5]], "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("sep=;\n", "the file is empty"),
        ("a,b\n", "no row below the header (line 1) holds a value"),
        (
            "a,b\n1,2\n3\n",
            "line 3 has 1 cell and the header has 2, separated by ',' ('3'): correct",
        ),
        ("a,b\n1,2,3\n4,5\n", "line 2 has 3 cells and the header has 2"),
        ("a,b\n" + "1,2\n" * 100_000 + "\n#\n1,2,3\n", "line 100004 has 3 cells and the header"),
        ("a,b,c\n1,2\n3,4\n", "line 1 has 3 cells and line 2 has 2, separated by ',': name every"),
        (
            'a,"b\n1,2\n3,4\n5,"6\n7,8\n',
            "line 1: a quote is not closed and includes the lines below",
        ),
        ("#1,2\n#2,3\n", "the file contains only comment lines (# % //): name one with a header"),
        ("a,a\n1,2\n", "line 1: columns 1 and 2 are both named 'a': rename one"),
        (b"a,b\n1,2\n3,\x004\n", "line 3 holds a NUL byte"),
        (b"a,b\n" + b"1,2\n" * 100_000 + b"3,\x00\n", "line 100002 holds a NUL byte"),
        (b"a,b\n" + bytes(1000), "line 2 holds a NUL byte: this is not a text file"),
        (
            bytes(range(256)) * 40,
            "holds a NUL byte: this is not a text file; CSV, Parquet, Arrow and",
        ),
        ("a\n" + "1" * (lines.LONGEST + 10), "is longer than 16 MiB: this is not a table"),
    ],
)
def test_files_that_are_no_tables_are_refused(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    told = refusal(tmp_path, text)
    assert told.startswith("log.csv: ")
    assert message in told


def test_lines_are_counted_with_preamble_comments_and_blank_lines(tmp_path: Path) -> None:
    text = "Logger\n# x\n\na,b\n\n1,2\n# y\n3,4\n\n\n5,inf\n"
    assert "log.csv: line 11: column 'b' holds 'inf'" in refusal(tmp_path, text)
    quoted = 'a,n,b\n1,"x\ny",2\n3,"x\n\ny",4\n5,z,inf\n'
    assert "log.csv: line 7: column 'b' holds 'inf'" in refusal(tmp_path, quoted)


@pytest.mark.parametrize(
    "text",
    [
        "druck;zahl\n1.101;2.101\n3.205;9.999\n",
        "druck;zahl\n1.101;n\n3.205;x\n" + "2.222;n\n" * 100_000,
        "druck\tzahl\n1.101\t5\n3.205\t7000\n",
        "druck\n1.101\n3.205\n",
    ],
)
def test_points_that_may_part_thousands_are_noted(tmp_path: Path, text: str) -> None:
    found, notes = table(tmp_path, text)
    assert found["rows"][0][0] == np.float32(1.101)
    told = "line 2, column 'druck', holds '1.101', which is read as a fraction, as no cell shows"
    assert any(note.startswith(told) and "--decimal , selects thousands" in note for note in notes)
    first = text if "7000" not in text else text.replace("7000", "7")
    assert table(tmp_path, first, decimal=",")[0]["rows"][0][0] == 1101
    for said in (text + text.split("\n")[1].replace("1.101", "0.5") + "\n", text):
        options = {"decimal": "."} if said == text else {}
        assert not any("thousands" in note for note in table(tmp_path, said, **options)[1])


def test_names_may_hold_quotes(tmp_path: Path) -> None:
    rows = "1.5,-2.25\n2.5,0.5\n3.75,1000\n"
    for header in ('3/4" pipe,b', '"3/4"" pipe",b'):
        assert same(table(tmp_path, f"{header}\n{rows}")[0], ROWS, '3/4" pipe,b')


def test_points_between_commas_are_decimal(tmp_path: Path) -> None:
    assert table(tmp_path, "a,b\n1.101,2.101\n3.205,9.999\n")[1] == []
