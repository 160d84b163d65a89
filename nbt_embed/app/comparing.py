"""Compare learners of many settings on one stream: error against bytes and milliseconds.

Every combination of a grid learns the stream once per seed, compared with recursive least squares
and the last value (the last class). The error is the geometric mean over the targets of the loss
divided by that of the last value, so targets are never pooled. Of the seeds the median counts; the
smallest and the largest show the spread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from statistics import median
from typing import Any

from nbt_embed._kernel_config import memory_of
from nbt_embed.app.models import LAST, LEARNER, RLS, without_units
from nbt_embed.app.passes import (
    Losses,
    Pass,
    last_pass,
    learner_pass,
    relative_error,
    run_passes,
)
from nbt_embed.config import Cell, Config, Estimator
from nbt_embed.cost import Cost, Processor, cost
from nbt_embed.errors import ConfigError, InputError
from nbt_embed.streams import Stream

NEAR_BEST = 1.01  # "within 1 % of the best"


@dataclass(frozen=True)
class Grid:
    """Settings to combine; None leaves one to ``Config``.

    Attributes: hidden, cells, estimators, lags, horizons, seeds; settings, of every learner.
    """

    hidden: tuple[int, ...] = (4, 8, 16, 32, 64)
    cells: tuple[Cell | None, ...] = (None,)
    estimators: tuple[Estimator | None, ...] = (None,)
    lags: tuple[int | None, ...] = (None,)
    horizons: tuple[int, ...] = (1,)
    seeds: tuple[int, ...] = (0, 1, 2)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("hidden", "cells", "estimators", "lags", "horizons", "seeds"):
            values = getattr(self, name)
            if not values:
                raise ConfigError(f"{name} = (): expected at least one value")
            if len(set(values)) < len(values):
                raise ConfigError(f"{name} = {values}: a value is repeated")


@dataclass(frozen=True)
class Compared:
    """One row of the comparison.

    Attributes:
        key: LEARNER, RLS or LAST of ``models``.
        config: settings, with the first seed; None for the last value.
        horizon: rows between a forecast and its target.
        losses: for each seed and target the RMSE in the target's unit, or bits.
        errors: for each seed the geometric mean over the targets of the loss over that of the last
            value; infinite if the learner diverged.
        memory_bytes: of the learner; None for the last value.
        cost: of a step on the requested processor, or None.
        on_bytes_line, on_time_line: whether no model with at most as many bytes (milliseconds) has
            an error as small: the Pareto fronts.
        best, cheapest: smallest error; fewest bytes within 1 % of the best.
    """

    key: str
    config: Config | None
    horizon: int
    losses: Losses
    errors: tuple[float, ...]
    memory_bytes: int | None
    cost: Cost | None
    on_bytes_line: bool = False
    on_time_line: bool = False
    best: bool = False
    cheapest: bool = False

    @property
    def error(self) -> float:
        """Median over the seeds."""
        return median(self.errors)

    @property
    def loss_per_target(self) -> tuple[float, ...]:
        """Median over the seeds of each target's loss."""
        return tuple([median(losses) for losses in zip(*self.losses, strict=True)])


@dataclass(frozen=True)
class Combination:
    """A learner of the grid: settings with the first seed, and a horizon."""

    config: Config
    horizon: int


def combinations(grid: Grid, n_in: int, n_out: int) -> tuple[list[Combination], list[str]]:
    """Return the learners of a grid, and a sentence for every invalid combination.

    Combinations may give equal learners, because a setting has no effect together with the others.
    Equal learners appear once, and not at all if they are recursive least squares, which is always
    compared.
    Errors: ConfigError if none is left.
    """
    found: dict[tuple[Config, int], Combination] = {}
    left_out: dict[str, str] = {}
    names = ("horizon", "hidden", "cell", "estimator", "lags")
    for horizon, *values in product(
        grid.horizons, grid.hidden, grid.cells, grid.estimators, grid.lags
    ):
        asked = dict(zip(names[1:], values, strict=True))
        try:
            config = Config(
                n_in, n_out,
                **{**grid.settings, **asked},
                seed=grid.seeds[0],
                max_delay=max(horizon - 1, 0),
            )  # fmt: skip
            memory_of(config)
        except ConfigError as error:
            said = ", ".join(
                f"{name} {value}" for name, value in asked.items() if value is not None
            )
            left_out.setdefault(said, f"left out {said}: {error}")
            continue
        config = _canonical(config)
        found.setdefault((config, horizon), Combination(config, horizon))
    if any(not _is_rls(config) for config, _ in found):
        found = {key: one for key, one in found.items() if not _is_rls(key[0])}
    if not found:
        first = next(iter(left_out.values())).partition(": ")[2]
        raise ConfigError(f"no combination of the grid is valid; the first: {first}")
    return list(found.values()), list(left_out.values())


# Settings that have no effect without units and head.
_OF_UNITS = (
    "cell", "norm", "tau_min", "tau_max", "recurrent_gain", "input_gain", "decay", "rate",
    "info_rate", "info_floor", "prior_hidden", "head_gain", "resonators",
)  # fmt: skip


def _canonical(config: Config) -> Config:
    """Return an equal learner: settings without effect have their defaults."""
    if config.hidden or config.head:
        return config
    usual = without_units(config)
    return replace(config, **{name: getattr(usual, name) for name in _OF_UNITS})


def _is_rls(config: Config) -> bool:
    """Return whether the forecasts are those of ``without_units``."""
    return replace(config, seed=0) == replace(without_units(config), seed=0)


