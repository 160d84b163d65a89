"""Truncated backpropagation and Adam in PyTorch, as its users write it, one thread.

tools/learning advances many networks at once, which costs one of them more than torch.nn does.
"""

from __future__ import annotations

import numpy as np
import torch

from tools.bench.headline import (
    CONFIG,
    USUAL_HIDDEN,
    USUAL_INPUTS,
    USUAL_OUTPUTS,
    Float32Array,
    Stream,
)


class TorchPeer:
    """LSTM and linear readout, an Adam step every `span` samples, the state carried on.

    at_once: nn.LSTM over the span in one call. That is the fastest, and no forecast is there before
    the last sample of its span has come. Otherwise nn.LSTMCell, a forecast whenever a sample comes.
    """

    def __init__(self, span: int, at_once: bool) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.span, self.at_once = span, at_once
        make = torch.nn.LSTM if at_once else torch.nn.LSTMCell
        self.network = make(CONFIG.n_in, CONFIG.hidden)
        self.readout = torch.nn.Linear(CONFIG.hidden, CONFIG.n_out)
        weights = [*self.network.parameters(), *self.readout.parameters()]
        self.adam = torch.optim.Adam(weights, lr=1e-3, fused=True)
        shape = (1, CONFIG.hidden) if at_once else (CONFIG.hidden,)
        self.state = torch.zeros(shape), torch.zeros(shape)

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, O); goes on where the last call ended."""
        x, y = torch.from_numpy(stream.x), torch.from_numpy(stream.y)
        out = []
        for start in range(0, len(x), self.span):
            here = slice(start, start + self.span)
            raw = self._forward(x[here])
            loss = torch.nn.functional.mse_loss(raw, y[here])
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()
            out.append(raw.detach())
        return np.asarray(torch.cat(out))

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        """Forecasts of one span."""
        h, c = (part.detach() for part in self.state)
        if self.at_once:
            states, self.state = self.network(x, (h, c))
            return self.readout(states)
        forecasts = []
        for sample in x:
            h, c = self.network(sample, (h, c))
            forecasts.append(self.readout(h))
        self.state = h, c
        return torch.stack(forecasts)


class GruPeer:
    """GRUCell and linear readout, compared with the default learner: an Adam step every sample.

    Eager: ``torch.compile`` of a step was slower, and so was nn.GRU over one sample.
    """

    def __init__(self) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.cell = torch.nn.GRUCell(USUAL_INPUTS, USUAL_HIDDEN)
        self.readout = torch.nn.Linear(USUAL_HIDDEN, USUAL_OUTPUTS)
        weights = [*self.cell.parameters(), *self.readout.parameters()]
        self.adam = torch.optim.Adam(weights, lr=1e-3, fused=True)
        self.state = torch.zeros(1, USUAL_HIDDEN)

    def run(self, stream: Stream) -> Float32Array:
        """Forecasts (T, O); goes on where the last call ended."""
        x, y = torch.from_numpy(stream.x), torch.from_numpy(stream.y)
        out = []
        for sample, label in zip(x.split(1), y.split(1), strict=True):
            state = self.cell(sample, self.state)
            forecast = self.readout(state)
            loss = torch.nn.functional.mse_loss(forecast, label)
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()
            self.state = state.detach()
            out.append(forecast.detach())
        return np.asarray(torch.cat(out))
