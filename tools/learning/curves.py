"""Learning curves: what every run leaves behind, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Curve:
    """Loss of one run against samples seen; every sample was predicted before it was learnt.

    Attributes: task, method (names), hidden, seed, block (samples per point), loss (mean of each
    block: bits per symbol, or squared error over the variance of the series), bytes (held between
    two samples, everything that is needed to go on learning), settings (what differs from the
    method's defaults), skipped (steps refused because a number would have left its bounds), source
    (fingerprint of the files that decide about the method).
    """

    task: str
    method: str
    hidden: int
    seed: int
    block: int
    loss: tuple[float, ...]
    bytes: int
    settings: dict[str, Any] = field(default_factory=dict)
    skipped: int = 0
    source: str = ""

    @property
    def samples(self) -> int:
        """Length of the run."""
        return self.block * len(self.loss)

    def first(self, samples: int) -> Curve:
        """The beginning of the run."""
        return Curve(**(asdict(self) | {"loss": self.loss[: samples // self.block]}))

    def last(self, samples: int) -> float:
        """Mean loss over the last ``samples``."""
        return float(np.mean(self.loss[-max(1, samples // self.block) :]))

    def by(self, samples: int) -> NDArray[np.float64]:
        """Mean loss of every stretch of ``samples``."""
        width = max(1, samples // self.block)
        whole = len(self.loss) // width * width
        return np.asarray(np.reshape(self.loss[:whole], (-1, width)).mean(axis=1))


def append(path: Path, curves: Iterable[Curve]) -> None:
    """Add curves to a file of JSON lines, which is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as lines:
        lines.writelines(json.dumps(asdict(curve)) + "\n" for curve in curves)


def load(path: Path) -> list[Curve]:
    """All curves of a file; none if it is missing."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Curve(**(row | {"loss": tuple(row["loss"])})) for row in map(json.loads, lines)]
