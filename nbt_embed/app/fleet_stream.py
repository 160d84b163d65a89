"""The series of a fleet's specification: simulated sensors or recordings, perturbed per device."""

from __future__ import annotations

import hashlib
import math
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed.app.fleet_spec import READ_KEYS, Spec, StreamSpec
from nbt_embed.app.options import ReadOptions
from nbt_embed.app.reading import read
from nbt_embed.app.source import STDIN, sources
from nbt_embed.app.spool import Folder
from nbt_embed.errors import ConfigError, InputError, StreamError
from nbt_embed.fleet.fingerprints import file_print
from nbt_embed.fleet.perturb import Perturbed
from nbt_embed.fleet.series import PIECE_ROWS, Piece, Series
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream

_KEPT = max(4, 2 * (os.cpu_count() or 1))  # recordings per process: at least one per thread
_TRIED = 10  # recordings that may be unreadable before the first readable one
_OPTION = re.compile(r"--(no-)?([a-z]+(?:-[a-z]+)*)")  # an option of `nbt-embed run` in a message
_MOST_SIMULATED = 1_000_000  # rows: seconds of work, and temporarily some hundred megabytes


@dataclass(frozen=True)
class Source:
    """The streams of a specification's devices.

    Attributes: series; clean, its recordings; recordings, the number that is used; classes, names
    of the classes of its target, or None; notes, sentences about the input.
    """

    series: Perturbed
    clean: Series
    recordings: int
    classes: tuple[str, ...] | None
    notes: tuple[str, ...]

    @property
    def link(self) -> str:
        """Link of the targets."""
        return "gaussian" if self.classes is None else "categorical"


def source_of(spec: Spec) -> Source:
    """Read what must be read first, and build the series. Errors: StreamError, ConfigError."""
    clean: Series
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    _check_files(spec.stream.paths)
    if not spec.stream.paths:
        recordings = (spec.devices or 1) if spec.stream.own else 1
        clean = Simulated(spec.stream, _clean_rows(spec), spec.seed, recordings)
    elif spec.stream.device_column is not None:
        clean = _by_column(spec.stream)
    else:
        recorded = Recorded(_files(spec.stream), spec.stream.read)
        clean, classes, notes = recorded, recorded.classes, recorded.notes
        if "device" in clean.input_names:
            notes = (*notes, "column 'device' is an input; device_column = 'device' in [stream] "
                     "makes it the name of the device, in Parquet")  # fmt: skip
    devices = spec.devices or clean.devices
    recordings = min(clean.devices, devices)
    if spec.devices is None and clean.devices == 1 and not spec.stream.own:
        raise spec.refused(
            (),
            "devices is missing: all devices share one recording, so the number of devices is "
            "unknown; set devices = 100, for instance",
        )
    given = clean if devices == clean.devices else Repeated(clean, devices)
    if classes is not None:
        targets: Any = "classes"
    else:
        targets = "clean" if spec.clean_targets else "perturbed"
    try:
        series = Perturbed(given, spec.perturbations, spec.seed, spec.rows, targets)
    except ConfigError as error:  # of channels; the message starts with the kind
        kind = str(error).partition(":")[0]
        raise spec.refused(("perturbations", kind), f"perturbations.{error}") from None
    return Source(series, clean, recordings, classes, notes)


def _clean_rows(spec: Spec) -> int:
    """Return the clean rows that suffice for every start and clock skew. Errors: ConfigError."""
    most = {one.kind: one.value.bounds[1] for one in spec.perturbations}
    skew = max(most.get("clock_skew", 0.0), 0.0) * 1e-6
    assert spec.rows is not None
    rows = math.ceil(most.get("start", 0.0)) + math.ceil(spec.rows * (1 + skew)) + 1
    if rows > _MOST_SIMULATED:
        raise spec.refused(
            ("rows",),
            f"rows = {spec.rows} with start up to {most.get('start', 0.0):.0f} needs {rows:,} rows "
            f"of the simulated sensor: expected at most {_MOST_SIMULATED:,}; name a file for more",
        )
    return rows


