"""Self-contained HTML page of a fleet: error against bytes, devices, the worst.

Style and script are those of a run's page (``page``). The size of the figures does not grow with
the number of devices: distributions have 41 points, and single devices are drawn only if there are
few.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJSTickFormatter, FixedTicker, HoverTool, Range1d
from bokeh.models.annotations import Span, Whisker
from markupsafe import Markup, escape

from nbt_embed.app import fleet_tables, look
from nbt_embed.app.compared import ahead
from nbt_embed.app.compared_page import SHAPES, ticks
from nbt_embed.app.figures import figure_of, item_of, tag
from nbt_embed.app.fleet_results import Parts, errors_of
from nbt_embed.app.fleet_verdict import devices
from nbt_embed.app.look import Stroke
from nbt_embed.app.page import bokeh_script, embedded_json, own_parts, shown_text, templates
from nbt_embed.app.tables import count, safe
from nbt_embed.arrays import Float64Array

MOST_POINTS = 2000
"""Largest number of single devices of a horizon that are drawn; of more, none is."""

_TABLE_ROWS = 60  # settings in tables
_MOST_CURVES = 5  # distributions in one figure
_MOST_BARS = 12  # settings with error bars and single devices in one figure
_ROOM = 1.6  # factor by which single devices may extend the axis of errors
_LEARNER, _RLS, _LAST = (look.of_model(key) for key in ("learner", "rls", "last"))
_PLAIN = Stroke(_LEARNER.light, _LEARNER.dark)
_CURVES = ("learner", "nlms", "frozen", "seasonal", "last")


def page(document: Mapping[str, Any], results: Parts) -> str:
    """Return the page of a fleet, as text to be written in UTF-8.

    Args: document (``fleet_summary``); results, whose devices are drawn if there are few.
    """
    environment = templates(finalize=shown_text)
    own = own_parts(environment)
    source = document["source"]
    return environment.get_template("fleet.html.j2").render(
        title=source["title"],
        subtitle=f"{devices(source['devices'])}, up to {count(source['rows'])} rows each. "
        f"Targets: {', '.join(document['targets'])}.",
        version=document["version"],
        command=_to_the_letter(document["command"]),
        horizons=[
            {
                "horizon": one["horizon"],
                "title": ahead(one["horizon"]),
                "verdict": one["verdict"],
                "tables": fleet_tables.tables_of(document, one, _TABLE_ROWS),
                "worst": fleet_tables.worst_table(document, one),
                "along": fleet_tables.along_table(one),
                "failed": fleet_tables.failed_table(one),
                "drawings": [
                    _trade_off(document, one, results),
                    _distribution(document, one),
                ],
            }
            for one in document["horizons"]
        ],
        shapes=SHAPES,
        drawn=fleet_tables.drawn_table(document),
        facts=list(_facts(document)),
        notes=source["notes"],
        spec=_to_the_letter(document["spec"]),
        json=embedded_json(document),
        css=own["page.css"],
        script=own["page.js"],
        bokeh=bokeh_script(),
    )


def _to_the_letter(text: str) -> Markup:
    """Return markup that keeps blanks and line breaks of a text."""
    return Markup(escape("\n".join(map(safe, text.splitlines()))))


def _facts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    source = document["source"]
    yield "devices", count(source["devices"])
    yield "recordings", count(source["recordings"])
    yield "rows per device", f"{count(source['rows_least'])} to {count(source['rows'])}"
    yield "seed", str(document["seed"])
    yield "inputs", ", ".join(document["inputs"])
    yield "targets", ", ".join(document["targets"])
    yield "versions", ", ".join(f"{name} {text}" for name, text in document["versions"].items())


def _unit(document: Mapping[str, Any]) -> str:
    return "error / last value" if document["measure"] == "error" else "bits per label"


def _series(name: str, mark: str, stroke: Stroke) -> dict[str, str]:
    dash = " ".join(map(str, stroke.dash))
    return {"name": name, "mark": mark, "light": stroke.light, "dark": stroke.dark, "dash": dash}


# ---- error against bytes ---------------------------------------------------------------------


def _trade_off(
    document: Mapping[str, Any], horizon: Mapping[str, Any], results: Parts
) -> dict[str, Any]:
    rows = [one for one in horizon["settings"] if _drawable(one)]
    learners = [one for one in rows if one["key"] == "learner"]
    errors = {
        one["name"]: errors_of(results[horizon["horizon"], one["name"]], document["measure"])
        for one in _in_detail(learners)
    }
    singles = _singles(_in_detail(learners), errors)
    low, high = _limits(document, rows, singles)
    above = sum(1 for value in singles["y"] if value > high)
    series = [
        _series(
            "median of a setting, error bars from 10 % to 90 % of the devices", "circle", _PLAIN
        )
    ]
    series += [_series("Pareto front of median and bytes", "line", _PLAIN)] * bool(learners)
    series += [_series("advised", "ring", look.TRUTH)] * bool(horizon["advised"])
    series += [_series("RLS, median", "line", _RLS)] if len(rows) > len(learners) else []
    series += [_series("last value", "line", _LAST)] if _shows_last(document, high) else []
    series += [_series("one device", "circle", _faint())] if singles["y"] else []
    which = "The band is" if len(learners) <= _MOST_BARS else "Band, error bars and devices are"
    caption = "Every setting over all devices. Lower and further left is better. "
    caption += f"{which} of the settings on the Pareto front."
    if document["measure"] == "error" and not _shows_last(document, high):
        caption += " The last value has the error 1, above the range of the figure."
    if above:
        caption += f" {count(above)} single devices are above the range of the figure."
    said = f"Scatter chart, {len(rows)} settings."
    if horizon["advised"]:
        best = next(one for one in rows if one["advised"])
        said += f" Advised: {best['name']}, median {best['error']['median']:.3f}."
    return {
        "title": "Error against bytes",
        "into": f"trade-off-{horizon['horizon']}",
        "label": said,
        "caption": caption,
        "series": series,
        "json": embedded_json(_trade_off_figure(document, rows, singles, (low, high))),
    }


def _trade_off_figure(
    document: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    singles: Mapping[str, list[float]],
    limits: tuple[float, float],
) -> dict[str, Any]:
    plot = figure_of("log", 380, name="trade-off", tools=False, y_range=Range1d(*limits))
    learners = [one for one in rows if one["key"] == "learner"]
    line = fleet_tables.on_line(list(learners))
    if len(line) > 1:
        band = {
            "x": [one["memory_bytes"] for one in line],
            **{key: [one["error"][key] for one in line] for key in ("p10", "median", "p90")},
        }
        source = ColumnDataSource(band)
        area = plot.varea("x", "p10", "p90", source=source, fill_alpha=0.18)
        tag(area, "band", _PLAIN)
        tag(plot.line("x", "median", source=source, line_width=2), "line", _PLAIN)
    if singles["y"]:
        points = plot.scatter(singles["x"], singles["y"], size=3.5, fill_alpha=0.4, line_alpha=0)
        tag(points, "devices", _faint())
    for one in rows:
        if one["key"] == "rls":
            span = Span(location=one["error"]["median"], dimension="width", line_width=1.5)
            plot.add_layout(tag(span, "rls", _RLS))
    if _shows_last(document, limits[1]):
        span = Span(location=1, dimension="width", line_width=1.5)
        plot.add_layout(tag(span, "last", _LAST))
    drawn = [
        _marks(plot, ones, mark, stroke)
        for ones, mark, stroke in (
            (learners, "circle", _PLAIN),
            ([one for one in rows if one["key"] == "rls"], "star", Stroke(_RLS.light, _RLS.dark)),
        )
        if ones
    ]
    for one in rows:
        if one["advised"]:
            ring = plot.scatter(
                [one["memory_bytes"]], [one["error"]["median"]], size=19, fill_alpha=0,
                line_width=1.6,
            )  # fmt: skip
            tag(ring, "ring", look.TRUTH)
    plot.add_tools(
        HoverTool(
            renderers=drawn,
            tooltips=[
                ("", "@name"), ("bytes", "@x{0,0}"), ("median", "@median{0.000}"),
                ("10 % to 90 %", "@p10{0.000} .. @p90{0.000}"), ("worst", "@worst{0.000}"),
            ],
        )
    )  # fmt: skip
    plot.xaxis.axis_label, plot.yaxis.axis_label = "bytes", _unit(document)
    plot.xaxis.ticker = FixedTicker(ticks=ticks([one["memory_bytes"] for one in rows]))
    plot.xaxis.formatter = CustomJSTickFormatter(code="return tick.toLocaleString('en-US')")
    return item_of(plot)


def _marks(plot: Any, rows: Sequence[Mapping[str, Any]], mark: str, stroke: Stroke) -> Any:
    """Draw medians of settings, with error bars if there are few."""
    columns = {
        "x": [one["memory_bytes"] for one in rows],
        "name": [one["name"] for one in rows],
        **{key: [_finite(one, key) for one in rows] for key in ("p10", "median", "p90", "worst")},
    }
    names = [one["name"] for one in _in_detail(rows)]
    detailed = [place for place, name in enumerate(columns["name"]) if name in names]
    source = ColumnDataSource(
        {key: [values[place] for place in detailed] for key, values in columns.items()}
    )
    bars = Whisker(base="x", lower="p10", upper="p90", source=source, line_width=1.2)
    bars.upper_head = bars.lower_head = None
    plot.add_layout(tag(bars, "bar", stroke))
    source, size = ColumnDataSource(columns), 15 if mark == "star" else 9
    marks = plot.scatter("x", "median", source=source, marker=mark, size=size, line_width=1)
    return tag(marks, mark, stroke)


def _in_detail(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return settings with error bars and devices: all, or of many those on the front."""
    return list(rows) if len(rows) <= _MOST_BARS else fleet_tables.on_line(list(rows))


