"""Rate and memory of the commands of `nbt-embed`: ``make desk``.

Whole commands, timed from outside: rows per second and memory of ``run`` on a long CSV on one core,
how much faster ``compare`` is on all cores, what ``import nbt_embed`` adds to ``import numpy``, and
how long a browser takes to open a page. Medians of some runs; ratios from the same minutes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tools.document import put

ROWS = 1_000_000
COLUMNS = 8
CHROMIUM = "/usr/bin/chromium"


def main() -> int:
    """Measure and print; 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="of each measurement (3)")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"of the long CSV ({ROWS:,})")
    parser.add_argument("--document", type=Path, help="put the figures between its markers")
    parser.add_argument("--picture", type=Path, help="PNG to write: the page of the demo")
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory(prefix="nbt-desk-") as name:
        folder = Path(name)
        for part in (streaming, comparing, importing, opening):
            for line in part(folder, options.rows, options.runs):
                print(line, flush=True)
                lines.append(line)
        if options.picture is not None:
            measured(["demo", "--report", str(folder / "demo.html")])
            photograph(folder / "demo.html", options.picture)
    if options.document is not None:
        put(options.document, "desk", "\n".join(lines))
    return 0


def streaming(folder: Path, rows: int, runs: int) -> Sequence[str]:
    """``run`` with all models on files of a tenth of the rows and of all."""
    lines = []
    for count in (rows // 10, rows):
        path = folder / f"{count}.csv"
        write(path, count)
        one_core = {min(os.sched_getaffinity(0))}
        found = [
            measured(["run", str(path), "--target", "s0"], cores=one_core) for _ in range(runs)
        ]
        seconds = statistics.median(seconds for seconds, _ in found)
        spread = f"{min(s for s, _ in found):.1f} to {max(s for s, _ in found):.1f} s"
        memory = max(memory for _, memory in found)
        lines.append(
            f"run, {count:,} rows x {COLUMNS} columns, 16 units, all models, one core: "
            f"{count / seconds:,.0f} rows/s ({seconds:.1f} s; {spread}), {memory:.0f} MB"
        )
        path.unlink()
    return lines


def comparing(folder: Path, rows: int, runs: int) -> Sequence[str]:
    """``compare`` over five sizes, two cells and five seeds on one core and on all."""
    path = folder / "compare.csv"
    write(path, min(15_000, rows))
    grid = ["--hidden", "4,8,16,32,64", "--cell", "columnar,gated", "--seeds", "5"]
    command = ["compare", str(path), "--target", "s0", *grid]
    cores = sorted(os.sched_getaffinity(0))
    one = [measured([*command, "--jobs", "1"], cores=set(cores[:1]))[0] for _ in range(runs)]
    every = [measured(command, cores=set(cores))[0] for _ in range(runs)]
    ratio = statistics.median(one) / statistics.median(every)
    return [
        f"compare, 5 sizes x 2 cells x 5 seeds, 15,000 rows: {statistics.median(one):.1f} s on one "
        f"core, {statistics.median(every):.1f} s on {len(cores)}: {ratio:.2f} x"
    ]


def importing(_folder: Path, _rows: int, runs: int) -> Sequence[str]:
    """Seconds of imports, each in a fresh interpreter, in turn."""
    program = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    found: dict[str, list[float]] = {"numpy": [], "nbt_embed": []}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(10 * runs):
        for name, seconds in found.items():
            command = [sys.executable, "-c", program.format(name)]
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, env=environment
            )
            seconds.append(float(done.stdout))
    numpy, own = (statistics.median(seconds) for seconds in found.values())
    return [f"import nbt_embed: {1e3 * own:.0f} ms, import numpy: {1e3 * numpy:.0f} ms: "
            f"{own / numpy:.2f} x"]  # fmt: skip


def opening(folder: Path, rows: int, runs: int) -> Sequence[str]:
    """From the command on a CSV to the page in a browser, with its figures drawn."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return ["page: playwright is not installed: pip install '.[browser]'"]
    if not Path(CHROMIUM).is_file():
        return [f"page: {CHROMIUM} is not installed"]
    path, page = folder / "page.csv", folder / "page.html"
    write(path, min(100_000, rows))
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        measured(["run", str(path), "--target", "s0", "--report", str(page)])
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            shown = browser.new_page()
            shown.goto(page.as_uri())
            shown.wait_for_selector("canvas")
            browser.close()
        seconds.append(time.perf_counter() - began)
    size = page.stat().st_size / 1e6
    return [f"run --report, {min(100_000, rows):,} rows, until the page is drawn in Chromium: "
            f"{statistics.median(seconds):.1f} s; the page has {size:.1f} MB"]  # fmt: skip


def photograph(page: Path, picture: Path) -> None:
    """The upper part of a page, as wide as a document."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        view = browser.new_context(
            viewport={"width": 1140, "height": 1725}, device_scale_factor=0.75, color_scheme="light"
        )
        shown = view.new_page()
        shown.goto(page.as_uri())
        shown.wait_for_selector("canvas")
        shown.wait_for_timeout(500)
        picture.parent.mkdir(parents=True, exist_ok=True)
        shown.screenshot(path=picture)
        browser.close()


def write(path: Path, rows: int) -> None:
    """A CSV of sums of sines with noise, and a time."""
    rng = np.random.default_rng(0)
    periods = np.array([7, 11, 13, 17, 19, 23, 29, 31])
    drift = np.zeros(COLUMNS)
    with path.open("w", encoding="utf-8") as file:
        file.write("t," + ",".join(f"s{i}" for i in range(COLUMNS)) + "\n")
        for start in range(0, rows, 10_000):
            t = np.arange(start, min(start + 10_000, rows))
            steps = 0.002 * rng.standard_normal((len(t), COLUMNS))
            walk = drift + np.cumsum(steps, axis=0)
            drift = walk[-1]
            values = np.sin(t[:, np.newaxis] / periods) + walk
            values += 0.1 * rng.standard_normal(values.shape)
            lines = (
                f"{when}," + ",".join(f"{value:.4f}" for value in row)
                for when, row in zip(t.tolist(), values.tolist(), strict=True)
            )
            file.write("\n".join(lines) + "\n")


def measured(arguments: Sequence[str], cores: set[int] | None = None) -> tuple[float, float]:
    """Seconds and megabytes of a command. Errors: RuntimeError if it fails."""
    pin: Callable[[], None] | None = None
    if cores is not None:
        pin = lambda: os.sched_setaffinity(0, cores)  # noqa: E731 # what the child does first
    command = [sys.executable, "-m", "nbt_embed", *arguments]
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=pin
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss / 1e3


if __name__ == "__main__":
    sys.exit(main())
