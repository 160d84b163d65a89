"""Configurations of every kind, drawn at random, on which the cost of a step is measured."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

from nbt_embed import Config, memory_of
from nbt_embed.errors import ConfigError

_DENSE_ESTIMATORS = (
    "unitwise", "unitwise", "nobacktrack", "nobacktrack", "residual", "snap1", "frozen",
)  # fmt: skip
LARGEST = 400_000  # bytes: what fits beside a stack into the emulated boards


def configurations(seed: int) -> Iterator[Config]:
    """Valid ones without end, of at most LARGEST bytes; the same for the same seed."""
    draw = random.Random(seed)
    while True:
        try:
            config = Config(**_settings(draw))
            room = memory_of(config).total <= LARGEST
        except ConfigError:
            continue  # not every choice goes with every other
        if room and (config.hidden or config.cell != "resonator"):
            yield config


def _settings(draw: random.Random) -> dict[str, Any]:
    """Sizes are log-uniform; what is usual is drawn more often than what is not."""
    n_in = _size(draw, 1, 12)
    settings: dict[str, Any] = {
        "n_in": n_in,
        "lags": draw.choice((None, None, 1, _size(draw, 1, max(1, 64 // n_in)))),
        "max_delay": draw.choice((0, 0, 0, 1, 4, 19)),
        "link": draw.choice(("gaussian",) * 8 + ("categorical", "bernoulli")),
        "filter": draw.choice(("kalman",) * 8 + ("sgd", "kalman_quasi")),
        "seed": draw.randrange(1000),
    }
    settings["n_out"] = _size(draw, 2 if settings["link"] == "categorical" else 1, 8)
    if draw.random() < 0.65:
        hidden = draw.choice((_size(draw, 1, 64),) * 12 + (0,))
        settings |= {
            "hidden": hidden,
            "cell": draw.choice(("columnar",) * 5 + ("resonator",)),
            "estimator": draw.choice((None,) * 9 + ("frozen",)),
            "resonators": draw.choice((None, None, 0, draw.randint(0, hidden))),
            "head": draw.choice((None, None, 0, _size(draw, 1, 64))),
        }
    else:
        settings |= {
            "hidden": _size(draw, 1, 40),
            "cell": draw.choice(("tanh", "leaky", "gated", "gated", "lstm")),
            "estimator": draw.choice(_DENSE_ESTIMATORS),
            "head": draw.choice((None, None, None, _size(draw, 1, 32))),
        }
    if draw.random() < 0.25:
        settings["follow"] = False
    else:
        settings |= {
            "mix_forget": draw.choice((None, None, None, 0.0)),
            "slow_forget": draw.choice((None, None, None, 0.0)),
            "linear_lags": draw.choice((None, None, None, 0, _size(draw, 1, 32))),
            "anchored": draw.choice((None, None, None, None, False)),
            "intervals": draw.choice((None, None, 0, draw.randint(1, 4))),
            "anomaly": draw.choice((None, None, False)),
        }
    for name, value in (("stuck_steps", 50), ("hold_missing", True), ("gate", 0.0)):
        if draw.random() < 0.15:
            settings[name] = value
    return settings


def _size(draw: random.Random, low: int, high: int) -> int:
    return round(low * math.exp(math.log(high / low) * draw.random()))
