"""Compressed files, archives and files of other formats; the files that once went wrong."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import shared

pl = pytest.importorskip("polars", reason="reading files needs the extra [app]")
zstandard = pytest.importorskip("zstandard", reason="reading files needs the extra [app]")

from nbt_embed.app.reading import ReadOptions, Recording, read
from nbt_embed.errors import StreamError

TEXT = b"a,b\n1.5,-2.25\n2.5,0.5\n3.75,1000\n"
ROWS = [[1.5, -2.25], [2.5, 0.5], [3.75, 1000]]


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def locked(content: bytes) -> bytes:
    """The archive with the bit that says that its file is encrypted."""
    marked = bytearray(content)
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        marked[marked.index(signature) + place] |= 1
    return bytes(marked)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "zip": lambda data: zipped(data=data),
}


def recording(directory: Path, content: bytes, **options: Any) -> Recording:
    path = directory / "log"
    path.write_bytes(content)
    return read([path], ReadOptions(**options))


def refusal(directory: Path, content: bytes) -> str:
    with pytest.raises(StreamError) as error:
        recording(directory, content)
    return str(error.value).replace(f"{directory}/", "")


@pytest.mark.parametrize("packer", PACKERS)
def test_compression_is_known_by_content(tmp_path: Path, packer: str) -> None:
    with recording(tmp_path, PACKERS[packer](TEXT)) as found:
        np.testing.assert_array_equal(found.stream().inputs, ROWS)


def test_several_members_and_layers(tmp_path: Path) -> None:
    for content in (
        gzip.compress(gzip.compress(TEXT)),
        gzip.compress(TEXT[:20]) + gzip.compress(TEXT[20:]),
        zstandard.compress(TEXT[:20]) + zstandard.compress(TEXT[20:]),
        bz2.compress(lzma.compress(TEXT)),
        zipped(log=gzip.compress(TEXT)),
    ):
        with recording(tmp_path, content) as found:
            np.testing.assert_array_equal(found.stream().inputs, ROWS)
    deep = TEXT
    for _ in range(6):
        deep = gzip.compress(deep)
    assert "archives within archives, 4 deep: unpack them" in refusal(tmp_path, deep)


@pytest.mark.parametrize("packer", PACKERS)
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, packer: str) -> None:
    draw = random.Random(0)
    rows = b"".join(
        b"%d,%d\n" % (draw.randrange(10**9), draw.randrange(10**9)) for _ in range(9999)
    )
    packed = PACKERS[packer](b"a,b\n" + rows)
    for length in (len(packed) // 2, len(packed) - 3):
        assert "the compressed file is cut off or damaged (" in refusal(tmp_path, packed[:length])


@pytest.mark.parametrize("packer", ["gzip", "bzip2", "xz", "zip"])
def test_a_damaged_file_is_refused(tmp_path: Path, packer: str) -> None:
    draw = random.Random(1)
    rows = b"".join(
        b"%d,%d\n" % (draw.randrange(10**9), draw.randrange(10**9)) for _ in range(9999)
    )
    packed = bytearray(PACKERS[packer](b"a,b\n" + rows))
    packed[len(packed) // 2 : len(packed) // 2 + 40] = bytes(40)
    assert "the compressed file is cut off or damaged (" in refusal(tmp_path, bytes(packed))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            zipped(a=TEXT, b=TEXT),
            "the archive holds 2 files (a, b): unpack it and name one of them",
        ),
        (locked(zipped(data=TEXT)), "data is encrypted: unpack it"),
        (zipped(), "is an archive without files"),
        (zipped(**{"a/": b"", "a/.hidden": b"", "__MACOSX/x": b""}), "the archive holds 0 files"),
        (zipped(**{"[Content_Types].xml": b"x"}), "is an Office document: save its sheet as CSV"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "is an Excel workbook: save its sheet as CSV"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "is an HDF5 file: write the table as CSV or Parquet"),
        (bytes(257) + b"ustar" + bytes(300), "is a tar archive: unpack it and name the files"),
        (b"%PDF-1.7\n", "is a PDF: write the table as CSV"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refusal(tmp_path, content)


def frame() -> Any:
    return pl.DataFrame(
        {
            "when": pl.datetime_range(
                pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 1, 0, 9), "1m", eager=True
            ),
            "on": [i % 3 == 0 for i in range(10)],
            "whole": [i * i for i in range(10)],
            "money": pl.Series([f"{i}.25" for i in range(10)]).cast(pl.Decimal(10, 2)),
            "kind": pl.Series(["x", "y"] * 5, dtype=pl.Categorical),
            "text": [None, *["v", "u", "u"] * 3],
            "real": [None if i == 3 else i / 7 for i in range(10)],
            "list": [[1, 2]] * 10,
        }
    )


def arrow(method: str) -> bytes:
    file = io.BytesIO()
    getattr(frame(), method)(file)
    return file.getvalue()


@pytest.mark.parametrize("method", ["write_parquet", "write_ipc", "write_ipc_stream"])
def test_columns_with_types(tmp_path: Path, method: str) -> None:
    content = arrow(method)
    for packed in (content, gzip.compress(content)):
        with recording(tmp_path, packed, targets=("text",)) as found:
            assert found.input_names == ("on", "whole", "money", "real")
            assert found.classes == ("u", "v")
            assert found.time is not None
            assert (found.time.column, found.time.interval) == ("when", 60)
            assert found.notes[0].startswith("column 'list' is left out: List(Int64) is neither")
            block = next(found.blocks())
            np.testing.assert_array_equal(block.inputs[:, 0], [i % 3 == 0 for i in range(10)])
            np.testing.assert_array_equal(block.inputs[:, 2], np.arange(10) + 0.25)
            assert np.flatnonzero(np.isnan(block.inputs).any(axis=1)).tolist() == [3]
            np.testing.assert_array_equal(block.targets[:, 0], [np.nan, *[1, 0, 0] * 3])
            np.testing.assert_array_equal(block.time, frame()["when"].to_numpy())
    with recording(tmp_path, content, inputs=("kind",)) as found:
        assert found.input_names == ("kind=x", "kind=y")


def test_a_bad_value_of_a_typed_file_is_named_by_its_row(tmp_path: Path) -> None:
    file = io.BytesIO()
    pl.DataFrame({"a": [1.0, 2.0, float("inf")]}).write_parquet(file)
    assert "log: row 3: column 'a' holds 'inf', which is beyond 1e+18" in refusal(
        tmp_path, file.getvalue()
    )
    assert "the file is damaged, or of a kind that is not supported" in refusal(
        tmp_path, file.getvalue()[:-9]
    )


def test_a_panic_of_polars_about_damaged_bytes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def panics(_: Any) -> None:
        raise pl.exceptions.PanicException("range end index 9 out of range")

    file = io.BytesIO()
    pl.DataFrame({"a": [1.0, 2.0]}).write_parquet(file)
    monkeypatch.setattr(pl.LazyFrame, "collect", panics)
    assert "the file is damaged, or of a kind that is not supported (range end" in refusal(
        tmp_path, file.getvalue()
    )


def numpy_file(save: Callable[..., None], *arrays: Any, **named: Any) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


def test_numpy_files(tmp_path: Path) -> None:
    square = np.arange(12.0) ** 2
    for content, names, first in (
        (numpy_file(np.save, square), ("x1",), [0]),
        (numpy_file(np.save, square.reshape(6, 2).astype("f4")), ("x1", "x2"), [0, 1]),
        (numpy_file(np.save, np.array([(3, 2.5)] * 4, [("n", "i4"), ("v", "f8")])), "nv", [3, 2.5]),
        (numpy_file(np.savez, a=square, b=square.astype(int) + 7), ("a", "b"), [0, 7]),
        (numpy_file(np.savez_compressed, x=square.reshape(6, 2)), ("x1", "x2"), [0, 1]),
        (numpy_file(np.save, np.asfortranarray(square.reshape(6, 2))), ("x1", "x2"), [0, 1]),
    ):
        with recording(tmp_path, content) as found:
            assert found.input_names == tuple(names)
            assert next(found.blocks()).inputs[0].tolist() == first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            numpy_file(np.save, np.zeros((3, 3, 3))),
            "the array has shape (3, 3, 3) and type float64",
        ),
        (numpy_file(np.save, np.float64(3)), "the array has shape () and type float64"),
        (numpy_file(np.save, np.zeros(3, complex)), "the array has shape (3,) and type complex128"),
        (numpy_file(np.save, np.zeros((0, 2))), "the file has no rows"),
        (numpy_file(np.savez, a=np.zeros(3), b=np.zeros(4)), "array 'a' has 3 rows and 'b' has 4"),
        (
            numpy_file(np.save, np.array([{}, 1], object)),
            "the file is damaged, or of a kind that is",
        ),
        (numpy_file(np.save, np.zeros((3, 0))), "the file has no rows"),
        *(
            (
                numpy_file(np.save, np.zeros(3, [("a", "f4"), ("b", kind)])),
                "the array has shape (3,)",
            )
            for kind in ("c8", [("c", "f4")], "2f4", "V2")
        ),
        (numpy_file(np.save, np.zeros(9))[:-8], "the file is damaged, or of a kind that is not"),
        *(
            (numpy_file(np.save, np.zeros(9)).replace(part, by), "the file is damaged, or of a")
            for part, by in ((b"{", b"("), (b"}", b","), (b"(9", b"9" * 20), (b"{", b")"))
        ),
        *(
            (
                numpy_file(np.save, np.array(["ab"])).replace(b"a\0\0\0", code),
                "invalid characters",
            )
            for code in (b"\xff" * 4, b"\0\xd8\0\0", b"\0\0\x11\0")
        ),
    ],
)
def test_arrays_that_are_no_table_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refusal(tmp_path, content)


# Files on which an earlier reader went wrong: names of the inputs, or what is refused.
KNOWN: dict[str, tuple[str, ...] | str] = {
    "comma_name": ("temp, °C", "flow, l/min"),
    "de_thousands_int": ("zahl", "temp"),
    "epoch_s": ("temp", "flow"),
    "gaps_dups": ("temp", "flow"),
    "hash_preamble": ("temp", "flow"),
    "latin1": ("temp °C", "flow"),
    "mixed_marks": "line 2, column 'a', holds '1,5' and line 3, column 'a', holds '1.234'",
    "nan_2": ("temp", "flow"),
    "nan_4": ("temp", "flow"),
    "newest_first": ("temp", "flow"),
    "noheader_time": ("x2", "x3"),
    "pandas_index": ("temp", "flow"),
    "pressure": ("p_Pa", "temp"),
    "single_col_blank": ("temp",),
    "stamp_underscore": ("temp", "flow"),
    "stray_quote": "line 101, column 'note': a quote (",
    "stray_quote_num": "line 101, column 'flow': a quote (",
    "units_row": ("temp", "flow"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_files_that_once_went_wrong(name: str) -> None:
    expected, path = KNOWN[name], shared("cases", "csv", f"{name}.csv")
    if isinstance(expected, str):
        with pytest.raises(StreamError) as error:
            read([path], ReadOptions())
        assert expected in str(error.value)
        return
    with read([path], ReadOptions()) as found:
        assert found.input_names == expected
        assert found.rows == {"gaps_dups": 505}.get(name, 600)
        inputs = found.stream().inputs
        column = expected.index("temp") if "temp" in expected else 0
        seen = inputs[~np.isnan(inputs[:, column]), column]
        assert 13 < seen.min() < seen.max() < 27


@pytest.mark.parametrize("unit", ["D", "h", "m", "s", "ms", "us", "ns"])
@pytest.mark.parametrize("kind", ["datetime64", "timedelta64"])
def test_times_of_numpy_files_have_any_unit(tmp_path: Path, unit: Any, kind: str) -> None:
    time = np.arange(40).astype("timedelta64[D]").astype(f"timedelta64[{unit}]")
    if kind == "datetime64":
        time = np.datetime64("2024-01-01", unit) + time
    file = io.BytesIO()
    np.savez(file, t=time, a=np.arange(40) % 7)
    rows = np.zeros(40, [("t", time.dtype), ("a", "f4")])
    rows["t"], rows["a"] = time, np.arange(40) % 7
    table = io.BytesIO()
    np.save(table, rows)
    for content in (file.getvalue(), table.getvalue()):
        with recording(tmp_path, content) as found:
            assert found.time is not None
            assert found.time.interval == 86400
            first = "2024-01-01 00:00:00" if kind == "datetime64" else "0 s"
            assert (found.time.first, found.input_names) == (first, ("a",))
