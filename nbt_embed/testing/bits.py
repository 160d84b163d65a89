"""Compare the bits of two learners, now or over a stream."""

from __future__ import annotations

import copy
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from nbt_embed.arrays import Float32Array, integer
from nbt_embed.errors import InputError, InputTypeError, StreamError, shown
from nbt_embed.files import write_path
from nbt_embed.learner import Learner
from nbt_embed.streams import Stream, from_arrays

_CHECKPOINT = b"\x89NBT\r\n\x1a\n"  # docs/reference/checkpoint.md
_PIECE = 256  # rows between two comparisons of hashes
Rows = Stream | tuple[ArrayLike, ArrayLike]


def assert_same_bits(
    learner: Learner,
    other: Learner | int | str | Path,
    *,
    stream: Rows | None = None,
    horizon: int = 1,
) -> int:
    """Fail if a learner does not have the expected bits.

    Compares the hash of the whole state and every forecast. Only copies of the learners advance.

    Examples:
        >>> from nbt_embed import Learner
        >>> from nbt_embed.simulation import simulated_sensor
        >>> one, stream = Learner(3, 3, hold_missing=True, seed=4), simulated_sensor(300)
        >>> _ = assert_same_bits(one, Learner.from_bytes(one.to_bytes()), stream=stream)

    Args:
        learner: the learner under test.
        other: the expected bits. A learner: compared now, and with a stream after every row. An
            integer: the hash, after the stream if there is one. A path of a checkpoint
            (``Learner.save``): the expected learner after the stream. A path of a log
            (``record_bits``, or of a device, docs/guide/export.md): its rows are the stream.
        stream: rows for both, a ``Stream`` or a pair (X, Y) as for ``Learner.run``.
        horizon: as for ``Learner.run``.

    Returns: the hash at the end.
    Errors: AssertionError, with the first row after which the bits differ, and the first array and
    element that differ; InputError, InputTypeError, StreamError, CheckpointError (an argument).
    Cost: that of ``run``, twice for two learners.
    """
    __tracebackhide__ = True
    if not isinstance(learner, Learner):
        raise InputTypeError(f"learner = {shown(learner)}: expected a Learner")
    if isinstance(other, Learner):
        pair = _Pair(copy.copy(learner), copy.copy(other))
        _same_settings(pair)
        _same_state(pair, "before any row")
        for start, x, y in _pieces(stream):
            pair = _same_piece(pair, x, y, horizon, start)
        return pair.one.hash()
    if isinstance(other, (str, Path)):
        if not _is_checkpoint(Path(other)):
            if stream is not None:
                raise InputError(f"{other} is a log, which has its own rows: leave stream out")
            return _same_log(learner, Path(other))
        pair = _Pair(_fed(learner, stream, horizon), Learner.load(other))
        _same_settings(pair)
        _same_state(pair, f"after all rows, compared with {other}")
        return pair.one.hash()
    expected, found = integer("other", other), _fed(learner, stream, horizon).hash()
    if found != expected:
        raise AssertionError(
            f"hash 0x{found:016x}, expected 0x{expected:016x}: a hash does not show the first "
            "difference; compare with a learner, a checkpoint or a log (record_bits)"
        )
    return found


def record_bits(learner: Learner, path: str | Path, *, stream: Rows, horizon: int = 1) -> int:
    """Write a log of a learner on a stream: a golden file for ``assert_same_bits``.

    The log is CSV in the format of docs/guide/export.md: label and inputs as the bits of float32,
    and the hash after every row. Like the log of a device, it contains calls of ``predict`` and
    ``learn`` only: to use anchors, call ``find_anchor`` first. The learner itself does not advance.

    Args: as for ``assert_same_bits``. With horizon 0 a row's label is learnt in the line after it.
    Returns: the hash at the end. Errors: InputError, InputTypeError, OSError (the file stays).
    """
    if not isinstance(learner, Learner):
        raise InputTypeError(f"learner = {shown(learner)}: expected a Learner")
    horizon = learner._check_horizon(horizon)
    pieces = _pieces(stream)
    if not pieces:
        raise InputTypeError("stream = None: expected a Stream or a pair (X, Y) to record")
    one = copy.copy(learner)
    names = ["label"] * one.config.n_label + ["x"] * one.config.n_in
    lines = [",".join([*names, "hash"])]
    late: Float32Array | None = None
    for _, x, y in pieces:
        for inputs, label in zip(x, y, strict=True):
            known = late if horizon == 0 else label
            waits = one.pending > max(horizon - 1, 0)
            lines.append(_line(one, known if waits else None, inputs))
            late = label
    if horizon == 0 and late is not None:
        lines.append(_line(one, late, None))
    write_path(str(path), ("\n".join(lines) + "\n").encode())
    return one.hash()


def _line(learner: Learner, label: Float32Array | None, x: Float32Array | None) -> str:
    """Learn and predict one row; return its line of the log."""
    cells = []
    for values, width, call in (
        (label, learner.config.n_label, learner.learn),
        (x, learner.config.n_in, learner.predict),
    ):
        if values is None:
            cells += [""] * width
        else:
            call(values)
            cells += [f"0x{bits:08x}" for bits in values.view(np.uint32).tolist()]
    return ",".join([*cells, f"{learner.hash():016x}"])


