"""Estimates of the instructions, flash and stack of a learner on a microcontroller.

The instructions of a step are a sum of terms that follow from the settings (``_terms``) times
coefficients that ``make cost`` fits, for every processor, to counts of configurations drawn at
random (costs.json; compiled at -O2 as ``nbt-embed export`` writes the kernel, and run in QEMU). A
step is one ``learn`` with a label and one ``predict``, called one by one. Steps in which the units
of a channel move are rare after the first hundred, and take up to three times as many. What was
drawn has up to 64 units and takes up to 400 kB: beyond that the figures are extrapolated. Flash and
stack are fitted in the same way to kernels of the choices drawn.

QEMU counts instructions, not cycles. The milliseconds follow from a range of cycles per
instruction, which is an assumption (``Processor.source``): measure on your board before you rely on
them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nbt_embed._kernel_config import memory_of
from nbt_embed._terms import instructions_of, kernel_value_of
from nbt_embed.config import Config
from nbt_embed.errors import ConfigError, shown, similar

COSTS = Path(__file__).with_name("costs.json")
# Where one processor has to stand for all.
USUAL = "Cortex-M4F"
MHZ_MAX = 10_000.0


@dataclass(frozen=True)
class Processor:
    """A processor with known costs.

    Attributes:
        name: as its maker writes it; F stands for a float unit.
        mhz: clock of a typical board with it.
        board: that board.
        has_fpu: whether float32 arithmetic is instructions; otherwise it is the library's, and
            instructions depend on the numbers: the figures are means.
        cycles_low, cycles_high: range of the clock cycles that an instruction of a step takes.
        source: where that range comes from.
        error_median, error_worst: relative errors of the instructions against counts in QEMU, over
            ``held_out`` configurations that the coefficients have not seen.
        flash_error, stack_error: the worst of flash and stack, over the kernels of these.
    """

    name: str
    mhz: float
    board: str
    has_fpu: bool
    cycles_low: float
    cycles_high: float
    source: str
    error_median: float
    error_worst: float
    held_out: int
    flash_error: float
    stack_error: float


@dataclass(frozen=True)
class Cost:
    """A learning step on a processor.

    Attributes: processor; mhz, its clock; instructions, of a typical step; milliseconds_low and
    milliseconds_high, at the two ends of the range of cycles per instruction.
    """

    processor: Processor
    mhz: float
    instructions: int
    milliseconds_low: float
    milliseconds_high: float


# Name, usual clock and board, whether it has a float unit, cycles an instruction and why.
_ARM = "Arm's table of instruction timings"
_KNOWN = (
    ("Cortex-M0", 48, "STM32F0", False, 1.3, 1.9,
     f"{_ARM}: 1, loads and stores 2, taken branches 3; with a wait state of flash"),
    ("Cortex-M3", 72, "STM32F1", False, 1.2, 1.8,
     f"{_ARM}: 1, loads 2 but pipelined, taken branches 2 to 4; with wait states of flash"),
    ("Cortex-M4F", 64, "nRF52840", True, 1.1, 1.6,
     f"{_ARM}: arithmetic 1, division and root 14, loads 1 to 2; with wait states of "
     "flash"),
    ("Cortex-M7F", 216, "STM32F7", True, 0.7, 1.2,
     "up to two instructions a cycle; CoreMark/MHz 5.0 against 3.4 of the M4"),
    ("Cortex-M33F", 128, "nRF5340", True, 1.0, 1.5,
     "CoreMark/MHz about 4.0 against 3.4 of the M4"),
    ("Cortex-M55", 160, "Alif Ensemble", True, 0.9, 1.4,
     "CoreMark/MHz about 4.2 against 3.4 of the M4; without its vector unit"),
    ("RV32IMAC", 160, "ESP32-C3", False, 1.1, 1.7,
     "a core that issues one instruction a cycle, with loads and taken branches of 2 to 3"),
    ("RV32IMAFC", 400, "ESP32-P4", True, 1.1, 1.7,
     "a core that issues one instruction a cycle, with loads of 2 and divisions of some 14"),
)  # fmt: skip


@cache
def processors() -> tuple[Processor, ...]:
    """The processors with known costs."""
    errors = {name: entry["error"] for name, entry in _costs().items()}
    return tuple(
        Processor(
            name, float(mhz), board, has_fpu, low, high, source,
            errors[name]["median"], errors[name]["worst"], errors[name]["configurations"],
            errors[name]["flash"], errors[name]["stack"],
        )
        for name, mhz, board, has_fpu, low, high, source in _KNOWN
    )  # fmt: skip


def processor_of(name: str) -> Processor:
    """The processor of a name, in any case, with or without "Cortex-".

    Errors: ConfigError with the known names.

    Examples:
        >>> processor_of("m4f").name
        'Cortex-M4F'
    """
    known = {one.name: one for one in processors()}
    wanted = name.strip().lower() if isinstance(name, str) else ""
    for one in known.values():
        if wanted in (one.name.lower(), one.name.lower().removeprefix("cortex-")):
            return one
    by_case = {one.lower(): one for one in known}
    guess = similar(wanted, by_case)
    for low, right in by_case.items():
        guess = guess.replace(f"'{low}'", f"'{right}'")
    raise ConfigError(f"processor {shown(name)}: {guess}expected one of {', '.join(known)}")


def cost(config: Config, processor: str | Processor, mhz: float | None = None) -> Cost:
    """Instructions and milliseconds of one learning step, without building a learner.

    A label is taken to come ``max_delay + 1`` rows after its forecast.

    Args:
        config: settings of the learner.
        processor: one of ``processors()`` or its name.
        mhz: clock; None: that of ``Processor.mhz``.

    Errors: ConfigError (a setting, the processor, the clock; the estimator "rtrl", of which no
    counts exist). Cost: O(1).

    Examples:
        >>> made = cost(Config(3, 1), "Cortex-M4F")
        >>> 30_000 < made.instructions < 100_000 and made.mhz == 64
        True
    """
    if not isinstance(processor, Processor):
        processor = processor_of(processor)
    _check_estimator(config)
    clock = processor.mhz if mhz is None else _clock(mhz)
    instructions = round(_instructions(config, processor.name))
    low, high = (
        instructions * cycles / (1e3 * clock)
        for cycles in (processor.cycles_low, processor.cycles_high)
    )
    return Cost(processor, clock, instructions, low, high)


def _instructions(config: Config, name: str) -> float:
    fitted = _costs()[name]
    like = None if fitted["like"] is None else _costs()[fitted["like"]]["instructions"]
    return instructions_of(config, fitted["instructions"], like, fitted["ratio"])


@dataclass(frozen=True)
class Code:
    """Bytes of the kernel that a configuration needs, as a compiler's level makes it.

    Attributes: level, "-O2" or "-Os"; flash, the kernel with what it needs of the compiler's
    libraries; stack, the deepest chain of calls, without leaf routines of the libraries.
    """

    level: str
    flash: int
    stack: int


LEVELS = ("-O2", "-Os")


def code(config: Config, processor: str | Processor) -> tuple[Code, ...]:
    """Flash and stack at every one of ``LEVELS``, of the kernel of ``nbt-embed export``.

    The stack is so much above the fitted one that the worst error is covered, since it must not be
    too small.

    Errors: ConfigError, as ``cost``. Cost: O(1).

    Examples:
        >>> fast, small = code(Config(3, 1), "Cortex-M4F")
        >>> small.flash < fast.flash
        True
    """
    if not isinstance(processor, Processor):
        processor = processor_of(processor)
    _check_estimator(config)
    memory_of(config)  # is it a learner
    fitted = _costs()[processor.name]
    return tuple(
        Code(
            level,
            round(kernel_value_of(config, fitted["flash"][level])),
            _up(kernel_value_of(config, fitted["stack"][level]) / (1 - processor.stack_error)),
        )
        for level in LEVELS
    )


def _up(value: float) -> int:
    """The next multiple of 8, to which stacks are aligned."""
    return 8 * math.ceil(value / 8)


def _check_estimator(config: Config) -> None:
    if config.estimator == "rtrl":
        raise ConfigError(
            "estimator = 'rtrl': it has no cost on microcontrollers, because it is a reference "
            "for hosts; choose another estimator"
        )


def _clock(mhz: float) -> float:
    try:
        clock = float(mhz)
    except (TypeError, ValueError):
        clock = math.nan
    if not 0 < clock <= MHZ_MAX:
        raise ConfigError(
            f"mhz = {shown(mhz)}: expected a clock in megahertz, above 0 and up to {MHZ_MAX:g}"
        )
    return clock


@cache
def _costs() -> dict[str, Any]:
    """The fitted coefficients by processor."""
    found: dict[str, Any] = json.loads(COSTS.read_text(encoding="utf-8"))
    return found
