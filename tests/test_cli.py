"""The command line: what is printed and written, exit codes, and errors of one line."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbt_embed import Config, Learner, __version__, memory_of
from nbt_embed.cli import main
from nbt_embed.comparison import Comparison, compare
from nbt_embed.csvfile import from_csv
from nbt_embed.simulation import simulated_sensor

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def sensor(tmp_path: Path) -> Path:
    """Return a CSV file with a time, a text and three sensors, some readings missing."""
    stream = simulated_sensor(1500, seed=2)
    path = tmp_path / "sensor.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["t", *stream.input_names, "note"])
        for t, row in enumerate(stream.inputs):
            writer.writerow([t, *("" if np.isnan(value) else value for value in row), "ok"])
    return path


def failure(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Return the one line that the command fails with."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = int(end.code or 0)
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_run_prints_the_comparison_and_writes_both_files(
    sensor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, document = tmp_path / "pred.csv", tmp_path / "run.json"
    code = main(
        f"run {sensor} --time t --horizon 1,3 --lags 2 --hidden 6 --cell lstm --seed 7 "
        f"--score-from 500 --out {out} --json {document}".split()
    )
    captured = capsys.readouterr()
    assert code == 0
    note = "nbt-embed: note: not used: note: line 2 holds 'ok', not a number\n"
    assert captured.err == note  # no progress bar outside a terminal
    assert f"{sensor}: 1500 rows, scored from row 500" in captured.out
    for word in ("learner", "last value", "NLMS", "RLS", "total", "µs per step"):
        assert word in captured.out

    figures: dict[str, Any] = json.loads(document.read_text())
    assert (figures["rows"], figures["horizon"], figures["version"]) == (1500, 1, __version__)
    assert figures["config"]["cell"] == "lstm"
    assert figures["config"]["hold_missing"] is True
    stream = from_csv(sensor, time="t")
    for part, horizon in zip(figures["horizons"], (1, 3), strict=True):
        settings: dict[str, Any] = {
            "hidden": 6,
            "lags": 2,
            "cell": "lstm",
            "seed": 7,
            "max_delay": horizon - 1,
        }
        learner = Learner(3, 3, hold_missing=True, **settings)
        forecasts = learner.run(stream.inputs, stream.targets, horizon=horizon)
        assert part["memory_bytes"] == learner.memory.total
        assert f"{part['nrmse']:.4g}" in captured.out
        _check_predictions(out, horizon, forecasts, stream.targets)


def _check_predictions(path: Path, horizon: int, forecasts: Any, targets: Any) -> None:
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["horizon"]) == horizon]
    assert [int(row["row"]) for row in rows] == list(range(horizon, len(targets) + horizon))
    name = "current_A"
    np.testing.assert_allclose(
        [float(row[f"{name}_forecast"]) for row in rows], forecasts[:, 1], rtol=1e-6
    )
    written = [float(row[name] or "nan") for row in rows]
    expected = [*targets[horizon:, 1], *[np.nan] * horizon]
    np.testing.assert_allclose(written, expected, rtol=1e-6)


def test_columns_can_be_chosen(sensor: Path, tmp_path: Path) -> None:
    document = tmp_path / "run.json"
    columns = ["--inputs", "current_A, t", "--targets", "position_mm"]
    assert main(["run", str(sensor), *columns, "--json", str(document)]) == 0
    figures = json.loads(document.read_text())
    assert figures["inputs"] == ["current_A", "t"]
    assert list(figures["nrmse_per_target"]) == ["position_mm"]


def test_a_missing_value_may_be_negative(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gas.csv"
    path.write_text("gas,dead\n" + "".join(f"{v % 7},-200\n-200,-200\n" for v in range(50)))
    assert main(["run", str(path), "--missing", "-200"]) == 0
    captured = capsys.readouterr()
    assert "100 rows" in captured.out
    assert "dead: no value in any row" in captured.err


def test_demo_shows_table_and_pictures_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    assert main(["demo"]) == 0
    assert time.perf_counter() - began < 20
    captured = capsys.readouterr()
    assert captured.err == ""
    for text in ("before learning, the first 72", "after learning, the last 72", "RLS", "total"):
        assert text in captured.out
    assert all(len(line) <= 120 for line in captured.out.splitlines())


def test_the_demo_learner_beats_the_simple_forecasters(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(3):
        assert main(["demo", "--seed", str(seed)]) == 0
        line = capsys.readouterr().out.split("nRMSE")[1].splitlines()[2]
        learner, last, nlms, rls = (float(figure) for figure in line.split()[2:])
        assert learner < min(nlms, rls) < last


def test_size_prints_what_the_kernel_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "size.json"
    network = ["--hidden", "16", "--inputs", "3", "--outputs", "1", "--cell", "gated"]
    choice = ["--estimator", "nobacktrack", "--filter", "kalman"]
    assert main(["size", *network, *choice, "--json", str(document)]) == 0
    total = memory_of(Config(3, 1, estimator="nobacktrack")).total
    assert total <= 10 * 1024
    assert f"{total:,}" in capsys.readouterr().out
    figures = json.loads(document.read_text())
    assert figures["memory_bytes"] == total == sum(figures["memory"].values())
    assert set(figures["alternatives"]) >= {"rtrl", "bptt_100", "echo_state"}
    main(["size", *network, *choice, "--horizon", "11"])
    # Ten more inputs that wait, and the pre-activations of a live state that leads.
    assert f"{total + 4 * (3 * 10 + 2 * 16):,}" in capsys.readouterr().out


def test_usage_errors_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*arguments: str) -> str:
        return failure(capsys, *arguments)

    assert "required: run | demo | size" in refused()
    assert "invalid choice: 'walk'" in refused("walk")
    assert "FILE.csv[.gz]" in refused("run")
    assert "required: --inputs, --outputs" in refused("size")
    assert "--hidden: '0': expected an integer from 1" in refused("demo", "--hidden", "0")
    assert "--seed: 'x': expected an integer from 0" in refused("demo", "--seed", "x")
    assert "--horizon: '0': expected" in refused("run", "f.csv", "--horizon", "1,0")
    assert "--horizon: '': expected" in refused("run", "f.csv", "--horizon", "1,")
    assert "--score-from: '-1'" in refused("run", "f.csv", "--score-from", "-1")
    assert "expected names separated by commas" in refused("run", "f.csv", "--inputs", "a,,b")
    assert "invalid choice: 'gru'" in refused("demo", "--cell", "gru")


def test_bad_input_is_one_line(
    sensor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str | Path) -> str:
        return failure(capsys, "run", *arguments)

    def file(text: str) -> Path:
        path = tmp_path / "bad.csv"
        path.write_text(text)
        return path

    assert "no such file" in refused(tmp_path / "none.csv")
    assert "no column 'clock'; it has t, position_mm" in refused(sensor, "--time", "clock")
    assert "the file is empty" in refused(file(""))
    assert "no numeric column" in refused(file("a b\n1 2\n"))
    assert "column 'a', data row 2: inf" in refused(file("a\n1\ninf\n"))
    assert "nothing to score: the stream has 1 rows" in refused(file("a\n1\n"))
    assert "line 3 has 1 cells" in refused(file("a,b\n1,2\n3\n"))
    assert "name another file to write" in refused(sensor, "--out", sensor)
    assert "directory that exists" in refused(sensor, "--json", tmp_path / "no" / "x.json")
    assert "directory that exists" in refused(sensor, "--out", tmp_path)
    assert "hidden = 5000: expected a value from 1" in failure(capsys, "demo", "--hidden", "5000")


def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ("size", "--inputs", "1", "--outputs", "1", "--json")
    assert "cannot be written" in failure(capsys, *size, tmp_path / f"{'x' * 300}.json")
    full = Path("/dev/full")
    if full.exists():
        assert "cannot be written (No space left" in failure(capsys, *size, full)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [(KeyboardInterrupt, 130, "interrupted"), (MemoryError, 2, "smaller --hidden")],
)
def test_interruptions_and_lack_of_memory_end_cleanly(
    error: type[BaseException],
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("nbt_embed.cli.compare", fail)
    assert main(["demo"]) == code
    assert text in capsys.readouterr().err


def test_a_terminal_gets_a_progress_bar_that_is_wiped_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["demo"]) == 0
    err = capsys.readouterr().err
    assert "[#####" in err
    assert "100%" in err
    assert err.endswith("\r\033[K")


def test_what_the_guards_did_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def skipping(*arguments: Any) -> Comparison:
        result = compare(*arguments)
        return replace(result, counters=replace(result.counters, skipped=3, reopened=2))

    monkeypatch.setattr("nbt_embed.cli.compare", skipping)
    assert main(["demo"]) == 0
    told = capsys.readouterr().err
    assert "horizon 5: 3 updates were dropped" in told
    assert "horizon 5: 2 times the loss rose for good" in told


def test_the_module_is_the_command_and_says_its_version() -> None:
    command = [sys.executable, "-m", "nbt_embed", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == f"nbt-embed {__version__}\n"


def test_a_reader_that_leaves_is_no_traceback() -> None:
    code = "import sys, time; time.sleep(0.5); from nbt_embed.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "size", "--inputs", "1", "--outputs", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as messages:
        assert messages.read() == ""
    assert process.wait() == 141


def test_ctrl_c_is_no_traceback(sensor: Path) -> None:
    horizons = ",".join(["20"] * 2000)
    # Started in the background of a shell, this test would hand a deaf ear on to the command.
    deaf = signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        [sys.executable, "-m", "nbt_embed", "run", str(sensor), "--horizon", horizons],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        signal.signal(signal.SIGINT, deaf)
        assert process.stderr is not None
        process.stderr.readline()  # the note about an unused column: the run has begun
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert (out, err) == ("", "\nnbt-embed: interrupted\n")


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded streams are not in {DATA}")
def test_recorded_gas_sensors_are_learnt(tmp_path: Path) -> None:
    document = tmp_path / "run.json"
    path = DATA / "air_quality" / "AirQualityUCI.csv.gz"
    assert main(["run", str(path), "--missing", "-200", "--json", str(document)]) == 0
    figures = json.loads(document.read_text())
    assert figures["rows"] == 9357
    assert figures["counters"]["skipped"] == 0
    assert figures["nrmse"] < figures["baselines"]["persistence"]["nrmse"]
