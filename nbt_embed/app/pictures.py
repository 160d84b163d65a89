"""One picture of a run for papers, as PNG or SVG: forecasts, errors, mixture, bytes.

It uses the page's document and tracks. matplotlib is loaded on demand.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nbt_embed.app import look, tables
from nbt_embed.app.results import ErrorTrack, Pictures, Track, TrustTrack
from nbt_embed.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_KINDS = (".png", ".svg")
_MOST = 4  # rows of forecasts in one picture
_POINTS = 200  # of a forecast, the last ones
_NAME_SHOWN = 34
# SVG keeps text as text, with the same bytes every time.
STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "hatch.linewidth": 0.5,
    "savefig.dpi": 200,
    "svg.hashsalt": "nbt_embed",
    "svg.fonttype": "none",
}
_HATCHES = {"dot": "..", "right_diagonal_line": "///", "left_diagonal_line": "\\\\\\"}


def picture(document: Mapping[str, Any], pictures: Pictures, name: str) -> bytes:
    """Draw a run; equal runs give equal bytes.

    There is a line of panels for each of the first four targets and horizons, with the last part of
    the forecast and the error over time. Below are the mixture's shares of the first one, and
    bytes.

    Args:
        document: of the run (docs/reference/json.md).
        pictures: its tracks.
        name: of the output file; ends in .png or .svg.

    Errors: InputError (another extension, nothing to draw).
    """
    kind = Path(name).suffix.lower()
    if kind not in _KINDS:
        raise InputError(f"{name}: expected a name that ends in {' or '.join(_KINDS)}")
    if not pictures.tracks:
        raise InputError(f"{name}: the run has no forecast that could be drawn")
    import matplotlib as mpl

    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # names in any script
        figure = _figure(document, pictures)
        _settle(figure)
        file = io.BytesIO()
        metadata = {"Date": None} if kind == ".svg" else {"Software": None}
        figure.savefig(file, format=kind[1:], metadata=metadata)
    return file.getvalue()


def _figure(document: Mapping[str, Any], pictures: Pictures) -> Figure:
    from matplotlib.figure import Figure

    tracks = pictures.tracks[:_MOST]
    found = tables.sizes(document)
    heights = (1.9 * len(tracks) + 0.7, max(2.2, 0.24 * len(found) + 0.8))
    figure = Figure(figsize=(9.5, sum(heights)), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=heights)
    above, below = parts
    source = document["source"]
    title = f"{_short(source['title'], 2 * _NAME_SHOWN)}, {tables.count(source['rows'])} rows"
    if len(pictures.tracks) > _MOST:
        title += f" (the first {_MOST} of {len(pictures.tracks)} forecasts)"
    above.suptitle(title, fontsize=10, parse_math=False)
    panels = above.subplots(len(tracks), 2, width_ratios=(1.8, 1), squeeze=False)
    for (left, right), track in zip(panels, tracks, strict=True):
        _forecast(left, document, track)
        error = _same(pictures.errors, track)
        if error is None:
            right.remove()
        else:
            _errors(right, document, error)
    _legend(above, panels[0])
    trust = _same(pictures.trust, tracks[0])
    if trust is None:
        _bytes(below.subplots(), found)
    else:
        left, right = below.subplots(1, 2, width_ratios=(1.2, 1))
        _trust(left, trust)
        _bytes(right, found)
        _legend(below, [left])
    return figure


def _settle(figure: Figure) -> None:
    """Compute the layout once, and round it, because the solver's last digits vary between runs."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        part.bbox_relative.set_points(np.round(part.bbox_relative.get_points(), 4))
        for axes in part.axes:
            left, bottom, width, height = np.round(axes.get_position().bounds, 4).tolist()
            axes.set_position((left, bottom, width, height))


def _same(tracks: Sequence[Any], wanted: Track) -> Any:
    """Return the track of the same target and horizon, or None."""
    for one in tracks:
        if (one.horizon, one.target) == (wanted.horizon, wanted.target):
            return one
    return None


