"""The cost model of ``nbt_embed.cost``, measured and fitted: ``make cost``.

For every processor learners are drawn at random (drawn.py). The instructions of a usual step are
counted in QEMU by function of the kernel, flash and stack taken from the compiler (counting.py).
Many learners run with the whole kernel, which is compiled once, and fewer with the kernels that
``nbt-embed export`` writes for them, each its own. Which terms a function is made of is found on
those processors together that have most learners; the coefficients are each processor's own, for
the exported kernels (fitting.py). The errors are those of other learners, drawn again, that the fit
has not seen. What cost.json holds is not measured again but with --again, which is needed after a
change of the kernel; the coefficients go into nbt_embed/costs.json.
"""

from __future__ import annotations

import argparse
import ast
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nbt_embed import Config
from nbt_embed._terms import (
    instructions_of,
    kernel_terms_of,
    kernel_value_of,
    terms_of,
    value_of,
)
from nbt_embed.cost import COSTS, LEVELS
from tools.document import put
from tools.targets.counting import Measured, build_profiler, measure, measure_whole
from tools.targets.drawn import learners
from tools.targets.fitting import Array, Samples, Search, candidates, coefficients, table_of
from tools.targets.machines import HERE, MACHINES, Machine, run

COUNTED = HERE / "cost.json"
WHOLE, FITTED, HELD_OUT = "whole", "fitted", "held out"
_STACK = 4096
# Without an FPU a step takes 15 to 40 times as many instructions; larger ones need patience.
_MOST_WITHOUT_FPU = 40_000  # bytes
_MOST = 400_000  # bytes: what fits next to a stack into the emulated boards
_SEEDS = {WHOLE: 2000, FITTED: 0, HELD_OUT: 1000}
_CODE_CHECKED = 15  # so many of those that check are also compiled at -Os, for flash and stack
_AT_ONCE = 40  # learners in one program with the whole kernel
_SAVED = 20  # programs after which what is measured is kept
_ROUNDS = 3  # of finding terms and the means of the processors
# Functions that take less of every step are fitted together.
_SMALL = 2e-3
_TINY = 1e-4  # of a step: functions that are not kept by name


@dataclass(frozen=True)
class Plan:
    """What is measured of a processor.

    Attributes: machine; whole, learners that run with the whole kernel; fitted and held_out, how
    many have kernels of their own and are fitted to, and how many check it; seed, of the ones that
    are fitted to, so that every processor brings others; like, the processor whose coefficients
    these are drawn to where the samples leave them open.
    """

    machine: Machine
    whole: int
    fitted: int
    held_out: int
    seed: int
    like: str | None = None

    @property
    def most(self) -> int:
        """Bytes of a learner that the machine has room and patience for."""
        return min(_MOST, self.machine.ram[1] - _STACK) if self.machine.fma else _MOST_WITHOUT_FPU


# A Cortex-M3's board runs the code of a Cortex-M0, and has room for all learners.
_BY_NAME = {machine.name: machine for machine in MACHINES}
_M0 = replace(
    _BY_NAME["M0"], board=_BY_NAME["M3"].board, ram=_BY_NAME["M3"].ram, flash=(0, 4 << 20)
)
# The Cortex-M with a float unit share an instruction set but for a few instructions, and so all
# but some per cent of their coefficients.
PLAN = {
    "Cortex-M4F": Plan(_BY_NAME["M4F"], 400, 60, 50, 1),
    "Cortex-M3": Plan(_BY_NAME["M3"], 240, 40, 50, 2),
    "Cortex-M0": Plan(_M0, 80, 20, 50, 3, "Cortex-M3"),
    "Cortex-M7F": Plan(_BY_NAME["M7F"], 0, 10, 50, 4, "Cortex-M4F"),
    "Cortex-M33F": Plan(_BY_NAME["M33F"], 0, 10, 50, 5, "Cortex-M4F"),
    "Cortex-M55": Plan(_BY_NAME["M55"], 0, 10, 50, 6, "Cortex-M4F"),
    "RV32IMAC": Plan(_BY_NAME["RV32IMAC"], 80, 20, 50, 7, "Cortex-M3"),
    "RV32IMAFC": Plan(_BY_NAME["RV32IMAFC"], 80, 20, 50, 8, "Cortex-M4F"),
}
_OWN = tuple(name for name, plan in PLAN.items() if plan.like is None)

