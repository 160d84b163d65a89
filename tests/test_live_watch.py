"""The command ``nbt-embed watch``: scores, answers, sessions, terminal."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import resource
import signal
import struct
import subprocess
import sys
import termios
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for library in ("polars", "rich", "plotext"):
    pytest.importorskip(library, reason="watching needs the extra 'app'")

from nbt_embed import Config, Learner, cli
from nbt_embed.app.recording import Block
from nbt_embed.live import sessions
from nbt_embed.live.answers import Answers
from nbt_embed.live.rings import History, Ring
from nbt_embed.live.sessions import alone
from nbt_embed.live.state import StateError, put, taken
from nbt_embed.live.summary import moment
from nbt_embed.live.watching import Plan, Watch
from nbt_embed.simulation import simulated_sensor
from tools.live import kills

ROWS = 1200
SMALL = ("--hidden", "4")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV file of three columns without a missing value."""
    path = tmp_path_factory.mktemp("source") / "machine.csv"
    made = simulated_sensor(ROWS, missing=0)
    lines = [",".join(made.input_names)]
    lines += [",".join(f"{x:.6g}" for x in row) for row in made.inputs.tolist()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def watch(source: Path, *more: object) -> int:
    """Run the command on a file to its end."""
    return cli.main(["watch", str(source), "--once", "--quiet", *SMALL, *map(str, more)])


def piped(data: bytes, *more: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a process with these bytes on its standard input."""
    words = [sys.executable, "-m", "nbt_embed", "watch", "-", *SMALL, *map(str, more)]
    return subprocess.run(words, input=data, capture_output=True, check=False, **options)


def blocks(cuts: Sequence[int], rows: int, columns: int = 2) -> Iterator[Block]:
    """A stream of some columns in blocks that end at the cuts, with times and missing values."""
    made = simulated_sensor(rows, missing=0.05).inputs[:, :columns].copy()
    made[3::10] = np.nan
    time = 1.7e9 + np.arange(rows) / 4
    for begin, end in zip([0, *cuts], [*cuts, rows], strict=True):
        yield Block(begin, False, made[begin:end], made[begin:end].copy(), time[begin:end])


def config(**more: Any) -> Config:
    return Config(2, 2, hidden=4, hold_missing=True, anchor=(0, 1), **more)


# ---- scores ----------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [0, 1, 5])
def test_scores_are_those_of_run(source: Path, tmp_path: Path, horizon: int) -> None:
    files = tmp_path / "run.json", tmp_path / "watch.json"
    more = ["--horizon", str(horizon)]
    if horizon == 0:  # every other column is told
        more += ["--inputs", "current_A,temperature_C", "--targets", "position_mm"]
    assert cli.main(["run", str(source), "--json", str(files[0]), *SMALL, *more]) == 0
    assert watch(source, "--json", files[1], "--out", tmp_path / "a.csv", *more) == 0
    run, seen = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    assert len(seen["scores"]) == len(run["horizons"][0]["targets"])
    for one, other in zip(run["horizons"][0]["targets"], seen["scores"], strict=True):
        for key in ("target", "scored_from", "scored_rows"):
            assert one[key] == other[key]
        for model in ("learner", "last"):
            assert other["scores"][model] == pytest.approx(one["scores"][model], rel=1e-9)
        for level, its in zip(one["intervals"], other["intervals"], strict=True):
            assert its == pytest.approx(level, rel=1e-6)
    alarms = [(one["row"], one["target"]) for one in run["horizons"][0]["alarms"]]
    assert [(one["row"], one["target"]) for one in seen["alarms"]] == alarms


def test_classes_are_scored_as_by_run(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    state = np.repeat(draw.integers(0, 3, 60), 10)
    path = tmp_path / "states.csv"
    lines = [f"{x:.4f},{'abc'[y]}" for x, y in zip(draw.normal(state), state, strict=True)]
    path.write_text("x,kind\n" + "\n".join(lines) + "\n", encoding="utf-8")
    files = tmp_path / "run.json", tmp_path / "watch.json"
    more = ["--inputs", "x", "--targets", "kind"]
    assert cli.main(["run", str(path), "--json", str(files[0]), *SMALL, *more]) == 0
    out = tmp_path / "answers.jsonl"
    assert watch(path, "--json", files[1], "--classes", "a,b,c", "--out", out, *more) == 0
    run, seen = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    (one,), (other,) = run["horizons"][0]["targets"], seen["scores"]
    assert other["scored_rows"] == one["scored_rows"]
    for model in ("learner", "last"):
        assert other["scores"][model] == pytest.approx(one["scores"][model], rel=1e-5)
    answers = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert {one["kind_forecast"] for one in answers} <= {"a", "b", "c"}
    assert all(1 / 3 <= one["kind_probability"] <= 1 for one in answers)


def test_pauses_reset_as_in_run(tmp_path: Path) -> None:
    made = simulated_sensor(900, missing=0).inputs[:, :2]
    time = np.arange(900.0) + 1000 * (np.arange(900) >= 300) + 77 * (np.arange(900) >= 304)
    path = tmp_path / "pauses.csv"
    lines = [f"{t:.0f},{a:.6g},{b:.6g}" for t, (a, b) in zip(time, made.tolist(), strict=True)]
    path.write_text("t_s,a,b\n" + "\n".join(lines) + "\n", encoding="utf-8")
    files = tmp_path / "run.json", tmp_path / "watch.json"
    more = ["--gap", "10", "--time", "t_s", "--horizon", "3"]
    assert cli.main(["run", str(path), "--json", str(files[0]), *SMALL, *more]) == 0
    assert watch(path, "--json", files[1], "--out", "/dev/null", *more) == 0
    run, seen = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    assert run["source"]["segments"] == 3
    assert seen["source"]["clock"]["resets"] == 2
    for one, other in zip(run["horizons"][0]["targets"], seen["scores"], strict=True):
        assert other["scored_rows"] == one["scored_rows"]
        for model in ("learner", "last"):
            assert other["scores"][model] == pytest.approx(one["scores"][model], rel=1e-9)


def test_labels_that_are_no_probability_are_missing(tmp_path: Path) -> None:
    rows = [(row % 7, row % 2) for row in range(300)]
    outs = []
    for wrong in ("3", "-1", ""):
        out, path = tmp_path / "o.csv", tmp_path / "bits.csv"
        lines = [f"{a},{wrong if i in (50, 51, 90) else b}" for i, (a, b) in enumerate(rows)]
        path.write_text("a,b\n" + "\n".join(lines) + "\n", encoding="utf-8")
        words = ["--inputs", "a", "--targets", "b", "--link", "bernoulli"]
        assert watch(path, "--out", out, "--json", tmp_path / "d.json", *words) == 0
        outs.append(out.read_bytes())
        counted = json.loads((tmp_path / "d.json").read_text(encoding="utf-8"))["out_of_range"]
        assert counted == (3 if wrong else 0)
    assert outs[0] == outs[1] == outs[2]


def test_rolling_scores_are_those_of_the_last_scored_rows() -> None:
    watched = Watch(("a", "b"), config(), Plan(window=50))
    forecasts, truths = [], []
    for block in blocks([7, 300, 301], 400):
        forecasts.append(watched.feed(block).forecast)
        truths.append(block.targets)
    error = np.vstack(truths)[2:] - np.vstack(forecasts)[1:-1]  # row 1 knew no label
    error = error[~np.isnan(error).all(axis=1)][-50:]
    wanted = np.sqrt(np.nanmean(error.astype(np.float64) ** 2, axis=0))
    found = [one["recent"]["learner"]["rmse"] for one in watched.figures()]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_nothing_depends_on_how_rows_arrive() -> None:
    cuts: list[list[int]] = [[], [1, 2, 3, 200, 201], list(range(1, 400))]
    seen = []
    for some in cuts:
        watched = Watch(("a", "b"), config(), Plan(horizon=3, threshold=0.5, hold_off=5))
        answers = Answers(watched.targets, watched.config, None, "csv")
        text = b"".join([answers.lines(watched.feed(block)) for block in blocks(some, 400)])
        seen.append((text, watched.learner.hash(), watched.alarm_counts))
    assert seen[0] == seen[1] == seen[2]
    assert min(seen[0][2]) > 0


@pytest.mark.parametrize("horizon", [0, 1, 5])
def test_a_watch_that_goes_on_says_what_one_without_a_stop_says(horizon: int) -> None:
    plan = Plan(horizon=horizon, threshold=0.1, hold_off=12)
    whole, after = (Watch(("a", "b"), config(), plan) for _ in range(2))
    for block in blocks(list(range(20, 400, 20)), 400):
        said = whole.feed(block)
        arrays: dict[str, Any] = {}
        state = json.loads(json.dumps(after.remembered(arrays)))  # by way of a file
        learner = Learner.from_bytes(after.learner.to_bytes())
        after = Watch(("a", "b"), config(), plan, learner)
        after.recall(state, arrays)
        again = after.feed(block)
        np.testing.assert_array_equal(again.forecast, said.forecast)
        np.testing.assert_array_equal(again.alarms, said.alarms)
        np.testing.assert_equal(after.figures(), whole.figures())
    assert len(whole.last_alarms) > 3
    assert after.last_alarms == whole.last_alarms
    assert after.guard_rows == whole.guard_rows
    for one, other in zip(after.pictures.tracks, whole.pictures.tracks, strict=True):
        np.testing.assert_equal(vars(one), vars(other))
    for mine, its in zip(after.pictures.errors, whole.pictures.errors, strict=True):
        np.testing.assert_equal(vars(mine), vars(its))


def test_memory_does_not_grow_with_the_stream() -> None:
    watched = Watch(("a", "b"), config(), Plan(threshold=0.5, hold_off=0))
    sizes = []
    for block in blocks(list(range(40, 40_000, 40)), 40_000):
        watched.feed(block)
        if block.start in (20_000, 39_960):
            arrays: dict[str, Any] = {}
            state = json.dumps(watched.remembered(arrays))
            sizes.append((len(state), sum(array.nbytes for array in arrays.values())))
    assert sum(watched.alarm_counts) > 1000
    assert sizes[1][0] < 1.3 * sizes[0][0]
    assert sizes[1][1] < 1.3 * sizes[0][1]


def test_a_ring_keeps_the_last_rows() -> None:
    ring, rows = Ring(5, 2), np.arange(26.0).reshape(13, 2)
    for begin, end in ((0, 2), (2, 5), (5, 6), (6, 12), (12, 12), (12, 13)):
        ring.add(rows[begin:end])
        np.testing.assert_array_equal(ring.rows, rows[max(end - 5, 0) : end])
    np.testing.assert_allclose(ring.mean, rows[8:].mean(axis=0))


def test_a_history_keeps_all_losses_in_few_points() -> None:
    history, losses = History(), np.zeros(1)
    block = Block(0, False, np.zeros((10, 1), np.float32), np.zeros((10, 1), np.float32), None)
    for start in range(0, 50_000, 10):
        losses = losses + 40.0  # 10 rows of an error of 2
        if history.due(10):
            moved = Block(start, False, block.inputs, block.targets, None)
            history.pieces.add(moved, {"learner": losses}, losses / 4, None)
    track = history.pieces.error_track(1, "a", 0, True)
    assert 64 < len(track.row) <= 256
    np.testing.assert_allclose(track.rmse["learner"], 2.0)
    steps = np.diff(track.row)
    assert steps.max() < 3 * steps.min()


# ---- answers ---------------------------------------------------------------------------------


def test_answers_are_what_the_learner_says(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.csv"
    assert watch(source, "--targets", "position_mm", "--horizon", "3", "--out", out) == 0
    names, *lines = out.read_text(encoding="utf-8").splitlines()
    assert names.split(",") == [
        "row", "time", "position_mm_forecast", *(f"position_mm_{end}_{level}"
        for level in (50, 80, 95) for end in ("low", "high")), "position_mm_score",
        "position_mm_alarm",
    ]  # fmt: skip
    X = np.loadtxt(source, delimiter=",", skiprows=1, dtype=np.float32)
    learner = Learner(3, 1, hidden=4, hold_missing=True, max_delay=2, anchor=(0,))
    run = learner.run(X, X[:, :1], horizon=3, intervals=True, anomaly=True)
    cells = [line.split(",") for line in lines]
    assert [int(row[0]) for row in cells] == list(range(ROWS))
    assert {row[1] for row in cells} == {""}  # this stream has no time
    table = np.array([[np.nan if cell == "" else float(cell) for cell in row] for row in cells])
    np.testing.assert_array_equal(table[:, 2].astype(np.float32), run.y[:, 0])
    assert run.intervals is not None
    assert run.anomaly is not None
    np.testing.assert_array_equal(table[:, 3:9].astype(np.float32), run.intervals[:, 0])
    np.testing.assert_array_equal(table[:, 9].astype(np.float32), run.anomaly[:, 0])
    assert np.isnan(table[:3, 9]).all()
    assert not np.isnan(table[3:, 9]).any()


def test_json_lines_hold_the_same_as_csv() -> None:
    names = ("a", 'b "c", %d')
    answers = {}
    for kind in ("csv", "json"):
        watched = Watch(names, config(), Plan(threshold=0.9, hold_off=3))
        writes = Answers(names, watched.config, None, kind)
        said = [watched.feed(block) for block in blocks([1, 90], 200)]
        answers[kind] = b"".join([writes.header, *map(writes.lines, said)]).decode()
    objects = [json.loads(line) for line in answers["json"].splitlines()]
    header, *lines = answers["csv"].splitlines()
    assert header.startswith("row,time,a_forecast")
    assert '"b ""c"", %d_forecast"' in header
    assert [list(one) for one in objects] == [list(writes.names)] * 200
    for line, one in zip(lines, objects, strict=True):
        assert [None if cell == "" else float(cell) for cell in line.split(",")] == list(
            one.values()
        )
    assert writes.rows(said[-1]) == objects[90:]


def test_a_forecast_that_is_not_finite_is_no_number() -> None:
    watched = Watch(("a", "b"), config(), Plan())
    (block,) = blocks([], 3)
    said = watched.feed(block)
    said.forecast[1] = [np.inf, np.nan]
    for kind, nothing in (("csv", ","), ("json", ":null,")):
        lines = Answers(("a", "b"), watched.config, None, kind).lines(said).decode().splitlines()
        assert "inf" not in lines[1]
        assert "nan" not in lines[1]
        assert nothing in lines[1]


def test_single_rows_are_answered_at_once() -> None:
    words = [sys.executable, "-m", "nbt_embed", "watch", "-", "--quiet", *SMALL]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"a,b\n1,2\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"row,time,a_forecast")
        for row in range(20):
            line = process.stdout.readline()
            assert line.startswith(f"{row},".encode())  # nothing more was sent before
            process.stdin.write(f"{row},3\n".encode())
            process.stdin.flush()
        process.stdin.close()
        assert process.stdout.read().count(b"\n") == 1


def test_what_is_malformed_is_told_at_once() -> None:
    """While the stream runs, with its row, and once for each column."""
    words = [sys.executable, "-m", "nbt_embed", "watch", "-", *SMALL, "--quiet"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        for part in (b"a,b\n1,2\n1,2\n", b"1,off\n"):
            process.stdin.write(part)
            process.stdin.flush()
        line = process.stderr.readline().decode()  # would wait for ever
        assert line.startswith("nbt-embed: note: row 2 (counted from 0): field 'b' holds 'off'")
        rest = process.communicate(b"1,off\n" * 500 + b"1,2\n1\n")[1].decode()
    assert rest.count("note") == 1
    assert "note: row 504 (counted from 0): line '1' has 1 cell" in rest


def test_rows_whose_time_goes_back_are_told_once() -> None:
    rows = b"".join(b"%d,%d\n" % (t, i) for i, t in enumerate((0, 1, 2, 1, 3, 2, 4, 3, 5)))
    said = piped(b"time,a\n" + rows, "--quiet").stderr.decode()
    assert said.count("such rows are dropped and counted; --time none") == 1
    assert "time" not in piped(b"time,a\n0,1\n1,1\n", "--quiet").stderr.decode()


def test_nobody_reads(source: Path) -> None:
    words = [sys.executable, "-m", "nbt_embed", "watch", str(source), "--once", *SMALL]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr.read() == b""


# ---- sessions --------------------------------------------------------------------------------


def test_a_watch_goes_on_with_the_same_bits(source: Path, tmp_path: Path) -> None:
    data = source.read_bytes().splitlines(keepends=True)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()

    def files(folder: Path) -> list[str | Path]:
        return ["--save", folder / "l.nbt", "--out", folder / "o.csv", "--json", folder / "d.json"]

    assert piped(b"".join(data), *files(whole)).returncode == 0
    for end in (1, 400, 900, len(data)):
        done = piped(b"".join(data[: end + 1]), *files(parts), "--resume", "--from-beginning")
        assert done.returncode == 0, done.stderr
    assert b"continues after row 899, counted from 0" in done.stderr
    for name in ("l.nbt", "o.csv"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()
    documents = [json.loads((folder / "d.json").read_text()) for folder in (whole, parts)]
    for one, other in zip(*(each["scores"] for each in documents), strict=True):
        assert other["scores"]["learner"] == pytest.approx(one["scores"]["learner"], rel=1e-9)
        assert other["recent"]["last"] == pytest.approx(one["recent"]["last"], rel=1e-9)
        assert other["mixture"] == one["mixture"]
    assert documents[1]["resumed_after"] == 899
    assert documents[0]["guard_rows"] == documents[1]["guard_rows"]
    assert Learner.load(parts / "l.nbt").hash() == int(documents[0]["learner"]["hash"], 16)


def test_a_file_that_grew_is_read_on(source: Path, tmp_path: Path) -> None:
    lines = source.read_bytes().splitlines(keepends=True)
    grows, out = tmp_path / "grows.csv", tmp_path / "o.csv"
    grows.write_bytes(b"".join(lines[:500]))
    assert watch(grows, "--save", tmp_path / "l.nbt", "--out", out) == 0
    grows.write_bytes(b"".join(lines))
    assert watch(grows, "--save", tmp_path / "l.nbt", "--out", out, "--resume") == 0
    assert watch(source, "--save", tmp_path / "w.nbt", "--out", tmp_path / "w.csv") == 0
    assert (tmp_path / "l.nbt").read_bytes() == (tmp_path / "w.nbt").read_bytes()
    assert out.read_bytes() == (tmp_path / "w.csv").read_bytes()


def test_another_source_is_taken_to_follow(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header, *rows = source.read_bytes().splitlines(keepends=True)
    parts = tmp_path / "first.csv", tmp_path / "second.csv"
    for part, some in zip(parts, (rows[:500], rows[500:]), strict=True):
        part.write_bytes(header + b"".join(some))
    for part in parts:
        assert watch(part, "--save", tmp_path / "l.nbt", "--out", "/dev/null", "--resume") == 0
    assert f"belongs to the source {parts[0]}: the rows of {parts[1]}" in capsys.readouterr().err
    assert watch(source, "--save", tmp_path / "w.nbt", "--out", "/dev/null") == 0
    assert (tmp_path / "l.nbt").read_bytes() == (tmp_path / "w.nbt").read_bytes()


@pytest.fixture(scope="module")
def saved(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a learner that has a session."""
    file = tmp_path_factory.mktemp("saved") / "l.nbt"
    assert watch(source, "--save", file, "--out", "/dev/null", "--interval", "2") == 0
    return file


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--hidden", "5"], ["--hidden", "4", "5"]),
        (["--horizon", "2"], ["--horizon", "1", "2"]),
        (["--inputs", "current_A"], ["--inputs", "current_A", "position_mm"]),
        (["--targets", "current_A"], ["--targets"]),
        (["--set", "forget=0.99"], ["--set forget", "0.99"]),
        (["--no-follow"], ["--no-follow"]),
        (["--seed", "7"], ["--seed", "7"]),
        (["--interval", "3"], ["--interval", "2.0", "3.0"]),
        (["--gap", "9"], ["--gap", "none", "9.0"]),
    ],
)
def test_options_that_change_what_is_learnt_are_refused(
    source: Path,
    saved: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    names: list[str],
) -> None:
    words = ["--save", saved, "--out", "/dev/null", "--interval", "2", *options]
    before = saved.read_bytes()
    assert watch(source, *words, "--resume") == 2
    told = capsys.readouterr().err
    assert f"{saved}.session" in told
    assert all(name in told for name in names), told
    assert "--save to start again" in told
    assert saved.read_bytes() == before


