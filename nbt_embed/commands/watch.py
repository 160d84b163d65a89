"""``nbt-embed watch``: learn a live stream, answer every row, show, save and resume."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbt_embed._extras import needs
from nbt_embed.config import CHOICES
from nbt_embed.errors import InputError, StreamError, shown
from nbt_embed.options import (
    COLUMNS,
    FURTHEST,
    add_alarm,
    add_cells,
    add_columns,
    add_gap,
    add_learner,
    config_of,
    count_from,
    names,
    said_of,
    seconds,
)
from nbt_embed.output import OR_STDOUT, STDOUT, Result, check_targets, note, tell

if TYPE_CHECKING:
    from nbt_embed.config import Config
    from nbt_embed.live.arrivals import Source
    from nbt_embed.live.clock import Clock
    from nbt_embed.live.options import SourceOptions
    from nbt_embed.live.sessions import Session
    from nbt_embed.live.watcher import View

_PORT = 8888
_SOURCES = (
    "- (lines of CSV or JSON on standard input), a text file that grows, mqtt://[user@]host/topic, "
    "mqtts://..., serial:///dev/ttyUSB0?baud=115200, or simulated: (docs/guide/live.md)"
)


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    watch = commands.add_parser(
        "watch",
        help="learn a live stream: standard input, MQTT, a serial port, a growing file",
        description="Learn a live stream, and write a forecast, its intervals and the anomaly "
        "score of the label for every row. Runs until the stream ends, or until Ctrl-C.",
    )
    watch.set_defaults(command=main)
    watch.add_argument("source", metavar="SOURCE", help=_SOURCES)
    _add_reading(watch)
    watch.add_argument(
        "--horizon",
        metavar="H",
        type=count_from(0, FURTHEST),
        default=1,
        help="rows to look ahead; 0: the label belongs to the inputs of its own row (default: 1)",
    )
    add_learner(watch)
    add_alarm(watch.add_argument_group("alarms"))
    _add_answers(watch)
    _add_session(watch)
    _add_views(watch)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("reading")
    add_columns(group)
    group.add_argument(
        "--link",
        choices=CHOICES["link"],
        help="kind of the targets: gaussian for numbers, categorical for one column of classes, "
        "bernoulli for columns of 0 and 1 (default: categorical with --classes, else gaussian)",
    )
    group.add_argument("--time", metavar="COL", help="time column; none: no time column")
    group.add_argument(
        "--time-format",
        metavar="FORMAT",
        help="format of the time, such as %%d/%%m/%%Y; s, ms, us or ns",
    )
    group.add_argument(
        "--names",
        metavar="COLS",
        type=names,
        help=f"names of the {COLUMNS}, for a stream without a header",
    )
    add_cells(group)
    group.add_argument(
        "--classes",
        metavar="NAMES",
        type=names,
        help="all classes of the one target, separated by commas",
    )
    group.add_argument("--once", action="store_true", help="stop at the end of a file")
    group.add_argument(
        "--retained", action="store_true", help="also use retained messages of an MQTT broker"
    )
    group.add_argument(
        "--interval",
        metavar="S",
        type=seconds,
        help="seconds between rows; a row that does not arrive is learnt as missing",
    )
    add_gap(group)


def _add_answers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output, one line per row")
    group.add_argument(
        "--out",
        metavar="FILE",
        help=f"file for the output{OR_STDOUT} (default: standard output, unless it is a terminal)",
    )
    group.add_argument(
        "--format",
        choices=["csv", "json"],
        help="CSV, or one JSON object per line (default: by the extension of FILE, else csv)",
    )
    group.add_argument(
        "--publish",
        metavar="URL",
        help="also publish the output as JSON messages, for example to mqtt://host/topic",
    )
    group.add_argument(
        "--json",
        metavar="FILE",
        help=f"write all figures to a JSON file at the end (docs/reference/json.md){OR_STDOUT}",
    )


def _add_session(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("saving and resuming")
    group.add_argument(
        "--save",
        metavar="FILE",
        help="write the learner at the end, for `nbt-embed export` and Learner.load, and next to "
        "it FILE.session, from which --resume continues with the same bits",
    )
    group.add_argument(
        "--save-every", metavar="ROWS", type=count_from(1), help="also save after every ROWS rows"
    )
    group.add_argument(
        "--resume", action="store_true", help="continue from FILE.session, if it exists"
    )
    group.add_argument(
        "--from-beginning",
        action="store_true",
        help="with --resume: the source starts again at its first row; skip the rows that were "
        "learnt",
    )


def _add_views(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("display")
    group.add_argument("--quiet", action="store_true", help="no view and no summary")
    group.add_argument(
        "--web",
        metavar="PORT",
        nargs="?",
        type=count_from(0, 65_535),
        const=_PORT,
        help=f"serve a live page at this port (default: {_PORT}; 0: any free port)",
    )
    group.add_argument(
        "--web-host",
        metavar="HOST",
        default="localhost",
        help="address at which the page is served; with any other than localhost the network has "
        "access",
    )


def main(args: argparse.Namespace) -> Result:
    """Follow the source to its end."""
    _check(args)
    with needs("nbt-embed watch"):
        from nbt_embed.live.clock import Clock
        from nbt_embed.live.sessions import alone, check_folder, damaged, read_session, session_path
        from nbt_embed.live.sources import open_source

        if args.publish is not None:
            from nbt_embed.live.publish import check_apart

            check_apart(args.source, args.publish)
    session = None
    with ExitStack() as stack:
        if args.save is not None:
            check_folder(args.save)
            stack.enter_context(alone(args.save))
            path = session_path(args.save)
            if Path(path).exists():
                if not args.resume:
                    raise StreamError(
                        f"{path}: a session exists: use --resume to continue it, remove it, or "
                        "name another file with --save"
                    )
                session = read_session(path)
        with needs("nbt-embed watch"):
            source = stack.enter_context(open_source(args.source, source_options(args)))
        for text in source.notes:
            note(text)
        clock = Clock(args.interval, args.gap)
        if session is not None:
            try:
                clock = Clock.restored(session.content.get("clock"), args.interval, args.gap)
            except StreamError as error:
                raise damaged(path, error) from error
        return _watch(args, source, clock, session, stack)


def _check(args: argparse.Namespace) -> None:
    """Refuse options that contradict one another. Errors: InputError, StreamError."""
    for option in ("save_every", "resume"):
        if getattr(args, option) and args.save is None:
            raise InputError(f"--{option.replace('_', '-')}: name the file with --save")
    if args.from_beginning and not args.resume:
        raise InputError("--from-beginning: needs --resume")
    if args.save == STDOUT:
        raise InputError("--save -: a session is a file; name one")
    if args.json == STDOUT and args.out is None:
        raise InputError(
            "--json -: the output goes to standard output; name a file with --out or --json"
        )
    out = (STDOUT if not sys.stdout.isatty() else None) if args.out is None else args.out
    session = None if args.save is None else f"{args.save}.session"
    reads = [args.source] if args.source == STDOUT or Path(args.source).exists() else []
    check_targets(reads, out, args.json, args.save, session)


def source_options(args: argparse.Namespace) -> SourceOptions:
    """Return the options of the source; at horizon 0 targets are not inputs."""
    from nbt_embed.live.options import SourceOptions

    return SourceOptions(
        inputs=None if args.inputs is None else tuple(args.inputs),
        targets=None if args.targets is None else tuple(args.targets),
        time=args.time,
        time_format=args.time_format,
        names=None if args.names is None else tuple(args.names),
        missing=tuple(args.missing),
        delimiter=args.delimiter,
        decimal=args.decimal,
        classes=None if args.classes is None else tuple(args.classes),
        targets_as_inputs=args.horizon != 0,
        once=args.once,
        retained=args.retained,
        identity="" if args.save is None else str(Path(args.save).resolve()),
    )


def learner_of(args: argparse.Namespace, source: Source) -> Config:
    """Return the learner for a source by the options. Errors: ConfigError, InputError."""
    classes = source.classes
    link = args.link or ("gaussian" if classes is None else "categorical")
    if link == "categorical" and classes is None:
        targets = ", ".join(map(shown, source.target_names))
        one = " and the one target they belong to with --targets"
        raise InputError(
            f"--link categorical: learns one target of classes (here: {targets}): name the classes "
            f"with --classes{one if len(source.target_names) > 1 else ''}"
        )
    if classes is not None and link != "categorical":
        raise InputError(
            f"--link {link}: target {shown(source.target_names[0])} is learnt by its classes "
            f"{', '.join(map(shown, classes))}: leave out --link, or --classes"
        )
    config = config_of(
        args,
        len(source.input_names),
        len(source.target_names) if classes is None else len(classes),
        link=link,
        hold_missing=True,
        max_delay=max(args.horizon - 1, 0),
    )
    if (
        config.anchored and config.anchor is None
    ):  # The anchor follows from the names, without waiting for rows.
        config = replace(config, anchor=tuple(source.anchor))
    return config


def _watch(
    args: argparse.Namespace,
    source: Source,
    clock: Clock,
    session: Session | None,
    stack: ExitStack,
) -> Result:
    from nbt_embed.app import terminal
    from nbt_embed.live import summary
    from nbt_embed.live.answers import Answers
    from nbt_embed.live.out import Out
    from nbt_embed.live.sessions import check_same, plain_settings, session_path
    from nbt_embed.live.watcher import Saving, Watcher
    from nbt_embed.live.watching import Plan, Watch
    from nbt_embed.report import json_text

    told = [name for name in source.target_names if name in source.input_names]
    if args.horizon == 0 and told:
        note(
            f"horizon 0: {', '.join(told)} is both an input and the target of the same row; "
            "leave it out of --inputs"
        )
    config = learner_of(args, source)
    saving = None
    if args.save is not None:
        settings = plain_settings(
            source, config, said_of(args), args.horizon, args.interval, args.gap
        )
        saving = Saving(args.save, args.save_every, settings, args.source)
        if session is not None:
            check_same(session_path(args.save), session.content.get("settings"), settings)
    watch = Watch(
        source.target_names,
        config,
        Plan(args.horizon, args.alarm, args.hold_off),
        None if session is None else session.learner,
    )
    on_terminal = args.out is None and sys.stdout.isatty()
    out = None
    if not on_terminal:
        out = Out(args.out or STDOUT, None if session is None else session.content.get("out"))
        stack.callback(out.close)
    answers = Answers(watch.targets, watch.config, source.classes, _format(args))
    publisher = None
    if args.publish is not None:
        with needs("nbt-embed watch"):
            from nbt_embed.live.publish import Publisher
        publisher = stack.enter_context(Publisher(args.publish))
    views: list[View] = []
    with ExitStack() as shown:
        if args.web is not None:
            with needs("nbt-embed watch"):
                from nbt_embed.live.web import WebView
            views.append(shown.enter_context(WebView(args.web_host, args.web)))
        screen = sys.stdout if on_terminal else sys.stderr
        if not args.quiet and terminal.shows_motion(screen):
            from nbt_embed.live.screen import ScreenView

            views.append(shown.enter_context(ScreenView(screen)))
        watcher = Watcher(source, clock, watch, answers, out, publisher, saving, views, args.argv)
        if session is not None:
            assert args.save is not None
            watcher.resume(session, session_path(args.save), args.from_beginning, args.source)
        watcher.run()
        document = watcher.document()
    gone = clock.counts["late"] + clock.counts["twice"]
    if gone > watch.rows:
        note(
            f"{gone:,} of {gone + watch.rows:,} rows have a time that is not after that of the row "
            "before, and were dropped: --time none ignores the times, and `nbt-embed run` reads "
            "a file whose newest row is first"
        )
    text = ""
    if not args.quiet:
        text = summary.report(
            document,
            watch.pictures,
            colour=terminal.wants_colour(screen),
            ascii_only=terminal.lacks_lines(screen),
        )
    if not on_terminal:
        tell(text)
        text = ""
    files = () if args.json is None else ((args.json, json_text(document)),)
    code = 0 if watcher.signal is None else 128 + watcher.signal
    return Result(text, files, code)


def _format(args: argparse.Namespace) -> str:
    if args.format is not None:
        return str(args.format)
    ending = Path(args.out or "").suffix.lower()
    return "json" if ending in (".json", ".jsonl", ".ndjson") else "csv"
