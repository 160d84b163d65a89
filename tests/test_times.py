"""Times: recognised by their cells, checked by their order, never used as a sensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("polars", reason="reading files needs the extra [app]")

from nbt_embed.app.reading import ReadOptions, Recording, read
from nbt_embed.app.times import is_time, named_time
from nbt_embed.errors import StreamError

MINUTE = 60.0


def recording(directory: Path, text: str, **options: Any) -> Recording:
    path = directory / "log.csv"
    path.write_text(text)
    return read([path], ReadOptions(**options))


def log(cells: list[str], name: str = "time") -> str:
    return f"{name},a\n" + "".join(f"{cell},{i % 7 * 1.5}\n" for i, cell in enumerate(cells))


def refusal(directory: Path, text: str, **options: Any) -> str:
    with pytest.raises(StreamError) as error:
        recording(directory, text, **options)
    return str(error.value).replace(f"{directory}/", "")


@pytest.mark.parametrize(
    ("name", "cells", "first", "interval"),
    [
        ("x", ["2024-01-01 10:{:02}:00"], "2024-01-01 10:00:00", 60),
        ("x", ["2024-01-01T10:{:02}:00.500Z"], "2024-01-01 10:00:00.5", 60),
        ("x", ["2024-01-01T10:{:02}:00+0100"], "2024-01-01 09:00:00", 60),
        ("x", ["2024-01-01 10:{:02}:00 UTC"], "2024-01-01 10:00:00", 60),
        ("x", ["2024/1/{}"], "2024-01-01 00:00:00", 86400),
        ("x", ["{}.03.2024 7:30"], "2024-03-01 07:30:00", 86400),
        ("x", ["3/{}/24 1:30 PM"], "2024-03-01 13:30:00", 86400),
        ("x", ["{} Mar 2024"], "2024-03-01 00:00:00", 86400),
        ("x", ["20240101_10{:02}00"], "2024-01-01 10:00:00", 60),
        ("x", ["20240101T10{:02}00Z"], "2024-01-01 10:00:00", 60),
        ("x", ["2024010110{:02}00"], "2024-01-01 10:00:00", 60),
        ("date", ["202401{:02}"], "2024-01-01 00:00:00", 86400),
        ("x", ["17000000{:02}"], "2023-11-14 22:13:20", 1),
        ("x", ["17000000{:02}.5"], "2023-11-14 22:13:20.5", 1),
        ("x", ["17000000{:02}000"], "2023-11-14 22:13:20", 1),
        ("x", ["17000000{:02}000000"], "2023-11-14 22:13:20", 1),
        ("x", ["17000000{:02}000000000"], "2023-11-14 22:13:20", 1),
        ("t_s", ["{}"], "0 s", 1),
        ("Time (ms)", ["{}0"], "0 s", 0.01),
        ("elapsed_min", ["{}"], "0 s", 60),
        ("Date", ["450{:02}.5"], "2023-03-15 12:00:00", 86400),
        ("Datum", ["450{:02}"], "2023-03-15 00:00:00", 86400),
        ("time", ["45000.{:02}"], "2023-03-15 00:00:00", 864),
        ("time", ["2460000.{:02}"], "2023-02-24 12:00:00", 864),
        ("JD", ["24600{:02}"], "2023-02-24 12:00:00", 86400),
        ("julian_date", ["24600{:02}.5"], "2023-02-25 00:00:00", 86400),
        ("MJD", ["600{:02}.5"], "2023-02-25 12:00:00", 86400),
        ("datenum", ["7380{:02}.25"], "2020-07-28 06:00:00", 86400),
        ("time", ["7380{:02}.25"], "2020-07-28 06:00:00", 86400),
        ("x", ["{:02} Mar 2024 01:00"], "2024-03-01 01:00:00", 86400),
        ("x", ["07:{:02}"], "25200 s", 60),
        ("x", ["07:00:{:02}.25"], "25200.25 s", 1),
        ("x", ["12:{:02} AM"], "0 s", 60),
        ("x", ["1:{:02} pm"], "46800 s", 60),
        ("x", ["1 days 00:{:02}:00"], "86400 s", 60),
    ],
)
def test_times_are_recognised_and_are_no_input(
    tmp_path: Path, name: str, cells: list[str], first: str, interval: float
) -> None:
    days = cells[0].startswith(("2024/", "{}.", "3/", "{} ", "{:02} Mar")) or cells == [
        "202401{:02}"
    ]
    rows = [cells[0].format(i) for i in range(1 if days else 0, 30)]
    with recording(tmp_path, log(rows, name)) as found:
        assert found.input_names == ("a",)
        assert found.time is not None
        assert (found.time.column, found.time.first) == (name, first)
        assert found.time.interval == pytest.approx(interval)
        assert (found.time.gaps, found.time.duplicates, found.time.out_of_order) == ((), 0, 0)
        times = next(found.blocks()).time
        assert times is not None
        seconds = np.diff(times) / (np.timedelta64(1, "s") if times.dtype.kind == "M" else 1)
        np.testing.assert_allclose(seconds, interval, rtol=1e-6)


@pytest.mark.parametrize(
    "cells",
    [
        ["3.5", "1.2", "2.4", "8.5"],
        ["1500000000", "1400000000", "1500000700", "1400000000"],  # a counter of pulses
        ["20240101", "19990101", "20240101", "20240102"],
        ["12.5", "12.5", "12.5", "12.6"],
    ],
)
@pytest.mark.parametrize("name", ["x", "T", "t", "response_time"])
def test_numbers_that_only_look_like_times_stay_inputs(
    tmp_path: Path, name: str, cells: list[str]
) -> None:
    with recording(tmp_path, log(cells, name)) as found:
        assert found.input_names == (name, "a")
        assert found.time is None


def test_a_time_that_is_not_sorted_is_no_sensor(tmp_path: Path) -> None:
    cells = [str(i * 37 % 100) for i in range(100)]
    for name in ("time", "t_s", "Timestamp"):
        assert f"line 5: column {name!r} holds '11', which is before" in refusal(
            tmp_path, log(cells, name)
        )
    regular = [str(i * 10 if i != 40 else 5) for i in range(60)]
    assert "line 42: column 't' holds '5', which is before" in refusal(tmp_path, log(regular, "t"))
    drifting = [f"{20 + i * 0.1 + (i % 7 == 0) * 0.75 + (i % 3) * 0.01}" for i in range(90)]
    with recording(tmp_path, log(drifting, "t")) as found:
        assert found.input_names == ("t", "a")
    # Another column is in order: that is the time.
    text = "time,ts,a\n" + "".join(f"{i * 37 % 100},{1700000000 + i},{i % 5}\n" for i in range(100))
    with recording(tmp_path, text) as found:
        assert found.time is not None
        assert (found.time.column, found.input_names) == ("ts", ("a",))


def test_nanoseconds_are_exact(tmp_path: Path) -> None:
    with recording(tmp_path, log([f"{1700000000000000000 + i}" for i in range(9)], "x")) as found:
        times = next(found.blocks()).time
        assert times is not None
        assert times.astype(np.int64).tolist() == [1700000000000000000 + i for i in range(9)]


def test_names_of_times_and_of_others() -> None:
    assert all(map(named_time, ["t", "t_s", "Time [s]", "timestamp", "Elapsed Time (ms)", "Datum"]))
    assert not any(map(named_time, ["T", "TravelTime", "temp", "s", "day", "time_to_failure", ""]))
    assert is_time("2024-01-01")
    assert not any(map(is_time, ["", "12", "12.5", "ok", "1.2.3", "2024"]))


def test_date_and_time_of_day_are_one_time(tmp_path: Path) -> None:
    rows = "".join(f"{1 + i // 24}/3/2004;{i % 24}.00.00;{i % 7},5\n" for i in range(500))
    with recording(tmp_path, "Date;Time;a\n" + rows) as found:
        assert found.time is not None
        assert (found.time.column, found.time.interval) == ("Date+Time", 3600)
        assert (found.time.first, found.time.last) == ("2004-03-01 00:00:00", "2004-03-21 19:00:00")
        assert found.input_names == ("a",)


def test_hours_and_minutes_with_a_point_and_empty_cells_at_the_end(tmp_path: Path) -> None:
    text = "Date;Time;CO(GT);T;;\n1/3/04;18.00;2,6;-200;;\n1/3/04;19.30;;13,5;;\n" + ";;;;;\n" * 2
    text = text.replace("\n1/3/04;19", "\n31/3/04;19")
    with recording(tmp_path, text, missing=("-200",)) as found:
        assert found.time is not None
        assert (found.time.first, found.time.last) == ("2004-03-01 18:00:00", "2004-03-31 19:30:00")
        assert found.input_names == ("CO(GT)", "T")
        np.testing.assert_array_equal(
            found.stream().inputs, np.array([[2.6, np.nan], [np.nan, 13.5]], np.float32)
        )
        assert found.notes[2] == "2 empty rows at the end are left out"


def test_year_month_day_and_hour_are_one_time(tmp_path: Path) -> None:
    rows = "".join(f"2010,{1 + i // 240},{1 + i // 24 % 10},{i % 24},{i % 7}\n" for i in range(300))
    with recording(tmp_path, "year,month,day,hour,a\n" + rows) as found:
        assert found.time is not None
        assert (found.time.column, found.time.interval) == ("year+month+day+hour", 3600)
        assert found.input_names == ("a",)


def test_a_time_of_day_goes_on_after_midnight(tmp_path: Path) -> None:
    with recording(tmp_path, log([f"{(22 + i) % 24}:00" for i in range(60)])) as found:
        times = next(found.blocks()).time
        np.testing.assert_array_equal(times, (22 + np.arange(60.0)) * 3600)


def test_day_and_month_are_told_by_the_order_over_the_whole_file(tmp_path: Path) -> None:
    days = [f"{day:02}/{month:02}/2024 00:00" for month in (4, 5) for day in range(1, 13)]
    with recording(tmp_path, log(days)) as found:
        assert found.time is not None
        assert (found.time.first, found.time.last) == ("2024-04-01 00:00:00", "2024-05-12 00:00:00")
    american = [f"{month:02}/{day:02}/2024 00:00" for month in (4, 5) for day in range(1, 13)]
    with recording(tmp_path, log(american)) as found:
        assert found.time is not None
        assert (found.time.first, found.time.last) == ("2024-04-01 00:00:00", "2024-05-12 00:00:00")
    one_day = log([f"03/04/2024 10:{i:02}" for i in range(60)])
    told = refusal(tmp_path, one_day)
    assert "line 2: column 'time' holds '03/04/2024 10:00', which may have day and month in" in told
    assert "--time-format %d/%m/%Y %H:%M or %m/%d/%Y %H:%M" in told
    with recording(tmp_path, one_day, time_format="%m/%d/%Y %H:%M") as found:
        assert found.time is not None
        assert found.time.first == "2024-03-04 10:00:00"


def test_newest_first_is_read_from_the_end(tmp_path: Path) -> None:
    text = "t_s,a\n" + "".join(f"{10 * i},{i * i}\n" for i in reversed(range(100)))
    with recording(tmp_path, text) as found:
        assert "the file is newest first by 't_s'" in found.notes[0]
        blocks = list(found.blocks(7))
        np.testing.assert_array_equal(
            np.concatenate([block.inputs[:, 0] for block in blocks]), np.arange(100.0) ** 2
        )
        assert found.time is not None
        assert (found.time.first, found.time.last) == ("0 s", "990 s")


def test_gaps_and_duplicates_are_told_and_reset_where_asked(tmp_path: Path) -> None:
    times = [0, 10, 20, 20, 30, 130, 140, 1000, 1010]
    text = "t_s,a\n" + "".join(f"{t},{t % 7}\n" for t in times)
    with recording(tmp_path, text) as found:
        assert found.time is not None
        assert found.time.gaps == ((5, 100.0), (7, 860.0))
        assert found.time.duplicates == 1
        assert "1 row has the time of the row before" in found.notes
        assert found.segments == 1
    with recording(tmp_path, text, gap=500.0) as found:
        assert found.time is not None
        assert found.time.gaps == ((7, 860.0),)
        assert [(b.start, b.reset) for b in found.blocks(4)] == [
            (0, False), (4, False), (7, True),
        ]  # fmt: skip
    assert "gap 5 s is below the interval of the rows, 10 s" in refusal(tmp_path, text, gap=5.0)


def test_gaps_of_a_file_that_is_newest_first(tmp_path: Path) -> None:
    text = "t_s,a\n" + "".join(f"{t},{t % 7}\n" for t in (1010, 1000, 30, 20, 10, 0))
    with recording(tmp_path, text, gap=100.0) as found:
        assert found.time is not None
        assert found.time.gaps == ((4, 970.0),)
        assert [(b.start, b.reset, len(b.inputs)) for b in found.blocks()] == [
            (0, False, 4), (4, True, 2),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        (
            [f"{i * 10 if i != 40 else 5}" for i in range(60)],
            {},
            "line 42: column 'time' holds '5', which is before the time of the row above: sort the",
        ),
        (
            [f"2024-01-01 10:{i if i != 40 else 3:02}" for i in range(60)],
            {},
            "line 42: column 'time' holds '2024-01-01 10:03', which is before the time of the row",
        ),
        (
            [*(f"2024-01-01 10:{i:02}" for i in range(60)), "later"],
            {},
            "line 62: column 'time' holds 'later', which is not a time in the format of the rows "
            "above (%Y-%m-%d %H:%M)",
        ),
        (["x", "y"], {"time": "time"}, "column 'time' holds 'x', which is not a known time format"),
        (["5", "5", "5"], {"time": "time"}, "line 2: column 'time' holds '5', like every row"),
        (["5", "7"], {"time": "time", "time_format": "days"}, "time format 'days': name a pattern"),
    ],
)
def test_times_that_are_no_order_are_refused_with_their_line(
    tmp_path: Path, cells: list[str], options: dict[str, Any], message: str
) -> None:
    assert message in refusal(tmp_path, log(cells), **options)


def test_no_column_is_the_time_where_that_is_said(tmp_path: Path) -> None:
    for said in ("", "none"):
        with recording(tmp_path, log(["4", "5", "9"]), time=said) as found:
            assert (found.time, found.input_names) == (None, ("time", "a"))


def test_missing_times_and_a_second_time(tmp_path: Path) -> None:
    text = "time,ts,a\n" + "".join(
        f"{'' if i == 3 else f'2024-01-01 10:{i:02}'},{1700000000 + i},{i % 5}\n" for i in range(9)
    )
    with recording(tmp_path, text) as found:
        assert found.input_names == ("a",)
        assert "column 'ts' is left out: it is a second time column" in found.notes
        times = next(found.blocks()).time
        assert times is not None
        assert np.isnat(times).tolist() == [i == 3 for i in range(9)]


def test_resampled_rows_are_means_with_missing_ones_between(tmp_path: Path) -> None:
    text = "t_s,a,s\n1,2,ok\n4,4,bad\n11,,ok\n12,7,\n41,9,bad\n95,1,ok\n"
    with recording(tmp_path, text, resample=10.0, targets=("s",)) as found:
        stream = found.stream()
        nan = np.nan
        np.testing.assert_array_equal(
            stream.inputs[:, 0], [3, 7, nan, nan, 9, nan, nan, nan, nan, 1]
        )
        np.testing.assert_array_equal(
            stream.targets[:, 0], [0, 1, nan, nan, 0, nan, nan, nan, nan, 1]
        )
        assert found.has_missing_inputs
        np.testing.assert_array_equal(next(found.blocks()).time, np.arange(0.0, 100.0, 10.0))
    with recording(tmp_path, text, resample=10.0, gap=50.0, inputs=("a",)) as found:
        assert [(b.start, b.reset, len(b.inputs)) for b in found.blocks()] == [
            (0, False, 5), (5, True, 1),
        ]  # fmt: skip
    far = "t_s,a\n0,1\n1,2\n2,1\n1e9,2\n"
    assert "nearly all of them empty" in refusal(tmp_path, far, resample=1.0)


def test_resampling_does_not_depend_on_the_pieces_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "t_s,a\n" + "".join(f"{i * 3},{i % 11}\n" for i in range(1000))
    found = []
    for rows in (7, 1 << 16):
        monkeypatch.setattr("nbt_embed.app.resample.ROWS", rows)
        with recording(tmp_path, text, resample=10.0) as one:
            found.append(one.stream().inputs)
    np.testing.assert_array_equal(found[0], found[1])
    values = np.arange(1000) % 11
    bins = np.arange(1000) * 3 // 10
    means = np.bincount(bins, values) / np.bincount(bins)
    np.testing.assert_array_equal(found[0][:, 0], means.astype(np.float32))


def of_days(directory: Path, *spans: tuple[int, int], newest_first: bool = False) -> Recording:
    """Files 1.csv, 2.csv, ... with a row per day of January, from one day to another."""
    paths = []
    for i, (begin, end) in enumerate(spans):
        days = list(range(begin, end + 1))
        rows = [f"2024-01-{day:02},{day % 7}\n" for day in (days[::-1] if newest_first else days)]
        paths.append(directory / f"{i + 1}.csv")
        paths[-1].write_text("time,a\n" + "".join(rows))
    return read(paths, ReadOptions())


@pytest.mark.parametrize("newest_first", [False, True])
def test_files_out_of_the_order_of_time_are_refused(tmp_path: Path, newest_first: bool) -> None:
    for spans in ([(11, 19), (1, 9)], [(1, 5), (11, 19), (6, 9)], [(11, 19), (1, 11)]):
        with pytest.raises(StreamError) as error:
            of_days(tmp_path, *spans, newest_first=newest_first)
        begin, end = spans[-1]
        told = str(error.value).replace(f"{tmp_path}/", "")
        assert told == (
            f"{len(spans)}.csv: its times, 2024-01-{begin:02} 00:00:00 to 2024-01-{end:02} "
            f"00:00:00, lie before those of {len(spans) - 1}.csv, 2024-01-11 00:00:00 to "
            "2024-01-19 00:00:00, which is read first: name the files one by one in the order of "
            "time, or use --time none"
        )


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    ("spans", "last", "duplicates", "back"),
    [
        ([(1, 9), (10, 19)], 19, 0, 0),
        ([(1, 9), (9, 19)], 19, 1, 0),
        ([(1, 9), (5, 19)], 19, 0, 1),
        ([(1, 9), (1, 9)], 9, 0, 1),
        ([(1, 19), (5, 9), (20, 25)], 25, 0, 1),
        ([(1, 19), (5, 9)], 19, 0, 1),
    ],
)
def test_facts_of_the_time_are_those_of_all_files(
    tmp_path: Path,
    spans: list[tuple[int, int]],
    last: int,
    duplicates: int,
    back: int,
    newest_first: bool,
) -> None:
    with of_days(tmp_path, *spans, newest_first=newest_first) as found:
        time = found.time
        assert time is not None
        assert (time.first, time.last) == ("2024-01-01 00:00:00", f"2024-01-{last:02} 00:00:00")
        assert (time.duplicates, time.out_of_order) == (duplicates, back)
        assert sum("are learned twice" in note for note in found.notes) == back


def test_seconds_may_start_again_in_every_file(tmp_path: Path) -> None:
    paths = [tmp_path / "1.csv", tmp_path / "2.csv"]
    for path in paths:
        path.write_text("t_s,a\n" + "".join(f"{i},{i % 7}\n" for i in range(20)))
    with read(paths, ReadOptions()) as found:
        assert found.time is not None
        assert (found.time.first, found.time.last, found.time.out_of_order) == ("0 s", "19 s", 1)
        assert any("times start again" in note for note in found.notes)


MONTHS = [str(100 * year + month) for year in (2020, 2021) for month in range(1, 13)]


@pytest.mark.parametrize("name", ["time", "date", "Month", "YYYYMM"])
def test_months_and_years_are_dates(tmp_path: Path, name: str) -> None:
    with recording(tmp_path, log(MONTHS, name)) as found:
        assert found.time is not None
        assert (found.time.first, found.time.last) == ("2020-01-01 00:00:00", "2021-12-01 00:00:00")
        assert found.input_names == ("a",)
    years = [str(year) for year in range(1950, 2020)]
    with recording(tmp_path, log(years, name if name != "YYYYMM" else "year")) as found:
        assert found.time is not None
        assert (found.time.kind, found.time.first) == ("%Y", "1950-01-01 00:00:00")


@pytest.mark.parametrize("name", ["month", "year", "julian"])
def test_columns_of_a_calendar_that_come_again_are_inputs(tmp_path: Path, name: str) -> None:
    with recording(tmp_path, log([str(i % 12 + 1) for i in range(40)], name)) as found:
        assert found.input_names == (name, "a")


@pytest.mark.parametrize(
    ("cells", "doubt"),
    [
        ([str(45000 + i) for i in range(40)], "days since 1900 (--time-format excel)"),
        ([str(738000 + i) for i in range(40)], "days of MATLAB (--time-format matlab)"),
        ([str(2460000 + i) for i in range(40)], "Julian dates (--time-format julian)"),
        ([str(1990 + i / 8) for i in range(40)], "years (--time-format %Y reads whole ones)"),
    ],
)
def test_seconds_that_may_be_dates_are_noted(tmp_path: Path, cells: list[str], doubt: str) -> None:
    with recording(tmp_path, log(cells)) as found:
        assert f"times of 'time' are taken as seconds: they may be {doubt}" in found.notes


@pytest.mark.parametrize(
    ("form", "cells", "first"),
    [
        ("excel", ["45000", "45001", "45002"], "2023-03-15 00:00:00"),
        ("matlab", ["738000", "738001", "738002"], "2020-07-28 00:00:00"),
        ("julian", ["2460000.5", "2460001.5", "2460002.5"], "2023-02-25 00:00:00"),
        ("mjd", ["60000", "60001", "60002"], "2023-02-25 00:00:00"),
        ("%Y", ["1950", "1951", "1952"], "1950-01-01 00:00:00"),
        ("%Y%m", ["202012", "202101", "202102"], "2020-12-01 00:00:00"),
        ("%Y%m%d", ["20201230", "20201231", "20210101"], "2020-12-30 00:00:00"),
    ],
)
def test_formats_of_numbers_that_are_named(
    tmp_path: Path, form: str, cells: list[str], first: str
) -> None:
    with recording(tmp_path, log(cells, "x"), time="x", time_format=form) as found:
        assert found.time is not None
        assert (found.time.first, found.input_names) == (first, ("a",))


@pytest.mark.parametrize(
    "name",
    ["sec", "uptime_us", "hours", "sample", "n", "seq", "id", "index", "Counter", "Uptime (ms)"],
)
@pytest.mark.parametrize("step", [0.1, 10.0])
def test_columns_that_rise_evenly_by_their_name_are_no_sensors(
    tmp_path: Path, name: str, step: float
) -> None:
    rows = 60_000 if name == "sec" else 40  # more than one batch
    text = log([repr(5 + i * step) for i in range(rows)], name)
    with recording(tmp_path, text) as found:
        assert found.input_names == ("a",)
        assert found.notes == (
            f"column {name!r} is left out: it rises by {step:g} in every row, like a row "
            f"counter; name it with --inputs if it is a sensor, with --time {name!r} if it is "
            "the time",
        )
    with recording(tmp_path, text, inputs=(name,)) as found:
        assert found.input_names == (name,)
    bent = text[: text.rindex("\n", 0, -1) + 1] + "7,3\n"
    with recording(tmp_path, bent) as found:
        assert found.input_names == (name, "a")
    with recording(tmp_path, log([repr(5 + i * step) for i in range(40)], "temp")) as found:
        assert found.input_names == ("temp", "a")


@pytest.mark.parametrize(
    "cell", ["Mon Jan {:02} 10:00:00 2024", "{:02}. Mai 2024 um 10h", "2024.{:02}.1_10~00"]
)
def test_texts_that_look_like_dates_are_noted(tmp_path: Path, cell: str) -> None:
    with recording(tmp_path, log([cell.format(i) for i in range(1, 9)], "when")) as found:
        assert "if these are times, --time 'when' --time-format FORMAT reads" in found.notes[0]


@pytest.mark.parametrize("rows", [2, 5, 40])
def test_a_footer_below_dates_is_refused_however_short_the_file(tmp_path: Path, rows: int) -> None:
    cells = [f"2024-01-01 10:{i:02}" for i in range(rows)]
    told = refusal(tmp_path, log([*cells, "Total"]))
    assert (
        f"line {rows + 2}: column 'time' holds 'Total', which is not a time in the format" in told
    )
