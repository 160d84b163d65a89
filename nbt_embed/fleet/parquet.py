"""Samples of a fleet in Parquet: with a column that names the device, or one file per device."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nbt_embed._extras import needs
from nbt_embed.arrays import Float32Array
from nbt_embed.errors import InputTypeError, StreamError, shown, similar
from nbt_embed.fleet.fingerprints import file_print
from nbt_embed.fleet.series import PIECE_ROWS, Held, Piece, Series
from nbt_embed.fleet.store import is_part

with needs("streams in Parquet"):
    import polars as pl


class ParquetSeries(Series):
    """Devices in a Parquet file, or in a folder of such files, also hive partitions (device=7/...).

    With a column that names the device, a device has the rows with its name, in the order of the
    files (by name) and of their rows, or of ``time``. If the rows of every device are contiguous,
    as in partitions, one device is read at a time; if devices alternate, all samples are kept in
    memory. Without such a column every file is a device with the file's name; an unreadable file
    stops only its device. Results of a fleet, in a run directory below the folder, are skipped.

    Args:
        path: of a file or a folder.
        device: the column that names the device; None: "device" if it exists, else one file is one
            device.
        inputs: columns; None: all numbers but ``device`` and ``time``.
        targets: columns; None: the inputs.
        time: column by which the rows of every device are sorted; None: they are in order.

    Errors: StreamError names file and column; InputTypeError; FileNotFoundError; MissingExtraError
    (polars).
    """

    def __init__(
        self,
        path: str | Path,
        *,
        device: str | None = None,
        inputs: Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
        time: str | None = None,
    ) -> None:
        for what, names in (("inputs", inputs), ("targets", targets)):
            if isinstance(names, str):
                raise InputTypeError(
                    f"{what} = {shown(names)}: expected several, such as [{names!r}]"
                )
        self._folder, self._files = _files(Path(path))
        below = [part for file in self._files for part in file.relative_to(self._folder).parts[:-1]]
        self._hive = any("=" in part for part in below)
        self._above = _keys(self._folder.parts)
        if twice := self._above & _keys(below):
            raise StreamError(
                f"{self._folder}: a parent folder and the partitions both have a name with "
                f"{min(twice)}=: rename the folder, or move the partitions elsewhere"
            )
        with _reading(self._files[0] if device is None else path):
            schema = self._scan(self._files).collect_schema()
        if device is None and "device" in schema:
            device = "device"
        for name in (device, time, *(inputs or ()), *(targets or ())):
            if name is not None and name not in schema:
                raise StreamError(
                    f"{path}: no column {shown(name)}: {similar(name, schema)}expected one of "
                    f"{', '.join(schema)}"
                )
        numbers = [
            name
            for name, kind in schema.items()
            if (kind.is_numeric() or kind.is_(pl.Boolean)) and name not in (device, time)
        ]
        self.input_names = tuple(inputs or numbers)
        self.target_names = tuple(targets or self.input_names)
        for name in (*self.input_names, *self.target_names):
            if name not in numbers:
                raise StreamError(f"{path}: column {shown(name)} is {schema[name]}: no numbers")
        if not self.input_names:
            raise StreamError(f"{path}: no column of numbers: {', '.join(schema)}")
        self._time = time
        self._kept: tuple[Float32Array, Float32Array] | None = None  # all samples
        if device is None:
            self._names = [file.stem for file in self._files]
            self._count = np.array([self._rows_of(file) for file in self._files], np.int64)
            self._per_file = True
        else:
            self._per_file = False
            with _reading(path):
                self._find(device)
        self._key = device
        self.devices = len(self._names)
        self._begin = np.cumsum(self._count) - self._count
        self._first = 0  # number of the first device that this object has
        self._held = Held()

    def _find(self, device: str) -> None:
        """Find the rows of every device."""
        column = self._scan(self._files).select(device).collect()[device]
        if column.null_count():
            row = column.is_null().arg_max()
            raise StreamError(f"{self._files[0].parent}: column {device!r}, row {row}: no device")
        runs = column.rle().struct.unnest()
        if runs["value"].n_unique() < len(runs):
            kept = self._scan(self._files).sort(device, maintain_order=True).collect()
            runs = kept[device].rle().struct.unnest()
            if self._time:
                kept = kept.sort(device, self._time, maintain_order=True)
            self._kept = self._samples(kept.lazy())
        else:
            rows = [self._scan([file]).select(pl.len()).collect().item() for file in self._files]
            self._ends = np.cumsum(np.array(rows, np.int64))  # row after the last one of each file
        self._names = runs["value"].cast(pl.String).to_list()
        self._count = runs["len"].cast(pl.Int64).to_numpy()

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) rows of every device."""
        return self._count

    def name(self, device: int) -> str:
        """Return the value in the device column, or the file's name."""
        return self._names[device - self._first]

    def only(self, devices: range) -> Series:
        """As ``Series.only``."""
        part, own = copy.copy(self), slice(devices.start - self._first, devices.stop - self._first)
        part._names, part._count = self._names[own], self._count[own]
        part._begin, part._first = self._begin[own], devices.start
        if self._per_file:
            part._files = self._files[own]
        elif not self._kept:
            begin, end = int(part._begin[0]), int(part._begin[-1] + part._count[-1])
            files, before = self._holding(begin, end)
            part._files, part._ends = self._files[files], self._ends[files] - before
            part._begin = part._begin - before
        if self._kept:
            rows = slice(int(part._begin[0]), int(part._begin[-1] + part._count[-1]))
            inputs, labels = self._kept
            x = inputs[rows]
            part._kept = x, x if labels is inputs else labels[rows]
            part._begin = part._begin - part._begin[0]
        return part

    def pieces(self, device: int, start: int = 0) -> Iterator[Piece]:
        """As ``Series.pieces``."""
        inputs, labels = self.head(device)
        for begin in range(start, len(inputs), PIECE_ROWS):
            rows = slice(begin, begin + PIECE_ROWS)
            yield inputs[rows], labels[rows]

    def head(self, device: int) -> Piece:
        """The whole stream."""
        return self._held.get(device) or self._held.put(device, self._read(device))

    def _rows_of(self, file: Path) -> int:
        """Return the rows of a device's file; 0 if unreadable, since reading reports the reason."""
        try:
            with _reading(file):
                return int(self._scan([file]).select(pl.len()).collect().item())
        except StreamError:
            return 0

    def _read(self, device: int) -> Piece:
        place = device - self._first
        begin, count = int(self._begin[place]), int(self._count[place])
        if self._kept:
            inputs, labels = self._kept
            return inputs[begin : begin + count], labels[begin : begin + count]
        if self._per_file:
            file = self._files[place]
            with _reading(file):
                return self._samples(self._sorted(self._scan([file])))
        files, before = self._holding(begin, begin + count)
        with _reading(self._folder):
            scanned = self._scan(self._files[files])
            return self._samples(self._sorted(scanned.slice(begin - before, count)))

    def _holding(self, begin: int, end: int) -> tuple[slice, int]:
        """Return the files with the rows from begin to end, and the number of rows before them."""
        first = int(self._ends.searchsorted(begin, "right"))
        last = int(self._ends.searchsorted(end, "left"))
        return slice(first, last + 1), int(self._ends[first - 1]) if first else 0

    def _sorted(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.sort(self._time, maintain_order=True) if self._time else rows

    def fingerprint(self) -> str:
        """Return the size, time and ends of every file as a hash."""
        digest = hashlib.blake2b(digest_size=16)
        for file in self._files:
            name = file.relative_to(self._folder).as_posix()
            digest.update(f"{name} {file_print(file)}\n".encode())
        return f"{digest.hexdigest()} {self._key} {self._time}"

    def _scan(self, files: list[Path]) -> pl.LazyFrame:
        """Scan the rows of files; only folders below the given one are partitions."""
        rows = pl.scan_parquet(files, hive_partitioning=self._hive)
        return rows.drop(self._above) if self._hive else rows

    def _samples(self, rows: pl.LazyFrame) -> Piece:
        names = dict.fromkeys((*self.input_names, *self.target_names))
        read = rows.select([pl.col(name).cast(pl.Float32) for name in names]).collect()
        inputs = np.ascontiguousarray(read.select(self.input_names).to_numpy())
        if self.target_names == self.input_names:
            return inputs, inputs
        return inputs, np.ascontiguousarray(read.select(self.target_names).to_numpy())


@contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    """Convert errors of polars. Errors: StreamError names the path."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).strip().partition("\n")[0]
        raise StreamError(
            f"{path}: {reason}; every file has to be whole and to have the columns of the first, "
            "with numbers"
        ) from None


def _keys(folders: Iterable[str]) -> set[str]:
    """Return the keys of partitions: the text before "=" in names of folders."""
    return {folder.partition("=")[0] for folder in folders if "=" in folder}


def _files(path: Path) -> tuple[Path, list[Path]]:
    """Return the folder and its files. Errors: FileNotFoundError, StreamError."""
    path = path.absolute()
    if path.is_dir():
        files = sorted(file for file in path.rglob("*.parquet") if not is_part(file))
        if not files:
            raise StreamError(f"{path} holds no .parquet files")
        return path, files
    if not path.exists():
        raise FileNotFoundError(2, "No such file or folder", str(path))
    if path.suffix != ".parquet":
        raise StreamError(
            f"{path}: expected a .npy or .parquet file, or a folder of .parquet files"
        )
    return path.parent, [path]
