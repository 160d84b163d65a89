"""``nbt-embed replay``: repeat the calls in a device's log, and compare the hashes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nbt_embed.commands.export import STATE, load
from nbt_embed.errors import StreamError
from nbt_embed.output import Result

_DIFFERENT = 1
_STDIN = Path("/dev/stdin")


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    replay = commands.add_parser(
        "replay",
        help="repeat the log of a device and report the first step with other bits",
        description="Make the calls of a log (docs/guide/export.md) and compare the hashes. Exit "
        "code 1 if they differ.",
    )
    replay.set_defaults(command=main)
    replay.add_argument(
        "state", metavar="STATE", type=Path, help=f"{STATE}, from the start of the log"
    )
    replay.add_argument(
        "log", metavar="LOG", type=Path, help="log of the device, CSV, or - for standard input"
    )


def main(args: argparse.Namespace) -> Result:
    """Repeat the log."""
    log = _STDIN if args.log == Path("-") else args.log
    result = load(args.state).replay(log)
    different = result.difference
    if different is not None:
        text = (
            f"step {different.step} (line {different.line}) is the first with other bits: hash "
            f"{different.device:016x} on the device, {different.python:016x} here\n"
        )
        if result.compared == 1:
            text += "no hash before it: did the device start from this checkpoint?\n"
        return Result(text, code=_DIFFERENT)
    if result.compared == 0:
        raise StreamError(
            f"{log}: {result.steps} steps without a hash, so nothing was compared; let the "
            "device log the hash after a step (LOG_HASH_EVERY in main.c)"
        )
    return Result(
        f"{result.steps} steps, {result.compared} hashes compared: the same bits\n"
        f"hash {result.hash:016x}\n"
    )
