"""Learners of every kind, drawn at random, on which the cost of a step is measured."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import count
from typing import Any

from nbt_embed import Config, memory_of
from nbt_embed.errors import ConfigError

_DENSE_ESTIMATORS = (
    "unitwise", "unitwise", "nobacktrack", "nobacktrack", "residual", "snap1", "frozen",
)  # fmt: skip
_DENSE = ("tanh", "leaky", "gated")
# How the weights learn and by which filter, which decides about the loops over them: cells,
# estimator, filter.
_CORES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("columnar",), "snap1", "kalman"),
    (_DENSE, "unitwise", "kalman"),
    (("columnar",), "snap1", "kalman"),
    (("resonator",), "snap1", "kalman"),
    ((*_DENSE, "lstm"), "nobacktrack", "kalman"),
    (("columnar",), "snap1", "sgd"),
    (_DENSE, "residual", "kalman"),
    (_DENSE, "snap1", "kalman"),
    (_DENSE, "unitwise", "kalman_quasi"),
    (("columnar", "resonator"), "frozen", "kalman"),
    ((*_DENSE, "lstm"), "frozen", "kalman"),
    (_DENSE, "residual", "sgd"),
    ((*_DENSE, "lstm"), "nobacktrack", "kalman_quasi"),
    (_DENSE, "unitwise", "sgd"),
    (_DENSE, "residual", "kalman_quasi"),
    ((*_DENSE, "lstm"), "nobacktrack", "sgd"),
    (_DENSE, "snap1", "kalman_quasi"),
    (("resonator",), "snap1", "sgd"),
    (_DENSE, "snap1", "sgd"),
    ((*_DENSE, "columnar"), "frozen", "sgd"),
)
_NO_UNITS = 1 / 15  # of the columnar ones


def learners(seed: int, most: int, covering: bool = False) -> Iterator[Config]:
    """Different configurations of at most ``most`` bytes, without end; the same for the same seed.

    covering: cells, estimators and filters in turn, seldom ones too, instead of what is usual more
    often.
    """
    draw, seen = random.Random(seed), set()
    for turn in count():
        found = None
        while found is None or found in seen:
            choices = _choices(draw)
            if covering:
                choices |= _core(draw, turn)
            found = _valid(_settings(draw, choices), most)
        seen.add(found)
        yield found


def _core(draw: random.Random, turn: int) -> dict[str, Any]:
    cells, estimator, name = _CORES[turn % len(_CORES)]
    core: dict[str, Any] = {"cell": draw.choice(cells), "estimator": estimator, "filter": name}
    alone = core["cell"] in ("columnar", "resonator")
    core["resonators"] = draw.choice((None, 0, "size")) if alone else None
    core["hidden"] = "size"
    if core["cell"] == "columnar" and draw.random() < _NO_UNITS:
        core |= {"hidden": 0, "estimator": None}
    return core


def _valid(settings: dict[str, Any], most: int) -> Config | None:
    """The learner of these settings; None if there is none, or none so small."""
    try:
        config = Config(**settings)
        room = memory_of(config).total <= most
    except ConfigError:
        return None  # not every choice goes with every other
    return config if room and (config.hidden or config.cell != "resonator") else None


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
