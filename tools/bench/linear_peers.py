"""Linear forecasters on lags, as their users write them: river, NumPy, SciPy's BLAS; one thread.

All see [x(t); ...; x(t-L+1); 1] of the L = 10 lags that the learner's own linear forecast has. The
rows of lags are put together before the clock starts, as dictionaries for river.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tools.bench.headline import USUAL_INPUTS, Float32Array, Stream

LAGS = 10
FORGET = 0.999  # as linear_forget of the learner
START = 100.0  # variance of the weights before the first sample


def lagged(x: Float32Array) -> Float32Array:
    """(T, I) to (T, I LAGS), newest first; 0 before the first sample."""
    padded = np.concatenate([np.zeros((LAGS - 1, x.shape[1]), x.dtype), x])
    return np.concatenate([padded[LAGS - 1 - k : len(padded) - k] for k in range(LAGS)], axis=1)


class _OnLags:
    """Keeps what it has made of the stream that it saw last."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._rows: list[Any] = []
        self._labels: list[float] = []

    def _made(self, stream: Stream) -> tuple[list[Any], list[float]]:
        if self._stream is not stream:
            self._rows = self._row_list(lagged(stream.x))
            self._labels, self._stream = stream.y[:, 0].tolist(), stream
        return self._rows, self._labels

    def _row_list(self, rows: Float32Array) -> list[Any]:
        with_one = np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)
        return list(with_one.astype(np.float64))


class RiverPeer(_OnLags):
    """``LinearRegression`` of river; scaled: behind its ``StandardScaler``, as on its pages."""

    def __init__(self, scaled: bool) -> None:
        from river import linear_model, preprocessing

        super().__init__()
        model = linear_model.LinearRegression()
        self.model: Any = preprocessing.StandardScaler() | model if scaled else model

    def _row_list(self, rows: Float32Array) -> list[Any]:
        names = [f"x{i}_{k}" for k in range(LAGS) for i in range(rows.shape[1] // LAGS)]
        return [dict(zip(names, row, strict=True)) for row in rows.tolist()]

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, 1); goes on where the last call ended."""
        rows, labels = self._made(stream)
        forecast, learn = self.model.predict_one, self.model.learn_one
        out = []
        for row, label in zip(rows, labels, strict=True):
            out.append(forecast(row))
            learn(row, label)
        return np.array(out, np.float32)[:, None]


class NumpyRls(_OnLags):
    """Recursive least squares in float64; float32 takes as long at this size.

    k = P u / (lambda + u P u), w += k (y - w u), P = (P - k (P u)) / lambda. Of several
    formulations the fastest: methods of arrays instead of functions and operators, products into
    arrays that are there.
    """

    def __init__(self) -> None:
        super().__init__()
        n = USUAL_INPUTS * LAGS + 1
        self.w, self.P = np.zeros(n), START * np.eye(n)
        self._Pu, self._change = np.empty(n), np.empty((n, n))

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, 1); goes on where the last call ended."""
        w, P, Pu, change = self.w, self.P, self._Pu, self._change
        outer: Callable[..., Any] = np.multiply.outer
        out = []
        for u, y in zip(*self._made(stream), strict=True):
            forecast = float(u.dot(w))
            out.append(forecast)
            P.dot(u, Pu)
            gain = 1 / (FORGET + float(u.dot(Pu)))
            w += Pu * (gain * (y - forecast))
            outer(Pu, Pu * gain, out=change)
            P -= change
            P *= 1 / FORGET
        return np.array(out, np.float32)[:, None]


class BlasRls(_OnLags):
    """The same by SciPy's BLAS: symmetric products and updates, which NumPy has not."""

    def __init__(self) -> None:
        from scipy.linalg import blas

        super().__init__()
        self.blas = blas
        n = USUAL_INPUTS * LAGS + 1
        self.w, self.P = np.zeros(n), np.asfortranarray(START * np.eye(n))

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, 1); goes on where the last call ended."""
        w, P = self.w, self.P
        dot, product, add, update = (
            getattr(self.blas, name) for name in ("ddot", "dsymv", "daxpy", "dsyr")
        )
        out = []
        for u, y in zip(*self._made(stream), strict=True):
            forecast = dot(u, w)
            out.append(forecast)
            Pu = product(1.0, P, u)
            gain = 1 / (FORGET + dot(u, Pu))
            add(Pu, w, a=gain * (y - forecast))
            update(-gain, Pu, a=P, overwrite_a=1)
            P *= 1 / FORGET
        return np.array(out, np.float32)[:, None]
