"""``nbt-embed size``: memory and time of a learner on a microcontroller, computed in advance."""

from __future__ import annotations

import argparse
import re
from typing import Any

from nbt_embed import __version__
from nbt_embed._kernel_config import memory_of
from nbt_embed.alternatives import alternatives
from nbt_embed.config import CHOICES, Config
from nbt_embed.cost import MHZ_MAX, processor_of, processors
from nbt_embed.errors import ConfigError, shown
from nbt_embed.footprint import Footprint, Limits, footprint, misfits
from nbt_embed.options import add_learner, config_of, count_from, describe
from nbt_embed.output import OR_STDOUT, Result, check_targets
from nbt_embed.report import alternatives_table, json_text, memory_table, size_document
from nbt_embed.smaller import what_fits

ALL = "all"
_KIB = 1024
_LEAST_HZ, _MOST_HZ = 1e-6, 1e6
_NUMBER = r"(?P<number>[0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})(?:e(?P<power>[+-]?[0-9]{1,2}))?"
_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_HERTZ = {"hz": 1.0, "khz": 1e3}
_RATE = re.compile(rf"{_NUMBER}\s*(?P<per>/?)\s*(?P<unit>[a-zµ]+)", re.IGNORECASE)


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    size = commands.add_parser(
        "size",
        help="RAM, flash, stack and time of a learner on a microcontroller, computed",
        description="Bytes of a learner by part, compared with other methods. With --mcu also "
        "flash, stack, time and energy on a processor, whether the learner fits within "
        "--ram, --flash and --rate, and smaller learners that do.",
    )
    size.set_defaults(command=main)
    size.add_argument(
        "--inputs", metavar="N", type=count_from(1), required=True, help="input channels"
    )
    size.add_argument(
        "--outputs", metavar="N", type=count_from(1), required=True, help="values, or classes"
    )
    size.add_argument(
        "--horizon", metavar="H", type=count_from(0), default=1, help="samples ahead (default: 1)"
    )
    size.add_argument(
        "--link",
        choices=CHOICES["link"],
        default=Config.link,
        help="kind of the outputs: gaussian for numbers, categorical for classes, bernoulli for "
        "probabilities (default: gaussian)",
    )
    add_learner(size)
    _add_processor(size)
    size.add_argument("--json", metavar="FILE", help=f"write the figures to a JSON file{OR_STDOUT}")


def _add_processor(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("microcontroller")
    names = ", ".join(one.name for one in processors())
    group.add_argument("--mcu", metavar="NAME", help=f"{names}, or {ALL} for a table of them")
    for name, metavar, kind, text in (
        ("mhz", "F", _megahertz, "its clock in megahertz (default: that of a typical board)"),
        ("volts", "V", _above_zero, "supply voltage of the running core; needs --milliamps"),
        ("milliamps", "I", _above_zero, "current of the running core at this clock, from its data "
         "sheet"),
        ("ram", "KIB", _bytes, "RAM available for learner and stack, in units of 1024 bytes"),
        ("flash", "KIB", _bytes, "flash available for the kernel, in units of 1024 bytes"),
    ):  # fmt: skip
        group.add_argument(f"--{name}", metavar=metavar, type=kind, help=text)
    group.add_argument(
        "--rate",
        metavar="RATE",
        type=rate,
        help="rate of the samples: 100Hz, 10ms (between two samples), or 60/min",
    )


def main(args: argparse.Namespace) -> Result:
    """Print bytes by purpose and of other methods; with --mcu the cost on a processor."""
    check_targets([], args.json)
    decided = {"link": args.link, "max_delay": max(args.horizon - 1, 0)}
    config = config_of(args, args.inputs, args.outputs, **decided)
    memory, others = memory_of(config), alternatives(config)
    document = size_document(config, memory, others, __version__)
    if args.mcu is None:
        _check_alone(args)
        text = f"{memory_table(memory)}\n\n{alternatives_table(memory, others)}"
    else:
        from nbt_embed.app import sizing

        limits = Limits(args.ram, args.flash, args.rate)
        made = _footprints(args, config)
        document["processors"] = [sizing.document_of(one, limits) for one in made]
        if len(made) > 1:
            text = sizing.table(made, limits)
        else:
            text = sizing.text_of(made[0], limits)
            if misfits(made[0], limits):
                fitting = what_fits(made[0], limits)
                document["processors"][0]["would_fit"] = [
                    sizing.fitting_document(one, limits) for one in fitting
                ]
                text += "\n\n" + sizing.fitting_table(fitting)
    files = [] if args.json is None else [(args.json, json_text(document))]
    return Result(f"{describe(config)}\n\n{text}\n", tuple(files))


def _footprints(args: argparse.Namespace, config: Config) -> list[Footprint]:
    """Return the learner's cost on each requested processor. Errors: ConfigError."""
    chosen = processors() if args.mcu.lower() == ALL else (processor_of(args.mcu),)
    return [
        footprint(config, one, args.mhz, args.rate, args.volts, args.milliamps) for one in chosen
    ]


def _check_alone(args: argparse.Namespace) -> None:
    """Refuse an option that needs --mcu without it. Errors: ConfigError."""
    for name in ("mhz", "rate", "volts", "milliamps", "ram", "flash"):
        if getattr(args, name) is not None:
            raise ConfigError(
                f"--{name}: needs --mcu too, one of "
                f"{', '.join(one.name for one in processors())}, or {ALL}"
            )


def rate(text: str) -> float:
    """Convert a frequency, a period, or a number of samples per time to samples per second.

    Examples:
        >>> rate("100Hz"), rate("10 ms"), rate("60/min")
        (100.0, 100.0, 1.0)
    """
    match = _RATE.fullmatch(text.strip())
    if match:
        value = float(f"{match['number']}e{match['power'] or 0}")
        unit = match["unit"].lower()
        hertz = 0.0
        if match["per"] and unit in _SECONDS:
            hertz = value / _SECONDS[unit]
        elif not match["per"] and unit in _SECONDS and value > 0:
            hertz = 1 / (value * _SECONDS[unit])
        elif not match["per"] and unit in _HERTZ and "M" not in match["unit"]:
            hertz = value * _HERTZ[unit]
        if _LEAST_HZ <= hertz <= _MOST_HZ:
            return hertz
    raise argparse.ArgumentTypeError(
        f"{shown(text)}: expected a rate from {_LEAST_HZ:g} to {_MOST_HZ:g} Hz with its unit: "
        "100Hz, 1kHz; the time between two samples, such as 10ms, 0.5s, 1min; or samples per "
        "time, such as 60/min"
    )


def _above_zero(text: str, most: float = 1e9, what: str = "a number") -> float:
    if re.fullmatch(_NUMBER, text, re.IGNORECASE) and 0 < float(text) <= most:
        return float(text)
    raise argparse.ArgumentTypeError(f"{shown(text)}: expected {what} above 0, up to {most:g}")


def _megahertz(text: str) -> float:
    return _above_zero(text, MHZ_MAX, "a clock in megahertz")


def _bytes(text: str) -> int:
    """Convert KiB to bytes."""
    found = int(_above_zero(text) * _KIB)
    if found == 0:
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected at least one byte, 1/{_KIB}")
    return found
