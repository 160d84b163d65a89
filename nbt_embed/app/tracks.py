"""Collect values for drawing while a stream passes, in constant memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nbt_embed.app.recording import Block
from nbt_embed.app.results import ErrorTrack, Time, Track, TrustTrack
from nbt_embed.arrays import Float32Array, Float64Array

# Up to this many rows all are drawn; of more, two per group, so that about as many remain.
MOST = 100_000
PIECES = 200


def thinning(rows: int) -> int:
    """Return the size of the groups of which two rows are drawn; 1: all are."""
    return 1 if rows <= MOST else -(-2 * rows // MOST)


def block_rows(rows: int) -> int:
    """Return the rows per piece of a stream: about 200 pieces, of limited size, in groups."""
    every = thinning(rows)
    wanted = min(max(rows // PIECES, 128), 4096)
    return -(-wanted // every) * every


def thinned(truth: Float32Array, every: int) -> NDArray[np.intp]:
    """Return the rows (k,) of the lowest and the highest truth of each group, increasing."""
    if every == 1:
        return np.arange(len(truth))
    whole = -(-len(truth) // every) * every
    padded = np.full(whole, np.nan, np.float32)
    padded[: len(truth)] = truth
    table = padded.reshape(-1, every)
    first = np.arange(0, whole, every)
    low = first + np.where(np.isnan(table), np.inf, table).argmin(axis=1)
    high = first + np.where(np.isnan(table), -np.inf, table).argmax(axis=1)
    return np.unique(np.concatenate([low, high]))


@dataclass
class Values:
    """Collects a ``Track`` of one target."""

    horizon: int
    target: str
    level: float
    every: int
    _parts: list[dict[str, Float32Array | NDArray[np.int64] | Time]] = field(default_factory=list)

    def add(
        self,
        block: Block,
        truth: Float32Array,
        forecast: Float32Array,
        rls: Float32Array,
        band: Float32Array | None,
        score: Float32Array | None,
        alarms: NDArray[np.intp],
    ) -> None:
        """Add the next rows, (T,) each, band (T, 2); rows of alarms are never thinned out."""
        kept = thinned(truth, self.every)
        if len(alarms):
            kept = np.union1d(kept, alarms - block.start)
        part: dict[str, Float32Array | NDArray[np.int64] | Time] = {
            "row": block.start + kept,
            "truth": truth[kept],
            "forecast": forecast[kept],
            "rls": rls[kept],
        }
        if block.time is not None:
            part["time"] = block.time[kept]
        if band is not None:
            part["low"], part["high"] = band[kept, 0], band[kept, 1]
        if score is not None:
            part["score"] = score[kept]
        self._parts.append(part)

    @property
    def track(self) -> Track:
        """Return the whole track."""
        columns: dict[str, object] = {"time": None, "low": None, "high": None, "score": None}
        for name in self._parts[0]:
            columns[name] = np.concatenate([part[name] for part in self._parts])
        return Track(
            horizon=self.horizon,
            target=self.target,
            level=self.level,
            every=self.every,
            **columns,  # type: ignore[arg-type]
        )


@dataclass
class Pieces:
    """Collects slow values: sums of losses of every model, and shares of the mixture."""

    rows: list[int] = field(default_factory=list)
    times: list[object] = field(default_factory=list)
    losses: list[dict[str, Float64Array]] = field(default_factory=list)
    counts: list[Float64Array] = field(default_factory=list)
    trust: list[Float32Array] = field(default_factory=list)

    def add(
        self,
        block: Block,
        losses: dict[str, Float64Array],
        counts: Float64Array,
        trust: Float32Array | None,
    ) -> None:
        """Add sums after the rows of a block, (n_out,) each, and the shares (n_out, experts)."""
        self.rows.append(block.start + len(block.inputs) - 1)
        if block.time is not None:
            self.times.append(block.time[-1])
        self.losses.append(losses)
        self.counts.append(counts)
        if trust is not None:
            self.trust.append(trust)

    def error_track(self, horizon: int, target: str, index: int, squared: bool) -> ErrorTrack:
        """Return the mean loss of one target in each piece; for squares its root."""
        count = np.diff([0.0, *(counts[index] for counts in self.counts)])
        loss = {}
        for key in self.losses[0]:
            sums = np.diff([0.0, *(losses[key][index] for losses in self.losses)])
            mean = np.maximum(sums, 0) / np.where(count > 0, count, np.nan)
            loss[key] = np.sqrt(mean) if squared else mean
        return ErrorTrack(horizon, target, np.array(self.rows), self._time, loss)

    def trust_track(
        self, horizon: int, target: str, index: int, experts: tuple[str, ...]
    ) -> TrustTrack:
        """Return the shares of one target."""
        shares = np.array([weights[index] for weights in self.trust]).T
        weight = dict(zip(experts, shares, strict=True))
        return TrustTrack(horizon, target, np.array(self.rows), self._time, weight)

    @property
    def _time(self) -> Time:
        return np.array(self.times) if self.times else None