def _by_column(stream: StreamSpec) -> Series:
    from nbt_embed.fleet.parquet import ParquetSeries

    path = stream.paths[0]
    try:
        return ParquetSeries(
            Path(path).absolute(),
            device=stream.device_column,
            inputs=stream.read.inputs,
            targets=stream.read.targets,
            time=stream.read.time,
        )
    except FileNotFoundError:
        raise StreamError(f"{path}: no such file: check stream.source") from None
    except OSError as error:
        raise StreamError(f"{path}: cannot be read ({error.strerror or error})") from None


def _check_files(paths: Sequence[str]) -> None:
    """Refuse what can be read only once: standard input, pipes, devices. Errors: StreamError."""
    for path in paths:
        if Path(path).name == STDIN or (
            Path(path).exists() and not (Path(path).is_file() or Path(path).is_dir())
        ):
            raise StreamError(
                f"stream.source: {path}: is not a file, and a fleet reads its source more "
                "than once; write it to a file and name that"
            )


def _files(stream: StreamSpec) -> tuple[tuple[str, ...], ...]:
    """Return the files of each recording."""
    paths = tuple([str(Path(path).absolute()) for path in stream.paths])  # for workers elsewhere
    if not stream.own:
        return (paths,)
    with ExitStack() as stack:
        found, _ = sources(paths, Folder(stack).path)
        return tuple((str(one.path),) for one in found)


