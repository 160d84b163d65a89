"""Truncated backpropagation through time in PyTorch.

Run `span` samples, each predicted before it is learnt, go back through them, take one Adam step,
carry the state on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tools.learning.ensemble import GATES, SPANS, Adam, Meter, Model, Streams, initial, losses
from tools.learning.tasks import Task


def train(
    task: Task, cell: str, span: int, hidden: int, samples: int, models: Sequence[Model]
) -> np.ndarray:
    """Losses (M, blocks) of one pass."""
    run, seeds = SPANS[cell], [model.seed for model in models]
    data = Streams.of(task, samples, seeds)
    w = initial(cell, data.n_in, hidden, seeds)
    adam, meter = Adam(w, models), Meter(task.block)
    h = c = torch.zeros(len(models), hidden)
    for start in range(0, samples, span):
        here = slice(start, start + span)
        states, h, c = run(w, data.x[here], h.detach(), c.detach())
        loss = losses(w[4:], states, data.y[here])
        adam.step(w, torch.autograd.grad(loss.mean(1).sum(), w), start)
        meter.add(loss)
    return meter.result(data.factor)


def bytes_held(n_in: int, cell: str, span: int, hidden: int) -> int:
    """Float32 bytes: weights, gradient, two moments; inputs, gates and states of the span."""
    weights = GATES[cell] * hidden * (n_in + hidden + 2) + n_in * (hidden + 1)
    per_sample = hidden * (GATES[cell] + 2) + 2 * n_in
    return 4 * (4 * weights + span * per_sample)
