"""``nbt-embed compare``: learners of many settings on one recording, error against cost."""

from __future__ import annotations

import argparse
import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nbt_embed._extras import needs
from nbt_embed.commands.run import add_reading, read_options
from nbt_embed.config import CHOICES, Config
from nbt_embed.cost import USUAL, processor_of, processors
from nbt_embed.errors import ConfigError, shown, similar
from nbt_embed.options import add_switches, count_from, horizons, number_from, settings_of
from nbt_embed.output import OR_STDOUT, Result, check_targets, note
from nbt_embed.report import json_text

if TYPE_CHECKING:
    from nbt_embed.app.comparing import Grid
    from nbt_embed.app.tables import Table

# Options for files that need a large library.
_DRAWN_BY = {"plot": "matplotlib", "report": "bokeh"}
# Settings with an option that applies to every learner.
_FIXED = {
    "resonators": "units of a columnar layer that are resonators",
    "head": "units of a learnt layer in front of the readout; 0: none",
}


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    compare = commands.add_parser(
        "compare",
        help="learners of many sizes and kinds on a recording: error against bytes and time",
        description="Run every combination of the settings below on a recording, on all cores, "
        "compared with the last value and recursive least squares. Shows the error against bytes "
        "and against milliseconds on a processor, the Pareto front, and the cheapest learner "
        "within 1 % of the best.",
    )
    compare.set_defaults(command=main)
    add_reading(compare)
    group = compare.add_argument_group("grid", "several values each, separated by commas")
    group.add_argument(
        "--hidden",
        metavar="N[,N...]",
        type=_counts(0),
        default=[4, 8, 16, 32, 64],
        help="recurrent units (default: 4,8,16,32,64)",
    )
    for name in ("cell", "estimator"):
        group.add_argument(
            f"--{name}",
            metavar="NAME[,NAME...]",
            type=_choices(name),
            default=[None],
            help=f"{', '.join(CHOICES[name])} (default: that of run)",
        )
    group.add_argument(
        "--lags", metavar="N[,N...]", type=_counts(1), default=[None],
        help="newest samples of every input that are used in one step (default: that of run)",
    )  # fmt: skip
    group.add_argument(
        "--horizon", metavar="H[,H...]", type=horizons, default=[1],
        help="rows to look ahead (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--seeds", metavar="N", type=count_from(1), default=3,
        help="runs of each combination, with the seeds 0, 1, ... (default: 3)",
    )  # fmt: skip
    group = compare.add_argument_group("for every learner")
    for name, text in _FIXED.items():
        group.add_argument(f"--{name}", metavar="N", type=count_from(0), help=text)
    group.add_argument(
        "--filter", choices=CHOICES["filter"], default=Config.filter, help="(default: kalman)"
    )
    add_switches(group)
    add_processor(compare)
    add_jobs(compare)
    group = compare.add_argument_group("results")
    group.add_argument(
        "--report", metavar="FILE.html", help="write a self-contained HTML page with all results"
    )
    group.add_argument("--plot", metavar="FILE", help="write a picture, PNG or SVG")
    group.add_argument(
        "--json",
        metavar="FILE",
        help=f"write all figures to a JSON file (docs/reference/json.md){OR_STDOUT}",
    )
    group.add_argument(
        "--out", metavar="FILE", help=f"write one row per model as CSV or Parquet{OR_STDOUT}"
    )


def add_processor(parser: argparse.ArgumentParser) -> None:
    """Add the options for the processor whose milliseconds are computed."""
    known = ", ".join(one.name for one in processors())
    group = parser.add_argument_group("processor")
    group.add_argument(
        "--processor", "--mcu", metavar="NAME", default=USUAL,
        help=f"processor for which milliseconds are computed: {known} (default: {USUAL})",
    )  # fmt: skip
    group.add_argument(
        "--mhz", metavar="F", type=number_from(1e-3, 1e4, "a number of megahertz"),
        help="its clock in megahertz (default: that of a typical board)",
    )  # fmt: skip


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add the option for the number of parallel passes."""
    parser.add_argument(
        "--jobs", metavar="N", type=count_from(1),
        help="parallel passes; the results do not depend on the number (default: one per "
            "processor)",
    )  # fmt: skip


def main(args: argparse.Namespace) -> Result:
    """Compare, and write the requested outputs."""
    with needs("nbt-embed compare"):
        from nbt_embed.app import comparing
        from nbt_embed.app.compared_plot import check_name
        from nbt_embed.app.reading import read
        from nbt_embed.parallel import Interrupted

        for option, library in _DRAWN_BY.items():  # Check before the run.
            if getattr(args, option) is not None and find_spec(library) is None:
                raise ModuleNotFoundError(library, name=library)
    check_targets(args.files, args.out, args.json, args.report, args.plot)
    if args.plot is not None:
        check_name(args.plot)
    processor, grid = processor_of(args.processor), grid_of(args)
    with read(args.files, read_options(args)) as recording:
        stream, classes, title = recording.stream(), recording.classes, recording.title
        resets = [block.start for block in recording.blocks() if block.reset]
        read_notes = list(recording.notes)
    number = None if classes is None else len(classes)
    loading = threading.Thread(target=_load, args=(args,))
    try:
        with progress_of(comparing.rows_of(stream, grid, number)) as progress:
            loading.start()
            rows, notes = comparing.compare(
                stream, grid, processor, args.mhz, number, resets, args.jobs, progress
            )
    except Interrupted as error:
        note(f"interrupted: {error}; nothing is written")
        raise
    loading.join()
    from nbt_embed.app.compared import document_of
    from nbt_embed.app.compared_table import loss_table, table

    for sentence in notes:
        note(sentence)
    document = document_of(
        title, stream, rows, grid, processor, args.mhz or processor.mhz, classes,
        [*read_notes, *notes], shlex.join(["nbt-embed", *args.argv]),
    )  # fmt: skip
    tables = []
    for horizon in document["horizons"]:
        tables.append((horizon["verdict"], table(document, horizon)))
        if len(stream.target_names) > 1:
            tables.append(([], loss_table(document, horizon)))
    return Result(text_of(document["source"], tables), _files(args, document))


def _load(args: argparse.Namespace) -> None:
    """Import what the results need, which takes up to a second, while the learners run."""
    names = ["compared_table", "terminal"]
    names += ["compared_page"] if args.report is not None else []
    names += ["compared_plot"] if args.plot is not None else []
    for name in names:
        import_module(f"nbt_embed.app.{name}")


@contextmanager
def progress_of(total: int) -> Iterator[Callable[[int], None] | None]:
    """Return a callback for a progress bar of rows; without a terminal None, and no import."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from nbt_embed.app.terminal import Progress

    with Progress(total) as progress:
        yield progress.add