# Marks of the guide -> command whose output stands there.
_EXAMPLE = "nbt-embed size --inputs 3 --outputs 1 --mcu cortex-m4f --mhz 64 --rate 100Hz"
EXAMPLES = {
    "buy": f"{_EXAMPLE} --volts 3.3 --milliamps 12",
    "fits": f"{_EXAMPLE} --ram 16",
}

Kernels = list[Measured]
Counts = dict[str, dict[str, Kernels]]  # processor -> part -> kernels


@dataclass(frozen=True)
class Fit:
    """Coefficients of one processor, and their relative errors on what they have not seen.

    Attributes: ratio, of the counts to the estimates of the similar processor (``Plan.like``), the
    least and the most over the learners that are fitted to. Estimates stay within.
    """

    instructions: dict[str, float]
    flash: dict[str, dict[str, float]]
    stack: dict[str, dict[str, float]]
    ratio: tuple[float, float] = (0.0, float("inf"))
    configurations: int = 0
    median: float = 0.0
    worst: float = 0.0
    flash_error: float = 0.0
    stack_error: float = 0.0


@cache
def config_of(arguments: str) -> Config:
    """The configuration that ``Config.arguments`` spells."""
    call = ast.parse(f"Config({arguments})", mode="eval").body
    if not isinstance(call, ast.Call):
        raise ValueError(f"{arguments!r}: expected arguments of Config")
    settings = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    return Config(*map(ast.literal_eval, call.args), **settings)  # type: ignore[arg-type]


# ---- measure -------------------------------------------------------------------------------------


def wanted(name: str, part: str) -> list[list[Config]]:
    """The learners of a part: those that are measured together."""
    plan = PLAN[name]
    many = {WHOLE: plan.whole, FITTED: plan.fitted, HELD_OUT: plan.held_out}[part]
    at_once = _AT_ONCE if part == WHOLE else 1
    drawn = learners(plan.seed + _SEEDS[part], plan.most, covering=part != HELD_OUT)
    found = list(islice(drawn, many))
    return [found[at : at + at_once] for at in range(0, many, at_once)]


def measure_missing(counts: Counts, folder: Path, plugin: Path) -> None:
    """Measure what is not there yet, and keep it."""
    for name, part in ((name, part) for name in PLAN for part in (WHOLE, FITTED, HELD_OUT)):
        kept = counts.setdefault(name, {}).setdefault(part, [])
        there = {tuple(one.steps) for one in kept}
        todo = [
            (number, configs)
            for number, configs in enumerate(wanted(name, part))
            if tuple(one.arguments() for one in configs) not in there
        ]
        job = partial(_measured, PLAN[name].machine, part, plugin, folder)
        for at in range(0, len(todo), _SAVED):
            with ThreadPoolExecutor(2) as pool:
                kept += pool.map(job, todo[at : at + _SAVED])
            save(counts)
        if todo:
            print(f"{name}, {part}: {len(todo)} programs measured", file=sys.stderr)


