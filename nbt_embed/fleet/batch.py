"""Many learners in few blocks of memory."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed._kernel import ffi, lib
from nbt_embed._kernel_config import (
    anchor_of,
    kernel_config,
    memory_of,
    status_text,
    tell,
)
from nbt_embed._selfcheck import warn_of_floats
from nbt_embed.arrays import integer
from nbt_embed.config import Config, Link, changed
from nbt_embed.errors import CheckpointError, ConfigError, InputError, InputTypeError, shown
from nbt_embed.learner import Learner

_CACHE_LINE, _WORD = 64, 8  # bytes: for speed; the kernel's alignment
_SPARE = 0.04  # share of a row that may be lost to its alignment
_MAGIC = b"NBTBATCH"
_HEADER = struct.Struct("<8sQQ")  # magic, version, learners
_VERSION, _DIGEST = 1, 16  # bytes at the end: a checksum of all before them
_ENTRY = np.dtype([("bytes", "<u8"), ("no_anchor", "<u8")])  # per learner, after the header


class Batch:
    """n learners, in one block of memory per distinct size, one row per learner.

    ``batch[i]`` is a new ``Learner`` object over row i. The row contains its whole state, so the
    object may be dropped between any two calls. The learner has the bits of
    ``Learner(configs[i])``.

    Examples:
        >>> from dataclasses import replace
        >>> config = Config(1, 1, hidden=4)
        >>> batch = Batch([replace(config, seed=seed) for seed in range(100)])
        >>> forecast = batch[7].run([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], horizon=1)
        >>> lone = Learner(replace(config, seed=7))
        >>> lone.run([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], horizon=1).tobytes() == forecast.tobytes()
        True
        >>> batch[7].hash() == lone.hash()
        True

    Threads may use different rows at the same time. Two learners over the same row are not
    protected from each other: use them from one thread.

    Args:
        configs: one per learner; a sequence that creates them on access costs no memory.

    Errors: ConfigError names the learner and the field. Cost: O(n NBT_BYTES); memory at most 5 %
    more than that.
    """

    def __init__(self, configs: Sequence[Config]) -> None:
        if not isinstance(configs, Sequence):
            raise InputTypeError(f"configs = {shown(configs)}: expected a sequence of Configs")
        self._reserve(len(configs))
        warn_of_floats("init")
        sizes = np.zeros(len(configs), np.int64)
        for i, config in enumerate(configs):
            if not isinstance(config, Config):
                raise InputTypeError(f"configs[{i}] = {shown(config)}: expected a Config")
            sizes[i] = self._note(i, config)
        self._allocate(sizes)
        structs = [kernel_config(config) for config in self._templates]
        handle = ffi.new("nbt_learner **")
        for i in range(len(configs)):
            kind = self._kind[i]
            structs[kind].seed = int(self._seed[i])
            row = self._row(i)
            memory = ffi.from_buffer(row, require_writable=True)
            status = lib.nbt_init(memory, row.nbytes, structs[kind], handle)
            if status != lib.NBT_OK:
                raise ConfigError(f"configs[{i}]: {status_text(status)}")
            tell(self._templates[kind], handle[0])

    def _reserve(self, n: int) -> None:
        self._templates: list[Config] = []  # the distinct configurations, with seed 0
        self._places: dict[tuple[Any, ...], int] = {}
        self._sizes: list[int] = []  # bytes of each
        self._kind = np.zeros(n, np.uint32)
        self._seed = np.zeros(n, np.uint64)
        self._decided = np.zeros(n, np.bool_)  # whether the anchor has been searched

    def _note(self, i: int, config: Config) -> int:
        """Store the configuration of learner i, and return the learner's bytes."""
        values = vars(config)
        key = tuple([value for name, value in values.items() if name != "seed"])
        kind = self._places.get(key)
        if kind is None:
            try:
                size = memory_of(config).total
            except ConfigError as error:
                raise ConfigError(f"configs[{i}]: {error}") from None
            kind = self._places[key] = len(self._templates)
            self._templates.append(changed(config, seed=0))
            self._sizes.append(size)
        if not 0 <= config.seed < 1 << 64:
            raise ConfigError(f"configs[{i}]: seed = {shown(config.seed)}: expected 0..2^64 - 1")
        self._kind[i], self._seed[i] = kind, config.seed
        return self._sizes[kind]

    def _allocate(self, sizes: NDArray[np.int64]) -> None:
        """Allocate one block per size; ``_place`` is the row of each learner in its block."""
        self._blocks: dict[int, NDArray[np.uint8]] = {}
        self._place = np.zeros(len(sizes), np.uint32)
        for size in np.unique(sizes).tolist():
            which = np.flatnonzero(sizes == size)
            self._place[which] = np.arange(len(which), dtype=np.uint32)
            kind = int(self._kind[which[0]])
            header = memory_of(self._templates[kind]).header
            self._blocks[size] = _block(len(which), size, header)

    def _row(self, i: int) -> NDArray[np.uint8]:
        size = self.bytes_of(i)
        row: NDArray[np.uint8] = self._blocks[size][self._place[i], :size]
        return row

    def __len__(self) -> int:
        """Learners, n."""
        return len(self._kind)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays of the batch."""
        notes = (self._kind, self._seed, self._place, self._decided)
        return sum([block.nbytes for block in self._blocks.values()]) + sum(
            [array.nbytes for array in notes]
        )

    def __getitem__(self, i: int) -> Learner:
        """The learner over row i. Errors: IndexError, InputTypeError. Cost: some 20 µs."""
        i = integer("i", i)
        if not -len(self) <= i < len(self):
            raise IndexError(f"batch[{i}]: it has {len(self)} learners")
        i %= len(self)
        template, row = self._templates[self._kind[i]], self._row(i)
        config = changed(template, seed=int(self._seed[i]))
        learner = Learner._over(config, row)
        if template.anchor is None:
            learner._config = changed(config, anchor=anchor_of(template, learner._handle))
        learner._decided = bool(self._decided[i])
        return learner

    def find_anchor(self, i: int, X: ArrayLike, Y: ArrayLike, *, horizon: int) -> None:
        """Call ``Learner.find_anchor`` of learner i; no later ``run`` searches again."""
        self[i].find_anchor(X, Y, horizon=horizon)
        self._decided[i] = True

    @property
    def seeds(self) -> NDArray[np.uint64]:
        """(n,) seeds of the configurations."""
        return self._seed.copy()

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of outputs of the distinct configurations."""
        return tuple([config.n_out for config in self._templates])

    def link(self, i: int) -> Link:
        """The link of learner i."""
        return self._templates[int(self._kind[i])].link

    def bytes_of(self, i: int) -> int:
        """Bytes of learner i, ``NBT_BYTES`` of its configuration."""
        return self._sizes[int(self._kind[i])]

    def to_bytes(self) -> bytes:
        """Return the checkpoints of all learners, in order.

        Errors: CheckpointError (a learner with a number that is not finite). Cost: O(bytes).
        """
        entries, pieces = np.zeros(len(self), _ENTRY), []
        for i in range(len(self)):
            learner = self[i]
            pieces.append(learner.to_bytes())
            anchor = learner.config.anchor
            none = anchor is not None and all(one is None for one in anchor)
            entries[i] = len(pieces[-1]), none
        header = _HEADER.pack(_MAGIC, _VERSION, len(self))
        data = b"".join([header, entries.tobytes(), *pieces])
        return data + _digest(data)

    @classmethod
    def from_bytes(cls, data: bytes) -> Batch:
        """Return the batch of a checkpoint; it continues with the bits of the saved one.

        Errors: CheckpointError names the learner and what is wrong with its bytes.
        """
        warn_of_floats("load")
        try:
            data = bytes(memoryview(data))
        except TypeError:
            raise InputTypeError(f"data is {type(data).__name__}: expected bytes") from None
        entries, pieces = _taken_apart(data)
        self = cls.__new__(cls)
        self._reserve(len(entries))
        sizes = np.zeros(len(entries), np.int64)
        for i, piece in enumerate(pieces):
            try:
                config = Learner.from_bytes(piece).config
            except CheckpointError as error:
                raise CheckpointError(f"learner {i}: {error}") from None
            none = bool(entries["no_anchor"][i]) and config.anchored
            anchor = (None,) * config.n_out if none else None  # the checkpoint contains the anchors
            sizes[i] = self._note(i, changed(config, anchor=anchor))
        self._allocate(sizes)
        handle = ffi.new("nbt_learner **")
        for i, piece in enumerate(pieces):
            row, buffer = self._row(i), ffi.from_buffer("unsigned char[]", piece)
            memory = ffi.from_buffer(row, require_writable=True)
            lib.nbt_load(memory, row.nbytes, buffer, len(piece), handle)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as a checkpoint."""
        return Batch.from_bytes, (self.to_bytes(),)


def _taken_apart(data: bytes) -> tuple[NDArray[Any], list[bytes]]:
    """Split a checkpoint into entries and learners' checkpoints. Errors: CheckpointError."""
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        raise CheckpointError(f"{len(data)} bytes: not a checkpoint of a batch")
    _, version, n = _HEADER.unpack_from(data)
    if version != _VERSION:
        raise CheckpointError(f"version {version} of a batch: this package supports {_VERSION}")
    if _digest(data[:-_DIGEST]) != data[-_DIGEST:]:
        raise CheckpointError(f"{len(data)} bytes: damaged or cut off; use an earlier checkpoint")
    begin = _HEADER.size + n * _ENTRY.itemsize
    entries = np.frombuffer(data, _ENTRY, n, _HEADER.size)
    pieces = []
    for length in entries["bytes"].tolist():
        pieces.append(data[begin : begin + length])
        begin += length
    return entries, pieces


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _block(n: int, size: int, header: int) -> NDArray[np.uint8]:
    """Return n zeroed rows, aligned to cache lines where that costs little.

    Errors: InputError without enough memory.
    """
    unit = _CACHE_LINE if -size % _CACHE_LINE <= _SPARE * size else _WORD
    stride = size + -size % unit
    try:
        raw = np.zeros(n * stride + _CACHE_LINE, np.uint8)
    except (MemoryError, ValueError):
        raise InputError(
            f"{n} learners of {size} bytes: {n * stride / 1e9:.3g} GB of memory are not free; "
            "simulate fewer at once, or pass streams that can be read device by device"
        ) from None
    address = int(ffi.cast("uintptr_t", ffi.from_buffer(raw)))
    start = -(address + header) % _CACHE_LINE
    return raw[start : start + n * stride].reshape(n, stride)
