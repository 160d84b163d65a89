"""An echo state network by reservoirpy: as many units, read out by recursive least squares."""

from __future__ import annotations

import numpy as np
from reservoirpy.nodes import RLS, Reservoir

from tools.bench.headline import USUAL_HIDDEN, Float32Array, Stream


class ReservoirPeer:
    """``partial_fit`` of the whole stream in one call, the fastest way that its pages show.

    What it returns was computed behind the update of each sample, so it is no forecast; one by one,
    with a forecast before every label, it takes longer. Its module for JAX does too.
    """

    def __init__(self) -> None:
        self.model = Reservoir(USUAL_HIDDEN, lr=0.5, sr=0.9, seed=0) >> RLS(
            alpha=0.01, forgetting=0.999
        )

    def run(self, stream: Stream) -> Float32Array:
        """Outputs (T, 1); goes on where the last call ended."""
        x, y = (part.astype(np.float64) for part in (stream.x, stream.y))
        return np.asarray(self.model.partial_fit(x, y), np.float32)
