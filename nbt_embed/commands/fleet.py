"""``nbt-embed fleet``: simulate many perturbed devices, and recommend one of several settings."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbt_embed._extras import needs
from nbt_embed.commands.compare import add_jobs
from nbt_embed.errors import InputError, StreamError
from nbt_embed.files import write_path
from nbt_embed.options import count_from
from nbt_embed.output import OR_STDOUT, Result, check_targets, note
from nbt_embed.report import json_text

if TYPE_CHECKING:
    from nbt_embed.app.fleet_results import Drawn
    from nbt_embed.app.fleet_spec import Spec
    from nbt_embed.app.fleet_stream import Source
    from nbt_embed.fleet import Fleet

_EXAMPLE = "fleet.toml"  # of the templates


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    fleet = commands.add_parser(
        "fleet",
        help="simulate many perturbed devices with several settings, and recommend one",
        description="Simulate a fleet: every device has its own recording or seed, gain, offset, "
        "noise, faults and clock, and a learner for every setting of a grid. Reports the "
        "distribution of errors and bytes, the worst devices with reasons, and the smallest "
        "setting within 5 % of the best. SPEC.toml has the whole specification "
        "(docs/guide/fleet-command.md).",
    )
    fleet.set_defaults(command=main)
    fleet.add_argument("spec", metavar="SPEC.toml", nargs="?", help="specification of the fleet")
    fleet.add_argument(
        "--example", action="store_true", help="print an example SPEC.toml with comments"
    )
    group = fleet.add_argument_group("work")
    group.add_argument(
        "--scheduler", metavar="WHERE",
        help="processes: Dask on this machine; tcp://HOST:PORT: a running Dask cluster (default: "
            "threads of this process); the results are the same",
    )  # fmt: skip
    add_jobs(group)
    group = fleet.add_argument_group("results")
    group.add_argument(
        "--out", metavar="DIR",
        help="folder for results (Parquet) and checkpoints; after an interruption the same "
            "command resumes",
    )  # fmt: skip
    group.add_argument(
        "--report",
        "--page",
        metavar="FILE.html",
        help="write a self-contained HTML page with all results",
    )
    group.add_argument(
        "--json",
        metavar="FILE",
        help=f"write all figures to a JSON file (docs/reference/json.md){OR_STDOUT}",
    )
    group.add_argument(
        "--worst", metavar="N", type=count_from(0, 1000), default=5,
        help="number of worst devices to report with reasons (default: 5)",
    )  # fmt: skip


def main(args: argparse.Namespace) -> Result:
    """Simulate, and report the results."""
    if args.example:
        return Result(files("nbt_embed.app").joinpath("templates", _EXAMPLE).read_text("utf-8"))
    if args.spec is None:
        raise InputError(
            "SPEC.toml is missing: name a file; `nbt-embed fleet --example > fleet.toml` writes "
            "one to begin with"
        )
    with needs("nbt-embed fleet"):
        from nbt_embed.app.fleet_results import Drawn, parts_of
        from nbt_embed.app.fleet_spec import read_spec
        from nbt_embed.app.fleet_stream import source_of
        from nbt_embed.app.fleet_summary import document_of
        from nbt_embed.app.fleet_text import report
        from nbt_embed.app.terminal import lacks_lines, wants_colour
        from nbt_embed.fleet import simulate

        if args.report is not None and find_spec("bokeh") is None:  # Check before the run.
            raise ModuleNotFoundError("bokeh", name="bokeh")
    _check_writes(args)
    spec = read_spec(args.spec)
    source = source_of(spec)
    n_out = len(source.classes) if source.classes else source.series.n_out
    configs, notes = spec.configs(source.series.n_in, n_out, source.link)
    for sentence in (*source.notes, *notes):
        note(sentence)
    far = _HowFar(source)
    try:
        with _usable(args.out), _progress_of(source) as bar:
            fleet = simulate(
                configs, source.series, horizon=spec.horizons, out=args.out,
                scheduler=args.scheduler, jobs=args.jobs, progress=far.through(bar),
            )  # fmt: skip
    except KeyboardInterrupt:
        note(far.interrupted(args.out))
        raise
    drawn, results = Drawn.of(source), parts_of(fleet.columns, spec.horizons, list(configs))
    document = document_of(
        spec, source, configs, results, drawn, args.worst, notes,
        shlex.join(["nbt-embed", *args.argv]),
    )  # fmt: skip
    with _usable(args.out):
        _keep(args.out, spec, source, drawn)
    _check_scored(fleet)
    written: list[tuple[str, bytes]] = []
    if args.json is not None:
        written.append((args.json, json_text(document)))
    if args.report is not None:
        from nbt_embed.app.fleet_page import page  # Bokeh takes half a second

        written.append((args.report, page(document, results).encode()))
    text = report(document, colour=wants_colour(sys.stdout), ascii_only=lacks_lines(sys.stdout))
    return Result(text, tuple(written))


def _check_writes(args: argparse.Namespace) -> None:
    """Check the output files before a long run. Errors: StreamError, InputError."""
    check_targets([args.spec], args.json, args.report)
    for option, name, good in (
        ("--report", args.report, (".html", ".htm")), ("--json", args.json, (".json",))
    ):  # fmt: skip
        if name and Path(name).suffix.lower() not in ("", *good):
            raise InputError(f"{option} {name}: expected a name that ends in {' or '.join(good)}")
    if args.out is not None and Path(args.out).exists() and not Path(args.out).is_dir():
        raise StreamError(f"--out {args.out}: is a file: name a folder, which need not exist")


def _check_scored(fleet: Fleet) -> None:
    """Check that at least one device was accepted and scored. Errors: InputError."""
    errors = fleet["error"]
    if (errors != "").all():
        raise InputError(
            f"no device can be scored: {fleet['name'][0]}: {errors[0]}; check stream, "
            "rows and horizons of the spec"
        )


@contextmanager
def _progress_of(source: Source) -> Iterator[Callable[[int], None] | None]:
    """Return a callback that shows a progress bar of rows; None without a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from nbt_embed.app.terminal import Progress

    series = source.series
    lengths = series.lengths
    total = None if lengths is None else int(lengths.sum())
    with Progress(total, items=(series.devices, "devices")) as progress:
        yield progress.add


