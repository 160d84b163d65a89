"""The cost model of ``nbt_embed.cost``, measured and fitted: ``make cost``.

For every processor the instructions of a usual step are counted in QEMU (counting.py) for
configurations drawn at random (drawn.py), and the coefficients of ``nbt_embed._terms`` fitted to
them: non-negative least squares of the relative error. The errors are those of other configurations
that the fit has not seen. Counts that cost.json holds are not made again but with --again, which is
needed after a change of the kernel; the coefficients go into nbt_embed/costs.json.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from nbt_embed import Config, memory_of
from nbt_embed._terms import terms_of
from nbt_embed.cost import COSTS
from tools.document import put
from tools.targets.counting import usual_step
from tools.targets.drawn import configurations
from tools.targets.machines import HERE, MACHINES, Machine
from tools.targets.size import build_counter

COUNTED = HERE / "cost.json"
FITTED, HELD_OUT = "fitted", "held out"
_SEEDS = {FITTED: 1, HELD_OUT: 2}
STACK = 4096
# Without an FPU a step takes 15 to 40 times as many instructions; larger ones need patience.
_MOST_WITHOUT_FPU = 40_000  # bytes

# Name of a processor of nbt_embed.cost -> its machine, how many configurations its terms are fitted
# to, and how many others check the fit. A Cortex-M3's board runs the code of a Cortex-M0, and has
# room for all of them.
_BY_NAME = {machine.name: machine for machine in MACHINES}
_M0 = replace(
    _BY_NAME["M0"], board=_BY_NAME["M3"].board, ram=_BY_NAME["M3"].ram, flash=(0, 4 << 20)
)
PLAN: dict[str, tuple[Machine, int, int]] = {
    "Cortex-M0": (_M0, 130, 50),
    "Cortex-M3": (_BY_NAME["M3"], 130, 50),
    "Cortex-M4F": (_BY_NAME["M4F"], 240, 50),
    "Cortex-M7F": (_BY_NAME["M7F"], 50, 30),
    "Cortex-M33F": (_BY_NAME["M33F"], 50, 30),
    "Cortex-M55": (_BY_NAME["M55"], 50, 30),
    "RV32IMAC": (_BY_NAME["RV32IMAC"], 80, 30),
    "RV32IMAFC": (_BY_NAME["RV32IMAFC"], 60, 50),
}
# The processor whose fit that of each other one is drawn to, and how strongly it may be.
_REFERENCES = dict.fromkeys(PLAN, "Cortex-M4F") | {"RV32IMAC": "Cortex-M0"}
_PULLS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)

Counts = dict[str, dict[str, dict[str, int]]]  # processor -> part -> arguments of a Config -> count


@dataclass(frozen=True)
class Fit:
    """Coefficients of one processor, and their relative errors on what they have not seen."""

    coefficients: dict[str, float]
    configurations: int
    median: float
    worst: float


def config_of(arguments: str) -> Config:
    """The configuration that ``Config.arguments`` spells."""
    call = ast.parse(f"Config({arguments})", mode="eval").body
    if not isinstance(call, ast.Call):
        raise ValueError(f"{arguments!r}: expected arguments of Config")
    settings = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    return Config(*map(ast.literal_eval, call.args), **settings)  # type: ignore[arg-type]


def fit(counts: dict[str, dict[str, int]], reference: Fit | None = None) -> Fit:
    """Coefficients from the fitted part, errors from the other one.

    Args:
        counts: of one processor.
        reference: the fit of another processor, on more configurations. Terms that the fitted part
            does not tell apart are then shared out as there: each coefficient is drawn to a
            multiple of the one there, the same for all. How strongly is what has the least squared
            error in eight-fold cross-validation of the fitted part.
    """
    configs = [config_of(arguments) for arguments in counts[FITTED]]
    names = sorted({name for config in configs for name in terms_of(config)})
    relative = _relative(configs, names, counts[FITTED])
    known, pull = np.zeros(len(names)), 0.0
    if reference is not None:
        known = np.array([reference.coefficients.get(name, 0.0) for name in names])
        known *= np.median(1 / (relative @ known))
        pull = min(_PULLS, key=lambda one: _validated(relative, known, one))
    coefficients = _solved(relative, known, pull)
    others = [config_of(arguments) for arguments in counts[HELD_OUT]]
    errors = np.abs(_relative(others, names, counts[HELD_OUT]) @ coefficients - 1)
    return Fit(
        {name: float(f"{one:.4g}") for name, one in zip(names, coefficients, strict=True) if one},
        len(others),
        float(np.median(errors)),
        float(errors.max()),
    )


def _relative(
    configs: list[Config], names: list[str], counts: dict[str, int]
) -> NDArray[np.float64]:
    """Terms of each configuration over its count: times the coefficients 1, if they are right."""
    rows = [terms_of(config) for config in configs]
    terms = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    found: NDArray[np.float64] = terms / np.array(list(counts.values()), float)[:, np.newaxis]
    return found


def _solved(
    relative: NDArray[np.float64], known: NDArray[np.float64], pull: float
) -> NDArray[np.float64]:
    """The coefficients b >= 0 with the least |relative b - 1|² + pull Σ (size (b - known))²."""
    size = np.linalg.norm(relative, axis=0) + 1e-12
    rows = np.vstack([relative / size, np.sqrt(pull) * np.eye(len(size))])
    goal = np.concatenate([np.ones(len(relative)), np.sqrt(pull) * known * size])
    solution, _ = nnls(rows, goal, maxiter=100 * len(size))
    found: NDArray[np.float64] = solution / size
    return found


def _validated(relative: NDArray[np.float64], known: NDArray[np.float64], pull: float) -> float:
    """Sum of the squared errors of each eighth by the fit of the others."""
    total, fold = 0.0, np.arange(len(relative)) % 8
    for left_out in range(8):
        coefficients = _solved(relative[fold != left_out], known, pull)
        errors = relative[fold == left_out] @ coefficients - 1
        total += float(errors @ errors)
    return total


def fit_all(counts: Counts) -> dict[str, Fit]:
    """The fits of all processors, by name."""
    fits: dict[str, Fit] = {}

    def fit_of(name: str) -> Fit:
        if name not in fits:
            other = _REFERENCES[name]
            fits[name] = fit(counts[name], None if other == name else fit_of(other))
        return fits[name]

    return {name: fit_of(name) for name in counts}


def wanted(machine: Machine, part: str, count: int) -> list[Config]:
    """The configurations of a part that the machine has room and patience for."""
    room = machine.ram[1] - STACK if machine.fma else _MOST_WITHOUT_FPU
    drawn = islice(configurations(_SEEDS[part]), count)
    return [config for config in drawn if memory_of(config).total <= room]


def count_missing(name: str, counts: Counts, folder: Path, counter: Path) -> None:
    """Count what is not there yet."""
    machine, fitted, held_out = PLAN[name]
    for part, count in ((FITTED, fitted), (HELD_OUT, held_out)):
        there = counts.setdefault(name, {}).setdefault(part, {})
        todo = [c for c in wanted(machine, part, count) if c.arguments() not in there]
        places = [folder / f"{name}-{part}-{i}" for i in range(len(todo))]
        with ThreadPoolExecutor(2) as pool:
            made = pool.map(
                lambda job: usual_step(machine, job[0], job[1], counter),
                zip(todo, places, strict=True),
            )
            there |= {c.arguments(): n for c, n in zip(todo, made, strict=True)}


def table(fits: dict[str, Fit]) -> str:
    """One line a processor."""
    lines = [
        f"{'processor':>12}{'fitted to':>11}{'checked on':>12}{'median error':>14}{'worst':>8}"
    ]
    counts = load()
    lines += [
        f"{name:>12}{len(counts[name][FITTED]):11}{one.configurations:12}{one.median:14.1%}"
        f"{one.worst:8.1%}"
        for name, one in fits.items()
    ]
    return "\n".join(lines)


def load() -> Counts:
    """What has been counted."""
    found: Counts = json.loads(COUNTED.read_text(encoding="utf-8")) if COUNTED.exists() else {}
    return found


def main(arguments: list[str] | None = None) -> int:
    """Count, fit, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--again", action="store_true", help="count what was counted before too")
    parser.add_argument("--document", type=Path, help="Markdown file to put the errors into")
    options = parser.parse_args(arguments)
    counts: Counts = {} if options.again else load()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        counter = build_counter(folder)
        for name in PLAN:
            count_missing(name, counts, folder, counter)
            COUNTED.write_text(json.dumps(counts, indent=0) + "\n", encoding="utf-8")
    fits = fit_all({name: counts[name] for name in PLAN})
    document = {
        name: {
            "error": {
                "configurations": one.configurations,
                "median": round(one.median, 4),
                "worst": round(one.worst, 4),
            },
            "coefficients": one.coefficients,
        }
        for name, one in fits.items()
    }
    COSTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(table(fits))
    if options.document is not None:
        put(options.document, "cost", table(fits))
    return 0


if __name__ == "__main__":
    sys.exit(main())
