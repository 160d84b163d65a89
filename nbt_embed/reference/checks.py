"""A cell's own derivatives against finite differences of its step."""

from __future__ import annotations

import numpy as np

from nbt_embed.reference.arrays import Array
from nbt_embed.reference.cells import CELLS, Step
from nbt_embed.reference.differences import numeric_derivative
from nbt_embed.reference.jacobian import sum_rows


def check_cell(name: str, units: int = 3, points: int = 20, tolerance: float = 1e-6) -> None:
    """Compare gain and carry of a cell with central differences at random a, s and leaks.

        gain_k,r = d s'_k,unit(r) / d a_r       carry_k,i = d s'_k,i / d s_memory,i

    A unit's new state may depend on its own pre-activations and its own last part of the old state
    alone: what else a difference shows is an error too.

    Arguments: name, of a cell in ``CELLS``; units, H; points, how many (a, s, leak) are drawn;
    tolerance, the largest difference that passes, relative to 1 + the size of the derivative.
    Errors: ValueError for an unknown name, for what is no Step and for arrays of a wrong shape;
    AssertionError that says which derivative is wrong, of which gate, and by how much.
    Cost: 2 H (gates + parts) steps a point.
    """
    if name not in CELLS:
        raise ValueError(f"name is {name!r}: choose one of {tuple(CELLS)}, or enter it with @cell")
    cell, draw = CELLS[name], np.random.default_rng(0)
    rows, floats = cell.gates * units, cell.parts * units
    for _ in range(points):
        a, s = draw.normal(size=rows), draw.normal(size=floats)
        leak = draw.uniform(0.05, 0.95, units)
        step = cell.step(a, s, leak)
        _check_shapes(name, step, rows, floats, (cell.parts, units))

        def after_a(at: Array, s: Array = s, leak: Array = leak) -> Array:
            return cell.step(at, s, leak).state

        def after_s(at: Array, a: Array = a, leak: Array = leak) -> Array:
            return cell.step(a, at, leak).state

        own = sum_rows(np.eye(rows)[:, None, :] * step.gain, units)  # (R, S)
        memory = np.zeros((floats, floats))
        memory[-units:] = (step.carry[:, None, :] * np.eye(units)).swapaxes(0, 1).reshape(units, -1)
        for what, said, function, at in (
            ("gain", own, after_a, a),
            ("carry", memory, after_s, s),
        ):
            difference = numeric_derivative(function, at, 1e-5)
            off = np.abs(said - difference) / (1 + np.abs(difference))
            where = np.unravel_index(off.argmax(), off.shape)
            part, unit = divmod(int(where[0]), units)
            kind = "gate" if what == "gain" else "part of the state"
            assert off.max() <= tolerance, (
                f"cell {name!r}: {what} says {said[where]:.6g} where finite differences say "
                f"{difference[where]:.6g}, for {kind} {part} of unit {unit} and state float "
                f"{int(where[1])}"
            )


def _check_shapes(name: str, step: Step, rows: int, floats: int, memory: tuple[int, int]) -> None:
    """It is a step, and every array of it has its shape. Errors: ValueError that names it."""
    if not isinstance(step, Step):
        raise ValueError(
            f"cell {name!r} returns a {type(step).__name__}: return Step(state, gain, carry)"
        )
    parts = memory[0]
    for what, shape in (("state", (floats,)), ("gain", (parts, rows)), ("carry", memory)):
        found = np.shape(getattr(step, what))
        if found != shape:
            raise ValueError(f"cell {name!r}: {what} has shape {found}: return one of {shape}")
