"""Rows per second through the whole of ``nbt-embed watch``, and its memory over ten million rows.

Rows come from a file through a pipe, and answers go to a pipe that is read: CSV with forecast,
three intervals, anomaly score and alarm of one target.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

UNITS = 8
FAST, LONG = 1_000_000, 10_000_000
_BLOCK = 1 << 16
_LEAST = 100_000  # rows per second
_MOST_GROWTH = 8 << 20  # bytes: the allocator's reserve varies by this
_PERIOD = 1_000_000  # rows of the file, which is sent repeatedly


def write_stream(path: Path, rows: int) -> None:
    """Write a disturbed wave as CSV, of one column."""
    draw = np.random.default_rng(0)
    phase = np.arange(rows) / 6.0
    wave = np.sin(phase) + 0.3 * np.sin(phase / 7.3) + 0.05 * draw.standard_normal(rows)
    np.savetxt(path, wave, fmt="%.5f", header="wave", comments="")


def resident(process: int) -> int:
    """Return the resident bytes of a process."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    raise ValueError("no VmRSS")


def run(path: Path, rows: int, *more: str) -> tuple[float, int, list[tuple[int, int]]]:
    """Send a file of ``_PERIOD`` rows repeatedly, until ``rows`` rows were sent.

    Returns: seconds from the first answer to the last, number of answers, and (answers, resident
    bytes) at ten moments.
    """
    words = [sys.executable, "-m", "nbt_embed", "watch", "-", "--quiet", "--hidden", str(UNITS)]
    watch = subprocess.Popen([*words, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert watch.stdin is not None
    assert watch.stdout is not None
    sends = threading.Thread(target=_send, args=(watch, path, rows))
    sends.start()
    answers, began = -1, 0.0  # without the header
    memory: list[tuple[int, int]] = []
    while block := watch.stdout.read1(_BLOCK):  # type: ignore[attr-defined]  # a BufferedReader
        began = began or time.perf_counter()
        answers += block.count(b"\n")
        if len(memory) < 10 and answers >= (len(memory) + 1) * rows / 10.5:  # before it ends
            memory.append((answers, resident(watch.pid)))
    seconds = time.perf_counter() - began
    sends.join()
    if watch.wait() != 0:
        raise SystemExit(f"nbt-embed watch ended with {watch.returncode}")
    return seconds, answers, memory


def _send(watch: subprocess.Popen[bytes], path: Path, rows: int) -> None:
    assert watch.stdin is not None
    header, body = path.read_bytes().split(b"\n", 1)
    watch.stdin.write(header + b"\n")
    for _ in range(rows // _PERIOD):
        watch.stdin.write(body)
    watch.stdin.close()


def measure(_: argparse.Namespace) -> tuple[list[str], bool]:
    """Measure rate and memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wave.csv"
        write_stream(path, _PERIOD)
        used = _processor_seconds()
        seconds, few = run(path, FAST)[:2]
        used = _processor_seconds() - used
        long_seconds, many, memory = run(path, LONG)
    begin, end = memory[0][1], memory[-1][1]
    rate, whole = FAST / seconds, (few, many) == (FAST, LONG)
    lines = [
        f"standard input to standard output, {UNITS} units: {rate:,.0f} rows/s over {FAST:,} rows, "
        f"{LONG / long_seconds:,.0f} over {LONG:,}, {'all' if whole else 'NOT all'} answered",
        f"processor time of a row, start included: {1e6 * used / FAST:.1f} µs",
        f"memory over {LONG:,} rows: {begin / 2**20:.1f} MiB after a tenth, {end / 2**20:.1f} MiB "
        "at the end",
    ]
    # If others use the processors, processor time is more informative than wall time.
    fast = max(rate, FAST / used) >= _LEAST
    return lines, whole and fast and end < begin + _MOST_GROWTH


def _processor_seconds() -> float:
    """Return the processor seconds of all ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
