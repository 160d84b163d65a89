"""Smaller learners that fit where a learner does not, smallest expected loss first.

Parts that only describe a forecast cost no accuracy and are removed first. The order of the others
is a judgement: the loss of a reduction depends on the stream (``make losses`` measures it on
recorded ones, ``nbt-embed compare`` on yours).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from nbt_embed.config import Config
from nbt_embed.errors import ConfigError
from nbt_embed.footprint import Footprint, Limits, footprint, misfits

Reduce = Callable[[Config], Config | None]


@dataclass(frozen=True)
class Reduction:
    """A reduction: its name, and the learner after it, None where it changes nothing."""

    name: str
    reduce: Reduce


@dataclass(frozen=True)
class Fitting:
    """A learner that fits: the reductions in their order, and its resources."""

    names: tuple[str, ...]
    footprint: Footprint


_NO_LINEAR = {"linear_lags": 0, "linear_forget": 0.0}
_NO_MIXTURE = {"mix_forget": 0.0, "slow_forget": 0.0, "rollback_steps": 0, **_NO_LINEAR}
_NO_INTERVALS = {"intervals": 0, "levels": ()}
_NO_FOLLOW = {
    "follow": False, "anchored": False, "anchor": None, "prior_units": False, "anomaly": False,
    "scale_rate": 0.0, "input_limit": 0.0, **_NO_MIXTURE, **_NO_INTERVALS,
}  # fmt: skip
_NO_HEAD = {"head": 0, "head_gain": 0.0}
_NO_COVARIANCE = {"filter": "sgd", "slow_forget": 0.0, "prior_units": False, **_NO_LINEAR}


def _off(**values: Any) -> Reduce:
    """Settings as values, where that changes anything."""

    def reduce(config: Config) -> Config | None:
        with suppress(ConfigError):
            other = replace(config, **values)
            return None if other == config else other
        return None

    return reduce


def _part_of(share: float) -> Reduce:
    """That part of the units, and of resonators and head with them."""

    def reduce(config: Config) -> Config | None:
        hidden = int(config.hidden * share)
        if not 1 <= hidden < config.hidden:
            return None
        resonators = hidden if config.cell == "resonator" else int((config.resonators or 0) * share)
        head = int((config.head or 0) * share)
        return replace(
            config, hidden=hidden, resonators=min(resonators, hidden),
            **({"head": head} if head else _NO_HEAD),
        )  # fmt: skip

    return reduce


def _half_head(config: Config) -> Config | None:
    head = (config.head or 0) // 2
    return replace(config, head=head) if head else None


def _cheaper_estimator(name: str) -> Reduce:
    """An estimator of fewer bytes and instructions for dense cells."""
    order = ("unitwise", "residual", "nobacktrack")

    def reduce(config: Config) -> Config | None:
        if config.estimator not in order or order.index(config.estimator) >= order.index(name):
            return None
        return replace(config, estimator=name)  # type: ignore[arg-type]

    return reduce


def _columnar(config: Config) -> Config | None:
    if config.traces_are_exact or not config.hidden:
        return None
    plain = Config(config.n_in, config.n_out, hidden=config.hidden, link=config.link, head=0,
                   resonators=0)  # fmt: skip
    names = ("cell", "estimator", "tau_max", "rate")
    other = {name: getattr(plain, name) for name in names}
    filter_name = "kalman" if config.filter == "kalman_quasi" else config.filter
    return replace(config, **other, filter=filter_name)


def _no_units(config: Config) -> Config | None:
    if not config.hidden:
        return None
    cell = "columnar" if config.cell == "resonator" else config.cell
    off = {"hidden": 0, "resonators": 0, "estimator": "frozen", "cell": cell, **_NO_HEAD}
    if config.filter == "kalman_quasi":
        off["filter"] = "kalman"
    return replace(config, **off)  # type: ignore[arg-type]


REDUCTIONS = (
    Reduction("no anomaly scores", _off(anomaly=False)),
    Reduction("no prediction intervals", _off(**_NO_INTERVALS)),
    Reduction("no slow readout", _off(slow_forget=0.0)),
    Reduction("no linear forecast", _off(**_NO_LINEAR)),
    Reduction("filter kalman", lambda c: _off(filter="kalman")(c) if "quasi" in c.filter else None),
    Reduction("estimator residual", _cheaper_estimator("residual")),
    Reduction("estimator nobacktrack", _cheaper_estimator("nobacktrack")),
    Reduction("half the head", _half_head),
    Reduction("no head", _off(**_NO_HEAD)),
    Reduction("three quarters of the units", _part_of(3 / 4)),
    Reduction("half the units", _part_of(1 / 2)),
    Reduction("one lag", _off(lags=1)),
    Reduction("columnar cells", _columnar),
    Reduction("a quarter of the units", _part_of(1 / 4)),
    Reduction("no resonators", lambda c: None if c.cell == "resonator" else _off(resonators=0)(c)),
    Reduction("an eighth of the units", _part_of(1 / 8)),
    Reduction("no mixture", _off(**_NO_MIXTURE)),
    Reduction("fixed units", _off(**_NO_FOLLOW)),
    Reduction("filter sgd", _off(**_NO_COVARIANCE)),
    Reduction("no recurrent units", _no_units),
)


def what_fits(made: Footprint, limits: Limits) -> tuple[Fitting, ...]:
    """Smaller learners that fit, smallest expected loss first: by one reduction, and by several.

    Several: the reductions in their order until it fits, without the unnecessary ones. Empty if
    nothing fits. Cost: some tens of ``footprint``.
    """
    found: dict[Config, Fitting] = {}
    for names in (*((one,) for one in REDUCTIONS), *_several(made, limits)):
        less = _footprint_of(made, names)
        if less is not None and not misfits(less, limits):
            found.setdefault(less.config, Fitting(tuple(one.name for one in names), less))
    return tuple(found.values())


def _several(made: Footprint, limits: Limits) -> Iterator[Sequence[Reduction]]:
    """The steps down that make it fit together, as few of them as there can be; or nothing."""
    taken: list[Reduction] = []
    for one in REDUCTIONS:
        less = _footprint_of(made, [*taken, one])
        if less is None:
            continue
        taken.append(one)
        if not misfits(less, limits):
            break
    else:
        return
    for one in list(taken):
        rest = [other for other in taken if other is not one]
        less = _footprint_of(made, rest) if rest else None
        if less is not None and not misfits(less, limits):
            taken = rest
    yield taken


def _footprint_of(made: Footprint, steps: Sequence[Reduction]) -> Footprint | None:
    """What the learner takes after all these steps; None where one changes nothing."""
    config: Config | None = made.config
    for one in steps:
        config = None if config is None else one.reduce(config)
    if config is None:
        return None
    with suppress(ConfigError):  # not every choice goes with every other
        less = footprint(config, made.processor, made.cost.mhz, made.rate_hz)
        return replace(less, watts=made.watts)
    return None
