"""Ctrl-C while ``nbt-embed`` loads its libraries: one line and exit code 130, no traceback.

The package imports this module before anything slow, and nothing slow is imported here. Where the
package is used as a library nothing happens; where the process is the command, ``cli.main`` takes
over with ``handed_over``.
"""

from __future__ import annotations

import os
import signal
import sys

EXIT_CODE = 130  # 128 + SIGINT, as shells report it
LINE = "\nnbt-embed: interrupted\n"


def handed_over() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt, as everywhere in Python."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(_number: int, _frame: object) -> None:
    try:
        os.write(2, LINE.encode())
    finally:
        os._exit(EXIT_CODE)


def _is_command() -> bool:
    """Whether this process is ``nbt-embed`` or ``python -m nbt_embed``.

    While Python looks for the module of ``-m``, that is the program's name.
    """
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":
        return "nbt_embed" in sys.orig_argv
    return program.replace("\\", "/").rpartition("/")[2].startswith("nbt-embed")


# Who ignores Ctrl-C, as a job in the background, goes on to do so.
if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
