"""The command line: what is printed and written, exit codes, and errors of one line."""

from __future__ import annotations

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbt_embed import Config, Learner, __version__, memory_of
from nbt_embed.cli import main
from nbt_embed.simulation import simulated_sensor


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


def test_size_prints_what_the_kernel_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "size.json"
    network = ["--hidden", "16", "--inputs", "3", "--outputs", "1", "--cell", "gated"]
    choice = ["--estimator", "nobacktrack", "--lags", "1", "--no-follow"]
    assert main(["size", *network, *choice, "--json", str(document)]) == 0
    total = memory_of(Config(3, 1, estimator="nobacktrack", lags=1, follow=False)).total
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

    assert "required: run | watch | compare | tune | fleet | demo | size" in refused()
    assert "invalid choice: 'walk'" in refused("walk")
    assert "required: FILE" in refused("run")
    assert "required: --inputs, --outputs" in refused("size")
    assert "--hidden: '-1': expected an integer from 0" in refused("demo", "--hidden", "-1")
    assert "--seed: 'x': expected an integer from 0" in refused("demo", "--seed", "x")
    assert "names a horizon twice" in refused("run", "f.csv", "--horizon", "1,5,1")
    assert "--horizon: '-1': expected" in refused("run", "f.csv", "--horizon", "1,-1")
    assert "--horizon: '': expected" in refused("run", "f.csv", "--horizon", "1,")
    assert "--score-from: '-1'" in refused("run", "f.csv", "--score-from", "-1")
    assert "expected names separated by commas" in refused("run", "f.csv", "--inputs", "a,,b")
    assert "invalid choice: 'gru'" in refused("demo", "--cell", "gru")


