"""The cells, one step each: docs/design.md, section 2. A new one is entered with ``@cell``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbt_embed.reference.arrays import Array


@dataclass(frozen=True)
class Step:
    """One forward step of a cell and its derivatives.

    state (S): the new state. gain (parts, R): e, the derivative of the state of row r's unit with
    respect to a_r. carry (parts, H): its derivative with respect to the unit's old memory, the
    pre-activations held fixed.
    """

    state: Array
    gain: Array
    carry: Array


@dataclass(frozen=True)
class Cell:
    """A cell: its step of pre-activations (R), state (S) and leak (H), and what it needs.

    gates and parts: pre-activations and state floats of a unit. slow, fast: the gate whose sigmoid
    starts at 1 / tau, at 1 - 1 / tau. alone: its gates see no other unit's state.
    """

    step: Callable[[Array, Array, Array], Step]
    gates: int
    parts: int
    slow: int | None
    fast: int | None
    alone: bool


CELLS: dict[str, Cell] = {}


def cell(
    gates: int,
    parts: int = 1,
    slow: int | None = None,
    fast: int | None = None,
    *,
    alone: bool = False,
) -> Callable[[Callable[[Array, Array, Array], Step]], Callable[[Array, Array, Array], Step]]:
    """Enter a function into ``CELLS`` under its name."""

    def enter(step: Callable[[Array, Array, Array], Step]) -> Callable[..., Step]:
        CELLS[step.__name__] = Cell(step, gates, parts, slow, fast, alone)
        return step

    return enter


def sigmoid(a: Array) -> Array:
    """1 / (1 + exp(-a)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * a)


@cell(gates=1)
def tanh(a: Array, s: Array, _leak: Array) -> Step:
    """Plain cell: h <- tanh a."""
    h = np.tanh(a)
    return Step(h, gain=(1 - h**2)[None], carry=np.zeros((1, s.size)))


@cell(gates=1)
def leaky(a: Array, s: Array, leak: Array) -> Step:
    """Leaky cell: h <- (1 - k) h + k tanh a, k = 1 / tau fixed per unit."""
    g = np.tanh(a)
    h = (1 - leak) * s + leak * g
    return Step(h, gain=(leak * (1 - g**2))[None], carry=(1 - leak)[None])


@cell(gates=2, slow=0)
def gated(a: Array, s: Array, _leak: Array) -> Step:
    """Gated leaky cell: h <- (1 - z) h + z tanh a_c, z = sigmoid(a_z)."""
    a_z, a_c = a.reshape(2, -1)
    z, g = sigmoid(a_z), np.tanh(a_c)
    h = (1 - z) * s + z * g
    gain = np.concatenate([(g - s) * z * (1 - z), z * (1 - g**2)])
    return Step(h, gain=gain[None], carry=(1 - z)[None])


@cell(gates=4, parts=2, slow=0, fast=1)
def lstm(a: Array, s: Array, _leak: Array) -> Step:
    """Long short-term memory: c <- f c + i g, h = o tanh c."""
    a_i, a_f, a_g, a_o = a.reshape(4, -1)
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
    _, c_old = s.reshape(2, -1)
    c = f * c_old + i * g
    h = o * np.tanh(c)
    dh_dc = o * (1 - np.tanh(c) ** 2)
    dc_da = [g * i * (1 - i), c_old * f * (1 - f), i * (1 - g**2), np.zeros_like(o)]
    dh_da = [dh_dc * d for d in dc_da]
    dh_da[3] = np.tanh(c) * o * (1 - o)
    return Step(
        np.concatenate([h, c]),
        gain=np.array([np.concatenate(dh_da), np.concatenate(dc_da)]),
        carry=np.array([dh_dc * f, f]),
    )


@cell(gates=2, slow=0, alone=True)
def columnar(a: Array, s: Array, leak: Array) -> Step:
    """Gated cell whose gates see only their own unit: a_r = theta_r . [h_unit(r); x; 1]."""
    return gated(a, s, leak)


@cell(gates=2, alone=True)
def resonator(a: Array, s: Array, leak: Array) -> Step:
    """A layer without units that have gates: a and s are empty."""
    return gated(a, s, leak)


def with_input(h: Array, x: Array) -> Array:
    """[h; x; 1], (H + I + 1)."""
    return np.concatenate([h, x, [1.0]])


def seen_columns(cell_name: str, n_hidden: int, n_inputs: int) -> NDArray[np.int_]:
    """The place in u = [h; x; 1] of what each column of theta sees, (R, D)."""
    n_rows = CELLS[cell_name].gates * n_hidden
    if not CELLS[cell_name].alone:
        return np.tile(np.arange(n_hidden + n_inputs + 1), (n_rows, 1))
    own = np.arange(n_rows)[:, None] % max(n_hidden, 1)
    return np.hstack([own, np.tile(n_hidden + np.arange(n_inputs + 1), (n_rows, 1))])


def widened(theta: Array, columns: NDArray[np.int_], n_context: int) -> Array:
    """Write theta (R, D) as a matrix (R, H + I + 1) on all of u: 0 where a row does not look."""
    wide = np.zeros((len(theta), n_context), theta.dtype)
    np.put_along_axis(wide, columns, theta, axis=1)
    return wide
