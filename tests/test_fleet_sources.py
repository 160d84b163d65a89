"""Whatever samples come in, the results are those of the array."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_fleet import assert_same

from nbt_embed import Config
from nbt_embed.errors import InputError, InputTypeError, StreamError
from nbt_embed.fleet import Fleet, as_series, simulate
from nbt_embed.fleet.series import cut, first_rows
from nbt_embed.streams import from_arrays

pl = pytest.importorskip("polars")

from nbt_embed.fleet.parquet import ParquetSeries

N, ROWS = 4, 1200
CONFIG = Config(1, 1, hidden=2)
X = np.random.default_rng(0).standard_normal((N, ROWS)).cumsum(axis=1).astype(np.float32)
FRAME = pl.DataFrame(
    {"device": np.repeat(np.arange(N), ROWS), "v": X.ravel(), "t": np.tile(np.arange(ROWS), N)}
)


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return simulate(CONFIG, X)


def npy(folder: Path) -> Any:
    np.save(folder / "x.npy", X)
    return folder / "x.npy"


def one_file(folder: Path) -> Any:
    FRAME.select("device", "v").write_parquet(folder / "all.parquet")
    return folder / "all.parquet"


def shuffled(folder: Path) -> Any:
    FRAME.sample(fraction=1, shuffle=True, seed=0).write_parquet(folder / "all.parquet")
    return ParquetSeries(folder, time="t")


def alternating(folder: Path) -> Any:
    FRAME.sort("t", maintain_order=True).write_parquet(folder / "all.parquet")
    return ParquetSeries(folder, inputs=["v"])


def backwards(folder: Path) -> Any:
    FRAME.reverse().sort("device", maintain_order=True).write_parquet(folder / "all.parquet")
    return ParquetSeries(folder, time="t")


def one_each(folder: Path) -> Any:
    for device in range(N):
        rows = FRAME.filter(pl.col("device") == device).select("v")
        rows.write_parquet(folder / f"sensor {device}.parquet")
    return folder


def hive(folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    for device in range(N):
        (folder / f"device={device}").mkdir()
        rows = FRAME.filter(pl.col("device") == device).select("v")
        rows.write_parquet(folder / f"device={device}" / "0.parquet")
    return folder


SOURCES: dict[str, Callable[[Path], Any]] = {
    one.__name__: one for one in (npy, one_file, shuffled, alternating, backwards, one_each, hive)
}
SOURCES |= {
    "streams": lambda _: [from_arrays(x) for x in X],
    "doubles": lambda _: X.astype(np.float64),
    "a pair": lambda _: (X, X[:, :, np.newaxis]),
    "a function of streams": lambda _: lambda device: from_arrays(X[device]),
    "a function of pairs": lambda _: lambda device: (X[device], X[device]),
    "a function of blocks": lambda _: (
        lambda device: (X[device, a : a + 7] for a in range(0, 1200, 7))
    ),
    "blocks of time": lambda _: ((X[:, a : a + 7], X[:, a : a + 7]) for a in range(0, 1200, 7)),
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_bits_of_the_array(
    source: str, fleet: Fleet, tmp_path: Path
) -> None:
    streams = SOURCES[source](tmp_path)
    devices = N if "function" in source else None
    assert_same(fleet, simulate(CONFIG, streams, devices=devices))
    if "function" not in source and "blocks" not in source:
        series: Any = as_series(streams)
        part = pickle.dumps(series.only(range(1, 3)))
        assert len(part) < 0.7 * len(pickle.dumps(series)) or len(part) < 2000
        for x, y in pickle.loads(part).pieces(2, 700):
            assert x.tobytes() == y.tobytes() == X[2, 700:].tobytes()


def test_names_are_those_of_the_source(tmp_path: Path) -> None:
    fleet = simulate(CONFIG, one_each(tmp_path))
    assert fleet["name"].tolist() == [f"sensor {device}" for device in range(N)]
    assert fleet.input_names == ("v",)
    shared = simulate(CONFIG, from_arrays(X[0], input_names=["speed"]), devices=2)
    assert shared.input_names == ("speed",)
    assert shared["seed"].tolist() == [0, 1]
    assert shared["hash"][0] != shared["hash"][1]


def test_a_fingerprint_changes_with_the_samples(tmp_path: Path) -> None:
    path = npy(tmp_path)
    mapped = as_series(path).fingerprint()
    assert as_series(path).fingerprint() == mapped
    other = X.copy()
    other[2, 600] += 1
    assert as_series(other).fingerprint() != as_series(X).fingerprint()
    np.save(path, other)
    assert as_series(path).fingerprint() != mapped
    streams = [from_arrays(x) for x in (X, other)]
    assert as_series([streams[0]]).fingerprint() != as_series([streams[1]]).fingerprint()


def test_a_raw_file_read_in_another_way_has_another_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(X.tobytes())
    kinds = [("<f4", 0, (2, 8)), ("<i4", 0, (2, 8)), ("<f4", 4, (2, 8)), ("<f4", 0, (4, 4))]
    maps = [np.memmap(path, kind, "r", offset, shape) for kind, offset, shape in kinds]
    maps.append(np.memmap(path, "<f4", "r", 0, (2, 8), "F"))
    assert len({as_series(one).fingerprint() for one in maps}) == len(maps)


def test_a_device_is_looked_for_in_its_own_files(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in three files, another in one with its neighbours; a part knows no other files."""
    ends = [0, 5, 1100, 2400, 2500, 4800]
    for number, (begin, end) in enumerate(itertools.pairwise(ends)):
        FRAME.select("device", "v")[begin:end].write_parquet(tmp_path / f"{number}.parquet")
    series: Any = as_series(tmp_path)
    assert_same(fleet, simulate(CONFIG, series))
    read: list[list[str]] = []
    scan = pl.scan_parquet

    def scanned(files: list[Path], **given: Any) -> Any:
        read.append([file.stem for file in files])
        return scan(files, **given)

    monkeypatch.setattr(pl, "scan_parquet", scanned)
    for one in (series, pickle.loads(pickle.dumps(series.only(range(1, 3))))):
        for device in (2, 1):
            assert one.head(device)[0].tobytes() == X[device].tobytes()
    assert read == 2 * [["3", "4"], ["2"]]
    assert b"0.parquet" not in pickle.dumps(series.only(range(1, 3)))


