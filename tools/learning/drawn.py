"""Loss against bytes and against instructions of a step: what is drawn (matplotlib)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tools.learning.instructions import Counts
from tools.learning.peers import DRAWN, PANELS, Panel
from tools.learning.record import Figure, Record
from tools.learning.tasks import TASKS, SymbolTask
from tools.style import SVG_STYLE, draw_svg

mpl.rcParams.update(SVG_STYLE)


@dataclass(frozen=True)
class Look:
    """Colour-blind safe (Okabe and Ito 2008). A head is a filled mark; dense layers are dashed."""

    colour: str
    mark: str = "o"
    line: str = "-"
    filled: bool = True


LOOKS = {
    "columnar + head": Look("#000000"),
    "columnar + head, no noise": Look("#000000", "P", ""),
    "columnar + head, long": Look("#000000", "*", ""),
    "both kinds + head": Look("#0072B2", "D"),
    "resonator + head": Look("#56B4E9", "^"),
    "columnar + head, frozen": Look("#777777"),
    "columnar": Look("#000000", filled=False, line=":"),
    "unitwise + head": Look("#009E73", "s", "--"),
    "nobacktrack + head": Look("#E69F00", "s", "--"),
    "unitwise": Look("#009E73", "s", "--", filled=False),
    "residual": Look("#CC79A7", "s", "--", filled=False),
    "nobacktrack": Look("#E69F00", "s", "--", filled=False),
    "frozen": Look("#777777", "s", "--", filled=False),
    "LSTM": Look("#D55E00", "x", ""),
    "GRU": Look("#D55E00", "+", ""),
}
Place = Callable[[Panel, Figure], int | None]
# Bits above the entropy rate that are drawn: a stretch of a stream is less or more than its rate.
LEAST = 1e-3


def _look(method: str) -> Look:
    return LOOKS[method] if method in LOOKS else LOOKS[method.split(",", 1)[0]]


def _label(method: str) -> str:
    return method if method in LOOKS else f"{method.split(',', 1)[0]}, backpropagation"


def against_bytes(figures: Iterable[Figure]) -> Picture:
    """Median loss against the bytes that a method holds between two samples."""
    return _picture(list(figures), lambda _, one: one.bytes, "bytes", PANELS)


def against_instructions(figures: Iterable[Figure], counts: Counts) -> Picture:
    """Median loss against the instructions of a step on a Cortex-M4F."""

    def place(panel: Panel, one: Figure) -> int | None:
        found = counts.get((panel.shape, one.method, one.hidden))
        return found.instructions if found else None

    return _picture(list(figures), place, "instructions per step, Cortex-M4F", PANELS)


def _picture(figures: list[Figure], place: Place, what: str, panels: Iterable[Panel]) -> Picture:
    picture = Picture(figsize=(11, 8.4))
    every = picture.subplots(3, 4)
    lines: dict[str, Line2D] = {}
    for axes in every.flat[len(PANELS) :]:
        axes.set_axis_off()
    for axes, panel in zip(every.flat, panels, strict=False):
        for method in DRAWN:
            points = sorted(_points(panel, method, figures, place))
            if points:
                lines.setdefault(_label(method), _line(axes, method, points))
        _dress(axes, panel, what)
    picture.legend(
        list(lines.values()), list(lines), loc="lower right", ncols=2, frameon=False, fontsize=7
    )
    return picture


def _dress(axes: Axes, panel: Panel, what: str) -> None:
    """Titles; logarithmic axes with few numbers, but a linear loss where all are much the same."""
    low, high = axes.dataLim.intervaly
    axes.set(xscale="log", yscale="log" if high > 2 * low else "linear", title=panel.task)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1e3:,.0f}k"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if high > 2 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.2g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel(panel.loss, fontsize=7)
    axes.set_xlabel(what, fontsize=7)
    axes.tick_params(labelsize=7, which="both")


def _points(
    panel: Panel, method: str, figures: Iterable[Figure], place: Place
) -> Iterator[tuple[int, float]]:
    task = TASKS.get(panel.task)
    floor = task.floor if isinstance(task, SymbolTask) else 0.0
    for one in figures:
        if (one.task, one.method, one.samples) == (panel.task, method, panel.samples):
            x = place(panel, one)
            if x and one.loss.median is not None:
                yield x, max(one.loss.median - floor, LEAST if floor else 0.0)


def _line(axes: Axes, method: str, points: list[tuple[int, float]]) -> Line2D:
    look = _look(method)
    x, y = zip(*points, strict=True)
    fill = look.colour if look.filled else "none"
    (line,) = axes.plot(
        x, y, look.line or "none", marker=look.mark, color=look.colour, mfc=fill, ms=4, lw=1
    )
    return line


def draw(records: Iterable[Record], counts: Counts, folder: Path) -> None:
    """Write both pictures into the folder."""
    figures = [one for record in records for one in record.figures]
    for name, picture in {
        "bytes": against_bytes(figures),
        "instructions": against_instructions(figures, counts),
    }.items():
        draw_svg(picture, folder / f"{name}.svg")