class _Pair(NamedTuple):
    one: Learner
    other: Learner

    def copied(self) -> _Pair:
        return _Pair(copy.copy(self.one), copy.copy(self.other))


def _pieces(stream: Rows | None) -> list[tuple[int, Float32Array, Float32Array]]:
    """Return (first row, inputs, targets) of each piece. Errors: InputError, InputTypeError."""
    if stream is None:
        return []
    if not isinstance(stream, Stream):
        if not isinstance(stream, tuple) or len(stream) != 2:
            raise InputTypeError(f"stream = {shown(stream)}: expected a Stream or a pair (X, Y)")
        stream = from_arrays(*stream)
    found = []
    for start in range(0, len(stream), _PIECE):
        piece = slice(start, start + _PIECE)
        found.append((start, stream.inputs[piece], stream.targets[piece]))
    return found


def _fed(learner: Learner, stream: Rows | None, horizon: int) -> Learner:
    """Return a copy that has learnt the stream."""
    one = copy.copy(learner)
    for _, x, y in _pieces(stream):
        one.run(x, _labels(one, y), horizon=horizon)
    return one


def _labels(learner: Learner, y: Float32Array) -> Float32Array:
    return y[:, 0] if learner.config.link == "categorical" else y


def _same_piece(pair: _Pair, x: Float32Array, y: Float32Array, horizon: int, start: int) -> _Pair:
    """Feed a piece to both, and row by row if they differ after it. Errors: AssertionError."""
    __tracebackhide__ = True
    before = pair.copied()
    labels = _labels(pair.one, y)
    forecasts = [one.run(x, labels, horizon=horizon) for one in pair]
    if forecasts[0].tobytes() == forecasts[1].tobytes() and pair.one.hash() == pair.other.hash():
        return pair
    for row in range(len(x)):
        here = slice(row, row + 1)
        y_one, y_other = (one.run(x[here], labels[here], horizon=horizon)[0] for one in before)
        _same_state(before, f"after row {start + row}")
        _same_array("forecast", y_one, y_other, f"at row {start + row}")
    raise AssertionError(
        f"rows {start} to {start + len(x) - 1} give other bits in one call than singly"
    )


def _same_log(learner: Learner, path: Path) -> int:
    """Replay a log. Errors: AssertionError, StreamError."""
    __tracebackhide__ = True
    result = copy.copy(learner).replay(path)
    if result.compared == 0:
        raise StreamError(f"{path}: no row has a hash, so nothing is compared")
    if result.difference is not None:
        found = result.difference
        raise AssertionError(
            f"{path}, line {found.line}: after row {found.step} the hash is 0x{found.python:016x}, "
            f"and 0x{found.device:016x} in the log"
        )
    return result.hash


def _same_settings(pair: _Pair) -> None:
    """Compare the settings. Errors: AssertionError names the settings that differ."""
    __tracebackhide__ = True
    one, other = (
        # A checkpoint does not distinguish "no anchor" from "anchor not yet searched".
        {field.name: getattr(learner.config, field.name) for field in fields(learner.config)}
        | {"anchor": learner.anchor}
        for learner in pair
    )
    different = [
        f"{name} = {value!r} and {other[name]!r}"
        for name, value in one.items()
        if value != other[name]
    ]
    if different:
        raise AssertionError(f"these are different learners: {', '.join(different)}")


def _same_state(pair: _Pair, when: str) -> None:
    """Compare arrays and counters. Errors: AssertionError names the first array that differs."""
    __tracebackhide__ = True
    hashes = [learner.hash() for learner in pair]
    if hashes[0] == hashes[1]:
        return
    when = f"{when} (hash 0x{hashes[0]:016x} and 0x{hashes[1]:016x})"
    for name in pair.one.arrays:
        _same_array(name, pair.one.array(name), pair.other.array(name), when)
    counters = [vars(learner.counters) for learner in pair]
    different = [
        f"{name} {value:,} and {counters[1][name]:,}"
        for name, value in counters[0].items()
        if value != counters[1][name]
    ]
    raise AssertionError(
        f"different bits {when}, in fields that no array has: "
        f"{', '.join(different) or 'no counter'}"
    )


def _same_array(name: str, one: Float32Array, other: Float32Array, when: str) -> None:
    """Compare one array. Errors: AssertionError names the first element whose bits differ."""
    __tracebackhide__ = True
    bits = [np.ascontiguousarray(array).view(np.uint32) for array in (one, other)]
    places = np.argwhere(bits[0] != bits[1])
    if len(places):
        place = tuple(int(i) for i in places[0])
        index = ", ".join(map(str, place))
        raise AssertionError(
            f"different bits {when}: {name}[{index}] is {one[place]:.9g} (0x{bits[0][place]:08x}) "
            f"and {other[place]:.9g} (0x{bits[1][place]:08x}); {len(places)} of {one.size} values "
            "of this array differ"
        )


def _is_checkpoint(path: Path) -> bool:
    """Return whether a file starts like a checkpoint. Errors: StreamError."""
    try:
        with path.open("rb") as file:
            return file.read(len(_CHECKPOINT)) == _CHECKPOINT
    except OSError as error:
        raise StreamError(
            f"{path}: cannot be read ({error.strerror}); record_bits writes such a file"
        ) from error
