"""Recommend a setting of a fleet, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nbt_embed.app.tables import count, percent, steps

NEAR_BEST = 1.05  # "within 5 % of the best"


def advise(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the row of fewest bytes with median and p90 within 5 % of the best; or None."""
    for one in rows:
        one["near_best"] = True
    for key in ("median", "p90"):
        best = min(or_infinite(one["error"][key]) for one in rows)
        for one in rows:
            value = or_infinite(one["error"][key])
            one[f"best_{key}"] = math.isfinite(value) and value == best
            one["near_best"] &= math.isfinite(value) and value <= NEAR_BEST * best
    near = [one for one in rows if one["near_best"]]
    if not near:
        return None
    return min(near, key=lambda one: (one["memory_bytes"] or 0, one["error"]["median"]))


def verdict(
    rows: Sequence[dict[str, Any]], chosen: dict[str, Any] | None, horizon: int, measure: str
) -> list[str]:
    """Return sentences: recommended setting, devices behind a baseline, devices without a figure.

    Args: rows, of a horizon; chosen, from ``advise``; horizon; measure.
    """
    said = []
    ahead = steps(horizon)
    ahead = ahead[0].upper() + ahead[1:]
    if not any(one["scored"] for one in rows):
        return [f"{ahead}: no device has a score.", *_left_out(rows)]
    if chosen is None:
        by_median = next((one for one in rows if one["best_median"]), None)
        by_p90 = next((one for one in rows if one["best_p90"]), None)
        if by_median is None or by_p90 is None:
            said.append(
                f"{ahead}: no setting is recommended: with every setting at least a tenth of the "
                "devices diverge."
            )
        else:
            said.append(
                f"{ahead}: no setting is within 5 % of the best in both the median and the 90th "
                f"percentile: {by_median['name']} has the lowest median "
                f"({by_median['error']['median']:.3f}), {by_p90['name']} the lowest 90th "
                "percentile "
                f"({by_p90['error']['p90']:.3f})."
            )
    else:
        unit = " of the last value's error" if measure == "error" else " bits"
        said.append(
            f"{ahead}: use {chosen['name']}, {count(chosen['memory_bytes'])} bytes: the smallest "
            f"whose median and 90th percentile are within 5 % of the best. Median "
            f"{chosen['error']['median']:.3f}, 90th percentile {chosen['error']['p90']:.3f}"
            f"{unit}."
        )
        if measure == "error" and chosen["error"]["median"] >= 1:
            said.append("No setting beats the last value on half of the devices.")
        lost = [
            f"{percent(chosen[key])} of the devices lose to {what}"
            for key, what in (
                ("loses_to_last", "the last value"), ("loses_to_rls", "recursive least squares")
            )
            if chosen[key] is not None
        ]  # fmt: skip
        said += [f"{', '.join(lost)}."] if lost else []
        if chosen["diverged"]:
            said.append(f"It diverges on {devices(chosen['diverged'])}.")
    said += _left_out(rows)
    diverged = [one for one in rows if one["diverged"]]
    if diverged:
        most = max(diverged, key=lambda one: int(one["diverged"]))
        number = most["diverged"]
        said.append(f"The learners of {devices(number)} diverged with {most['name']}.")
    return said


def _left_out(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Yield sentences about devices without a figure."""
    said = []
    refused = max(one["refused"] for one in rows)
    if refused:
        said.append(f"{devices(refused)} had a refused stream, or nothing to score.")
    still = max(one["devices"] - one["scored"] - one["refused"] for one in rows)
    if still:
        said.append(f"{devices(still)} cannot be compared: the last value has no error on them.")
    return said


def devices(number: int) -> str:
    """Format a number of devices."""
    return f"{count(number)} device{'s' if number != 1 else ''}"


def or_infinite(value: float | None) -> float:
    """Return infinity for a figure that does not exist, which ranks it last."""
    return math.inf if value is None else value
