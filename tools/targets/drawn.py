"""Learners of every kind, drawn at random, on which the cost of a step is measured."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

from nbt_embed import Config, memory_of
from nbt_embed.errors import ConfigError
from nbt_embed.export import kernel_options

_DENSE_ESTIMATORS = (
    "unitwise", "unitwise", "nobacktrack", "nobacktrack", "residual", "snap1", "frozen",
)  # fmt: skip
# What sweeps and filters are compiled for: how the weights learn, and by which filter.
_CORES: tuple[dict[str, Any], ...] = (
    *(
        {"cell": cell, "estimator": estimator, "filter": "kalman", "hidden": "size"}
        for cell, estimator in (
            ("columnar", "snap1"), ("gated", "unitwise"), ("columnar", "snap1"),
            ("resonator", "snap1"), ("tanh", "nobacktrack"), ("columnar", "snap1"),
            ("leaky", "residual"), ("gated", "snap1"), ("lstm", "nobacktrack"),
            ("columnar", "frozen"), ("gated", "frozen"), ("leaky", "unitwise"),
            ("gated", "nobacktrack"),
        )
    ),
    {"cell": "columnar", "estimator": "snap1", "filter": "sgd", "hidden": "size"},
    {"cell": "columnar", "filter": "kalman", "hidden": 0},
    *(
        {"cell": cell, "estimator": estimator, "filter": name, "hidden": "size"}
        for cell, estimator, name in (
            ("tanh", "unitwise", "kalman_quasi"), ("gated", "residual", "sgd"),
            ("gated", "nobacktrack", "kalman_quasi"), ("resonator", "snap1", "sgd"),
            ("leaky", "snap1", "sgd"), ("tanh", "residual", "kalman_quasi"),
            ("lstm", "nobacktrack", "sgd"), ("tanh", "snap1", "kalman_quasi"),
            ("resonator", "frozen", "kalman"), ("gated", "unitwise", "sgd"),
            ("lstm", "frozen", "sgd"),
        )
    ),
    {"cell": "columnar", "filter": "sgd", "hidden": 0},
)  # fmt: skip
_TRIES = 200  # after so many draws of sizes that do not go with the choices, others are made


def kernels(seed: int, each: int, most: int, covering: bool = False) -> Iterator[list[Config]]:
    """Lists of ``each`` configurations that have one kernel (``kernel_options``), without end.

    The lists differ in what they choose, those in a list in sizes. None takes more than ``most``
    bytes. The same seed gives the same lists. covering: cells, estimators and filters in turn,
    seldom ones too, instead of what is usual more often.
    """
    draw = random.Random(seed)
    for turn in count():
        found: list[Config] = []
        while len(found) != each:
            choices = _choices(draw)
            if covering:
                choices |= {"resonators": draw.choice((None, 0, "size"))}
                choices |= _CORES[turn % len(_CORES)]
                if choices["cell"] not in ("columnar", "resonator"):
                    del choices["resonators"]
            found = list(islice(_alike(draw, choices, most), each))
        yield found


def _alike(draw: random.Random, choices: dict[str, Any], most: int) -> Iterator[Config]:
    """Different configurations with these choices and one kernel."""
    options, seen = "", set()
    for config in _sized(draw, choices, most):
        options = options or kernel_options(config)
        if config not in seen and kernel_options(config) == options:
            seen.add(config)
            yield config


def _sized(draw: random.Random, choices: dict[str, Any], most: int) -> Iterator[Config]:
    """Valid configurations with these choices and sizes of any kind."""
    for _ in range(_TRIES):
        try:
            config = Config(**_settings(draw, choices))
            room = memory_of(config).total <= most
        except ConfigError:
            continue  # not every choice goes with every other
        if room and (config.hidden or config.cell != "resonator"):
            yield config


def _choices(draw: random.Random) -> dict[str, Any]:
    """Which parts there are. What is usual is drawn more often than what is not."""
    choices: dict[str, Any] = {
        "link": draw.choice(("gaussian",) * 8 + ("categorical", "bernoulli")),
        "filter": draw.choice(("kalman",) * 8 + ("sgd", "kalman_quasi")),
        "head": draw.choice((None, None, 0, "size")),
    }
    if draw.random() < 0.65:
        choices |= {
            "cell": draw.choice(("columnar",) * 5 + ("resonator",)),
            "estimator": draw.choice((None,) * 9 + ("frozen",)),
            "resonators": draw.choice((None, None, 0, "size")),
            "hidden": draw.choice(("size",) * 12 + (0,)),
        }
    else:
        choices |= {
            "cell": draw.choice(("tanh", "leaky", "gated", "gated", "lstm")),
            "estimator": draw.choice(_DENSE_ESTIMATORS),
            "hidden": "size",
        }
    if draw.random() < 0.25:
        choices["follow"] = False
    else:
        choices |= {
            "mix_forget": draw.choice((None, None, None, 0.0)),
            "slow_forget": draw.choice((None, None, None, 0.0)),
            "linear_lags": draw.choice((None, None, None, 0, "size")),
            "anchored": draw.choice((None, None, None, None, False)),
            "intervals": draw.choice((None, None, 0, "size")),
            "anomaly": draw.choice((None, None, False)),
        }
    for name, value in (
        ("stuck_steps", 50), ("hold_missing", True), ("gate", 0.0), ("rollback_steps", 5000),
    ):  # fmt: skip
        if draw.random() < 0.15:
            choices[name] = value
    return choices


def _settings(draw: random.Random, choices: dict[str, Any]) -> dict[str, Any]:
    """Sizes are log-uniform."""
    n_in = _size(draw, 1, 12)
    hidden = _size(draw, 1, 64 if choices["cell"] in ("columnar", "resonator") else 40)
    sizes = {
        "hidden": hidden,
        "resonators": draw.randint(0, hidden),
        "head": _size(draw, 1, 64),
        "linear_lags": _size(draw, 1, 32),
        "intervals": draw.randint(1, 4),
    }
    return {
        "n_in": n_in,
        "n_out": _size(draw, 2 if choices["link"] == "categorical" else 1, 8),
        "lags": draw.choice((None, None, 1, _size(draw, 1, max(1, 64 // n_in)))),
        "max_delay": draw.choice((0, 0, 0, 1, 4, 19)),
        "seed": draw.randrange(1000),
        **{name: sizes[name] if value == "size" else value for name, value in choices.items()},
    }


def _size(draw: random.Random, low: int, high: int) -> int:
    return round(low * math.exp(math.log(high / low) * draw.random()))
