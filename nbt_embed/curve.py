"""How the error of a model falls while it learns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nbt_embed._html import html_table
from nbt_embed.arrays import Float32Array, Float64Array, integer
from nbt_embed.errors import InputError

PIECES = 100  # of a curve, where its caller does not say


@dataclass(frozen=True, eq=False)
class Curve:
    """Errors against rows: a learning curve.

    Attributes:
        rows: (n,), number of rows of the stream at the end of each piece.
        every, window: rows between two values, and rows that each value covers.
        rmse: (n, n_out), of the forecasts whose targets lie in the window, the targets' units; NaN
            where none is scored.
        last_value: (n, n_out), the same for the last value as forecast.
        mean_squares: (n_out,), mean squared error over all scored rows.
    """

    rows: NDArray[np.intp]
    every: int
    window: int
    rmse: Float64Array = field(repr=False)
    last_value: Float64Array = field(repr=False)
    mean_squares: Float64Array = field(repr=False)

    @property
    def ratio(self) -> Float64Array:
        """(n,) geometric mean over the targets of rmse / last_value; NaN where one has no value."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.exp(np.log(self.rmse / self.last_value).mean(axis=1)))

    def _repr_html_(self) -> str:
        shown = np.unique(np.linspace(0, len(self.rows) - 1, 10).astype(int))
        rows = {
            f"to row {self.rows[place]:,}": ", ".join(f"{one:.4g}" for one in self.rmse[place])
            + f"; {self.ratio[place]:.3g} of the last value's"
            for place in shown.tolist()
        }
        return html_table(f"Curve, RMSE of each target over {self.window:,} rows", rows)


def curve(
    predictions: Float32Array,
    truths: Float32Array,
    targets: Float32Array,
    horizon: int,
    every: int | None,
    window: int | None,
) -> Curve:
    """The learning curve of forecasts.

    Args:
        predictions: (T, n_out), row t forecasts target row t + horizon.
        truths: (T, n_out), NaN where nothing is scored.
        targets: (T, n_out), NaN where missing.
        horizon: h.
        every: rows of a piece, from 1; None: a hundredth of the stream.
        window: rows that each value looks back on, a multiple of ``every``; None: one piece.

    Errors: InputError, InputTypeError.
    """
    rows, n_out = targets.shape
    every = max(rows // PIECES, 1) if every is None else integer("every", every)
    window = every if window is None else integer("window", window)
    if every < 1:
        raise InputError(f"every = {every}: expected 1 row or more")
    if window < every or window % every:
        raise InputError(f"window = {window}: expected a multiple of every = {every}")
    off = np.full((rows, n_out), np.nan)
    naive = np.full((rows, n_out), np.nan)
    made, truth = predictions[: rows - horizon].astype(float), truths[horizon:]
    made[np.isnan(made)] = np.inf  # no forecast, from a learner that diverged
    off[horizon:] = made - truth
    naive[max(horizon, 1) :] = _held(targets)[: rows - max(horizon, 1)]
    naive -= np.where(np.isnan(off), np.nan, targets)
    starts = np.arange(0, rows, min(every, rows))
    squares, counts = _sums(off, starts)
    total = np.nansum(off**2, axis=0) / np.maximum((~np.isnan(off)).sum(axis=0), 1)
    return Curve(
        np.append(starts[1:], rows),
        every,
        window,
        _roots(squares, counts, window // every),
        _roots(*_sums(naive, starts), window // every),
        total,
    )


def _held(values: Float32Array) -> Float32Array:
    """(T, n_out), the last value that was there; NaN before any."""
    there = np.where(np.isnan(values), -1, np.arange(len(values))[:, None])
    last = np.maximum.accumulate(there, axis=0)
    held = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    return np.where(last < 0, np.float32(np.nan), held)


def _sums(errors: Float64Array, starts: NDArray[np.intp]) -> tuple[Float64Array, Float64Array]:
    """Sum of the squares, and their number, of each piece, (n, n_out)."""
    known = ~np.isnan(errors)
    squares = np.where(known, errors, 0.0) ** 2
    return np.add.reduceat(squares, starts), np.add.reduceat(known.astype(float), starts)


def _roots(squares: Float64Array, counts: Float64Array, pieces: int) -> Float64Array:
    """Root mean squares over the last pieces, fewer at the beginning; NaN where nothing counts."""
    for sums in (squares, counts):
        added = sums.copy()
        for back in range(1, min(pieces, len(sums))):
            added[back:] += sums[:-back]
        sums[:] = added
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(squares / counts))