class _HowFar:
    """Counts the finished rows of a fleet."""

    def __init__(self, source: Source) -> None:
        self._devices, lengths = source.series.devices, source.series.lengths
        self._total = None if lengths is None else int(lengths.sum())
        self._done = 0

    def through(self, bar: Callable[[int], None] | None) -> Callable[[int], None]:
        """Return a callback that counts rows of devices and forwards them to a bar."""

        def add(rows: int) -> None:
            self._done += rows
            if bar is not None:
                bar(rows)

        return add

    def interrupted(self, out: str | None) -> str:
        """Describe the progress at an interruption, what is kept, and how to resume."""
        said = f"interrupted after {self._done:,} rows of devices"
        if self._total:
            share = min(self._done / self._total, 1)
            said = (
                f"interrupted: about {int(share * self._devices):,} of {self._devices:,} devices "
                f"({share:.0%} of their rows) were done"
            )
        if out is None:
            return f"{said}; nothing is kept: with --out DIR a run can be resumed"
        return f"{said}; {out} keeps them: run the same command again to resume"


@contextmanager
def _usable(out: str | None) -> Iterator[None]:
    """Name the remedy where the run directory cannot be read or written. Errors: StreamError."""
    try:
        yield
    except OSError as error:
        raise StreamError(
            f"{error.filename or out}: {error.strerror or error}: name another folder with --out, "
            "or free some space; finished work is kept"
        ) from None


def _keep(folder: str | None, spec: Spec, source: Source, drawn: Drawn) -> None:
    """Write the spec and the drawn values of the devices next to the results."""
    if folder is None:
        return
    import io

    import polars

    series = source.series
    names = [series.name(device) for device in range(series.devices)]
    file = io.BytesIO()
    frame = {"device": range(series.devices), "name": names, **drawn.columns}
    polars.DataFrame(frame).write_parquet(file)
    write_path(str(Path(folder, "devices.parquet")), file.getvalue())
    write_path(str(Path(folder, "spec.toml")), spec.text.encode())
