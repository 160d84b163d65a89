"""UORO, the rank-one estimate with Adam instead of a filter, by the library braintrace.

One jitted loop over the stream, compiled before the clock starts.
"""

from __future__ import annotations

import warnings
from typing import Any

import brainstate
import braintools
import braintrace
import jax.numpy as jnp
import numpy as np

from nbt_embed import Config
from tools.bench.headline import CONFIG, Float32Array, Stream


class Network(brainstate.nn.Module):  # type: ignore[misc] # mypy does not look into brainstate
    """A cell and a linear readout, of the sizes of a configuration."""

    def __init__(self, config: Config, cell: str) -> None:
        super().__init__()
        self.cell = getattr(braintrace.nn, cell)(config.n_in, config.hidden)
        self.readout = braintrace.nn.Linear(config.hidden, config.n_out)

    def update(self, x: Any) -> Any:
        """One sample, (1, I) to (1, O)."""
        return self.readout(self.cell(x))


class BraintracePeer:
    """UORO, one Adam step a sample."""

    def __init__(self, config: Config = CONFIG, cell: str = "LSTMCell") -> None:
        network = Network(config, cell)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the readout has no trace, which is as it should be
            brainstate.nn.init_all_states(network, batch_size=1)
            learner = braintrace.UORO(network, vjp_method="single-step")
            learner.compile_graph(jnp.zeros((1, config.n_in)))
        weights = network.states(brainstate.ParamState)
        adam = braintools.optim.Adam(lr=1e-3)
        adam.register_trainable_weights(weights)

        def step(x: Any, y: Any) -> Any:
            def loss() -> tuple[Any, Any]:
                out = learner(x[None])[0]
                return ((out - y) ** 2).mean(), out

            slope = brainstate.transform.grad(loss, weights, has_aux=True, return_value=True)
            gradients, _, out = slope()
            adam.update(gradients)
            return out

        self.scan = brainstate.transform.jit(lambda x, y: brainstate.transform.for_loop(step, x, y))

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, O); goes on where the last call ended; compiles for every new T."""
        return np.asarray(self.scan(stream.x, stream.y))
