"""What the commands have in common: parser, converters, the options of the learner."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from nbt_embed.config import CHOICES, NAMES, Config
from nbt_embed.errors import ConfigError, shown, similar
from nbt_embed.output import tell, to_stdout
from nbt_embed.replay import DECIMAL

BAD_INPUT = 2

_DIGITS, _LARGEST = re.compile(r"[0-9]{1,20}"), (1 << 64) - 1
COLUMNS = 'columns, separated by commas; a name with a comma as "a, b", with its quotes doubled'
FURTHEST = (1 << 20) + 1  # rows ahead: the kernel's largest max_delay, and one
_LONGEST = 1e12  # seconds
_WORDS: dict[str, object] = {"none": None, "true": True, "false": False}
# What the stream decides, not the person.
_DECIDED = ("n_in", "n_out", "max_delay", "hold_missing", "anchor", "link")

# Settings that are options with a whole number: name, least value, meaning.
_COUNTS = (
    ("hidden", 0, "recurrent units; 0: recursive least squares"),
    ("resonators", 0, "units of a columnar layer that are resonators; all of cell resonator"),
    ("head", 0, "units of a learnt layer in front of the readout; 0: none"),
    ("lags", 1, "newest samples of every input that are used in one step"),
    ("seed", 0, "random seed"),
)
_USUAL = {
    "cell": "columnar; gated with an estimator or filter for dense cells",
    "estimator": "unitwise; nobacktrack for lstm; snap1 for columnar and resonator; frozen without "
    "units",
}
_NAMED = (*(name for name, _, _ in _COUNTS), "cell", "estimator", "filter")


class Parser(argparse.ArgumentParser):
    """argparse with errors of one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message and leave with the code for bad usage."""
        self.exit(BAD_INPUT, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Leave, whether or not the message can be written."""
        tell(message or "")
        raise SystemExit(status)

    def _print_message(self, message: str, _file: object = None) -> None:
        """--help and --version, which argparse itself would lose without a word."""
        with to_stdout() as stream:
            stream.write(message)


def add_learner(parser: argparse.ArgumentParser) -> None:
    """Options that describe the learner; the defaults are those of ``Config``."""
    group = parser.add_argument_group("learner")
    for name, low, text in _COUNTS:
        value = getattr(Config(1, 1), name)
        group.add_argument(
            f"--{name}",
            metavar="N",
            type=count_from(low),
            default=getattr(Config, name),
            help=f"{text} (default: {value})",
        )
    for name in ("cell", "estimator", "filter"):
        value = getattr(Config, name)
        usual = value or _USUAL[name]
        group.add_argument(
            f"--{name}", choices=CHOICES[name], default=value, help=f"(default: {usual})"
        )
    add_switches(group)


def add_switches(group: Any) -> None:
    """Options that turn parts of the learner off, and --set for every other setting."""
    group.add_argument(
        "--no-follow",
        dest="follow",
        action="store_false",
        help="fix the units after 300 samples, without anchors and mixture: fewer bytes",
    )
    group.add_argument(
        "--no-mixture",
        dest="mix_forget",
        action="store_const",
        const=0.0,
        help="forecast with the readout of the network alone, instead of a mixture: fewer bytes",
    )
    group.add_argument(
        "--set",
        metavar="NAME=VALUE",
        dest="settings",
        type=_setting,
        action="append",
        default=[],
        help="any other setting of the learner (a field of nbt_embed.Config), such as "
        "forget=0.999; may be repeated",
    )


