"""Convert what a caller may pass as streams of a fleet to a ``Series``."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from mmap import mmap
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nbt_embed.arrays import Float32Array, float32, integer, table
from nbt_embed.errors import InputError, InputTypeError, NbtError, shown
from nbt_embed.fleet.fingerprints import array_print, file_print, stream_print
from nbt_embed.fleet.series import ANCHOR_ROWS, PIECE_ROWS, Held, Piece, Series, first_rows
from nbt_embed.streams import Stream

_REAL = "fiub"  # kinds of data types


@dataclass(frozen=True)
class TimeBlocks:
    """Blocks of time over all devices, which can be read once: (n, t, I), or pairs with labels.

    Attributes: blocks, from the first row; devices, n; input_names, target_names; first, a hash of
    the first block.
    """

    blocks: Iterator[Piece]
    devices: int
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]
    first: str

    def fingerprint(self) -> str:
        """Hash of the first block, since the others can be read only once."""
        return self.first


def as_series(streams: object, devices: int | None = None) -> Series | TimeBlocks:
    """Return the series of a caller's streams.

    Args:
        streams: one of
            a ``Series``;
            an array (n, T, I), or (n, T) for one channel, also a np.memmap: targets = inputs;
            a pair of arrays (X, Y), Y (n, T, O) or (n, T);
            a path: of a .npy file, which is mapped, not read; of a .parquet file or a folder of
            them (``nbt_embed.fleet.parquet.ParquetSeries`` has the options);
            a ``Stream`` for all devices; a sequence of Streams, one per device;
            a function of the number of a device (``Generated``);
            a generator of blocks of time over all devices: arrays (n, t, I), or pairs of them.
        devices: n, for a function and for one ``Stream``; for others it is checked.

    Errors: InputError, InputTypeError name what was passed and what is expected.
    """
    series = _series_of(streams, devices)
    if integer("streams.devices", series.devices) < 1:
        raise InputError("streams holds no device: expected one or more")
    if devices is not None and series.devices != integer("devices", devices):
        raise InputError(f"devices = {devices}: the streams are those of {series.devices}")
    return series


def _series_of(streams: Any, devices: int | None) -> Series | TimeBlocks:
    if isinstance(streams, (Series, TimeBlocks)):
        return streams
    if isinstance(streams, (str, Path)):
        return _of_path(Path(streams))
    if isinstance(streams, Stream):
        return Shared(streams, _count(devices, "a Stream that all devices see"))
    if callable(streams) and not hasattr(streams, "__array__"):
        return Generated(streams, _count(devices, "a function of the device"))
    if isinstance(streams, Iterator):
        return _time_blocks(streams)
    if (
        isinstance(streams, Sequence)
        and streams
        and all(isinstance(one, Stream) for one in streams)
    ):
        return Streams(streams)
    if isinstance(streams, tuple) and len(streams) == 2:
        return Arrays(_real("X", streams[0]), _real("Y", streams[1]))
    return Arrays(_real("streams", streams))


def _count(devices: int | None, what: str) -> int:
    if devices is None:
        raise InputError(f"devices is missing: {what} needs the number of devices")
    count = integer("devices", devices)
    if count < 1:
        raise InputError(f"devices = {shown(devices)}: expected one or more")
    return count


def _of_path(path: Path) -> Series:
    if path.suffix == ".npy":
        try:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise InputError(f"{path}: {error}") from None
        return Arrays(_real(str(path), mapped))
    from nbt_embed.fleet.parquet import ParquetSeries  # needs polars

    return ParquetSeries(path)


def _real(name: str, value: Any) -> NDArray[Any]:
    """Return an array of real numbers without a copy."""
    try:
        array: NDArray[Any] = np.asanyarray(value)
    except ValueError as error:  # devices of different lengths
        raise InputError(
            f"{name}: {error}; for devices of different lengths pass a list of Streams "
            "(nbt_embed.streams.from_arrays)"
        ) from None
    if array.dtype.kind not in _REAL:
        raise InputTypeError(
            f"{name} is {type(value).__name__} of dtype {array.dtype}: expected an array of real "
            "numbers (n, T, I), a pair of them, Streams, a path, a function or a generator"
        )
    return array


def _channels(letter: str, count: int) -> tuple[str, ...]:
    return tuple([f"{letter}{i + 1}" for i in range(count)])


def _cube(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return the array as (n, T, channels), without a copy. Errors: InputError."""
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(
            f"{name} has shape {array.shape}: expected (devices, rows, channels), or (devices, "
            "rows) for one channel, with at least one of each"
        )
    return array


