"""A comparison as a document, with its verdict; tables, pictures and the page show it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nbt_embed import __version__
from nbt_embed.app.comparing import NEAR_BEST, Compared, Grid
from nbt_embed.app.models import LEARNER, RLS
from nbt_embed.app.tables import percent
from nbt_embed.config import Config
from nbt_embed.cost import Processor
from nbt_embed.options import options_of
from nbt_embed.streams import Stream

SCHEMA, SCHEMA_VERSION = "nbt-embed compare", 1
# Settings of every row in the document; a row's name has those that the grid varies.
_NAMED = ("cell", "hidden", "head", "resonators", "lags", "estimator")
_GRID = {"estimators": "estimator", "lags": "lags"}


def document_of(
    title: str,
    stream: Stream,
    rows: Sequence[Compared],
    grid: Grid,
    processor: Processor,
    mhz: float,
    classes: tuple[str, ...] | None,
    notes: Sequence[str],
    command: str,
) -> dict[str, Any]:
    """Return all results as JSON values; figures that do not exist are None."""
    varied = [name for several, name in _GRID.items() if len(getattr(grid, several)) > 1]
    horizons = []
    for horizon in dict.fromkeys(one.horizon for one in rows):
        here = [one for one in rows if one.horizon == horizon]
        entries = [_entry(one, stream, varied, classes is not None) for one in here]
        horizons.append(
            {
                "horizon": horizon,
                "verdict": _verdict(here, entries, processor, mhz, len(grid.seeds)),
                "rows": entries,
            }
        )
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "command": command,
        "source": {"title": title, "rows": len(stream), "notes": list(notes)},
        "inputs": list(stream.input_names),
        "targets": list(stream.target_names),
        "classes": None if classes is None else list(classes),
        "measure": "rmse" if classes is None else "bits",
        "seeds": list(grid.seeds),
        "processor": {
            "name": processor.name,
            "mhz": mhz,
            "cycles_low": processor.cycles_low,
            "cycles_high": processor.cycles_high,
            "source": processor.source,
            "error_worst": processor.error_worst,
        },
        "horizons": horizons,
    }


def _entry(one: Compared, stream: Stream, varied: Sequence[str], classes: bool) -> dict[str, Any]:
    losses = zip(stream.target_names, one.loss_per_target, strict=True)
    return {
        "key": one.key,
        "name": _name(one, varied, classes),
        "options": None if one.config is None else options_of(one.config),
        "settings": None if one.config is None else _settings(one.config),
        "memory_bytes": one.memory_bytes,
        "instructions": None if one.cost is None else one.cost.instructions,
        "milliseconds_low": None if one.cost is None else one.cost.milliseconds_low,
        "milliseconds_high": None if one.cost is None else one.cost.milliseconds_high,
        "error": _finite(one.error),
        "error_least": _finite(min(one.errors)),
        "error_most": _finite(max(one.errors)),
        "losses": {target: _finite(loss) for target, loss in losses},
        "on_bytes_line": one.on_bytes_line,
        "on_time_line": one.on_time_line,
        "best": one.best,
        "cheapest": one.cheapest,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _settings(config: Config) -> dict[str, Any]:
    return {name: getattr(config, name) for name in (*_NAMED, "filter", "seed")}


def _name(one: Compared, varied: Sequence[str], classes: bool) -> str:
    config = one.config
    if config is None:
        return "last class" if classes else "last value"
    if one.key == RLS or config.hidden == 0:
        return f"{'RLS' if one.key == RLS else 'no units'}, lags {config.lags}"
    words = [f"{config.hidden} {config.cell}"]
    words += [f"lags {config.lags}" if name == "lags" else getattr(config, name) for name in varied]
    return ", ".join(words)


def _verdict(
    rows: Sequence[Compared],
    entries: Sequence[dict[str, Any]],
    processor: Processor,
    mhz: float,
    seeds: int,
) -> list[str]:
    """Yield sentences: the best model, the cheapest, and whether recurrent units help."""
    by_mark = {
        mark: next(((o, e) for o, e in zip(rows, entries, strict=True) if e[mark]), None)
        for mark in ("best", "cheapest")
    }
    if by_mark["best"] is None or by_mark["cheapest"] is None:
        return ["Every learner diverged on this stream: no error is finite."]
    best, best_entry = by_mark["best"]
    cheap, cheap_entry = by_mark["cheapest"]
    tried = sum(one.key == LEARNER for one in rows)
    where = ahead(best.horizon)
    sentences = [
        f"{where}, the best of {tried} learner{'s' if tried != 1 else ''} and RLS is "
        f"{best_entry['name']}: "
        f"{best.error:.3f} of the last value's error, in {best.memory_bytes:,} bytes"
        f"{_time(best_entry, processor, mhz)}."
    ]
    if cheap is not best:
        share = 1 - (cheap.memory_bytes or 0) / (best.memory_bytes or 1)
        sentences.append(
            f"The cheapest within {_percent(NEAR_BEST - 1)} of it is {cheap_entry['name']}: "
            f"{cheap.error:.3f}, in {cheap.memory_bytes:,} bytes, {_percent(share)} fewer"
            f"{_time(cheap_entry, processor, mhz)}."
        )
    else:
        sentences.append(f"No cheaper one is within {_percent(NEAR_BEST - 1)} of it.")
    rls, rls_entry = next((o, e) for o, e in zip(rows, entries, strict=True) if o.key == RLS)
    if cheap is rls:
        sentences.append(
            "Use recursive least squares here: recurrent units do not help "
            f"({rls_entry['options']})."
        )
    elif cheap.error > 0:
        gain = 1 - cheap.error / rls.error if rls.error > 0 else 0.0
        sentences.append(
            f"Recursive least squares has {rls.error:.3f} in {rls.memory_bytes:,} bytes: the units "
            f"lower its error by {percent(gain)}."
        )
    if best.error >= 1:
        sentences.append("No model is better than the last value.")
    if seeds > 1:
        spread = max(
            max(one.errors) / min(one.errors) - 1 for one in (best, cheap) if min(one.errors) > 0
        )
        sentences.append(
            f"Their errors differ by up to {percent(spread)} between seeds; smaller differences "
            "are not significant."
        )
    return sentences


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def ahead(horizon: int) -> str:
    """Return a horizon as the start of a sentence."""
    if horizon == 0:
        return "For the same row"
    return f"{horizon:,} row{'s' if horizon > 1 else ''} ahead"


def _time(entry: dict[str, Any], processor: Processor, mhz: float) -> str:
    if entry["milliseconds_low"] is None:
        return ""
    return f" and {milliseconds(entry)} ms per row on a {processor.name} at {mhz:g} MHz"


def milliseconds(entry: dict[str, Any]) -> str:
    """Format the range with two digits."""
    if entry["milliseconds_low"] is None:
        return "-"
    low, high = (_two(entry[f"milliseconds_{end}"]) for end in ("low", "high"))
    return f"{low}–{high}"


def _two(value: float) -> str:
    """Format two digits, or all of a whole number."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
