"""The command line: ``nbt-embed run``, ``demo``, ``size``, ``export`` and ``replay``.

Results go to standard output, notes and the progress bar to standard error. Where a file is written
to standard output (``-``), the results for people go to standard error. Exit codes: 0 done, 1 a
replayed device has other bits, 2 bad usage or input, or a result that could not be written (one
line says what and what to do), 130 interrupted, 141 nobody reads.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TextIO

import numpy as np

from nbt_embed import __version__, _interrupt
from nbt_embed._kernel_config import memory_of
from nbt_embed.alternatives import alternatives
from nbt_embed.comparison import PASSES, Comparison, compare
from nbt_embed.config import CHOICES, Config
from nbt_embed.csvfile import from_csv
from nbt_embed.errors import CheckpointError, NbtError, StreamError, shown
from nbt_embed.export import GOLDEN_STEPS, export_firmware
from nbt_embed.files import write_path
from nbt_embed.learner import Learner
from nbt_embed.replay import DECIMAL
from nbt_embed.report import (
    alternatives_table,
    anchors_line,
    guard_notes,
    memory_table,
    plot,
    run_document,
    size_document,
    table,
)
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream

_DIFFERENT, _BAD_INPUT, _NOBODY_READS = 1, 2, 141

_STDOUT = "-"
_OR_STDOUT = ", or - for standard output"
_DIGITS, _LARGEST = re.compile(r"[0-9]{1,20}"), (1 << 64) - 1

_DEMO_HORIZON = 5
_DEMO_WINDOW = 72  # samples in one picture


@dataclass(frozen=True)
class _Result:
    """What a command comes to.

    Attributes: text, for people; files, name (``-``: standard output) and content; code, exit code.
    """

    text: str
    files: tuple[tuple[str, str], ...] = ()
    code: int = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; usage errors and --help exit by themselves.

    Args:
        argv: arguments without the program's name; None: those of the process.
    """
    try:
        _interrupt.handed_over()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a terminal that lacks a character shows "?"
                stream.reconfigure(errors="replace")
        if sys.stdout is None:
            raise StreamError("standard output is closed: nobody can read the result")
        args = _parser().parse_args(argv)
        result: _Result = args.command(args)
        _deliver(result)
        _interrupt.ignored()
    except NbtError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("not enough memory: use a smaller --hidden, --lags or --horizon")
    except BrokenPipeError:
        _drop(sys.stdout)
        return _NOBODY_READS
    except KeyboardInterrupt:
        _tell(_interrupt.LINE)
        return _interrupt.EXIT_CODE
    return result.code


def _run(args: argparse.Namespace) -> _Result:
    """Learn a recorded stream and compare."""
    _check_targets([args.file], args.out, args.json)
    stream = from_csv(args.file, args.time, args.inputs, args.targets, args.missing)
    if stream.unused:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in stream.unused)
        _note(f"not used: {reasons}")
    comparisons = _compare(args, stream, args.horizon, args.score_from)
    files = []
    if args.out is not None:
        files.append((args.out, _predictions(stream, comparisons)))
    if args.json is not None:
        document = run_document(stream, comparisons, args.score_from, __version__)
        files.append((args.json, _json(document)))
    text = _results(f"{args.file}", stream, comparisons, args.score_from)
    return _Result(text, tuple(files))


def _demo(args: argparse.Namespace) -> _Result:
    """Learn a simulated sensor, compare, and show the forecast before and after learning."""
    readings = simulated_sensor(seed=args.seed)
    stream = replace(
        readings, targets=readings.targets[:, :1].copy(), target_names=readings.target_names[:1]
    )
    comparisons = _compare(args, stream, [_DEMO_HORIZON], 0)
    parts = [_results("simulated machine (a part comes loose half way)", stream, comparisons, 0)]
    truth = stream.targets[_DEMO_HORIZON:, 0]
    forecast = comparisons[0].learner.predictions[: len(truth), 0]
    name = f"{stream.target_names[0]}, {_DEMO_HORIZON} samples ahead"
    last = len(truth) - _DEMO_WINDOW
    for title, start in (("before learning, the first", 0), ("after learning, the last", last)):
        window = slice(start, start + _DEMO_WINDOW)
        heading = f"{name}: {title} {_DEMO_WINDOW} samples"
        parts.append(f"\n{plot(truth[window], forecast[window], heading)}\n")
    return _Result("".join(parts))