class Arrays(Series):
    """Devices of equal length in one array of inputs and one of labels.

    Args:
        inputs: (n, T, I) or (n, T), in memory or mapped from a file.
        labels: (n, T, O) or (n, T); None: the inputs.
        first: number of the first device in the arrays; devices: n of the whole fleet.

    Errors: InputError.
    """

    def __init__(
        self,
        inputs: NDArray[Any],
        labels: NDArray[Any] | None = None,
        *,
        first: int = 0,
        devices: int | None = None,
    ) -> None:
        self._x = _cube("X" if labels is not None else "streams", inputs)
        self._y = self._x if labels is None else _cube("Y", labels)
        if self._x.shape[:2] != self._y.shape[:2]:
            raise InputError(
                f"Y has {self._y.shape[0]} devices of {self._y.shape[1]} rows, and X has "
                f"{self._x.shape[0]} of {self._x.shape[1]}: pass one label row for each"
            )
        self._own = labels is None
        self._first = first
        files = [_File.of(one) for one in (inputs, labels) if one is not None]
        self._files = tuple([file for file in files if file])
        if len(self._files) < len(files):
            self._files = ()  # not a whole file: pickled by value
        self.devices = len(self._x) if devices is None else devices
        self.input_names = _channels("x", self._x.shape[2])
        self.target_names = self.input_names if self._own else _channels("y", self._y.shape[2])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) rows of every device."""
        return np.broadcast_to(np.int64(self._x.shape[1]), self.devices)

    def pieces(self, device: int, start: int = 0) -> Iterator[Piece]:
        """As ``Series.pieces``."""
        for begin in range(start, self._x.shape[1], PIECE_ROWS):
            yield self._rows(device, slice(begin, begin + PIECE_ROWS))

    def head(self, device: int) -> Piece:
        """The whole stream."""
        return self._rows(device, slice(None))

    def only(self, devices: range) -> Series:
        """As ``Series.only``."""
        if self._files:
            return self  # pickled as the names of the files
        part = slice(devices.start - self._first, devices.stop - self._first)
        y = None if self._own else self._y[part]
        return Arrays(self._x[part], y, first=devices.start, devices=self.devices)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle mapped files by their names."""
        if self._files:
            return _mapped, (*self._files,)
        arguments = (self._x, None if self._own else self._y, self._first, self.devices)
        return _arrays, arguments

    def fingerprint(self) -> str:
        """A hash of all samples."""
        if self._files:
            return " ".join([file.fingerprint() for file in self._files])
        arrays = (self._x,) if self._own else (self._x, self._y)
        return " ".join([array_print(array) for array in arrays])

    def _rows(self, device: int, rows: slice) -> Piece:
        x = float32("X", self._x[device - self._first, rows])
        return x, x if self._own else float32("Y", self._y[device - self._first, rows])


