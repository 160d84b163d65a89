"""RAM, flash, stack, time and energy of a learner on a microcontroller, and their limits.

Examples:
    >>> from nbt_embed import Config
    >>> made = footprint(Config(3, 1), "Cortex-M4F", rate_hz=100)
    >>> misfits(made, Limits(ram=4096))[0].startswith("RAM")
    True
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nbt_embed._kernel_config import memory_of
from nbt_embed.config import Config
from nbt_embed.cost import Code, Cost, Processor, code, cost
from nbt_embed.errors import ConfigError, shown


@dataclass(frozen=True)
class Limits:
    """Available resources. None: no limit.

    Attributes: ram and flash, bytes; rate_hz, learnt samples per second.
    """

    ram: int | None = None
    flash: int | None = None
    rate_hz: float | None = None

    def __post_init__(self) -> None:
        for name in ("ram", "flash", "rate_hz"):
            _check(name, getattr(self, name))


@dataclass(frozen=True)
class Footprint:
    """A learner on a processor. The bytes of the learner are exact, all else is an estimate.

    Attributes:
        config: its settings.
        cost: instructions and milliseconds of a learning step, at -O2.
        learner_bytes: RAM of the learner.
        fast, small: the code at -O2 and at -Os.
        rate_hz: learnt samples per second; None: not known.
        watts: power of the running core; None: not known.
    """

    config: Config
    cost: Cost
    learner_bytes: int
    fast: Code
    small: Code
    rate_hz: float | None
    watts: float | None

    @property
    def processor(self) -> Processor:
        """Where it runs."""
        return self.cost.processor

    @property
    def stack_bytes(self) -> int:
        """The deepest stack at either level."""
        return max(self.fast.stack, self.small.stack)

    @property
    def ram_bytes(self) -> int:
        """Learner and stack. Interrupts and the program's own calls are not included."""
        return self.learner_bytes + self.stack_bytes

    @property
    def milliseconds(self) -> tuple[float, float]:
        """Of a learning step, least and most."""
        return self.cost.milliseconds_low, self.cost.milliseconds_high

    @property
    def share(self) -> tuple[float, float] | None:
        """Part of the sampling period that a step takes, least and most; None without a rate."""
        if self.rate_hz is None:
            return None
        low, high = self.milliseconds
        return low * self.rate_hz / 1e3, high * self.rate_hz / 1e3

    @property
    def microjoules(self) -> tuple[float, float] | None:
        """Energy of a learning step, power times time, least and most; None without the power."""
        if self.watts is None:
            return None
        low, high = self.milliseconds
        return 1e3 * self.watts * low, 1e3 * self.watts * high


def footprint(
    config: Config,
    processor: str | Processor,
    mhz: float | None = None,
    rate_hz: float | None = None,
    volts: float | None = None,
    milliamps: float | None = None,
) -> Footprint:
    """Resources of a learner, without building it.

    Args:
        config: settings of the learner.
        processor: one of ``nbt_embed.cost.processors()`` or its name.
        mhz: clock; None: that of ``Processor.mhz``.
        rate_hz: learnt samples per second; None leaves the share of the period out.
        volts: of the supply.
        milliamps: current of the core at this clock, from its data sheet. Both or none.

    Errors: ConfigError (a setting, the processor, a number that is not above 0). Cost: some 0.2 ms.
    """
    if (volts is None) != (milliamps is None):
        given, other = ("volts", "milliamps") if milliamps is None else ("milliamps", "volts")
        raise ConfigError(f"{given}: needs {other} too; energy is volts x milliamps x time")
    for name, value in (("rate_hz", rate_hz), ("volts", volts), ("milliamps", milliamps)):
        _check(name, value)
    made = cost(config, processor, mhz)
    fast, small = code(config, made.processor)
    watts = None if volts is None or milliamps is None else volts * milliamps / 1e3
    return Footprint(config, made, memory_of(config).total, fast, small, rate_hz, watts)


def misfits(made: Footprint, limits: Limits) -> tuple[str, ...]:
    """One sentence per limit that is exceeded; empty if it fits."""
    found = []
    if limits.ram is not None and made.ram_bytes > limits.ram:
        found.append(f"RAM: does not fit, {made.ram_bytes:,} of {limits.ram:,} bytes")
    least = min(made.small.flash, made.fast.flash)
    if limits.flash is not None and least > limits.flash:
        found.append(f"flash: does not fit, {least:,} of {limits.flash:,} bytes")
    if limits.rate_hz is not None:
        period, (low, high) = 1e3 / limits.rate_hz, made.milliseconds
        if high > period:
            may = "too slow" if low > period else "may be too slow"
            found.append(f"time: {may}, {low:.3g} to {high:.3g} ms of {period:.3g} ms")
    return tuple(found)


def _check(name: str, value: float | None) -> None:
    if value is not None and not (isinstance(value, (int, float)) and 0 < value < math.inf):
        raise ConfigError(f"{name} = {shown(value)}: expected a number above 0, or None")