def _forecast(axes: Axes, document: Mapping[str, Any], track: Track) -> None:
    part = slice(-_POINTS, None)
    x = track.row[part]
    learner = look.of_model("learner").light
    if track.low is not None and track.high is not None:
        axes.fill_between(
            x, track.low[part], track.high[part], color=learner, alpha=0.22, linewidth=0,
            label=f"{100 * track.level:.4g} % interval",
        )  # fmt: skip
    shape = "steps-mid" if document["classes"] is not None else "default"
    truth = look.TRUTH.light
    axes.plot(x, track.truth[part], color=truth, alpha=0.5, lw=2.4, drawstyle=shape, label="truth")
    axes.plot(
        x, track.forecast[part], color=learner, lw=1.1, drawstyle=shape,
        label=_short(tables.model_name(document, "learner"), 24),
    )  # fmt: skip
    horizon = next(one for one in document["horizons"] if one["horizon"] == track.horizon)
    rows = [one["row"] for one in horizon["alarms"] or [] if one["target"] == track.target]
    at = np.flatnonzero(np.isin(x, rows))
    if at.size:
        axes.plot(x[at], track.truth[part][at], "v", color=look.ALARM.light, ms=6, label="alarm")
    if document["classes"] is not None:
        names = [_short(name, 14) for name in document["classes"]]
        axes.set_yticks(range(len(names)), names, parse_math=False)
    known = track.truth[part][np.isfinite(track.truth[part])]
    if known.size:
        margin = 0.3 * float(known.max() - known.min()) or 1.0
        axes.set_ylim(float(known.min()) - margin, float(known.max()) + margin)
    axes.margins(x=0.01)
    title = f"{_short(track.target, _NAME_SHOWN)}, {tables.steps(track.horizon)}"
    _named(axes, title, "row")


def _errors(axes: Axes, document: Mapping[str, Any], track: ErrorTrack) -> None:
    for key, values in track.rmse.items():
        stroke = look.of_model(key)
        line = axes.plot(
            track.row, values, color=stroke.light, lw=1.8 if key == "learner" else 1.1,
            zorder=3 if key == "learner" else 2, label=_short(tables.model_name(document, key), 24),
        )[0]  # fmt: skip
        if stroke.dash:
            line.set_dashes([length / 2 for length in stroke.dash])
    ticks = look.log_ticks(np.concatenate(list(track.rmse.values())))
    if ticks is not None:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_ylim(low, high)
        axes.minorticks_off()
    measure = next(iter(tables.measures(document).values()))
    _named(axes, f"{measure} over time", "row")


def _trust(axes: Axes, track: TrustTrack) -> None:
    areas = axes.stackplot(
        track.row, *track.weight.values(), labels=[_short(name, 24) for name in track.weight]
    )
    for place, area in enumerate(areas):
        stroke = look.of_expert(place)
        area.set(facecolor=stroke.light, alpha=0.8, edgecolor="white", linewidth=0)
        area.set_hatch(_HATCHES.get(stroke.hatch, ""))
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    _named(axes, f"shares of the mixture, {track.target}", "row")


def _bytes(axes: Axes, found: Sequence[tuple[str, int]]) -> None:
    place = np.arange(len(found))[::-1]
    colours = [look.of_model("learner").light] + ["#8a939c"] * (len(found) - 1)
    bars = axes.barh(place, [size for _, size in found], color=colours, height=0.65)
    axes.bar_label(bars, [tables.count(size) for _, size in found], padding=3, fontsize=8)
    names = [_short(name, _NAME_SHOWN) for name, _ in found]
    axes.set_yticks(place, names, parse_math=False, fontsize=8)
    axes.margins(x=0.18)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(_few())
    _named(axes, "memory", "bytes")


def _few() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)


def _named(axes: Axes, title: str, x: str) -> None:
    """Set a title at the left, in which $ is not mathematics."""
    axes.set_title(_short(title, 2 * _NAME_SHOWN), loc="left", fontsize=9, parse_math=False)
    axes.set_xlabel(x)


def _legend(figure: Any, panels: Sequence[Any]) -> None:
    """Draw the legend below the panels, without duplicate names."""
    handles: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    legend = figure.legend(
        handles.values(), handles.keys(), loc="outside lower left", ncols=5, columnspacing=1.2
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _short(name: str, most: int) -> str:
    name = tables.safe(name)
    return name if len(name) <= most else f"{name[: most - 1]}…"
