"""A small learner, and the overhead of Python in the two calls of a sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from nbt_embed import Config, Learner, _kernel
from nbt_embed.config import Estimator
from tools.bench.clock import Spread, alternate
from tools.bench.headline import Stream, stream, usual
from tools.bench.native import library
from tools.bench.ours import Installed

ESTIMATORS: tuple[Estimator, ...] = ("nobacktrack", "unitwise")
STEPS = 4000


def config(estimator: Estimator) -> Config:
    """8 gated units, 3 inputs, 1 output."""
    return Config(3, 1, hidden=8, cell="gated", estimator=estimator)


# Whose pairs of calls are measured, by name.
PAIRS: dict[str, Config] = {
    "default learner, 16 units": usual(),
    **{f"8 gated units, {estimator}": config(estimator) for estimator in ESTIMATORS},
}


def step(estimator: Estimator, rounds: int) -> dict[str, Any]:
    """Nanoseconds per step in `run`, in turns with the headline's learner."""
    small, large = Installed.of(config(estimator)), Installed.of()
    short, long = stream(4 * STEPS, small.learner.config, signs=False), stream(STEPS, signs=False)
    small.run(short)
    large.run(long)
    ours, headline = alternate((lambda: small.run(short), lambda: large.run(long)), rounds)
    return {
        "estimator": estimator,
        "ns": asdict(Spread.of([1e9 * one / len(short) for one in ours])),
        "headline_ns": asdict(Spread.of([1e9 * one / len(long) for one in headline])),
    }


def c_pairs(learner: Learner, samples: Stream) -> Callable[[], None]:
    """Predict and learn every sample in C, by the machine code of the installed package."""
    ffi, lib = library("calls")
    predict, learn = (
        int(_kernel.ffi.cast("uintptr_t", _kernel.ffi.addressof(_kernel.lib, name)))
        for name in ("nbt_predict", "nbt_learn")
    )
    handle = ffi.cast("void *", int(_kernel.ffi.cast("uintptr_t", learner._handle)))
    y = np.zeros(samples.y.shape[1], np.float32)
    x, label, out = (ffi.from_buffer("float[]", part) for part in (samples.x, samples.y, y))
    widths = samples.x.shape[1], samples.y.shape[1]

    def work(_alive: Learner = learner) -> None:  # the address alone keeps no learner
        lib.call_pairs(predict, learn, handle, out, x, label, *widths, len(samples))

    return work


def python_pairs(learner: Learner, samples: Stream) -> Callable[[], None]:
    """The same from Python, a float32 array in hand for every sample."""
    rows = list(zip(samples.x, samples.y, strict=True))

    def work() -> None:
        predict, learn = learner.predict, learner.learn
        for x, y in rows:
            predict(x)
            learn(y)

    return work


def pinned_pairs(learner: Learner, samples: Stream) -> Callable[[], None]:
    """The same on the learner's own buffers; one number of each changes with every sample."""
    columns = list(zip(samples.x[:, 0].tolist(), samples.y[:, 0].tolist(), strict=True))

    def work() -> None:
        predict, learn = learner.predict, learner.learn
        x, label, out = learner.x, learner.label, learner.y
        for first, y in columns:
            x[0] = first
            label[0] = y
            predict(x, out)
            learn(label)

    return work


def pairs(name: str, rounds: int) -> dict[str, Any]:
    """Microseconds that Python adds to a pair of calls of one of PAIRS."""
    config_ = PAIRS[name]
    samples = stream(STEPS, config_, signs=False)
    works = [make(Learner(config_), samples) for make in (python_pairs, pinned_pairs, c_pairs)]
    for work in works:
        work()
    plain, pinned, c = ([1e6 * one / STEPS for one in times] for times in alternate(works, rounds))

    def above_c(python: list[float]) -> dict[str, Any]:
        return asdict(Spread.of([a - b for a, b in zip(python, c, strict=True)]))

    return {
        "name": name,
        "python_us": asdict(Spread.of(plain)),
        "pinned_us": asdict(Spread.of(pinned)),
        "c_us": asdict(Spread.of(c)),
        "added_us": above_c(plain),
        "pinned_added_us": above_c(pinned),
    }
