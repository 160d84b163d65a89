"""``nbt-embed watch`` killed at random moments resumes with the same bits.

A stream is learnt once without a stop. Then the process is repeatedly killed (SIGKILL) at a random
moment and started with ``--resume --from-beginning``, until it reaches the end. The learner and all
answers in ``--out FILE`` must be the same bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nbt_embed.simulation import simulated_sensor

ROWS = 20_000
KILLS = 50
_LONGEST = 1.6  # seconds until a kill: starting takes half of it
_EVERY = 250


def stream(path: Path, rows: int) -> None:
    """Write a stream as CSV."""
    made = simulated_sensor(rows, missing=0.01, seed=3)
    lines = [",".join(made.input_names)]
    lines += [",".join("" if x != x else f"{x:.6g}" for x in row) for row in made.inputs.tolist()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def command(folder: Path, name: str, *more: str) -> list[str]:
    """Return the command of a watch of standard input that saves and answers in a folder."""
    files = ["--save", str(folder / f"{name}.nbt"), "--out", str(folder / f"{name}.csv")]
    words = [sys.executable, "-m", "nbt_embed", "watch", "-", "--quiet", "--hidden", "4"]
    return [*words, *files, *more]


def trial(
    folder: Path, kills: int, rows: int = ROWS, seed: int = 0, pace: float = 0.0
) -> dict[str, int]:
    """Kill a watch repeatedly. Args: pace, seconds to wait after every 500 rows.

    Returns: "kills", of a running watch; "before a save", number of these without a session;
    "same", 1 if learner and answers are those of a watch without a stop.
    """
    source = folder / "stream.csv"
    stream(source, rows)
    with source.open("rb") as file:
        subprocess.run(command(folder, "whole"), stdin=file, check=True, stderr=subprocess.PIPE)
    random_moments = random.Random(seed)
    again = command(folder, "killed", "--save-every", str(_EVERY), "--resume", "--from-beginning")
    done = early = 0
    for _ in range(kills):
        watch = subprocess.Popen(again, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert watch.stdin is not None
        end = time.monotonic() + random_moments.uniform(0.3, _LONGEST)
        _feed(watch, source, end, pace)
        if watch.poll() is None:
            watch.kill()
            done += 1
        watch.wait()
        with contextlib.suppress(BrokenPipeError):
            watch.stdin.close()
        early += not (folder / "killed.nbt.session").exists()
    with source.open("rb") as file:
        subprocess.run(again, stdin=file, check=True, stderr=subprocess.PIPE)
    same = all(
        (folder / f"whole.{end}").read_bytes() == (folder / f"killed.{end}").read_bytes()
        for end in ("nbt", "csv")
    )
    return {"kills": done, "before a save": early, "same": int(same)}


def _feed(watch: subprocess.Popen[bytes], source: Path, end: float, pace: float) -> None:
    """Send rows until the moment of the kill."""
    assert watch.stdin is not None
    lines = source.read_bytes().splitlines(keepends=True)
    try:
        for first in range(0, len(lines), 500):
            if time.monotonic() > end:
                return
            watch.stdin.write(b"".join(lines[first : first + 500]))
            watch.stdin.flush()
            time.sleep(pace)
    except BrokenPipeError:
        return
    time.sleep(max(end - time.monotonic(), 0.0))


def measure(_: argparse.Namespace) -> tuple[list[str], bool]:
    """Measure 50 kills."""
    with tempfile.TemporaryDirectory() as folder:
        found = trial(Path(folder), KILLS, pace=0.02)
    same = "the same learner and answers" if found["same"] else "OTHER learner or answers"
    told = f"watch killed at {found['kills']} random moments, saved every {_EVERY} rows: {same}"
    return [told], bool(found["same"])
