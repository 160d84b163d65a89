"""``nbt-embed completion``: a script that lets a shell complete commands and options."""

from __future__ import annotations

import argparse
from typing import Any

from nbt_embed.commands._app import extra
from nbt_embed.output import Result

_SHELLS = ("bash", "zsh", "tcsh")


def add(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    completion = commands.add_parser(
        "completion",
        help="completion of commands and options for a shell",
        description="Print a script for a shell, as in `nbt-embed completion bash > "
        "~/.local/share/bash-completion/completions/nbt-embed`.",
    )
    completion.set_defaults(command=main)
    completion.add_argument("shell", choices=_SHELLS)


def main(args: argparse.Namespace) -> Result:
    """Print the script."""
    with extra("nbt-embed completion"):
        import shtab
    return Result(f"{shtab.complete(args.parser, shell=args.shell)}\n")