@pytest.mark.parametrize(
    "text", ["1_5", " 5", "5 ", "+5", "-0", "１５", "٣", "1e1", "0x5", "5.0", "nan", ""]
)
def test_integers_are_digits_alone(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    size = ("size", "--inputs", "1", "--outputs", "1")
    for command, option in (
        (("demo",), "--hidden"),
        (("demo",), "--seed"),
        (("demo",), "--lags"),
        (("size", "--outputs", "1"), "--inputs"),
        (size, "--horizon"),
        (("run", "f.csv"), "--horizon"),
        (("run", "f.csv"), "--score-from"),
        (("export", "f.nbt", "--out", "f"), "--horizon"),
    ):
        message = failure(capsys, *command, f"{option}={text}")
        assert f"argument {option}: {text!r}: expected an integer from" in message
        assert "digits 0 to 9 alone" in message


def test_integers_that_no_kernel_takes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    size = ("size", "--outputs", "1", "--inputs")
    assert "--hidden" in failure(capsys, "demo", "--hidden", "9" * 5000)
    assert "--hidden: '9999" in failure(capsys, "demo", "--hidden", "9" * 5000)[:200]
    assert len(failure(capsys, "demo", "--hidden", "9" * 5000)) < 300
    assert f"integer from 0 to {2**64 - 1}, in" in failure(capsys, "demo", "--hidden", "9" * 20)
    assert "0 to 1048576" in failure(capsys, "size", "--horizon", "9999999", *size[1:], "1")
    for text in ("99999999999", "9" * 20):
        assert text in failure(capsys, *size, text)
        assert text in failure(capsys, "demo", "--hidden", text)
    assert "seed" in failure(capsys, "demo", "--seed", "9" * 20)


@pytest.mark.parametrize("text", ["1_5", " 5", "5\n", "１５", "1_0e3"])
def test_a_mark_of_missing_values_is_a_number_as_files_spell_it(
    text: str, sensor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = failure(capsys, "run", sensor, f"--missing={text}")
    assert f"argument --missing: {text!r}: expected a number" in message


def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ("size", "--inputs", "1", "--outputs", "1", "--json")
    assert "cannot be written" in failure(capsys, *size, tmp_path / f"{'x' * 300}.json")
    full = Path("/dev/full")
    if full.exists():
        assert "cannot be written (No space left" in failure(capsys, *size, full)


def small_run(path: Path, *more: str) -> list[str]:
    """Return the arguments of a short run."""
    return ["run", str(path), "--time", "t", "--hidden", "2", *more]


def as_process(
    arguments: list[str], tail: str = "", *, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell, with redirections."""
    command = shlex.join([sys.executable, "-m", "nbt_embed", *arguments])
    return subprocess.run(
        ["sh", "-c", f"{command} {tail}"], capture_output=True, text=True, check=False, cwd=cwd
    )


def commands(sensor: Path, tmp_path: Path) -> list[list[str]]:
    """Return a call of every command that prints, with success."""
    learner = Learner(1, 1, hidden=2)
    learner.save(tmp_path / "l.nbt")
    (tmp_path / "log.csv").write_text(f"label,x,hash\n,,{learner.hash():016x}\n")
    return [
        ["--version"],
        ["--help"],
        ["run", "--help"],
        small_run(sensor),
        small_run(sensor, "--out", "-"),
        small_run(sensor, "--json", "-"),
        ["size", "--inputs", "1", "--outputs", "1"],
        ["export", str(tmp_path / "l.nbt"), "--out", str(tmp_path / "firmware")],
        ["replay", str(tmp_path / "l.nbt"), str(tmp_path / "log.csv")],
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_standard_output_that_cannot_be_written_is_one_line_and_2(
    sensor: Path, tmp_path: Path
) -> None:
    calls = commands(sensor, tmp_path)
    full = [(arguments, ">/dev/full", "No space left") for arguments in calls]
    closed = [(arguments, ">&-", "is closed") for arguments in (calls[0], calls[-1])]
    for arguments, tail, reason in full + closed:
        result = as_process(arguments, tail)
        lines = [line for line in result.stderr.splitlines() if "nbt-embed: error" in line]
        assert (result.returncode, len(lines)) == (2, 1), (arguments, tail, result.stderr)
        assert "standard output" in lines[0]
        assert reason in lines[0]
        assert "Traceback" not in result.stderr
        assert "Exception" not in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("tail", ["2>/dev/full", "2>&-"])
def test_who_cannot_be_told_has_the_exit_code(tail: str, sensor: Path, tmp_path: Path) -> None:
    calls = commands(sensor, tmp_path)
    for arguments in (calls[0], calls[3], calls[-1]):
        result = as_process(arguments, tail)
        assert result.returncode == 0, arguments
        assert result.stdout
    assert as_process(["replay", "none", "none"], tail).returncode == 2
    assert as_process(["walk"], tail).returncode == 2
    assert as_process(["replay", "none", "none"], tail).stdout == ""


def test_a_file_may_be_standard_output(
    sensor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, document = tmp_path / "pred.csv", tmp_path / "run.json"
    assert main(small_run(sensor, "--out", str(out), "--json", str(document))) == 0
    table = capsys.readouterr().out
    assert main(small_run(sensor, "--out", "-")) == 0
    captured = capsys.readouterr()
    assert captured.out == out.read_text()
    assert "1,500 rows" in table
    assert "1,500 rows" in captured.err
    assert main(small_run(sensor, "--json", "-")) == 0
    assert json.loads(capsys.readouterr().out)["source"]["rows"] == 1500
    assert "same file" in failure(capsys, *small_run(sensor, "--out", "-", "--json", "-"))
    assert main(["size", "--inputs", "1", "--outputs", "1", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["memory_bytes"] > 0


def test_no_file_is_written_twice_or_read_and_written(
    sensor: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = sensor.read_bytes()
    hard, soft, new = tmp_path / "hard.csv", tmp_path / "soft.csv", tmp_path / "new"
    hard.hardlink_to(sensor)
    soft.symlink_to(sensor)
    (tmp_path / "dangling").symlink_to(new)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for path in (sensor, hard, soft, tmp_path / "folder" / ".." / "sensor.csv", Path("sensor.csv")):
        for option in ("--out", "--json"):
            message = failure(capsys, *small_run(sensor, option, str(path)))
            assert f"{path}: is the same file as {sensor}; name another file" in message
    old = tmp_path / "old"
    old.write_text("old")
    (tmp_path / "linked").hardlink_to(old)
    for out, document in (("new", str(new)), ("new", "dangling"), ("old", "linked")):
        message = failure(capsys, *small_run(sensor, "--out", out, "--json", document))
        assert f"{document}: is the same file as {out}" in message
    assert sensor.read_bytes() == before
    assert old.read_text() == "old"
    assert not new.exists()
    assert main(small_run(sensor, "--out", "/dev/null", "--json", "/dev/null")) == 0


def test_standard_input_that_would_be_written_is_refused(sensor: Path, tmp_path: Path) -> None:
    before = sensor.read_bytes()
    linked = tmp_path / "linked.csv"
    linked.hardlink_to(sensor)
    for command in ("run", "watch"):
        for option in ("--out", "--json", "--save"):
            result = as_process([command, "-", option, str(linked)], f"<{sensor}")
            assert result.returncode == 2
            assert f"{linked}: is the same file as standard input; name an" in result.stderr
            assert result.stderr.count("\n") == 1
    assert sensor.read_bytes() == before


def test_a_name_of_a_file_that_is_no_text_is_told_in_json(sensor: Path, tmp_path: Path) -> None:
    document = tmp_path / "\udcff.json"
    assert main(small_run(sensor, "--json", str(document))) == 0
    assert str(document) in json.loads(document.read_bytes())["command"]


def test_standard_output_that_is_one_of_the_files_is_refused(sensor: Path, tmp_path: Path) -> None:
    before = sensor.read_bytes()
    for arguments, tail in (
        (small_run(sensor), f">>{sensor}"),
        (small_run(sensor, "--out", str(tmp_path / "x")), f">{tmp_path}/x"),
        (
            ["size", "--inputs", "1", "--outputs", "1", "--json", str(tmp_path / "x")],
            f">{tmp_path}/x",
        ),
    ):
        result = as_process(arguments, tail)
        assert result.returncode == 2
        assert "standard output: is the same file as" in result.stderr
        assert result.stderr.count("\n") == 1
    assert sensor.read_bytes() == before


def test_files_are_replaced_as_a_whole(sensor: Path, tmp_path: Path) -> None:
    """A file system that is full leaves the old file; one that is not replaces it."""
    out = tmp_path / "pred.csv"
    out.write_text("precious")
    out.chmod(0o640)
    limited = as_process(small_run(sensor, "--out", str(out)), ">/dev/null; exit $?")
    assert limited.returncode == 0
    assert out.read_text().startswith("row,time,")
    assert out.stat().st_mode & 0o777 == 0o640
    out.write_text("precious")
    command = shlex.join([sys.executable, "-m", "nbt_embed", *small_run(sensor, "--out", str(out))])
    result = subprocess.run(
        ["sh", "-c", f"ulimit -f 1; {command}"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "temporary file" in result.stderr
    assert "set TMPDIR" in result.stderr
    assert out.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pred.csv", "sensor.csv"]


def test_a_fifo_is_written_into(sensor: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    result = as_process(small_run(sensor, "--json", str(fifo)), f">/dev/null & cat {fifo}; wait $!")
    assert json.loads(result.stdout)["source"]["rows"] == 1500
    assert fifo.is_fifo()


# Stands for a library that takes its time: the user gives up while it is imported.
IMPATIENT = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)\n"


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("module", [False, True])
def test_ctrl_c_while_libraries_are_imported_is_no_traceback(
    module: bool, late: bool, tmp_path: Path
) -> None:
    """In the first of them, and in one that only the command needs."""
    if late:
        (tmp_path / "sitecustomize.py").write_text(f"import sys\n{LATE}")
    else:
        (tmp_path / "numpy.py").write_text(IMPATIENT)
    script = [str(Path(sys.executable).with_name("nbt-embed"))]
    command = [sys.executable, "-m", "nbt_embed"] if module else script
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(
        [*command, "demo"], capture_output=True, text=True, check=False, env=environment
    )
    assert (result.returncode, result.stdout) == (130, "")
    assert result.stderr == "\nnbt-embed: interrupted\n"


# An import hook that gives up when nbt_embed.report is looked for.
LATE = """
class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == "nbt_embed.report":
            import os, signal, time
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)
sys.meta_path.insert(0, Impatient())
"""


def test_who_uses_the_library_is_interrupted_as_always(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text(IMPATIENT)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    code = "try:\n    import nbt_embed\nexcept KeyboardInterrupt:\n    print('mine')"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert result.stdout == "mine\n"


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ([], {}),
        (["--no-mixture"], {"mix_forget": 0}),
        (["--no-follow", "--lags", "1"], {"follow": False, "lags": 1}),
        (["--hidden", "0"], {"hidden": 0}),
    ],
)
def test_parts_of_the_learner_can_be_left_out(
    options: list[str], settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["size", "--inputs", "3", "--outputs", "1", *options]) == 0
    printed = capsys.readouterr().out
    assert f"{memory_of(Config(3, 1, **settings)).total:,}  bytes" in printed
    assert "mixture" in printed
    assert ("without units" in printed) == ("hidden" in settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "columnar", "head": 8},
        {"cell": "columnar", "hidden": 9, "resonators": 4},
        {"cell": "resonator"},
        {"hidden": 0, "head": 5},
    ],
)
def test_layers_and_head_are_options(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    options = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    assert main(["size", "--inputs", "3", "--outputs", "1", *options]) == 0
    config, printed = Config(3, 1, **settings), capsys.readouterr().out
    assert f"{memory_of(config).total:,}  bytes" in printed
    assert ("exact RTRL" in printed) == (not config.traces_are_exact and config.hidden > 0)
    assert (f", head {config.head}," in printed) == bool(config.head)


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


def test_ctrl_c_after_the_result_is_out_changes_nothing() -> None:
    """While the interpreter shuts down, it would be a traceback and an exit code of a failure."""
    code = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.argv[0] = 'nbt-embed'\nfrom nbt_embed.cli import main\ncode = main(sys.argv[1:])\n"
        "os.kill(os.getpid(), signal.SIGINT)\nsys.exit(code)"
    )
    size = ["size", "--inputs", "1", "--outputs", "1"]
    done = subprocess.run([sys.executable, "-c", code, *size], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_is_no_traceback(sensor: Path) -> None:
    horizons = ",".join(map(str, range(1, 200)))
    with subprocess.Popen(
        [sys.executable, "-m", "nbt_embed", "run", str(sensor), "--horizon", horizons],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the note about an unused column: the run has begun
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert (out, err) == ("", "\nnbt-embed: interrupted\n")
