"""``nbt-embed fleet`` from a spec to files: the same whatever the way, and resumable."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for library in ("polars", "rich", "bokeh", "jinja2"):
    pytest.importorskip(library)
if sys.version_info < (3, 11):
    pytest.importorskip("tomli")

import polars as pl
from conftest import ROOT

from nbt_embed import Learner
from nbt_embed.app.fleet_results import Drawn
from nbt_embed.app.fleet_spec import parse, read_spec
from nbt_embed.app.fleet_stream import source_of
from nbt_embed.cli import main
from nbt_embed.errors import ConfigError, InputError, StreamError
from nbt_embed.fleet.series import Series

SPEC = """
title = "Pumps"
devices = 5
rows = 400
seed = 3
horizons = [1, 3]
[perturbations]
gain = [0.5, 2]
noise = [0, 0.5]
dropouts = { value = 0.1, length = 5 }
clock_skew = [-1000, 1000]
[grid]
hidden = [2, 4]
"""
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what runs a command: code, standard output, standard error."""

    def call(*args: object) -> tuple[int, str, str]:
        code = main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "pumps.toml"
    path.write_text(SPEC)
    return path


def rows_of(series: Series, device: int) -> tuple[Any, Any]:
    inputs, labels = zip(*series.pieces(device), strict=True)
    return np.concatenate(inputs), np.concatenate(labels)


def test_it_runs_writes_everything_and_resumes(command: Command, spec: Path) -> None:
    folder = spec.parent
    names = [str(folder / name) for name in ("run", "page.html", "all.json")]
    args = ("fleet", spec, "--out", names[0], "--page", names[1], "--json", names[2])
    code, text, err = command(*args)
    assert (code, err) == (0, "")
    assert text.startswith("Pumps: 5 devices, up to 400 rows each\n")
    assert "The worst devices with" in text
    document = json.loads(Path(names[2]).read_text())
    assert document["schema"] == "nbt-embed fleet"
    assert [one["horizon"] for one in document["horizons"]] == [1, 3]
    page = Path(names[1]).read_text()
    assert document["horizons"][0]["verdict"][0] in page

    # What the files hold is what stands in the document, and what devices drew.
    rows = pl.read_parquet(f"{names[0]}/part-*.parquet")
    assert len(rows) == 5 * 2 * 3
    one = rows.filter(pl.col("setting") == "hidden 4", pl.col("horizon") == 3)
    told = document["horizons"][1]["settings"][-1]
    assert told["name"] == "hidden 4"
    assert told["error"]["median"] == one["relative_error"].sort()[2]
    source = source_of(read_spec(str(spec)))
    drawn = pl.read_parquet(f"{names[0]}/devices.parquet")
    assert drawn["gain[current_A]"].to_list() == [
        source.series.drawn(device)["gain[current_A]"] for device in range(5)
    ]
    assert (Path(names[0]) / "spec.toml").read_text() == SPEC

    # Again, it reads what is there.
    before = {path.name: path.stat().st_mtime_ns for path in Path(names[0]).glob("part-*")}
    assert command(*args) == (0, text, "")
    assert {path.name: path.stat().st_mtime_ns for path in Path(names[0]).glob("part-*")} == before

    # With another spec the folder is refused, and nothing in it changes.
    spec.write_text(SPEC.replace("[0.5, 2]", "[0.5, 3]"))
    code, _, err = command("fleet", spec, "--out", names[0])
    assert code == 2
    assert "holds another run" in err
    assert (Path(names[0]) / "spec.toml").read_text() == SPEC


def test_jobs_and_output_change_nothing(command: Command, spec: Path) -> None:
    code, text, _ = command("fleet", spec, "--jobs", 1, "--json", "-")
    other = command("fleet", spec, "--jobs", 3, "--json", "-")[1]
    one, two = json.loads(text), json.loads(other)
    assert code == 0
    assert one.pop("command") != two.pop("command")
    assert one == two


def test_a_device_is_a_lone_learner_on_what_it_reads(command: Command, spec: Path) -> None:
    out = spec.parent / "run"
    assert command("fleet", spec, "--out", out)[0] == 0
    rows = pl.read_parquet(f"{out}/part-*.parquet").filter(pl.col("horizon") == 1)
    loaded = read_spec(str(spec))
    series = source_of(loaded).series
    configs, _ = loaded.configs(3, 3, "gaussian")
    for device, setting in ((0, "hidden 4"), (4, "RLS")):
        from dataclasses import replace

        learner = Learner(replace(configs[setting], seed=3 + device))
        learner.run(*rows_of(series, device), horizon=1)
        (row,) = rows.filter(pl.col("device") == device, pl.col("setting") == setting).to_dicts()
        assert row["hash"] == learner.hash()
        assert row["seed"] == 3 + device


