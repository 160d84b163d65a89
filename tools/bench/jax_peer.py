"""The method in JAX, float32: the whole stream in one jitted scan.

It is compiled before the clock starts, and the carry is donated, so that XLA may update it in
place. Equations and shortcuts are those of numpy_peer.py. Running sums are products with a triangle
of ones, which XLA runs faster on a CPU than `cumsum`, and the scan is not unrolled, which made it
slower.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from tools.bench.headline import CONFIG, Float32Array, Numbers, Stream, initial_theta

TINY = 1e-12
K = Numbers.of(CONFIG)
H = CONFIG.hidden


class State(NamedTuple):
    """What a learner carries on; shapes as in docs/design.md, v (2, H), U (D, D) unit upper."""

    theta: Array
    w: Array
    P: Array
    V: Array
    U: Array
    d: Array
    noise: Array
    h: Array
    c: Array
    v: Array
    labels: Array


def start() -> State:
    """Before the first sample."""
    theta = initial_theta()
    (R, D), O = theta.shape, CONFIG.n_out  # noqa: E741
    zeros = partial(np.zeros, dtype=np.float32)
    d0 = np.where(np.arange(D) < H, K.prior_hidden, K.prior)
    state = State(
        theta=theta,
        w=zeros((R, D)),
        P=np.full((R, D), 1 / K.delta, np.float32),
        V=zeros((O, D)),
        U=np.eye(D, dtype=np.float32),
        d=d0.astype(np.float32),
        noise=np.ones(O, np.float32),
        h=zeros(H),
        c=zeros(H),
        v=zeros((2, H)),
        labels=np.float32(0),
    )
    return State(*map(jnp.array, state))


def lstm(a: Array, c: Array) -> tuple[Array, Array, Array, Array]:
    """h, c, gains e (2, 4, H) and carry (2, H) of pre-activations (4, H)."""
    i, f, o = (0.5 + 0.5 * jnp.tanh(0.5 * a[k]) for k in (0, 1, 3))
    g = jnp.tanh(a[2])
    new = f * c + i * g
    squashed = jnp.tanh(new)
    slope = o * (1 - squashed**2)
    of_c = [i * (1 - i) * g, f * (1 - f) * c, i * (1 - g**2), jnp.zeros_like(o)]
    of_h = [*(slope * part for part in of_c[:3]), o * (1 - o) * squashed]
    return (
        o * squashed,
        new,
        jnp.stack([jnp.stack(of_h), jnp.stack(of_c)]),
        jnp.stack([slope * f, f]),
    )


def step(s: State, sample: tuple[Array, Array, Array]) -> tuple[State, Array]:
    """Forecast, then learn. Arguments: x (I), label (O), signs (R)."""
    x, label, signs = sample
    D = COLUMNS
    one = jnp.ones(1, jnp.float32)
    u = jnp.concatenate([s.h, x, one])
    h, c, e, carry = lstm((s.theta @ u).reshape(4, H), s.c)
    f = jnp.concatenate([h, x, one])
    y = s.V @ f

    da = (s.theta[:, :H] @ s.v[0]).reshape(4, H)
    z = carry * s.v[1] + (e * da).sum(1)
    norm_w = jnp.sqrt((s.P * s.w * s.w).sum())
    rho0 = jnp.sqrt((norm_w + TINY) / (jnp.sqrt((z * z).sum()) + TINY))
    norm_u = jnp.sqrt(s.P @ (u * u))
    norm_e = jnp.sqrt((e * e).sum(0)).ravel()
    rho = signs * jnp.sqrt((norm_u + TINY) / (norm_e + TINY))
    v = K.decay * rho0 * z + (e * rho.reshape(4, H)).sum(1)
    w = s.w * (1 / rho0) + (1 / rho)[:, None] * u

    gain = K.gain * jnp.maximum(0.1, 1 / jnp.sqrt(1 + s.labels / K.anneal_steps))
    p = f @ s.U
    g = s.d * p
    spread_f = p @ g
    root, error = jnp.sqrt(s.noise), label - y
    alpha, t = s.V[:, :H] @ v[0] / root, error / root
    Pw = s.P * w
    spread = gain * (Pw * w).sum()
    curvature = alpha @ alpha
    along = alpha @ t / (1 + spread_f + spread * curvature)
    out = (t - spread * along * alpha) / (1 + spread_f)

    alphas = 1 + TRIANGLE.T @ (p * g)
    before = jnp.concatenate([one, alphas[:-1]])
    sums = (s.U * g) @ TRIANGLE
    Cf = sums[:, -1]
    share = jnp.concatenate([jnp.zeros((D, 1)), sums[:, :-1]], 1) * (p / before)
    d = s.d * before / alphas
    rate = jnp.maximum(K.noise_rate, 1 / (s.labels + 2))
    noise = s.noise + rate * (error**2 / (1 + spread_f) - s.noise)
    after = State(
        theta=s.theta + gain * along * Pw,
        w=w,
        P=jnp.where(
            jnp.arange(D) % 2 == jax.lax.population_count(s.labels.astype(jnp.uint32)) % 2,
            s.P / ((1 - 2 * K.gamma) + 2 * K.gamma * s.P * (curvature * w * w + K.delta)),
            s.P,
        ),
        V=s.V + jnp.outer(root * out, Cf),
        U=s.U - share,
        d=d / (K.phi + (1 - K.phi) * d / D0),
        noise=jnp.maximum(noise, 1e-8),
        h=h,
        c=c,
        v=v,
        labels=s.labels + 1,
    )
    return after, y


COLUMNS = CONFIG.hidden + CONFIG.n_in + 1
TRIANGLE = np.triu(np.ones((COLUMNS, COLUMNS), np.float32))
D0 = np.where(np.arange(COLUMNS) < H, K.prior_hidden, K.prior).astype(np.float32)


@partial(jax.jit, donate_argnums=0)
def scan(state: State, x: Array, y: Array, signs: Array) -> tuple[State, Array]:
    """Run the whole stream."""
    after, out = jax.lax.scan(step, state, (x, y, signs))
    return after, out


class JaxPeer:
    """LSTM, nobacktrack, kalman, gaussian, horizon 0; it is given its signs."""

    def __init__(self) -> None:
        self.state = start()

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, O); goes on where the last call ended; compiles for every new T."""
        self.state, out = scan(self.state, stream.x, stream.y, stream.signs)
        return np.asarray(out)
