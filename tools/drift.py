"""How fast the learner is back after a lasting change of the sensor: ``make drift``.

The simulated sensor (position, current, temperature; 2 % lost) runs for 6,000 samples. Then the
position flips its sign, or its level jumps by ten standard deviations, or both, or all three
sensors jump. A fresh learner starts at that moment. Counted are the samples until the error over
the last 200 is within 1.2 times that of the 3,000 samples before the change: of the root mean
square over all seeds, and of every seed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed import Learner, __version__
from nbt_embed.simulation import simulated_sensor
from tools.document import put

Array = NDArray[np.float64]
BEFORE, AFTER, WINDOW, LEVEL = 6_000, 20_000, 200, 3_000
TOLERANCE, TARGET, JUMP = 1.2, 3.0, 10
CHANGES = ("flip", "jump", "flip and jump", "all jump")
HORIZONS = (1, 5)


@dataclass(frozen=True)
class Result:
    """Samples until the error is back; None: not within ``AFTER``."""

    change: str
    horizon: int
    seeds: int
    samples: int | None
    samples_fresh: int | None
    ratio_median: float
    reopened: int

    @property
    def met(self) -> bool:
        """Whether all seeds together need at most ``TARGET`` times the fresh samples."""
        if self.samples is None:
            return False
        return self.samples_fresh is None or self.samples <= TARGET * self.samples_fresh


def readings(change: str, seed: int) -> NDArray[np.float32]:
    """The sensor's readings with the change after ``BEFORE`` samples, shape (T, 3)."""
    # Twice as long: the machine itself changes half way, which is not measured here.
    x = simulated_sensor(2 * (BEFORE + AFTER), seed=seed).inputs[: BEFORE + AFTER].copy()
    mean, deviation = np.nanmean(x[:BEFORE], axis=0), np.nanstd(x[:BEFORE], axis=0)
    if "flip" in change:
        x[BEFORE:, 0] = 2 * mean[0] - x[BEFORE:, 0]
    jumping = slice(None) if change == "all jump" else slice(1)
    if "jump" in change:
        x[BEFORE:, jumping] += JUMP * deviation[jumping]
    return x


def errors(x: NDArray[np.float32], horizon: int, drift_steps: int) -> tuple[Array, int]:
    """Squared errors of the position forecast, NaN where there is none, and the resets."""
    learner = Learner(3, 1, max_delay=horizon - 1, hold_missing=True, drift_steps=drift_steps)
    y = x[:, :1]
    forecast = learner.run(x, y, horizon=horizon)
    squared = np.full(len(x), np.nan)
    squared[horizon:] = (y[horizon:, 0] - forecast[:-horizon, 0]) ** 2
    return squared, learner.counters.reopened


def both(job: tuple[str, int, int, int]) -> tuple[Array, Array, int]:
    """Squared errors of the learner that has seen the change, and of the fresh one."""
    change, horizon, seed, drift_steps = job
    x = readings(change, seed)
    squared, reopened = errors(x, horizon, drift_steps)
    return squared, errors(x[BEFORE:], horizon, drift_steps)[0], reopened


def back(squared: Array, level: float) -> int | None:
    """Samples until the mean over the last ``WINDOW`` of rows (seeds, T) is near the level."""
    labelled = ~np.isnan(squared)
    known = labelled.any(axis=1)
    mean = np.where(labelled, squared, 0).sum(axis=1) / np.maximum(labelled.sum(axis=1), 1)
    window = np.ones(WINDOW)
    running = np.convolve(mean, window, "valid") / np.convolve(known, window, "valid")
    near = np.flatnonzero(running <= TOLERANCE**2 * level)
    return int(near[0]) + WINDOW if len(near) else None


def measure(change: str, horizon: int, runs: Sequence[tuple[Array, Array, int]]) -> Result:
    """Summary over the seeds."""
    drifted, fresh = (np.array([run[i] for run in runs]).T for i in (0, 1))
    before = drifted[BEFORE - LEVEL : BEFORE]
    ratios = []
    for i in range(len(runs)):
        one = slice(i, i + 1)
        level = float(np.nanmean(before[:, one]))
        samples = [back(rows[:, one], level) for rows in (drifted[BEFORE:], fresh)]
        if samples[1] is not None:
            ratios.append(np.inf if samples[0] is None else samples[0] / samples[1])
    level = float(np.nanmean(before))
    return Result(
        change,
        horizon,
        len(runs),
        back(drifted[BEFORE:], level),
        back(fresh, level),
        float(np.median(ratios)),
        sum(run[2] for run in runs),
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the table, write the figures, and return 0 if every ratio reaches the target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--drift-steps", type=int, default=Learner(1, 1).config.drift_steps)
    parser.add_argument("--json", type=Path, default=Path("build/drift.json"))
    parser.add_argument("--document", type=Path, help="Markdown file to put the table into")
    options = parser.parse_args(arguments)
    lines = [
        f"{'change':>14}  horizon  samples   fresh  ratio  (median of seeds)    resets  target"
    ]
    results = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for horizon, change in product(HORIZONS, CHANGES):
            jobs = [(change, horizon, seed, options.drift_steps) for seed in range(options.seeds)]
            result = measure(change, horizon, list(pool.map(both, jobs)))
            results.append(result)
            samples, fresh = result.samples, result.samples_fresh
            ratio = f"{samples / fresh:5.2f}" if samples and fresh else "    -"
            lines.append(
                f"{change:>14}  {horizon:7}  {samples or 'never':>7}  {fresh or 'never':>6}"
                f"  {ratio}             ({result.ratio_median:.2f})  {result.reopened:8}"
                f"    <= {TARGET:g}"
            )
    print("\n".join(lines))
    if options.document is not None:
        put(options.document, "drift", "\n".join(lines))
    document: dict[str, Any] = {
        "version": __version__,
        "drift_steps": options.drift_steps,
        "target": TARGET,
        "results": [asdict(result) for result in results],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
