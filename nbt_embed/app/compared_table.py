"""A comparison's document as tables of texts, for the terminal and the page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import polars

from nbt_embed.app.compared import ahead, milliseconds
from nbt_embed.app.tables import NONE, Table, count, percent


def table(document: Mapping[str, Any], horizon: Mapping[str, Any]) -> Table:
    """Return one line per model: bytes, milliseconds, error, spread over the seeds, and marks."""
    targets, measure = document["targets"], document["measure"].upper()
    losses = [measure] if len(targets) == 1 else []
    head = ("model", "bytes", "ms per row", "error", "seeds", *losses, "line")
    rows = []
    for one in horizon["rows"]:
        cells = [one["name"], count(one["memory_bytes"]), milliseconds(one)]
        cells += [_ratio(one["error"]), _spread(one)]
        if losses:
            cells.append(_number(one["losses"][targets[0]]))
        rows.append((*cells, _marks(one)))
    best = frozenset((k, 3) for k, one in enumerate(horizon["rows"]) if one["best"])
    processor = document["processor"]
    note = (
        "error: loss / loss of the last value"
        + (", geometric mean over the targets" if len(targets) > 1 else "")
        + f", median of {len(document['seeds'])} seeds; seeds: half of their range. "
        f"ms: on a {processor['name']} at {processor['mhz']:g} MHz, "
        f"{processor['cycles_low']:g} to {processor['cycles_high']:g} cycles per instruction. "
        "line: on the Pareto front of error and bytes (B) or time (T); C: the cheapest within 1 % "
        "of the best."
    )
    return Table(ahead(horizon["horizon"]), head, tuple(rows), 1, best, note)


def loss_table(document: Mapping[str, Any], horizon: Mapping[str, Any]) -> Table:
    """Return one line per model: the loss of every target, in its unit."""
    targets = document["targets"]
    unit = "RMSE in the target's unit" if document["measure"] == "rmse" else "bits per label"
    rows = tuple(
        (one["name"], *(_number(one["losses"][target]) for target in targets))
        for one in horizon["rows"]
    )
    title = f"{unit}, median of the seeds: {ahead(horizon['horizon'])}"
    return Table(title, ("model", *targets), rows)


def _spread(one: Mapping[str, Any]) -> str:
    """Format half the range over the seeds, as a share."""
    least, most = one["error_least"], one["error_most"]
    if not one["error"] or most is None or least == most:
        return NONE
    return f"±{percent((most - least) / 2 / one['error'])}"


def _marks(one: Mapping[str, Any]) -> str:
    marks = (("on_bytes_line", "B"), ("on_time_line", "T"), ("cheapest", "C"))
    return "".join(letter for key, letter in marks if one[key]) or NONE


def _ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.4g}"


def rows_file(document: Mapping[str, Any], name: str) -> bytes:
    """Return one row per horizon and model: Parquet if the name ends so, else CSV."""
    rows = []
    for horizon in document["horizons"]:
        for one in horizon["rows"]:
            plain = {key: value for key, value in one.items() if not isinstance(value, dict)}
            plain |= one["settings"] or {}
            losses = {f"{document['measure']} {k}": v for k, v in one["losses"].items()}
            rows.append({"horizon": horizon["horizon"], **plain, **losses})
    frame = polars.DataFrame(rows, infer_schema_length=None)
    file = io.BytesIO()
    if name.lower().endswith(".parquet"):
        frame.write_parquet(file)
    else:
        frame.write_csv(file)
    return file.getvalue()