def _faint() -> Stroke:
    """Return the colours of single devices."""
    return Stroke("#4d7fa3", "#7ba6c4")


def _drawable(one: Mapping[str, Any]) -> bool:
    """Return whether a setting has both bytes and a median."""
    return bool(one["memory_bytes"]) and one["error"]["median"] is not None


def _finite(one: Mapping[str, Any], key: str) -> float:
    """Return the end of an error bar: the median if that share of the devices diverged."""
    value = one["error"][key]
    return float(one["error"]["median"] if value is None else value)


def _singles(
    rows: Sequence[Mapping[str, Any]], errors: Mapping[str, Float64Array]
) -> dict[str, list[float]]:
    """Return positions of single devices, spread around their setting's to avoid overlap."""
    if sum(len(errors[one["name"]]) for one in rows) > MOST_POINTS:
        return {"x": [], "y": []}
    x: list[float] = []
    y: list[float] = []
    for one in rows:
        known = errors[one["name"]][np.isfinite(errors[one["name"]])]
        # Spread over 5 % of the bytes, in a fixed pattern.
        aside = 1 + 0.05 * ((np.arange(len(known)) * 0.618034) % 1 - 0.5)
        x += (one["memory_bytes"] * aside).tolist()
        y += known.tolist()
    return {"x": x, "y": y}


