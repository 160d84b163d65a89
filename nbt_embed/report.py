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
    "skipped": "updates that would have left the finite numbers were dropped",
    "clipped": "inputs far outside what is usual were limited (input_limit)",
    "limited": "labels far from every forecast were learnt as if they were nearer (gate)",
    "stuck": "a channel was stuck, and nothing was learnt from them (stuck_steps)",
    "reopened": "the loss rose or an input jumped permanently, and the learner learnt fast again",
    "rolled_back": "the loss rose, and the last good parameters came back (rollback_steps)",
    "moved": "values left their usual range, and the learner's scale followed (follow)",
    "restarted": "values were not like the first ones, and the readouts started again",
}
_START = 64  # rows in which units are found out: that they move is no news
_ROWS_SHOWN = 3


def memory_table(memory: Memory) -> str:
    """The learner's bytes by purpose, and their sum."""
    lines = [f"  {name:<12}{value:>12,}  {_PURPOSES[name]}" for name, value in vars(memory).items()]
    total = f"  {'total':<12}{memory.total:>12,}  bytes ({memory.total / 1024:.1f} KiB)"
    return "\n".join(["memory of the learner, bytes", *lines, total])


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
