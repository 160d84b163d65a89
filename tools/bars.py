"""Print what this package promises on real sensor streams, beside the promise: ``make bars``.

Runs the command line on the recorded streams of a data folder (default ../shared/data) as a user
would, and compares the size of two learners in Python with the constants of the C header.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from nbt_embed import Config, memory_of

ROOT = Path(__file__).resolve().parent.parent
# Horizons, and the learner's figures in README.md before its defaults followed the stream.
EARLIER = {1: 0.0877, 2: 0.1620, 5: 0.3781, 10: 0.6538, 20: 1.0376}
EARLIER_AIR = 0.4006
NOISE = 1.01
SMALLEST = """NBT_BYTES(3, 1, 16, 0, 0, 1, 0, NBT_CELL_GATED, NBT_EST_NOBACKTRACK,
                        NBT_FILTER_KALMAN, NBT_LINK_GAUSSIAN)"""


def run(*arguments: str) -> dict[str, Any]:
    """One call of the command line; its JSON document."""
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "result.json"
        command = [sys.executable, "-m", "nbt_embed", *arguments, "--json", str(document)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return dict(json.loads(document.read_text(encoding="utf-8")))


def markers(folder: Path) -> bool:
    """Mean nRMSE over the marker files, default settings; RLS sees three lags."""
    files = sorted(folder.glob("markers_*.csv"))
    common = ("--time", "t_s", "--score-from", "600")
    met, below = True, False
    print(
        f"markers, mean nRMSE over {len(files)} files; bars: learner <= {NOISE} RLS, at one "
        f"horizon below it, <= 0.75 last, <= {NOISE} earlier defaults"
    )
    print("  horizon   learner    frozen       RLS      last   / RLS  / last  / earlier")
    for horizon in EARLIER:
        options = (*common, "--horizon", str(horizon))
        rows = [run("run", str(path), *options) for path in files]
        twins = [run("run", str(path), *options, "--estimator", "frozen") for path in files]
        others = [run("run", str(path), *options, "--lags", "3", "--hidden", "1") for path in files]
        learner, frozen = (float(np.mean([row["nrmse"] for row in one])) for one in (rows, twins))
        rls, last = (
            float(np.mean([row["baselines"][name]["nrmse"] for row in others]))
            for name in ("rls", "persistence")
        )
        earlier = learner / EARLIER[horizon]
        good = learner <= NOISE * rls and learner <= 0.75 * last and earlier <= NOISE
        met, below = met and good, below or learner < rls
        errors = f"{learner:9.4f} {frozen:9.4f} {rls:9.4f} {last:9.4f}"
        ratios = f"{learner / rls:7.3f} {learner / last:7.3f} {earlier:10.3f}"
        print(f"  {horizon:7d} {errors} {ratios}  {verdict(good)}")
    return met and below


def air_quality(path: Path) -> bool:
    """Hourly gas sensors with missing values, one step ahead."""
    row = run("run", str(path), "--missing", "-200", "--horizon", "1")
    learner, last = float(row["nrmse"]), float(row["baselines"]["persistence"]["nrmse"])
    # A figure over forecasts that are not finite has no value: null in the document.
    finite = None not in row["nrmse_per_target"].values()
    good = finite and learner < last and learner <= NOISE * EARLIER_AIR
    print(
        f"air quality, nRMSE: learner {learner:.4f}, last value {last:.4f}, earlier defaults "
        f"{EARLIER_AIR:.4f}  {verdict(good)}"
    )
    return good


def sizes() -> bool:
    """Bytes of 16 units, 3 inputs, 1 output, in Python and as a constant of the C header."""
    smallest = Config(3, 1, estimator="nobacktrack", lags=1, follow=False)
    met = True
    for name, config, macro, most in (
        ("the defaults", Config(3, 1), "NBT_DEFAULT_BYTES(3, 1, 16, 0, NBT_LINK_GAUSSIAN)", 20_480),
        ("nobacktrack, 1 lag, no follow", smallest, SMALLEST, 10_240),
    ):
        python, constant = memory_of(config).total, compiled(macro)
        good = python == constant <= most
        print(
            f"{name}, 16 units, 3 inputs, 1 output: {python} bytes, in C {constant}, bar "
            f"{most}  {verdict(good)}"
        )
        met &= good
    return met


def compiled(macro: str) -> int:
    """The value of a macro of nbt.h."""
    program = f"""#include <stdio.h>
#include "nbt.h"
int main(void) {{ printf("%lu", (unsigned long){macro}); return 0; }}
"""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "bytes"
        compiler = ["cc", "-std=c99", f"-I{ROOT / 'csrc'}", "-xc", "-", "-o", str(binary)]
        subprocess.run(compiler, input=program, text=True, check=True)
        return int(subprocess.run([binary], capture_output=True, text=True, check=True).stdout)


def verdict(good: bool) -> str:
    """How a bar stands, in a word."""
    return "met" if good else "MISSED"


def main() -> int:
    """Run every bar whose data is there; exit 1 if one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    data = parser.parse_args().data
    met = sizes()
    for path, bar in (
        (data / "markers", markers),
        (data / "air_quality" / "AirQualityUCI.csv.gz", air_quality),
    ):
        if path.exists():
            met &= bar(path)
        else:
            print(f"{path} is not there: not measured")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
