"""UORO (Tallec and Ollivier 2017, arXiv 1702.05043) in PyTorch: rank one, every sample, no past.

s' = F(s, theta)     z = F_s s~     k = nu^T F_theta     nu: random signs
s~ <- rho_0 z + rho_1 nu            theta~ <- theta~ / rho_0 + k / rho_1
gradient: (dl/ds' . s~) theta~ + dl/dtheta
rho_0 = sqrt(|theta~| / |z|)        rho_1 = sqrt(|k| / |nu|)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.autograd import forward_ad

from tools.learning.ensemble import (
    GATES,
    SPANS,
    Adam,
    Meter,
    Model,
    Streams,
    Tensors,
    initial,
    losses,
)
from tools.learning.tasks import Task

TINY = 1e-7


def _norm(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Norm (M) of the parts of every model together."""
    return torch.sqrt(sum((part.flatten(1) ** 2).sum(1) for part in parts) + TINY**2)


def _times(factor: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    return factor.view(-1, *[1] * (part.dim() - 1)) * part


def step(cell: str, w: Tensors, x: torch.Tensor, state: Tensors) -> Tensors:
    """The state, [h] or [h, c] of (M, H), after x (1, M); a GRU ignores what is given as c."""
    return list(SPANS[cell](w, x, state[0], state[-1])[1 : 1 + len(state)])


def tangent(cell: str, w: Tensors, x: torch.Tensor, state: Tensors, v: Tensors) -> Tensors:
    """Jacobian of one step times v, shaped as the state."""
    with torch.no_grad(), forward_ad.dual_level():
        duals = [forward_ad.make_dual(s, d) for s, d in zip(state, v, strict=True)]
        return [forward_ad.unpack_dual(part).tangent for part in step(cell, w, x, duals)]


def advance(
    cell: str,
    w: Tensors,
    x: torch.Tensor,
    state: Tensors,
    s_tilde: Tensors,
    w_tilde: Tensors,
    generator: torch.Generator,
) -> tuple[Tensors, Tensors, Tensors]:
    """One step: the new state, s~ and theta~, whose product has the derivative as its mean."""
    z = tangent(cell, w, x, state, s_tilde)
    after = step(cell, w, x, state)
    nu = [torch.randint(0, 2, part.shape, generator=generator) * 2.0 - 1 for part in state]
    k = torch.autograd.grad(after, w[:4], nu)
    rho_0 = torch.sqrt(_norm(w_tilde) / _norm(z))
    rho_1 = torch.sqrt(_norm(k) / _norm(nu))
    s_new = [_times(rho_0, a) + _times(rho_1, b) for a, b in zip(z, nu, strict=True)]
    w_new = [_times(1 / rho_0, a) + _times(1 / rho_1, b) for a, b in zip(w_tilde, k, strict=True)]
    return [part.detach() for part in after], s_new, w_new


def train(task: Task, cell: str, hidden: int, samples: int, models: Sequence[Model]) -> np.ndarray:
    """Losses (M, blocks) of one pass."""
    seeds = [model.seed for model in models]
    data = Streams.of(task, samples, seeds)
    w = initial(cell, data.n_in, hidden, seeds)
    adam, meter = Adam(w, models), Meter(task.block)
    state = [torch.zeros(len(models), hidden) for _ in ("hc" if cell == "lstm" else "h")]
    s_tilde = [torch.zeros_like(part) for part in state]
    w_tilde = [torch.zeros_like(part) for part in w[:4]]
    generator = torch.Generator().manual_seed(sum(seeds))
    for t in range(samples):
        x, y = data.x[t : t + 1], data.y[t : t + 1]
        state, s_tilde, w_tilde = advance(cell, w, x, state, s_tilde, w_tilde, generator)
        h = state[0].requires_grad_()
        loss = losses(w[4:], h.unsqueeze(1), y)
        slope, *direct = torch.autograd.grad(loss.sum(), [h, *w[4:]])
        state[0] = h.detach()
        along = (slope * s_tilde[0]).sum(1)
        adam.step(w, [*(_times(along, part) for part in w_tilde), *direct], t)
        meter.add(loss)
    return meter.result(data.factor)


def bytes_held(n_in: int, cell: str, hidden: int) -> int:
    """Float32 bytes: weights, gradient, two moments, theta~ of the recurrent ones; s and s~."""
    recurrent = GATES[cell] * hidden * (n_in + hidden + 2)
    weights = recurrent + n_in * (hidden + 1)
    return 4 * (4 * weights + recurrent + (4 if cell == "lstm" else 2) * hidden)
