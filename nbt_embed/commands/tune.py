"""``nbt-embed tune``: search settings, and measure their gain on unseen rows."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any

from nbt_embed._extras import needs
from nbt_embed.commands.compare import add_jobs, add_processor, check_link, progress_of, text_of
from nbt_embed.commands.run import add_reading, read_options
from nbt_embed.config import CHOICES, Config
from nbt_embed.cost import processor_of
from nbt_embed.options import add_switches, count_from, number_from, settings_of
from nbt_embed.output import OR_STDOUT, Result, check_targets, note
from nbt_embed.report import json_text

if TYPE_CHECKING:
    from nbt_embed.app.tuning import Search

# Settings that are not searched if an option names them.
_FIXED = ("hidden", "resonators", "head", "lags")


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    tune = commands.add_parser(
        "tune",
        help="search settings on the first part of a recording, and score them on the rest",
        description="Search settings with Optuna on the first part of a recording, and compare the "
        "best ones with the defaults and with recursive least squares on the rest, which the "
        "search has not seen. Reports the gain on the rest, also where there is none.",
    )
    tune.set_defaults(command=main)
    add_reading(tune)
    group = tune.add_argument_group("search")
    group.add_argument(
        "--horizon", metavar="H", type=count_from(0), default=1,
        help="rows to look ahead (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--trials", metavar="N", type=count_from(2), default=60,
        help="number of settings to try (default: 60)",
    )  # fmt: skip
    group.add_argument(
        "--first", metavar="PERCENT", type=number_from(1, 99, "a number of percent"), default=40.0,
        help="percentage of the rows for the search (default: 40)",
    )  # fmt: skip
    group.add_argument(
        "--seed", metavar="N", type=count_from(0), default=0,
        help="seed of the search (default: 0)",
    )  # fmt: skip
    group.add_argument(
        "--seeds", metavar="N", type=count_from(1), default=5,
        help="number of seeds per learner on the rest (default: 5)",
    )  # fmt: skip
    group.add_argument(
        "--bytes", metavar="N", type=count_from(1), help="upper limit of the learner's bytes"
    )
    group = tune.add_argument_group(
        "learner", "settings given here are fixed, the others are searched"
    )
    for name in _FIXED:
        group.add_argument(f"--{name}", metavar="N", type=count_from(int(name == "lags")))
    for name in ("cell", "estimator", "filter"):
        group.add_argument(
            f"--{name}", choices=CHOICES[name], default=getattr(Config, name),
            help="never searched (default: that of run)",
        )  # fmt: skip
    add_switches(group)
    add_processor(tune)
    add_jobs(tune)
    group = tune.add_argument_group("results")
    group.add_argument(
        "--json", metavar="FILE", help=f"write all figures to a JSON file{OR_STDOUT}"
    )


def main(args: argparse.Namespace) -> Result:
    """Search, compare on the rest, and report the gain."""
    with needs("nbt-embed tune"):
        import optuna  # noqa: F401 - looked for before the file is read

        from nbt_embed.app import tuning
        from nbt_embed.app.reading import read
        from nbt_embed.app.tuned import document_of, table
        from nbt_embed.parallel import Interrupted
    check_targets(args.files, args.json)
    processor = processor_of(args.processor)
    search = search_of(args)
    with read(args.files, read_options(args)) as recording:
        stream, classes, title = recording.stream(), recording.classes, recording.title
        resets = [block.start for block in recording.blocks() if block.reset]
        notes = list(recording.notes)
    number = None if classes is None else len(classes)
    try:
        with progress_of(tuning.rows_of(stream, search, args.horizon)) as progress:
            tuned = tuning.tune(stream, search, args.horizon, number, resets, args.jobs, progress)
    except Interrupted as error:
        note(f"interrupted: {error}; nothing is written")
        raise
    document = document_of(
        title, stream, tuned, processor, args.mhz or processor.mhz, classes, notes,
        shlex.join(["nbt-embed", *args.argv]),
    )  # fmt: skip
    after = []
    if tuned.bought:
        after = [f"To repeat it, add to `nbt-embed run`: {document['options']}", document["config"]]
    text = text_of(document["source"], [(document["verdict"], table(document))], after)
    files = () if args.json is None else ((args.json, json_text(document)),)
    return Result(text, files)


def search_of(args: argparse.Namespace) -> Search:
    """Return the search that the options describe. Errors: ConfigError."""
    from nbt_embed.app.tuning import Search

    check_link(args)
    names = (*_FIXED, "cell", "estimator", "filter")
    given = {name: value for name, value in settings_of(args, names).items() if value is not None}
    return Search(args.trials, args.seed, args.first / 100, args.seeds, args.bytes, given)