def test_options_that_change_nothing_learnt_may_change(source: Path, saved: Path) -> None:
    words = ["--save", saved, "--out", "/dev/null", "--interval", "2", "--resume"]
    assert watch(source, *words, "--alarm", "0.5", "--hold-off", "3", "--save-every", "7") == 0


def test_a_session_is_not_overwritten_by_chance(
    source: Path, saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch(source, "--save", saved, "--out", "/dev/null") == 2
    assert "use --resume to continue it, remove it" in capsys.readouterr().err


def test_two_watches_cannot_have_one_session(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, linked = tmp_path / "l.nbt", tmp_path / "linked.nbt.session"
    lock = tmp_path / "l.nbt.session.lock"
    linked.symlink_to(tmp_path / "l.nbt.session")
    with alone(str(file)):
        for name in (file, tmp_path / "linked.nbt"):
            assert watch(source, "--save", name, "--resume") == 2
            assert "another nbt-embed watch saves to this file: end it" in capsys.readouterr().err
        assert not file.exists()
    assert not lock.exists()
    lock.touch()  # as one leaves it that was killed
    assert watch(source, "--save", file, "--out", os.devnull) == 0
    assert not lock.exists()
    lock.mkdir()
    assert watch(source, "--save", file, "--resume") == 2
    assert f"{lock} cannot be written (Is a directory): remove it" in capsys.readouterr().err


def _with(path: Path, member: str, content: bytes) -> bytes:
    """A session with another member."""
    whole = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(whole, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name == member else old.read(name))
    return whole.getvalue()


def _damaged(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        value = json.loads(archive.read("watch.json"))
        learner = archive.read("learner.nbt")
    yield b""
    yield data[: len(data) // 2]
    yield data[:-1]
    yield bytes([data[0] ^ 1]) + data[1:]
    middle = len(data) // 2
    yield data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]
    yield _with(path, "learner.nbt", learner[:-5])
    yield _with(path, "watch.json", b"[]")
    yield _with(path, "watch.json", b"{")
    yield _with(path, "arrays.npz", b"no arrays")
    for key in ("watch", "clock", "settings", "taken", "position", "where"):
        without = {name: one for name, one in value.items() if name != key}
        yield _with(path, "watch.json", json.dumps(without).encode())
        yield _with(path, "watch.json", json.dumps({**value, key: [1, {"array": "a7"}]}).encode())
    deep: Any = 10**400
    for _ in range(400):
        deep = [deep]
    deepest = {
        **value["watch"]["watch"],
        "guard_rows": {"dict": [["moved", deep]]},
        "rows": 10**400,
    }
    changed = {**value, "watch": {**value["watch"], "watch": deepest}}
    yield _with(path, "watch.json", json.dumps(changed).encode())
    deep = value["watch"]["watch"]
    for name in deep:
        wrongs: tuple[Any, ...] = ("x", [], {"array": "a0"})
        for wrong in wrongs:
            if wrong == deep[name] or (name in ("_now", "guard_rows", "last_alarms") and not wrong):
                continue
            one = {**value, "watch": {**value["watch"], "watch": {**deep, name: wrong}}}
            yield _with(path, "watch.json", json.dumps(one).encode())


def test_damaged_sessions_are_refused(
    source: Path, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "d.nbt"
    session = Path(f"{file}.session")
    words = ["--save", file, "--out", "/dev/null", "--interval", "2", "--resume"]
    for number, data in enumerate(_damaged(Path(f"{saved}.session"))):
        session.write_bytes(data)
        code = watch(source, *words)
        told = capsys.readouterr().err
        assert code == 2, f"{number}: {told}"
        assert str(session) in told
        assert "\n" not in told.strip().removeprefix("nbt-embed: ") or "note" in told
        assert session.read_bytes() == data  # a copy may still be of use


def test_a_newer_session_says_so(
    source: Path, saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "n.nbt.session"
    with zipfile.ZipFile(f"{saved}.session") as archive:
        value = json.loads(archive.read("watch.json"))
    value |= {"format_version": 2, "version": "9.1"}
    path.write_bytes(_with(Path(f"{saved}.session"), "watch.json", json.dumps(value).encode()))
    words = ["--save", tmp_path / "n.nbt", "--out", "/dev/null", "--interval", "2", "--resume"]
    assert watch(source, *words) == 2
    told = capsys.readouterr().err
    assert "was written by nbt-embed 9.1 in format 2, and this version reads up to 1" in told


def test_a_state_of_another_object_is_refused() -> None:
    one, other = Ring(3, 2), Ring(3, 4)
    arrays: dict[str, Any] = {}
    state = json.loads(json.dumps(taken(one, arrays)))
    with pytest.raises(StateError):
        put(other, state, arrays)
    put(Ring(3, 2), state, arrays)


def test_what_cannot_be_written_is_found_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "none" / "l.nbt"
    (tmp_path / "folder.session").mkdir()
    for words in (
        ["--save", nowhere],
        ["--save", tmp_path / "folder"],
        ["--out", nowhere],
        ["--json", nowhere],
    ):
        assert watch(tmp_path / "no source that would be waited for", *words) == 2
        assert "nbt-embed: error: " in capsys.readouterr().err


def test_a_full_disk_keeps_the_last_session(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:

    file, calls = tmp_path / "l.nbt", []
    write = sessions.write_session

    def full(*args: Any) -> None:
        calls.append(args)
        if len(calls) != 1:
            raise OSError(28, "No space left on device")
        write(*args)

    monkeypatch.setattr("nbt_embed.live.watcher.write_session", full)
    out = tmp_path / "o.csv"
    header, *rows = source.read_bytes().splitlines(keepends=True)
    long = tmp_path / "long.csv"
    long.write_bytes(header + b"".join(rows) * 20)  # more than is read at once
    words = ["--save", file, "--save-every", "100", "--out", out]
    assert watch(long, *words) == 2
    told = capsys.readouterr().err
    assert told.count("No space left on device") == 2  # once while it runs, and at the end
    assert "free some space" in told
    assert len(calls) > 2  # it was tried again
    assert out.read_bytes().count(b"\n") == 20 * ROWS + 1  # nothing of the stream was lost
    monkeypatch.setattr("nbt_embed.live.watcher.write_session", write)
    assert watch(long, *words, "--resume") == 0  # from what was saved before the disk was full
    assert out.read_bytes().count(b"\n") == 20 * ROWS + 1


def test_answers_on_a_full_disk_are_whole_after_a_resume(source: Path, tmp_path: Path) -> None:
    data, whole, out = source.read_bytes(), tmp_path / "whole.csv", tmp_path / "o.csv"
    words = ["--quiet", "--save", tmp_path / "l.nbt", "--save-every", "1", "--out"]
    assert piped(data, "--quiet", "--out", whole).returncode == 0

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, 250_000))

    assert piped(b"".join(data.splitlines(keepends=True)[:200]), *words, out).returncode == 0
    rest = ["--resume", "--from-beginning"]
    failed = piped(data, *words, out, *rest, preexec_fn=full)
    assert failed.returncode == 2
    assert b"cannot be written (File too large): free some space" in failed.stderr
    done = piped(data, *words, out, *rest)
    assert done.returncode == 0
    assert out.read_bytes() == whole.read_bytes()


def test_kills_at_random_moments(tmp_path: Path) -> None:
    found = kills.trial(tmp_path, 3, rows=4000, pace=0.08)
    assert found["same"], found
    assert found["kills"] >= 2, found


@pytest.mark.slow
def test_fifty_kills_at_random_moments(tmp_path: Path) -> None:
    found = kills.trial(tmp_path, kills.KILLS, pace=0.02)
    assert found["same"], found
    assert found["kills"] > kills.KILLS // 2, found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_ends(source: Path, tmp_path: Path, number: int) -> None:
    data = source.read_bytes().splitlines(keepends=True)
    file = tmp_path / "l.nbt"
    words = [sys.executable, "-m", "nbt_embed", "watch", "-", *SMALL, "--save", str(file)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"".join(data[:301]))
        process.stdin.flush()
        for _ in range(301):
            process.stdout.readline()
        process.send_signal(number)
        assert process.wait(30) == 128 + number
        told = process.stderr.read()
        assert b"300 rows" in told
        assert b"Traceback" not in told
        process.stdin.close()
    assert (
        piped(b"".join(data), "--save", file, "--resume", "--from-beginning", "--quiet")
        .stdout.splitlines()[1]
        .startswith(b"300,")
    )


def test_a_signal_ends_a_watch_whose_answers_nobody_takes(tmp_path: Path) -> None:
    file = tmp_path / "l.nbt"
    words = [sys.executable, "-m", "nbt_embed", "watch", "simulated:?rate=1e6", "--quiet", *SMALL]
    with subprocess.Popen([*words, "--save", str(file)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        time.sleep(0.5)  # the pipe is full
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    assert Path(f"{file}.session").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--resume"], "--resume: name the file with --save"),
        (["--save-every", "5"], "--save-every: name the file with --save"),
        (["--save", "x.nbt", "--from-beginning"], "--from-beginning: needs --resume"),
        (["--save", "-"], "--save -: a session is a file"),
        (["--json", "-"], "--json -: the output goes to standard output"),
        (
            ["--link", "categorical"],
            "--link categorical: learns one target of classes (here: 'position_mm', "
            "'current_A', 'temperature_C'): name the classes "
            "with --classes and the one target they belong to with --targets",
        ),
        (
            ["--link", "categorical", "--classes", "0,1", "--targets", "position_mm,current_A"],
            "classes 0, 1 belong to one target",
        ),
        (
            ["--link", "gaussian", "--classes", "0,1", "--targets", "current_A"],
            "--link gaussian: target 'current_A' is learnt by its classes '0', '1'",
        ),
        (
            ["--link", "bernoulli", "--classes", "0,1", "--targets", "current_A"],
            "--link bernoulli: target 'current_A' is learnt by its classes '0', '1'",
        ),
        (["--horizon", "1,2"], "--horizon"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    source: Path, capfd: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    try:
        code = watch(source, *words)
    except SystemExit as end:  # argparse
        code = int(str(end.code))
    assert code == 2
    assert told in capfd.readouterr().err


# ---- terminal --------------------------------------------------------------------------------


def on_terminal(
    data: bytes, *more: str, width: int = 80, height: int = 45, **settings: str
) -> tuple[int, str]:
    """Exit code, and what a terminal of this size gets."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1", **settings}
    for name in ("COLUMNS", "LINES"):  # they would count more than the terminal
        env.pop(name, None)
    words = [sys.executable, "-m", "nbt_embed", "watch", "-", *SMALL, *more]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=terminal, stderr=terminal, env=env
    ) as process:
        os.close(terminal)
        assert process.stdin is not None
        lines = data.splitlines(keepends=True)
        shown = b""
        for first in range(0, len(lines), 200):
            process.stdin.write(b"".join(lines[first : first + 200]))
            process.stdin.flush()
            time.sleep(0.05)
        process.stdin.close()
        while True:
            try:
                block = os.read(controller, 1 << 16)
            except OSError:  # the other side is closed
                break
            if not block:
                break
            shown += block
    os.close(controller)
    return process.returncode, shown.decode()


def test_a_terminal_shows_the_watch_and_no_answers(source: Path) -> None:
    code, shown = on_terminal(source.read_bytes())
    assert code == 0
    assert "Ctrl-C ends the watch." in shown
    assert "RMSE over the last 1,000 rows" in shown
    assert "mixture of position_mm" in shown
    assert "position_mm_forecast" not in shown
    end = shown[shown.rindex(": 1,200 rows") :]
    assert "The learner forecasts" in end
    assert "hash: " in end


@pytest.mark.parametrize(("width", "height"), [(40, 12), (60, 24), (200, 60)])
def test_it_fits_the_terminal(source: Path, width: int, height: int) -> None:
    import re

    _, shown = on_terminal(source.read_bytes(), width=width, height=height)
    seen = shown[: shown.rindex("Scores")]
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen).replace("\r", "\n").split("\n")
    live = lines[: max(i for i, line in enumerate(lines) if ": 1,200 rows" in line)]
    assert max(map(len, live)) <= width


def test_colours_and_motion_can_be_turned_off(source: Path) -> None:
    data = b"\n".join(source.read_bytes().splitlines()[:200]) + b"\n"
    _, plain = on_terminal(data, NO_COLOR="1")
    assert "\x1b[3" not in plain.replace("\x1b[3J", "")
    _, dumb = on_terminal(data, TERM="dumb")
    assert "\x1b" not in dumb
    assert "hash: " in dumb
    _, quiet = on_terminal(data, "--quiet")
    assert quiet == ""


def test_a_note_stands_above_the_picture(source: Path) -> None:
    lines = source.read_bytes().splitlines(keepends=True)
    lines[300] = b"x,1,2\n"
    _, shown = on_terminal(b"".join(lines))
    before, note, after = shown.partition("nbt-embed: note: row 299")
    assert note
    assert "Ctrl-C ends the watch." in after
    erased = before[before.rindex("Ctrl-C ends the watch.") :]
    assert erased.count("\x1b[1A\x1b[2K") > 5  # the picture, so that the note stands alone


def test_names_cannot_drive_a_terminal() -> None:
    data = "a\x1b[2Jb,[red]c\n" + "".join(f"{row % 7},{row % 5}\n" for row in range(300))
    code, shown = on_terminal(data.encode())
    assert code == 0
    assert "\x1b[2Jb" not in shown
    assert "[red]c" in shown


def test_times_are_shown_to_the_microsecond() -> None:
    assert moment(36.9166666666667) == "36.916667 s"
    assert moment(1.7e9 + 1 / 3) == "2023-11-14T22:13:20.333333"
    assert moment(None) is None


def test_a_file_whose_newest_row_stands_first_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "newest.csv"
    path.write_text("time,a\n" + "".join(f"{second},{second % 7}\n" for second in range(60, 0, -1)))
    out = tmp_path / "out.csv"
    assert watch(path, "--out", out) == 0
    assert "59 of 60 rows have a time that is not after" in capsys.readouterr().err
    assert watch(path, "--out", out, "--time", "none") == 0
    assert "rows have a time" not in capsys.readouterr().err
