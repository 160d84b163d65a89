"""What came of a fleet, as the document that ``--json`` writes (docs/json.md)."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbt_embed import __version__
from nbt_embed._kernel_config import GUARDS
from nbt_embed.app.fleet_spec import RLS_NAME, Spec
from nbt_embed.app.fleet_stream import Source
from nbt_embed.app.fleet_why import Why
from nbt_embed.app.tables import count, percent, steps
from nbt_embed.arrays import Float64Array
from nbt_embed.config import Config
from nbt_embed.fleet.columns import Columns

SCHEMA, SCHEMA_VERSION = "nbt-embed fleet", 1
NEAR_BEST = 1.05  # what is "within 5 % of the best"
FAILED_SHOWN = 20
_SHARES = np.linspace(0, 1, 41)  # of the devices, at which the distribution is told
_MEASURES = {"error": "relative_error", "bits": "bits"}


@dataclass(frozen=True)
class Drawn:
    """What every device drew: column -> (n,)."""

    columns: Mapping[str, Float64Array]

    @classmethod
    def of(cls, source: Source) -> Drawn:
        """Cost: some 10 µs a device and kind."""
        series = source.series
        table = np.empty((len(series.columns), series.devices))
        for device in range(series.devices):
            table[:, device] = list(series.drawn(device).values())
        return cls(dict(zip(series.columns, table, strict=True)))


def document_of(
    spec: Spec,
    source: Source,
    configs: Mapping[str, Config],
    columns: Columns,
    drawn: Drawn,
    worst: int,
    notes: Sequence[str],
    command: str,
) -> dict[str, Any]:
    """Everything that came of a fleet; figures that do not exist are None.

    Args: spec; source; configs, learners by name; columns, results; drawn; worst, devices that are
    told of; notes, sentences; command, that repeats it.
    """
    measure = "error" if source.classes is None else "bits"
    horizons = [
        _horizon(source, configs, columns, drawn, horizon, measure, worst)
        for horizon in spec.horizons
    ]
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "command": command,
        "source": {
            "title": spec.title,
            "devices": source.series.devices,
            "recordings": source.recordings,
            "rows": int(columns["rows"].max(initial=0)),
            "rows_least": int(columns["rows"].min(initial=0)),
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
    columns: Columns,
    drawn: Drawn,
    horizon: int,
    measure: str,
    worst: int,
) -> dict[str, Any]:
    here = columns["horizon"] == horizon
    parts = {
        name: _by_device({
            key: values[here & (columns["setting"] == name)] for key, values in columns.items()
        })
        for name in configs
    }  # fmt: skip
    errors = {name: errors_of(part, measure) for name, part in parts.items()}
    rows = [
        _setting(name, replace(config, max_delay=max(horizon - 1, 0)), parts, errors, measure)
        for name, config in configs.items()
    ]
    chosen = _advise(rows)
    judged = chosen or min(rows, key=lambda one: _or_inf(one["error"]["median"]))
    for one in rows:
        one["advised"] = one is chosen
    why = _why(source, parts[judged["name"]], errors[judged["name"]], drawn)
    bad, correlations = _worst(parts[judged["name"]], errors[judged["name"]], drawn, why, worst)
    return {
        "horizon": horizon,
        "verdict": _verdict(rows, chosen, horizon, measure),
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


def _by_device(part: Columns) -> Columns:
    order = np.argsort(part["device"], kind="stable")
    return {key: values[order] for key, values in part.items()}


def errors_of(part: Columns, measure: str) -> Float64Array:
    """The measure of each device: infinite where its learner diverged, NaN where nothing counts."""
    errors: Float64Array = part[_MEASURES[measure]].astype(np.float64)
    errors = np.where(part["diverged"] & ~np.isfinite(errors), np.inf, errors)
    return np.where(part["error"] != "", np.nan, errors)


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
    """Median, tenth and ninetieth percentile, the least and the most."""
    found = _quantiles(values, np.array([0, 0.1, 0.5, 0.9, 1]))
    names = ("least", "p10", "median", "p90", "worst")
    return {name: _or_none(value) for name, value in zip(names, found, strict=True)}


def _quantiles(values: NDArray[Any], shares: Float64Array) -> list[float]:
    """Of what is no NaN, each the value of a device, as ``Fleet.summary`` has them."""
    known = np.asarray(values[~np.isnan(values)], np.float64)
    if not known.size:
        return [math.nan] * len(shares)
    return [float(one) for one in np.quantile(known, shares, method="higher")]


def _share(lost: NDArray[np.bool_], of: NDArray[np.bool_]) -> float | None:
    return float(lost[of].mean()) if of.any() else None


def _or_none(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


def _or_inf(value: float | None) -> float:
    return math.inf if value is None else value


def _advise(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The fewest bytes of those whose median and p90 are within 5 % of the best; or None."""
    for one in rows:
        one["near_best"] = True
    for key in ("median", "p90"):
        best = min(_or_inf(one["error"][key]) for one in rows)
        for one in rows:
            value = _or_inf(one["error"][key])
            one[f"best_{key}"] = math.isfinite(value) and value == best
            one["near_best"] &= math.isfinite(value) and value <= NEAR_BEST * best
    near = [one for one in rows if one["near_best"]]
    if not near:
        return None
    return min(near, key=lambda one: (one["memory_bytes"] or 0, one["error"]["median"]))


