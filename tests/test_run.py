"""`nbt-embed run` and `demo`: from a file to scores, files, a page and a learner."""

from __future__ import annotations

import csv
import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import shared

pytest.importorskip("polars", reason="needs the extra [app]")

from nbt_embed import Learner, __version__, _interrupt
from nbt_embed.alarm import events
from nbt_embed.app import session
from nbt_embed.app.spool import temporary_folder
from nbt_embed.cli import main
from nbt_embed.commands.demo import stream_of
from nbt_embed.config import Config
from nbt_embed.evaluate import evaluate
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream, from_arrays


@pytest.fixture(scope="module")
def sensor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV file with a time, a status and three sensors, some readings missing."""
    stream = simulated_sensor(1500, seed=2)
    path = tmp_path_factory.mktemp("run") / "sensor.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["t", *stream.input_names, "status"])
        for t, row in enumerate(stream.inputs):
            status = ("idle", "run", "stop")[t // 40 % 3]
            writer.writerow([t, *("" if np.isnan(value) else value for value in row), status])
    return path


def run(tmp_path: Path, *arguments: object) -> dict[str, Any]:
    """Run the command and return its document."""
    document = tmp_path / "run.json"
    assert main(["run", *map(str, arguments), "--json", str(document)]) == 0
    found: dict[str, Any] = json.loads(document.read_text())
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the one line that the command fails with."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = int(end.code or 0)
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    lines = captured.err.splitlines()
    assert [line for line in lines if "note:" not in line] == lines[-1:]
    return lines[-1]


def same_stream(path: Path) -> Stream:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    values = np.array([[float(cell or "nan") for cell in row[1:4]] for row in rows[1:]])
    return from_arrays(values, input_names=rows[0][1:4])


def test_the_scores_are_those_of_the_library(
    sensor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--hidden", "6", "--cell", "lstm", "--seed", "7", "--lags", "2"]
    found = run(tmp_path, sensor, "--horizon", "1,3", *settings, "--set", "forget=0.999")
    captured = capsys.readouterr()
    assert (found["schema"], found["schema_version"]) == ("nbt-embed run", 1)
    assert found["version"] == __version__
    assert found["source"]["rows"] == 1500
    assert found["source"]["time"]["column"] == "t"
    assert found["inputs"] == found["targets"] == ["position_mm", "current_A", "temperature_C"]
    assert found["learner"]["config"]["cell"] == "lstm"
    assert found["learner"]["config"]["forget"] == 0.999
    assert found["learner"]["config"]["hold_missing"] is True
    stream = same_stream(sensor)
    for part, horizon in zip(found["horizons"], (1, 3), strict=True):
        learner = Learner(
            3,
            3,
            hold_missing=True,
            hidden=6,
            cell="lstm",
            seed=7,
            lags=2,
            forget=0.999,
            max_delay=horizon - 1,
        )
        alone = evaluate(learner, stream, horizon)
        assert part["memory_bytes"] == learner.memory.total
        for target, nrmse in zip(part["targets"], alone.nrmse_per_target, strict=True):
            assert target["scores"]["learner"]["nrmse"] == pytest.approx(nrmse, rel=1e-12)
            assert target["scored_from"] >= 2 * horizon
            rmse = {key: scores["rmse"] for key, scores in target["scores"].items()}
            skill = 1 - rmse["learner"] / rmse["last"]
            assert target["scores"]["learner"]["skill"] == pytest.approx(skill)
            assert f"{rmse['learner']:.4g}" in captured.out
    assert list(found["models"]) == ["learner", "frozen", "rls", "nlms", "last", "seasonal"]
    # Plain when piped, and 80 columns whatever the names.
    assert "\x1b" not in captured.out
    assert max(map(len, captured.out.splitlines())) <= 80
    for sentence in found["verdict"]:
        assert sentence.split(",")[0] in captured.out.replace("\n", " ")


def test_one_line_from_the_file_to_the_firmware(sensor: Path, tmp_path: Path) -> None:
    state, firmware = tmp_path / "learner.nbt", tmp_path / "firmware"
    arguments = ["--horizon", "5", "--target", "position_mm", "--save", state]
    found = run(tmp_path, sensor, *arguments)
    learner = Learner.load(state)
    assert learner.memory.total == found["learner"]["memory_bytes"]
    assert learner.pending == 5
    stream = same_stream(sensor)
    alone = Learner(3, 1, hold_missing=True, max_delay=4)
    alone.run(stream.inputs, stream.targets[:, :1], horizon=5)
    assert learner.hash() == alone.hash()
    assert main(["export", str(state), "--out", str(firmware)]) == 0
    assert (firmware / "Makefile").is_file()


def test_saving_needs_one_horizon(
    sensor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, "run", sensor, "--horizon", "1,2", "--save", tmp_path / "l.nbt")
    assert "--save: 2 horizons have 2 learners; name one with --horizon" in message


def test_all_files_of_a_run(sensor: Path, tmp_path: Path) -> None:
    names = {
        "--report": "page.html",
        "--plot": "plot.svg",
        "--out": "rows.parquet",
        "--save": "l.nbt",
    }
    options = [word for option, name in names.items() for word in (option, tmp_path / name)]
    run(tmp_path, sensor, "--target", "current_A", *options)
    assert "<!doctype html>" in (tmp_path / "page.html").read_text().lower()[:200]
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
    assert (tmp_path / "rows.parquet").read_bytes()[:4] == b"PAR1"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names.values(), "run.json"])


def test_targets_of_a_status_are_classes(sensor: Path, tmp_path: Path) -> None:
    found = run(tmp_path, sensor, "--target", "status", "--out", tmp_path / "rows.csv")
    assert found["link"] == "categorical"
    assert found["classes"] == ["idle", "run", "stop"]
    scores = found["horizons"][0]["targets"][0]["scores"]
    assert list(scores) == ["learner", "frozen", "rls", "last", "majority"]
    assert scores["majority"]["bits"] == pytest.approx(np.log2(3), abs=0.05)
    assert scores["learner"]["bits"] < scores["majority"]["bits"]
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["status_forecast"] for row in rows[1:]} <= {"idle", "run", "stop"}


def test_a_label_of_its_own_row(sensor: Path, tmp_path: Path) -> None:
    columns = ["--inputs", "current_A", "--target", "position_mm"]
    found = run(tmp_path, sensor, "--horizon", "0", *columns)
    assert found["horizons"][0]["horizon"] == 0
    assert found["horizons"][0]["targets"][0]["scored_from"] == 1
    assert found["inputs"] == ["current_A"]


def test_a_label_of_its_own_row_is_not_told(
    sensor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(tmp_path, sensor, "--horizon", "0", "--target", "position_mm")
    assert found["inputs"] == ["current_A", "temperature_C"]
    assert found["horizons"][0]["targets"][0]["scores"]["learner"]["skill"] < 0.99
    capsys.readouterr()
    assert "name the targets" in refused(capsys, "run", sensor, "--horizon", "0")
    both = ["--horizon", "0,1", "--target", "position_mm"]
    assert "run them separately, or name the inputs" in refused(capsys, "run", sensor, *both)
    run(tmp_path, sensor, *both, "--inputs", "position_mm,current_A")
    assert "position_mm is both an input and the target" in capsys.readouterr().err


def test_a_period_is_found_said_or_left_out(sensor: Path, tmp_path: Path) -> None:
    found = run(tmp_path, sensor, "--target", "position_mm")
    assert found["models"]["seasonal"]["name"] == "12 rows ago"
    said = run(tmp_path, sensor, "--target", "position_mm", "--period", "24")
    assert said["models"]["seasonal"]["name"] == "24 rows ago"
    assert "seasonal" not in run(tmp_path, sensor, "--period", "0")["models"]


def test_names_that_hold_commas(tmp_path: Path) -> None:
    path = tmp_path / "comma.csv"
    rows = "".join(f"{np.sin(i / 3):.4f},{i % 7}\n" for i in range(200))
    path.write_text(f'"temp, C",flow\n{rows}')
    found = run(tmp_path, path, "--target", '"temp, C"', "--inputs", 'flow, "temp, C"')
    assert found["targets"] == ["temp, C"]
    assert found["inputs"] == ["flow", "temp, C"]


def test_standard_input_is_read(sensor: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "nbt_embed", "run", "-", "--target", "position_mm"]
    with sensor.open("rb") as file:
        done = subprocess.run(
            [*program, "--json", str(tmp_path / "x.json")],
            stdin=file,
            capture_output=True,
            text=True,
            check=True,
        )
    assert "1,500 rows" in done.stdout
    direct = run(tmp_path, sensor, "--target", "position_mm")
    piped = json.loads((tmp_path / "x.json").read_text())
    assert piped["horizons"][0]["targets"] == direct["horizons"][0]["targets"]


def test_bad_input_is_one_line(
    sensor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object) -> str:
        return refused(capsys, "run", *arguments)

    def file(text: str) -> Path:
        path = tmp_path / "bad.csv"
        path.write_text(text)
        return path

    assert "no such file" in fail(tmp_path / "none.csv")
    assert "no column 'clock'" in fail(sensor, "--time", "clock")
    assert "no column 'bits'" in fail(sensor, "--target", "bits")
    assert "empty" in fail(file(""))
    assert "line 3" in fail(file("a,b\n1,2\n3\n4,5\n"))
    assert "nothing to score: " in fail(file("a\n1\n"))
    assert "name another file to write" in fail(sensor, "--out", sensor)
    assert "name another file to write" in fail(sensor, "--report", sensor)
    assert "error: '': cannot be written; name a file" in fail(sensor, "--out", "")
    for name in (f"{tmp_path / 'none'}/", f"{sensor}/"):
        assert f"{name}: cannot be written; name a file" in fail(sensor, "--out", name)
    assert not (tmp_path / "none").exists()
    for option in ("--json", "--report", "--plot", "--save", "--out"):
        endings = {"--json": "json", "--report": "html", "--plot": "svg"}
        path = tmp_path / "no" / f"x.{endings.get(option, 'csv')}"
        assert "directory that exists" in fail(sensor, option, path)
    for option, name, good in (
        ("--plot", "x.jpg", ".png or .svg"),
        ("--report", "x.pdf", ".html or .htm"),
        ("--out", "x.csv.gz", ".csv or .txt or .parquet or .pq"),
        ("--json", "x.csv", ".json"),
    ):
        assert f"ends in {good}" in fail(sensor, option, tmp_path / name)
        assert not (tmp_path / name).exists()
    for period in (1, 1500, 5000):
        assert "0, for none, or rows from 2 to 1499" in fail(sensor, "--period", period)
    assert "hidden = 5000: expected a value from 0" in fail(sensor, "--hidden", "5000")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("forget", "expected NAME=VALUE"),
        ("forgot=1", "did you mean 'forget'"),
        ("n_in=3", "n_in is determined by"),
        ("anchor=0", "anchor is determined by"),
        ("link=categorical", "use --link"),
        ("forget=x", "forget = 'x': expected a number"),
        ("forget=2", "forget = 2"),
        ("head=1.5", "head = 1.5: expected an integer"),
        ("levels=(0.5,", "levels"),
    ],
)
def test_settings_that_cannot_be(
    setting: str, message: str, sensor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, "run", sensor, "--set", setting)


def test_every_setting_can_be_set(sensor: Path, tmp_path: Path) -> None:
    settings = {
        "forget": "0.999",
        "head": "3",
        "follow": "true",
        "levels": "(0.5, 0.9)",
        "tau_max": "12.5",
        "norm": "euclidean",
        "slow_forget": "none",
    }
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    config = run(tmp_path, sensor, *words)["learner"]["config"]
    assert (config["forget"], config["head"], config["levels"]) == (0.999, 3, [0.5, 0.9])
    assert (config["tau_max"], config["norm"], config["follow"]) == (12.5, "euclidean", True)


def test_a_setting_that_is_an_option_too_is_given_once(
    sensor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, "run", sensor, "--head", "3", "--set", "head=4")
    assert "--set head: is given twice; leave one of the two out" in message


def test_the_demo_tells_where_its_page_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--json", "d.json"]) == 0
    captured = capsys.readouterr()
    assert captured.out.endswith("HTML page: nbt-embed-demo.html\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.json", "nbt-embed-demo.html"]
    document = json.loads((tmp_path / "d.json").read_text())
    scores = document["horizons"][0]["targets"][0]["scores"]
    simple = [scores[key]["rmse"] for key in ("rls", "nlms", "last", "seasonal")]
    assert scores["learner"]["rmse"] < min(simple)
    assert document["horizons"][0]["winner"] == "learner"
    alarms = [alarm["row"] for alarm in document["horizons"][0]["alarms"]]
    assert [row for row in alarms if 2990 <= row < 3100] == [3000]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_fault_of_the_demo_is_seen_and_found(seed: int) -> None:
    """The position moves by its usual swing, and that is an alarm within the horizon."""
    stream = stream_of(seed)
    position = stream.targets[:, 0]
    assert abs(np.nanmean(position[3000:4000]) - np.nanmean(position[2000:3000]) - 1) < 0.2
    config = Config(3, 1, hold_missing=True, max_delay=4, seed=seed)
    run = Learner(config).run(stream.inputs, stream.targets, horizon=5, anomaly=True)
    assert run.anomaly is not None
    (told,) = events(run.anomaly, 0.9999, 100)
    assert len(told[(told >= 3000) & (told < 3005)]) == 1


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [(KeyboardInterrupt, 130, "interrupted"), (MemoryError, 2, "smaller --hidden")],
)
def test_interruptions_and_lack_of_memory_end_cleanly(
    error: type[BaseException],
    code: int,
    text: str,
    sensor: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(session, "run_trial", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["run", str(sensor), "--out", str(tmp_path / "x.csv")]) == code
    assert text in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []  # neither the file nor a temporary one


def test_what_the_guards_did_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.csv"
    values = np.sin(np.arange(400) / 3)
    values[300] = 1e6
    path.write_text("x\n" + "".join(f"{value}\n" for value in values))
    assert main(["run", str(path)]) == 0
    notes = capsys.readouterr().err
    assert "horizon 1: the error of outlying labels was clipped" in notes
    assert "horizon 1: outlying inputs were clipped (input_limit) at row 300" in notes


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_told_to_end_leaves_nothing_behind(
    number: signal.Signals, sensor: Path, tmp_path: Path
) -> None:
    horizons = ",".join(map(str, range(1, 200)))
    command = [sys.executable, "-m", "nbt_embed", "run", str(sensor), "--horizon", horizons]
    out = tmp_path / "rows.csv"
    with subprocess.Popen(
        [*command, "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()  # a note: the run has begun
        process.send_signal(number)
        said = process.stderr.read()
        assert process.wait(timeout=30) == 128 + number
    assert list(tmp_path.rglob("*")) == [], said


def test_a_signal_while_a_temporary_folder_is_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python runs a handler between any two of its instructions."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made: list[str] = []
    mkdtemp = tempfile.mkdtemp

    def interrupted(*arguments: Any) -> str:
        made.append(mkdtemp(*arguments))
        signal.raise_signal(signal.SIGTERM)
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", interrupted)
    before = signal.signal(signal.SIGTERM, _interrupt._end)
    try:
        with pytest.raises(SystemExit):
            temporary_folder()
    finally:
        signal.signal(signal.SIGTERM, before)
    gc.collect()
    assert made
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_command_says_what_to_install(sensor: Path, tmp_path: Path) -> None:
    (tmp_path / "polars.py").write_text("raise ModuleNotFoundError('no', name='polars')\n")
    program = [sys.executable, "-m", "nbt_embed"]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}

    def fails(*arguments: str) -> str:
        done = subprocess.run(
            [*program, *arguments], capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 2
        return done.stderr

    line = "polars is not installed: pip install 'nbt-embed[app]'"
    assert fails("run", str(sensor)) == f"nbt-embed: error: nbt-embed run: {line}\n"
    assert line in fails("demo")
    size = [*program, "size", "--inputs", "1", "--outputs", "1"]
    subprocess.run(size, check=True, capture_output=True, env=environment)


def test_a_shell_completes_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    for word in ("--horizon", "--report", "export", "--estimator", "_shtab_compgen_files"):
        assert word in script
    assert re.search(r"run__?_?report_COMPGEN=_shtab_compgen_files", script)
    bash = shutil.which("bash")
    if bash is not None:
        subprocess.run([bash, "-n"], input=script, text=True, check=True)


def test_recorded_gas_sensors_are_learnt(tmp_path: Path) -> None:
    path = shared("data", "air_quality", "AirQualityUCI.csv.gz")
    found = run(tmp_path, path, "--missing", "-200")
    assert found["source"]["rows"] == 9357
    one = found["horizons"][0]
    assert one["counters"]["skipped"] == 0
    assert one["ratios"]["last"]["learner_over"] < 1


@pytest.mark.slow
def test_the_recorded_streams_have_the_scores_of_make_streams(tmp_path: Path) -> None:
    """Completes without further options; from the same row on the scores are the same."""
    from tools.streams.models import FROZEN, LAST, LEARNERS
    from tools.streams.recordings import tasks

    entrants = {"learner": LEARNERS["default"], "frozen": FROZEN, "last": LAST}
    for task in tasks(shared("data", "streams")):
        options = ["--target", task.target, "--horizon", task.horizon]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = run(tmp_path, task.path, *options)
            part = run(tmp_path, task.path, *options, "--score-from", task.start)
        assert found["horizons"][0]["targets"][0]["scored_from"] >= 2 * task.horizon
        stream = task.stream()
        for key, entrant in entrants.items():
            model = entrant.build(stream, task.horizon, 0)
            expected = evaluate(model, stream, task.horizon, task.start).nrmse
            scores = part["horizons"][0]["targets"][0]["scores"]
            assert scores[key]["nrmse"] == pytest.approx(expected, rel=1e-9), (task.name, key)