class Simulated(Series):
    """The simulated sensor, with one seed per recording.

    Args: stream, noise and missing; rows of each; seed of the first one; recordings.
    Cost: 4 µs per row, in Python, whenever a device starts or resumes.
    """

    def __init__(self, stream: StreamSpec, rows: int, seed: int, recordings: int) -> None:
        self._settings = (rows, stream.missing, stream.noise)
        self._seed, self.devices = seed, recordings
        self.input_names = self.target_names = self._load(0).input_names

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Lengths, all equal."""
        return np.broadcast_to(np.int64(self._settings[0]), self.devices)

    def pieces(self, device: int, start: int = 0) -> Iterator[Piece]:
        """As ``Series.pieces``."""
        return _pieces(self._load(device), start)

    def fingerprint(self) -> str:
        """Return the settings, which determine the samples."""
        return f"simulated {self._settings} {self._seed} {self.devices}"

    def only(self, devices: range) -> Series:  # noqa: ARG002  # nothing to leave behind
        """Return itself."""
        return self

    def _load(self, device: int) -> Stream:
        return _simulated(*self._settings, self._seed + device)


class Recorded(Series):
    """Recordings in files, read on demand; each process keeps the last few.

    Args: files, of each recording; options, how they are read. The first readable recording is read
    at once; the unreadable ones before it are refused with their devices.
    Attributes: classes, of this recording, or None; notes about it.
    Errors: StreamError; for a recording with other columns InputError.
    """

    def __init__(self, files: Sequence[tuple[str, ...]], options: ReadOptions) -> None:
        self._files, self._options, self.devices = tuple(files), options, len(files)
        self._first, (first, self.classes, self.notes) = self._readable()
        self.input_names, self.target_names = first.input_names, first.target_names

    def pieces(self, device: int, start: int = 0) -> Iterator[Piece]:
        """As ``Series.pieces``."""
        stream, classes, _ = _recording(self._files[device], self._options)
        for what, own, wanted in (
            ("inputs", stream.input_names, self.input_names),
            ("targets", stream.target_names, self.target_names),
            ("classes", classes, self.classes),
        ):
            if own != wanted:
                raise InputError(
                    f"{self.name(device)}: its {what} are {own}, and those of "
                    f"{self.name(self._first)} are {wanted}: name them in [stream.read]"
                )
        return _pieces(stream, start)

    def _readable(self) -> tuple[int, _Read]:
        """Return the number of the first readable recording, and its content."""
        for number, files in enumerate(self._files[:_TRIED]):
            try:
                return number, _recording(files, self._options)
            except (StreamError, InputError):
                pass
        return 0, _recording(self._files[0], self._options)  # raises

    def name(self, device: int) -> str:
        """Return the file name without its extension."""
        return Path(self._files[device][0]).name.partition(".")[0]

    def fingerprint(self) -> str:
        """Return the print of all files."""
        digest = hashlib.sha256(repr(self._options).encode())
        for name in (name for files in self._files for name in files):
            for path in sorted(Path(name).rglob("*")) if Path(name).is_dir() else [Path(name)]:
                if path.is_file():
                    digest.update(f"{path.name} {file_print(path)}\n".encode())
        return digest.hexdigest()

    def only(self, devices: range) -> Series:  # noqa: ARG002  # nothing to leave behind
        """Return itself, since it has only the names of files."""
        return self


class Repeated(Series):
    """More devices than recordings: device i has recording i modulo their number.

    Args: series, the recordings; devices.
    """

    def __init__(self, series: Series, devices: int) -> None:
        self._series, self.devices = series, devices
        self.input_names, self.target_names = series.input_names, series.target_names

    def pieces(self, device: int, start: int = 0) -> Iterator[Piece]:
        """As ``Series.pieces``."""
        return self._series.pieces(device % self._series.devices, start)

    def head(self, device: int) -> Piece:
        """As ``Series.head``."""
        return self._series.head(device % self._series.devices)

    def name(self, device: int) -> str:
        """Return the number of the device, with the name of the recording if that differs."""
        recordings = self._series.devices
        if recordings == 1:
            return str(device)
        name = self._series.name(device % recordings)
        return name if self.devices <= recordings else f"{device} {name}"

    def fingerprint(self) -> str:
        """Return the print of the recordings."""
        return f"{self.devices} {self._series.fingerprint()}"

    def only(self, devices: range) -> Series:  # noqa: ARG002  # recordings are files or seeds
        """Return itself."""
        return self


def _pieces(stream: Stream, start: int) -> Iterator[Piece]:
    for begin in range(start, len(stream), PIECE_ROWS):
        rows = slice(begin, begin + PIECE_ROWS)
        yield stream.inputs[rows], stream.targets[rows]


# One thread loads a recording while the others wait.
_lock = threading.Lock()


def _simulated(rows: int, missing: float, noise: float, seed: int) -> Stream:
    with _lock:
        return _simulate(rows, missing, noise, seed)


@lru_cache(maxsize=_KEPT)
def _simulate(rows: int, missing: float, noise: float, seed: int) -> Stream:
    return simulated_sensor(rows, seed, missing, noise)


_Read = tuple[Stream, "tuple[str, ...] | None", "tuple[str, ...]"]


def _recording(files: tuple[str, ...], options: ReadOptions) -> _Read:
    with _lock:
        try:
            return _read(files, options)
        except (StreamError, InputError) as error:
            raise type(error)(_in_words_of_the_spec(str(error))) from None


def _in_words_of_the_spec(text: str) -> str:
    """Replace options of ``nbt-embed run`` in a message by keys of [stream.read]."""

    def key(option: re.Match[str]) -> str:
        name = option[2].replace("-", "_")
        if name not in READ_KEYS:
            return option[0]
        return f"stream.read.{name}{' = false' if option[1] else ''}"

    return _OPTION.sub(key, text)


@lru_cache(maxsize=_KEPT)
def _read(files: tuple[str, ...], options: ReadOptions) -> _Read:
    with read(files, options) as recording:
        notes = [_in_words_of_the_spec(note) for note in recording.notes]
        if recording.segments > 1:
            notes.append(
                f"{recording.segments} segments follow one another: a fleet's learners are not "
                "reset between them"
            )
        return recording.stream(), recording.classes, tuple(notes)
