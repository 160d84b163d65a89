"""The method in NumPy, float32: whole arrays at once, written into buffers that are made once.

Bierman's update runs over columns one after the other only in what each needs of those before it,
and that is a running sum: so it is one `cumsum`. The innovation covariance of a rank-one estimate
is a multiple of the identity plus a rank-one matrix: Sherman and Morrison's formula solves it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tools.bench.headline import CONFIG, Float32Array, Numbers, Stream, initial_theta

TINY = np.float32(1e-12)
HALF = np.array([[0.5], [0.5], [1], [0.5]], np.float32)


class NumpyPeer:
    """LSTM, nobacktrack, kalman, gaussian, horizon 0; it is given its signs."""

    def __init__(self) -> None:
        self.k = Numbers.of(CONFIG)
        self.theta = initial_theta()
        (R, D), H, O = self.theta.shape, CONFIG.hidden, CONFIG.n_out  # noqa: E741
        zeros = np.zeros
        self.w = zeros((R, D), np.float32)
        self.P = np.full((R, D), 1 / self.k.delta, np.float32)
        self.V = zeros((O, D), np.float32)
        self.U = np.eye(D, dtype=np.float32)
        self.d0 = np.where(np.arange(D) < H, self.k.prior_hidden, self.k.prior).astype(np.float32)
        self.d = self.d0.copy()
        self.noise = np.ones(O, np.float32)
        self.c, self.v = zeros(H, np.float32), zeros((2, H), np.float32)
        # Two columns at once: theta u and theta [v_h; 0].
        self.both = zeros((D, 2), np.float32)
        self.both[-1, 0] = 1
        self.f = np.ones(D, np.float32)
        self.f[:H] = 0
        self.e = zeros((2, 4, H), np.float32)
        self.carry = zeros((2, H), np.float32)
        self.Pw, self.spare = zeros((R, D), np.float32), zeros((R, D), np.float32)
        self.sums = zeros((D, D), np.float32)
        self.alphas = np.ones(D + 1, np.float32)
        self.w_square: Any = np.float32(0)
        self.labels = 0

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, O); goes on where the last call ended."""
        out = np.empty_like(stream.y)
        for t in range(len(out)):
            out[t] = self.forecast(stream.x[t])
            self.estimate(stream.signs[t])
            self.correct(stream.y[t] - out[t])
        return out

    def forecast(self, x: Float32Array) -> Float32Array:
        """One forward pass with its derivatives; at horizon 0 learning needs no second one."""
        H, both, f = CONFIG.hidden, self.both, self.f
        both[:H, 0] = f[:H]
        both[H:-1, 0] = x
        both[:H, 1] = self.v[0]
        a = self.theta @ both
        self.da = a[:, 1].reshape(4, H)
        gates = a[:, 0].reshape(4, H)
        squashed = np.tanh(gates * HALF)  # sigmoid(a) = (1 + tanh(a / 2)) / 2
        open_ = 0.5 + 0.5 * squashed
        i, forget, o, g = open_[0], open_[1], open_[3], squashed[2]
        before, c = self.c, forget * self.c + i * g
        h = np.tanh(c)
        slope = o * (1 - h * h)
        e = self.e
        e[1, 0] = i * (1 - i) * g
        e[1, 1] = forget * (1 - forget) * before
        e[1, 2] = i * (1 - g * g)
        np.multiply(e[1], slope, out=e[0])
        e[0, 3] = o * (1 - o) * h
        np.multiply(slope, forget, out=self.carry[0])
        self.carry[1] = forget
        self.c = c
        np.multiply(o, h, out=f[:H])
        f[H:-1] = x
        return self.V @ f

    def estimate(self, signs: Float32Array) -> None:
        """Advance v and w."""
        e, u = self.e, self.both[:, 0]
        z = self.carry * self.v[1] + (e * self.da).sum(axis=1)
        flat = z.ravel()
        rho0 = np.sqrt((np.sqrt(self.w_square) + TINY) / (np.sqrt(flat @ flat) + TINY))
        norm_u = np.sqrt(self.P @ (u * u))
        norm_e = np.sqrt((e * e).sum(axis=0)).ravel()
        rho = signs * np.sqrt((norm_u + TINY) / (norm_e + TINY))
        self.v = np.float32(self.k.decay) * rho0 * z + (e * rho.reshape(4, -1)).sum(axis=1)
        self.w *= 1 / rho0
        np.multiply((1 / rho)[:, None], u, out=self.spare)
        self.w += self.spare

    def correct(self, error: Float32Array) -> None:
        """Both blocks follow the error (O)."""
        k, H, P, w, Pw, spare = self.k, CONFIG.hidden, self.P, self.w, self.Pw, self.spare
        gain = np.float32(k.gain * max(0.1, (1 + self.labels / k.anneal_steps) ** -0.5))
        p = self.f @ self.U
        g = self.d * p
        c = p @ g
        root = np.sqrt(self.noise)
        alpha = (self.V[:, :H] @ self.v[0]) / root
        t = error / root
        np.multiply(P, w, out=Pw)
        spread = gain * (Pw.ravel() @ w.ravel())
        curvature = alpha @ alpha
        along = (alpha @ t) / (1 + c + spread * curvature)
        x = (t - spread * along * alpha) / (1 + c)

        # Of the even or the odd columns, by Thue and Morse.
        turn, gamma = slice(int(self.labels).bit_count() % 2, None, 2), 2 * k.gamma
        seen = Pw[:, turn] * w[:, turn]
        seen *= np.float32(gamma) * curvature
        seen += P[:, turn] * np.float32(gamma * k.delta)
        seen += np.float32(1 - gamma)
        np.multiply(Pw, gain * along, out=spare)
        self.theta += spare
        P[:, turn] /= seen
        np.multiply(P, w, out=Pw)
        self.w_square = Pw.ravel() @ w.ravel()

        self.readout_covariance(p, g)
        self.V += np.outer(root * x, self.Cf)
        self.labels += 1
        rate = np.float32(max(k.noise_rate, 1 / (self.labels + 1)))
        self.noise += rate * (error * error / (1 + c) - self.noise)
        np.maximum(self.noise, np.float32(1e-8), out=self.noise)

    def readout_covariance(self, p: Float32Array, g: Float32Array) -> None:
        """Bierman's update, C f, and forgetting."""
        alphas, sums = self.alphas, self.sums
        np.cumsum(p * g, out=alphas[1:])
        alphas[1:] += 1
        # Column j loses its share of what the columns before it add up to; below the diagonal of U,
        # and so of the sums, there is nothing.
        np.cumsum(np.multiply(self.U, g, out=sums), axis=1, out=sums)
        self.Cf = sums[:, -1].copy()
        sums[:, :-1] *= (p / alphas[:-1])[1:]
        self.U[:, 1:] -= sums[:, :-1]
        self.d *= alphas[:-1] / alphas[1:]
        phi = np.float32(self.k.phi)
        self.d /= phi + (1 - phi) * (self.d / self.d0)
