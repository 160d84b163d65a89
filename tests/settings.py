"""Settings that many tests share."""

import itertools
from typing import Any

from nbt_embed import Config, memory_of
from nbt_embed.config import CHOICES
from nbt_embed.errors import ConfigError

# What is left of the defaults for a learner of units that see each other, in units that stand
# still, which answers with its readout alone; still.h says the same in C.
_STILL: dict[str, Any] = {"cell": "gated", "head": 0, "follow": False, "lags": 1, "gate": 20.0}
_GAUSSIAN: dict[str, Any] = {
    "rate": 0.24,
    "input_gain": 0.8,
    "info_floor": 0.02,
    "prior_hidden": 0.03,
    "prior_units": False,
}


def still(link: str = "gaussian", **settings: Any) -> dict[str, Any]:
    """Return the settings of a learner with fixed units, and those given."""
    own = _GAUSSIAN if link == "gaussian" else {"scale_steps": 0}
    return {**_STILL, **own, "link": link, **settings}


def is_accepted(config: Config) -> bool:
    """Return whether the kernel takes this configuration: not every cell has every estimator."""
    try:
        memory_of(config)
    except ConfigError:
        return False
    return True


def kinds(*fields: str, **settings: Any) -> list[tuple[Any, ...]]:
    """Return the combinations of choices for these fields that the kernel takes."""
    combinations = itertools.product(*(CHOICES[field] for field in fields))
    return [
        kind
        for kind in combinations
        if is_accepted(Config(1, 2, hidden=1, **settings, **dict(zip(fields, kind, strict=True))))
    ]
