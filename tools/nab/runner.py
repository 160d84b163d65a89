"""Run detectors over all series, in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from nbt_embed.errors import InputError
from tools.nab.detectors import Detector
from tools.nab.files import Series
from tools.nab.scoring import Events, events


def look(job: tuple[Detector, Series, int]) -> Events:
    """Score one series with one seed. Errors: InputError names detector and series."""
    detector, series, seed = job
    try:
        return events(detector.scores(series.values, seed), series.windows)
    except InputError as error:
        raise InputError(f"{detector.name}, {series.name}: {error}") from error


def measure(
    series: Sequence[Series], detectors: Sequence[Detector], processes: int
) -> dict[str, list[list[Events]]]:
    """By the detector's name: for every seed, the events of every series."""
    jobs = [
        (detector, one, seed)
        for detector in detectors
        for seed in range(detector.seeds)
        for one in series
    ]
    with ProcessPoolExecutor(processes) as pool:
        found = iter(list(pool.map(look, jobs, chunksize=4)))
    return {
        detector.name: [[next(found) for _ in series] for _ in range(detector.seeds)]
        for detector in detectors
    }
