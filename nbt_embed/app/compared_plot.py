"""Error against bytes and against milliseconds, as PNG or SVG for papers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nbt_embed.app import look
from nbt_embed.app.compared import ahead
from nbt_embed.app.compared_marks import AXES, kinds, line, points
from nbt_embed.app.pictures import STYLE
from nbt_embed.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = (".png", ".svg")


def check_name(name: str) -> None:
    """Refuse a name of another kind of file. Errors: InputError."""
    if Path(name).suffix.lower() not in KINDS:
        raise InputError(f"{name}: expected a name that ends in {' or '.join(KINDS)}")


def picture(document: Mapping[str, Any], name: str) -> bytes:
    """Return the picture of a comparison, with one line of two panels per horizon.

    Equal documents give equal bytes. Errors: InputError (another extension than .png or .svg).
    """
    check_name(name)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    horizons = document["horizons"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.5, 3.6 * len(horizons) + 0.3), layout="constrained")
        panels = figure.subplots(len(horizons), len(AXES), squeeze=False, sharey="row")
        for row, horizon in zip(panels, horizons, strict=True):
            for axes, price in zip(row, AXES, strict=True):
                _panel(axes, document, horizon, price)
            row[0].legend(loc="best", fontsize=7, frameon=True, framealpha=0.8, edgecolor="none")
        source = document["source"]
        figure.suptitle(
            f"{source['title']}, {source['rows']:,} rows", fontsize=10, parse_math=False
        )
        file, kind = io.BytesIO(), Path(name).suffix.lower()
        metadata = {"Date": None} if kind == ".svg" else {"Software": None}
        figure.savefig(file, format=kind[1:], metadata=metadata)
    return file.getvalue()


def _panel(axes: Axes, document: Mapping[str, Any], horizon: Mapping[str, Any], price: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    title, label, _ = AXES[price]
    errors = [one["error"] for one in horizon["rows"] if one["error"] is not None]
    found = kinds(horizon, price)
    for kind in found:
        data = {key: np.array(value) for key, value in points(kind, price).items()}
        size = 9 if kind.plotted == "*" else 5
        axes.errorbar(
            data["x"], data["y"], [data["y"] - data["low"], data["high"] - data["y"]],
            fmt=kind.plotted, color=kind.stroke.light, ms=size, elinewidth=0.8, label=kind.name,
        )  # fmt: skip
    axes.plot(*line(horizon, price), color=look.TRUTH.light, lw=0.9, label="Pareto front")
    if errors and max(errors) >= 1:
        axes.axhline(1.0, color=look.of_model("last").light, ls="--", lw=0.9, label="last value")
    for one in horizon["rows"]:
        if one["cheapest"] and one[price] is not None:
            axes.annotate(
                one["name"], (one[price], one["error"]), xytext=(4, -12),
                textcoords="offset points", fontsize=7, parse_math=False,
            )  # fmt: skip
            axes.plot(
                one[price], one["error"], "o", ms=11, mfc="none", mec=look.TRUTH.light,
                label="cheapest within 1 %",
            )  # fmt: skip
    if found:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", labelsize=7)
    axes.set_title(f"{title}, {ahead(horizon['horizon']).lower()}", loc="left", fontsize=9)
    processor = document["processor"]
    if price == "milliseconds_high":
        label = f"{label}: {processor['name']}, {processor['mhz']:g} MHz"
    axes.set_xlabel(label)
    axes.set_ylabel("error / last value" if price == "memory_bytes" else "")
