"""The resources of a learner on a microcontroller, as text and as a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbt_embed.cost import Code
from nbt_embed.footprint import Footprint, Limits, misfits
from nbt_embed.options import options_of
from nbt_embed.smaller import Fitting

_NOTES = (
    "RAM is the learner's block, which is exact, and the stack of the kernel's calls, without",
    "interrupts and your program. Flash is the kernel and the routines that it needs from the",
    "compiler's libraries.",
    "A state in flash takes up to as many bytes as the learner in addition.",
)


def text_of(made: Footprint, limits: Limits) -> str:
    """Format one processor, one figure per line."""
    one, cost = made.processor, made.cost
    low, high = made.milliseconds
    lines = [
        f"{one.name} at {cost.mhz:g} MHz",
        f"  RAM           {made.ram_bytes:>10,} bytes: learner {made.learner_bytes:,}, "
        f"stack up to {made.stack_bytes:,}",
        f"  flash         {made.small.flash:>10,} bytes at -Os, {made.fast.flash:,} at -O2",
        f"  instructions  {cost.instructions:>10,} per learning step, at -O2",
        f"  time          {_range(low, high):>10} ms, at {one.cycles_low:g} to "
        f"{one.cycles_high:g} cycles per instruction",
    ]
    if made.rate_hz is not None and made.share is not None:
        low, high = made.share
        lines.append(
            f"  load          {_range(100 * low, 100 * high):>10} % of the "
            f"{1e3 / made.rate_hz:.4g} ms between two samples"
        )
    if made.microjoules is not None:
        lines.append(
            f"  energy        {_range(*made.microjoules):>10} µJ per learnt sample: volts x "
            "milliamps x time, with the current of the running core"
        )
    problems = misfits(made, limits)
    lines += [f"  {problem}" for problem in problems]
    if not problems and limits != Limits():
        lines.append("  it fits")
    lines += [
        "",
        *_NOTES,
        f"Cycles: {one.source}.",
        f"Error on {one.held_out} held-out learners: instructions {one.error_median:.1%} in the "
        f"median and {one.error_worst:.1%} at most,",
        f"flash up to {one.flash_error:.0%}, stack up to {one.stack_error:.0%} (included in "
        "the figure above).",
    ]
    return "\n".join(lines)


def table(made: Sequence[Footprint], limits: Limits) -> str:
    """Format one row per processor."""
    has_rate = made[0].rate_hz is not None
    has_power = made[0].watts is not None
    head = f"{'':>12}{'':>6}{'RAM':>11}{'flash, bytes':>20}{'instructions':>14}{'time':>15}"
    below = (
        f"{'processor':>12}{'MHz':>6}{'bytes':>11}{'-Os':>10}{'-O2':>10}{'per step':>14}{'ms':>15}"
    )
    if has_rate:
        head, below = f"{head}{'load':>16}", f"{below}{'%':>16}"
    if has_power:
        head, below = f"{head}{'energy':>16}", f"{below}{'µJ':>16}"
    lines = [head, below]
    for one in made:
        line = (
            f"{one.processor.name:>12}{one.cost.mhz:6g}{one.ram_bytes:11,}"
            f"{one.small.flash:10,}{one.fast.flash:10,}{one.cost.instructions:14,}"
            f"{_range(*one.milliseconds):>15}"
        )
        if one.share is not None:
            line += f"{_range(*(100 * share for share in one.share)):>16}"
        if one.microjoules is not None:
            line += f"{_range(*one.microjoules):>16}"
        problems = [problem.partition(",")[0] for problem in misfits(one, limits)]
        lines.append(f"{line}  {'; '.join(problems)}".rstrip())
    return "\n".join([*lines, "", *_NOTES])


def fitting_table(fitting: Sequence[Fitting]) -> str:
    """Format learners that fit, smallest expected loss first."""
    if not fitting:
        return (
            "no learner fits, not even recursive least squares with one lag: use fewer inputs or "
            "outputs, or another processor (--mcu all)"
        )
    lines = [
        "learners that fit, smallest expected loss of accuracy first",
        f"{'RAM':>12}{'flash -Os':>11}{'ms':>15}  without or instead; options",
    ]
    for one in fitting:
        made = one.footprint
        lines.append(
            f"{made.ram_bytes:12,}{made.small.flash:11,}{_range(*made.milliseconds):>15}"
            f"  {', '.join(one.names)}; {options_of(made.config)}"
        )
    return "\n".join(lines)


def document_of(made: Footprint, limits: Limits) -> dict[str, Any]:
    """Return one processor as JSON values."""
    one = made.processor
    low, high = made.milliseconds
    return {
        "processor": one.name,
        "mhz": made.cost.mhz,
        "ram_bytes": made.ram_bytes,
        "learner_bytes": made.learner_bytes,
        "stack_bytes": made.stack_bytes,
        "code": {code.level: _code_document(code) for code in (made.fast, made.small)},
        "instructions": made.cost.instructions,
        "milliseconds": {"low": low, "high": high},
        "cycles_an_instruction": {
            "low": one.cycles_low,
            "high": one.cycles_high,
            "source": one.source,
        },
        "rate_hz": made.rate_hz,
        "share_of_period": _ends(made.share),
        "microjoules": _ends(made.microjoules),
        "error": {
            "configurations": one.held_out,
            "instructions_median": one.error_median,
            "instructions_worst": one.error_worst,
            "flash_worst": one.flash_error,
            "stack_worst": one.stack_error,
        },
        "limits": {
            "ram_bytes": limits.ram,
            "flash_bytes": limits.flash,
            "rate_hz": limits.rate_hz,
        },
        "fits": not misfits(made, limits),
        "misfits": list(misfits(made, limits)),
    }


def fitting_document(one: Fitting, limits: Limits) -> dict[str, Any]:
    """Return a fitting learner as JSON values."""
    made = document_of(one.footprint, limits)
    return {
        "without": list(one.names),
        "options": options_of(one.footprint.config),
        "config": dict(vars(one.footprint.config)),
        **{
            name: made[name]
            for name in (
                "ram_bytes", "learner_bytes", "stack_bytes", "code", "instructions",
                "milliseconds", "share_of_period", "microjoules",
            )
        },
    }  # fmt: skip


def _code_document(code: Code) -> dict[str, int]:
    return {"flash_bytes": code.flash, "stack_bytes": code.stack}


def _ends(pair: tuple[float, float] | None) -> dict[str, float] | None:
    return None if pair is None else {"low": pair[0], "high": pair[1]}


def _range(low: float, high: float) -> str:
    """Format a range with three significant digits."""
    return f"{_three(low)} to {_three(high)}"


def _three(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