def _size(args: argparse.Namespace) -> _Result:
    """Bytes of a learner, without building it."""
    _check_targets([], args.json)
    config = _config(args, args.inputs, args.outputs, max_delay=max(args.horizon - 1, 0))
    memory, others = memory_of(config), alternatives(config)
    files = []
    if args.json is not None:
        files.append((args.json, _json(size_document(config, memory, others, __version__))))
    tables = f"{memory_table(memory)}\n\n{alternatives_table(memory, others)}"
    return _Result(f"{_describe(config)}\n\n{tables}\n", tuple(files))


def _export(args: argparse.Namespace) -> _Result:
    """A firmware folder of a saved learner."""
    learner = _load(args.state)
    export_firmware(learner, args.out, args.horizon, args.prefix)
    state = len(learner.to_bytes())
    return _Result(
        f"learner: {_describe(learner.config)}, hash {learner.hash():016x}\n"
        f"memory: {learner.memory.total:,} bytes; state in flash: {state:,} bytes\n"
        f"{args.out}: `make && ./firmware` there checks the bits of up to {GOLDEN_STEPS} steps\n"
    )


def _replay(args: argparse.Namespace) -> _Result:
    """The calls of a device's log, and whether the hashes agree."""
    result = _load(args.state).replay(args.log)
    different = result.difference
    if different is not None:
        text = (
            f"step {different.step} (line {different.line}) is the first with other bits: hash "
            f"{different.device:016x} on the device, {different.python:016x} here\n"
        )
        if result.compared == 1:
            text += "no hash before it: was this the checkpoint that the device began with?\n"
        return _Result(text, code=_DIFFERENT)
    if result.compared == 0:
        raise StreamError(
            f"{args.log}: {result.steps} steps without a hash, so nothing was compared; have the "
            "device log the hash after a step (LOG_HASH_EVERY in main.c)"
        )
    return _Result(
        f"{result.steps} steps, {result.compared} hashes compared: the same bits\n"
        f"hash {result.hash:016x}\n"
    )