def test_partitions_begin_at_the_folder_that_is_given(tmp_path: Path) -> None:
    folder = tmp_path / "device=5" / "site=3"
    folder.mkdir(parents=True)
    series: Any = as_series(one_file(folder))
    assert (series.devices, series.input_names) == (N, ("v",))
    before = as_series(folder).fingerprint()
    folder.rename(tmp_path / "moved")
    assert as_series(tmp_path / "moved").fingerprint() == before
    with pytest.raises(StreamError, match="the partitions both have a name with device="):
        as_series(hive(folder))
    parts: Any = as_series(hive(tmp_path / "site=3" / "more"))
    assert [parts.name(device) for device in range(N)] == [str(device) for device in range(N)]
    assert parts.input_names == ("v",)
    assert parts.head(2)[0].tobytes() == X[2].tobytes()


def test_results_among_the_samples_are_no_samples(tmp_path: Path) -> None:
    one_each(tmp_path)
    for out in (tmp_path, tmp_path / "run"):
        first = simulate(CONFIG, tmp_path, out=out)
        assert_same(first, simulate(CONFIG, tmp_path, out=out))


def test_a_file_that_cannot_be_read_stops_its_device_alone(fleet: Fleet, tmp_path: Path) -> None:
    one_each(tmp_path)
    (tmp_path / "sensor 1.parquet").write_bytes(b"PAR1")
    pl.DataFrame({"w": [1.0]}).write_parquet(tmp_path / "sensor 2.parquet")
    pl.DataFrame({"v": ["text"]}).write_parquet(tmp_path / "sensor 3.parquet")
    found = simulate(CONFIG, tmp_path)
    assert found["hash"][0] == fleet["hash"][0]
    for device, error in enumerate(found["error"][1:], 1):
        assert f"sensor {device}.parquet: " in error
        assert "\n" not in error


def test_a_part_of_a_mapped_file_is_its_rows(tmp_path: Path) -> None:
    part = np.load(npy(tmp_path), mmap_mode="r")[1:3]
    series = pickle.loads(pickle.dumps(as_series(part)))
    assert next(series.pieces(0))[0].tobytes() == X[1].tobytes()


def test_what_is_wrong_with_an_array_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    for bad in (b"", b"PAR1", npy(tmp_path).read_bytes()[:200]):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=r"x\.npy"):
            as_series(path)
    np.save(path, np.ones((2, 3), np.complex64))
    with pytest.raises(InputTypeError, match="dtype complex64"):
        as_series(path)


def test_what_is_wrong_with_parquet_is_said(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match=r"holds no \.parquet files"):
        as_series(tmp_path)
    path = one_file(tmp_path)
    with pytest.raises(StreamError, match="no column 'w'"):
        ParquetSeries(path, inputs=["w"])
    with pytest.raises(InputTypeError, match=r"targets = 'v': expected several, such as \['v'\]"):
        ParquetSeries(path, targets="v")
    FRAME.with_columns(device=None).write_parquet(path)
    with pytest.raises(StreamError, match="row 0: no device"):
        as_series(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(StreamError, match=r"all\.parquet: .*; every file has to be whole"):
        as_series(path)
    pl.DataFrame({"name": ["a"]}).write_parquet(path)
    with pytest.raises(StreamError, match="no column of numbers"):
        as_series(path)
    with pytest.raises(FileNotFoundError):
        as_series(tmp_path / "nothing.parquet")
    with pytest.raises(StreamError, match=r"expected a \.npy or \.parquet file"):
        as_series(__file__)
    with pytest.raises(InputError, match=r"streams\[1\] has 2 inputs"):
        as_series([from_arrays(X[0]), from_arrays(X[:2].T)])


def test_rows_are_cut_as_asked() -> None:
    x = X[0][:, np.newaxis]
    pieces = [(x[a : a + 7], x[a : a + 7]) for a in range(0, ROWS, 7)]
    parts = [inputs for inputs, _ in cut(pieces, 50)]
    assert {len(part) for part in parts} == {50}
    assert np.concatenate(parts).tobytes() == x.tobytes()
    assert first_rows(pieces, 30)[0].tobytes() == x[:30].tobytes()