def said_of(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of the learner as the options of ``add_learner`` give them."""
    return settings_of(args, _NAMED)


def add_columns(group: Any) -> None:
    """Which columns are inputs and targets."""
    group.add_argument("--inputs", metavar="COLS", type=names, help=f"input {COLUMNS}")
    group.add_argument(
        "--targets", "--target", metavar="COLS", type=names, help=f"target {COLUMNS}"
    )


def add_cells(group: Any) -> None:
    """How cells are written."""
    group.add_argument(
        "--missing",
        metavar="VALUE",
        type=mark,
        action="append",
        default=[],
        help="additional marker of a missing value, such as -200; may be repeated",
    )
    group.add_argument(
        "--delimiter", metavar="CHAR", help="delimiter of cells: tab, space, or one character"
    )
    group.add_argument("--decimal", choices=[".", ","], help="decimal mark")


def add_gap(group: Any) -> None:
    """Which pause ends a recording."""
    group.add_argument(
        "--gap",
        metavar="S",
        type=seconds,
        help="reset the state after a gap of more than S seconds",
    )


def add_alarm(group: Any) -> None:
    """When an alarm begins."""
    group.add_argument(
        "--alarm",
        metavar="SCORE",
        type=number_from(0, 1, "an anomaly score"),
        default=0.9999,
        help="anomaly score above which an alarm begins (default: 0.9999)",
    )
    group.add_argument(
        "--hold-off",
        metavar="ROWS",
        type=count_from(0),
        default=100,
        help="rows without a score above --alarm before the next alarm can begin (default: 100)",
    )


def config_of(args: argparse.Namespace, n_in: int, n_out: int, **decided: Any) -> Config:
    """The learner that the options describe. Errors: ConfigError."""
    return Config(n_in, n_out, **{**said_of(args), **decided})


def settings_of(args: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """The settings that options of these names, switches and --set give. Errors: ConfigError."""
    settings = {name: getattr(args, name) for name in (*names, "follow", "mix_forget")}
    plain = {**{name: getattr(Config, name) for name in settings}}
    for name, value in args.settings:
        if settings.get(name, plain.get(name)) != plain.get(name):
            raise ConfigError(f"--set {name}: is given twice; leave one of the two out")
        settings[name] = plain[name] = value
    return settings


def options_of(config: Config) -> str:
    """Options of ``add_learner`` for this learner, as few as there can be.

    What the stream decides, the seed and the levels of the intervals are left out.
    """
    plain: dict[str, Any] = {"n_in": config.n_in, "n_out": config.n_out, "link": config.link}
    given: dict[str, Any] = {}
    decided = (*_DECIDED, "seed", "levels")
    first = ("hidden", "cell", "head", "estimator", "filter", "follow", "mix_forget")
    names = [*first, *(name for name in vars(config) if name not in (*first, *decided))]
    default = Config(**plain)
    for name in names:
        value = getattr(config, name)
        if value != getattr(default, name):
            given[name] = value
            default = Config(**plain, **given)
    return " ".join(
        f"--{name} {value}" if name in _NAMED else f"--set {name}={value}"
        for name, value in given.items()
    )


def describe(config: Config) -> str:
    """A learner in one line."""
    units = f"{config.hidden} {config.cell} units" if config.hidden else "no units"
    if config.resonators and config.cell != "resonator":
        units += f" ({config.resonators} resonators)"
    units += f", head {config.head}" if config.head else ""
    return (
        f"{_counted(config.n_in, 'input')} x {_counted(config.lags, 'lag')}, {units}, "
        f"{_counted(config.n_out, 'output')}, estimator {config.estimator}, filter {config.filter}"
    )


def _counted(count: int | None, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"


def count_from(low: int, high: int = _LARGEST) -> Any:
    """Return a converter of an option to an integer from low to high."""

    def convert(text: str) -> int:
        if not _DIGITS.fullmatch(text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(
                f"{shown(text)}: expected an integer from {low} to {high}, in digits 0 to 9 alone"
            )
        return int(text)

    return convert


def number_from(low: float, high: float, what: str) -> Any:
    """Return a converter of an option to a number from low to high, both allowed."""

    def convert(text: str) -> float:
        if not DECIMAL.fullmatch(text) or not low <= float(text) <= high:
            raise argparse.ArgumentTypeError(
                f"{shown(text)}: expected {what} from {low:g} to {high:g}"
            )
        return float(text)

    return convert


def seconds(text: str) -> float:
    """A pause or an interval."""
    found: float = number_from(0, _LONGEST, "a number of seconds")(text)
    return found


def mark(text: str) -> str:
    """A text, or a number as files spell it."""
    try:
        float(text)
    except ValueError:
        return text
    if not DECIMAL.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{shown(text)}: expected a number in digits 0 to 9, sign, point and exponent, or a "
            "text"
        )
    return text


def names(text: str) -> list[str]:
    """Names between commas; a name that holds a comma stands in double quotes.

    As in CSV, a quote at the start of a name opens it, and stands twice within it.
    """
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise argparse.ArgumentTypeError(f"{shown(text)}: contains bytes that are not UTF-8")
    found: list[str] = []
    rest = text
    while True:
        match = _NAME.match(rest)
        name = ((match["quoted"] or "").replace('""', '"') or match["plain"] or "") if match else ""
        name = name.strip()
        if match is None or not name:
            raise argparse.ArgumentTypeError(
                f"{shown(text)}: expected names separated by commas; write a name that holds a "
                "comma, or begins with a quote, in double quotes, as in '\"a, b\",c', and a quote "
                'within them twice, as in \'"3/4"" pipe, cold"\''
            )
        found.append(name)
        if not match["comma"]:
            return found
        rest = rest[match.end() :]


_NAME = re.compile(
    r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>(?:[^",][^,]*)?))\s*(?:(?P<comma>,)|$)'
)


def horizons(text: str) -> list[int]:
    """Horizons between commas, each once."""
    convert = count_from(0, FURTHEST)
    found = [convert(part) for part in text.split(",")]
    if len(set(found)) != len(found):
        raise argparse.ArgumentTypeError(f"{shown(text)}: names a horizon twice")
    return found


def _setting(text: str) -> tuple[str, object]:
    name, sign, value = text.partition("=")
    name = name.strip()
    if not sign:
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected NAME=VALUE, as in forget=0.999")
    if name in _DECIDED:
        raise argparse.ArgumentTypeError(
            f"{name} is determined by the stream and the horizon"
            + (": use --link" if name == "link" else "")
        )
    if name not in NAMES:
        known = [one for one in NAMES if one not in _DECIDED]
        raise argparse.ArgumentTypeError(
            f"no setting {shown(name)}: {similar(name, known)}there are {', '.join(known)}"
        )
    return name, _value(value.strip())


def _value(text: str) -> object:
    if text.startswith("(") and text.endswith(")"):
        inner = text[1:-1].strip().rstrip(",")
        return tuple([_value(part.strip()) for part in inner.split(",")]) if inner else ()
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if not DECIMAL.fullmatch(text):
        return text
    return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else float(text)
