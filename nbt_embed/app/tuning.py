"""Search settings on the first part of a stream, and measure their gain on the rest.

Optuna's tree-structured Parzen estimator (Bergstra, Bardenet, Bengio, Kégl 2011, *Algorithms for
hyper-parameter optimization*) proposes settings, which are scored on the first part. The best one
is compared with the defaults and with recursive least squares on the rest, which the search has not
seen. There every learner has learnt the stream from row 0, as on a device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from nbt_embed._kernel_config import memory_of
from nbt_embed.app.models import LAST, RLS, without_units
from nbt_embed.app.passes import (
    Losses,
    Pass,
    last_pass,
    learner_pass,
    relative_error,
    run_passes,
)
from nbt_embed.config import Config
from nbt_embed.errors import ConfigError, InputError, shown
from nbt_embed.parallel import Interrupted
from nbt_embed.streams import Stream

if TYPE_CHECKING:
    from optuna import Trial

DEFAULT, TUNED = "default", "tuned"
# Trials that are proposed together, so that the search does not depend on parallelism.
_BATCH = 4
# Share of the first part before scoring starts, since the settings are for later rows.
_UNSCORED = 0.25
_SEARCH_SEEDS = 2
_ROWS_MIN = 200  # of each part
# Instead of the logarithm of an error: for an invalid or diverging learner, and for a too large
# one.
_WORST, _TOO_LARGE = 20.0, 10.0


@dataclass(frozen=True)
class Search:
    """What is searched.

    Attributes:
        trials: number of settings to try, the defaults first.
        seed: of the proposals.
        first: share of the stream that the search sees, between 0 and 1.
        seeds: number of learners per settings on the rest.
        memory_bytes: upper limit of the bytes, or None.
        settings: of every learner, which are not searched.
    """

    trials: int = 60
    seed: int = 0
    first: float = 0.4
    seeds: int = 5
    memory_bytes: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, low in (("trials", 2), ("seeds", 1)):
            if getattr(self, name) < low:
                raise ConfigError(f"{name} = {shown(getattr(self, name))}: expected {low} or more")
        if not 0 < self.first < 1:
            raise ConfigError(f"first = {shown(self.first)}: expected a share between 0 and 1")


@dataclass(frozen=True)
class Part:
    """One model on both parts of the stream.

    Attributes: key, config (None for the last value), memory_bytes; first and rest, for each seed
    the error over that of the last value on the scored part of the first part, and on the rest;
    losses, for each seed and target that of the rest, in the target's unit or bits.
    """

    key: str
    config: Config | None
    memory_bytes: int | None
    first: tuple[float, ...]
    rest: tuple[float, ...]
    losses: Losses

    @property
    def error(self) -> float:
        """Median over the seeds, on the rest."""
        return median(self.rest)


@dataclass(frozen=True)
class Tuned:
    """Results of a search.

    Attributes: search; horizon; split, the first row of the rest; parts, by DEFAULT, TUNED, RLS and
    LAST; tried, number of distinct settings that were scored; settings, those that the search
    changed.
    """

    search: Search
    horizon: int
    split: int
    parts: dict[str, Part]
    tried: int
    settings: dict[str, Any]

    @property
    def scored_from(self) -> int:
        """First row that the search scored."""
        return _scored(self.split)[0]

    @property
    def gain(self) -> float:
        """Relative decrease of the median error on the rest; below 0 it rose."""
        return _fall(self.parts[DEFAULT].rest, self.parts[TUNED].rest)

    @property
    def gain_first(self) -> float:
        """The same on the rows that the search scored."""
        return _fall(self.parts[DEFAULT].first, self.parts[TUNED].first)

    @property
    def wins(self) -> int:
        """Number of seeds with which the tuned learner was better on the rest."""
        pairs = zip(self.parts[DEFAULT].rest, self.parts[TUNED].rest, strict=True)
        return sum(after < before for before, after in pairs)

    @property
    def bought(self) -> bool:
        """Whether the median fell by more than 0.1 %, and most seeds agree."""
        return self.gain > 0.001 and 2 * self.wins > self.search.seeds


def tune(
    stream: Stream,
    search: Search,
    horizon: int = 1,
    classes: int | None = None,
    resets: Sequence[int] = (),
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Tuned:
    """Search, then compare on the rest. Deterministic for a seed, whatever ``jobs``.

    Args:
        stream: what is fed; targets that are classes are (T, 1) class numbers.
        search: what is searched.
        horizon: rows between a forecast and its target.
        classes: number of classes, or None for real targets.
        resets: as ``run_passes``.
        jobs: as ``run_passes``.
        progress: called with the number of rows fed since the last call (``rows_of`` in all, or
            fewer).

    Errors: ConfigError (settings, or a budget below the smallest learner), InputError (a stream too
    short), Interrupted, ModuleNotFoundError without Optuna. Cost: that of the passes.
    """
    split = _split(stream, search, horizon)
    fixed = _fixed(stream, search, horizon, classes)
    default = Config(**fixed)
    memory_of(default)  # refuses settings that are invalid in every proposal
    first = _rows(stream, split)
    of_first = [row for row in resets if row < split]
    last = run_passes(
        first, [last_pass(first, horizon, classes, _scored(split))], classes, of_first
    )[0][0]

    def score(passes: Sequence[Pass]) -> list[float]:
        losses = run_passes(first, passes, classes, of_first, jobs, progress)
        return [relative_error(one[0], last) for one in losses]

    study_best, tried = _search(first, fixed, search, horizon, score)
    configs = {DEFAULT: default, TUNED: Config(**(fixed | study_best)), RLS: without_units(default)}
    spans = (*_scored(split), split)

    def run(passes: Sequence[Pass]) -> list[Losses]:
        try:
            return run_passes(stream, passes, classes, resets, jobs, progress)
        except Interrupted:
            raise Interrupted(search.trials, search.trials, "trials") from None

    passes = {
        key: [
            learner_pass(replace(config, seed=seed), stream, horizon, spans)
            for seed in range(1 if key == RLS else search.seeds)
        ]
        for key, config in configs.items()
    }
    passes[LAST] = [last_pass(stream, horizon, classes, spans)]
    parts = _parts(passes, configs, run)
    changed = {
        name: value
        for name, value in vars(configs[TUNED]).items()
        if value != getattr(default, name)
    }
    return Tuned(search, horizon, split, parts, tried, changed)


def rows_of(stream: Stream, search: Search, horizon: int) -> int:
    """Return the most rows that are fed. Errors: as ``tune``."""
    split = _split(stream, search, horizon)
    return split * search.trials * _SEARCH_SEEDS + len(stream) * (2 * search.seeds + 2)


def propose(trial: Trial, fixed: Mapping[str, Any], default: Config) -> dict[str, Any]:
    """Propose settings whose best value depends on the stream; those in ``fixed`` stay."""
    made: dict[str, Any] = {}

    def take(name: str, value: Callable[[], Any]) -> None:
        if fixed.get(name) is None:
            made[name] = value()

    take("hidden", lambda: trial.suggest_int("hidden", 4, 64, log=True))
    hidden = fixed.get("hidden") or made.get("hidden") or 0
    if hidden and default.cell == "columnar":
        share = trial.suggest_categorical("resonators", [0.5, 0.0, 0.25, 0.75, 1.0])
        take("resonators", lambda: round(share * hidden))
    head = trial.suggest_categorical("head", [1.0, 0.0, 0.5, 2.0]) if hidden else 0.0
    take("head", lambda: round(head * hidden))
    take("lags", lambda: trial.suggest_int("lags", 1, _most_lags(default), log=True))
    take("tau_max", lambda: _short(trial.suggest_float("tau_max", 8.0, 512.0, log=True)))
    take("rate", lambda: _short(trial.suggest_float("rate", 0.1, 2.0, log=True)))
    take("forget", lambda: 1 - _short(trial.suggest_float("1 - forget", 1e-5, 1e-2, log=True)))
    if default.link == "gaussian" and default.follow:
        take(
            "scale_rate",
            lambda: _short(trial.suggest_float("scale_rate", 2e-4, 2e-2, log=True)),
        )
    if default.mix_forget:
        take("mix_forget", lambda: 1 - _short(trial.suggest_float("1 - mix", 2e-4, 2e-2, log=True)))
        take(
            "slow_forget",
            lambda: 1 - _short(trial.suggest_float("1 - slow", 1e-6, 2e-3, log=True)),
        )
    if default.linear_lags:
        take("linear_lags", lambda: trial.suggest_int("linear_lags", 1, 40, log=True))
    return made


def _short(value: float) -> float:
    """Round to two digits, which suffice and are easier to type."""
    return float(f"{value:.2g}")


def _most_lags(default: Config) -> int:
    """Return the most lags with which the readout stays small."""
    return max(2, min(24, 96 // default.n_in))


def _defaults(default: Config) -> dict[str, Any]:
    """Return the defaults as Optuna's parameters."""
    units = max(default.hidden, 1)
    return {
        "hidden": default.hidden,
        "resonators": (default.resonators or 0) / units,
        "head": (default.head or 0) / units,
        "lags": default.lags,
        "tau_max": default.tau_max,
        "rate": default.rate,
        "1 - forget": 1 - (default.forget or 0),
        "scale_rate": default.scale_rate,
        "1 - mix": 1 - (default.mix_forget or 0),
        "1 - slow": 1 - (default.slow_forget or 0),
        "linear_lags": default.linear_lags,
    }


