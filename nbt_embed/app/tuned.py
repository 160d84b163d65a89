"""The gain of a search, as a document, sentences and a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from nbt_embed import __version__
from nbt_embed.app.compared import ahead, milliseconds
from nbt_embed.app.models import LAST, RLS
from nbt_embed.app.tables import NONE, Table, count, percent
from nbt_embed.app.tuning import DEFAULT, TUNED, Part, Tuned
from nbt_embed.cost import Processor, cost
from nbt_embed.options import options_of
from nbt_embed.streams import Stream

SCHEMA, SCHEMA_VERSION = "nbt-embed tune", 1
_NAMES = {DEFAULT: "defaults", TUNED: "tuned", RLS: "RLS", LAST: "last value"}


def document_of(
    title: str,
    stream: Stream,
    tuned: Tuned,
    processor: Processor,
    mhz: float,
    classes: tuple[str, ...] | None,
    notes: Sequence[str],
    command: str,
) -> dict[str, Any]:
    """Return all results as JSON values; figures that do not exist are None."""
    best = tuned.parts[TUNED].config
    assert best is not None
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "command": command,
        "source": {"title": title, "rows": len(stream), "notes": list(notes)},
        "inputs": list(stream.input_names),
        "targets": list(stream.target_names),
        "measure": "rmse" if classes is None else "bits",
        "horizon": tuned.horizon,
        "scored_from": tuned.scored_from,
        "split": tuned.split,
        "tried": tuned.tried,
        "seed": tuned.search.seed,
        "seeds": tuned.search.seeds,
        "processor": {"name": processor.name, "mhz": mhz},
        "verdict": verdict(tuned),
        "bought": tuned.bought,
        "gain": tuned.gain,
        "gain_first": tuned.gain_first,
        "wins": tuned.wins,
        "settings": tuned.settings,
        "options": options_of(best),
        "config": f"Config({best.arguments()})",
        "models": {
            key: _entry(tuned.parts[key], stream, processor, mhz)
            for key in (DEFAULT, TUNED, RLS, LAST)
        },
    }


def _entry(part: Part, stream: Stream, processor: Processor, mhz: float) -> dict[str, Any]:
    config = part.config
    known = None
    if config is not None and config.estimator != "rtrl":
        known = cost(config, processor, mhz)
    losses = zip(stream.target_names, zip(*part.losses, strict=True), strict=True)
    return {
        "name": _NAMES[part.key],
        "memory_bytes": part.memory_bytes,
        "instructions": None if known is None else known.instructions,
        "milliseconds_low": None if known is None else known.milliseconds_low,
        "milliseconds_high": None if known is None else known.milliseconds_high,
        "error_first": _finite(median(part.first)),
        "error_rest": _finite(part.error),
        "error_rest_least": _finite(min(part.rest)),
        "error_rest_most": _finite(max(part.rest)),
        "losses": {target: _finite(median(values)) for target, values in losses},
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def verdict(tuned: Tuned) -> list[str]:
    """Return sentences: the gain of tuning, and the error of recursive least squares."""
    default, best, rls = (tuned.parts[key] for key in (DEFAULT, TUNED, RLS))
    on_first = _by(tuned.gain_first)
    if not tuned.settings:
        sentences = [
            f"Tuning did not help: none of {tuned.tried} settings is better than the defaults on "
            "the first part. Keep the defaults."
        ]
    elif tuned.bought:
        times = (best.memory_bytes or 0) / (default.memory_bytes or 1)
        sentences = [
            f"Tuning gave a {_by(tuned.gain)} error on the rest (better with "
            f"{tuned.wins} of {tuned.search.seeds} seeds), with {times:.2g} times the bytes "
            f"({best.memory_bytes:,} instead of {default.memory_bytes:,}); on the first part it "
            f"was {on_first}."
        ]
    elif not math.isfinite(best.error):
        sentences = [
            "Tuning did not help: on the rest the tuned learner diverges. Keep the defaults."
        ]
    else:
        sentences = [
            f"Tuning did not help: on the rest the error is {_by(tuned.gain)} (better with "
            f"{tuned.wins} of {tuned.search.seeds} seeds), though on the first part, which the "
            f"search saw, it was {on_first}. Keep the defaults."
        ]
    chosen = best if tuned.bought else default
    if min(rls.rest) < chosen.error:
        sentences.append(
            f"Recursive least squares is better on the rest: {rls.error:.3f} of the last "
            f"value's error, compared with {chosen.error:.3f}, in {rls.memory_bytes:,} bytes."
        )
    else:
        sentences.append(
            f"Recursive least squares has {rls.error:.3f} of the last value's error on the rest, "
            f"compared with {chosen.error:.3f}, in {rls.memory_bytes:,} bytes."
        )
    if min(rls.error, chosen.error) >= 1:
        sentences.append("Neither is better than the last value.")
    return sentences


def _by(gain: float) -> str:
    """Format a decrease or an increase."""
    if abs(gain) < 5e-4:
        return "the same"
    return f"{percent(abs(gain))} {'lower' if gain > 0 else 'higher'}"


def table(document: Mapping[str, Any]) -> Table:
    """Return one row per model."""
    targets = document["targets"]
    measure = [document["measure"].upper()] if len(targets) == 1 else []
    rows = []
    for one in document["models"].values():
        cells = [one["name"], count(one["memory_bytes"]), milliseconds(one)]
        cells += [_ratio(one["error_first"]), _ratio(one["error_rest"]), _spread(one)]
        if measure:
            loss = one["losses"][targets[0]]
            cells.append(NONE if loss is None else f"{loss:.4g}")
        rows.append(tuple(cells))
    processor = document["processor"]
    errors = [one["error_rest"] for one in document["models"].values()]
    least = min((one for one in errors if one is not None), default=None)
    best = frozenset((row, 4) for row, one in enumerate(errors) if one is not None and one == least)
    note = (
        f"first: rows {document['scored_from']:,} to {document['split'] - 1:,}, which the search "
        f"saw; rest: the rows after them, median of {document['seeds']} seeds. Errors: loss / "
        "loss of the last value"
        + (", geometric mean over the targets" if len(targets) > 1 else "")
        + f". ms: on a {processor['name']} at {processor['mhz']:g} MHz."
    )
    head = ("model", "bytes", "ms per row", "first", "rest", "seeds", *measure)
    return Table(ahead(document["horizon"]), head, tuple(rows), 1, best, note)


def _ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _spread(one: Mapping[str, Any]) -> str:
    """Format half the range over the seeds, as a share."""
    least, most = one["error_rest_least"], one["error_rest_most"]
    if not one["error_rest"] or most is None or least == most:
        return NONE
    return f"±{percent((most - least) / 2 / one['error_rest'])}"
