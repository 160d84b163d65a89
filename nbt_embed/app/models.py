"""The compared models: the learner, its frozen twin, and simple baselines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from numpy.typing import ArrayLike

from nbt_embed._kernel_config import memory_of
from nbt_embed.app.classes import EachOutput, LastClass, Majority
from nbt_embed.arrays import Float32Array
from nbt_embed.baselines import LastValue, Nlms, Seasonal
from nbt_embed.config import Config
from nbt_embed.learner import Learner

# Keys, in the order of every table. The learner is first.
LEARNER, FROZEN, RLS, NLMS, LAST, SEASONAL, MAJORITY = (
    "learner",
    "frozen",
    "rls",
    "nlms",
    "last",
    "seasonal",
    "majority",
)
# Baselines. The frozen twin is not one, since it shows what learning contributes.
SIMPLE = (RLS, NLMS, LAST, SEASONAL, MAJORITY)


class Model(Protocol):
    """A model that is fed a stream in pieces."""

    def run(self, X: ArrayLike, Y: ArrayLike, *, horizon: int) -> Float32Array:
        """Return forecasts (T, n_out), as ``Learner.run``."""
        ...

    def reset_state(self) -> None:
        """Start another recording."""
        ...


@dataclass(frozen=True, eq=False)
class Entrant:
    """A model with its name, and settings and bytes if a device can run it."""

    key: str
    name: str
    model: Model
    config: Config | None = None

    @property
    def memory_bytes(self) -> int | None:
        """Bytes of a learner of the kernel."""
        return None if self.config is None else memory_of(self.config).total


def entrants(config: Config, horizon: int, period: int | None) -> Iterator[Entrant]:
    """Return new models for forecasts ``horizon`` rows ahead.

    Recursive least squares is a learner of the same kernel without units (``hidden=0``), so a
    device can run it unchanged. The frozen twin has all of the learner except learnt recurrent
    weights. NLMS has the same lags.

    The bytes include intervals and scores if this learner has them, for a fair comparison; only the
    forecasts are computed.

    Args: config of the learner; period in rows, or None. Errors: ConfigError.
    """
    config = replace(config, max_delay=max(horizon - 1, 0))
    yield Entrant(LEARNER, "this learner", Learner(config), config)
    if config.hidden and config.estimator != "frozen":
        frozen = replace(config, estimator="frozen")
        yield Entrant(FROZEN, "frozen units", Learner(_quiet(frozen)), frozen)
    rls = without_units(config)
    if config.hidden or config.head or config.filter == "sgd":
        name = "RLS" if config.link == "gaussian" else "no units"
        yield Entrant(RLS, name, Learner(_quiet(rls)), rls)
    n_in, n_out, delay = config.n_in, config.n_out, config.max_delay
    if config.link == "gaussian":
        yield Entrant(NLMS, "NLMS", Nlms(n_in, n_out, lags=config.lags or 1, max_delay=delay))
    if config.link != "gaussian":
        yield Entrant(LAST, "last class", _of_classes(config, LastClass))
        yield Entrant(MAJORITY, "usual class", _of_classes(config, Majority))
        return
    yield Entrant(LAST, "last value", LastValue(n_in, n_out, max_delay=delay))
    if period is not None:
        model = Seasonal(n_in, n_out, period=period, max_delay=delay)
        yield Entrant(SEASONAL, f"{period} rows ago", model)


def _quiet(config: Config) -> Config:
    """Return a configuration of equal forecasts without intervals and scores."""
    return replace(config, intervals=0, levels=(), anomaly=False)


def _of_classes(config: Config, kind: type[LastClass] | type[Majority]) -> Model:
    if config.link == "categorical":
        return kind(config.n_out)
    return EachOutput([kind(2) for _ in range(config.n_out)])


def without_units(config: Config) -> Config:
    """Return recursive least squares on the same lags, as the option --hidden 0."""
    return Config(
        config.n_in,
        config.n_out,
        hidden=0,
        lags=config.lags,
        max_delay=config.max_delay,
        link=config.link,
        hold_missing=config.hold_missing,
        follow=config.follow,
        anchor=config.anchor,
        levels=config.levels,
        anomaly=config.anomaly,
    )