def grid_of(args: argparse.Namespace) -> Grid:
    """Return the grid that the options describe. Errors: ConfigError."""
    from nbt_embed.app.comparing import Grid

    settings = settings_of(args, (*_FIXED, "filter"))
    for name in ("hidden", "cell", "estimator", "lags", "seed"):
        if name in settings:
            option = "seeds" if name == "seed" else name
            raise ConfigError(f"--set {name}: is part of the grid; use --{option} for it")
    check_link(args)
    return Grid(
        hidden=tuple(args.hidden),
        cells=tuple(args.cell),
        estimators=tuple(args.estimator),
        lags=tuple(args.lags),
        horizons=tuple(args.horizon),
        seeds=tuple(range(args.seeds)),
        settings=settings,
    )


def check_link(args: argparse.Namespace) -> None:
    """Refuse independent probabilities, which have no last value. Errors: ConfigError."""
    if args.link == "bernoulli":
        raise ConfigError(
            "--link bernoulli: compare and tune take numbers or one column of classes; name one "
            "target with --link categorical"
        )


def text_of(
    source: dict[str, Any], tables: list[tuple[list[str], Table]], after: Sequence[str] = ()
) -> str:
    """Format the results in 80 columns: the title, then each table after its sentences."""
    from rich.console import Group
    from rich.text import Text

    from nbt_embed.app.tables import safe
    from nbt_embed.app.terminal import blocks, rendered, wants_colour

    parts: list[Any] = [Text(f"{safe(source['title'])}: {source['rows']:,} rows", "bold"), ""]
    for sentences, table in tables:
        parts += [Text(safe(sentence)) for sentence in sentences]
        parts += [""] if sentences else []
        parts += [Text(safe(table.title), "bold"), *blocks(table)]
        parts += [Text(table.note, "dim"), ""] if table.note else [""]
    parts += [Text(safe(sentence), overflow="fold") for sentence in after]
    return rendered(Group(*parts), colour=wants_colour(sys.stdout))


def _files(args: argparse.Namespace, document: dict[str, Any]) -> tuple[tuple[str, bytes], ...]:
    files = []
    if args.out is not None:
        from nbt_embed.app.compared_table import rows_file

        files.append((args.out, rows_file(document, args.out)))
    if args.json is not None:
        files.append((args.json, json_text(document)))
    if args.plot is not None:
        from nbt_embed.app.compared_plot import picture

        files.append((args.plot, picture(document, args.plot)))
    if args.report is not None:
        from nbt_embed.app.compared_page import page

        files.append((args.report, page(document).encode()))
    return tuple(files)


def _counts(low: int) -> Any:
    """Return a converter of comma-separated whole numbers, each at most once."""
    convert = count_from(low)

    def several(text: str) -> list[int]:
        return _once(text, [convert(part) for part in text.split(",")])

    return several


def _choices(name: str) -> Any:
    """Return a converter of comma-separated choices, each at most once."""

    def several(text: str) -> list[str]:
        found = [part.strip() for part in text.split(",")]
        for one in found:
            if one not in CHOICES[name]:
                raise argparse.ArgumentTypeError(
                    f"{shown(one)}: {similar(one, CHOICES[name])}expected of "
                    f"{', '.join(CHOICES[name])}"
                )
        return _once(text, found)

    return several


def _once(text: str, values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise argparse.ArgumentTypeError(f"{shown(text)}: a value is repeated")
    return values
