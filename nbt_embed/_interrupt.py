"""Ctrl-C while ``nbt-embed`` loads its libraries: one line and exit code 130, no traceback.

The package imports this module before anything slow, and nothing slow is imported here. Where the
package is used as a library nothing happens; where the process is the command, ``cli.main`` takes
over with ``handed_over``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_CODE = 130  # 128 + SIGINT, as shells report it
LINE = "\nnbt-embed: interrupted\n"


def handed_over() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt, as everywhere in Python.

    Being told to end (SIGTERM), or losing the terminal (SIGHUP), raises SystemExit, so that
    temporary files are removed.
    """
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if _COMMAND:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end)


def ignored() -> None:
    """From here on Ctrl-C does nothing: the results are out, and the process is about to end."""
    if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def put_off() -> Iterator[None]:
    """Signals that would raise in this block raise after it, as the last thing of the block.

    To mask them would not do: they then reach another thread, and Python raises in the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # nothing is raised here
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda came_one, _frame: came.append(came_one))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for one in came:
            signal.raise_signal(one)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


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


_COMMAND = _is_command()  # later the program has another name

# Who ignores Ctrl-C, as a job in the background, goes on to do so.
if _COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