def test_the_example_spec_and_the_one_to_begin_with_run(command: Command, tmp_path: Path) -> None:
    code, text, err = command("fleet", "--example")
    assert (code, err) == (0, "")
    for name, given, small in (
        ("begin", text, (("devices = 100", "devices = 4"), ("rows = 2000", "rows = 300"))),
        ("example", (ROOT / "examples" / "fleet.toml").read_text(),
         (("devices = 60", "devices = 4"), ("rows = 1500", "rows = 300"))),
    ):  # fmt: skip
        for old, new in small:
            assert old in given
            given = given.replace(old, new)
        path = tmp_path / f"{name}.toml"
        path.write_text(given)
        code, out, err = command("fleet", path, "--page", tmp_path / f"{name}.html")
        assert (code, err) == (0, "")
        assert "4 devices, up to 300 rows each" in out


@pytest.mark.slow
def test_the_example_runs_as_it_is(command: Command) -> None:
    code, out, err = command("fleet", ROOT / "examples" / "fleet.toml")
    assert (code, err) == (0, "")
    assert "the error rises with it, rank correlation +0.8" in out  # the noise of cheap sensors


def test_ctrl_c_says_how_far_it_came_and_the_run_goes_on(
    command: Command, spec: Path, tmp_path: Path
) -> None:
    text = SPEC.replace("devices = 5", "devices = 16").replace("rows = 400", "rows = 4000")
    spec.write_text(text.replace("[1, 3]", "[1]").replace("[2, 4]", "[2, 16]"))
    out = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-m", "nbt_embed", "fleet", str(spec), "--out", str(out), "--jobs", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and not (out / "fleet.json").exists():
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        try:
            text, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, text) == (130, "")
    assert "nbt-embed: note: interrupted: about " in err
    assert " of 16 devices" in err
    assert f"{out} keeps them: run the same command again to resume" in err
    assert len(err.strip().splitlines()) == 3  # the note, a blank line, and that it is interrupted
    kept = {path.name: path.read_bytes() for path in out.glob("part-*")}
    code, resumed, _ = command("fleet", spec, "--out", out)
    assert code == 0
    assert "16 devices, up to 4,000 rows each" in resumed
    assert {name: (out / name).read_bytes() for name in kept} == kept


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "SPEC.toml is missing: name a file; `nbt-embed fleet --example > fleet.toml`"),
        (("nothing.toml",), "nothing.toml: no such file: `nbt-embed fleet --example`"),
        (("{spec}", "--out", "{spec}"), "is a file: name a folder"),
        (("{spec}", "--page", "page.png"), "--report page.png: expected a name that ends in"),
        (("{spec}", "--json", "{spec}"), "is the same file as"),
        (("{spec}", "--page", "nowhere/page.html"), "cannot be written"),
    ],
    ids=range(6),
)
def test_what_cannot_be_is_refused_in_one_line(
    command: Command, spec: Path, args: tuple[str, ...], said: str
) -> None:
    code, out, err = command("fleet", *(arg.format(spec=spec) for arg in args))
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_scheduler_that_is_none_is_refused(command: Command, spec: Path) -> None:
    pytest.importorskip("distributed")
    pytest.importorskip("nbt_embed.fleet.cluster")
    code, _, err = command("fleet", spec, "--scheduler", "prozesses")
    assert code == 2
    assert "'prozesses'" in err


@pytest.mark.slow
def test_processes_change_nothing(command: Command, spec: Path) -> None:
    pytest.importorskip("distributed")
    pytest.importorskip("nbt_embed.fleet.cluster")
    done = subprocess.run(
        [sys.executable, "-m", "nbt_embed", "fleet", str(spec), "--scheduler", "processes",
         "--jobs", "2", "--json", "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    one, two = json.loads(done.stdout), json.loads(command("fleet", spec, "--json", "-")[1])
    assert one.pop("command") != two.pop("command")
    assert one == two


# ---- where samples come from -----------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with three recordings, and the same in long Parquet."""
    made = tmp_path / "logs"
    made.mkdir()
    frames = []
    for number in range(3):
        rows = 40 + 10 * number
        x = np.random.default_rng(number).standard_normal((rows, 2)).cumsum(axis=0).round(3)
        frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1]})
        frame.write_csv(made / f"pump_{number}.csv")
        frames.append(frame.with_columns(who=pl.lit(f"p{number}")))
    pl.concat(frames).write_parquet(tmp_path / "long.parquet")
    return tmp_path


