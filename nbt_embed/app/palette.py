"""Colours and dashes of what is drawn: one for every model and expert, on a light and a dark page.

Hues are those of Okabe and Ito (*Color universal design*, 2008), which colour-blind people tell
apart, made darker or lighter until each contrasts with its page by 3 to 1 or more. Nothing is told
by colour alone: lines have dashes of their own, areas a hatching.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stroke:
    """How one series looks.

    Attributes: light, dark: its colour on such a page; dash: lengths of dashes and gaps in pixels,
    empty for a solid line; hatch: Bokeh's name of a pattern, "" for none.
    """

    light: str
    dark: str
    dash: tuple[int, ...] = ()
    hatch: str = ""


TRUTH = Stroke("#24292f", "#e6edf3")
ALARM = Stroke("#b3261e", "#ff8a80")
_OTHER = Stroke("#5c6570", "#a7b1bb", (2, 6))
_MODELS = {
    "learner": Stroke("#0063a3", "#5ab4f0"),
    "frozen": Stroke("#8a4a9e", "#d6a1e8", (10, 3)),
    "rls": Stroke("#b84a00", "#f29a57", (6, 3)),
    "nlms": Stroke("#00735a", "#3ecfa4", (2, 3)),
    "last": Stroke("#5c6570", "#a7b1bb", (8, 3, 2, 3)),
    "seasonal": Stroke("#866100", "#e3bd4b", (12, 4, 2, 4, 2, 4)),
}
_EXPERTS = (
    Stroke("#5c6570", "#a7b1bb", hatch="dot"),
    Stroke("#b84a00", "#f29a57", hatch="right_diagonal_line"),
    Stroke("#0063a3", "#5ab4f0"),
    Stroke("#00735a", "#3ecfa4", hatch="left_diagonal_line"),
    Stroke("#8a4a9e", "#d6a1e8", hatch="horizontal_line"),
)


def of_model(key: str) -> Stroke:
    """The stroke of a model by its key in the document."""
    return _MODELS.get(key, _OTHER)


def of_expert(index: int) -> Stroke:
    """The stroke of a mixture's expert by its place."""
    return _EXPERTS[index % len(_EXPERTS)]


_KINDS = ("learner", "nlms", "frozen", "seasonal", "last")


def of_kind(index: int) -> Stroke:
    """The stroke of a kind of learner by its place."""
    return _MODELS[_KINDS[index % len(_KINDS)]]
