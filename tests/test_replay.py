"""Logs of devices, repeated in Python."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from nbt_embed import Learner
from nbt_embed.cli import main
from nbt_embed.errors import StreamError
from nbt_embed.replay import Difference, Replay

HEADER = "label,x,x,hash"
STEPS = 40


def bits(value: float) -> str:
    return f"{np.float32(value).view(np.uint32):#010x}"


def learner() -> Learner:
    return Learner(2, 1, hidden=4, max_delay=1)


@pytest.fixture
def log() -> list[str]:
    """Return the lines that a device prints which forecasts two samples ahead."""
    device, lines = learner(), [HEADER, f",,,{learner().hash():016x}"]
    for x0, x1, y in np.random.default_rng(0).normal(size=(STEPS, 3)).astype(np.float32):
        label = ""
        if device.pending == 2:
            device.learn(y)
            label = bits(y)
        device.predict([x0, x1])
        lines.append(f"{label},{bits(x0)},{bits(x1)},{device.hash():016x}")
    return lines


def test_the_calls_of_a_log_are_made_and_its_hashes_compared(log: list[str]) -> None:
    here = learner()
    result = here.replay(log)
    assert result == Replay(STEPS + 1, STEPS + 1, None, int(log[-1][-16:], 16))
    assert here.hash() == result.hash
    counters = here.counters
    assert counters.labels + counters.missing == STEPS - 2


def test_a_log_may_be_replayed_in_pieces_and_from_a_file(log: list[str], tmp_path: Path) -> None:
    here = learner()
    for name, lines in ("first", log[:20]), ("second", [HEADER, *log[20:]]):
        (tmp_path / name).write_text("\r\n".join(lines) + "\r\n")  # as over a serial line
        assert here.replay(tmp_path / name).difference is None
    assert here.hash() == int(log[-1][-16:], 16)


@pytest.mark.parametrize("column", [0, 1, 2])
def test_one_bit_of_one_number_is_found(column: int, log: list[str]) -> None:
    cells = log[12].split(",")
    cells[column] = f"{int(cells[column], 16) ^ 1:#010x}"
    before, device = int(log[11][-16:], 16), int(cells[3], 16)
    result = learner().replay([*log[:12], ",".join(cells), *log[13:]])
    assert result.difference is not None
    assert result.difference == Difference(11, 13, device, result.hash)
    assert result.steps == result.compared == 12
    assert result.hash not in (before, device)


def test_decimal_numbers_are_as_good_with_nine_digits(log: list[str]) -> None:
    def decimal(cell: str) -> str:
        value = np.uint32(int(cell, 16)).view(np.float32) if cell.startswith("0x") else None
        return cell if value is None else f"{value:.9g}"

    lines = [HEADER, *(",".join(map(decimal, line.split(","))) for line in log[1:])]
    assert "0x" not in "".join(lines)
    assert learner().replay(lines).difference is None


def test_rows_without_hash_are_not_compared(log: list[str]) -> None:
    lines = [line if at % 10 == 0 else line[:-16] for at, line in enumerate(log)]
    result = learner().replay(lines)
    assert (result.steps, result.compared, result.difference) == (STEPS + 1, 4, None)


def test_remarks_empty_lines_and_other_columns_are_passed_over(log: list[str]) -> None:
    lines = ["# a board", "", "time," + HEADER]
    lines += [f"{at} ms,{line}" for at, line in enumerate(log[1:])]
    lines[10:10] = ["# rain", "", "\n"]
    assert learner().replay(lines).steps == STEPS + 1


def test_missing_labels_are_learnt_as_such() -> None:
    device, here = Learner(1, 1, hidden=2), Learner(1, 1, hidden=2)
    device.predict(0.5)
    device.learn(np.nan)
    for nan in ("nan", "NaN", "0x7fc00000"):
        again = copy.copy(here)
        lines = ["label,x,hash", ",0.5,", f"{nan},,{device.hash():016x}"]
        assert again.replay(lines).difference is None
        assert again.counters.missing == 1


def test_what_the_device_refused_is_refused_here() -> None:
    device = Learner(1, 1, hidden=2)
    device.predict(0.5)
    lines = ["label,x,hash", "1,,", ",0.5,", ",0.25,", ",nan,", f"inf,,{device.hash():016x}"]
    assert Learner(1, 1, hidden=2).replay(lines).difference is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no header line: expected 'label,x,x,hash'"),
        (["# only a remark"], "no header line"),
        (["label,x,hash"], "line 1: 1 columns 'x', this learner has 2: expected the header"),
        (["x,x,hash"], "line 1: 0 columns 'label', this learner has 1"),
        (["label,x,x"], "line 1: 0 columns 'hash'"),
        ([HEADER, "1,2,3"], "line 2: 3 cells, the header has 4"),
        ([HEADER, ",1,2,", ',1,"2,'], "line 3: x = '\"2'"),
        ([HEADER, "#", ",1,two,"], "line 3: x = 'two': expected a number, or 0x"),
        ([HEADER, ",1,,"], "line 2: x = ''"),
        ([HEADER, ",0x3f8,1,"], "line 2: x = '0x3f8'"),
        ([HEADER, ",1,2,0x12"], "line 2: hash = '0x12': expected sixteen"),
        ([HEADER, ",1,2,", HEADER], "line 3: a second header, so the device restarted"),
    ],
)
def test_a_log_that_cannot_be_understood_is_refused_by_line(
    lines: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(StreamError) as error:
        learner().replay(lines)
    assert message in str(error.value)
    (tmp_path / "log.csv").write_text("\n".join(lines))
    with pytest.raises(StreamError) as error:
        learner().replay(tmp_path / "log.csv")
    assert str(error.value).startswith(f"{tmp_path / 'log.csv'}: ")


def test_a_garbled_byte_is_refused_by_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"label,x,x,hash\n,1,2,\n,1,\xff2,\n")
    with pytest.raises(StreamError, match="line 3: x = "):
        learner().replay(tmp_path / "log")


def test_the_header_of_a_learner_with_many_inputs_is_shown_in_part() -> None:
    with pytest.raises(StreamError, match=r"'label,x,x,x,x,x,x,x,\.\.\.'"):
        Learner(60, 1, hidden=2).replay(["x"])


def test_the_command_says_whether_the_bits_are_the_same(
    log: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, path = str(tmp_path / "learner.nbt"), tmp_path / "log.csv"
    learner().save(state)
    path.write_text("\n".join(log))
    assert main(["replay", state, str(path)]) == 0
    printed = capsys.readouterr().out
    assert f"{STEPS + 1} steps, {STEPS + 1} hashes compared: the same bits" in printed
    assert log[-1][-16:] in printed

    path.write_text("\n".join([*log[:9], log[9][:-1] + "g"]))
    assert main(["replay", state, str(path)]) == 2
    assert "log.csv: line 10: hash = " in capsys.readouterr().err

    path.write_text("\n".join([*log[:9], log[9].replace(log[9][-16:], "0" * 16)]))
    assert main(["replay", state, str(path)]) == 1
    printed = capsys.readouterr().out
    assert "step 8 (line 10) is the first with other bits: hash 0000000000000000 on the" in printed
    assert "no hash before it" not in printed

    Learner(2, 1, hidden=4, max_delay=1, seed=1).save(state)
    assert main(["replay", state, str(path)]) == 1
    assert "no hash before it: did the device start from this checkpoint" in capsys.readouterr().out


def test_the_command_reads_standard_input(log: list[str], tmp_path: Path) -> None:
    state = tmp_path / "learner.nbt"
    learner().save(state)
    done = subprocess.run(
        [sys.executable, "-m", "nbt_embed", "replay", str(state), "-"],
        input="\n".join(log),
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{STEPS + 1} hashes compared: the same bits" in done.stdout


def test_the_command_names_a_file_that_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "learner.nbt"
    assert main(["replay", str(state), "log.csv"]) == 2
    assert "learner.nbt: cannot be read (No such file" in capsys.readouterr().err
    learner().save(state)
    assert main(["replay", str(state), str(tmp_path / "log.csv")]) == 2
    assert "log.csv: cannot be read (No such file" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
def test_a_log_may_begin_with_a_byte_order_mark(
    encoding: str, log: list[str], tmp_path: Path
) -> None:
    mark = "" if encoding in ("utf-8-sig", "utf-16") else "\ufeff"
    (tmp_path / "log").write_bytes((mark + "\r\n".join(log)).encode(encoding))
    assert learner().replay(tmp_path / "log").compared == STEPS + 1
    assert learner().replay(["\ufeff" + log[0], *log[1:]]).compared == STEPS + 1


@pytest.mark.parametrize("cell", ["1_5", "１.5", "1e", "0x1p3", "+-1", "infinit", "٣"])
def test_numbers_that_only_python_reads_are_refused(cell: str) -> None:
    with pytest.raises(StreamError, match=r"line 2: label = .*: expected a number"):
        learner().replay([HEADER, f"{cell},1,1,"])


@pytest.mark.parametrize("cell", ["1.5", "-1.", ".5", "+1e-3", "1E5", "NaN", "-inf", "Infinity"])
def test_numbers_as_c_prints_them_are_taken(cell: str) -> None:
    assert learner().replay([HEADER, f"{cell},1,1,"]).steps == 1


@pytest.mark.parametrize("rows", [[], [",1,1,"], [",1,1,", "1,1,1,"]])
def test_a_log_in_which_nothing_can_be_compared_is_no_proof(
    rows: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learner().save(tmp_path / "l.nbt")
    (tmp_path / "log").write_text("\n".join([HEADER, *rows]))
    assert main(["replay", str(tmp_path / "l.nbt"), str(tmp_path / "log")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"log: {len(rows)} steps without a hash, so nothing was compared" in captured.err
    assert captured.err.count("\n") == 1


def test_a_log_may_come_through_a_pipe(log: list[str], tmp_path: Path) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_text, args=("\n".join(log),))
    writer.start()
    assert learner().replay(fifo).compared == STEPS + 1
    writer.join()