def names_of(series: Series) -> list[str]:
    return [series.name(device) for device in range(series.devices)]


def lengths_of(series: Series) -> Iterator[int]:
    return (len(rows_of(series, device)[0]) for device in range(series.devices))


def loaded(folder: Path, text: str) -> Series:
    return source_of(parse(text, str(folder / "f.toml"))).series


def test_a_folder_may_be_a_recording_for_each_device(folder: Path) -> None:
    text = "[stream]\nsource = 'logs'\nrecordings = 'own'\n[stream.read]\ntargets = 'b'"
    series = loaded(folder, text)
    assert names_of(series) == ["pump_0", "pump_1", "pump_2"]
    assert list(lengths_of(series)) == [40, 50, 60]
    assert (series.input_names, series.target_names) == (("a", "b"), ("b",))
    read = pl.read_csv(folder / "logs" / "pump_1.csv").to_numpy().astype(np.float32)
    assert np.array_equal(rows_of(series, 1)[0], read)
    fewer = loaded(folder, f"devices = 2\n{text}")
    assert names_of(fewer) == ["pump_0", "pump_1"]
    more = loaded(folder, f"devices = 7\nrows = 45\n{text}")
    assert names_of(more)[3:5] == ["3 pump_0", "4 pump_1"]
    assert list(lengths_of(more)) == [40, 45, 45, 40, 45, 45, 40]


def test_a_folder_may_be_one_recording_for_all(folder: Path) -> None:
    source = source_of(parse("devices = 3\n[stream]\nsource = 'logs'", str(folder / "f.toml")))
    assert names_of(source.series) == ["0", "1", "2"]
    assert list(lengths_of(source.series)) == [150] * 3
    assert source.recordings == 1
    assert "3 segments follow one another" in " ".join(source.notes)
    with pytest.raises(ConfigError, match="devices is missing: all devices share one recording"):
        loaded(folder, "[stream]\nsource = 'logs'")


def test_a_column_may_name_the_device(folder: Path) -> None:
    series = loaded(folder, "[stream]\nsource = 'long.parquet'\ndevice_column = 'who'")
    assert names_of(series) == ["p0", "p1", "p2"]
    assert list(lengths_of(series)) == [40, 50, 60]
    with pytest.raises(StreamError, match="no column 'whom': did you mean 'who'"):
        loaded(folder, "[stream]\nsource = 'long.parquet'\ndevice_column = 'whom'")
    with pytest.raises(StreamError, match="no such file"):
        loaded(folder, "[stream]\nsource = 'lung.parquet'\ndevice_column = 'who'")


def test_messages_about_files_name_keys_of_the_spec(folder: Path) -> None:
    """A fleet has no options --missing, --link, ..."""
    path = folder / "log.csv"
    for content, key in (
        ("a,b\nx,y\n", "stream.read.missing"),
        ("a,b\n", "stream.read.header = false"),
        ("a,b\n1,inf\n", "stream.read.missing"),
    ):
        path.write_text(content)
        with pytest.raises((StreamError, InputError), match=key) as caught:
            loaded(folder, "devices = 2\n[stream]\nsource = 'log.csv'")
        assert "--" not in str(caught.value)
    path.write_text("a,b\n1,2\n3,4\n", "utf-16")
    source = source_of(parse("devices = 2\n[stream]\nsource = 'log.csv'", str(folder / "f.toml")))
    assert "stream.read.encoding changes it" in " ".join(source.notes)


@pytest.mark.parametrize("more", ["", "device_column = 'who'"], ids=["log", "long"])
def test_what_can_be_read_once_is_no_source(folder: Path, more: str) -> None:
    os.mkfifo(folder / "pipe.parquet")
    for source in ("pipe.parquet", "-"):
        with pytest.raises(StreamError, match="is not a file, and a fleet reads its source more"):
            loaded(folder, f"devices = 2\n[stream]\nsource = '{source}'\n{more}")


