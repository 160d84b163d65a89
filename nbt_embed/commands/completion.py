"""``nbt-embed completion``: a script with which a shell completes commands and options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from nbt_embed._extras import needs
from nbt_embed.output import Result

_SHELLS = ("bash", "zsh", "tcsh")
_FILES = ("FILE", "DIR", "STATE", "LOG", "SPEC")  # metavars of files and folders


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
    with needs("nbt-embed completion"):
        import shtab
    for parser in (args.parser, *_subparsers(args.parser)):
        for action in parser._actions:
            if action.choices is None and str(action.metavar).startswith(_FILES):
                action.complete = shtab.FILE
    return Result(f"{shtab.complete(args.parser, shell=args.shell)}\n")


def _subparsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()
