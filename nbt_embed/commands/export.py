"""``nbt-embed export``: a firmware folder of a saved learner."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nbt_embed.errors import CheckpointError
from nbt_embed.export import GOLDEN_STEPS, export_firmware
from nbt_embed.learner import Learner
from nbt_embed.options import count_from, describe
from nbt_embed.output import Result

STATE = "checkpoint from Learner.save or `nbt-embed run --save`"


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    export = commands.add_parser(
        "export",
        help="write a saved learner as firmware: C files for any C99 compiler",
        description="Write a folder with kernel, learner, loop and self-test. The device "
        "continues to learn where Python stopped, with the same bits.",
    )
    export.set_defaults(command=main)
    export.add_argument("state", metavar="STATE", type=Path, help=STATE)
    export.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="new or empty folder to write"
    )
    export.add_argument(
        "--horizon",
        metavar="H",
        type=count_from(1),
        help="samples between a forecast and its label (default: the number of waiting "
        "forecasts; if none waits, the most that the learner allows)",
    )
    export.add_argument(
        "--prefix",
        metavar="NAME",
        help="prefix of the model's C names instead of nbt, for several models in one firmware; "
        "the kernel then has all cells, estimators, filters and links",
    )


def main(args: argparse.Namespace) -> Result:
    """Write the folder."""
    learner = load(args.state)
    export_firmware(learner, args.out, args.horizon, args.prefix)
    state = len(learner.to_bytes())
    return Result(
        f"learner: {describe(learner.config)}, hash {learner.hash():016x}\n"
        f"memory: {learner.memory.total:,} bytes; state in flash: {state:,} bytes\n"
        f"{args.out}: `make && ./firmware` in this folder checks the bits of up to "
        f"{GOLDEN_STEPS} steps\n"
    )


def load(path: Path) -> Learner:
    """Load a learner from its checkpoint. Errors: CheckpointError."""
    try:
        return Learner.load(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
