"""The baseline: truncated backpropagation through time (bptt.c), tuned on seeds of its own."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI
from numpy.typing import NDArray

from nbt_embed import Learner
from nbt_embed._build import declarations
from tools.bench.native import compile_library

HERE = Path(__file__).resolve().parent
Float64Array = NDArray[np.float64]


@cache
def library() -> tuple[FFI, Any]:
    """bptt.c, compiled for this machine. Errors: RuntimeError."""
    ffi = FFI()
    ffi.cdef(declarations((HERE / "bptt.h").read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "bptt.so"
        compile_library((str(HERE / "bptt.c"),), target)
        return ffi, ffi.dlopen(str(target))


@dataclass(frozen=True)
class Backpropagation:
    """What bptt.h calls its settings.

    Attributes: span (steps that a loss goes back, at most), stride (symbols between two changes of
    the weights), adam (else SGD), rate, fall (rate / sqrt(1 + symbols / fall)), clip (longest
    gradient).
    """

    span: int
    stride: int
    adam: bool
    rate: float
    fall: float
    clip: float = 1.0

    def learn(
        self, weights: Float64Array, n_symbols: int, text: NDArray[Any], block: int
    ) -> Float64Array:
        """Mean bits of every block of symbols; weights (2 H + O, H + O + 1) are moved.

        Errors: MemoryError; ValueError for weights of another shape, or symbols beyond O.
        """
        ffi, lib = library()
        rows, columns = weights.shape
        hidden = columns - n_symbols - 1
        if rows != 2 * hidden + n_symbols or text.min() < 0 or text.max() >= n_symbols:
            raise ValueError(
                f"weights of shape {weights.shape} and symbols {text.min()} to {text.max()}: "
                f"with n_symbols = {n_symbols} expected (2 H + {n_symbols}, H + {n_symbols + 1}) "
                f"and 0 to {n_symbols - 1}"
            )
        settings = ffi.new("bptt_settings *")
        settings.symbols, settings.hidden = n_symbols, hidden
        for name in ("span", "stride", "rate", "fall", "clip"):
            setattr(settings, name, getattr(self, name))
        settings.adam = int(self.adam)
        symbols = np.ascontiguousarray(text, np.int32)
        steps = len(symbols) - 1
        loss = np.empty(steps // block)
        if not lib.bptt_learn(
            settings,
            ffi.from_buffer("double[]", weights),
            ffi.from_buffer("int32_t[]", symbols),
            steps,
            block,
            ffi.from_buffer("double[]", loss),
        ):
            raise MemoryError(f"bptt_learn: no memory for a span of {self.span} steps")
        return np.asarray(loss / np.log(2))


def initial_weights(n_symbols: int, hidden: int, seed: int) -> Float64Array:
    """The gated learner's own initial theta, over a readout of zeros, (2 H + O, D)."""
    learner = Learner(
        n_symbols, n_symbols, hidden=hidden, cell="gated", link="categorical", seed=seed
    )
    theta = learner.array("theta").astype(np.float64)
    return np.vstack([theta, np.zeros((n_symbols, theta.shape[1]))])


def bytes_held(n_symbols: int, hidden: int, settings: Backpropagation) -> int:
    """Float32 bytes: weights, gradient, Adam's moments; state, and of every step of the span.

    A step of the span is four vectors (state before, gate, candidate, slope) and its symbol.
    """
    weights = (2 * hidden + n_symbols) * (hidden + n_symbols + 1)
    copies = 4 if settings.adam else 2
    return 4 * (copies * weights + hidden + settings.span * (4 * hidden + 1))
