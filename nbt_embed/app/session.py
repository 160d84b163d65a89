"""The work of ``nbt-embed run``: from a recording to all requested outputs."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from typing import Any, BinaryIO

import numpy as np

from nbt_embed.app import terminal
from nbt_embed.app.document import run_document
from nbt_embed.app.forecasts import Writer
from nbt_embed.app.recording import Recording
from nbt_embed.app.seasons import ROWS, find_period
from nbt_embed.app.trial import Plan, Trial, run_trial
from nbt_embed.config import Config
from nbt_embed.errors import InputError
from nbt_embed.options import describe
from nbt_embed.output import Result, note
from nbt_embed.report import guard_notes, json_text


def session(args: argparse.Namespace, recording: Recording, config: Config) -> Result:
    """Learn, compare, and write what the options request.

    Args: args, of ``commands.run``; recording and its learner.
    """
    for text in recording.notes:
        note(text)
    told = [name for name in recording.target_names if name in recording.input_names]
    if 0 in args.horizon and told:
        note(
            f"horizon 0: {', '.join(told)} is both an input and the target of the same row; "
            "leave it out of --inputs"
        )
    plan = Plan(
        tuple(args.horizon), args.score_from, _period(args, recording), args.alarm, args.hold_off
    )
    with ExitStack() as stack:
        writer = None
        if args.out is not None:
            writer = stack.enter_context(Writer(recording, config, plan.horizons, args.out))
        with terminal.Progress(recording.rows) as progress:
            trial = run_trial(recording, config, plan, writer, progress.add)
        for one in trial.horizons:
            for text in guard_notes(one.guard_rows):
                note(f"horizon {one.horizon}: {text}")
        document = run_document(recording, trial, args.argv, describe(trial.config))
        files: list[tuple[str, bytes | BinaryIO]] = []
        if args.json is not None:
            files.append((args.json, json_text(document)))
        if args.report is not None:
            files.append((args.report, _page(document, trial)))
        if args.plot is not None:
            files.append((args.plot, _picture(document, trial, args.plot)))
        if args.save is not None:
            files.append((args.save, trial.horizons[0].learner.to_bytes()))
        if writer is not None:
            files.append((args.out, writer.file))
        colour = terminal.wants_colour(sys.stdout)
        text = terminal.report(
            document,
            trial.pictures,
            colour=colour,
            ascii_only=terminal.lacks_lines(sys.stdout),
        )
        return Result(text, tuple(files), close=stack.pop_all().close)


def _period(args: argparse.Namespace, recording: Recording) -> int | None:
    """Return the period in rows: the given one, or that of the longest part without a reset.

    Errors: InputError for an impossible period.
    """
    if args.period is not None:
        if args.period == 1 or args.period >= recording.rows:
            raise InputError(
                f"--period {args.period}: expected 0, for none, or rows from 2 to "
                f"{recording.rows - 1}, since {recording.title} has {recording.rows}"
            )
        return args.period or None
    if recording.classes is not None:
        return None
    rows, longest = 0, np.empty((0, len(recording.target_names)), np.float32)
    for block in recording.blocks(ROWS):
        longest = max(longest, block.targets, key=len)
        rows += len(block.targets)
        if rows >= ROWS:
            break
    return find_period(longest)


def _page(document: dict[str, Any], trial: Trial) -> bytes:
    from nbt_embed.app.page import page  # Bokeh takes half a second

    return page(document, trial.pictures).encode()


def _picture(document: dict[str, Any], trial: Trial, name: str) -> bytes:
    from nbt_embed.app.pictures import picture  # Matplotlib takes as long

    return picture(document, trial.pictures, name)
