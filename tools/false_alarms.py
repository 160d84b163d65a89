"""How often the anomaly score is high where nothing is wrong: ``make false-alarms``.

Streams without faults, of kinds that a detector may take for one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nbt_embed import Learner, __version__
from nbt_embed.alarm import events
from nbt_embed.arrays import Float64Array
from tools.document import put
from tools.streams.page import table

THRESHOLDS = (0.99, 0.995, 0.999, 0.9999)
HOLD_OFF = 100
PER = 10_000  # labels that the figures are of


def gaussian(rng: np.random.Generator, rows: int) -> Float64Array:
    """Independent values."""
    return rng.standard_normal(rows)


def student(rng: np.random.Generator, rows: int) -> Float64Array:
    """Three degrees of freedom: no finite fourth moment."""
    return rng.standard_t(3, rows)


def lognormal(rng: np.random.Generator, rows: int) -> Float64Array:
    """One heavy tail."""
    return rng.lognormal(size=rows)


def autoregressive(rng: np.random.Generator, rows: int) -> Float64Array:
    """Follows x <- 0.95 x + noise."""
    x, out = 0.0, np.empty(rows)
    for t, noise in enumerate(rng.standard_normal(rows).tolist()):
        x = 0.95 * x + noise
        out[t] = x
    return out


def walk(rng: np.random.Generator, rows: int) -> Float64Array:
    """A level that never comes back: every new extreme is usual."""
    return np.cumsum(rng.standard_normal(rows))


def wave(rng: np.random.Generator, rows: int) -> Float64Array:
    """A day of 288 samples and noise of a tenth."""
    turn = 2 * np.pi * np.arange(rows) / 288
    return np.sin(turn) + 0.1 * rng.standard_normal(rows)


def garch(rng: np.random.Generator, rows: int) -> Float64Array:
    """Noise whose variance follows v <- .05 + .1 x^2 + .85 v: quiet times and wild ones."""
    variance, out = 1.0, np.empty(rows)
    for t, noise in enumerate(rng.standard_normal(rows).tolist()):
        out[t] = noise * variance**0.5
        variance = 0.05 + 0.1 * out[t] ** 2 + 0.85 * variance
    return out


def counts(rng: np.random.Generator, rows: int) -> Float64Array:
    """Whole numbers around 3, often the same twice."""
    return rng.poisson(3.0, rows).astype(np.float64)


STREAMS: dict[str, Callable[[np.random.Generator, int], Float64Array]] = {
    "independent, normal": gaussian,
    "independent, Student t, 3 degrees": student,
    "independent, lognormal": lognormal,
    "autoregressive, 0.95": autoregressive,
    "random walk": walk,
    "sine and noise": wave,
    "GARCH(1, 1)": garch,
    "Poisson counts, mean 3": counts,
}


def counted(name: str, seeds: int, rows: int) -> list[float]:
    """In ``PER`` labels: scores above each threshold, then events at each."""
    above, told = np.zeros((2, len(THRESHOLDS)))
    for seed in range(seeds):
        series = STREAMS[name](np.random.default_rng(seed), rows)
        score = Learner(1, 1, seed=seed).run(series, series, horizon=1, anomaly=True).anomaly
        assert score is not None
        above += [np.sum(score > one) for one in THRESHOLDS]
        told += [events(score, one, HOLD_OFF)[0].size for one in THRESHOLDS]
    return [float(one) * PER / (seeds * rows) for one in (*above, *told)]


def report(seeds: int, rows: int) -> str:
    """The whole section."""
    promised = [
        "expected, if the score is 1 - P",
        *(f"{PER * (1 - one):.0f}" for one in THRESHOLDS),
    ]
    found = [
        [name, *(f"{figure:.1f}" for figure in counted(name, seeds, rows))] for name in STREAMS
    ]
    header = ["stream", *(f"above {one}" for one in THRESHOLDS)]
    header += [f"events, {one}" for one in THRESHOLDS]
    first = f"nbt_embed {__version__}; {seeds} streams of {rows:,} labels of each kind. In {PER:,}"
    rows_of_table = [[*promised, *[""] * len(THRESHOLDS)], *found]
    return f"{first} labels:\n\n{table(header, rows_of_table)}"


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="streams of each kind")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--document", type=Path, help="put the report between its markers")
    options = parser.parse_args(arguments)
    for name in ("seeds", "rows"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} {getattr(options, name)}: expected at least 1")
    text = report(options.seeds, options.rows)
    print(text)
    if options.document is not None:
        put(options.document, "false-alarms", text, fenced=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