def _search(
    first: Stream,
    fixed: Mapping[str, Any],
    search: Search,
    horizon: int,
    score: Callable[[Sequence[Pass]], list[float]],
) -> tuple[dict[str, Any], int]:
    """Return the best settings of the search, and the number that was scored."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=search.seed, n_startup_trials=12)
    study = optuna.create_study(sampler=sampler)
    default = Config(**fixed)
    study.enqueue_trial(_defaults(default))
    scored: dict[Config, float] = {}
    best: tuple[float, dict[str, Any] | None] = (math.inf, None)
    for start in range(0, search.trials, _BATCH):
        asked = []
        for place in range(start, min(start + _BATCH, search.trials)):
            trial = study.ask()
            given = propose(trial, search.settings, default)
            if place == 0:
                given = {}  # the exact defaults, not their rounded parameters
            asked.append((trial, given, _settled({**fixed, **given}, search)))
        fresh = dict.fromkeys(
            one for _, _, one in asked if isinstance(one, Config) and one not in scored
        )
        passes = [
            learner_pass(replace(config, seed=seed), first, horizon, _scored(len(first)))
            for config in fresh
            for seed in range(_SEARCH_SEEDS)
        ]
        try:
            errors = score(passes)
        except Interrupted:
            raise Interrupted(start, search.trials, "trials") from None
        for place, config in enumerate(fresh):
            scored[config] = median(errors[place * _SEARCH_SEEDS : (place + 1) * _SEARCH_SEEDS])
        for trial, given, one in asked:
            value = math.log(max(scored[one], 1e-12)) if isinstance(one, Config) else one
            study.tell(trial, min(value, _WORST))
            if isinstance(one, Config) and scored[one] < best[0]:
                best = scored[one], given
    if best[1] is None:
        raise ConfigError(
            f"none of {search.trials} settings that were tried fits into "
            f"{search.memory_bytes:,} bytes and learns this stream; allow more bytes or more trials"
            if search.memory_bytes is not None
            else f"every one of {search.trials} settings that were tried diverged on this stream"
        )
    return best[1], len(scored)


def _settled(settings: Mapping[str, Any], search: Search) -> Config | float:
    """Return the learner of a proposal, or a penalty if it is invalid or too large."""
    try:
        config = Config(**settings)
        size = memory_of(config).total
    except ConfigError:
        return _WORST
    if search.memory_bytes is not None and size > search.memory_bytes:
        return _TOO_LARGE + math.log(size / search.memory_bytes)
    return config


def _parts(
    passes: Mapping[str, list[Pass]],
    configs: Mapping[str, Config],
    run: Callable[[Sequence[Pass]], list[Losses]],
) -> dict[str, Part]:
    """Score every model on both parts of the whole stream."""
    losses = iter(run([one for ones in passes.values() for one in ones]))
    found = {key: [next(losses) for _ in ones] for key, ones in passes.items()}
    first, rest = found[LAST][0]
    return {
        key: Part(
            key,
            configs.get(key),
            memory_of(configs[key]).total if key in configs else None,
            tuple(relative_error(one[0], first) for one in ones),
            tuple(relative_error(one[1], rest) for one in ones),
            tuple(one[1] for one in ones),
        )
        for key, ones in found.items()
    }


def _split(stream: Stream, search: Search, horizon: int) -> int:
    """Return the first row of the rest. Errors: InputError."""
    split = int(search.first * len(stream))
    shorter = min(split, len(stream) - split)
    needed = max(_ROWS_MIN, 4 * horizon)
    if shorter < needed:
        raise InputError(
            f"the stream has {len(stream):,} rows, of which the smaller part has {shorter:,} with "
            f"first = {search.first:g}: a search needs {needed:,} rows in each part; use a longer "
            "recording, or parts that are less unequal"
        )
    return split


def _scored(split: int) -> tuple[int]:
    return (int(_UNSCORED * split),)


def _rows(stream: Stream, end: int) -> Stream:
    return replace(stream, inputs=stream.inputs[:end], targets=stream.targets[:end])


def _fixed(stream: Stream, search: Search, horizon: int, classes: int | None) -> dict[str, Any]:
    """Return the settings of every learner: from the stream, and those that are not searched."""
    return {
        **search.settings,
        "n_in": stream.n_in,
        "n_out": classes or stream.n_out,
        "max_delay": max(horizon - 1, 0),
        "hold_missing": stream.has_missing_inputs,
        "link": search.settings.get("link", "gaussian" if classes is None else "categorical"),
    }


def _fall(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the relative decrease of the median."""
    least = median(before)
    return 1 - median(after) / least if least > 0 and math.isfinite(least) else 0.0
