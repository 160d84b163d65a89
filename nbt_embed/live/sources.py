"""Open the source of an address."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from nbt_embed._extras import needs
from nbt_embed.errors import StreamError
from nbt_embed.live.arrivals import Source
from nbt_embed.live.options import SourceOptions

STDIN = "-"


def open_source(where: str, options: SourceOptions | None = None) -> Source:
    """Open a live stream; its names are then known.

    Args:
        where: ``-`` for standard input, the path of a text file or a named pipe,
            ``mqtt://host/topic``, ``mqtts://host/topic``, ``serial:///dev/ttyUSB0`` or
            ``simulated:``; docs/guide/live.md lists the options of addresses.
        options: how to read; None: everything is recognised.

    Waits for the first row, unless the options name the fields. Errors: StreamError;
    MissingExtraError names the command that installs a missing library.
    """
    with needs(where if where == STDIN else where.partition(":")[0]):
        return _opened(where, options or SourceOptions())


def _opened(where: str, options: SourceOptions) -> Source:
    if where == STDIN:
        from nbt_embed.live.pipe import PipeSource

        return PipeSource("standard input", _standard_input(), None, options)
    scheme = where.partition(":")[0].lower() if ":" in where else ""
    if scheme == "simulated":
        from nbt_embed.live.simulated import SimulatedSource

        return SimulatedSource(where, options)
    if scheme in ("mqtt", "mqtts"):
        from nbt_embed.live.mqtt import MqttSource

        return MqttSource(where, options)
    if scheme == "serial":
        from nbt_embed.live.serial_port import SerialSource

        return SerialSource(where, options)
    if "://" in where:
        raise StreamError(
            f"{scheme}://: unknown kind of source: use mqtt://, mqtts://, serial:// or "
            "simulated:, a file, or - for standard input"
        )
    return _of_path(Path(where), options)


def _standard_input() -> int:
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # the program has no standard input
        raise StreamError("standard input: is closed: name a file, or pipe rows into it") from None


def _of_path(path: Path, options: SourceOptions) -> Source:
    try:
        mode = path.stat().st_mode
    except OSError:  # FileSource waits for it, or reports the reason
        mode = stat.S_IFREG
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        from nbt_embed.live.pipe import PipeSource

        return PipeSource(str(path), None, path, options)
    from nbt_embed.live.tail import FileSource

    return FileSource(path, options)
