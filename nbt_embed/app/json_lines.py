"""JSON lines as a table: one row per object, one column per field of any object."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from nbt_embed.app import lines
from nbt_embed.app.encoding import UTF8, Utf8
from nbt_embed.app.objects import MOST, decoded, flattened, objects_of, text_of
from nbt_embed.app.source import Source
from nbt_embed.errors import StreamError

PIECE = 1 << 14  # rows per temporary file
_MARK = b"\xef\xbb\xbf"
_BEGIN = re.compile(rb'(\xef\xbb\xbf)?\s*(\{\s*["}]|\[\s*\{|\[\s*\]\s*[\r\n])')
_SHOWN = 40


def is_json(head: bytes) -> bool:
    """Return whether a file that starts so contains JSON objects."""
    return _BEGIN.match(head) is not None


def json_lines(source: Source, folder: Path, number: int) -> tuple[pl.LazyFrame, NDArray[Any]]:
    """Return the columns of a file of JSON lines, and the line of each row.

    A field is named by its path (``sensor.temp``). A field with any text becomes a column of texts;
    an absent field is missing in its row. A line contains an object, or an array of objects, one
    row each.

    Args: source; folder and number, for temporary files.
    Errors: StreamError names the line without an object.
    Cost: two passes, memory of some megabytes.
    """
    title, numeric = source.title, dict[str, bool]()
    for line, record in _records(source):
        for name, value in record.items():
            numeric[name] = numeric.get(name, True) and not isinstance(value, str)
        if len(numeric) > MOST:
            raise StreamError(
                f"{title}: line {line}: the objects have more than {MOST} different fields: write "
                "objects with the same fields"
            )
    if not numeric:
        raise StreamError(f"{title}: no object has a field: name a file with rows")
    parts: list[Path] = []
    numbers: list[int] = []
    rows: list[dict[str, Any]] = []

    def keep() -> None:
        parts.append(folder / f"json{number}-{len(parts)}")
        pl.DataFrame([_column(name, plain, rows) for name, plain in numeric.items()]).write_ipc(
            parts[-1]
        )
        rows.clear()

    for line, record in _records(source):
        rows.append(record)
        numbers.append(line)
        if len(rows) == PIECE:
            keep()
    if rows:
        keep()
    return pl.scan_ipc(parts), np.array(numbers)


def _column(name: str, numeric: bool, rows: list[dict[str, Any]]) -> pl.Series:
    if numeric:
        return pl.Series(name, [_number(row.get(name)) for row in rows], dtype=pl.Float64)
    return pl.Series(name, [text_of(row.get(name)) for row in rows], dtype=pl.String)


def _records(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number and fields of every object. Errors: StreamError."""
    title, line, rest = source.title, 0, b""
    with source.open() as plain:
        file = Utf8(title, plain, UTF8, 0)
        while True:
            block = file.read(lines.BLOCK)
            *whole, rest = (rest + block).split(b"\n")
            for text in whole if block else [rest]:
                line += 1
                if len(text) > lines.LONGEST:
                    raise lines.too_long(title, line)
                if text := text.removeprefix(_MARK if line == 1 else b"").strip():
                    for record in _objects(title, line, text):
                        yield line, flattened(record)
            if not block:
                return
            if len(rest) > lines.LONGEST:
                raise lines.too_long(title, line + 1)


def _objects(title: str, line: int, text: bytes) -> list[dict[str, Any]]:
    try:
        value = decoded(text.decode())
        found = objects_of(value)
    except ValueError as error:
        not_utf8 = isinstance(error, UnicodeDecodeError)
        reason = "not UTF-8" if not_utf8 else getattr(error, "msg", str(error))
        raise StreamError(
            f"{title}: line {line} is not a complete JSON object ({reason}) in "
            f"{text[:_SHOWN].decode(errors='replace')!r}: write each object on one line, for "
            "example with jq -c ., or remove the line"
        ) from None
    if found is None:
        what = "an array" if isinstance(value, list) else f"{value!r}"[:_SHOWN]
        raise StreamError(
            f"{title}: line {line} holds {what} and no JSON object: write one object per line, "
            "with a name for every value"
        )
    return found


def _number(value: Any) -> float | None:
    """Return a number of JSON; other values are missing."""
    if not isinstance(value, (bool, int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