def test_a_damaged_parquet_file_is_told_in_one_line(folder: Path) -> None:
    (folder / "long.parquet").write_bytes(b"PAR1xxxxPAR1")
    with pytest.raises(StreamError, match=r"long.parquet: .*; every file has to be whole"):
        loaded(folder, "[stream]\nsource = 'long.parquet'\ndevice_column = 'who'")


def test_a_fleet_of_which_nothing_can_be_said_is_an_error(command: Command, folder: Path) -> None:
    path = folder / "f.toml"
    path.write_text("devices = 2\nrows = 20\nhorizons = [40]")
    code, out, err = command("fleet", path, "--out", folder / "run")
    assert (code, out) == (2, "")
    assert "no device can be scored: 0: nothing to score: no target from row 80 on" in err
    path.write_text("devices = 2\nrows = 20\nhorizons = [1, 40]")
    assert command("fleet", path)[0] == 0


def test_another_recording_is_another_fingerprint(folder: Path) -> None:
    for text in (
        "devices = 2\n[stream]\nsource = 'logs'",
        "[stream]\nsource = 'logs'\nrecordings = 'own'",
    ):
        before = loaded(folder, text).fingerprint()
        assert loaded(folder, text).fingerprint() == before
        with (folder / "logs" / "pump_2.csv").open("a") as file:
            file.write("1,2\n")
        assert loaded(folder, text).fingerprint() != before


def test_a_recording_with_other_columns_stops_its_device_alone(
    command: Command, folder: Path
) -> None:
    pl.DataFrame({"a": np.arange(50.0) ** 2}).write_csv(folder / "logs" / "pump_1.csv")
    path = folder / "f.toml"
    path.write_text("[stream]\nsource = 'logs'\nrecordings = 'own'\n[grid]\nhidden = [2]")
    code, out, _ = command("fleet", path)
    assert code == 0
    assert "1 device had a refused stream" in out
    assert "pump_1: its inputs are ('a',)" in out


def test_a_first_recording_that_is_damaged_stops_its_device_alone(
    command: Command, folder: Path
) -> None:
    (folder / "logs" / "pump_0.csv").write_text("")
    path = folder / "f.toml"
    path.write_text("[stream]\nsource = 'logs'\nrecordings = 'own'\n[grid]\nhidden = [2]")
    code, out, _ = command("fleet", path)
    assert code == 0
    assert "1 device had a refused stream" in out
    assert "pump_0.csv:thefileisempty" in "".join(out.split())  # lines end anywhere in a path
    for number in (1, 2):
        (folder / "logs" / f"pump_{number}.csv").write_text("")
    path.write_text(path.read_text().replace("[grid]", "read.skip = 0\n[grid]"))  # read again
    code, _, err = command("fleet", path)
    assert code == 2
    assert "pump_0.csv: the file is empty" in err


def test_classes_are_forecast_in_bits(command: Command, tmp_path: Path) -> None:
    words = np.array(["on", "off", "idle"])[np.arange(900) // 7 % 3]
    wave = np.sin(np.arange(900) * np.pi / 10.5)
    pl.DataFrame({"a": wave, "state": words}).write_csv(tmp_path / "s.csv")
    path = tmp_path / "f.toml"
    path.write_text(
        "devices = 4\n[stream]\nsource = 's.csv'\nread.targets = 'state'\n"
        "[perturbations]\nnoise = [0, 0.1]\ngain = 2\n[grid]\nhidden = [2]"
    )
    code, out, err = command("fleet", path, "--json", "-", "--page", tmp_path / "p.html")
    assert code == 0
    document = json.loads(out)
    assert (document["measure"], document["classes"]) == ("bits", ["idle", "off", "on"])
    (horizon,) = document["horizons"]
    assert 0 < horizon["settings"][-1]["error"]["median"] < np.log2(3)
    assert horizon["settings"][-1]["loses_to_last"] is None
    assert " bits." in err
    assert " bits per label. " in err
    assert "RMSE" not in err
    assert horizon["worst"][0]["loss"] == horizon["worst"][0]["error"]


def test_drawn_is_what_the_series_says(spec: Path) -> None:
    source = source_of(read_spec(str(spec)))
    drawn = Drawn.of(source)
    assert list(drawn.columns) == list(source.series.columns)
    assert drawn.columns["clock_skew"][2] == source.series.drawn(2)["clock_skew"]
