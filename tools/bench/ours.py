"""Our side: the package as installed, and the same sources with the flags of the C peer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbt_embed import Config, Learner, _kernel, memory_of
from nbt_embed._kernel_config import kernel_config
from tools.bench.headline import CONFIG, Float32Array, Stream
from tools.bench.native import library


@dataclass(frozen=True)
class Installed:
    """`Learner.run` of the package as it is installed."""

    learner: Learner

    @classmethod
    def of(cls, config: Config = CONFIG) -> Installed:
        """A fresh one."""
        return cls(Learner(config))

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, O); goes on where the last call ended."""
        return self.learner.run(stream.x, stream.y, horizon=0)


@dataclass(frozen=True)
class OneByOne:
    """`predict` and `learn` of every sample on the caller's arrays, as a program on live data."""

    learner: Learner

    @classmethod
    def of(cls, config: Config) -> OneByOne:
        """A fresh one."""
        return cls(Learner(config))

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, O); goes on where the last call ended."""
        predict, learn = self.learner.predict, self.learner.learn
        out = []
        for x, y in zip(stream.x, stream.y, strict=True):
            out.append(predict(x))
            learn(y)
        return np.array(out)


class SameFlags:
    """`nbt_run` of csrc/ compiled as the plain loops of unfused.c are."""

    def __init__(self, config: Config = CONFIG) -> None:
        self.ffi, self.lib = library("kernel")
        given = bytes(_kernel.ffi.buffer(kernel_config(config)))
        struct = self.ffi.new("nbt_config *")
        self.ffi.buffer(struct)[:] = given
        memory = memory_of(config)
        raw = np.zeros(memory.total + 64, np.uint8)
        start = -(raw.ctypes.data + memory.header) % 64
        self.block = self.ffi.from_buffer(raw[start : start + memory.total])
        handle = self.ffi.new("nbt_learner **")
        if self.lib.nbt_init(self.block, memory.total, struct, handle):
            raise RuntimeError("nbt_init refused what the package accepts: rebuild the package")
        self.handle = handle[0]

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, O); goes on where the last call ended."""
        out = np.empty_like(stream.y)
        y, x, label = (self.ffi.from_buffer("float[]", part) for part in (out, stream.x, stream.y))
        done, rows = self.ffi.new("size_t *"), self.ffi.new("nbt_rows *", {"y": y})
        self.lib.nbt_run(self.handle, rows, x, label, len(stream), 0, done)
        return out
