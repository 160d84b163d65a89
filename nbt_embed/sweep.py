"""Learners of many settings and seeds on one stream, on all processors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median

import numpy as np

from nbt_embed._html import html_table
from nbt_embed._kernel_config import memory_of
from nbt_embed.arrays import integer
from nbt_embed.config import Config
from nbt_embed.curve import Curve
from nbt_embed.errors import ConfigError, InputTypeError, shown
from nbt_embed.evaluate import Evaluation, evaluate, scored_truths
from nbt_embed.learner import Learner
from nbt_embed.parallel import Advance, run_all
from nbt_embed.streams import Stream


@dataclass(frozen=True)
class Swept:
    """One configuration of a sweep.

    Attributes:
        name: the given name, or its settings.
        config: with the first seed.
        seeds: those it ran with.
        rmse, nrmse: for each seed, over all targets (``Evaluation``); not finite where it diverged.
        rmse_per_target: for each seed and target.
        memory_bytes: of the learner.
        curves: for each seed the learning curve.
    """

    name: str
    config: Config
    seeds: tuple[int, ...]
    rmse: tuple[float, ...]
    nrmse: tuple[float, ...]
    rmse_per_target: tuple[tuple[float, ...], ...]
    memory_bytes: int
    curves: tuple[Curve, ...] = field(repr=False)

    @property
    def median(self) -> float:
        """Of the nrmse, over the seeds."""
        return median(self.nrmse)

    @property
    def spread(self) -> tuple[float, float]:
        """Least and largest nrmse over the seeds."""
        return min(self.nrmse), max(self.nrmse)

    def _repr_html_(self) -> str:
        low, high = self.spread
        rows = {
            "nrmse": f"{self.median:.4g} ({low:.4g} to {high:.4g})",
            "seeds": ", ".join(map(str, self.seeds)),
            "memory": f"{self.memory_bytes:,} bytes",
        }
        return html_table(self.name, rows)


def sweep(
    configs: Mapping[str, Config] | Sequence[Config],
    stream: Stream,
    seeds: Sequence[int] = (0, 1, 2),
    *,
    horizon: int = 1,
    score_from: int = 0,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Swept]:
    """Evaluate every configuration with every seed (``evaluate``), several at once.

    Examples:
        >>> from nbt_embed.simulation import simulated_sensor
        >>> stream = simulated_sensor(600, missing=0)
        >>> small, large = sweep([Config(3, 3, hidden=h) for h in (2, 8)], stream, seeds=(0, 1))
        >>> large.memory_bytes > small.memory_bytes and large.spread[0] <= large.median
        True

    Args:
        configs: of learners with real-valued targets; a mapping names them.
        stream: what is fed, in order.
        seeds: at least one; a configuration's own seed does not count.
        horizon: h, from 0; every configuration needs max_delay >= h - 1.
        score_from: as for ``evaluate``.
        jobs: passes at once; None: the number of processors of this process. The results do not
            depend on it.
        progress: called with the number of rows fed since the last call;
            len(stream) * len(configs) * len(seeds) rows in all.

    Returns: one ``Swept`` for each configuration, in their order.
    Errors: ConfigError (a configuration, the seeds, jobs), InputTypeError, InputError (nothing to
    score), ``parallel.Interrupted`` after Ctrl-C, with the number of finished passes.
    Cost: that of the learners, and a (T, n_out) array for each pass that runs.
    """
    named = _named(configs)
    if not isinstance(seeds, Iterable):
        raise InputTypeError(f"seeds = {shown(seeds)}: expected several integers")
    seeds = tuple([integer("seeds", seed) for seed in seeds])
    horizon, score_from = integer("horizon", horizon), integer("score_from", score_from)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds = {shown(seeds)}: expected at least one, and none twice")
    scored_truths(stream, horizon, score_from)  # refuses before anything is fed
    for name, config in named.items():
        memory_of(config)
        if horizon > config.max_delay + 1:
            raise ConfigError(
                f"{name}: max_delay = {config.max_delay} and horizon = {horizon}: expected "
                f"max_delay = {horizon - 1} or more"
            )
        if (config.n_in, config.n_out) != (stream.n_in, stream.n_out):
            raise ConfigError(
                f"{name}: n_in = {config.n_in} and n_out = {config.n_out}: the stream has "
                f"{stream.n_in} inputs and {stream.n_out} targets"
            )
    passes = [
        partial(_pass, replace(config, seed=seed), stream, horizon, score_from)
        for config in named.values()
        for seed in seeds
    ]
    made = run_all(passes, jobs, progress)
    return [
        _swept(name, config, seeds, made[place * len(seeds) : (place + 1) * len(seeds)])
        for place, (name, config) in enumerate(named.items())
    ]


_Made = tuple[float, float, tuple[float, ...], Curve]


def _pass(config: Config, stream: Stream, horizon: int, score_from: int, advance: Advance) -> _Made:
    """Evaluate one learner. What is kept does not grow with the stream."""
    one: Evaluation = evaluate(Learner(config), stream, horizon, score_from, advance)
    curve = one.curve()
    return one.rmse, one.nrmse, tuple(np.sqrt(curve.mean_squares).tolist()), curve


def _swept(name: str, config: Config, seeds: tuple[int, ...], made: list[_Made]) -> Swept:
    rmse, nrmse, per_target, curves = zip(*made, strict=True)
    config = replace(config, seed=seeds[0])
    return Swept(name, config, seeds, rmse, nrmse, per_target, memory_of(config).total, curves)


def _named(configs: Mapping[str, Config] | Sequence[Config]) -> dict[str, Config]:
    """Configurations by name. Errors: ConfigError, InputTypeError."""
    if not isinstance(configs, Iterable):
        raise InputTypeError(f"configs = {shown(configs)}: expected several of type Config")
    if isinstance(configs, Mapping):
        named = dict(configs)
    else:
        named = {}
        for config in configs:
            if not isinstance(config, Config):
                raise InputTypeError(f"configs has {shown(config)}: expected a Config")
            if config.arguments() in named:
                raise ConfigError(f"configs names {config.arguments()} twice")
            named[config.arguments()] = config
    if not named:
        raise ConfigError("configs is empty: expected at least one Config")
    for name, config in named.items():
        if not isinstance(config, Config):
            raise InputTypeError(f"configs[{name!r}] is {shown(config)}: expected a Config")
        if config.link == "categorical":
            raise ConfigError(f"{name}: link = 'categorical' has no real-valued targets to score")
    return named