def _limits(
    document: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    singles: Mapping[str, list[float]],
) -> tuple[float, float]:
    """Return the range of the error axis: all error bars, and single devices up to a limit."""
    values = [_finite(one, key) for one in rows for key in ("p10", "median", "p90")] or [0.0, 1.0]
    low, high = min(values), max(values)
    if singles["y"]:
        reach = (_ROOM - 1) * (high - low) or 0.1 * high or 1.0
        low = max(min(low, *singles["y"]), low - reach)
        high = min(max(high, *singles["y"]), high + reach)
    if document["measure"] == "error" and 0.85 < high < 1:
        high = 1.0
    margin = 0.06 * (high - low) or 0.01
    return low - margin, high + margin


def _shows_last(document: Mapping[str, Any], high: float) -> bool:
    return document["measure"] == "error" and high > 1


# ---- the devices' errors ---------------------------------------------------------------------


def _distribution(document: Mapping[str, Any], horizon: Mapping[str, Any]) -> dict[str, Any]:
    rows = _told(horizon)
    strokes = [
        _RLS if one["key"] == "rls" else look.of_model(_CURVES[place % len(_CURVES)])
        for place, one in enumerate(rows)
    ]
    most = max((value for one in rows for value in one["quantiles"][:-2] if value), default=1.0)
    plot = figure_of("linear", 320, name="distribution", tools=False, y_range=Range1d(0, 100))
    least = min((value for one in rows for value in one["quantiles"] if value), default=0.0)
    room = 0.03 * (most - least) or 0.01
    plot.x_range = Range1d(least - room, most + room)
    shows_last = document["measure"] == "error" and least - room < 1 < most + room
    if shows_last:
        span = Span(location=1, dimension="height", line_width=1.5)
        plot.add_layout(tag(span, "last", _LAST))
    for one, stroke in zip(rows, strokes, strict=True):
        known = [value for value in one["quantiles"] if value is not None]
        shares = np.linspace(0, 100, len(one["quantiles"]))[: len(known)]
        curve = plot.line(known, shares, line_width=2.2 if one["advised"] else 1.5)
        tag(curve, one["name"], stroke)
    plot.xaxis.axis_label, plot.yaxis.axis_label = _unit(document), "% of the devices at most"
    series = [
        _series(one["name"], "line", stroke) for one, stroke in zip(rows, strokes, strict=True)
    ]
    series += [_series("last value", "line", _LAST)] if shows_last else []
    return {
        "title": "Errors of the devices",
        "into": f"distribution-{horizon['horizon']}",
        "label": "Line chart: share of the devices with at most each error. "
        + " ".join(
            f"{one['name']}: median {one['error']['median']:.3f}."
            for one in rows
            if one["error"]["median"] is not None
        ),
        "caption": "Share of the devices with at most each error. Further left is better; a "
        "steeper curve means more similar devices. The worst 5 % may be outside.",
        "series": series,
        "json": embedded_json(item_of(plot)),
    }


def _told(horizon: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a few informative settings: recommended, RLS, best, the smallest and the largest."""
    rows = [one for one in horizon["settings"] if _drawable(one)]
    line = fleet_tables.on_line([one for one in rows if one["key"] == "learner"])
    wanted = [
        *(one for one in rows if one["advised"]),
        *(one for one in rows if one["key"] == "rls"),
        *(one for one in rows if one["best_median"] or one["best_p90"]),
        *line[:1], *line[-1:], *line, *rows,
    ]  # fmt: skip
    chosen = {one["name"]: one for one in wanted}
    names = list(chosen)[:_MOST_CURVES]
    return [one for one in rows if one["name"] in names]
