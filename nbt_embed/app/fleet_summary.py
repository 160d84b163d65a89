"""Results of a fleet as the document that ``--json`` writes (docs/reference/json.md)."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed import __version__
from nbt_embed._kernel_config import GUARDS
from nbt_embed.app.fleet_results import Drawn, Parts, errors_of
from nbt_embed.app.fleet_spec import Spec
from nbt_embed.app.fleet_spec_settings import RLS_NAME
from nbt_embed.app.fleet_stream import Source
from nbt_embed.app.fleet_verdict import advise, or_infinite, verdict
from nbt_embed.app.fleet_why import Why
from nbt_embed.arrays import Float64Array
from nbt_embed.config import Config
from nbt_embed.fleet.columns import Columns

SCHEMA, SCHEMA_VERSION = "nbt-embed fleet", 1
FAILED_SHOWN = 20
_SHARES = np.linspace(0, 1, 41)  # shares of the devices at which the distribution is reported


def document_of(
    spec: Spec,
    source: Source,
    configs: Mapping[str, Config],
    results: Parts,
    drawn: Drawn,
    worst: int,
    notes: Sequence[str],
    command: str,
) -> dict[str, Any]:
    """Return all results of a fleet; figures that do not exist are None.

    Args: spec; source; configs, learners by name; results; drawn; worst, number of worst devices to
    report; notes, sentences; command, that repeats it.
    """
    measure = "error" if source.classes is None else "bits"
    horizons = [
        _horizon(source, configs, results, drawn, horizon, measure, worst)
        for horizon in spec.horizons
    ]
    rows = next(iter(results.values()))["rows"]
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "command": command,
        "source": {
            "title": spec.title,
            "devices": source.series.devices,
            "recordings": source.recordings,
            "rows": int(rows.max()),
            "rows_least": int(rows.min()),
            "notes": [*source.notes, *notes],
        },
        "inputs": list(source.series.input_names),
        "targets": list(source.series.target_names),
        "classes": None if source.classes is None else list(source.classes),
        "seed": spec.seed,
        "measure": measure,
        "perturbations": [
            {
                "column": name,
                "least": float(values.min()),
                "median": float(np.median(values)),
                "most": float(values.max()),
            }
            for name, values in drawn.columns.items()
        ],
        "horizons": horizons,
        "versions": {
            "nbt_embed": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "spec": spec.text,
    }


def _horizon(
    source: Source,
    configs: Mapping[str, Config],
    results: Parts,
    drawn: Drawn,
    horizon: int,
    measure: str,
    worst: int,
) -> dict[str, Any]:
    parts = {name: results[horizon, name] for name in configs}
    errors = {name: errors_of(part, measure) for name, part in parts.items()}
    rows = [
        _setting(name, replace(config, max_delay=max(horizon - 1, 0)), parts, errors, measure)
        for name, config in configs.items()
    ]
    chosen = advise(rows)
    judged = chosen or min(rows, key=lambda one: or_infinite(one["error"]["median"]))
    for one in rows:
        one["advised"] = one is chosen
    why = _why(source, parts[judged["name"]], errors[judged["name"]], drawn)
    bad, correlations = _worst(
        parts[judged["name"]], errors[judged["name"]], drawn, why, measure, worst
    )
    return {
        "horizon": horizon,
        "verdict": verdict(rows, chosen, horizon, measure),
        "advised": None if chosen is None else chosen["name"],
        "settings": rows,
        "last_loss": None
        if measure == "bits"
        else _spread(next(iter(parts.values()))["last_rmse"]),
        "worst_of": judged["name"],
        "worst": bad,
        "explained": why.summary(),
        "correlations": correlations,
        "needed_correlation": why.needed,
        "failed": _failed(parts.values()),
    }


def _setting(
    name: str,
    config: Config,
    parts: Mapping[str, Columns],
    errors: Mapping[str, Float64Array],
    measure: str,
) -> dict[str, Any]:
    part, error = parts[name], errors[name]
    scored = ~np.isnan(error)
    rls = None
    if RLS_NAME in errors and name != RLS_NAME:
        rls = _share(error > errors[RLS_NAME], scored & ~np.isnan(errors[RLS_NAME]))
    return {
        "name": name,
        "key": "rls" if name == RLS_NAME else "learner",
        "config": f"Config({config.arguments()})",
        "memory_bytes": int(part["memory_bytes"].max(initial=0)) or None,
        "devices": len(error),
        "scored": int(scored.sum()),
        "refused": int((part["error"] != "").sum()),
        "diverged": int(part["diverged"].sum()),
        "error": _spread(error),
        "loss": _spread(part["bits" if measure == "bits" else "rmse"]),
        "nrmse": None if measure == "bits" else _spread(part["nrmse"]),
        "loses_to_last": None if measure == "bits" else _share(error > 1, scored),
        "loses_to_rls": rls,
        "quantiles": [_or_none(value) for value in _quantiles(error, _SHARES)],
    }


def _spread(values: NDArray[Any]) -> dict[str, float | None]:
    """Return median, tenth and ninetieth percentile, minimum and maximum."""
    found = _quantiles(values, np.array([0, 0.1, 0.5, 0.9, 1]))
    names = ("least", "p10", "median", "p90", "worst")
    return {name: _or_none(value) for name, value in zip(names, found, strict=True)}


def _quantiles(values: NDArray[Any], shares: Float64Array) -> list[float]:
    """Return quantiles without NaN, each the value of a device, as ``Fleet.summary`` has them."""
    known = np.asarray(values[~np.isnan(values)], np.float64)
    if not known.size:
        return [math.nan] * len(shares)
    return [float(one) for one in np.quantile(known, shares, method="higher")]


def _share(lost: NDArray[np.bool_], of: NDArray[np.bool_]) -> float | None:
    return float(lost[of].mean()) if of.any() else None


def _or_none(value: float) -> float | None:
    """Replace NaN and infinity by None, since JSON has neither."""
    return value if math.isfinite(value) else None


def _why(source: Source, part: Columns, error: Float64Array, drawn: Drawn) -> Why:
    scored = ~np.isnan(error)
    devices = part["device"][scored]
    return Why(
        error[scored],
        {
            **{name: values[devices] for name, values in _with_means(drawn.columns).items()},
            "rows": part["rows"][scored].astype(np.float64),  # short ones have fewer
        },
        {name: part[name][scored].astype(np.float64) for name in GUARDS if name in part},
        devices % source.recordings,
        source.clean.name,
    )


def _with_means(drawn: Mapping[str, Float64Array]) -> dict[str, Float64Array]:
    """Return the columns, and for each kind with several channels their mean."""
    kinds: dict[str, list[Float64Array]] = {}
    for name, values in drawn.items():
        if name.endswith("]"):
            kinds.setdefault(name.partition("[")[0], []).append(values)
    means = {
        f"{kind}, mean of {len(ones)} channels": np.mean(ones, axis=0)
        for kind, ones in kinds.items()
        if len(ones) > 1
    }
    return {**drawn, **means}


def _worst(
    part: Columns, error: Float64Array, drawn: Drawn, why: Why, measure: str, most: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the worst devices with reasons, and correlations of the error over the fleet."""
    scored = np.flatnonzero(~np.isnan(error))
    order = np.argsort(-error[scored], kind="stable")[:most]
    bad = []
    for place in order.tolist():
        at = int(scored[place])
        device = int(part["device"][at])
        bad.append(
            {
                "device": device,
                "name": str(part["name"][at]),
                "error": _or_none(float(error[at])),
                "loss": _or_none(float(part["bits" if measure == "bits" else "rmse"][at])),
                "last_loss": _or_none(float(part["last_rmse"][at])),
                "diverged": bool(part["diverged"][at]),
                "reasons": why.reasons(place),
                "drawn": {name: float(values[device]) for name, values in drawn.columns.items()},
                "guards": {name: int(part[name][at]) for name in GUARDS if part[name][at]},
            }
        )
    along = [
        {
            "column": one.column,
            "correlation": one.rho,
            "of": "distance from the median" if one.distance else "value",
            "guard": one.guard,
            "tells": one.tells,
        }
        for one in why.columns
    ]
    return bad, along


def _failed(parts: Iterable[Columns]) -> list[dict[str, Any]]:
    """Return the first refused devices with reasons, each once."""
    found: dict[int, dict[str, Any]] = {}
    for part in parts:
        for at in np.flatnonzero(part["error"] != "")[:FAILED_SHOWN].tolist():
            device = int(part["device"][at])
            found.setdefault(
                device,
                {"device": device, "name": str(part["name"][at]), "error": str(part["error"][at])},
            )
    return [found[device] for device in sorted(found)][:FAILED_SHOWN]
