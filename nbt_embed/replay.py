"""Replay the log of a device in Python and find the first step with other bits.

The log is a CSV file that a firmware prints with a few lines of C (docs/guide/export.md)::

    label,x,x,hash
    ,,,cbf29ce484222325
    ,0x3f800000,0x40490fdb,9ae16a3b2f90404f
    0x3f8ccccd,1.5,-2.25,

One line per step, in the order of the calls: ``learn`` of the label, then ``predict`` from the
inputs. Empty labels or inputs: that call was not made. Numbers are the bits of a float32, ``0x``
and eight digits, or decimal (nine digits lose nothing; ``nan`` is a missing value). The hash,
sixteen digits, is the learner's after the step; where it is empty nothing is compared. Lines that
are empty or begin with ``#`` and columns of other names are ignored.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from nbt_embed.arrays import Float32Array
from nbt_embed.config import Config
from nbt_embed.errors import InputError, SequenceError, StreamError

_BITS = re.compile(r"0x[0-9a-f]{8}", re.IGNORECASE)
# As C prints numbers; float() also takes underscores and the digits of other scripts.
DECIMAL = re.compile(
    r"[-+]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?|nan|inf|infinity)", re.I | re.A
)
_HASH = re.compile(r"(0x)?[0-9a-f]{16}", re.IGNORECASE)


@dataclass(frozen=True)
class Difference:
    """The first step after which device and Python have other bits.

    Attributes: step (data rows before it), line (of the log, from 1), device and python (hashes).
    """

    step: int
    line: int
    device: int
    python: int


@dataclass(frozen=True)
class Replay:
    """The result of a replay.

    Attributes: steps (rows replayed; after a difference none is), compared (of these, rows with a
    hash), difference (None: the same bits everywhere), hash (the learner's at the end).
    """

    steps: int
    compared: int
    difference: Difference | None
    hash: int


class Repeater(Protocol):
    """The interface that a replay needs: that of ``Learner``."""

    @property
    def config(self) -> Config:
        """Its inputs and outputs are those of the log."""
        ...

    def predict(self, x: ArrayLike) -> Float32Array:
        """Forecast."""
        ...

    def learn(self, y: ArrayLike) -> None:
        """Learn the label of the oldest forecast that waits."""
        ...

    def hash(self) -> int:
        """The hash of its state."""
        ...


@dataclass(frozen=True)
class _Row:
    line: int
    label: Float32Array | None
    x: Float32Array | None
    hash: int | None


def replay(learner: Repeater, log: str | Path | Iterable[str]) -> Replay:
    """Make the calls of a log with a learner in the initial state of the device.

    The learner advances, without a difference to the state of the device; replay a ``copy.copy`` to
    keep it. Calls that the device refused are refused here too and change nothing.

    Args:
        learner: that of the checkpoint which the device has loaded.
        log: a path, or the lines of the log (an open text file).

    Errors: StreamError names the file, the line and the fault; earlier steps are done.
    Cost: that of the steps, and of a hash where the log has one.
    """
    if isinstance(log, (str, Path)):
        try:
            # A serial line may garble a byte; that line is then refused by number.
            with Path(log).open("rb") as file:
                text = TextIOWrapper(file, _encoding(file), errors="replace", newline="")
                return _replay(learner, text, f"{log}: ")
        except OSError as error:
            raise StreamError(f"{log}: cannot be read ({error.strerror})") from error
    return _replay(learner, log, "")


def _encoding(file: BufferedReader) -> str:
    """UTF-8, with or without a byte order mark, or UTF-16, which PowerShell redirects into."""
    begin = file.peek(2)[:2]  # not read: a pipe gives its bytes once
    return "utf-16" if begin in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _replay(learner: Repeater, lines: Iterable[str], where: str) -> Replay:
    steps = compared = 0
    for row in _rows(lines, where, learner.config.n_label, learner.config.n_in):
        if row.label is not None:
            with suppress(InputError, SequenceError):
                learner.learn(row.label)
        if row.x is not None:
            with suppress(InputError, SequenceError):
                learner.predict(row.x)
        steps += 1
        if row.hash is not None:
            compared += 1
            here = learner.hash()
            if here != row.hash:
                difference = Difference(steps - 1, row.line, row.hash, here)
                return Replay(steps, compared, difference, here)
    return Replay(steps, compared, None, learner.hash())


def _rows(lines: Iterable[str], where: str, n_label: int, n_in: int) -> Iterator[_Row]:
    """The rows of a log. Errors: StreamError."""
    reader = csv.reader(_without_mark(lines), quoting=csv.QUOTE_NONE)
    header: list[str] | None = None
    while True:
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            break
        except csv.Error as error:
            raise StreamError(f"{where}line {reader.line_num}: no CSV ({error})") from None
        place = f"{where}line {reader.line_num}"
        if (not any(cells) and len(cells) < 2) or cells[0].startswith("#"):
            continue
        if header is None:
            header = _header(cells, place, n_label, n_in)
        elif cells == header:
            raise StreamError(
                f"{place}: a second header, so the device restarted: replay the lines before it "
                "with this checkpoint, and the lines from here on with the checkpoint that the "
                "device loaded at the restart"
            )
        elif len(cells) != len(header):
            raise StreamError(
                f"{place}: {len(cells)} cells, the header has {len(header)}: an incomplete line, "
                "or two mixed lines; remove it and the lines after it"
            )
        else:
            yield _Row(
                reader.line_num,
                _floats(cells, header, "label", place),
                _floats(cells, header, "x", place),
                _hash(cells[header.index("hash")], place),
            )
    if header is None:
        raise StreamError(f"{where}no header line: expected {_expected(n_label, n_in)!r}")


def _without_mark(lines: Iterable[str]) -> Iterator[str]:
    """The lines, the first without a byte order mark."""
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix("\ufeff")


def _header(cells: list[str], place: str, n_label: int, n_in: int) -> list[str]:
    for name, count in (("label", n_label), ("x", n_in), ("hash", 1)):
        if cells.count(name) != count:
            raise StreamError(
                f"{place}: {cells.count(name)} columns {name!r}, this learner has {count}: "
                f"expected the header {_expected(n_label, n_in)!r}"
            )
    return cells


def _expected(n_label: int, n_in: int) -> str:
    """The header that a log of this learner has; of many inputs only the first."""
    names = ["label"] * n_label + ["x"] * n_in
    return ",".join([*names[:8], "..."] if len(names) > 8 else [*names, "hash"])


def _floats(
    cells: Sequence[str], header: Sequence[str], name: str, place: str
) -> Float32Array | None:
    found = [cell for cell, column in zip(cells, header, strict=True) if column == name]
    if not any(found):
        return None
    return np.array([_float(cell, name, place) for cell in found], np.float32)


def _float(cell: str, name: str, place: str) -> np.float32:
    if _BITS.fullmatch(cell):
        return np.uint32(int(cell, 16)).view(np.float32)
    if not DECIMAL.fullmatch(cell):
        raise StreamError(
            f"{place}: {name} = {cell!r}: expected a number, or 0x and the eight digits of its bits"
        )
    with np.errstate(over="ignore"):
        return np.float32(float(cell))


def _hash(cell: str, place: str) -> int | None:
    if not cell:
        return None
    if not _HASH.fullmatch(cell):
        raise StreamError(f"{place}: hash = {cell!r}: expected sixteen hexadecimal digits")
    return int(cell, 16)
