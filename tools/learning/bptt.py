"""Truncated backpropagation through time in PyTorch, the competitor on the symbol tasks.

An LSTM or GRU with a linear readout and softmax, trained with Adam (Kingma and Ba 2015) online: run
`span` symbols, each predicted before it is learnt, go back through them, take one Adam step, carry
the state on. Batch 1. For affordability many independent models (seeds and rates) advance at once
with batched matrix products: no number of one depends on another, which a test checks against
torch.nn and torch.optim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tools.learning.curves import BLOCK, Curve
from tools.learning.tasks import SymbolTask

CELLS = ("lstm", "gru")
RATES = (1e-3, 3e-3, 1e-2)
# Rates fall as 1 / sqrt(1 + symbols / FALL); inf keeps them.
FALLS = (2e4, float("inf"))
TUNING_SEEDS = (100, 101)
BETAS, EPSILON = (0.9, 0.999), 1e-8
Tensors = list[torch.Tensor]
States = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Settings:
    """One model: cell, units, span (symbols between two updates), rate, fall, seed."""

    cell: str
    hidden: int
    span: int
    rate: float
    fall: float
    seed: int


def initial(n_symbols: int, settings: Settings) -> Tensors:
    """Weights as torch.nn.LSTM or GRU and torch.nn.Linear start, transposed: input (I, gates H),
    recurrent (H, gates H), their two biases, readout (H, O) and its bias.
    """
    torch.manual_seed(settings.seed)
    kind = torch.nn.LSTM if settings.cell == "lstm" else torch.nn.GRU
    network = kind(n_symbols, settings.hidden)
    readout = torch.nn.Linear(settings.hidden, n_symbols)
    made = [network.weight_ih_l0.T, network.weight_hh_l0.T, network.bias_ih_l0]
    made += [network.bias_hh_l0, readout.weight.T, readout.bias]
    return [weight.detach().clone() for weight in made]


def lstm_span(w: Tensors, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> States:
    """States (M, T, H) of an LSTM over x (T, M), and the last h, c (M, H)."""
    n = h.shape[1]
    models = torch.arange(x.shape[1])
    through = w[0][models, x] + (w[2] + w[3])
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
    models = torch.arange(x.shape[1])
    through = w[0][models, x] + w[2]
    states = []
    for t in range(x.shape[0]):
        a = torch.baddbmm(w[3].unsqueeze(1), h.unsqueeze(1), w[1]).squeeze(1)
        gates = torch.sigmoid(through[t][:, : 2 * n] + a[:, : 2 * n])
        new = torch.tanh(through[t][:, 2 * n :] + gates[:, :n] * a[:, 2 * n :])
        h = new + gates[:, n:] * (h - new)
        states.append(h)
    return torch.stack(states, 1), h, c


def losses_of(w: Tensors, states: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood in nats (M, T) of the symbols y (T, M)."""
    logits = torch.baddbmm(w[5].unsqueeze(1), states, w[4])
    return torch.nn.functional.cross_entropy(logits.transpose(1, 2), y.T, reduction="none")


def train(texts: Sequence[np.ndarray], n_symbols: int, models: Sequence[Settings]) -> np.ndarray:
    """Bits per symbol (M, symbols / BLOCK) of models that share cell, width and span.

    texts: one stream of symbols per model, one symbol longer than the run.
    """
    first = models[0]
    run = lstm_span if first.cell == "lstm" else gru_span
    each = [initial(n_symbols, settings) for settings in models]
    w = [torch.stack(weights).requires_grad_() for weights in zip(*each, strict=True)]
    mean = [torch.zeros_like(weight) for weight in w]
    square = [torch.zeros_like(weight) for weight in w]
    rate = torch.tensor([settings.rate for settings in models])
    fall = torch.tensor([settings.fall for settings in models])
    text = torch.from_numpy(np.stack(texts, axis=1))
    h = c = torch.zeros(len(models), first.hidden)
    symbols, block = text.shape[0] - 1, torch.zeros(len(models))
    bits, done, counted = [], 0, 0
    for start in range(0, symbols, first.span):
        stop = min(start + first.span, symbols)
        states, h, c = run(w, text[start:stop], h.detach(), c.detach())
        losses = losses_of(w, states, text[start + 1 : stop + 1])
        gradients = torch.autograd.grad(losses.mean(1).sum(), w)
        done += 1
        step = rate / torch.sqrt(1 + start / fall) / (1 - BETAS[0] ** done)
        with torch.no_grad():
            torch._foreach_lerp_(mean, gradients, 1 - BETAS[0])
            torch._foreach_mul_(square, BETAS[1])
            torch._foreach_addcmul_(square, gradients, gradients, 1 - BETAS[1])
            correction = (1 - BETAS[1] ** done) ** 0.5
            for weight, m, s in zip(w, mean, square, strict=True):
                size = step.view(-1, *[1] * (weight.dim() - 1))
                weight -= size * m / (s.sqrt() / correction + EPSILON)
            block += losses.sum(1)
            counted += stop - start
            if stop // BLOCK > start // BLOCK:  # a span may reach into the next block
                bits.append(block.numpy() / (counted * np.log(2)))
                block, counted = torch.zeros(len(models)), 0
    return np.stack(bits, axis=1)


def tune(task: SymbolTask, cell: str, span: int, symbols: int, hidden: int) -> tuple[float, float]:
    """Rate and fall with the least median loss over the last tenth, on seeds of their own."""
    grid = [(rate, fall) for rate in RATES for fall in FALLS]
    models = [
        Settings(cell, hidden, span, rate, fall, seed)
        for rate, fall in grid
        for seed in TUNING_SEEDS
    ]
    texts = [task.make(symbols + 1, settings.seed) for settings in models]
    bits = train(texts, task.n_symbols, models)[:, -max(1, symbols // BLOCK // 10) :]
    finite = np.where(np.isfinite(bits), bits, np.inf).mean(axis=1)
    return grid[int(finite.reshape(len(grid), -1).mean(axis=1).argmin())]


def bytes_held(n_symbols: int, cell: str, hidden: int, span: int) -> int:
    """Float32 bytes: weights, gradient, two moments; per symbol of the span inputs, gates, states."""
    gates = 4 if cell == "lstm" else 3
    weights = gates * hidden * (n_symbols + hidden + 2) + n_symbols * (hidden + 1)
    per_symbol = hidden * (gates + 2) + 2 * n_symbols
    return 4 * (4 * weights + span * per_symbol)


def runs(
    task: SymbolTask,
    cell: str,
    span: int,
    symbols: int,
    seeds: Sequence[int],
    tuning_symbols: int,
    hidden: int = 32,
) -> list[Curve]:
    """Tune, then learn the streams of all seeds at once."""
    torch.set_num_threads(1)
    rate, fall = tune(task, cell, span, tuning_symbols, hidden)
    models = [Settings(cell, hidden, span, rate, fall, seed) for seed in seeds]
    bits = train([task.make(symbols + 1, seed) for seed in seeds], task.n_symbols, models)
    settings = {"hidden": hidden, "rate": rate, "fall": fall, "tuned on": tuning_symbols}
    size = bytes_held(task.n_symbols, cell, hidden, span)
    method = f"{cell.upper()}, span {span}"
    return [
        Curve(task.name, method, seed, BLOCK, tuple(row.tolist()), size, settings)
        for seed, row in zip(seeds, bits, strict=True)
    ]
