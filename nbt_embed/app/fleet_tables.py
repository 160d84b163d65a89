"""A fleet's document as tables of texts, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbt_embed.app.compared import ahead
from nbt_embed.app.tables import NONE, Table, count, number, percent

_SPREAD = ("median", "p90", "worst")


def shown_settings(horizon: Mapping[str, Any], most: int | None = None) -> list[Mapping[str, Any]]:
    """Return a horizon's settings by bytes; of more than ``most`` the informative ones."""
    rows: list[Mapping[str, Any]] = horizon["settings"]
    if most is None or len(rows) <= most:
        return rows
    good = {one["name"] for one in on_line(rows)}
    marks = ("advised", "best_median", "best_p90")
    good |= {one["name"] for one in rows if any(one[mark] for mark in marks)}
    good |= {one["name"] for one in rows if one["key"] == "rls"}
    chosen = [one for one in rows if one["name"] in good]
    return sorted(chosen, key=lambda one: one["memory_bytes"] or 0)


def on_line(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the Pareto front of settings by bytes and median, ordered by bytes."""
    found: list[Mapping[str, Any]] = []
    known = [one for one in rows if one["error"]["median"] is not None and one["memory_bytes"]]
    for one in sorted(known, key=lambda one: (one["memory_bytes"], one["error"]["median"])):
        if not found or one["error"]["median"] < found[-1]["error"]["median"]:
            found.append(one)
    return found


def settings_table(
    document: Mapping[str, Any], horizon: Mapping[str, Any], most: int | None = None
) -> Table:
    """Return one row per setting: bytes, distribution of errors, shares that lose to a baseline."""
    rows = shown_settings(horizon, most)
    bits = document["measure"] == "bits"
    with_rls = any(one["loses_to_rls"] is not None for one in rows)
    with_failed = any(one["scored"] < one["devices"] for one in rows)
    with_diverged = any(one["diverged"] for one in rows)
    head = ["setting", "bytes", *_SPREAD]
    head += [] if bits else ["lose to last"]
    head += ["lose to RLS"] if with_rls else []
    head += ["not scored"] if with_failed else []
    head += ["diverged"] if with_diverged else []
    lines = []
    for one in rows:
        name = f"{one['name']}{' (advised)' if one['advised'] else ''}"
        cells = [name, count(one["memory_bytes"])]
        cells += [_error(one["error"][key], one) for key in _SPREAD]
        cells += [] if bits else [percent(one["loses_to_last"])]
        cells += [percent(one["loses_to_rls"])] if with_rls else []
        cells += [count(one["devices"] - one["scored"])] if with_failed else []
        cells += [count(one["diverged"])] if with_diverged else []
        lines.append(tuple(cells))
    best = frozenset(
        (row, 2 + place)
        for row, one in enumerate(rows)
        for place, key in enumerate(("best_median", "best_p90"))
        if one[key]
    )
    note = (
        "bits per label; "
        if bits
        else "error: RMSE divided by that of the last value"
        + (", geometric mean over the targets" if len(document["targets"]) > 1 else "")
        + "; "
    ) + "median, 90th percentile and worst of the devices."
    if len(rows) < len(horizon["settings"]):
        note += (
            f" {count(len(horizon['settings']) - len(rows))} settings for which a "
            "smaller one is as good are omitted here; --json has them."
        )
    return Table(ahead(horizon["horizon"]), tuple(head), tuple(lines), 1, best, note)


def tables_of(
    document: Mapping[str, Any], horizon: Mapping[str, Any], most: int | None = None
) -> list[Table]:
    """Return the tables of a horizon's settings; for bits one, since they are a loss."""
    table = settings_table(document, horizon, most)
    if document["measure"] == "bits":
        return [table]
    return [table, _loss_table(document, horizon, most)]


def _loss_table(
    document: Mapping[str, Any], horizon: Mapping[str, Any], most: int | None = None
) -> Table:
    """Return one row per setting: RMSE in the target's unit, for several targets nRMSE."""
    single = len(document["targets"]) == 1
    key, unit = ("loss", "RMSE in the target's unit") if single else ("nrmse", "nRMSE")
    rows = [(one["name"], *map(number, _values(one[key]))) for one in shown_settings(horizon, most)]
    if single and horizon["last_loss"] is not None:
        rows.insert(0, ("last value", *map(number, _values(horizon["last_loss"]))))
    note = "" if single else "nRMSE: RMSE / standard deviation of the labels, over all targets."
    title = f"{unit}: {ahead(horizon['horizon'])}"
    return Table(title, ("setting", *_SPREAD), tuple(rows), note=note)


def worst_table(document: Mapping[str, Any], horizon: Mapping[str, Any]) -> Table:
    """Return one row per device: error and reasons."""
    bits = document["measure"] == "bits"
    rows = tuple(
        (_called(one), "; ".join(one["reasons"]), _infinite(one["error"]))
        + (() if bits else (number(one["loss"]),))
        for one in horizon["worst"]
    )
    head = ("device", "why", "bits") if bits else ("device", "why", "error", "RMSE")
    title = f"The worst devices with {horizon['worst_of']}: {ahead(horizon['horizon'])}"
    return Table(title, head, rows, 2, note=horizon["explained"])


def worst_sentences(document: Mapping[str, Any], horizon: Mapping[str, Any]) -> list[str]:
    """Return the same as sentences for a terminal."""
    what = "{} bits per label" if document["measure"] == "bits" else "error {}"
    return [
        f"{_called(one)}: {what.format(_infinite(one['error']))}. {'; '.join(one['reasons'])}."
        for one in horizon["worst"]
    ]


def along_table(horizon: Mapping[str, Any], most: int = 20) -> Table:
    """Return one row per column: its correlation with the error over the fleet."""
    rows = tuple(
        (
            f"{'guard ' if one['guard'] else ''}{one['column']}",
            one["of"],
            f"{one['correlation']:+.2f}",
            "yes" if one["tells"] else "no",
        )
        for one in horizon["correlations"][:most]
    )
    note = (
        "Rank correlation (Spearman) of the error with the drawn values, and with how often "
        f"guards acted. By chance a correlation beyond ±{horizon['needed_correlation']:.2f} in "
        "any column has a probability of 1 %."
    )
    title = f"What the error correlates with: {ahead(horizon['horizon'])}"
    head = ("column", "value or distance", "correlation", "more than chance")
    return Table(title, head, rows, 2, note=note)


def drawn_table(document: Mapping[str, Any]) -> Table:
    """Return one row per column: the drawn values of the devices."""
    rows = tuple(
        (one["column"], *(number(one[key]) for key in ("least", "median", "most")))
        for one in document["perturbations"]
    )
    return Table("Values drawn by the devices", ("column", "least", "median", "most"), rows)


def failed_table(horizon: Mapping[str, Any]) -> Table:
    """Return the first devices that were refused."""
    rows = tuple((_called(one), one["error"]) for one in horizon["failed"])
    return Table(
        f"Refused, or nothing to score: {ahead(horizon['horizon'])}", ("device", "why"), rows, 2
    )


def _called(one: Mapping[str, Any]) -> str:
    """Format number and name of a device."""
    number_of = str(one["device"])
    return one["name"] if number_of in str(one["name"]).split() else f"{number_of} {one['name']}"


def _values(spread: Mapping[str, Any]) -> list[float | None]:
    return [spread[key] for key in _SPREAD]


def _error(value: float | None, one: Mapping[str, Any]) -> str:
    return NONE if not one["scored"] else _infinite(value)


def _infinite(value: float | None) -> str:
    """Format three digits; None, which is JSON's infinity, as infinite."""
    return "inf" if value is None else f"{value:.3f}"