def _load(path: Path) -> Learner:
    try:
        return Learner.load(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error


def _compare(
    args: argparse.Namespace, stream: Stream, horizons: Sequence[int], score_from: int
) -> list[Comparison]:
    config = _config(args, stream.n_in, stream.n_out, hold_missing=stream.has_missing_inputs)
    with _Progress(len(horizons) * PASSES * len(stream)) as progress:
        comparisons = [
            compare(config, stream, horizon, score_from, progress.add) for horizon in horizons
        ]
    for one in comparisons:
        for note in guard_notes(one.learner):
            _note(f"horizon {one.learner.horizon}: {note}")
    return comparisons


def _config(args: argparse.Namespace, n_in: int, n_out: int, **settings: Any) -> Config:
    """The learner that the options describe. Errors: ConfigError."""
    counts = (name for name, _, _ in _COUNTS)
    names = (*counts, "cell", "estimator", "filter", "follow", "mix_forget")
    return Config(n_in, n_out, **{name: getattr(args, name) for name in names}, **settings)


def _describe(config: Config) -> str:
    units = f"{config.hidden} {config.cell} units" if config.hidden else "no units"
    if config.resonators and config.cell != "resonator":
        units += f" ({config.resonators} resonators)"
    units += f", head {config.head}" if config.head else ""
    return (
        f"{config.n_in} inputs x {config.lags} lags, {units}, "
        f"{config.n_out} outputs, estimator {config.estimator}, filter {config.filter}"
    )


def _results(title: str, stream: Stream, comparisons: Sequence[Comparison], score_from: int) -> str:
    first = comparisons[0]
    lines = [
        f"{title}: {len(stream)} rows, scored from row {score_from}",
        f"inputs: {', '.join(stream.input_names)}",
        f"targets: {', '.join(stream.target_names)}",
        f"learner: {_describe(first.config)}, seed {first.config.seed}",
        f"anchors: {anchors_line(stream, first.config)}",
        f"\n{table(comparisons)}\n\n{memory_table(first.memory)}",
    ]
    if len(comparisons) > 1:
        lines.append(f"  at horizon {first.learner.horizon}")
    lines.append(f"\n{first.learner.us_per_step:.2f} µs per step (predict and learn)\n")
    return "\n".join(lines)


def _predictions(stream: Stream, comparisons: Sequence[Comparison]) -> str:
    """One line a forecast, beside what came; the last ones are for rows still to come."""
    names = stream.target_names
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["horizon", "row", *names, *(f"{name}_forecast" for name in names)])
    for one in comparisons:
        horizon = one.learner.horizon
        for made, forecast in enumerate(one.learner.predictions):
            row = made + horizon
            truth = stream.targets[row] if row < len(stream) else [float("nan")] * len(names)
            writer.writerow([horizon, row, *map(_cell, truth), *map(_cell, forecast)])
    return file.getvalue()


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.7g}"


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _deliver(result: _Result) -> None:
    """Write the files, then standard output. Errors: StreamError, BrokenPipeError."""
    output = [content for name, content in result.files if name == _STDOUT]
    for name, content in result.files:
        if name != _STDOUT:
            _write(name, content.encode("utf-8"))
    if output:
        _tell(result.text)
    with _to_stdout() as stream:
        stream.write("".join(output) or result.text)


def _write(path: str, data: bytes) -> None:
    """Replace a file as a whole, or write into what is no regular file. Errors: StreamError."""
    try:
        write_path(path, data)
    except OSError as error:
        raise StreamError(f"{path}: cannot be written ({error.strerror})") from error


@contextmanager
def _to_stdout() -> Iterator[TextIO]:
    """Standard output, flushed at the end. Errors: StreamError, BrokenPipeError."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        _drop(sys.stdout)
        reason = error.strerror if isinstance(error, OSError) else error
        raise StreamError(f"standard output cannot be written ({reason})") from error


def _tell(text: str) -> None:
    """Write to standard error, if it can be: who cannot be told has the exit code."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()
    except (OSError, ValueError):
        _drop(sys.stderr)