def _verdict(
    rows: Sequence[dict[str, Any]], chosen: dict[str, Any] | None, horizon: int, measure: str
) -> list[str]:
    said = []
    ahead = steps(horizon)
    ahead = ahead[0].upper() + ahead[1:]
    if not any(one["scored"] for one in rows):
        return [f"{ahead}: nothing can be said of any device.", *_left_out(rows)]
    if chosen is None:
        by_median = next((one for one in rows if one["best_median"]), None)
        by_p90 = next((one for one in rows if one["best_p90"]), None)
        if by_median is None or by_p90 is None:
            said.append(
                f"{ahead}: no setting can be advised: with each of them a tenth of the devices or "
                "more diverges."
            )
        else:
            said.append(
                f"{ahead}: no setting is within 5 % of the best in both the median and the 90th "
                f"percentile: {by_median['name']} has the least median "
                f"({by_median['error']['median']:.3f}), {by_p90['name']} the least 90th percentile "
                f"({by_p90['error']['p90']:.3f})."
            )
    else:
        unit = " of the last value's error" if measure == "error" else " bits"
        said.append(
            f"{ahead}: take {chosen['name']}, {count(chosen['memory_bytes'])} bytes: the smallest "
            f"whose median and 90th percentile are within 5 % of the best. Median "
            f"{chosen['error']['median']:.3f}, 90th percentile {chosen['error']['p90']:.3f}"
            f"{unit}."
        )
    for one in [chosen] if chosen is not None else []:
        if measure == "error" and one["error"]["median"] >= 1:
            said.append("No setting beats the last value on half of the devices.")
        lost = []
        if one["loses_to_last"] is not None:
            lost.append(f"{percent(one['loses_to_last'])} of the devices lose to the last value")
        if one["loses_to_rls"] is not None:
            lost.append(f"{percent(one['loses_to_rls'])} to recursive least squares")
        if lost:
            said.append(f"{', '.join(lost)}.")
    said += _left_out(rows)
    diverged = [one for one in rows if one["diverged"]]
    if diverged:
        most = max(diverged, key=lambda one: int(one["diverged"]))
        number = most["diverged"]
        said.append(f"The learners of {_devices(number)} diverged with {most['name']}.")
    return said


def _left_out(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences about devices without a figure."""
    said = []
    refused = max(one["refused"] for one in rows)
    if refused:
        said.append(f"{_devices(refused)} had a stream that was refused, or nothing to score.")
    still = max(one["devices"] - one["scored"] - one["refused"] for one in rows)
    if still:
        said.append(
            f"{_devices(still)} cannot be compared: the last value forecasts them without an error."
        )
    return said


def _devices(number: int) -> str:
    return f"{count(number)} device{'s' if number != 1 else ''}"


def _why(source: Source, part: Columns, error: Float64Array, drawn: Drawn) -> Why:
    scored = ~np.isnan(error)
    devices = part["device"][scored]
    return Why(
        error[scored],
        {name: values[devices] for name, values in _with_means(drawn.columns).items()},
        {name: part[name][scored].astype(np.float64) for name in GUARDS if name in part},
        devices % source.recordings,
        source.clean.name,
    )


def _with_means(drawn: Mapping[str, Float64Array]) -> dict[str, Float64Array]:
    """The columns, and the mean over the channels of each kind that has several."""
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
    part: Columns, error: Float64Array, drawn: Drawn, why: Why, most: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The worst devices with reasons, and what goes along with the error in the fleet."""
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
                "loss": _or_none(float(part["rmse"][at])),
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
    """The first devices that were refused, each once, and why."""
    found: dict[int, dict[str, Any]] = {}
    for part in parts:
        for at in np.flatnonzero(part["error"] != "")[:FAILED_SHOWN].tolist():
            device = int(part["device"][at])
            found.setdefault(
                device,
                {"device": device, "name": str(part["name"][at]), "error": str(part["error"][at])},
            )
    return [found[device] for device in sorted(found)][:FAILED_SHOWN]


def errors_by_setting(
    document: Mapping[str, Any], columns: Columns
) -> dict[int, dict[str, Float64Array]]:
    """Horizon -> name of a setting -> error of every device."""
    found: dict[int, dict[str, Float64Array]] = {}
    for horizon in document["horizons"]:
        here = columns["horizon"] == horizon["horizon"]
        for one in horizon["settings"]:
            chosen = here & (columns["setting"] == one["name"])
            part = {key: values[chosen] for key, values in columns.items()}
            errors = errors_of(part, document["measure"])
            found.setdefault(horizon["horizon"], {})[one["name"]] = errors
    return found
