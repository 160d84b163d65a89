"""Many independent PyTorch networks at once: LSTM or GRU, a linear readout, Adam.

For affordability models that share cell, width and task (seeds and rates) advance together with
batched matrix products. No number of one depends on another, and each is what torch.nn and
torch.optim would give: tests check both. Batch 1: every model reads its own stream once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tools.learning.tasks import SymbolTask, Task, standardised

BETAS, EPSILON = (0.9, 0.999), 1e-8
GATES = {"lstm": 4, "gru": 3}
Tensors = list[torch.Tensor]
States = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Model:
    """One network: rate falls as rate / sqrt(1 + samples / fall), inf keeps it."""

    seed: int
    rate: float
    fall: float


@dataclass(frozen=True)
class Streams:
    """What M models read: x, y (T, M), symbols or standardised samples.

    factor (M) turns their losses into those of Curve.
    """

    x: torch.Tensor
    y: torch.Tensor
    factor: torch.Tensor
    n_in: int

    @classmethod
    def of(cls, task: Task, samples: int, seeds: Sequence[int]) -> Streams:
        """Streams of the task, one a seed; equal seeds share the work."""
        made = {seed: task.make(samples + 1, seed) for seed in set(seeds)}
        if isinstance(task, SymbolTask):
            text = torch.from_numpy(np.stack([made[seed] for seed in seeds], axis=1))
            factor = torch.full((len(seeds),), 1 / np.log(2))
            return cls(text[:-1], text[1:], factor, task.n_symbols)
        scaled = {seed: standardised(z.astype(float)) for seed, z in made.items()}
        text = torch.from_numpy(np.concatenate([scaled[seed] for seed in seeds], axis=1)).float()
        # The loss is half a square in scaled units; variances in those units divide it.
        factor = torch.tensor([2 / scaled[seed][300:].var() for seed in seeds]).float()
        return cls(text[:-1], text[1:], factor, 1)


def initial(cell: str, n_in: int, hidden: int, seeds: Sequence[int]) -> Tensors:
    """Weights as torch.nn.LSTM or GRU and torch.nn.Linear start, transposed and stacked (M, ...).

    Input (I, gates H), recurrent (H, gates H), their two biases, readout (H, O) and its bias.
    """
    each = []
    for seed in seeds:
        torch.manual_seed(seed)
        network = (torch.nn.LSTM if cell == "lstm" else torch.nn.GRU)(n_in, hidden)
        readout = torch.nn.Linear(hidden, n_in)
        made = [network.weight_ih_l0.T, network.weight_hh_l0.T, network.bias_ih_l0]
        each.append([*made, network.bias_hh_l0, readout.weight.T, readout.bias])
    return [torch.stack(weights).detach().requires_grad_() for weights in zip(*each, strict=True)]


def _from_input(w: Tensors, x: torch.Tensor) -> torch.Tensor:
    """What x (T, M) adds to the gates, (T, M, gates H): a symbol picks a row."""
    if x.is_floating_point():
        return x.unsqueeze(-1) * w[0][:, 0]
    return w[0][torch.arange(x.shape[1]), x]


def lstm_span(w: Tensors, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> States:
    """States (M, T, H) of an LSTM over x (T, M), and the last h, c (M, H)."""
    n = h.shape[1]
    through = _from_input(w, x) + (w[2] + w[3])
    states = []
    for t in range(x.shape[0]):
        a = torch.baddbmm(through[t].unsqueeze(1), h.unsqueeze(1), w[1]).squeeze(1)
        s = torch.sigmoid(a)
        c = s[:, n : 2 * n] * c + s[:, :n] * torch.tanh(a[:, 2 * n : 3 * n])
        h = s[:, 3 * n :] * torch.tanh(c)
        states.append(h)
    return torch.stack(states, 1), h, c


def gru_span(w: Tensors, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> States:
    """The same of a GRU, which passes c on as it is."""
    n = h.shape[1]
    through = _from_input(w, x) + w[2]
    states = []
    for t in range(x.shape[0]):
        a = torch.baddbmm(w[3].unsqueeze(1), h.unsqueeze(1), w[1]).squeeze(1)
        gates = torch.sigmoid(through[t][:, : 2 * n] + a[:, : 2 * n])
        new = torch.tanh(through[t][:, 2 * n :] + gates[:, :n] * a[:, 2 * n :])
        h = new + gates[:, n:] * (h - new)
        states.append(h)
    return torch.stack(states, 1), h, c


SPANS = {"lstm": lstm_span, "gru": gru_span}


def losses(readout: Tensors, states: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Losses (M, T) of the labels y (T, M): nats for symbols, half squared errors for samples."""
    weight, bias = readout
    raw = torch.baddbmm(bias.unsqueeze(1), states, weight)
    if y.is_floating_point():
        return (raw[..., 0] - y.T) ** 2 / 2
    return torch.nn.functional.cross_entropy(raw.transpose(1, 2), y.T, reduction="none")


class Adam:
    """Kingma and Ba 2015, arXiv 1412.6980, with a rate for each model."""

    def __init__(self, w: Tensors, models: Sequence[Model]) -> None:
        self.mean = [torch.zeros_like(weight) for weight in w]
        self.square = [torch.zeros_like(weight) for weight in w]
        self.rate = torch.tensor([model.rate for model in models])
        self.fall = torch.tensor([model.fall for model in models])
        self.steps = 0

    @torch.no_grad()  # type: ignore[untyped-decorator] # torch is not installed for mypy
    def step(self, w: Tensors, gradients: Sequence[torch.Tensor], samples: int) -> None:
        """Move w; ``samples`` have been seen before."""
        self.steps += 1
        rate = self.rate / torch.sqrt(1 + samples / self.fall) / (1 - BETAS[0] ** self.steps)
        torch._foreach_lerp_(self.mean, gradients, 1 - BETAS[0])
        torch._foreach_mul_(self.square, BETAS[1])
        torch._foreach_addcmul_(self.square, gradients, gradients, 1 - BETAS[1])
        correction = (1 - BETAS[1] ** self.steps) ** 0.5
        for weight, m, s in zip(w, self.mean, self.square, strict=True):
            size = rate.view(-1, *[1] * (weight.dim() - 1))
            weight -= size * m / (s.sqrt() / correction + EPSILON)


class Meter:
    """Mean losses (M) of every block of samples; a span may reach into the next block."""

    def __init__(self, block: int) -> None:
        self.block = block
        self.means: list[np.ndarray] = []
        self.sum, self.counted, self.seen = torch.zeros(()).double(), 0, 0

    def add(self, loss: torch.Tensor) -> None:
        """Count losses (M, T)."""
        before, self.seen = self.seen, self.seen + loss.shape[1]
        self.sum = self.sum + loss.detach().sum(1).double()
        self.counted += loss.shape[1]
        if self.seen // self.block > before // self.block:
            self.means.append((self.sum / self.counted).numpy())
            self.sum, self.counted = torch.zeros(()).double(), 0

    def result(self, factor: torch.Tensor) -> np.ndarray:
        """All blocks, (M, blocks)."""
        return np.asarray(np.stack(self.means, axis=1) * factor.numpy()[:, np.newaxis])
