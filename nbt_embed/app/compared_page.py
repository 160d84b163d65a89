"""Self-contained HTML page of a comparison: verdict, figures, tables.

Style and script are those of a run's page (``page``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bokeh.models import ColumnDataSource, CustomJSTickFormatter, FixedTicker, HoverTool, Range1d
from bokeh.models.annotations import Span, Whisker

from nbt_embed.app import look
from nbt_embed.app.compared import ahead
from nbt_embed.app.compared_marks import AXES, Kind, kinds, line, points
from nbt_embed.app.compared_table import loss_table, table
from nbt_embed.app.figures import figure_of, item_of, tag
from nbt_embed.app.page import bokeh_script, embedded_json, own_parts, templates

# Marks of the legend, in a box of 30 x 14.
SHAPES = {
    "circle": "M15 2a5 5 0 1 0 .01 0z",
    "square": "M10 2h10v10h-10z",
    "triangle": "M15 1l6 11h-12z",
    "diamond": "M15 1l5 6-5 6-5-6z",
    "inverted_triangle": "M9 2h12l-6 11z",
    "hex": "M12 2h6l3 5-3 5h-6l-3-5z",
    "star": "M15 0l2 5h5l-4 3 2 6-5-4-5 4 2-6-4-3h5z",
    "ring": "M15 1a6 6 0 1 0 .01 0zm0 2a4 4 0 1 1-.01 0z",
}


def page(document: Mapping[str, Any]) -> str:
    """Return the page of a comparison, as text to be written in UTF-8."""
    environment = templates()
    own = own_parts(environment)
    return environment.get_template("compared.html.j2").render(
        title=document["source"]["title"],
        subtitle=f"{document['source']['rows']:,} rows. Targets: {', '.join(document['targets'])}.",
        version=document["version"],
        command=document["command"],
        horizons=[
            {
                "horizon": one["horizon"],
                "title": ahead(one["horizon"]),
                "verdict": one["verdict"],
                "tables": [
                    table(document, one),
                    *([loss_table(document, one)] if len(document["targets"]) > 1 else []),
                ],
                "options": next(
                    (row["options"] or "the defaults" for row in one["rows"] if row["cheapest"]),
                    "-",
                ),
                "drawings": [_drawing(document, one, price) for price in AXES],
            }
            for one in document["horizons"]
        ],
        shapes=SHAPES,
        facts=list(_facts(document)),
        notes=document["source"]["notes"],
        json=embedded_json(document),
        css=own["page.css"],
        script=own["page.js"],
        bokeh=bokeh_script(),
    )


def _facts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    processor = document["processor"]
    yield "seeds", ", ".join(map(str, document["seeds"]))
    yield "inputs", ", ".join(document["inputs"])
    yield "processor", f"{processor['name']} at {processor['mhz']:g} MHz"
    yield (
        "milliseconds",
        f"instructions from a model fitted to counts in QEMU (worst error "
        f"{processor['error_worst']:.0%}), times {processor['cycles_low']:g} to "
        f"{processor['cycles_high']:g} cycles: {processor['source']}",
    )


def _drawing(document: Mapping[str, Any], horizon: Mapping[str, Any], price: str) -> dict[str, Any]:
    title = AXES[price][0]
    found = kinds(horizon, price)
    cheap = next((one for one in horizon["rows"] if one["cheapest"]), None)
    said = f"Scatter chart, {sum(len(kind.rows) for kind in found)} models. "
    if cheap is not None:
        said += (
            f"The cheapest within 1 % of the best is {cheap['name']}, error {cheap['error']:.3f}."
        )
    series = [
        {"name": kind.name, "mark": kind.mark, "light": kind.stroke.light, "dark": kind.stroke.dark}
        for kind in found
    ]
    truth, last = look.TRUTH, look.of_model("last")
    series += [
        {"name": "Pareto front", "mark": "line", "light": truth.light,
         "dark": truth.dark, "dash": ""},
        {"name": "cheapest within 1 % of the best", "mark": "ring", "light": truth.light,
         "dark": truth.dark},
    ]  # fmt: skip
    if _shows_last(horizon):
        series.append(
            {"name": "last value", "mark": "line", "light": last.light, "dark": last.dark,
             "dash": " ".join(map(str, last.dash))}
        )  # fmt: skip
    return {
        "title": title,
        "into": price.replace("_", "-"),
        "label": said,
        "caption": "Error / error of the last value; error bars: range over the seeds. Lower and "
        "further left is better.",
        "series": series,
        "json": embedded_json(_figure(document, horizon, price, found)),
    }


def _shows_last(horizon: Mapping[str, Any]) -> bool:
    """Return whether a model is no better than the last value, which is then drawn."""
    return any(one["error"] is not None and one["error"] > 0.9 for one in horizon["rows"][1:])


def _figure(
    document: Mapping[str, Any], horizon: Mapping[str, Any], price: str, found: list[Kind]
) -> dict[str, Any]:
    x, y = line(horizon, price)
    everything = [points(kind, price) for kind in found]
    heights = [value for one in everything for key in ("low", "high") for value in one[key]]
    heights += [1.0] if _shows_last(horizon) or not heights else []
    margin = 0.06 * (max(heights) - min(heights)) or 0.01
    values = Range1d(min(heights) - margin, max(heights) + margin)
    plot = figure_of("log", 340, name=price, tools=False, y_range=values)
    tag(plot.line(x, y, line_width=1.4), "line", look.TRUTH)
    if _shows_last(horizon):
        span = Span(location=1, dimension="width")
        plot.add_layout(tag(span, "last", look.of_model("last")))
    drawn = []
    for kind in found:
        source = ColumnDataSource(dict(points(kind, price)))
        plain = look.Stroke(kind.stroke.light, kind.stroke.dark)  # error bars, outlines: solid
        bars = Whisker(base="x", lower="low", upper="high", source=source, line_width=1.2)
        bars.upper_head = bars.lower_head = None
        plot.add_layout(tag(bars, "bar", plain))
        size = 15 if kind.mark == "star" else 9
        marks = plot.scatter("x", "y", source=source, marker=kind.mark, line_width=1, size=size)
        drawn.append(tag(marks, kind.name, plain))
    for one in horizon["rows"]:
        if one["cheapest"] and one[price] is not None:
            ring = plot.scatter([one[price]], [one["error"]], size=19, fill_alpha=0, line_width=1.6)
            tag(ring, "ring", look.TRUTH)
    tips = [("", "@name"), ("bytes", "@bytes{0,0}"), ("error", "@y{0.0000}")]
    if price != "memory_bytes":
        tips.append(("ms per row, at most", "@x{0.000}"))
    plot.add_tools(HoverTool(renderers=drawn, tooltips=tips))
    plot.xaxis.axis_label = _axis_label(document, price)
    plot.yaxis.axis_label = "error / last value"
    plot.xaxis.ticker = FixedTicker(ticks=ticks([v for one in everything for v in one["x"]]))
    plot.xaxis.formatter = CustomJSTickFormatter(code="return tick.toLocaleString('en-US')")
    return item_of(plot)


def ticks(values: Sequence[float]) -> list[float]:
    """Return ticks of a logarithmic axis: 1, 2 and 5 of every decade of the values, above 0.

    If fewer than two of them lie between the values, return multiples of a round number.
    """
    if not values:
        return []
    low, high = min(values), max(values)
    steps = [step * 10.0**power for power in range(-6, 12) for step in (1, 2, 5)]
    if sum(low <= one <= high for one in steps) >= 2:
        return [one for one in steps if low / 2 <= one <= high * 2]
    if low == high:
        return [low]
    step = max(one for one in steps if one <= (high - low) / 2)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * number for number in range(max(first, 1), last + 1)]


def _axis_label(document: Mapping[str, Any], price: str) -> str:
    label = AXES[price][1]
    if price == "memory_bytes":
        return label
    processor = document["processor"]
    return f"{label}: {processor['name']}, {processor['mhz']:g} MHz"
