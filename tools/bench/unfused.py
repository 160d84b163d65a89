"""The method in plain C loops (unfused.c), with the kernel's flags."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from tools.bench.headline import CONFIG, Float32Array, Numbers, Stream, initial_theta
from tools.bench.native import library


class Unfused:
    """A learner of the headline's kind. Arguments: further compiler flags.

    It draws its own signs: the kernel's. Errors: RuntimeError where it does not compile.
    """

    def __init__(self, *flags: str) -> None:
        ffi, self.lib = library("unfused", *flags)
        numbers = np.array(astuple(Numbers.of(CONFIG)), np.float32)
        theta = initial_theta()
        new = self.lib.unfused_new(
            CONFIG.n_in,
            CONFIG.hidden,
            CONFIG.n_out,
            CONFIG.seed,
            ffi.from_buffer("float[]", theta),
            ffi.from_buffer("float[]", numbers),
        )
        self.ffi, self.handle = ffi, ffi.gc(new, self.lib.unfused_free)

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, O); goes on where the last call ended."""
        out = np.empty_like(stream.y)
        x, y, forecast = (
            self.ffi.from_buffer("float[]", part) for part in (stream.x, stream.y, out)
        )
        self.lib.unfused_run(self.handle, forecast, x, y, len(out))
        return out
