"""Interactive figures of one target and horizon, for BokehJS.

The page's script (templates/page.js) recolours them for a light or a dark page by the tags below.
It draws the visible part of the source "full" into the source "shown", at most two points per
pixel, and it moves the view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from bokeh.embed import json_item
from bokeh.layouts import column
from bokeh.models import (
    BoxZoomTool,
    ColumnDataSource,
    CustomJS,
    HoverTool,
    PanTool,
    PlainText,
    Range1d,
    RangeTool,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from nbt_embed.app import look
from nbt_embed.app.look import Stroke
from nbt_embed.app.results import ErrorTrack, Time, Track, TrustTrack

_FIRST_VIEW = 240  # points
_NAME_SHOWN = 40  # characters of a name at an axis
_MOST_NINES = 7.0  # a float32 score is 1, or at least 10^-7 below it
_Axis = tuple[NDArray[np.float64], str, str]


def axis_of(row: NDArray[np.int64], time: Time) -> _Axis:
    """Return the positions of samples: milliseconds, numbers of the file, or rows.

    Times are the axis if all are known and increase.

    Returns: positions (k,), Bokeh's kind of axis, its label.
    """
    if time is not None and len(time):
        dates = np.issubdtype(time.dtype, np.datetime64)
        x = np.asarray(time).astype("datetime64[us]").astype(np.int64) / 1e3 if dates else time
        known = not np.isnat(time).any() if dates else bool(np.isfinite(time).all())
        if known and bool((np.diff(x) > 0).all()):
            return x.astype(np.float64), "datetime" if dates else "linear", "time"
    return row.astype(np.float64), "linear", "row"


def forecast_figure(
    track: Track,
    alarms: Sequence[Mapping[str, Any]],
    threshold: float | None,
    classes: Sequence[str] | None,
    gaps: Sequence[int],
) -> Any:
    """Draw truth, forecast with interval, anomaly score, and an overview of the stream.

    Args:
        track: what is drawn.
        alarms: of this target.
        threshold: of the score, None without.
        classes: names of the classes if the target is one.
        gaps: rows after a gap in time; no line crosses it.

    Returns: a layout; ``item_of`` makes an item for ``Bokeh.embed.embed_item`` of it. Its sources
    are named "full" (``forecast_columns``) and "alarms truth", "alarms score" (``alarm_points``).
    """
    x, kind, label = axis_of(track.row, track.time)
    full = ColumnDataSource(forecast_columns(track, x, gaps), name="full")
    shown = ColumnDataSource({name: [] for name in full.data}, name="shown")
    whole = ColumnDataSource({"x": [], "truth": []}, name="whole")
    ends = (
        (float(x[0]), float(x[-1]))
        if len(x) > 1
        else (float(x[:1].sum()) - 1, float(x[:1].sum()) + 1)
    )
    view = Range1d(
        float(x[max(len(x) - _FIRST_VIEW, 0)]) if len(x) > 1 else ends[0], ends[1], name="view"
    )
    values = Range1d(0.0, 1.0, name="values")

    main = figure_of(kind, 340, x_range=view, y_range=values, name="forecast")
    main.yaxis.axis_label = _label(track.target)
    if classes is not None:
        main.yaxis.ticker = list(range(len(classes)))
        main.yaxis.major_label_overrides = {
            place: _label(name, 14) for place, name in enumerate(classes)
        }
    if track.low is not None:
        band = main.varea("x", "low", "high", source=shown, fill_alpha=0.22)
        tag(band, "band", look.of_model("learner"))
    draw = main.line if classes is None else partial(main.step, mode="center")
    # A broad line below the others.
    truth = draw("x", "truth", source=shown, line_width=3.2, line_alpha=0.55)
    rls = draw("x", "rls", source=shown, line_width=1.3, visible=False)
    forecast = draw("x", "forecast", source=shown, line_width=1.5)
    tag(truth, "truth", look.TRUTH)
    tag(rls, "rls", look.of_model("rls"))
    tag(forecast, "forecast", look.of_model("learner"))
    _alarm_marks(main, track, x, alarms, "truth")
    main.add_tools(_hover(track, forecast, label, kind))

    plots = [main]
    if track.score is not None:
        plots.append(_score_figure(track, x, kind, view, shown, alarms, threshold))
    plots[-1].xaxis.axis_label = label
    for plot in plots[:-1]:
        plot.xaxis.major_label_text_font_size = "0px"
        plot.xaxis.major_tick_line_color = None
        plot.min_border_bottom = 6
    over = figure_of(kind, 84, x_range=Range1d(*ends), name="whole", tools=False)
    tag(over.line("x", "truth", source=whole, line_width=1), "whole", look.TRUTH)
    over.yaxis.visible = False
    over.ygrid.visible = False
    ranger = RangeTool(x_range=view)
    tag(ranger.overlay, "window", look.of_model("learner"))
    over.add_tools(ranger)
    moved = CustomJS(
        args={"full": full, "shown": shown, "view": view, "values": values},
        code="nbtPage.draw(full, shown, view, values)",
    )
    view.js_on_change("start", moved)
    view.js_on_change("end", moved)
    return column(*plots, over, sizing_mode="stretch_width")


def error_figure(
    track: ErrorTrack, models: Mapping[str, str], unit: str, may_be_log: bool = True
) -> Any:
    """Draw the error of every model over the stream.

    Args:
        track: what is drawn.
        models: names of the models by their keys.
        unit: label of the axis.
        may_be_log: whether the axis may be logarithmic, with ticks for these errors.

    Returns: as ``forecast_figure``; the source is named "errors" (``error_columns``).
    """
    x, kind, label = axis_of(track.row, track.time)
    ticks = look.log_ticks(np.concatenate(list(track.rmse.values()))) if may_be_log else None
    source = ColumnDataSource(error_columns(track, x), name="errors")
    plot = figure_of(
        kind, 280, y_axis_type="linear" if ticks is None else "log", name="error", tools=False
    )
    plot.xaxis.axis_label = label
    plot.yaxis.axis_label = _label(unit)
    if not may_be_log:
        plot.y_range.start = 0
    if ticks is not None:
        plot.yaxis.ticker = ticks
        plot.yaxis.major_label_overrides = {tick: f"{tick:g}" for tick in ticks}
    tips = []
    for place, key in enumerate(track.rmse):
        stroke = look.of_model(key)
        width = 2.4 if key == "learner" else 1.5
        line = plot.line("x", f"m{place}", source=source, line_width=width)
        tag(line, f"error of {key}", stroke)
        tips.append((_plain(models.get(key, key)), f"@m{place}{{0.0000}}"))
    invisible = plot.scatter("x", "m0", source=source, size=12, alpha=0)
    plot.add_tools(HoverTool(renderers=[invisible], tooltips=tips, mode="vline"))
    return plot


def error_columns(track: ErrorTrack, x: NDArray[np.float64]) -> dict[str, Any]:
    """Return the columns of ``error_figure``, at the positions x of ``axis_of``."""
    return {"x": x, **{f"m{place}": values for place, values in enumerate(track.rmse.values())}}


def trust_figure(track: TrustTrack) -> Any:
    """Draw shares of the mixture's experts over the stream, as stacked areas.

    Returns: as ``forecast_figure``; the source is named "shares" (``trust_columns``).
    """
    x, kind, label = axis_of(track.row, track.time)
    source = ColumnDataSource(trust_columns(track, x), name="shares")
    plot = figure_of(kind, 240, y_range=Range1d(0, 1), name="trust", tools=False)
    plot.xaxis.axis_label = label
    plot.yaxis.axis_label = "share"
    for place in range(len(track.weight)):
        stroke = look.of_expert(place)
        area = plot.varea("x", f"s{place}", f"s{place + 1}", source=source, fill_alpha=0.75)
        area.glyph.update(
            hatch_pattern=stroke.hatch or None, hatch_alpha=0.55, hatch_scale=9, hatch_weight=1
        )
        tag(area, f"expert{place}", stroke)
    plot.x_range.range_padding = 0
    return plot


def trust_columns(track: TrustTrack, x: NDArray[np.float64]) -> dict[str, Any]:
    """Return the columns of ``trust_figure``: sums of the first shares, from none to all."""
    sums = np.cumsum([np.nan_to_num(share) for share in track.weight.values()], axis=0)
    return {"x": x, "s0": np.zeros(len(x)), **{f"s{i}": top for i, top in enumerate(sums, 1)}}


def forecast_columns(track: Track, x: NDArray[np.float64], gaps: Sequence[int]) -> dict[str, Any]:
    """Return the columns of ``forecast_figure``, with a point without values where a line ends."""
    columns = {"truth": track.truth, "forecast": track.forecast, "rls": track.rls}
    if track.low is not None and track.high is not None:
        columns |= {"low": track.low, "high": track.high}
    if track.score is not None:
        columns["score"] = _nines(track.score)
    cuts = np.searchsorted(track.row, np.asarray(gaps, np.int64))
    cuts = np.unique(cuts[(cuts > 0) & (cuts < len(x))])
    row = np.insert(track.row, cuts, track.row[cuts]).astype(np.int32)
    between = (x[cuts] + x[cuts - 1]) / 2
    data: dict[str, Any] = {"x": np.insert(x, cuts, between), "row": row}
    for name, values in columns.items():
        data[name] = np.insert(values.astype(np.float32), cuts, np.nan)
    return data


def _nines(score: Any) -> Any:
    """Convert scores to their number of nines: 0.9 -> 1, 0.99 -> 2."""
    with np.errstate(divide="ignore"):
        return np.minimum(-np.log10(1 - np.asarray(score, np.float64)), _MOST_NINES)


def _score_figure(
    track: Track,
    x: NDArray[np.float64],
    kind: str,
    view: Range1d,
    shown: ColumnDataSource,
    alarms: Sequence[Mapping[str, Any]],
    threshold: float | None,
) -> Any:
    plot = figure_of(kind, 190, x_range=view, y_range=Range1d(0, _MOST_NINES + 0.4), name="score")
    plot.yaxis.axis_label = "anomaly score"
    plot.yaxis.ticker = [0, 1, 2, 3, 4, 6]
    plot.yaxis.major_label_overrides = {
        nines: f"0.{'9' * nines}" if nines else "0" for nines in range(7)
    }
    stroke = look.of_model("frozen")
    line = plot.line("x", "score", source=shown, line_width=1.2)
    tag(line, "score", Stroke(stroke.light, stroke.dark))
    if threshold is not None:
        limit = Span(location=float(_nines(threshold)), dimension="width", line_width=1.5)
        tag(limit, "threshold", replace(look.ALARM, dash=(6, 4)))
        plot.add_layout(limit)
    _alarm_marks(plot, track, x, alarms, "score")
    return plot


def _alarm_marks(
    plot: Any,
    track: Track,
    x: NDArray[np.float64],
    alarms: Sequence[Mapping[str, Any]],
    column_name: str,
) -> None:
    points = alarm_points(track, x, alarms, column_name)
    source = ColumnDataSource(points, name=f"alarms {column_name}")
    marks = plot.scatter("x", "y", source=source, marker="inverted_triangle", size=11)
    tag(marks, "alarm", look.ALARM)


def alarm_points(
    track: Track, x: NDArray[np.float64], alarms: Sequence[Mapping[str, Any]], column_name: str
) -> dict[str, Any]:
    """Return marks of alarms on the truth or the score, at the next sample of the track."""
    if not alarms or not len(x):
        return {"x": [], "y": []}
    rows = np.array([alarm["row"] for alarm in alarms])
    at = np.searchsorted(track.row, rows).clip(0, len(x) - 1)
    if column_name == "truth":
        y = track.truth[at].astype(np.float64)
    else:
        y = _nines([alarm["score"] for alarm in alarms])
    return {"x": x[at], "y": y}


def _hover(track: Track, on: Any, label: str, kind: str) -> Any:
    tips = [("row", "@row{0,0}")]
    if label == "time":
        tips.append(("time", "@x{%F %T}" if kind == "datetime" else "@x"))
    tips += [("truth", "@truth{0.0000}"), ("forecast", "@forecast{0.0000}")]
    if track.low is not None:
        tips.append((f"{100 * track.level:.4g} % interval", "@low{0.0000} .. @high{0.0000}"))
    formatters: Any = {"@x": "datetime"} if kind == "datetime" else {}
    return HoverTool(
        renderers=[on], tooltips=tips, formatters=formatters, mode="vline", attachment="vertical"
    )


def figure_of(kind: str, height: int, tools: bool = True, **options: Any) -> Any:
    """Return an empty figure in the style of the pages; ``kind`` is that of its horizontal axis."""
    plot = figure(
        x_axis_type=kind,
        height=height,
        sizing_mode="stretch_width",
        tools="",
        toolbar_location=None,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_left=64,
        min_border_right=12,
        lod_threshold=None,
        **options,
    )
    if tools:
        pan, box = PanTool(dimensions="width"), BoxZoomTool(dimensions="width")
        pan.name, box.name = "pan", "box"
        wheel = WheelZoomTool(dimensions="width", modifiers={"ctrl": True})
        plot.add_tools(pan, box, wheel)
        plot.toolbar.active_drag = pan
        plot.toolbar.active_scroll = wheel
    plot.xaxis.ticker.desired_num_ticks = 5
    if kind == "linear":
        plot.xaxis.formatter.use_scientific = False  # rows are whole numbers
    plot.axis.axis_label_text_font_style = "normal"
    plot.grid.grid_line_alpha = 0.6
    return plot


def tag(drawn: Any, role: str, stroke: Stroke) -> Any:
    """Tag a renderer with its role and colours for the page's script, and set its dashes.

    Returns: ``drawn``.
    """
    drawn.tags = [{"role": role, "light": stroke.light, "dark": stroke.dark}]
    if stroke.dash:
        getattr(drawn, "glyph", drawn).line_dash = list(stroke.dash)
    return drawn


def _label(name: str, most: int = _NAME_SHOWN) -> PlainText:
    """Return a name for an axis as plain text: Bokeh would load a library for text between $$."""
    return PlainText(name if len(name) <= most else f"{name[: most - 1]}…")


def _plain(name: str) -> str:
    """Return a name for a tooltip, where Bokeh replaces what follows @ and $."""
    return name.translate(str.maketrans("@$", "  "))


def item_of(what: Any) -> dict[str, Any]:
    """Return an item for ``Bokeh.embed.embed_item``."""
    item: Any = json_item(what)
    return dict(item)