def _drop(stream: TextIO) -> None:
    """The interpreter flushes a stream at exit and must not meet the same failure again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _check_targets(reads: Sequence[Path], *writes: str | None) -> None:
    """Find out before a long run, not after it. Errors: StreamError.

    No file may be written twice, or be one that is read, by whatever name (hard or symbolic link).
    """
    taken: dict[object, str] = {}
    for read in reads:
        taken[_identity(read)] = str(read)
    names = [name for name in writes if name is not None]
    for name in names if _STDOUT in names else [*names, _STDOUT]:
        if name != _STDOUT:
            _check_writable(name)
        identity = _identity(None if name == _STDOUT else Path(name))
        if identity in taken:
            what = "standard output" if name == _STDOUT else name
            other = taken[identity]
            other = "standard output" if other == _STDOUT else other
            raise StreamError(f"{what}: is the same file as {other}; name another file to write")
        taken[identity] = name


def _identity(path: Path | None) -> object:
    """What two names of one file have in common (None: standard output); of null there are many."""
    with suppress(OSError, ValueError):
        found = os.fstat(sys.stdout.fileno()) if path is None else path.stat()
        null = Path(os.devnull).stat()
        same_as_null = (found.st_dev, found.st_ino) == (null.st_dev, null.st_ino)
        return object() if same_as_null else (found.st_dev, found.st_ino)
    return path and os.path.realpath(path)


def _check_writable(name: str) -> None:
    path = Path(name)
    try:
        possible = path.parent.is_dir() and not path.is_dir()
    except (OSError, ValueError):
        possible = False
    if not possible or name.endswith(os.sep):
        raise StreamError(
            f"{name or repr(name)}: cannot be written; name a file in a directory that exists"
        )


def _note(text: str) -> None:
    _tell(f"nbt-embed: note: {text}\n")


def _fail(text: str) -> int:
    _tell(f"nbt-embed: error: {' '.join(text.split())}\n")
    return _BAD_INPUT


class _Progress:
    """A bar on standard error while the block runs, if that is a terminal; else nothing."""

    _WIDTH = 40

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._shown = sys.stderr is not None and sys.stderr.isatty()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            _tell("\r\033[K")

    def add(self, rows: int) -> None:
        """Count rows as fed."""
        self._done += rows
        if self._shown:
            share = self._done / self._total
            bar = "#" * round(share * self._WIDTH)
            _tell(f"\r[{bar:<{self._WIDTH}}] {share:4.0%}")


class _Parser(argparse.ArgumentParser):
    """argparse with errors of one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message and leave with the code for bad usage."""
        self.exit(_BAD_INPUT, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Leave, whether or not the message can be written."""
        _tell(message or "")
        raise SystemExit(status)

    def _print_message(self, message: str, _file: object = None) -> None:
        """--help and --version, which argparse itself would lose without a word."""
        with _to_stdout() as stream:
            stream.write(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="nbt-embed",
        description="Online learning of a small recurrent network in a fixed number of bytes.",
    )
    parser.add_argument("--version", action="version", version=f"nbt-embed {__version__}")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="run | demo | size | export | replay"
    )

    run = commands.add_parser(
        "run",
        help="learn a recorded stream (CSV) and compare with simple forecasters",
        description="Learn a CSV stream sample by sample. Every forecast is made, and scored, "
        "before the label is seen. The file needs a header line; empty cells are missing values.",
    )
    run.set_defaults(command=_run)
    run.add_argument("file", metavar="FILE.csv[.gz]", type=Path)
    run.add_argument("--time", metavar="COL", help="column that holds the time, not to be used")
    columns = "columns, separated by commas (default: every numeric column but the time)"
    run.add_argument("--inputs", metavar="COLS", type=_names, help=f"input {columns}")
    run.add_argument("--targets", metavar="COLS", type=_names, help=f"target {columns}")
    run.add_argument(
        "--horizon",
        metavar="H[,H...]",
        type=_horizons,
        default=[1],
        help="samples to look ahead; several, separated by commas, are run one after the other "
        "(default: 1)",
    )
    _add_network(run)
    run.add_argument(
        "--missing", metavar="VALUE", type=_mark, help="value that marks a missing one, as -200"
    )
    run.add_argument(
        "--score-from",
        metavar="ROW",
        type=_count_from(0),
        default=0,
        help="first target row that is scored, counted from 0 (default: 0, everything: each "
        "forecast is made before its label is seen)",
    )
    run.add_argument(
        "--out", metavar="FILE", help=f"write every forecast to a CSV file{_OR_STDOUT}"
    )
    run.add_argument("--json", metavar="FILE", help=f"write all figures to a JSON file{_OR_STDOUT}")

    demo = commands.add_parser(
        "demo",
        help="learn a simulated sensor; needs no file",
        description="Learn a simulated machine whose part comes loose half way, compare, and show "
        "the forecast before and after learning.",
    )
    demo.set_defaults(command=_demo)
    _add_network(demo)

    size = commands.add_parser(
        "size",
        help="bytes that a device needs, without running anything",
        description="Bytes of a learner on any target, with a breakdown, beside other methods.",
    )
    size.set_defaults(command=_size)
    size.add_argument("--inputs", metavar="N", type=_count_from(1), required=True)
    size.add_argument("--outputs", metavar="N", type=_count_from(1), required=True)
    size.add_argument(
        "--horizon", metavar="H", type=_count_from(1), default=1, help="samples ahead (default: 1)"
    )
    _add_network(size)
    size.add_argument(
        "--json", metavar="FILE", help=f"write the figures to a JSON file{_OR_STDOUT}"
    )

    state_help = "checkpoint, as Learner.save writes it"
    export = commands.add_parser(
        "export",
        help="firmware of a saved learner: C files that any compiler builds",
        description="Write a folder with kernel, learner, loop and self-test. The device goes on "
        "learning where Python stopped, with the same bits.",
    )
    export.set_defaults(command=_export)
    export.add_argument("state", metavar="STATE", type=Path, help=state_help)
    export.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="new or empty folder to write"
    )
    export.add_argument(
        "--horizon",
        metavar="H",
        type=_count_from(1),
        help="samples between a forecast and its label (default: as many as wait for one; if none "
        "does, as many as may)",
    )

    export.add_argument(
        "--prefix",
        metavar="NAME",
        help="begin of the model's names instead of nbt, so that several can be in one firmware; "
        "the kernel then has every choice",
    )

    replay = commands.add_parser(
        "replay",
        help="repeat a device's log and name the first step with other bits",
        description="Make the calls of a log (docs/export.md) and compare the hashes. Exit code 1 "
        "if they differ.",
    )
    replay.set_defaults(command=_replay)
    replay.add_argument(
        "state", metavar="STATE", type=Path, help=f"{state_help}, of the log's start"
    )
    replay.add_argument("log", metavar="LOG", type=Path, help="what the device printed")
    return parser


