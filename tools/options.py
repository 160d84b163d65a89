"""Options that the measuring commands share."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tools.sources import ROOT


class Named(Protocol):
    """What is known by a name."""

    @property
    def name(self) -> str:
        """In the tables."""


_Detector = TypeVar("_Detector", bound=Named)


def measuring(doc: str | None, name: str) -> argparse.ArgumentParser:
    """A parser with the options of every measurement: where to, and on how many processors."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / name, help="folder")
    parser.add_argument("--document", type=Path, help="put the report between its markers")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Where pictures go."""
    parser.add_argument("--pictures", type=Path, help="folder of the pictures (default: --out)")


def add_learners(parser: argparse.ArgumentParser) -> None:
    """Learners with other settings than the defaults."""
    parser.add_argument(
        "--learner",
        action="append",
        default=[],
        metavar="JSON",
        help="""another learner, by its settings: '{"lags": 1}'; may be repeated""",
    )


def add_detectors(parser: argparse.ArgumentParser) -> None:
    """Which detectors are looked at: what ``chosen`` reads."""
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="detectors with it in their name"
    )
    add_learners(parser)


def chosen(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    known: Sequence[_Detector],
    learners: Callable[[str, dict[str, Any]], Sequence[_Detector]],
) -> list[_Detector]:
    """The known detectors and those of other learners, as far as they are asked for.

    Exits where there is none. Errors: ValueError (no JSON), and those of ``learners``.
    """
    others = [one for text in options.learner for one in learners(text, json.loads(text))]
    found = [one for one in (*known, *others) if options.only in one.name]
    if not found:
        parser.error(f"--only {options.only!r}: no detector has it in its name")
    return found