def _measured(
    machine: Machine, part: str, plugin: Path, folder: Path, job: tuple[int, list[Config]]
) -> Measured:
    """One program, in a folder that is gone afterwards."""
    number, configs = job
    place = folder / f"{machine.name}-{part}-{number}"
    try:
        if part == WHOLE:
            return measure_whole(machine, configs, place, plugin)
        (config,) = configs
        levels = LEVELS if part == FITTED or number < _CODE_CHECKED else ()
        return measure(machine, config, place, plugin, levels)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def load(path: Path = COUNTED) -> Counts:
    """What has been measured."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: {
            part: [
                Measured(
                    one["flash"],
                    one["stack"],
                    {
                        arguments: dict(zip(one["functions"], row, strict=True))
                        for arguments, row in one["steps"].items()
                    },
                )
                for one in rows
            ]
            for part, rows in parts.items()
        }
        for name, parts in found.items()
    }


def save(counts: Counts, path: Path = COUNTED) -> None:
    """Keep it: one line a program. Of what only checks the whole step is enough."""

    def text(one: Measured, part: str) -> str:
        steps = _merged(one)
        if part == HELD_OUT:
            steps = {name: {"": sum(parts.values())} for name, parts in steps.items()}
        names = sorted({name for parts in steps.values() for name in parts})
        rows = {
            arguments: [round(parts.get(name, 0)) for name in names]
            for arguments, parts in steps.items()
        }
        return json.dumps(
            {"flash": one.flash, "stack": one.stack, "functions": names, "steps": rows},
            separators=(",", ":"),
        )

    parts = (
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(
            f"{json.dumps(part)}: [\n" + ",\n".join(text(one, part) for one in rows) + "\n]"
            for part, rows in parts.items()
        )
        + "\n}"
        for name, parts in counts.items()
    )
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _merged(one: Measured) -> dict[str, dict[str, float]]:
    """The steps, with the functions that take nearly nothing in all of them as one without name."""
    wholes = {arguments: sum(parts.values()) for arguments, parts in one.steps.items()}
    kept = {
        name
        for arguments, parts in one.steps.items()
        for name, count in parts.items()
        if name and count >= _TINY * wholes[arguments]
    }
    found = {
        arguments: {name: count for name, count in parts.items() if name in kept}
        for arguments, parts in one.steps.items()
    }
    return {
        arguments: parts | {"": wholes[arguments] - sum(parts.values())}
        for arguments, parts in found.items()
    }


# ---- fit -----------------------------------------------------------------------------------------


def fit_all(counts: Counts) -> dict[str, Fit]:
    """The fits of all processors, by name."""
    instructions = _instructions(counts)
    code = {
        kind: {level: _code(counts, kind, level) for level in LEVELS} for kind in ("flash", "stack")
    }
    found = {}
    for name in counts:
        flash, stack = (
            {level: code[kind][level][name] for level in LEVELS} for kind in ("flash", "stack")
        )
        like = instructions.get(PLAN[name].like or "")
        made = Fit(instructions[name], flash, stack)
        if like is not None:
            made = replace(made, ratio=_ratio(counts[name][FITTED], like))
        found[name] = _checked(made, like, counts[name][HELD_OUT])
    return found


def _ratio(fitted: Kernels, like: Mapping[str, float]) -> tuple[float, float]:
    """Least and most of the counts over what another processor is estimated to take."""
    ratios = [count / value_of(config, like) for config, count in _steps(fitted)]
    return round(min(ratios), 3), round(max(ratios), 3)


def _steps(kernels: Kernels) -> list[tuple[Config, float]]:
    """Every learner with the instructions of its step."""
    return [(config_of(a), sum(p.values())) for one in kernels for a, p in one.steps.items()]


@dataclass(frozen=True)
class _Steps:
    """Steps of one part of a processor: their terms, instructions by function, and in all."""

    terms: list[dict[str, float]]
    parts: list[dict[str, float]]
    whole: Array
    kernel: NDArray[np.intp]

    @classmethod
    def of(cls, measured: Kernels, alone: bool = False) -> _Steps:
        """alone: every learner counts as a kernel of its own."""
        rows = [
            (config_of(arguments), parts, number)
            for number, one in enumerate(measured)
            for arguments, parts in one.steps.items()
        ]
        return cls(
            [terms_of(config) for config, _, _ in rows],
            [parts for _, parts, _ in rows],
            _array([sum(parts.values()) for _, parts, _ in rows]),
            np.array([at if alone else number for at, (_, _, number) in enumerate(rows)]),
        )

    def cost(self, functions: tuple[str, ...], others: list[tuple[str, ...]]) -> Array:
        """Instructions of functions; of none: of all but the others."""
        if functions:
            return _array([sum(parts.get(one, 0.0) for one in functions) for parts in self.parts])
        known = {one for group in others for one in group}
        return _array(
            [sum(count for one, count in parts.items() if one not in known) for parts in self.parts]
        )


def _instructions(counts: Counts) -> dict[str, dict[str, float]]:
    """Coefficients of the terms of a step, by processor: those of its functions added up.

    Terms are found where there are many learners, with the whole kernel and with those of single
    choices. The coefficients of the whole kernel are what those of the others are drawn to.
    """
    steps = {
        (name, part): _Steps.of(parts[part], alone=part == WHOLE)
        for name, parts in counts.items()
        for part in (WHOLE, FITTED)
        if parts[part]
    }
    own = [key for key in steps if key[0] in _OWN]
    terms = candidates([row for key in own for row in steps[key].terms], _simple)
    values = {key: table_of(one.terms, terms.names) for key, one in steps.items()}
    search = Search(terms.simple, [values[key] for key in own], [steps[key].whole for key in own])
    functions = _functions([row for key in own for row in steps[key].parts])
    total: dict[str, dict[str, float]] = {name: {} for name in counts}
    for function in [*functions, ()]:
        samples = {
            key: Samples(values[key], one.cost(function, functions), one.whole, one.kernel)
            for key, one in steps.items()
        }
        # Every learner counts as a kernel here, since few kernels have what is seldom.
        chosen = search.selected(
            [replace(samples[key], kernel=np.arange(len(steps[key].whole))) for key in own]
        )
        made: dict[tuple[str, str], Array] = {}
        for name in counts:
            like = PLAN[name].like or ""
            known = made.get((like, FITTED))
            if (name, WHOLE) in samples:
                known = made.get((like, WHOLE))
                known = coefficients(samples[name, WHOLE], chosen, known)
                made[name, WHOLE] = known
            made[name, FITTED] = coefficients(samples[name, FITTED], chosen, known)
            for place, value in zip(chosen, made[name, FITTED], strict=True):
                term = terms.names[place]
                total[name][term] = total[name].get(term, 0.0) + float(value)
    return {name: _rounded(one) for name, one in total.items()}


def _code(counts: Counts, kind: str, level: str) -> dict[str, dict[str, float]]:
    """Coefficients of flash or stack by processor.

    Kernels have the same proportions on all processors, nearly: so the terms are found on all of
    them together, each over the mean of its processor, and the coefficients drawn to those.
    """
    rows = [
        (name, kernel_terms_of(config_of(next(iter(one.steps)))), float(getattr(one, kind)[level]))
        for name, parts in counts.items()
        for one in parts[FITTED]
    ]
    terms = candidates([row for _, row, _ in rows], _simple)
    values = table_of([row for _, row, _ in rows], terms.names)
    bytes_of = _array([value for _, _, value in rows])
    at = {name: np.array([one == name for one, _, _ in rows]) for name in counts}
    kernel = np.arange(len(rows))
    mean = bytes_of.copy()
    for here in at.values():
        mean[here] = np.mean(bytes_of[here])
    chosen: list[int] = []
    together = np.zeros(0)
    for _ in range(_ROUNDS):
        cost = bytes_of / mean
        samples = Samples(values, cost, cost, kernel)
        chosen = Search(terms.simple, [values], [cost]).selected([samples])
        together = coefficients(samples, chosen)
        fitted = values[:, chosen] @ together
        for here in at.values():  # their draws have other means
            mean[here] = float(bytes_of[here] @ fitted[here]) / float(fitted[here] @ fitted[here])
    found = {}
    for name, here in at.items():
        cost = bytes_of[here]
        one = Samples(values[here], cost, cost, kernel[: len(cost)])
        made = coefficients(one, chosen, together * float(np.mean(mean[here])))
        found[name] = _rounded(
            {terms.names[i]: float(value) for i, value in zip(chosen, made, strict=True)}
        )
    return found


def _functions(steps: list[dict[str, float]]) -> list[tuple[str, ...]]:
    """Functions that are fitted each alone: those that are not small in every step."""
    most: dict[str, float] = {}
    for parts in steps:
        whole = sum(parts.values())
        for name, count in parts.items():
            most[name] = max(most.get(name, 0.0), count / whole)
    return [(name,) for name, share in most.items() if share >= _SMALL]


def _simple(name: str) -> float:
    """Simple terms are preferred to others that explain as much."""
    return 1.0 if name.endswith("always") else 0.97 if " + " not in name else 0.92


def _checked(fit: Fit, like: Mapping[str, float] | None, held_out: Kernels) -> Fit:
    """The fit with its errors."""
    steps = _steps(held_out)
    errors = _array(
        [
            instructions_of(config, fit.instructions, like, fit.ratio) / count - 1
            for config, count in steps
        ]
    )
    code = {
        kind: max(
            abs(kernel_value_of(config_of(arguments), getattr(fit, kind)[level]) / size - 1)
            for one in held_out
            for arguments in one.steps
            for level, size in getattr(one, kind).items()
        )
        for kind in ("flash", "stack")
    }
    return replace(
        fit,
        configurations=len(steps),
        median=float(np.median(np.abs(errors))),
        worst=float(np.max(np.abs(errors))),
        flash_error=code["flash"],
        stack_error=code["stack"],
    )


def _array(values: list[float]) -> Array:
    return np.array(values, float)


def _rounded(found: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{one:.4g}") for name, one in sorted(found.items()) if one > 0}


# ---- show ----------------------------------------------------------------------------------------


def table(fits: dict[str, Fit], counts: Counts) -> str:
    """One line a processor."""
    lines = [
        f"{'':>12}{'learners':>10}{'':>10}{'instructions, error':>21}{'flash':>9}{'stack':>9}",
        f"{'processor':>12}{'fitted to':>10}{'checked':>10}{'median':>13}{'worst':>8}"
        f"{'worst':>9}{'worst':>9}",
    ]
    lines += [
        f"{name:>12}{sum(len(kernel.steps) for kernel in counts[name][FITTED]):10}"
        f"{one.configurations:10}{one.median:13.1%}{one.worst:8.1%}"
        f"{one.flash_error:9.1%}{one.stack_error:9.1%}"
        for name, one in fits.items()
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--again", action="store_true", help="measure all again")
    parser.add_argument("--document", type=Path, help="Markdown file to put the errors into")
    parser.add_argument("--guide", type=Path, help="Markdown file to put the examples into")
    options = parser.parse_args(arguments)
    counts: Counts = {} if options.again else load()
    with tempfile.TemporaryDirectory() as place:
        measure_missing(counts, Path(place), build_profiler(Path(place)))
    save(counts)
    counts = load()  # as whoever repeats the fit reads it
    fits = fit_all({name: counts[name] for name in PLAN})
    document = {
        name: {
            "error": {
                "configurations": one.configurations,
                "median": round(one.median, 4),
                "worst": round(one.worst, 4),
                "flash": round(one.flash_error, 4),
                "stack": round(one.stack_error, 4),
            },
            "like": PLAN[name].like,
            "ratio": one.ratio if PLAN[name].like else None,
            "instructions": one.instructions,
            "flash": one.flash,
            "stack": one.stack,
        }
        for name, one in fits.items()
    }
    COSTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(table(fits, counts))
    if options.document is not None:
        put(options.document, "cost", table(fits, counts))
    if options.guide is not None:
        for name, command in EXAMPLES.items():
            shown = run(sys.executable, "-m", "nbt_embed", *command.split()[1:])
            put(options.guide, name, f"$ {command}\n{shown.rstrip()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
