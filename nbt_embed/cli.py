"""The command line ``nbt-embed``: its commands are the modules of ``nbt_embed.commands``.

Results go to standard output, notes and the progress bar to standard error. Exit codes: 0 done, 1 a
replayed device has other bits, 2 bad usage or input, or a result that could not be written (one
line says what and what to do), 130 interrupted, 141 broken pipe.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence

from nbt_embed import __version__, _interrupt
from nbt_embed.commands import (
    compare,
    completion,
    demo,
    export,
    fleet,
    replay,
    run,
    size,
    tune,
    watch,
)
from nbt_embed.errors import NbtError, StreamError
from nbt_embed.options import BAD_INPUT, Parser
from nbt_embed.output import Result, deliver, drop, tell

_COMMANDS = (run, watch, compare, tune, fleet, demo, size, export, replay, completion)
_NOBODY_READS = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; usage errors and --help exit by themselves.

    Args:
        argv: arguments without the program's name; None: those of the process.
    """
    try:
        _interrupt.handed_over()
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a terminal that lacks a character shows "?"
                stream.reconfigure(errors="replace")
        if sys.stdout is None:
            raise StreamError("standard output is closed: the result cannot be written")
        parser = _parser()
        args = parser.parse_args(argv)
        args.argv, args.parser = list(sys.argv[1:] if argv is None else argv), parser
        result: Result = args.command(args)
        deliver(result)
        _interrupt.ignored()
    except NbtError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("not enough memory: use a smaller --hidden, --lags or --horizon")
    except BrokenPipeError:
        drop(sys.stdout)
        return _NOBODY_READS
    except OSError as error:  # what commands read and write is told by them: a temporary file
        return _fail(
            f"a temporary file in {tempfile.gettempdir()}: {error.strerror or error}; set TMPDIR "
            "to a folder with room"
        )
    except KeyboardInterrupt:
        tell(_interrupt.LINE)
        return _interrupt.EXIT_CODE
    return result.code


def _parser() -> Parser:
    parser = Parser(
        prog="nbt-embed",
        description="Online learning of a small recurrent network in a fixed number of bytes.",
    )
    parser.add_argument("--version", action="version", version=f"nbt-embed {__version__}")
    names = [module.__name__.rpartition(".")[2] for module in _COMMANDS]
    commands = parser.add_subparsers(title="commands", required=True, metavar=" | ".join(names))
    for module in _COMMANDS:
        module.add(commands)
    return parser


def _fail(text: str) -> int:
    tell(f"nbt-embed: error: {' '.join(text.split())}\n")
    return BAD_INPUT
