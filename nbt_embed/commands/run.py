"""``nbt-embed run``: learn a recorded stream, compare with baselines, and write the results."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbt_embed._extras import needs
from nbt_embed.config import CHOICES
from nbt_embed.errors import InputError
from nbt_embed.options import (
    add_alarm,
    add_cells,
    add_columns,
    add_gap,
    add_learner,
    config_of,
    count_from,
    horizons,
    seconds,
)
from nbt_embed.output import OR_STDOUT, Result, check_targets

if TYPE_CHECKING:
    from nbt_embed.app.options import ReadOptions
    from nbt_embed.app.recording import Recording
    from nbt_embed.config import Config


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    run = commands.add_parser(
        "run",
        help="learn a recorded stream (CSV and others) and compare with simple forecasters",
        description="Learn a recorded stream sample by sample, and compare with simple "
        "forecasters. Every forecast is scored before its label is learnt. Files: CSV of "
        "any shape, JSON lines, Parquet, Arrow, NumPy, plain or compressed; a folder or several "
        "files are one stream with resets between.",
    )
    run.set_defaults(command=main)
    add_reading(run)
    run.add_argument(
        "--horizon",
        metavar="H[,H...]",
        type=horizons,
        default=[1],
        help="rows to look ahead, several separated by commas; 0: the label belongs to the inputs "
        "of its own row (default: 1)",
    )
    add_learner(run)
    add_scoring(run)
    add_outputs(run)
    run.add_argument(
        "--out",
        metavar="FILE",
        help=f"write every forecast, its intervals, scores and alarms to a CSV or Parquet file"
        f"{OR_STDOUT}",
    )
    run.add_argument(
        "--save",
        metavar="FILE",
        help="write the learner after the last row, for `nbt-embed export` and Learner.load; "
        "needs one horizon",
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the files, and the options that replace recognition."""
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="files or folders, or - for standard input"
    )
    group = parser.add_argument_group(
        "reading", "detected from the file where not given; important findings are printed as notes"
    )
    add_columns(group)
    group.add_argument(
        "--link",
        choices=CHOICES["link"],
        help="kind of the targets: gaussian for numbers, categorical for one column of classes, "
        "bernoulli for columns of 0 and 1 (default: categorical for text, else gaussian)",
    )
    group.add_argument(
        "--time",
        metavar="COL",
        help="time column, DATE+TIME for two columns; none: no time column",
    )
    group.add_argument(
        "--time-format",
        metavar="FORMAT",
        help="format of the time, such as %%d/%%m/%%Y; s, ms, us or ns; excel, matlab, julian or "
        "mjd",
    )
    add_cells(group)
    group.add_argument(
        "--skip", metavar="N", type=count_from(0), help="number of lines before the header"
    )
    group.add_argument(
        "--header", action=argparse.BooleanOptionalAction, help="whether the first line has names"
    )
    group.add_argument(
        "--quote", metavar="CHAR", default='"', help="quote character; none: quotes are text"
    )
    group.add_argument("--encoding", metavar="NAME", help="text encoding, such as latin-1")
    add_gap(group)
    group.add_argument(
        "--resample",
        metavar="S",
        type=seconds,
        help="average the rows over intervals of S seconds first",
    )


def add_scoring(parser: argparse.ArgumentParser) -> None:
    """Add the options for scoring and alarms."""
    group = parser.add_argument_group("scoring")
    group.add_argument(
        "--score-from",
        metavar="ROW",
        type=count_from(0),
        default=0,
        help="first target row to score, counted from 0 (default: row 2 H, the first one whose "
        "forecast follows a learnt label)",
    )
    group.add_argument(
        "--period",
        metavar="ROWS",
        type=count_from(0),
        help="period of the seasonal baseline in rows; 0: no such baseline "
        "(default: found by autocorrelation)",
    )
    add_alarm(group)


def add_outputs(parser: argparse.ArgumentParser, page: str | None = None) -> None:
    """Add the options for output files. Args: page, the default of --report."""
    group = parser.add_argument_group("results")
    usual = "" if page is None else f" (default: {page})"
    group.add_argument(
        "--report",
        metavar="FILE.html",
        default=page,
        help=f"write a self-contained HTML page with all results{usual}",
    )
    group.add_argument("--plot", metavar="FILE", help="write a picture, PNG or SVG")
    group.add_argument(
        "--json",
        metavar="FILE",
        help=f"write all figures to a JSON file (docs/reference/json.md){OR_STDOUT}",
    )


def main(args: argparse.Namespace) -> Result:
    """Learn and compare."""
    with needs("nbt-embed run"):
        from nbt_embed.app.reading import read
        from nbt_embed.app.session import session
    if args.save is not None and len(args.horizon) > 1:
        raise InputError(
            f"--save: {len(args.horizon)} horizons have {len(args.horizon)} learners; name one "
            "with --horizon"
        )
    check_targets(args.files, args.out, args.json, args.report, args.plot, args.save)
    _check_endings(args)
    with read(args.files, read_options(args)) as recording:
        return session(args, recording, learner_of(args, recording))


def _check_endings(args: argparse.Namespace) -> None:
    """Refuse a file name with the extension of another kind of file. Errors: InputError."""
    for option, name, good in (
        ("--report", args.report, (".html", ".htm")),
        ("--plot", args.plot, (".png", ".svg")),
        ("--out", args.out, (".csv", ".txt", ".parquet", ".pq")),
        ("--json", args.json, (".json",)),
    ):
        if name and Path(name).suffix not in ("", *good) and Path(name).suffix.lower() not in good:
            raise InputError(f"{option} {name}: expected a name that ends in {' or '.join(good)}")


def read_options(args: argparse.Namespace) -> ReadOptions:
    """Return the options of ``add_reading``; at horizon 0 targets are not inputs.

    Errors: InputError if only some horizons are 0 and no inputs are named.
    """
    from nbt_embed.app.options import ReadOptions

    wanted = args.horizon if isinstance(args.horizon, list) else [args.horizon]
    same_row = 0 in wanted
    if same_row and len(wanted) > 1 and args.inputs is None:
        raise InputError(
            "--horizon: at horizon 0 the targets are not inputs, at other horizons they are; run "
            "them "
            "separately, or name the inputs with --inputs"
        )
    return ReadOptions(
        targets_as_inputs=not same_row,
        time=args.time,
        time_format=args.time_format,
        inputs=None if args.inputs is None else tuple(args.inputs),
        targets=None if args.targets is None else tuple(args.targets),
        missing=tuple(args.missing),
        delimiter=args.delimiter,
        decimal=args.decimal,
        skip=args.skip,
        header=args.header,
        quote="" if args.quote == "none" else args.quote,
        encoding=args.encoding,
        gap=args.gap,
        resample=args.resample,
        link=args.link,
    )


def learner_of(args: argparse.Namespace, recording: Recording) -> Config:
    """Return the learner that the options describe, for a recording. Errors: ConfigError."""
    classes = recording.classes
    link = args.link or ("gaussian" if classes is None else "categorical")
    n_out = len(recording.target_names) if classes is None else len(classes)
    return config_of(
        args,
        len(recording.input_names),
        n_out,
        link=link,
        hold_missing=recording.has_missing_inputs,
        max_delay=max(max(args.horizon) - 1, 0),
    )
