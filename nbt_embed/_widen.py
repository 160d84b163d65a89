"""A learner that goes on with more input channels or more classes than it was built with.

The kernel's buffers have fixed sizes, so a wider learner is another one: built fresh, it takes over
every word of the checkpoint at the place where that word stands in the wider layout
(docs/reference/checkpoint.md). What a fresh learner has in the other places stays: random input
weights, priors without correlations, a readout of zeros. A new channel has been 0 so far.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nbt_embed.config import Config
from nbt_embed.errors import ConfigError
from nbt_embed.learner import Learner

_Places = NDArray[np.intp]

# Offsets in the header; of the counters with their bytes.
_PAYLOAD_OFFSET, _DIMENSIONS, _COUNTERS = 12, 28, ((160, 32), (212, 40), (280, 16))


def widened(learner: Learner, n_in: int, n_out: int) -> Learner:
    """A copy of the learner with more channels or classes; the first ones are those it had.

    With the new channels at 0 it forecasts what the learner did, up to rounding; of the classes it
    had, up to a common factor.

    Args:
        learner: stays as it is.
        n_in: input channels, at least the learner's.
        n_out: classes, at least the learner's; with other links than the categorical, as many.

    Errors: ConfigError. Cost: O(bytes).
    """
    old = learner.config
    if n_in < old.n_in or n_out < old.n_out or (n_out > old.n_out and old.link != "categorical"):
        raise ConfigError(
            f"n_in = {n_in}, n_out = {n_out}: the learner has {old.n_in} and {old.n_out}; inputs "
            "can be added, outputs only with the categorical link, and none can be removed"
        )
    new = replace(old, n_in=n_in, n_out=n_out)
    before, after = learner.to_bytes(), bytearray(Learner(new).to_bytes())
    for offset, size in _COUNTERS:
        after[offset : offset + size] = before[offset : offset + size]
    a, b = _Sizes(old, before), _Sizes(new, after)
    source = np.frombuffer(before, "<u4", offset=a.offset)[:-1]
    target = np.frombuffer(after, "<u4", offset=b.offset)[:-1]
    read = written = 0
    # Other links keep the order [h; phi; x; 1] while all channels are taken as they are.
    mixed = old.follow and (old.link == "gaussian" or bool((learner.array("units")[2] != -1).any()))
    for places, size in _payload(a, b, mixed):
        target[written + places] = source[read : read + len(places)]
        read, written = read + len(places), written + size
    if (read, written) != (len(source), len(target)):
        raise AssertionError("the payload does not have the layout of docs/reference/checkpoint.md")
    if old.slow_forget:  # a row of U or a column that the next part of a label starts from
        at = target[written - (2 * b.F + b.O + 3) :][1:2].view("<f4")
        at[0] = np.append(_before(a, b), b.F)[int(at[0])]
    struct.pack_into("<I", after, len(after) - 4, zlib.crc32(memoryview(after)[:-4]))
    return Learner.from_bytes(after)


class _Sizes:
    """What the shapes in a checkpoint depend on, in the symbols of docs/reference/checkpoint.md."""

    def __init__(self, config: Config, checkpoint: bytes | bytearray) -> None:
        self.config, self.n_in, self.O = config, config.n_in, config.n_out
        (self.offset,) = struct.unpack_from("<I", checkpoint, _PAYLOAD_OFFSET)
        self.S, self.R, self.D, self.N = struct.unpack_from("<4I", checkpoint, _DIMENSIONS)
        self.taps = config.n_in * (config.lags or 0)
        self.Z = config.hidden + (config.resonators or 0) + self.taps + 1
        self.Q = config.head or 0
        self.F = self.Z + self.Q


# A part of the payload: where its words stand in the wider one, and how many that has.
_Part = tuple[_Places, int]


def _payload(a: _Sizes, b: _Sizes, mixed: bool) -> Iterator[_Part]:
    """The parts of the payload in their order, from the sizes a to the sizes b.

    Args:
        a: of the learner.
        b: of the wider one.
        mixed: whether the covariance of the readout has the order [1; x; h; phi].
    """
    config, real, follow = a.config, a.config.link == "gaussian", a.config.follow
    estimator, quasi = config.estimator, config.filter == "kalman_quasi"
    directed = estimator in ("nobacktrack", "residual", "unitwise")
    learning, kalman = estimator != "frozen", config.filter != "sgd"
    lags, delay, linear = config.lags or 0, config.max_delay, config.linear_lags or 0
    columns, features = _behind(a, b, a.D), _behind(a, b, a.F)
    rows = [_table(a.R, columns, b.R, b.D)]
    readout = [_table(a.O, features, b.O, b.F)]
    factor = [_factor(_before(a, b) if mixed else features, b.F)]
    head = [_table(a.Q, _behind(a, b, a.Z), b.Q, b.Z)]
    copied = config.rollback_steps > 0

    def samples(count: int) -> _Part:
        return _table(count, np.arange(a.n_in), count, b.n_in)

    yield _same(6)  # generator, forecasts that wait, column
    yield from rows + readout + rows * directed
    yield _same(a.N * a.S * directed)
    yield from rows * (estimator in ("snap1", "residual", "unitwise"))
    yield _same((1 + 2 * config.hidden) * (estimator == "residual"))
    if estimator == "rtrl":
        yield _table(a.S * a.R, columns, b.S * b.R, b.D)
    yield from rows * (learning and kalman) + rows * (learning and quasi) + factor * kalman
    yield _same(2 * a.O * real + 2 * a.S + config.hidden * (config.cell == "leaky"))
    yield samples(delay + lags)
    yield samples(3)
    yield _same(3 * a.O * real)
    yield _same(7)  # from 1.1 on: quarantine, the copy, the watch, when it opened
    yield samples(2)
    yield _same(2 * a.O * real)
    if copied:
        yield from rows * learning + rows * (learning and kalman) + rows * (learning and quasi)
        yield from readout + factor * kalman
        yield _same(2 * a.O * real)
        yield samples(3)
        yield _same(3 * a.O * real)
    if follow:  # from 1.2 on
        yield samples(delay + max(lags, linear))
        yield samples(6)
    yield _same(_of_outputs(config))
    if config.slow_forget:
        yield _table(a.O, _before(a, b), b.O, b.F)
        yield _factor(_before(a, b), b.F)
        yield _same(2 * a.O)
    yield _same(a.O * ((linear + 1) + (linear + 1) * (linear + 2) // 2 + 2) * (linear > 0))
    yield from head + head * kalman  # from 1.3 on
    yield _same(2 * (config.resonators or 0) * (estimator == "snap1"))
    yield from (head + head * kalman) * copied
    levels = config.intervals or 0  # from 1.4 on
    yield _same((levels + a.O * (3 + 2 * levels + 8)) * (levels > 0))
    yield _same((27 + 1) * a.O * bool(config.anomaly))
    if config.slow_forget:  # from 1.5 on: a label that is kept, and one under way (csrc/nbt_rls.h)
        yield _same(1 + a.O)
        yield _table(1, _before(a, b), 1, b.F)
        yield _same(3 + a.O)
        yield _table(2, _before(a, b), 2, b.F)


def _of_outputs(config: Config) -> int:
    """Words of what only outputs have, from the units of the labels to the mixture."""
    outputs, levels = config.n_out, config.intervals or 0
    experts = 2 + bool(config.linear_lags) + bool(config.slow_forget)
    waiting = 1 if config.anchored else 0
    if config.mix_forget:
        waiting = experts + 1
    elif levels or config.anomaly:
        waiting = 2
    waiting += 1 + 2 * levels if levels else 0
    words = 6 * (config.follow and config.link == "gaussian") + bool(config.anchored)
    words += (config.max_delay + 1) * waiting
    return outputs * (words + (3 * experts + 3) * bool(config.mix_forget))


def _same(words: int) -> _Part:
    return np.arange(words), words


def _table(rows: int, columns: _Places, new_rows: int, width: int) -> _Part:
    """A row-major matrix whose columns stand at these places of wider rows."""
    places = np.arange(rows)[:, np.newaxis] * width + columns
    return places.ravel(), new_rows * width


def _factor(features: _Places, width: int) -> _Part:
    """Packed columns of U, each with its d, whose features stand at these places."""
    places = [np.append(features[:j], at) + at * (at + 1) // 2 for j, at in enumerate(features)]
    return np.concatenate(places), width * (width + 1) // 2


def _taps(a: _Sizes, b: _Sizes) -> _Places:
    """Places of the inputs, newest sample first."""
    return _table(a.config.lags or 0, np.arange(a.n_in), b.config.lags or 0, b.n_in)[0]


def _behind(a: _Sizes, b: _Sizes, width: int) -> _Places:
    """Places of what ends with the inputs and the bias: [...; x; 1]."""
    before = width - a.taps - 1
    return np.concatenate([np.arange(before), before + _taps(a, b), [before + b.taps]])


def _before(a: _Sizes, b: _Sizes) -> _Places:
    """Places of [1; x; h; phi]."""
    return np.concatenate([[0], 1 + _taps(a, b), 1 + b.taps + np.arange(a.F - a.taps - 1)])