# Settings that are options with a whole number: name, least value, meaning.
_COUNTS = (
    ("hidden", 0, "recurrent units; 0: recursive least squares"),
    ("resonators", 0, "units of a columnar layer that are resonators; all of cell resonator"),
    ("head", 0, "units of a learnt layer in front of the readout; 0: none"),
    ("lags", 1, "last samples of every input that are seen at once"),
    ("seed", 0, "seed of everything random"),
)


def _add_network(parser: argparse.ArgumentParser) -> None:
    """Options that describe the learner; the defaults are those of ``Config``."""
    for name, low, text in _COUNTS:
        value = getattr(Config(1, 1), name)
        parser.add_argument(
            f"--{name}",
            metavar="N",
            type=_count_from(low),
            default=getattr(Config, name),
            help=f"{text} (default: {value})",
        )
    for name in ("cell", "estimator", "filter"):
        value = getattr(Config, name)
        shown = value or (
            "unitwise; nobacktrack for lstm; snap1 for columnar and resonator; frozen without units"
        )
        parser.add_argument(
            f"--{name}", choices=CHOICES[name], default=value, help=f"(default: {shown})"
        )

    parser.add_argument(
        "--no-follow",
        dest="follow",
        action="store_false",
        help="units stand still after 300 samples, and nothing is anchored or mixed: fewer bytes",
    )
    parser.add_argument(
        "--no-mixture",
        dest="mix_forget",
        action="store_const",
        const=0.0,
        help="forecast with the readout of the network alone, instead of a mixture: fewer bytes",
    )


def _count_from(low: int) -> Any:
    """Return a converter of an option to an integer from low."""

    def convert(text: str) -> int:
        if not _DIGITS.fullmatch(text) or not low <= int(text) <= _LARGEST:
            raise argparse.ArgumentTypeError(
                f"{shown(text)}: expected an integer from {low} to {_LARGEST}, in digits 0 to 9 "
                "alone"
            )
        return int(text)

    return convert


def _mark(text: str) -> str:
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


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected names separated by commas")
    return names


def _horizons(text: str) -> list[int]:
    convert = _count_from(1)
    return [convert(part) for part in text.split(",")]
