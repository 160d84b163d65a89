"""Methods compared at equal bytes and at equal instructions, and their tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tools.learning.instructions import Wanted
from tools.learning.plan import (
    AHEAD,
    ANBN,
    FAR,
    FARTHER,
    LENGTH,
    NEAR,
    SERIES,
    SHORT,
    SHORT_SPAN,
    SPANS,
    SPECIAL,
    WHOLE_SPAN,
)
from tools.learning.record import Figure
from tools.learning.recordings import NAME as RECORDINGS
from tools.learning.recordings import Pair


@dataclass(frozen=True)
class Panel:
    """A task, the length of its runs, how its loss is named, and the shape of its learners."""

    task: str
    samples: int
    loss: str
    shape: str


_BITS, _SQUARES = "bits above the entropy rate", "squared error / variance"
PANELS = (
    Panel(ANBN, LENGTH[ANBN], _BITS, "3 symbols"),
    *(Panel(task, LENGTH[task], _BITS, "13 symbols") for task in (NEAR, FAR, FARTHER)),
    *(Panel(task, SHORT, _SQUARES, "series") for task in (*SERIES, *AHEAD)),
    Panel(RECORDINGS, 0, "error / best linear regression", "recording"),
)
OWN = (
    "columnar + head",
    "both kinds + head",
    "resonator + head",
    "columnar + head, frozen",
    "columnar",
    "unitwise + head",
    "nobacktrack + head",
    "unitwise",
    "residual",
    "nobacktrack",
    "frozen",
)
_SPANS = dict.fromkeys((*SPANS, *WHOLE_SPAN.values(), SHORT_SPAN))
DRAWN = (*OWN, *SPECIAL, *(f"{cell}, span {span}" for cell in ("LSTM", "GRU") for span in _SPANS))
# On the recordings, the most important first.
RECORDED: tuple[Pair, ...] = tuple((method, hidden) for hidden in (16, 8, 32) for method in OWN)


def to_count(figures: list[Figure]) -> Iterator[Wanted]:
    """The learners of the pictures that have a figure."""
    have = {(one.task, one.method, one.hidden, one.samples) for one in figures}
    pairs = dict.fromkeys((one.method, one.hidden) for one in figures)
    for shape in dict.fromkeys(panel.shape for panel in PANELS):
        panels = [panel for panel in PANELS if panel.shape == shape]
        for method, hidden in pairs:
            if method in (*OWN, *SPECIAL) and any(
                (panel.task, method, hidden, panel.samples) in have for panel in panels
            ):
                yield shape, method, hidden
