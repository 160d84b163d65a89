"""Reasons for the errors of devices: drawn values, recording, guards.

Every reason comes with its numbers: the device's rank in the fleet, and the correlation of the
error of all devices with it (Spearman's rank correlation). For a cause that affects few devices,
the number of those among the worst is reported instead. Effects that are likely by chance are not
reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import polars
from numpy.typing import NDArray

from nbt_embed.arrays import Float64Array

_CHANCE = 0.01  # probability that any correlation of a fleet is reported by mistake
_LEAST = 0.1  # smallest correlation that is reported
_STANDS_OUT = 0.1  # share of the fleet at the end where the error is large
_ALONE = 5.0  # distance from the median, relative to nine of ten devices, of a device that is alone
_MOST_REASONS = 3


@dataclass(frozen=True)
class Along:
    """Correlation of the error over the fleet with one column.

    Attributes:
        column: a drawn value, or a guard's counter.
        rho: Spearman's correlation of the error with it, or with its distance from the median.
        distance: whether the distance from the median is used.
        tells: whether the correlation is significant.
        rank: (n,) of each device, 1 where the error should be largest; ties have their last rank.
        values, median: of the column.
        guard: whether it is a guard's counter.
    """

    column: str
    rho: float
    distance: bool
    tells: bool
    rank: NDArray[np.int64]
    values: Float64Array
    median: float
    guard: bool


@dataclass(frozen=True)
class Few:
    """The devices at one end of a column, at most a tenth of the fleet.

    A correlation over the whole fleet misses a cause that affects few devices, because it ranks all
    the unaffected ones.

    Attributes: column; of, (n,) whether a device is one of them; count, number of these; worst,
    number of these among the ``count`` worst devices; median, of the column; values, (n,).
    """

    column: str
    of: NDArray[np.bool_]
    count: int
    worst: int
    median: float
    values: Float64Array


@dataclass(frozen=True)
class Groups:
    """Devices that share a recording.

    Attributes: numbers, (k,) of the recordings; of, (n,) index of each device's recording; median,
    (k,) error of its devices; share, of the variance of the error's ranks between recordings;
    tells, whether that is significant.
    """

    numbers: NDArray[np.int64]
    of: NDArray[np.int64]
    median: Float64Array
    share: float
    tells: bool


class Why:
    """Reasons for the errors of one setting and horizon.

    Args:
        error: (n,) of scored devices; infinite if one diverged.
        drawn: name -> (n,), drawn values.
        guards: name -> (n,), number of actions of each guard.
        recordings: (n,) number of each device's recording.
        called: name of a recording.

    Cost: a sort per column.
    """

    def __init__(
        self,
        error: Float64Array,
        drawn: Mapping[str, Float64Array],
        guards: Mapping[str, Float64Array],
        recordings: NDArray[np.int64],
        called: Callable[[int], str] = str,
    ) -> None:
        self._error, self._count = error, len(error)
        columns = [(name, values, False) for name, values in drawn.items() if _varies(values)]
        columns += [(name, values, True) for name, values in guards.items() if _varies(values)]
        self.needed = needed_correlation(self._count, 2 * len(columns))
        """Smallest significant correlation."""
        ranks = _ranks(error)
        self.columns = sorted(
            (self._along(*one, ranks) for one in columns), key=lambda one: -abs(one.rho)
        )
        self.few = list(_few(drawn, error))
        self.groups = _groups(error, ranks, recordings)
        self._called, self._shared = called, not _varies(recordings)

    def reasons(self, device: int) -> list[str]:
        """Return sentences about one device, by its index in the arrays; never empty."""
        found = []
        if not np.isfinite(self._error[device]):
            found.append("its learner diverged")
        groups = self.groups
        if groups is not None and groups.tells:
            own = groups.of[device]
            count = len(groups.numbers)
            rank = 1 + int((groups.median > groups.median[own]).sum())
            if rank <= max(1, _STANDS_OUT * count):
                found.append(
                    f"recording {self._called(int(groups.numbers[own]))}: the median error of its "
                    f"{int((groups.of == own).sum()):,} devices is {groups.median[own]:.3g}, rank "
                    f"{rank} of {count:,} recordings, which explain {groups.share:.0%} of the "
                    "variance of the ranks"
                )
        telling = [
            one
            for one in self.columns
            if one.tells and one.rank[device] <= max(1, _STANDS_OUT * self._count)
        ]
        found += [self._sentence(one, device) for one in telling if not one.guard]
        named = {one.column for one in telling}
        found += [
            f"{one.column} {one.values[device]:.4g}, median {one.median:.4g} ({one.worst} of the "
            f"{one.count} devices with such values are among the {one.count} worst)"
            for one in self.few
            if one.of[device] and one.column not in named
        ]
        # A guard that acted less often than on other devices is not a reason.
        acted = [self._sentence(one, device) for one in telling if one.guard and one.rho > 0]
        return found[:_MOST_REASONS] + acted[:1] if found else [*acted[:1], self._nothing(device)]

    def _along(self, column: str, values: Float64Array, guard: bool, ranks: Float64Array) -> Along:
        median = float(np.median(values))
        rho, distance, sign = _correlation(_ranks(values), ranks), False, values
        away = np.abs(values - median)
        if not guard and abs(rho_away := _correlation(_ranks(away), ranks)) > abs(rho):
            rho, distance, sign = rho_away, True, away
        harmful = sign if rho >= 0 else -sign
        rank = 1 + self._count - _ranks(harmful, "min").astype(np.int64)
        return Along(
            column, rho, distance, abs(rho) >= max(self.needed, _LEAST), rank, values, median, guard
        )

    def _sentence(self, one: Along, device: int) -> str:
        value = f"{one.values[device]:,.0f} times" if one.guard else f"{one.values[device]:.4g}"
        how = f"{'rises' if one.rho > 0 else 'falls'} with "
        how += "the distance from the median" if one.distance else "it"
        return (
            f"{_titled(one)} {value}, rank {one.rank[device]:,} of {self._count:,}, median "
            f"{one.median:.4g} (over the fleet the error {how}, rank correlation {one.rho:+.2f})"
        )

    def summary(self) -> str:
        """Return the correlations of the error over the fleet, in one sentence."""
        if self._count < 3 or not self.columns:
            return "The devices differ too little to correlate their errors with anything."
        telling = [one for one in self.columns if one.tells]
        named = {one.column for one in telling}
        few = "".join(
            f" Few devices stand out in {one.column}, and {one.worst} of these {one.count} are "
            f"among the {one.count} worst."
            for one in self.few
            if one.column not in named
        )
        if telling:
            list_of = ", ".join(
                f"{_titled(one)} ({one.rho:+.2f})" for one in telling[:_MOST_REASONS]
            )
            return (
                f"Over the fleet the error correlates with {list_of}; chance gives rank "
                f"correlations up to ±{self.needed:.2f}.{few}"
            )
        best = self.columns[0]
        return (
            "Over the fleet the error correlates with no drawn value more than by chance: most "
            f"with {_titled(best)} ({best.rho:+.2f}), and chance gives rank correlations up to "
            f"±{self.needed:.2f} with {self._count:,} devices.{few}"
        )

    def _nothing(self, device: int) -> str:
        drawn = [one for one in self.columns if not one.guard]
        alone = [one for one in drawn if not one.tells and _is_alone(one.values, device)]
        if alone:
            return "; ".join(
                f"{one.column} {one.values[device]:.4g} is far from that of the other devices "
                f"(median {one.median:.4g}) and may be the reason: too few devices have such "
                "values to decide"
                for one in alone[:_MOST_REASONS]
            )
        said = "no drawn value explains the error"
        if drawn:
            # The significant columns, else all, by the rank of the device.
            told = [one for one in drawn if one.tells] or drawn
            most = min(told, key=lambda one: int(one.rank[device]))
            if most.rank[device] > self._count / 2:
                said += ": all of its values are ordinary"
            else:
                said += (
                    f": the most unusual is {_titled(most)}, {most.values[device]:.4g}, rank "
                    f"{most.rank[device]:,} of {self._count:,}"
                )
                said += ", by its distance from the median" if most.distance else ""
                said += (
                    "" if most.tells else ", which does not correlate with the error of the fleet"
                )
        if self.groups is None and self._count > 1:
            cause = "seed" if self._shared else "recording or seed"
            said += f"; the remaining cause is its {cause}"
        return said


def _titled(one: Along) -> str:
    return f"guard {one.column}" if one.guard else one.column


def needed_correlation(devices: int, tests: int) -> float:
    """Return |rho| that any of these correlations exceeds by chance with probability 1 %.

    The normal approximation rho sqrt(n - 1) ~ N(0, 1), with Bonferroni's correction; at most 1.
    """
    if devices < 3 or not tests:
        return 1.0
    quantile = NormalDist().inv_cdf(1 - _CHANCE / (2 * tests))
    return min(quantile / float(np.sqrt(devices - 1)), 1.0)


def _few(drawn: Mapping[str, Float64Array], error: Float64Array) -> Iterator[Few]:
    """Return the ends of columns whose few devices are significantly often among the worst.

    The probability that as many of m devices, or more, are among the m worst of n is
    hypergeometric. It must be at most 1 % divided by the number of ends. Cost: a sort per column.
    """
    count = len(error)
    order = np.argsort(-error, kind="stable")
    ends = []
    for column, values in drawn.items():
        for sign in (1, -1) if _varies(values) else ():
            rank = 1 + count - _ranks(sign * values, "min")
            of = rank <= _STANDS_OUT * count
            if of.any():
                ends.append((column, of, values))
    for column, of, values in ends:
        m = int(of.sum())
        worst = int(of[order[:m]].sum())
        if worst > m / 2 and _by_chance(count, m, worst) <= _CHANCE / len(ends):
            yield Few(column, of, m, worst, float(np.median(values)), values)


def _by_chance(count: int, few: int, worst: int) -> float:
    """Return the probability of this overlap, or more, of the few with as many worst devices."""

    def log_ways(of: int, taken: int) -> float:
        return math.lgamma(of + 1) - math.lgamma(taken + 1) - math.lgamma(of - taken + 1)

    return sum(
        math.exp(log_ways(few, k) + log_ways(count - few, few - k) - log_ways(count, few))
        for k in range(worst, few + 1)
    )


def _is_alone(values: Float64Array, device: int) -> bool:
    """Return whether a device, with at most one other, is far from nine of ten devices."""
    away = np.abs(values - np.median(values))
    like_it = int((away >= away[device]).sum())
    return like_it <= 2 and bool(away[device] > _ALONE * np.quantile(away, 1 - _STANDS_OUT))


def _varies(values: NDArray[Any]) -> bool:
    return bool(len(values)) and bool((values != values[0]).any())


def _ranks(values: Float64Array, method: Any = "average") -> Float64Array:
    """Return ranks from 1; ties share theirs."""
    ranks: Float64Array = polars.Series(values).rank(method).to_numpy().astype(np.float64)
    return ranks


def _correlation(one: Float64Array, other: Float64Array) -> float:
    """Return Pearson's correlation of ranks; 0 if one of them is constant."""
    a, b = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else 0.0


def _groups(
    error: Float64Array, ranks: Float64Array, recordings: NDArray[np.int64]
) -> Groups | None:
    """Group by recording, if there are several and devices share them; else None."""
    numbers, of = np.unique(recordings, return_inverse=True)
    if not 1 < len(numbers) <= len(error) / 2:
        return None
    size = np.bincount(of)
    between = float((size * (np.bincount(of, ranks) / size - ranks.mean()) ** 2).sum())
    total = float(((ranks - ranks.mean()) ** 2).sum())
    share = between / total if total else 0.0
    # Kruskal and Wallis: (n - 1) share is approximately chi-squared with k - 1 degrees of freedom,
    # so it has mean k - 1 and variance 2 (k - 1).
    free = len(numbers) - 1
    tells = (len(error) - 1) * share > free + 4 * np.sqrt(2 * free)
    median = np.array([np.median(error[of == group]) for group in range(len(numbers))])
    return Groups(numbers, of, median, share, bool(tells))
