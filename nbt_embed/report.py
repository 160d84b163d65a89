"""Results as text and as JSON documents: plain functions from results to strings and dicts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed._kernel_config import Memory
from nbt_embed.alternatives import Alternative
from nbt_embed.config import Config

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
    "skipped": "updates with results that are not finite were skipped",
    "clipped": "outlying inputs were clipped (input_limit)",
    "limited": "the error of outlying labels was clipped (gate)",
    "stuck": "a channel was stuck, and its labels were not learnt (stuck_steps)",
    "reopened": "the loss rose or an input changed its level, and readouts and learning rates "
    "were reset (drift_steps)",
    "rolled_back": "the loss rose, and the last good parameters were restored (rollback_steps)",
    "moved": "values left their range, and the units of the learner changed with them (follow)",
    "restarted": "the units of an input changed, and the readouts were reset",
}
_START = 64  # rows in which the first units are estimated: their changes are not reported
_ROWS_SHOWN = 3


def memory_table(memory: Memory) -> str:
    """The learner's bytes by purpose, and their sum."""
    lines = [f"  {name:<12}{value:>12,}  {_PURPOSES[name]}" for name, value in vars(memory).items()]
    total = f"  {'total':<12}{memory.total:>12,}  bytes ({memory.total / 1024:.1f} KiB)"
    return "\n".join(["memory of the learner, bytes", *lines, total])


def guard_notes(guard_rows: Mapping[str, NDArray[np.intp]]) -> list[str]:
    """One sentence per guard that acted, with its rows (``Learner.guard_rows``)."""
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
    """Bytes of the other methods, their ratio to the learner's, and their formulas."""
    if not others:
        return "without units there are no weights for another method to train"
    width = max(len(other.name) for other in others)
    lines = [f"  {'this learner':<{width}}{memory.total:>14,}"]
    for other in others:
        times = other.memory_bytes / memory.total
        lines.append(
            f"  {other.name:<{width}}{other.memory_bytes:>14,}  {times:6.1f} x   {other.formula}"
        )
    notes = (
        "  rest: the bytes of this learner without v and w",
        "  the width of an echo state network with the same accuracy depends on the stream",
    )
    return "\n".join(["the same network by other methods, bytes", *lines, *notes])


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
    # A name of a file that is no UTF-8 has halves of pairs, whose escapes are those of JSON.
    return f"{text}\n".encode(errors="backslashreplace")
