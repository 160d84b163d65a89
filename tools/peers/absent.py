"""What a missing key should mean: the last value, 0, or what ``Features`` decides."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed._features import Features
from nbt_embed.river import NbtRegressor
from tools.peers.streams import ROWS, STREAMS

Rows = list[tuple[dict[Hashable, Any], float]]


class _Held(Features):
    def _held(self) -> NDArray[np.bool_]:
        return np.ones(len(self), np.bool_)


class _Zero(Features):
    def _held(self) -> NDArray[np.bool_]:
        return np.zeros(len(self), np.bool_)


MEANINGS = {"last value": _Held, "0": _Zero, "by how often": Features}


def _wave() -> Rows:
    """Three slow sensors, and a target that follows them."""
    rng = np.random.default_rng(0)
    t = np.arange(ROWS)
    values = np.c_[20 + 3 * np.sin(t / 20), 1013 + 5 * np.sin(t / 33), 50 + 9 * np.cos(t / 27)]
    values += 0.1 * rng.normal(size=values.shape)
    target = values[:, 0] + 0.5 * (values[:, 1] - 1013) - 0.2 * (values[:, 2] - 50)
    names = ("celsius", "hectopascal", "percent")
    return [
        (dict(zip(names, row, strict=True)), y)
        for row, y in zip(values.tolist(), target.tolist(), strict=True)
    ]


def _words() -> Rows:
    """Texts of some of 40 words; a word that is not in a text has no key."""
    rng = np.random.default_rng(1)
    weight = rng.normal(size=40)
    counts = rng.poisson(0.15, (ROWS, 40))
    return [
        (
            {f"word {i}": int(n) for i, n in enumerate(row) if n},
            float(row @ weight) + 0.1 * float(rng.normal()),
        )
        for row in counts
    ]


def _named(name: str) -> Rows:
    return list(next(stream for stream in STREAMS if stream.name == name))


def _left_out(rows: Rows, share: float) -> Iterator[tuple[dict[Hashable, Any], float]]:
    rng = np.random.default_rng(2)
    for x, y in rows:
        yield {name: value for name, value in x.items() if rng.random() >= share}, y


def _error(rows: Rows, meaning: type[Features]) -> float:
    """Mean absolute error from a third of the rows on."""
    model = NbtRegressor()
    model._features = meaning(model.max_features)
    errors = []
    for x, y in rows:
        errors.append(abs(model.predict_one(x) - y))
        model.learn_one(x, y)
    return math.fsum(errors[len(rows) // 3 :])


def table() -> str:
    """One row per stream, one column per meaning."""
    lines = ["| stream | " + " | ".join(MEANINGS) + " |", "|---" + "|--:" * len(MEANINGS) + "|"]
    for name, rows in (
        ("slow sensors", _wave()),
        ("TrumpApproval", _named("TrumpApproval")),
        ("Friedman (independent rows)", _named("Friedman")),
    ):
        whole = _error(rows, Features)
        for share in (0.1, 0.3):
            holed = list(_left_out(rows, share))
            ratios = [_error(holed, meaning) / whole for meaning in MEANINGS.values()]
            cells = " | ".join(f"{ratio:.2f}" for ratio in ratios)
            lines.append(f"| {name}, {share:.0%} left out | {cells} |")
    words = _words()
    whole = _error(
        [({f"word {i}": x.get(f"word {i}", 0) for i in range(40)}, y) for x, y in words], Features
    )
    ratios = [_error(words, meaning) / whole for meaning in MEANINGS.values()]
    lines.append(
        "| words, only those that are there | " + " | ".join(f"{r:.2f}" for r in ratios) + " |"
    )
    return "\n".join(lines)
