"""How a network learns a stream: the package's learner, or truncated backpropagation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tools.learning import ours
from tools.learning.curves import Curve
from tools.learning.tasks import SymbolTask, Task
from tools.paper.backpropagation import Backpropagation, bytes_held, initial_weights

# The grids from which rates are chosen.
SYMBOL_RATES = (0.05, 0.15, 0.5, 1.5)
SERIES_RATES = (0.1, 0.4, 2.0, 10.0, 50.0)
SGD_RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
BPTT_SGD_RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
BPTT_ADAM_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
# The rates of all learners fall as the package's defaults do: by the root of 1 + n / FALL.
FALL = 1e5


@dataclass(frozen=True)
class Ours:
    """The package's learner with its defaults, but for what the settings change.

    On a series it is the network alone: its own forecast from the last sample, no mixture.
    """

    settings: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, **settings: Any) -> Ours:
        """By keywords."""
        return cls(tuple(sorted(settings.items())))

    def curve(self, task: Task, hidden: int, samples: int, seed: int) -> Curve:
        """One pass over a stream."""
        alone = {} if isinstance(task, SymbolTask) else {"mix_forget": 0.0, "lags": 1}
        settings = {**alone, **dict(self.settings)}
        return ours.learn(settings, "ours", task, hidden, samples, [seed])[0]

    def __str__(self) -> str:
        given = dict(self.settings)
        return f"rate {given.get('sgd_rate', given.get('rate', 'default'))}"


@dataclass(frozen=True)
class Truncated:
    """Truncated backpropagation of the gated cell from the learner's own initial weights."""

    settings: Backpropagation

    def curve(self, task: Task, hidden: int, samples: int, seed: int) -> Curve:
        """One pass over a text."""
        assert isinstance(task, SymbolTask)
        weights = initial_weights(task.n_symbols, hidden, seed)
        text = task.make(samples + 1, seed)
        loss = self.settings.learn(weights, task.n_symbols, text, task.block)
        size = bytes_held(task.n_symbols, hidden, self.settings)
        return Curve(task.name, "bptt", hidden, seed, task.block, tuple(loss.tolist()), size)

    def __str__(self) -> str:
        return f"rate {self.settings.rate:g}, every {self.settings.stride}"


Method = Ours | Truncated


def rates(task: Task, **settings: Any) -> list[Ours]:
    """The learner with every rate of the grid of its filter."""
    if settings.get("filter") == "sgd":
        return [Ours.of(**settings, sgd_rate=rate) for rate in SGD_RATES]
    grid = SYMBOL_RATES if isinstance(task, SymbolTask) else SERIES_RATES
    return [Ours.of(**settings, rate=rate) for rate in grid]


def truncated(span: int, adam: bool) -> list[Truncated]:
    """Backpropagation over a span with every rate of the grid.

    The weights change once a span, or four times.
    """
    return [
        Truncated(Backpropagation(span, stride, adam, rate, FALL))
        for stride in dict.fromkeys((span, max(1, span // 4)))
        for rate in (BPTT_ADAM_RATES if adam else BPTT_SGD_RATES)
    ]
