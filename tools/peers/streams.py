"""Streams that river brings along or makes, none of which needs a download."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from river import datasets
from river.datasets import synth

ROWS = 3000  # of a stream that is longer

Task = Literal["classes", "numbers", "series"]
Rows = Iterable[tuple[dict[Any, Any], Any]]


@dataclass(frozen=True)
class Stream:
    """Rows with their labels; of a series also the period that is told to models with seasons."""

    name: str
    task: Task
    make: Callable[[], Rows]
    period: int = 0

    def __iter__(self) -> Iterator[tuple[dict[Any, Any], Any]]:
        for x, y in islice(iter(self.make()), ROWS):
            yield {str(name): value for name, value in x.items()}, y  # an encoder's are strings


def _remembered(number: bool) -> Iterator[tuple[dict[str, float], Any]]:
    """A label that depends on what one of two sensors read two and four rows before."""
    rng = np.random.default_rng(1)
    past = [0.0] * 5
    for _ in range(ROWS):
        past = [*past[1:], float(rng.normal())]
        cause = past[0] + past[2] + 0.2 * float(rng.normal())
        row = {"sensor": 100 + 10 * past[-1], "other": float(rng.normal())}
        yield row, (50 + cause if number else cause > 0)


def _rising() -> Iterator[tuple[dict[str, float], bool]]:
    """Whether a slow wave rises, from two noisy sensors in units of their own."""
    rng = np.random.default_rng(0)
    for t in range(ROWS):
        celsius = 21 + 4 * math.sin(t / 30) + 0.2 * float(rng.normal())
        pascal = 101325 + 80 * math.cos(t / 30) + 10 * float(rng.normal())
        yield {"celsius": celsius, "pascal": pascal}, math.cos(t / 30) > 0


def _two_seasons() -> Iterator[tuple[dict[str, float], float]]:
    """A series with a day of 24 rows, a week of 168 and noise that remembers."""
    rng = np.random.default_rng(2)
    noise = 0.0
    for t in range(ROWS):
        noise = 0.8 * noise + 0.3 * float(rng.normal())
        yield {}, 50 + 5 * math.sin(t * math.tau / 24) + 3 * math.sin(t * math.tau / 168) + noise


STREAMS = (
    Stream("Phishing", "classes", datasets.Phishing),
    Stream("ImageSegments", "classes", datasets.ImageSegments),
    Stream("Bananas", "classes", datasets.Bananas),
    Stream("Shuttle", "classes", datasets.Shuttle),
    Stream("Agrawal 0", "classes", lambda: synth.Agrawal(seed=42)),
    Stream("Agrawal 4", "classes", lambda: synth.Agrawal(classification_function=4, seed=42)),
    Stream("SEA, 10 % noise", "classes", lambda: synth.SEA(seed=42, noise=0.1)),
    Stream(
        "Hyperplane, drifting",
        "classes",
        lambda: synth.Hyperplane(seed=42, n_drift_features=4, mag_change=0.001),
    ),
    Stream(
        "LED, 10 % noise",
        "classes",
        lambda: synth.LED(seed=42, noise_percentage=0.1, irrelevant_features=True),
    ),
    Stream(
        "RandomRBF",
        "classes",
        lambda: synth.RandomRBF(
            seed_model=42, seed_sample=42, n_classes=4, n_features=6, n_centroids=20
        ),
    ),
    Stream(
        "RandomRBF, drifting",
        "classes",
        lambda: synth.RandomRBFDrift(
            seed_model=42,
            seed_sample=42,
            n_classes=4,
            n_features=6,
            n_centroids=20,
            change_speed=0.001,
            n_drift_centroids=10,
        ),
    ),
    Stream(
        "RandomTree",
        "classes",
        lambda: synth.RandomTree(
            seed_tree=42,
            seed_sample=42,
            n_num_features=5,
            n_cat_features=2,
            n_categories_per_feature=3,
        ),
    ),
    Stream("Sine", "classes", lambda: synth.Sine(seed=42)),
    Stream("STAGGER", "classes", lambda: synth.STAGGER(seed=42)),
    Stream("Waveform", "classes", lambda: synth.Waveform(seed=42)),
    Stream("Mixed", "classes", lambda: synth.Mixed(seed=42)),
    Stream("rising or falling", "classes", _rising),
    Stream("remembered class", "classes", lambda: _remembered(number=False)),
    Stream("TrumpApproval", "numbers", datasets.TrumpApproval),
    Stream("ChickWeights", "numbers", datasets.ChickWeights),
    Stream("Friedman", "numbers", lambda: synth.Friedman(seed=42)),
    Stream(
        "Friedman, global drift",
        "numbers",
        lambda: synth.FriedmanDrift(drift_type="gra", position=(1000, 2000), seed=42),
    ),
    Stream(
        "Friedman, local drift",
        "numbers",
        lambda: synth.FriedmanDrift(drift_type="lea", position=(800, 1600, 2400), seed=7),
    ),
    Stream("Mv", "numbers", lambda: synth.Mv(seed=42)),
    Stream("Planes2D", "numbers", lambda: synth.Planes2D(seed=42)),
    Stream("remembered number", "numbers", lambda: _remembered(number=True)),
    Stream("AirlinePassengers", "series", datasets.AirlinePassengers, period=12),
    Stream("WaterFlow", "series", datasets.WaterFlow, period=24),
    Stream("two seasons", "series", _two_seasons, period=24),
)
