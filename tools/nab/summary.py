"""What a detector reaches over all series, by profile, category and file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tools.nab.detectors import Detector
from tools.nab.files import Series
from tools.nab.scoring import PROFILES, STANDARD, Events, Profile, Tally, at, best, pooled


@dataclass(frozen=True)
class Result:
    """A detector's scores; by profile, the medians over its seeds.

    Attributes:
        name: the detector's.
        optimised: with the threshold that scores best on these series, as the benchmark publishes.
        others: every series with the threshold that scores best on the others.
        beforehand: with the detector's own threshold, which nobody fitted to the series.
        files: what the optimised threshold of the standard profile gives in every series, with the
            seed in the middle.
        own: the same with the detector's own threshold.
        seed: the one in the middle.
    """

    name: str
    optimised: Mapping[str, float]
    others: Mapping[str, float]
    beforehand: Mapping[str, float]
    files: tuple[Tally, ...]
    own: tuple[Tally, ...]
    seed: int

    @property
    def total(self) -> Tally:
        """The series together."""
        return together(self.files)


def together(tallies: Iterable[Tally]) -> Tally:
    """Sums; the threshold is NaN unless it is the same for all."""
    tallies = list(tallies)
    thresholds = {one.threshold for one in tallies}
    return Tally(
        thresholds.pop() if len(thresholds) == 1 else math.nan,
        sum(one.gained for one in tallies),
        sum(one.cost for one in tallies),
        sum(one.false for one in tallies),
        sum(one.found for one in tallies),
        sum(one.windows for one in tallies),
    )


def on_others(files: Sequence[Events], profile: Profile) -> float:
    """Score where every file has the threshold that is best on the others."""
    tallies = []
    for left_out, one in enumerate(files):
        rest = [*files[:left_out], *files[left_out + 1 :]]
        tallies.append(at(one, best(pooled(rest), profile).threshold))
    return together(tallies).score(profile)


def summarise(detector: Detector, seeds: Sequence[Sequence[Events]]) -> Result:
    """The events of every seed, file by file, made into scores."""
    optima = [{one: best(pooled(files), one) for one in PROFILES} for files in seeds]
    standard = [optimum[STANDARD].score(STANDARD) for optimum in optima]
    # The lower of the two in the middle where their number is even.
    middle = sorted(range(len(seeds)), key=standard.__getitem__)[(len(seeds) - 1) // 2]
    threshold = optima[middle][STANDARD].threshold
    return Result(
        detector.name,
        {one.name: median(found[one].score(one) for found in optima) for one in PROFILES},
        {one.name: median(on_others(files, one) for files in seeds) for one in PROFILES},
        {
            one.name: median(at(pooled(files), detector.threshold).score(one) for files in seeds)
            for one in PROFILES
        },
        tuple(at(one, threshold) for one in seeds[middle]),
        tuple(at(one, detector.threshold) for one in seeds[middle]),
        middle,
    )


def by_category(series: Sequence[Series], tallies: Sequence[Tally]) -> dict[str, Tally]:
    """The tallies of every category together, in the order of the series."""
    return {
        category: together(
            tally for one, tally in zip(series, tallies, strict=True) if one.category == category
        )
        for category in dict.fromkeys(one.category for one in series)
    }


def extremes(series: Sequence[Series], tallies: Sequence[Tally]) -> tuple[int, int] | None:
    """Index of the series with the highest and with the lowest score; None if none has a window."""
    scores = [tally.score(STANDARD) for tally in tallies]
    scored = [index for index in range(len(series)) if not math.isnan(scores[index])]
    if not scored:
        return None
    return max(scored, key=scores.__getitem__), min(scored, key=scores.__getitem__)
