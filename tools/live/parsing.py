"""Rows per second from bytes to arrays: many lines at once, and singly."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter

import numpy as np

from nbt_embed.live.options import SourceOptions
from nbt_embed.live.text import TextRows

ROWS = 100_000
_BLOCK = 1 << 16  # bytes per read of a pipe
_LEAST = 300_000  # rows per second, so that parsing takes at most a third of 10 µs per row


def measure(_: argparse.Namespace) -> tuple[list[str], bool]:
    """Measure a time and four columns, as tables of several kinds and as JSON lines."""
    numbers = np.random.default_rng(0).standard_normal((ROWS, 4)).round(4).tolist()
    plain = [f"{i / 50:.2f},{','.join(map(str, row))}" for i, row in enumerate(numbers)]
    names = ("time", "a", "b", "c", "d")
    kinds = {
        "CSV": ["time,a,b,c,d", *plain],
        "CSV, one cell of a block missing": [
            "time,a,b,c,d",
            *(line if i % 1000 else f"{i / 50:.2f},NA,1,2,3" for i, line in enumerate(plain)),
        ],
        "CSV, decimal comma": [
            "time;a;b;c;d", *(line.replace(",", ";").replace(".", ",") for line in plain)
        ],
        "JSON lines": [
            json.dumps(dict(zip(names, [i / 50, *row], strict=True)))
            for i, row in enumerate(numbers)
        ],
    }  # fmt: skip
    lines, kept = [], True
    for name, text in kinds.items():
        data = ("\n".join(text) + "\n").encode()
        blocks = [data[i : i + _BLOCK] for i in range(0, len(data), _BLOCK)]
        fast = _rate(blocks, ROWS)
        few = data[: len(data) // 20].splitlines(keepends=True)
        slow = _rate(few, len(few))
        kept = kept and (fast > _LEAST or name != "CSV")
        lines.append(f"{name}: {fast:,.0f} rows/s in blocks, {slow:,.0f} line by line")
    return lines, kept


def _rate(blocks: list[bytes], rows: int) -> float:
    """Return rows per second, the best of three."""
    best = 0.0
    for _ in range(3):
        text = TextRows("measured", SourceOptions(), Counter())
        began = time.perf_counter()
        for block in blocks:
            text.feed(block)
        best = max(best, rows / (time.perf_counter() - began))
    return best
