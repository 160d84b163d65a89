"""Weights in common units, for federated averaging (docs/guide/federated.md).

A learner stores its readout in applied units, which follow the stream in steps (docs/design.md,
section 11). Two devices with the same law but different gains, offsets or histories therefore store
different numbers, and their mean has no meaning. These functions convert readouts to live units:
every channel minus its running mean, divided by its running deviation. Recurrent weights and head
use live units already and are copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbt_embed.arrays import Float32Array, float32
from nbt_embed.errors import ConfigError, InputError, InputTypeError, shown, similar
from nbt_embed.learner import Learner

READOUTS = ("readout", "slow", "linear")
"""Weights that forecast from the features; a learner has those of its configuration."""

WEIGHTS = ("theta", "head", *READOUTS)
"""All learnt weights: without covariances, noise levels, and the weights of the mixture."""

_Matrix = NDArray[np.float64]


def to_common(learner: Learner, names: Iterable[str] = WEIGHTS) -> dict[str, Float32Array]:
    """Return a learner's weights in common units, for averaging with those of other devices.

    With x' = a x + b the change of a channel from applied to live units (a = S/s, b = (M - m)/s)
    and a_o, b_o that of the output, anchored outputs with b_o = 0:

        V'_j = a_o V_j / a_j      V'_1 = a_o (V_1 - sum_j b_j V_j / a_j) + b_o

    a_j = 1 for features of the network. The devices need the same settings and the same
    ``Config.seed``, so that unit i of one corresponds to unit i of another.

    Args:
        learner: its weights are read; it is not changed.
        names: any of ``WEIGHTS``; those that the configuration leaves out are skipped.

    Returns: name -> float32 in the shape of ``Learner.array``, as many bytes.
    Errors: ConfigError (a name), InputTypeError. Cost: a copy of the arrays, some hundred
    microseconds.
    """
    _check_learner(learner)
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InputTypeError(f"names = {shown(names)}: expected several, such as ({WEIGHTS[0]!r},)")
    names = tuple(names)
    for name in names:
        _check_name(name)
    change, present = _to_live(learner), learner.arrays
    return {
        name: _moved(name, learner.array(name), change).astype(np.float32)
        for name in names
        if name in present
    }


def from_common(learner: Learner, weights: Mapping[str, ArrayLike]) -> None:
    """Replace a learner's weights by others in common units, such as a mean of ``to_common``.

    Covariances, noise levels, mixture and states stay, so the uncertainty of the next step does not
    change. The units of a channel are unknown before it has varied, and when they move in its first
    21 values, readouts are reset. A new device can take recurrent weights and head at once, and
    readouts after about 25 labels.

    Args:
        learner: receives the weights.
        weights: name (of ``WEIGHTS``) -> real numbers in the shape of ``Learner.array``.

    Errors: ConfigError (a name), InputError and InputTypeError as ``Learner.set_array``. The
    learner is then unchanged.
    """
    _check_learner(learner)
    if not isinstance(weights, Mapping):
        raise InputTypeError(
            f"weights = {shown(weights)}: expected a dictionary of names and arrays, as from "
            "to_common"
        )
    change = _to_live(learner).inverse()
    moved = {}
    for name, values in weights.items():
        _check_name(name)
        shape = learner.array(name).shape
        array = float32(name, values)
        if array.shape != shape:
            raise InputError(f"{name} has shape {array.shape}: expected {shape}")
        with np.errstate(invalid="ignore", over="ignore"):  # values that the learner then refuses
            moved[name] = _moved(name, array, change)
    before = {name: learner.array(name) for name in moved}
    try:
        for name, values in moved.items():
            learner.set_array(name, values)
    except InputError:
        for name, values in before.items():
            learner.set_array(name, values)
        raise


class _Change(NamedTuple):
    """Change x' = a x + b, per tap (I,) and per output (O,), and for an output's own taps (O,)."""

    tap_a: _Matrix
    tap_b: _Matrix
    out_a: _Matrix
    out_b: _Matrix
    anchor_b: _Matrix

    def inverse(self) -> _Change:
        return _Change(
            1 / self.tap_a,
            -self.tap_b / self.tap_a,
            1 / self.out_a,
            -self.out_b / self.out_a,
            -self.anchor_b / self.out_a,
        )


def _check_learner(learner: object) -> None:
    if not isinstance(learner, Learner):
        raise InputTypeError(f"learner = {shown(learner)}: expected a Learner")


def _check_name(name: str) -> None:
    if name not in WEIGHTS:
        expected = f"expected one of {', '.join(WEIGHTS)}"
        raise ConfigError(f"array {shown(name)}: {similar(name, WEIGHTS)}{expected}")


def _to_live(learner: Learner) -> _Change:
    """Return the change from applied to live units."""
    config = learner.config
    a, b = _channels(learner, "units", "input_scale", config.n_in)
    out_a, out_b = _channels(learner, "label_units", "label_scale", config.n_out)
    anchor = np.array([-1 if one is None else one for one in learner.anchor])
    anchored = anchor >= 0
    return _Change(
        tap_a=np.tile(a, config.lags or 1),
        tap_b=np.tile(b, config.lags or 1),
        out_a=np.where(anchored, a[anchor], out_a),
        out_b=np.where(anchored, 0.0, out_b),
        anchor_b=np.where(anchored, b[anchor], 0.0),
    )


def _channels(learner: Learner, units: str, scale: str, n: int) -> tuple[_Matrix, _Matrix]:
    """Return a and b of n channels; 1 and 0 for a channel that is not scaled or has not varied."""
    a, b = np.ones(n), np.zeros(n)
    if units not in learner.arrays:
        return a, b
    _, applied_mean, applied, *_ = learner.array(units).astype(np.float64)
    mean, variance = learner.array(scale).astype(np.float64)
    varies = (applied > 0) & (variance > 0)
    live = np.sqrt(variance[varies])
    a[varies] = applied[varies] / live
    b[varies] = (applied_mean - mean)[varies] / live
    return a, b


def _moved(name: str, weights: Float32Array, change: _Change) -> _Matrix:
    """Return weights in the units after a change."""
    moved = weights.astype(np.float64)
    if name not in READOUTS:
        return moved
    if name == "linear":  # [1; newest, ..., oldest] of the anchor, in the output's own units
        moved[:, 0] *= change.out_a
        moved[:, 0] += change.out_b - change.anchor_b * moved[:, 1:].sum(axis=1)
        return moved
    # taps precede the constant in [h; phi; x; 1], and follow it in [1; x; h; phi]
    taps, end = len(change.tap_a), moved.shape[1] - 1
    x, one = (slice(end - taps, end), end) if name == "readout" else (slice(1, 1 + taps), 0)
    moved *= change.out_a[:, np.newaxis]
    moved[:, x] /= change.tap_a
    moved[:, one] += change.out_b - moved[:, x] @ change.tap_b
    return moved
