"""``nbt-embed size``: bytes of a learner, without building it."""

from __future__ import annotations

import argparse
from typing import Any

from nbt_embed import __version__
from nbt_embed._kernel_config import memory_of
from nbt_embed.alternatives import alternatives
from nbt_embed.options import add_learner, config_of, count_from, describe
from nbt_embed.output import OR_STDOUT, Result, check_targets
from nbt_embed.report import alternatives_table, json_text, memory_table, size_document


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    size = commands.add_parser(
        "size",
        help="bytes that a device needs, without running anything",
        description="Bytes of a learner on any target, with a breakdown, beside other methods.",
    )
    size.set_defaults(command=main)
    size.add_argument("--inputs", metavar="N", type=count_from(1), required=True)
    size.add_argument("--outputs", metavar="N", type=count_from(1), required=True)
    size.add_argument(
        "--horizon", metavar="H", type=count_from(0), default=1, help="samples ahead (default: 1)"
    )
    add_learner(size)
    size.add_argument("--json", metavar="FILE", help=f"write the figures to a JSON file{OR_STDOUT}")


def main(args: argparse.Namespace) -> Result:
    """Bytes by purpose, and those of other methods."""
    check_targets([], args.json)
    config = config_of(args, args.inputs, args.outputs, max_delay=max(args.horizon - 1, 0))
    memory, others = memory_of(config), alternatives(config)
    document = size_document(config, memory, others, __version__)
    files = [] if args.json is None else [(args.json, json_text(document))]
    tables = f"{memory_table(memory)}\n\n{alternatives_table(memory, others)}"
    return Result(f"{describe(config)}\n\n{tables}\n", tuple(files))
