"""Instructions of a step under valgrind, against a stored baseline: ``make instructions``.

Times scatter, counts do not: this is the gate for regressions. A small driver (steps.c) runs N and
2 N steps, and the difference is that of N, without start-up. The build is plain: gcc -O2 for any
x86-64, 16 lanes. More than 1 % above or below the baseline is an error until ``--accept``. Counts
depend on the compiler, so they are compared only if the baseline's has the same major version.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbt_embed import Config
from nbt_embed._build import LANES
from nbt_embed._kernel_config import shape_of
from nbt_embed.config import CHOICES
from tools.bench.native import HERE, ROOT, run

BASELINE = HERE / "instructions.json"
TOLERANCE = 0.01
COMPILER = "gcc"
FLAGS = ("-std=c99", "-O2", "-ffp-contract=off", f"-DNBT_LANES={LANES}")
STEPS = 200


@dataclass(frozen=True)
class Case:
    """One kind of learner; 3 inputs, 1 output, gaussian."""

    cell: str
    estimator: str
    filter: str
    hidden: int
    head: int = 0

    @property
    def name(self) -> str:
        """In tables and in the baseline."""
        kind = f"{self.cell} {self.estimator} {self.filter} {self.hidden}"
        return f"{kind} head {self.head}" if self.head else kind

    @property
    def arguments(self) -> tuple[str, ...]:
        """For the driver: the numbers of csrc/nbt.h."""
        names = ("cell", "estimator", "filter")
        choices = (CHOICES[name].index(getattr(self, name)) for name in names)
        return tuple(map(str, (*choices, self.hidden, self.head)))

    @property
    def weights(self) -> int:
        """R D, and those of the head."""
        choices: dict[str, Any] = {"cell": self.cell, "estimator": self.estimator}
        states, rows, cols = shape_of(
            Config(3, 1, hidden=self.hidden, lags=1, filter="sgd", follow=False, **choices)
        )
        return rows * cols + self.head * (states + 3 + 1)


CASES = (
    Case("gated", "nobacktrack", "kalman", 8),
    Case("gated", "unitwise", "kalman", 8),
    Case("gated", "unitwise", "kalman", 16),
    Case("gated", "residual", "kalman", 16),
    Case("tanh", "snap1", "kalman", 16),
    Case("leaky", "nobacktrack", "sgd", 16),
    Case("gated", "frozen", "kalman", 32),
    Case("lstm", "nobacktrack", "kalman", 32),
    Case("lstm", "nobacktrack", "kalman_quasi", 32),
    Case("columnar", "snap1", "kalman", 16, head=8),
    Case("resonator", "snap1", "kalman", 16, head=8),
)


def missing_tools() -> list[str]:
    """Programs that are needed and not there."""
    return [name for name in (COMPILER, "valgrind") if shutil.which(name) is None]


def compiler() -> str:
    """What the counts depend on: compiler, version, processor family."""
    return f"{COMPILER} {run(COMPILER, '-dumpfullversion').strip()} {platform.machine()}"


def major(compiler_: str) -> tuple[str, ...]:
    """The part of it that has to be the same: "gcc 12.2.0 x86_64" as gcc, 12, x86_64."""
    name, version, machine = compiler_.split()
    return name, version.split(".")[0], machine


def build(folder: Path) -> Path:
    """The driver with the kernel."""
    program = folder / "steps"
    sources = (str(HERE / "steps.c"), *map(str, sorted((ROOT / "csrc").glob("*.c"))))
    run(COMPILER, *FLAGS, f"-I{ROOT / 'csrc'}", *sources, "-o", str(program), "-lm")
    return program


def executed(program: Path, case: Case, steps: int, folder: Path) -> int:
    """Instructions of a whole run. Errors: RuntimeError if a step was not ordinary."""
    out = folder / f"{case.name.replace(' ', '-')}-{steps}.out"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", str(program)]
    result = subprocess.run(
        [*command, *case.arguments, str(steps)], capture_output=True, text=True, check=False
    )
    found = re.search(r"Collected\s*:\s*(\d+)", result.stderr)
    if result.returncode or found is None:
        raise RuntimeError(f"{case.name}: {result.stdout}{result.stderr}")
    return int(found[1])


def count(program: Path, case: Case, folder: Path, steps: int = STEPS) -> int:
    """Instructions of one step, learn and predict, without start-up."""
    once, twice = (executed(program, case, n, folder) for n in (steps, 2 * steps))
    return round((twice - once) / steps)


def counts(cases: tuple[Case, ...] = CASES) -> dict[str, int]:
    """Instructions per step of every case."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        program = build(folder)
        found = pool.map(lambda case: count(program, case, folder), cases)
        return {case.name: value for case, value in zip(cases, found, strict=True)}


def changes(before: dict[str, int], now: dict[str, int]) -> list[str]:
    """What is new, gone, or more than TOLERANCE away from the baseline."""
    found = [f"{name}: no longer counted" for name in before if name not in now]
    for name, value in now.items():
        was = before.get(name)
        if was is None:
            found.append(f"{name}: not in the baseline")
        elif abs(value - was) > TOLERANCE * was:
            found.append(f"{name}: {was} -> {value} ({value / was - 1:+.1%})")
    return found


def verdict(baseline: dict[str, Any], compiler_: str, now: dict[str, int]) -> tuple[str, int]:
    """A message, and 0, or 1 for a change that was not accepted."""
    if major(baseline["compiler"]) != major(compiler_):
        return f"not compared: the baseline is of {baseline['compiler']}, this is {compiler_}", 0
    found = changes(baseline["instructions"], now)
    return "\n".join(found) or "as the baseline", int(bool(found))


def main(arguments: list[str] | None = None) -> int:
    """Count, print, compare with the baseline or replace it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accept", action="store_true", help="make this the baseline")
    options = parser.parse_args(arguments)
    if missing := missing_tools():
        print(f"{' and '.join(missing)} not installed: instructions were not counted")
        return int(os.environ.get("NBT_REQUIRE_TOOLS") == "1")
    now, made_by = counts(), compiler()
    parameters = {case.name: case for case in CASES}
    print(f"instructions of a learn and a predict; {made_by} {' '.join(FLAGS)}")
    for name, value in now.items():
        print(f"{name:<34}{value:>10,}{value / parameters[name].weights:8.1f} a weight")
    if options.accept:
        content = {"compiler": made_by, "flags": list(FLAGS), "instructions": now}
        BASELINE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return 0
    if not BASELINE.exists():
        print(f"{BASELINE} is missing: --accept writes it")
        return 1
    message, code = verdict(json.loads(BASELINE.read_text(encoding="utf-8")), made_by, now)
    print(message)
    return code


if __name__ == "__main__":
    sys.exit(main())