def compare(
    stream: Stream,
    grid: Grid,
    processor: Processor,
    mhz: float | None = None,
    classes: int | None = None,
    resets: Sequence[int] = (),
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Compared], list[str]]:
    """Run a grid on a stream.

    Args:
        stream: what is fed; targets that are classes are (T, 1) class numbers.
        grid: the settings to combine.
        processor: for the milliseconds.
        mhz: its clock, as for ``cost``.
        classes: number of classes, or None for real targets.
        resets: as ``run_passes``.
        jobs: as ``run_passes``; the result does not depend on it.
        progress: as ``run_passes``; called for ``rows_of`` rows in all.

    Returns: for each horizon the last value, recursive least squares and the learners, in the order
    of the grid; and notes.
    Errors: ConfigError (no combination is a learner), InputError (nothing to score), Interrupted.
    """
    entries, notes = _entries(stream, grid, classes)
    # The longest first, so that all cores end at about the same time.
    order = sorted(range(len(entries)), key=lambda place: -_effort(entries[place][1]))
    places = [(place, k) for place in order for k in range(len(entries[place][2]))]
    passes = [entries[place][2][k] for place, k in places]
    made = run_passes(stream, passes, classes, resets, jobs, progress)
    losses = dict(zip(places, made, strict=True))
    rows: list[Compared] = []
    for horizon in grid.horizons:
        here = [
            (key, config, [losses[place, k][0] for k in range(len(ones))])
            for place, (key, config, ones) in enumerate(entries)
            if ones[0].horizon == horizon
        ]
        rows += judged(list(_rows(here, horizon, processor, mhz))) if here else []
    return rows, notes


def rows_of(stream: Stream, grid: Grid, classes: int | None) -> int:
    """Return the total number of rows that are fed. Errors: as ``compare``."""
    entries, _ = _entries(stream, grid, classes)
    return len(stream) * sum(len(ones) for _, _, ones in entries)


# Key, settings, and a pass per seed.
_Entry = tuple[str, Config | None, list[Pass]]


def _entries(stream: Stream, grid: Grid, classes: int | None) -> tuple[list[_Entry], list[str]]:
    settings = dict(grid.settings) | {"hold_missing": stream.has_missing_inputs}
    if classes is not None:
        settings["link"] = "categorical"
    n_out = classes or stream.n_out
    grid = Grid(**{**vars(grid), "settings": settings})
    learners, notes = combinations(grid, stream.n_in, n_out)
    entries: list[_Entry] = []
    for horizon in grid.horizons:
        if len(stream) <= 2 * horizon:
            raise InputError(
                f"horizon = {horizon}: nothing is scored before row {2 * horizon}, and the stream "
                f"has {len(stream)} rows; use a longer stream, or a smaller horizon"
            )
        here = [one.config for one in learners if one.horizon == horizon]
        if not here:  # a note has the reason
            continue
        entries.append((LAST, None, [last_pass(stream, horizon, classes)]))
        for plain in dict.fromkeys(map(without_units, here)):
            entries.append((RLS, plain, [learner_pass(plain, stream, horizon)]))
        for config in here:
            seeds = [replace(config, seed=seed) for seed in grid.seeds]
            entries.append((LEARNER, config, [learner_pass(one, stream, horizon) for one in seeds]))
    return entries, notes


def _effort(config: Config | None) -> float:
    """Return the effort of a pass, for comparison with other passes."""
    if config is None:
        return 0.0
    if config.estimator == "rtrl":
        return math.inf
    return float(cost(config, "Cortex-M4F").instructions)


def _rows(
    here: Sequence[tuple[str, Config | None, list[tuple[float, ...]]]],
    horizon: int,
    processor: Processor,
    mhz: float | None,
) -> Iterator[Compared]:
    """Return rows with errors, bytes and cost; RLS with the lags of the smallest error."""
    last = next(losses[0] for key, _, losses in here if key == LAST)
    made = [
        Compared(
            key, config, horizon, tuple(losses), tuple(relative_error(one, last) for one in losses),
            None if config is None else memory_of(config).total,
            None if config is None or config.estimator == "rtrl" else cost(config, processor, mhz),
        )
        for key, config, losses in here
    ]  # fmt: skip
    simple = min((one for one in made if one.key == RLS), key=lambda one: one.error)
    for one in made:
        if one.key != RLS or one is simple:
            yield one


def judged(made: Sequence[Compared]) -> list[Compared]:
    """Mark the Pareto fronts, the best row and the cheapest within 1 % of it, of one horizon."""
    sized = [one for one in made if one.memory_bytes is not None and math.isfinite(one.error)]
    if not sized:
        return list(made)
    best = min(sized, key=lambda one: (one.error, one.memory_bytes))
    near = [one for one in sized if one.error <= NEAR_BEST * best.error]
    cheapest = min(near, key=lambda one: (one.memory_bytes, one.error))
    timed = [one for one in sized if one.cost is not None]
    on_bytes = _line(sized, lambda one: float(one.memory_bytes or 0))
    on_time = _line(timed, lambda one: one.cost.milliseconds_high if one.cost else math.inf)
    return [
        replace(
            one,
            best=one is best,
            cheapest=one is cheapest,
            on_bytes_line=id(one) in on_bytes,
            on_time_line=id(one) in on_time,
        )
        for one in made
    ]


def _line(rows: Sequence[Compared], price: Callable[[Compared], float]) -> set[int]:
    """Return the identities of rows that no row of at most their cost beats."""
    found, least = set(), math.inf
    for one in sorted(rows, key=lambda one: (price(one), one.error)):
        if one.error < least:
            least = one.error
            found.add(id(one))
    return found
