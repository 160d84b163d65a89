"""Settings that many tests share."""

from typing import Any

# What is left of the defaults for a learner whose units stand still and that answers with its
# readout alone; still.h says the same in C.
_STILL: dict[str, Any] = {"follow": False, "lags": 1, "gate": 20.0}
_GAUSSIAN: dict[str, Any] = {
    "rate": 0.24,
    "input_gain": 0.8,
    "info_floor": 0.02,
    "prior_hidden": 0.03,
    "prior_units": False,
}


def still(link: str = "gaussian", **settings: Any) -> dict[str, Any]:
    """Return the settings of a learner with units that stand still, and those given."""
    own = _GAUSSIAN if link == "gaussian" else {"scale_steps": 0}
    return {**_STILL, **own, "link": link, **settings}
