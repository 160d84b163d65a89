"""Results as text and as JSON documents: plain functions from results to strings and dicts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed._kernel_config import Memory
from nbt_embed.alternatives import Alternative
from nbt_embed.comparison import Comparison
from nbt_embed.config import Config
from nbt_embed.errors import InputError
from nbt_embed.evaluate import Evaluation
from nbt_embed.streams import Stream

_TITLES = {"persistence": "last value", "nlms": "NLMS", "rls": "RLS"}
_PURPOSES = {
    "header": "configuration, counters",
    "parameters": "recurrent weights, readouts, weights of the mixture",
    "estimate": "v, w and traces, the estimate of the derivative",
    "covariance": "of the filter and of the mixture's readouts, with noise levels",
    "state": "of the network, live and learning",
    "ring": "inputs and forecasts that wait for labels, lag taps",
    "scaler": "running means and variances, units that follow them",
    "guard": "runs of equal values, last good copy",
    "workspace": "scratch of one step",
}
_GUARDS = {
    "skipped": "updates that would have left the finite numbers were dropped",
    "clipped": "inputs were brought to their limit",
    "limited": "labels were brought to the gate",
    "stuck": "values stood still, and nothing was learnt from them,",
    "reopened": "the loss rose or an input jumped for good, and the learner opened again,",
    "rolled_back": "the loss rose, and the last good parameters came back,",
    "moved": "units moved",
    "restarted": "values were not like the first ones, and the readouts started anew,",
}
_START = 64  # rows in which units are found out: that they move is no news
_ROWS_SHOWN = 3
_NO_VALUE = "-"


def table(comparisons: Sequence[Comparison]) -> str:
    """One line a horizon, the learner beside the baselines: nRMSE, then RMSE."""

    def block(title: str, figure: Callable[[Evaluation], float]) -> list[str]:
        lines = [title, _line("horizon", "scored rows", "learner", *_TITLES.values())]
        for one in comparisons:
            scores = [one.learner, *(one.baselines[key] for key in _TITLES)]
            figures = [_number(figure(score)) for score in scores]
            lines.append(_line(str(one.learner.horizon), str(one.learner.rows), *figures))
        return lines

    return "\n".join(
        [
            *block("nRMSE (0: perfect, 1: as good as knowing the mean)", lambda e: e.nrmse),
            "",
            *block("RMSE (units of the targets)", lambda e: e.rmse),
        ]
    )


def memory_table(memory: Memory) -> str:
    """The learner's bytes by purpose, and their sum."""
    lines = [f"  {name:<12}{value:>12,}  {_PURPOSES[name]}" for name, value in vars(memory).items()]
    total = f"  {'total':<12}{memory.total:>12,}  bytes ({memory.total / 1024:.1f} KiB)"
    return "\n".join(["memory of the learner, bytes", *lines, total])


def anchors_line(stream: Stream, config: Config) -> str:
    """Which input each target is the future of."""
    anchor = config.anchor or ()
    pairs = [
        (target, stream.input_names[one])
        for target, one in zip(stream.target_names, anchor, strict=False)
        if one is not None
    ]
    if len(pairs) == stream.n_out and all(target == own for target, own in pairs):
        return "every target is the future of the input of its name"
    return ", ".join(f"{target} is the future of {own}" for target, own in pairs) or "none"


def guard_notes(guard_rows: Mapping[str, NDArray[np.intp]]) -> list[str]:
    """What the guards of a learner did, and when, one sentence each (``Learner.guard_rows``)."""
    notes = []
    for name, rows in guard_rows.items():
        late = rows[rows >= _START] if name == "moved" else rows
        if len(late):
            notes.append(f"{_GUARDS[name]} at {_rows(late.tolist())}")
    return notes


def _rows(rows: Sequence[int]) -> str:
    if len(rows) == 1:
        return f"row {rows[0]}"
    if len(rows) <= _ROWS_SHOWN:
        return f"rows {', '.join(map(str, rows[:-1]))} and {rows[-1]}"
    shown = ", ".join(map(str, rows[: _ROWS_SHOWN - 1]))
    return f"rows {shown} and {len(rows) - _ROWS_SHOWN + 1} more"


def alternatives_table(memory: Memory, others: Sequence[Alternative]) -> str:
    """Bytes of the other methods, how many times the learner's, and their formulas."""
    if not others:
        return "without units there is nothing that another method would train"
    width = max(len(other.name) for other in others)
    lines = [f"  {'this learner':<{width}}{memory.total:>14,}"]
    for other in others:
        times = other.memory_bytes / memory.total
        lines.append(
            f"  {other.name:<{width}}{other.memory_bytes:>14,}  {times:6.1f} x   {other.formula}"
        )
    notes = (
        "  rest: the bytes of this learner, trained, without v and w",
        "  how wide an echo state network must be for the same accuracy depends on the stream",
    )
    return "\n".join(["the same network by other methods, bytes", *lines, *notes])