@dataclass(frozen=True)
class _File:
    """A whole array that is mapped from a file."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    order: str

    @classmethod
    def of(cls, array: NDArray[Any]) -> _File | None:
        """Return the file of an array that maps all of it read-only, else None."""
        if not isinstance(array, np.memmap) or not isinstance(array.base, mmap):
            return None  # a part does not know its position
        if array.mode != "r" or not isinstance(array.filename, (str, Path)):
            return None
        path = str(Path(array.filename).resolve())
        order = "C" if array.flags.c_contiguous else "F"
        return cls(path, array.dtype.str, array.shape, array.offset, order)

    def fingerprint(self) -> str:
        """Return the print of the file, and the layout, which a raw file does not contain."""
        how = f"{self.dtype} {self.shape} {self.offset} {self.order}"
        return f"{how} {file_print(self.path)}"

    def map(self) -> NDArray[Any]:
        kind = np.dtype(self.dtype)
        order: Literal["C", "F"] = "C" if self.order == "C" else "F"
        mapped: NDArray[Any] = np.memmap(self.path, kind, "r", self.offset, self.shape, order)
        return mapped


def _mapped(inputs: _File, labels: _File | None = None) -> Arrays:
    return Arrays(inputs.map(), None if labels is None else labels.map())


def _arrays(x: NDArray[Any], y: NDArray[Any] | None, first: int, devices: int) -> Arrays:
    return Arrays(x, y, first=first, devices=devices)


class Streams(Series):
    """One ``Stream`` per device; lengths may differ. Errors: InputError (other channels)."""

    def __init__(
        self, streams: Sequence[Stream], *, first: int = 0, devices: int | None = None
    ) -> None:
        self._streams, self._first = tuple(streams), first
        self.devices = len(self._streams) if devices is None else devices
        one = self._streams[0]
        self.input_names, self.target_names = one.input_names, one.target_names
        for device, stream in enumerate(self._streams):
            if (stream.n_in, stream.n_out) != (one.n_in, one.n_out):
                raise InputError(
                    f"streams[{device}] has {stream.n_in} inputs and {stream.n_out} targets, and "
                    f"streams[0] has {one.n_in} and {one.n_out}: expected the same of all"
                )

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) rows of every device."""
        return np.array([len(stream) for stream in self._streams], np.int64)

    def pieces(self, device: int, start: int = 0) -> Iterator[Piece]:
        """As ``Series.pieces``."""
        return _of_stream(self._streams[device - self._first], start)

    def head(self, device: int) -> Piece:
        """The whole stream."""
        stream = self._streams[device - self._first]
        return stream.inputs, stream.targets

    def only(self, devices: range) -> Series:
        """As ``Series.only``."""
        part = self._streams[devices.start - self._first : devices.stop - self._first]
        return Streams(part, first=devices.start, devices=self.devices)

    def fingerprint(self) -> str:
        """A hash of all samples."""
        digest = hashlib.blake2b(digest_size=16)
        for stream in self._streams:
            digest.update(stream_print(stream).encode())
        return digest.hexdigest()


def _of_stream(stream: Stream, start: int) -> Iterator[Piece]:
    for begin in range(start, len(stream), PIECE_ROWS):
        rows = slice(begin, begin + PIECE_ROWS)
        yield stream.inputs[rows], stream.targets[rows]


