"""What the estimators for other libraries have in common: their defaults.

The defaults of ``Config`` are made for forecasts, from a few channels that swing. In these
libraries a row is mostly a case of its own with features that are numbers, and the label belongs to
its row: more of a learnt layer (``head``) and less of a past (``lags``, ``hidden``), and inputs
that do not saturate it (``input_gain``). Measured over all streams of tools/peers at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nbt_embed.config import NAMES, Config
from nbt_embed.errors import ConfigError, InputTypeError, shown, similar

# Fields of Config that are no parameters of the estimators: their values unless `settings` has one.
_USUAL: dict[str, dict[str, Any]] = {
    "gaussian": {"rate": 0.8, "input_gain": 0.25, "head_gain": 1.0, "prior_hidden": 0.2},
    "categorical": {
        "rate": 0.8,
        "input_gain": 0.4,
        "head_gain": 1.2,
        "info_floor": 0.001,
        "prior": 0.3,
    },
}
_DECIDED = ("n_in", "n_out", "link", "max_delay", "hold_missing", "anchor")
PARAMETERS = ("hidden", "head", "lags", "seed")


class Reach:
    """How far forecasts of forecasts may go: beyond the values seen by as much as these span.

    Later steps take forecasts for values. What was learnt of a few values, or of a fault, may make
    them grow without bound.
    """

    def __init__(self) -> None:
        self._low, self._high = math.inf, -math.inf

    def see(self, low: float, high: float) -> None:
        """Values from low to high have been; NaN says nothing."""
        self._low, self._high = min(self._low, low), max(self._high, high)

    def bounded(self, forecast: float) -> float:
        """The forecast, or the end of the reach that it is beyond."""
        span = self._high - self._low
        return min(max(forecast, self._low - span), self._high + span)


def config_of(
    estimator: Any,
    n_in: int,
    n_out: int,
    link: str,
    anchor: tuple[int | None, ...] = (),
    usual: bool = True,
) -> Config:
    """The learner of an estimator with the parameters hidden, head, lags, seed and settings.

    Args:
        estimator: has them as attributes.
        n_in: input channels.
        n_out: outputs.
        link: of the outputs.
        anchor: of the outputs, where they can have one.
        usual: whether the defaults of these estimators are taken instead of the learner's.

    Errors: ConfigError; InputTypeError (settings is no mapping).
    """
    settings = {} if estimator.settings is None else estimator.settings
    if not isinstance(settings, Mapping):
        raise InputTypeError(
            f"settings = {shown(settings)}: expected a dict of fields of nbt_embed.Config, or None"
        )
    known = [name for name in NAMES if name not in (*_DECIDED, *PARAMETERS)]
    for name, value in settings.items():
        if name in PARAMETERS:
            raise ConfigError(
                f"settings: {name} = {shown(value)} is a parameter of "
                f"{type(estimator).__name__}; pass it as one"
            )
        if name not in known:
            why = "is decided by the estimator" if name in _DECIDED else "is unknown"
            raise ConfigError(
                f"settings: {shown(name)} {why}: {similar(name, known)}"
                f"expected one of {', '.join(known)}"
            )
    fields = {name: getattr(estimator, name) for name in PARAMETERS}
    fields |= {"link": link, "hold_missing": True, **settings}
    config = Config(n_in, n_out, **fields)
    # What the configuration leaves out, as the gain of a head that is not there, stays 0.
    more = {name: value for name, value in _USUAL[link].items() if usual and getattr(config, name)}
    if config.anchored:
        more["anchor"] = anchor
    return Config(n_in, n_out, **{**more, **fields})