def plot(
    truth: NDArray[np.float32],
    forecast: NDArray[np.float32],
    title: str,
    width: int = 72,
    height: int = 12,
) -> str:
    """Draw a truth and its forecast with characters, one column a sample.

    Args:
        truth: (T,), NaN where missing; the last ``width`` samples are drawn.
        forecast: (T,), the same samples; what lies beyond the scale is drawn at its edge.
        title: first line.
        width: columns, at least 1.
        height: lines, at least 2; the scale is that of the truth.

    Errors: InputError for shapes or sizes that do not fit.
    """
    if truth.ndim != 1 or truth.shape != forecast.shape:
        raise InputError(f"truth {truth.shape} and forecast {forecast.shape}: expected (T,) both")
    if width < 1 or height < 2:
        raise InputError(f"width = {width}, height = {height}: expected at least 1 and 2")
    truth, forecast = truth[-width:], forecast[-width:]
    finite = truth[np.isfinite(truth)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low == high:
        low, high = low - 1.0, high + 1.0
    canvas = [[" "] * len(truth) for _ in range(height)]
    for column, pair in enumerate(zip(truth, forecast, strict=True)):
        for value, mark in zip(pair, ".o", strict=True):
            if not math.isfinite(value):
                continue
            share = min(max((float(value) - low) / (high - low), 0.0), 1.0)
            line = canvas[round((1 - share) * (height - 1))]
            line[column] = "@" if line[column] == "." else mark
    labels = [f"{high:.4g}", *[""] * (height - 2), f"{low:.4g}"]
    margin = max(len(label) for label in labels)
    lines = [
        f"  {label:>{margin}} |{''.join(line)}".rstrip()
        for label, line in zip(labels, canvas, strict=True)
    ]
    return "\n".join([f"{title}   (. truth   o forecast   @ both)", *lines])


def run_document(
    stream: Stream, comparisons: Sequence[Comparison], score_from: int, version: str
) -> dict[str, Any]:
    """What ``nbt-embed run --json`` writes. Figures that do not exist are null.

    The keys beside ``horizons`` are those of the first horizon; ``horizons`` has all of them.
    """
    horizons = [_horizon_document(stream, one) for one in comparisons]
    return {
        "version": version,
        "rows": len(stream),
        "score_from": score_from,
        "inputs": list(stream.input_names),
        "targets": list(stream.target_names),
        **horizons[0],
        "horizons": horizons,
    }


def size_document(
    config: Config, memory: Memory, others: Sequence[Alternative], version: str
) -> dict[str, Any]:
    """What ``nbt-embed size --json`` writes."""
    return {
        "version": version,
        "config": dict(vars(config)),
        "memory_bytes": memory.total,
        "memory": dict(vars(memory)),
        "alternatives": {
            other.key: {
                "name": other.name,
                "memory_bytes": other.memory_bytes,
                "formula": other.formula,
            }
            for other in others
        },
    }


def json_text(document: dict[str, Any]) -> bytes:
    """A document as the bytes of a file."""
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    return f"{text}\n".encode()


def _horizon_document(stream: Stream, one: Comparison) -> dict[str, Any]:
    return {
        "horizon": one.learner.horizon,
        "scored_rows": one.learner.rows,
        **_scores(stream, one.learner),
        "baselines": {key: _scores(stream, score) for key, score in one.baselines.items()},
        "memory_bytes": one.memory.total,
        "memory": dict(vars(one.memory)),
        "counters": dict(vars(one.counters)),
        "guard_rows": {name: rows.tolist() for name, rows in one.learner.guard_rows.items()},
        "config": dict(vars(one.config)),
    }


def _scores(stream: Stream, score: Evaluation) -> dict[str, Any]:
    per_target = zip(stream.target_names, score.nrmse_per_target, strict=True)
    return {
        "nrmse": _or_null(score.nrmse),
        "rmse": _or_null(score.rmse),
        "mae": _or_null(score.mae),
        "nrmse_per_target": {name: _or_null(value) for name, value in per_target},
        "us_per_step": score.us_per_step,
    }


def _or_null(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


def _line(*cells: str) -> str:
    widths = (9, 13, *[12] * (len(cells) - 2))
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else _NO_VALUE