class Shared(Series):
    """One ``Stream`` for all n devices."""

    def __init__(self, stream: Stream, devices: int) -> None:
        self._stream, self.devices = stream, devices
        self.input_names, self.target_names = stream.input_names, stream.target_names

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) rows of every device."""
        return np.broadcast_to(np.int64(len(self._stream)), self.devices)

    def pieces(self, device: int, start: int = 0) -> Iterator[Piece]:  # noqa: ARG002
        """As ``Series.pieces``."""
        return _of_stream(self._stream, start)

    def head(self, device: int) -> Piece:  # noqa: ARG002  # the same for all
        """The whole stream."""
        return self._stream.inputs, self._stream.targets

    def fingerprint(self) -> str:
        """A hash of all samples."""
        return stream_print(self._stream)


class Generated(Series):
    """Streams that a function returns for the number of a device.

    The function returns the whole stream, as a ``Stream``, an array (T, I) or (T,), or a pair (X,
    Y) of them, or an iterator of blocks, which are arrays or pairs. It must return the same samples
    whenever it is called with the same number. It is called for device 0 at once, to find the
    number of channels.
    """

    def __init__(self, make: Callable[[int], Any], devices: int) -> None:
        self._make, self.devices = make, devices
        self._held = Held()
        made = make(0)
        if isinstance(made, Stream):
            self.input_names, self.target_names = made.input_names, made.target_names
            return
        whole = _whole(made)
        if whole is None and isinstance(made, Iterator) and make(0) is made:
            raise InputError(
                "streams(0) returned the same iterator twice, which can be read only once: "
                "return a new one at each call, as a generator function does"
            )
        inputs, labels = next(_blocks(0, made), (None, None)) if whole is None else whole
        if inputs is None or labels is None:
            raise InputError("the stream of device 0 has no rows: expected one block or more")
        self.input_names = _channels("x", inputs.shape[1])
        self.target_names = self.input_names
        if labels is not inputs:
            self.target_names = _channels("y", labels.shape[1])

    def pieces(self, device: int, start: int = 0) -> Iterator[Piece]:
        """As ``Series.pieces``."""
        begin = 0
        for inputs, labels in self._rows(device):
            skipped = min(max(start - begin, 0), len(inputs))
            begin += len(inputs)
            for first in range(skipped, len(inputs), PIECE_ROWS):
                rows = slice(first, first + PIECE_ROWS)
                yield inputs[rows], labels[rows]

    def head(self, device: int) -> Piece:
        """The whole stream; of blocks the first rows."""
        rows = self._rows(device)
        return rows[0] if isinstance(rows, list) else first_rows(rows, ANCHOR_ROWS)

    def fingerprint(self) -> str:
        """Hash of the first rows of the first, the middle and the last device."""
        digest = hashlib.blake2b(digest_size=16)
        for device in sorted({0, self.devices // 2, self.devices - 1}):
            try:
                for part in next(iter(self.pieces(device)), ()):
                    digest.update(np.ascontiguousarray(part).data)
            except NbtError as error:
                digest.update(str(error).encode())
        return digest.hexdigest()

    def _rows(self, device: int) -> list[Piece] | Iterator[Piece]:
        """Yield the whole stream as one piece, or its blocks."""
        held = self._held.get(device)
        if held is not None:
            return [held]
        made = self._make(device)
        whole = _whole(made)
        if whole is None:
            return map(partial(self._checked, device), _blocks(device, made))
        return [self._held.put(device, self._checked(device, whole))]

    def _checked(self, device: int, piece: Piece) -> Piece:
        widths = tuple([part.shape[1] for part in piece])
        if widths != (self.n_in, self.n_out):
            raise InputError(
                f"device {device} has {widths[0]} inputs and {widths[1]} targets: device 0 has "
                f"{self.n_in} and {self.n_out}"
            )
        return piece


def _whole(made: Any) -> Piece | None:
    """Return the stream that a function returned, None for blocks."""
    if isinstance(made, Stream):
        return made.inputs, made.targets
    pair = isinstance(made, tuple) and len(made) == 2
    return _block(made) if pair or hasattr(made, "__array__") else None


def _blocks(device: int, made: Any) -> Iterator[Piece]:
    try:
        blocks = iter(made)
    except TypeError:
        raise InputTypeError(
            f"streams({device}) returned {shown(made)}: expected a Stream, an array (T, I), "
            "a pair of them, or an iterator of blocks"
        ) from None
    return map(_block, blocks)


def _block(block: Any) -> Piece:
    pair = isinstance(block, tuple) and len(block) == 2
    x = _rows("x", block[0] if pair else block)
    y = _rows("y", block[1]) if pair else x
    if len(x) != len(y):
        raise InputError(f"a block has {len(x)} rows of x and {len(y)} of y")
    return x, y


def _rows(name: str, value: Any) -> Float32Array:
    array = float32(name, value)
    return table(name, array, array.shape[1] if array.ndim == 2 else 1)


def _time_blocks(blocks: Iterator[Any]) -> TimeBlocks:
    def pairs() -> Iterator[Piece]:
        for block in blocks:
            pair = isinstance(block, tuple) and len(block) == 2
            parts = [_real("a block", part) for part in (block if pair else (block,))]
            if all(part.ndim in (2, 3) and part.shape[1] == 0 for part in parts):
                continue  # no rows, for example the end of a split stream
            x, y = _cube("a block", parts[0]), _cube("a block", parts[-1])
            yield x, y if pair else x

    checked = pairs()
    first = next(checked, None)
    if first is None:
        raise InputError("the generator of streams yielded nothing: expected blocks (n, t, I)")
    inputs, labels = first
    names = _channels("x", inputs.shape[2])
    labelled = names if labels is inputs else _channels("y", labels.shape[2])
    again = itertools.chain([(inputs, labels)], checked)
    looks = " ".join([array_print(part) for part in (inputs, labels)])
    return TimeBlocks(again, len(inputs), names, labelled, looks)
