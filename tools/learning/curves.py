"""Learning curves: what every run leaves behind, one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 10_000


@dataclass(frozen=True)
class Curve:
    """Loss of one run against symbols seen; every symbol was predicted before it was learnt.

    Attributes: task, method (names), seed, block (symbols per point), bits (mean bits per symbol
    of each block), bytes (held by the learner between two symbols, everything that it needs to go
    on learning), settings (what differs from the method's defaults), skipped (steps refused because
    a number would have left its bounds).
    """

    task: str
    method: str
    seed: int
    block: int
    bits: tuple[float, ...]
    bytes: int
    settings: dict[str, Any] = field(default_factory=dict)
    skipped: int = 0

    @property
    def symbols(self) -> int:
        """Length of the run."""
        return self.block * len(self.bits)

    def last(self, symbols: int) -> float:
        """Mean bits per symbol over the last ``symbols``."""
        return float(np.mean(self.bits[-max(1, symbols // self.block) :]))

    def by(self, symbols: int) -> NDArray[np.float64]:
        """Mean bits per symbol of every stretch of ``symbols``."""
        width = symbols // self.block
        whole = len(self.bits) // width * width
        return np.asarray(np.reshape(self.bits[:whole], (-1, width)).mean(axis=1))


def append(path: Path, curve: Curve) -> None:
    """Add one curve to a file of JSON lines, which is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(curve)) + "\n")


def load(path: Path) -> list[Curve]:
    """All curves of a file; none if it is missing."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Curve(**(row | {"bits": tuple(row["bits"])})) for row in map(json.loads, lines)]
